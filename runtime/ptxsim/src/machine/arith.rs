//! Float formats on bits, as the rows of the decode table want them.

use tricot_ptx_numerics::format::F64;
use tricot_ptx_numerics::nan;

/// The bits; arithmetic below f64 returns one NaN on sm_90.
pub fn nan32(v: f32) -> u32 {
    if v.is_nan() { 0x7fff_ffff } else { v.to_bits() }
}
/// The bits; a NaN is that of the operands in the order in which they count (see [`nan::result`]).
pub fn nan64(v: f64, operands: &[u64]) -> u64 {
    if v.is_nan() { nan::result(&F64, operands) } else { v.to_bits() }
}
/// Denormals to zero of the same sign.
pub fn ftz(bits: u32) -> u32 {
    if bits & 0x7f80_0000 == 0 { bits & 0x8000_0000 } else { bits }
}
/// To [0, 1]; NaN to 0.
pub fn sat32(v: f32) -> u32 {
    if v > 0.0 { v.min(1.0).to_bits() } else { 0 }
}
pub fn f16(bits: u32) -> f32 {
    half::f16::from_bits(bits as u16).to_f32()
}
pub fn bf16(bits: u32) -> f32 {
    f32::from_bits(bits << 16)
}
pub fn to_f16(v: f32) -> u32 {
    if v.is_nan() { 0x7fff } else { u32::from(half::f16::from_f32(v).to_bits()) }
}
pub fn to_bf16(v: f32) -> u32 {
    if v.is_nan() {
        return 0x7fff;
    }
    let bits = v.to_bits();
    (bits.wrapping_add(0x7fff + (bits >> 16 & 1))) >> 16
}
/// Rounds to nearest even at `keep` fraction bits, exactly, through the f64's bits.
fn to_odd32(v: f64) -> f32 {
    // Round to odd in f32, so that a second rounding to fewer bits is right.
    let near = v as f32;
    if f64::from(near) == v || !near.is_finite() {
        return near;
    }
    let bits = near.to_bits();
    let toward_zero = if f64::from(near).abs() > v.abs() { bits - 1 } else { bits };
    f32::from_bits(toward_zero | 1)
}
pub fn to_f16_64(v: f64) -> u32 {
    if v.is_nan() { 0x7fff } else { to_f16(to_odd32(v)) }
}
pub fn to_bf16_64(v: f64) -> u32 {
    if v.is_nan() { 0x7fff } else { to_bf16(to_odd32(v)) }
}
pub fn two(a: u32, b: u32, f: impl Fn(u32, u32) -> u32) -> u32 {
    f(a & 0xffff, b & 0xffff) | f(a >> 16, b >> 16) << 16
}
/// A NaN loses; −0 is less than +0.
pub fn min32(a: u32, b: u32) -> u32 {
    let (x, y) = (f32::from_bits(a), f32::from_bits(b));
    if x.is_nan() {
        return if y.is_nan() { 0x7fff_ffff } else { b };
    }
    if y.is_nan() || x < y || (x == y && a >> 31 != 0) { a } else { b }
}
pub fn max32(a: u32, b: u32) -> u32 {
    let (x, y) = (f32::from_bits(a), f32::from_bits(b));
    if x.is_nan() {
        return if y.is_nan() { 0x7fff_ffff } else { b };
    }
    if y.is_nan() || x > y || (x == y && a >> 31 == 0) { a } else { b }
}
pub fn min64(a: u64, b: u64) -> u64 {
    let (x, y) = (f64::from_bits(a), f64::from_bits(b));
    if x.is_nan() {
        return if y.is_nan() { nan::result(&F64, &[b, a]) } else { b };
    }
    if y.is_nan() || x < y || (x == y && a >> 63 != 0) { a } else { b }
}
pub fn max64(a: u64, b: u64) -> u64 {
    let (x, y) = (f64::from_bits(a), f64::from_bits(b));
    if x.is_nan() {
        return if y.is_nan() { nan::result(&F64, &[b, a]) } else { b };
    }
    if y.is_nan() || x > y || (x == y && a >> 63 == 0) { a } else { b }
}
/// e4m3: no infinity, NaN is 0x7f.
pub fn e4m3(bits: u32) -> f32 {
    let (e, m) = (bits >> 3 & 15, bits & 7);
    let v = if e == 15 && m == 7 {
        return f32::NAN;
    } else if e == 0 {
        m as f32 / 512.0
    } else {
        (8 + m) as f32 * 2f32.powi(e as i32 - 10)
    };
    if bits & 0x80 != 0 { -v } else { v }
}
pub fn e5m2(bits: u32) -> f32 {
    f16((bits & 0xff) << 8)
}
/// Nearest even with `m` fraction bits, smallest exponent `emin`, largest finite `max`; saturating.
fn to_small(v: f32, m: i32, emin: i32, bias: i32, max: f32) -> u32 {
    let sign = (v.to_bits() >> 31) << 7;
    let x = f64::from(v.abs());
    let exponent = if x == 0.0 { emin } else { (((x.to_bits() >> 52) as i32) - 1023).max(emin) };
    let scale = 2f64.powi(m - exponent);
    let rounded = (x * scale).round_ties_even() / scale;
    let r = rounded.min(f64::from(max));
    if r == 0.0 {
        return sign;
    }
    let e = (((r.to_bits() >> 52) as i32) - 1023).max(emin);
    let significand = (r * 2f64.powi(m - e)) as u32;
    let field = if significand >> m == 0 { 0 } else { (e + bias) as u32 };
    sign | field << m | significand & ((1 << m) - 1)
}
pub fn to_e4m3(v: f32) -> u32 {
    if v.is_nan() { 0x7f } else { to_small(v, 3, -6, 7, 448.0) }
}
pub fn to_e5m2(v: f32) -> u32 {
    if v.is_nan() { 0x7f } else { to_small(v, 2, -14, 15, 57344.0) }
}
/// Nearest, ties away from zero, 10 fraction bits. A NaN loses its low bits, too, which can leave infinity.
pub fn to_tf32_rna(bits: u32) -> u32 {
    let half = if f32::from_bits(bits).is_finite() { 0x1000 } else { 0 };
    (bits + half) & !0x1fff
}
