//! Which NaN an operation returns. The PTX ISA leaves sign and payload open; these are the ones of an H100.
//!
//! No central type: one function for arithmetic and one for conversions. f64 passes NaNs on, made quiet; the other formats
//! have one NaN each, [`Format::nan`].

use crate::format::{BF16, F32, F64, Format};

/// The NaN of an operation: for f64 its first operand that is one, and [`Format::nan`] if none is (the operation is invalid).
///
/// Operands are given in the order in which they count: `b, a` in sums, products, `min` and `max`; `b, c, a` in `fma`; `a, b`
/// in `div`, which is a subroutine of ptxas.
#[cold]
pub fn result(f: &Format, operands: &[u64]) -> u64 {
    operands.iter().find(|x| f.is_nan(**x)).map_or(f.nan, |x| converted(f, f, *x))
}

/// The NaN `bits` in another format: from or to f64 it keeps its sign and the upper bits of its fraction, and becomes quiet.
pub fn converted(from: &Format, to: &Format, bits: u64) -> u64 {
    if (*from, *to) == (BF16, F32) {
        // A move to the upper half, as of any number.
        return (bits & 0xffff) << 16;
    }
    if *from != F64 && *to != F64 {
        return to.nan;
    }
    let fraction = bits >> from.low & ((1 << from.man_bits) - 1);
    let fraction = fraction << (64 - from.man_bits) >> (64 - to.man_bits);
    let quiet = 1 << (to.man_bits - 1);
    to.infinity(from.unpack(bits).negative) | (fraction | quiet) << to.low
}
