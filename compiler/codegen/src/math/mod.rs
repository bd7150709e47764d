//! Elementary functions in f32 and f64, expanded in place: NVPTX has no library of its own.
//!
//! Every function takes and returns values of the same type, [`Ty::F32`] or [`Ty::F64`], and handles zeros, infinities, subnormals
//! and NaN as C does. f64 results are within a few units in the last place (sin, cos and tan for arguments up to about 1e6,
//! where the two-part reduction still holds); f32 results within 4. Rarely used f32 functions go through f64.

mod exponential;
mod trigonometric;

pub use exponential::{exp, exp2, expm1, log, log1p, log2, pow, tanh};
pub use trigonometric::{acos, asin, atan, atan2, cos, sin, tan};

use crate::emit::{Builder, Cmp, FCmp, Ty, Val};

/// Horner's rule: `c[0] + c[1] x + …` with fused steps.
fn polynomial(b: &Builder, x: Val, c: &[f64]) -> Val {
    let (last, rest) = c.split_last().expect("a polynomial has coefficients");
    rest.iter().rev().fold(b.float(x.ty, *last), |acc, c| b.fma(acc, x, b.float(x.ty, *c)))
}

/// Runs an f64 function on an f32 value.
fn through_f64(b: &Builder, x: Val, f: impl FnOnce(Val) -> Val) -> Val {
    if x.ty == Ty::F64 { f(x) } else { b.resize_f(f(b.resize_f(x, Ty::F64)), x.ty) }
}

/// (exponent bias, mantissa bits, integer type) of a float type.
fn layout(ty: Ty) -> (i64, i64, Ty) {
    if ty == Ty::F64 { (1023, 52, Ty::I64) } else { (127, 23, Ty::I32) }
}

/// `2^k` for an integer `k` (of the float's width) within the normal range.
fn power_of_two(b: &Builder, k: Val, ty: Ty) -> Val {
    let (bias, mantissa, int) = layout(ty);
    b.bitcast(b.shl(b.add(k, b.int(int, bias)), b.int(int, mantissa)), ty)
}

/// `x * 2^k` for |k| up to twice the exponent range, rounding once where the result is subnormal.
fn scale(b: &Builder, x: Val, k: Val) -> Val {
    let half = b.shr_s(k, b.int(k.ty, 1));
    b.mul(b.mul(x, power_of_two(b, half, x.ty)), power_of_two(b, b.sub(k, half), x.ty))
}

fn less(b: &Builder, x: Val, than: f64) -> Val {
    b.cmp_f(FCmp::Olt, x, b.float(x.ty, than))
}

fn greater(b: &Builder, x: Val, than: f64) -> Val {
    b.cmp_f(FCmp::Ogt, x, b.float(x.ty, than))
}

/// Hyperbolic sine.
pub fn sinh(b: &Builder, x: Val) -> Val {
    through_f64(b, x, |x| {
        let a = b.abs_f(x);
        let t = expm1(b, a);
        let small = b.mul(b.float(a.ty, 0.5), b.add(t, b.div_f(t, b.add(t, b.float(a.ty, 1.0)))));
        let h = exp(b, b.mul(a, b.float(a.ty, 0.5)));
        let large = b.mul(b.mul(b.float(a.ty, 0.5), h), h);
        b.copysign(b.select(greater(b, a, 20.0), large, small), x)
    })
}

/// Hyperbolic cosine.
pub fn cosh(b: &Builder, x: Val) -> Val {
    through_f64(b, x, |x| {
        let h = exp(b, b.mul(b.abs_f(x), b.float(x.ty, 0.5)));
        let half = b.float(x.ty, 0.5);
        let e = b.mul(b.mul(half, h), h);
        // e is half of exp|x|; the other half is 1 / (4 e), which vanishes where h overflows.
        b.add(e, b.div_f(b.float(x.ty, 0.25), e))
    })
}

