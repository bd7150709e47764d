//! The arithmetic of the Hopper tensor core, bit for bit (the model of arXiv 2511.10909).
//!
//! ```text
//! one step: the products of 32 bytes of K and the accumulator
//!   e = the largest exponent among them          (a product's exponent is the sum of its factors', not normalised; a
//!                                                 product that is zero has none)
//!   each is cut towards zero at 2^(e - fraction)  (fraction: 25; 13 for wgmma on 8-bit floats)
//!   the sum of what is left is exact, then cut to the accumulator's format
//! ```
//! Central types: [`Number`], an element taken apart, and [`Unit`], the constants of a data path. Products that Hopper has
//! no instruction for are [`assembled`](super::assembled) from others.

use crate::format::{Class, F16, F32, Format, Overflow, Round};

use super::{Elem, assembled};

/// An element ready to multiply: `man * 2^(exp - man_bits)`; `exp` is [`Number::SPECIAL`] for infinities (`man` = ±1) and NaN (0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    pub exp: i32,
    pub man: i32,
}

impl Number {
    pub const SPECIAL: i32 = i32::MAX / 4;
    /// The exponent of zero: below that of every other number or product, and not so low that it makes a special one finite.
    pub const ZERO: i32 = -100_000;

    /// Takes an element's bits apart. A subnormal has the smallest normal exponent and a leading zero.
    pub fn new(format: &Format, bits: u32) -> Number {
        let u = format.unpack(u64::from(bits));
        let sign = if u.negative { -1 } else { 1 };
        match u.class {
            Class::Nan => Number { exp: Number::SPECIAL, man: 0 },
            Class::Infinite => Number { exp: Number::SPECIAL, man: sign },
            Class::Zero => Number { exp: Number::ZERO, man: 0 },
            Class::Finite => Number { exp: u.exp + format.man_bits as i32, man: sign * u.man as i32 },
        }
    }
}

/// The format of accumulators and results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acc {
    F32,
    F16,
}

impl Acc {
    pub fn format(self) -> &'static Format {
        match self {
            Acc::F32 => &F32,
            Acc::F16 => &F16,
        }
    }
}

/// How the steps of a product follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Along K; the accumulator goes through all of them.
    Steps,
    /// See [`assembled::halves`].
    Halves,
}

/// The constants of a data path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Formats of A and of B.
    pub formats: [&'static Format; 2],
    pub path: Path,
    /// Products added in one step.
    pub step: usize,
    /// Fraction bits kept below the largest exponent.
    pub fraction: i32,
    /// Fraction bits of a product: those of A and of B.
    pub product_bits: i32,
    pub acc: Acc,
    /// Fraction bits of an f32 result.
    pub result_bits: u32,
}

impl Unit {
    /// The path of `wgmma` on element types `a` and `b`; `None` for integers and f64.
    pub fn wgmma(a: Elem, b: Elem, acc: Acc) -> Option<Unit> {
        let eight = a.bits() == 8;
        let formats = [a.format()?, b.format()?];
        (a != Elem::F64).then_some(Unit {
            formats,
            path: Path::Steps,
            step: 256 / a.bits() as usize,
            fraction: if eight { 13 } else { 25 },
            product_bits: (formats[0].man_bits + formats[1].man_bits) as i32,
            acc,
            result_bits: if eight { 13 } else { 23 },
        })
    }

    /// The path of `mma.sync`: that of `wgmma`, but 8-bit floats are widened to f16.
    pub fn mma(a: Elem, b: Elem, acc: Acc) -> Option<Unit> {
        let unit = Unit::wgmma(a, b, acc)?;
        if a.bits() != 8 {
            return Some(unit);
        }
        let product_bits = 2 * F16.man_bits as i32;
        Some(Unit { path: Path::Halves, step: 16, fraction: 25, product_bits, result_bits: 23, ..unit })
    }

    /// The path of `wmma`: that of `mma.sync`, but two products of k = 4 make one of tf32.
    pub fn wmma(a: Elem, b: Elem, acc: Acc) -> Option<Unit> {
        let unit = Unit::mma(a, b, acc)?;
        Some(if a == Elem::Tf32 { Unit { step: 4, ..unit } } else { unit })
    }

