//! Products that Hopper has no instruction for, as ptxas 13.0 puts them together for sm_90a.
//!
//! ```text
//! mma.sync on 8-bit floats   widened to f16; of each word of four, the lower two (L) and the upper two (U) go separately
//!   k  0 1 2 3 | 4 5 6 7 | …
//!      L L U U   L L U U         s = Σ_L from zero (one step of the f16 path), s = s + Σ_U (one step), d = c + s (nearest)
//! mma.sync.m8n8k4 on f16     no tensor core: f32 arithmetic, each operation rounded to nearest
//!   f32  s = a0 b0, s = fma(a1, b1, s), s = fma(a2, b2, s), s = fma(a3, b3, s), d = c + s
//!   f16  p = fma(a1, b1, a0 b0), q = fma(a3, b3, a2 b2), d = (c + p) + q, then to f16
//! ```

use crate::arith;
use crate::format::{F16, F32, Format, Overflow, Round};

use super::exact::{Acc, Number, Unit};

/// An 8-bit float as an f16, which holds them all; subnormals of e4m3 become normal.
pub fn widen(format: &Format, bits: u32) -> u32 {
    F16.from(&format.unpack(u64::from(bits)), Round::Near, Overflow::Ieee) as u32
}

/// `mma.sync` on 8-bit floats: a sparse A's stored elements count as K.
pub fn halves(unit: &Unit, a: &[Number], b: &[Number], acc: u32) -> u32 {
    let half = |v: &[Number], upper: bool| -> Vec<Number> {
        v.iter().enumerate().filter(|(k, _)| (k % 4 >= 2) == upper).map(|(_, n)| *n).collect()
    };
    let sum = unit.steps(&half(a, false), &half(b, false), 0);
    let sum = unit.steps(&half(a, true), &half(b, true), sum);
    arith::add(unit.acc.format(), u64::from(acc), u64::from(sum), Round::Near) as u32
}

/// `mma.sync.m8n8k4` on f16: the bits of four elements of A and of B; accumulator and result are bits of `acc`.
pub fn fused(acc: Acc, a: [u32; 4], b: [u32; 4], c: u32) -> u32 {
    let (a, b, c) = (a.map(single), b.map(single), if acc == Acc::F16 { single(c) } else { f32::from_bits(c) });
    match acc {
        Acc::F32 => bits(&F32, c + (0..4).fold(0.0, |sum, k| a[k].mul_add(b[k], sum))),
        Acc::F16 => {
            let pair = |k: usize| a[k + 1].mul_add(b[k + 1], a[k] * b[k]);
            bits(&F16, c + pair(0) + pair(2))
        }
    }
}

fn single(f16: u32) -> f32 {
    F16.to_f64(u64::from(f16)) as f32
}

/// The nearest number of a format; NaN is the canonical one.
fn bits(format: &Format, value: f32) -> u32 {
    format.from(&F32.unpack(u64::from(value.to_bits())), Round::Near, Overflow::Ieee) as u32
}