/// Inverse hyperbolic sine.
pub fn asinh(b: &Builder, x: Val) -> Val {
    through_f64(b, x, |x| {
        let a = b.abs_f(x);
        let one = b.float(a.ty, 1.0);
        let square = b.mul(a, a);
        let small = log1p(b, b.add(a, b.div_f(square, b.add(one, b.sqrt(b.add(square, one))))));
        let large = b.add(log(b, a), b.float(a.ty, std::f64::consts::LN_2));
        b.copysign(b.select(greater(b, a, 1e8), large, small), x)
    })
}

/// Inverse hyperbolic cosine; NaN below 1.
pub fn acosh(b: &Builder, x: Val) -> Val {
    through_f64(b, x, |x| {
        let t = b.sub(x, b.float(x.ty, 1.0));
        let root = b.sqrt(b.fma(t, t, b.add(t, t)));
        let small = log1p(b, b.add(t, root));
        let large = b.add(log(b, x), b.float(x.ty, std::f64::consts::LN_2));
        let value = b.select(greater(b, x, 1e8), large, small);
        b.select(less(b, x, 1.0), b.float(x.ty, f64::NAN), value)
    })
}

/// Inverse hyperbolic tangent; NaN outside [-1, 1].
pub fn atanh(b: &Builder, x: Val) -> Val {
    through_f64(b, x, |x| {
        let a = b.abs_f(x);
        let ratio = b.div_f(b.add(a, a), b.sub(b.float(a.ty, 1.0), a));
        b.copysign(b.mul(b.float(a.ty, 0.5), log1p(b, ratio)), x)
    })
}

/// erfcx(x) = exp(x²) erfc(x) on [0.95, 6.2] as a polynomial in (x - 2) / (x + 2): Chebyshev fits made with mpmath
/// (`chebyfit`, 40 digits), largest errors 5e-19 and 4e-10.
const ERFCX_F64: [f64; 18] = [
    0.255395676310505744,
    -0.427185847413958395,
    0.241658194242466564,
    -0.078978581015732479,
    0.0037328924043145802,
    0.00699746173923491358,
    -0.000847143250277307953,
    -0.000981977028178469718,
    0.0000435555875384672254,
    0.000174361204979170903,
    0.0000275256446144771337,
    -0.0000275803812771882787,
    -0.0000139688616682899615,
    1.39601074544806996e-6,
    3.78942882159081527e-6,
    1.16929888372762715e-6,
    -5.25267600571859287e-7,
    -4.21372943268916135e-7,
];
const ERFCX_F32: [f64; 9] = [
    0.255395676671994274,
    -0.427185846970275794,
    0.241658113768845367,
    -0.0789785792122692808,
    0.00373573754521581753,
    0.00699573316487551708,
    -0.000880226907403399161,
    -0.000947249682064051394,
    0.000169582732821633069,
];

/// The error function.
pub fn erf(b: &Builder, x: Val) -> Val {
    // Maclaurin series below 1: erf x = 2/sqrt(pi) x sum (-x²)^n / (n! (2n + 1)).
    let terms = if x.ty == Ty::F64 { 20 } else { 11 };
    let mut factorial = 1.0;
    let series: Vec<f64> = (0..terms)
        .map(|n| {
            factorial *= if n == 0 { 1.0 } else { f64::from(n) };
            let sign = if n % 2 == 0 { 1.0 } else { -1.0 };
            sign * std::f64::consts::FRAC_2_SQRT_PI / (factorial * f64::from(2 * n + 1))
        })
        .collect();
    let square = b.mul(x, x);
    let small = b.mul(x, polynomial(b, square, &series));

    // From 1 on: 1 - exp(-x²) erfcx(x); above 6.2 that is 1 in f64. `min_num` keeps NaN out, `small` has it already.
    let a = b.min_num(b.abs_f(x), b.float(x.ty, 6.2));
    let two = b.float(x.ty, 2.0);
    let t = b.div_f(b.sub(a, two), b.add(a, two));
    let fit: &[f64] = if x.ty == Ty::F64 { &ERFCX_F64 } else { &ERFCX_F32 };
    let tail = b.mul(exp(b, b.neg(b.mul(a, a))), polynomial(b, t, fit));
    let large = b.copysign(b.sub(b.float(x.ty, 1.0), tail), x);
    let use_large = b.cmp_f(FCmp::Oge, b.abs_f(x), b.float(x.ty, 1.0));
    b.select(use_large, large, small)
}

