//! `min` and `max` of floats with `.NaN` and `.xorsign.abs` (PTX ISA 9.7.3.11, 9.7.4.9).
//!
//! No central type: one function on bits of any [`Format`].

use crate::format::Format;
use crate::nan::result;

/// Which of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    Min,
    Max,
}

/// The smaller or larger of two numbers; -0 is below +0. One NaN yields the other operand unless `nan` asks for NaN.
/// With `xorsign_abs` magnitudes are compared and the result has the exclusive or of the signs.
pub fn select(f: &Format, pick: Pick, nan: bool, xorsign_abs: bool, a: u64, b: u64) -> u64 {
    let sign = f.zero(true);
    match (f.is_nan(a), f.is_nan(b)) {
        (true, true) => return result(f, &[b, a]),
        (true, false) | (false, true) if nan => return result(f, &[b, a]),
        _ => {}
    }
    let (x, y) = if xorsign_abs { (a & !sign, b & !sign) } else { (a, b) };
    // Sign and magnitude as one integer that orders like the numbers.
    let key = |v: u64| if v & sign != 0 { -1 - (v & !sign) as i128 } else { v as i128 };
    let first = match (f.is_nan(a), f.is_nan(b)) {
        (true, _) => false,
        (_, true) => true,
        _ => (key(x) < key(y)) == (pick == Pick::Min),
    };
    let picked = if first { x } else { y };
    if xorsign_abs { picked & !sign | (a ^ b) & sign } else { picked }
}
