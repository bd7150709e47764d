//! exp, log and what follows from them.

use super::{layout, less, polynomial, power_of_two, scale};
use crate::emit::{Builder, Cmp, FCmp, Ty, Val};
use std::f64::consts::{LN_2, LOG2_E};

/// ln 2 in two parts; `k * LN2_HIGH` is exact for |k| up to 2^11 (f64) or 2^8 (f32).
fn ln2_parts(ty: Ty) -> (f64, f64) {
    if ty == Ty::F64 {
        (6.93147180369123816490e-01, 1.90821492927058770002e-10)
    } else {
        (0.693359375, -2.121_944_400_546_905_8e-4)
    }
}

/// Largest and smallest argument whose exp is neither infinite nor zero, rounded outwards.
fn exp_range(ty: Ty) -> (f64, f64) {
    if ty == Ty::F64 { (710.0, -746.0) } else { (89.0, -104.0) }
}

fn to_int(b: &Builder, k: Val) -> Val {
    b.float_to_int_s(k, layout(k.ty).2)
}

/// 1/0!, 1/1!, … enough for exp on |r| <= ln2 / 2.
fn taylor(ty: Ty, from: u32) -> Vec<f64> {
    let degree = if ty == Ty::F64 { 14 } else { 8 };
    (from..degree).map(|n| 1.0 / (1..=n).map(f64::from).product::<f64>()).collect()
}

/// (k, r) with x = k ln2 + r, k an integral float, |r| <= ln2 / 2.
fn reduce(b: &Builder, x: Val) -> (Val, Val) {
    let (high, low) = ln2_parts(x.ty);
    let k = b.round_even(b.mul(x, b.float(x.ty, LOG2_E)));
    let minus_k = b.neg(k);
    (k, b.fma(minus_k, b.float(x.ty, low), b.fma(minus_k, b.float(x.ty, high), x)))
}

/// `e^x`.
pub fn exp(b: &Builder, x: Val) -> Val {
    let (top, bottom) = exp_range(x.ty);
    let clamped = b.max_f(b.min_f(x, b.float(x.ty, top)), b.float(x.ty, bottom));
    if x.ty == Ty::F32 {
        // ex2.approx is right to 2 ulp (PTX ISA); the product with log2 e is carried in two parts.
        let log2e = b.float(x.ty, LOG2_E);
        let k = b.round_even(b.mul(clamped, log2e));
        let rest = b.fma(clamped, b.float(x.ty, LOG2_E - f64::from(LOG2_E as f32)), b.fma(clamped, log2e, b.neg(k)));
        return scale(b, approximate_exp2(b, rest), to_int(b, k));
    }
    let (k, r) = reduce(b, clamped);
    scale(b, polynomial(b, r, &taylor(x.ty, 0)), to_int(b, k))
}

fn approximate_exp2(b: &Builder, x: Val) -> Val {
    b.asm_pure("ex2.approx.f32 $0, $1;", "=f,f", &[x], Ty::F32)
}

/// `2^x`.
pub fn exp2(b: &Builder, x: Val) -> Val {
    let (top, bottom) = if x.ty == Ty::F64 { (1025.0, -1076.0) } else { (129.0, -151.0) };
    let clamped = b.max_f(b.min_f(x, b.float(x.ty, top)), b.float(x.ty, bottom));
    let k = b.round_even(clamped);
    let rest = b.sub(clamped, k);
    let mantissa = match x.ty {
        Ty::F32 => approximate_exp2(b, rest),
        _ => polynomial(b, b.mul(rest, b.float(x.ty, LN_2)), &taylor(x.ty, 0)),
    };
    scale(b, mantissa, to_int(b, k))
}

/// `e^x - 1` without cancellation near 0.
pub fn expm1(b: &Builder, x: Val) -> Val {
    let (top, _) = exp_range(x.ty);
    // Below -60 the result is -1 in either type.
    let clamped = b.max_f(b.min_f(x, b.float(x.ty, top)), b.float(x.ty, -60.0));
    let (k, r) = reduce(b, clamped);
    // e^r - 1 = r + r² q(r)
    let q = polynomial(b, r, &taylor(x.ty, 2));
    let small = b.fma(b.mul(r, r), q, r);
    // 2^k (e^r - 1) + 2^k - 1, computed at half the size since 2^k may overflow where the result does not.
    let half = power_of_two(b, b.sub(to_int(b, k), b.int(layout(x.ty).2, 1)), x.ty);
    let sum = b.fma(half, small, b.sub(half, b.float(x.ty, 0.5)));
    let value = b.add(sum, sum);
    // Keeps the sign of zero, and small arguments exact.
    b.select(b.cmp_f(FCmp::Oeq, k, b.float(x.ty, 0.0)), small, value)
}

