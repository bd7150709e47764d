//! The accumulator of a warpgroup: a 64 x n tile of f32 spread over 128 threads.
//!
//! The central type is [`Fragment`]. It knows the layout of wgmma's D (PTX ISA 9.7.15.5.1, "Register fragments"):
//!
//! ```text
//! warp w, lane 4 r + c holds of every 8 columns j:            c = 0      1      2      3
//!   registers 4j, 4j+1:    row 16 w + r,      columns 8 j + {0 1}  {2 3}  {4 5}  {6 7}
//!   registers 4j+2, 4j+3:  row 16 w + r + 8,  the same columns
//! ```
//! The A operand in registers has the same layout for its 16 columns, two 16-bit elements to a register.

use crate::emit::{Builder, Ty, Val};
use tricot_types::DType;

/// Registers of a 64 x n tile: `n / 2` f32.
#[derive(Clone, Debug)]
pub struct Fragment {
    pub regs: Vec<Val>,
}

/// Where register `index` lies: upper (0) or lower (1) row, group of 8 columns, and element 0 or 1 of its pair.
pub fn place(index: usize) -> (usize, usize, usize) {
    (index / 2 % 2, index / 4, index % 2)
}

impl Fragment {
    /// A tile of `n` columns filled with one value.
    pub fn splat(b: &Builder, n: u32, value: f32) -> Fragment {
        Fragment { regs: vec![b.f32(value); n as usize / 2] }
    }

    /// `f` of every register and its row half.
    pub fn map(&self, f: impl Fn(Val, usize) -> Val) -> Fragment {
        Fragment { regs: self.regs.iter().enumerate().map(|(i, v)| f(*v, place(i).0)).collect() }
    }

    /// Combines each of this thread's two rows over the columns this thread holds.
    pub fn own_rows(&self, combine: impl Fn(Val, Val) -> Val) -> [Val; 2] {
        [0, 1].map(|half| {
            let own = self.regs.iter().enumerate().filter(|(i, _)| place(*i).0 == half).map(|(_, v)| *v);
            own.reduce(&combine).expect("a fragment has columns")
        })
    }

    /// Combines each of this thread's two rows over all columns, those of the other three lanes included.
    pub fn rows(&self, b: &Builder, combine: impl Fn(Val, Val) -> Val) -> [Val; 2] {
        self.own_rows(&combine).map(|own| quad(b, own, &combine))
    }

    /// Columns `16 step..16 step + 16` as a register A operand.
    pub fn operand(&self, b: &Builder, step: usize, dtype: DType) -> [Val; 4] {
        let pair = |i: usize| pack(b, dtype, self.regs[8 * step + i], self.regs[8 * step + i + 1]);
        [pair(0), pair(2), pair(4), pair(6)]
    }
}

/// Combines a value over the four lanes that share a row.
pub fn quad(b: &Builder, value: Val, combine: impl Fn(Val, Val) -> Val) -> Val {
    let value = combine(value, b.shuffle_xor(value, 1));
    combine(value, b.shuffle_xor(value, 2))
}

/// Rounds two f32 to a 16-bit type, `low` in the lower half of the i32 (PTX ISA 9.7.9.21, `cvt`).
pub fn pack(b: &Builder, dtype: DType, low: Val, high: Val) -> Val {
    let name = if dtype == DType::BF16 { "bf16x2" } else { "f16x2" };
    b.asm_pure(&format!("cvt.rn.{name}.f32 $0, $1, $2;"), "=r,f,f", &[high, low], Ty::I32)
}

/// The two 16-bit floats of an i32 as f32, the lower half first.
pub fn unpack(b: &Builder, dtype: DType, pair: Val) -> [Val; 2] {
    let half = if dtype == DType::BF16 { Ty::BF16 } else { Ty::F16 };
    let both = b.bitcast(pair, half.vec(2));
    [0, 1].map(|i| b.resize_f(b.lane(both, i), Ty::F32))
}

/// 2 to the power of `x`, with the accuracy of `ex2.approx.ftz` (2 ulp); exactly 0 for -infinity.
pub fn exp2(b: &Builder, x: Val) -> Val {
    b.asm_pure("ex2.approx.ftz.f32 $0, $1;", "=f,f", &[x], Ty::F32)
}

/// The larger of two f32; the other one where one is NaN.
pub fn max(b: &Builder, x: Val, y: Val) -> Val {
    b.op1("llvm.intr.maxnum", &[x, y], Ty::F32, &[])
}
