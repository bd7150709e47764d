//! Correctly rounded arithmetic in any [`Format`] and rounding mode (PTX ISA 9.7.3, 9.7.4).
//!
//! No central type: functions on bits. The common `.rn` forms of f32 have faster paths in the callers.

use crate::format::{Class, Format, Overflow, Round, Unpacked};
use crate::nan;

/// A finite number wide enough for a product; the lowest bit may be sticky.
#[derive(Clone, Copy)]
struct Wide {
    negative: bool,
    man: u128,
    exp: i32,
}

/// Shifts right; a lost bit sets the lowest.
fn jam(man: u128, shift: u32) -> u128 {
    match shift {
        0 => man,
        1..=127 => man >> shift | u128::from(man & ((1 << shift) - 1) != 0),
        _ => u128::from(man != 0),
    }
}

/// The sum of two numbers that are not zero, or `None` for an exact zero.
fn sum(a: Wide, b: Wide) -> Option<Wide> {
    // The leading bit goes to bit 125, so that a sum fits and products of 106 bits keep 19 zeros below them.
    let place = |w: Wide| {
        let up = w.man.leading_zeros() - 2;
        Wide { man: w.man << up, exp: w.exp - up as i32, ..w }
    };
    let (mut a, mut b) = (place(a), place(b));
    if (a.exp, a.man) < (b.exp, b.man) {
        std::mem::swap(&mut a, &mut b);
    }
    let small = jam(b.man, a.exp.abs_diff(b.exp));
    let man = if a.negative == b.negative { a.man + small } else { a.man - small };
    (man != 0).then_some(Wide { man, ..a })
}

fn finite(u: &Unpacked) -> Option<Wide> {
    (u.class == Class::Finite).then_some(Wide { negative: u.negative, man: u128::from(u.man), exp: u.exp })
}

/// The sign of an exact zero that is a sum of terms of these signs.
fn zero_sign(a: bool, b: bool, mode: Round) -> bool {
    if a == b { a } else { mode == Round::Down }
}

/// A sum, or `None` for NaN.
fn add_unpacked(f: &Format, a: &Unpacked, b: &Unpacked, mode: Round) -> Option<u64> {
    let (wa, wb) = (finite(a), finite(b));
    add_wide(f, (a, wa), (b, wb), mode)
}

fn add_wide(
    f: &Format,
    (a, wa): (&Unpacked, Option<Wide>),
    (b, wb): (&Unpacked, Option<Wide>),
    mode: Round,
) -> Option<u64> {
    Some(match (a.class, b.class) {
        (Class::Nan, _) | (_, Class::Nan) => return None,
        (Class::Infinite, Class::Infinite) if a.negative != b.negative => return None,
        (Class::Infinite, _) => f.infinity(a.negative),
        (_, Class::Infinite) => f.infinity(b.negative),
        _ => match (wa, wb) {
            (Some(x), Some(y)) => match sum(x, y) {
                Some(s) => f.round(s.negative, s.man, s.exp, mode, Overflow::Ieee),
                None => f.zero(mode == Round::Down),
            },
            (Some(x), None) | (None, Some(x)) => f.round(x.negative, x.man, x.exp, mode, Overflow::Ieee),
            (None, None) => f.zero(zero_sign(a.negative, b.negative, mode)),
        },
    })
}

/// `a + b`.
pub fn add(f: &Format, a: u64, b: u64, mode: Round) -> u64 {
    add_unpacked(f, &f.unpack(a), &f.unpack(b), mode).unwrap_or_else(|| nan::result(f, &[b, a]))
}

/// `a - b`.
pub fn sub(f: &Format, a: u64, b: u64, mode: Round) -> u64 {
    let mut y = f.unpack(b);
    y.negative = !y.negative;
    // A NaN is not negated.
    add_unpacked(f, &f.unpack(a), &y, mode).unwrap_or_else(|| nan::result(f, &[b, a]))
}