/// (k, log m) with x = m 2^k and m in [sqrt(1/2), sqrt 2), for positive finite x; k as a float.
fn log_parts(b: &Builder, x: Val) -> (Val, Val) {
    let ty = x.ty;
    let (_, mantissa, int) = layout(ty);
    let normal = if ty == Ty::F64 { f64::MIN_POSITIVE } else { f64::from(f32::MIN_POSITIVE) };
    let subnormal = less(b, x, normal);
    let lift = if ty == Ty::F64 { 54 } else { 25 };
    let x = b.select(subnormal, b.mul(x, b.float(ty, 2f64.powi(lift))), x);
    let bits = b.bitcast(x, int);
    // Moves the fraction so that the exponent rounds at sqrt 2: subtract sqrt(1/2) from the bits, as musl does.
    let root = if ty == Ty::F64 { 0x3fe6_a09e_667f_3bcd_i64 } else { 0x3f35_04f3 };
    let moved = b.sub(bits, b.int(int, root));
    let k = b.shr_s(moved, b.int(int, mantissa));
    let fraction = b.and(moved, b.int(int, (1 << mantissa) - 1));
    let m = b.bitcast(b.add(fraction, b.int(int, root)), ty);
    let k = b.sub(k, b.select(subnormal, b.int(int, i64::from(lift)), b.int(int, 0)));
    // log m = 2 atanh s, s = (m - 1) / (m + 1), |s| < 0.172
    let one = b.float(ty, 1.0);
    let f = b.sub(m, one);
    let s = b.div_f(f, b.add(m, one));
    let z = b.mul(s, s);
    let terms = if ty == Ty::F64 { 11 } else { 5 };
    let series: Vec<f64> = (1..terms).map(|n| 2.0 / f64::from(2 * n + 1)).collect();
    // 2 s = f - s f, which keeps the leading term exact where m is near 1.
    let tail = b.mul(b.mul(s, z), polynomial(b, z, &series));
    let log_m = b.add(b.sub(f, b.mul(s, f)), tail);
    (b.int_to_float_s(k, ty), log_m)
}

/// Fixes a logarithm's value at 0, infinity, negative numbers and NaN.
fn log_edges(b: &Builder, x: Val, value: Val) -> Val {
    let ty = x.ty;
    let value = b.select(b.cmp_f(FCmp::Oeq, x, b.float(ty, f64::INFINITY)), x, value);
    let value = b.select(b.cmp_f(FCmp::Oeq, x, b.float(ty, 0.0)), b.float(ty, f64::NEG_INFINITY), value);
    // Unordered or negative.
    b.select(
        b.cmp_f(FCmp::Uge, x, b.float(ty, 0.0)),
        b.select(b.cmp_f(FCmp::Uno, x, x), x, value),
        b.float(ty, f64::NAN),
    )
}

/// Natural logarithm.
pub fn log(b: &Builder, x: Val) -> Val {
    let (high, low) = ln2_parts(x.ty);
    let (k, log_m) = log_parts(b, x);
    let value = b.fma(k, b.float(x.ty, high), b.fma(k, b.float(x.ty, low), log_m));
    log_edges(b, x, value)
}

/// Logarithm to base 2; exact for powers of two.
pub fn log2(b: &Builder, x: Val) -> Val {
    let (k, log_m) = log_parts(b, x);
    log_edges(b, x, b.fma(log_m, b.float(x.ty, LOG2_E), k))
}

/// `log(1 + x)` without cancellation near 0 (Kahan's correction).
pub fn log1p(b: &Builder, x: Val) -> Val {
    let one = b.float(x.ty, 1.0);
    let u = b.add(one, x);
    let ratio = b.div_f(x, b.sub(u, one));
    let corrected = b.mul(log(b, u), ratio);
    let value = b.select(b.cmp_f(FCmp::Oeq, u, one), x, corrected);
    b.select(b.cmp_f(FCmp::Oeq, u, b.float(x.ty, f64::INFINITY)), u, value)
}

/// Hyperbolic tangent.
pub fn tanh(b: &Builder, x: Val) -> Val {
    let a = b.min_f(b.abs_f(x), b.float(x.ty, 22.0));
    let t = expm1(b, b.add(a, a));
    b.copysign(b.div_f(t, b.add(t, b.float(x.ty, 2.0))), x)
}

/// `x^y` as C's pow. Through f64: y log|x| has an absolute error of at most 1e-13, which bounds the relative error.
pub fn pow(b: &Builder, x: Val, y: Val) -> Val {
    if x.ty == Ty::F32 {
        let wide = pow(b, b.resize_f(x, Ty::F64), b.resize_f(y, Ty::F64));
        return b.resize_f(wide, Ty::F32);
    }
    let ty = x.ty;
    let (zero, one) = (b.float(ty, 0.0), b.float(ty, 1.0));
    let magnitude = b.abs_f(x);
    let power = exp(b, b.mul(y, log(b, magnitude)));
    // |x| = 1 or y = 0 gives 1, also against infinities.
    let unit = b.or(b.cmp_f(FCmp::Oeq, magnitude, one), b.cmp_f(FCmp::Oeq, y, zero));
    let unit_value = b.select(b.cmp_f(FCmp::Oeq, y, zero), one, b.select(b.cmp_f(FCmp::Uno, y, y), y, one));
    let power = b.select(unit, unit_value, power);
    // Negative bases: integral y only, odd y keeps the sign (also of -0 and -infinity).
    let integral = b.cmp_f(FCmp::Oeq, b.floor(y), y);
    let half = b.mul(y, b.float(ty, 0.5));
    let odd = b.and(integral, b.cmp_f(FCmp::One, b.floor(half), half));
    let negative_bits = b.cmp(Cmp::Slt, b.bitcast(x, Ty::I64), b.i64(0));
    let signed = b.select(b.and(negative_bits, odd), b.neg(power), power);
    let finite_negative = b.and(less(b, x, 0.0), b.not(b.cmp_f(FCmp::Oeq, x, b.float(ty, f64::NEG_INFINITY))));
    let undefined = b.and(finite_negative, b.not(integral));
    let value = b.select(undefined, b.float(ty, f64::NAN), signed);
    // NaN base: NaN unless y = 0; 1^y is 1 even for NaN y.
    let value = b.select(b.cmp_f(FCmp::Oeq, x, one), one, value);
    let nan_base = b.and(b.cmp_f(FCmp::Uno, x, x), b.cmp_f(FCmp::Une, y, zero));
    b.select(nan_base, x, value)
}