/// `fmod`: the exact remainder with the sign of `x`; NaN for infinite `x` or zero `y`.
pub fn fmod(b: &Builder, x: Val, y: Val) -> Val {
    if x.ty == Ty::F32 {
        // In f64 the quotient cannot overflow.
        let (wide_x, wide_y) = (b.resize_f(x, Ty::F64), b.resize_f(y, Ty::F64));
        return b.resize_f(fmod(b, wide_x, wide_y), Ty::F32);
    }
    let (a, d) = (b.abs_f(x), b.abs_f(y));
    // Each round takes off a multiple of d exactly: with q the truncated quotient, a - q d needs at most 53 bits, and when the
    // rounded quotient was too large by one unit u in its last place the sum with u d is exact too. Takes 52 bits a round.
    let divisible = b.and(greater(b, d, 0.0), less(b, a, f64::INFINITY));
    let rest = b.while_loop(
        &[a],
        |v| b.and(divisible, b.cmp_f(FCmp::Oge, v[0], d)),
        |v| {
            let q = b.min_f(b.trunc_to_int(b.div_f(v[0], d)), b.float(x.ty, f64::MAX));
            let exponent = b.and(b.bitcast(q, Ty::I64), b.i64(0x7ff0_0000_0000_0000));
            let unit =
                b.max_num(b.mul(b.bitcast(exponent, Ty::F64), b.float(x.ty, 2f64.powi(-52))), b.float(x.ty, 1.0));
            let r = b.fma(b.neg(q), d, v[0]);
            let fixed = b.select(less(b, r, 0.0), b.fma(unit, d, r), r);
            // Never grows, so the loop ends whatever the arithmetic did.
            vec![b.select(b.cmp_f(FCmp::Olt, fixed, v[0]), fixed, b.float(x.ty, f64::NAN))]
        },
    )[0];
    let valid = b.and(divisible, b.cmp_f(FCmp::Ord, x, y));
    b.select(valid, b.copysign(rest, x), b.float(x.ty, f64::NAN))
}

/// `base^exponent` of integers, wrapping; a negative exponent gives the truncated quotient (0, or ±1 for base ±1).
pub fn int_pow(b: &Builder, base: Val, exponent: Val, signed: bool) -> Val {
    let ty = base.ty;
    let (zero, one) = (b.int(ty, 0), b.int(ty, 1));
    let power = b.while_loop(
        &[one, base, exponent],
        |v| b.cmp(if signed { Cmp::Sgt } else { Cmp::Ne }, v[2], zero),
        |v| {
            let odd = b.cmp(Cmp::Ne, b.and(v[2], one), zero);
            vec![b.select(odd, b.mul(v[0], v[1]), v[0]), b.mul(v[1], v[1]), b.shr_u(v[2], one)]
        },
    )[0];
    if !signed {
        return power;
    }
    let minus_one = b.int(ty, -1);
    let odd = b.cmp(Cmp::Ne, b.and(exponent, one), zero);
    let of_minus_one = b.select(odd, minus_one, one);
    let is = |v| b.cmp(Cmp::Eq, base, v);
    let reciprocal = b.select(is(one), one, b.select(is(minus_one), of_minus_one, zero));
    b.select(b.cmp(Cmp::Slt, exponent, zero), reciprocal, power)
}