/// The class, sign and exact value of a product.
fn product(a: &Unpacked, b: &Unpacked) -> (Unpacked, Option<Wide>) {
    let negative = a.negative != b.negative;
    let class = match (a.class, b.class) {
        (Class::Nan, _) | (_, Class::Nan) => Class::Nan,
        (Class::Infinite, Class::Zero) | (Class::Zero, Class::Infinite) => Class::Nan,
        (Class::Infinite, _) | (_, Class::Infinite) => Class::Infinite,
        (Class::Zero, _) | (_, Class::Zero) => Class::Zero,
        _ => Class::Finite,
    };
    let wide = Wide { negative, man: u128::from(a.man) * u128::from(b.man), exp: a.exp + b.exp };
    (Unpacked { class, negative, exp: 0, man: 0 }, (class == Class::Finite).then_some(wide))
}

/// `a * b`.
pub fn mul(f: &Format, a: u64, b: u64, mode: Round) -> u64 {
    match product(&f.unpack(a), &f.unpack(b)) {
        (p, None) if p.class == Class::Nan => nan::result(f, &[b, a]),
        (p, None) => f.from(&p, mode, Overflow::Ieee),
        (_, Some(w)) => f.round(w.negative, w.man, w.exp, mode, Overflow::Ieee),
    }
}

/// `a * b + c`, rounded once.
pub fn fma(f: &Format, a: u64, b: u64, c: u64, mode: Round) -> u64 {
    let (p, wide) = product(&f.unpack(a), &f.unpack(b));
    let z = f.unpack(c);
    add_wide(f, (&p, wide), (&z, finite(&z)), mode).unwrap_or_else(|| nan::result(f, &[b, c, a]))
}

/// `a / b`.
pub fn div(f: &Format, a: u64, b: u64, mode: Round) -> u64 {
    let (x, y) = (f.unpack(a), f.unpack(b));
    let negative = x.negative != y.negative;
    match (x.class, y.class) {
        (Class::Nan, _) | (_, Class::Nan) => nan::result(f, &[a, b]),
        (Class::Infinite, Class::Infinite) | (Class::Zero, Class::Zero) => nan::result(f, &[]),
        (Class::Infinite, _) | (_, Class::Zero) => f.infinity(negative),
        (Class::Zero, _) | (_, Class::Infinite) => f.zero(negative),
        _ => {
            let up = x.man.leading_zeros() + 63;
            let (top, bottom) = (u128::from(x.man) << up, u128::from(y.man));
            let man = (top / bottom) << 1 | u128::from(top % bottom != 0);
            f.round(negative, man, x.exp - up as i32 - y.exp - 1, mode, Overflow::Ieee)
        }
    }
}

/// `1 / a`.
pub fn rcp(f: &Format, a: u64, mode: Round) -> u64 {
    div(f, (f.bias() as u64) << (f.man_bits + f.low), a, mode)
}

/// The square root.
pub fn sqrt(f: &Format, a: u64, mode: Round) -> u64 {
    let x = f.unpack(a);
    match x.class {
        Class::Nan => nan::result(f, &[a]),
        Class::Zero => f.zero(x.negative),
        _ if x.negative => nan::result(f, &[]),
        Class::Infinite => f.infinity(false),
        Class::Finite => {
            let mut up = x.man.leading_zeros() + 62;
            up += u32::from((x.exp - up as i32) % 2 != 0);
            let square = u128::from(x.man) << up;
            let root = square.isqrt();
            let man = root << 1 | u128::from(root * root != square);
            f.round(false, man, (x.exp - up as i32) / 2 - 1, mode, Overflow::Ieee)
        }
    }
}

/// The absolute value. The ISA leaves that of a NaN open: it is what arithmetic makes of it.
pub fn abs(f: &Format, a: u64) -> u64 {
    if f.is_nan(a) { nan::result(f, &[a]) } else { a & !f.zero(true) }
}

/// `-a`; of a NaN what `abs` gives.
pub fn neg(f: &Format, a: u64) -> u64 {
    if f.is_nan(a) { nan::result(f, &[a]) } else { a ^ f.zero(true) }
}