    /// Elements of A (0) or B (1) as the path takes them.
    pub fn numbers(&self, operand: usize, bits: &[u32]) -> Vec<Number> {
        let format = self.formats[operand];
        bits.iter()
            .map(|&bits| match self.path {
                Path::Steps => Number::new(format, bits),
                Path::Halves => Number::new(&F16, assembled::widen(format, bits)),
            })
            .collect()
    }

    /// `acc + Σ a[i] * b[i]`, step by step; accumulator and result are bits of [`Unit::acc`].
    pub fn dot(&self, a: &[Number], b: &[Number], acc: u32) -> u32 {
        match self.path {
            Path::Steps => self.steps(a, b, acc),
            Path::Halves => assembled::halves(self, a, b, acc),
        }
    }

    /// [`Unit::dot`] along K.
    pub(super) fn steps(&self, a: &[Number], b: &[Number], acc: u32) -> u32 {
        a.chunks(self.step).zip(b.chunks(self.step)).fold(acc, |acc, (a, b)| self.add(a, b, acc))
    }

    /// `d[i][j] = d[i][j] + Σ a[i][k] * b[j][k]`: `a` is m x k, `b` is n x k and `d` is m x n, all row-major; `d` holds bits of
    /// [`Unit::acc`].
    pub fn multiply(&self, k: usize, a: &[Number], b: &[Number], d: &mut [u32]) {
        if k == 0 {
            return;
        }
        let n = (b.len() / k).max(1);
        for (row, out) in a.chunks_exact(k).zip(d.chunks_exact_mut(n)) {
            for (column, out) in b.chunks_exact(k).zip(out) {
                *out = self.dot(row, column, *out);
            }
        }
    }

    #[inline]
    fn add(&self, a: &[Number], b: &[Number], acc: u32) -> u32 {
        let format = self.acc.format();
        let c = Number::new(format, acc);
        let mut top = c.exp;
        for (x, y) in a.iter().zip(b) {
            top = top.max(x.exp + y.exp);
        }
        if top >= Number::SPECIAL / 2 {
            return self.special(format, a, b, c);
        }
        // Values in units of 2^(top - fraction).
        let place = |man: i64, bits: i32, exp: i32| {
            let up = self.fraction - bits - (top - exp);
            let magnitude = man.unsigned_abs();
            let cut = if up >= 0 { magnitude << up } else { magnitude.checked_shr(up.unsigned_abs()).unwrap_or(0) };
            if man < 0 { -(cut as i64) } else { cut as i64 }
        };
        let mut sum = place(i64::from(c.man), format.man_bits as i32, c.exp);
        for (x, y) in a.iter().zip(b) {
            sum += place(i64::from(x.man) * i64::from(y.man), self.product_bits, x.exp + y.exp);
        }
        let (magnitude, unit) = (u128::from(sum.unsigned_abs()), top - self.fraction);
        match self.acc {
            Acc::F16 => F16.round(sum < 0, magnitude, unit, Round::Near, Overflow::Ieee) as u32,
            Acc::F32 => {
                let result = Format { man_bits: self.result_bits, low: 23 - self.result_bits, ..F32 };
                let bits = result.round(sum < 0, magnitude, unit, Round::Zero, Overflow::Ieee) as u32;
                // Truncation never reaches infinity by rounding, but a sum of finite products can.
                let over = sum != 0 && 127 - magnitude.leading_zeros() as i32 + unit > 127;
                if over { F32.infinity(sum < 0) as u32 } else { bits }
            }
        }
    }

    /// Sums with an infinity or a NaN.
    fn special(&self, format: &Format, a: &[Number], b: &[Number], c: Number) -> u32 {
        let is = |n: &Number| n.exp == Number::SPECIAL;
        let (mut plus, mut minus) = (is(&c) && c.man > 0, is(&c) && c.man < 0);
        let mut nan = is(&c) && c.man == 0;
        for (x, y) in a.iter().zip(b) {
            if is(x) || is(y) {
                match x.man.signum() * y.man.signum() {
                    1 => plus = true,
                    -1 => minus = true,
                    // NaN, or infinity times zero.
                    _ => nan = true,
                }
            }
        }
        (if nan || plus && minus { format.nan } else { format.infinity(minus) }) as u32
    }
}
