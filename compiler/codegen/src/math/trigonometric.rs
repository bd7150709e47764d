//! Circular functions and their inverses.

use super::{greater, polynomial, through_f64};
use crate::emit::{Builder, Cmp, FCmp, Ty, Val};
use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

/// pi/2 in three parts; products of the first two with quotients below 2^20 are exact (fdlibm).
const HALF_PI: [f64; 3] = [1.57079632673412561417e+00, 6.07710050630396597660e-11, 2.02226624879595063154e-21];

/// (r, quadrant) with x = quadrant pi/2 + r, |r| <= pi/4. f32 is reduced in f64; the quadrant is an i32 known modulo 4.
fn reduce(b: &Builder, x: Val) -> (Val, Val) {
    let wide = b.resize_f(x, Ty::F64);
    let q = b.round_even(b.mul(wide, b.float(Ty::F64, 1.0 / FRAC_PI_2)));
    let minus_q = b.neg(q);
    let r = HALF_PI.iter().fold(wide, |r, part| b.fma(minus_q, b.float(Ty::F64, *part), r));
    let quadrant = b.resize_u(b.float_to_int_s(q, Ty::I64), Ty::I32);
    (b.resize_f(r, x.ty), quadrant)
}

/// sin r and cos r for |r| <= pi/4 by Taylor's series.
fn on_octant(b: &Builder, r: Val) -> (Val, Val) {
    let terms = if r.ty == Ty::F64 { 9 } else { 5 };
    let factorial = |n: u32| (1..=n).map(f64::from).product::<f64>();
    let sign = |n: u32| if n % 2 == 0 { 1.0 } else { -1.0 };
    let sines: Vec<f64> = (1..terms).map(|n| sign(n) / factorial(2 * n + 1)).collect();
    let cosines: Vec<f64> = (1..=terms).map(|n| sign(n) / factorial(2 * n)).collect();
    let z = b.mul(r, r);
    let sine = b.fma(b.mul(r, z), polynomial(b, z, &sines), r);
    (sine, b.fma(z, polynomial(b, z, &cosines), b.float(r.ty, 1.0)))
}

/// The value of sin at `quadrant` quarter turns plus r.
fn combine(b: &Builder, (sine, cosine): (Val, Val), quadrant: Val) -> Val {
    let bit = |n: i32| b.cmp(Cmp::Ne, b.and(quadrant, b.i32(n)), b.i32(0));
    let value = b.select(bit(1), cosine, sine);
    b.select(bit(2), b.neg(value), value)
}

/// Sine.
pub fn sin(b: &Builder, x: Val) -> Val {
    let (r, quadrant) = reduce(b, x);
    combine(b, on_octant(b, r), quadrant)
}

/// Cosine.
pub fn cos(b: &Builder, x: Val) -> Val {
    let (r, quadrant) = reduce(b, x);
    combine(b, on_octant(b, r), b.add(quadrant, b.i32(1)))
}

/// Tangent.
pub fn tan(b: &Builder, x: Val) -> Val {
    through_f64(b, x, |x| {
        let (r, quadrant) = reduce(b, x);
        let parts = on_octant(b, r);
        b.div_f(combine(b, parts, quadrant), combine(b, parts, b.add(quadrant, b.i32(1))))
    })
}

/// (atan t - t) / t³ on |t| <= tan(pi/8) as a polynomial in t²: Chebyshev fit made with mpmath, largest error 1.2e-18.
const ATAN: [f64; 12] = [
    -0.333333333333333332,
    0.199999999999998042,
    -0.142857142856597488,
    0.111111111051477637,
    -0.0909090875311859388,
    0.0769229636397995096,
    -0.066664246872464995,
    0.0587892671575672577,
    -0.0523043746425168706,
    0.0455151656359031057,
    -0.0345685906686068995,
    0.0162835723564825887,
];

/// atan of t in [0, 1].
fn atan_unit(b: &Builder, t: Val) -> Val {
    let one = b.float(t.ty, 1.0);
    let far = greater(b, t, 0.414_213_562_373_095_05);
    let turned = b.div_f(b.sub(t, one), b.add(t, one));
    let u = b.select(far, turned, t);
    let z = b.mul(u, u);
    let value = b.fma(b.mul(u, z), polynomial(b, z, &ATAN), u);
    b.select(far, b.add(value, b.float(t.ty, FRAC_PI_4)), value)
}

/// Arc tangent.
pub fn atan(b: &Builder, x: Val) -> Val {
    through_f64(b, x, |x| {
        let a = b.abs_f(x);
        let big = greater(b, a, 1.0);
        let value = atan_unit(b, b.select(big, b.div_f(b.float(x.ty, 1.0), a), a));
        b.copysign(b.select(big, b.sub(b.float(x.ty, FRAC_PI_2), value), value), x)
    })
}

/// Angle of the point (x, y), in (-pi, pi].
pub fn atan2(b: &Builder, y: Val, x: Val) -> Val {
    if x.ty == Ty::F32 {
        let wide = atan2(b, b.resize_f(y, Ty::F64), b.resize_f(x, Ty::F64));
        return b.resize_f(wide, Ty::F32);
    }
    let ty = x.ty;
    let (ax, ay) = (b.abs_f(x), b.abs_f(y));
    let steep = b.cmp_f(FCmp::Ogt, ay, ax);
    let (small, large) = (b.select(steep, ax, ay), b.select(steep, ay, ax));
    let ratio = b.div_f(small, large);
    // 0 / 0 counts as 0 and infinity / infinity as 1.
    let ratio = b.select(b.cmp_f(FCmp::Oeq, large, b.float(ty, 0.0)), b.float(ty, 0.0), ratio);
    let ratio = b.select(b.cmp_f(FCmp::Oeq, small, b.float(ty, f64::INFINITY)), b.float(ty, 1.0), ratio);
    let value = atan_unit(b, ratio);
    let value = b.select(steep, b.sub(b.float(ty, FRAC_PI_2), value), value);
    let left = b.cmp(Cmp::Slt, b.bitcast(x, Ty::I64), b.i64(0));
    let value = b.select(left, b.sub(b.float(ty, PI), value), value);
    let nan = b.cmp_f(FCmp::Uno, x, y);
    b.copysign(b.select(nan, b.float(ty, f64::NAN), value), y)
}

/// Arc sine; NaN outside [-1, 1].
pub fn asin(b: &Builder, x: Val) -> Val {
    through_f64(b, x, |x| {
        let one = b.float(x.ty, 1.0);
        atan(b, b.div_f(x, b.sqrt(b.mul(b.sub(one, x), b.add(one, x)))))
    })
}

/// Arc cosine; NaN outside [-1, 1].
pub fn acos(b: &Builder, x: Val) -> Val {
    through_f64(b, x, |x| {
        let one = b.float(x.ty, 1.0);
        let half = atan(b, b.sqrt(b.div_f(b.sub(one, x), b.add(one, x))));
        b.add(half, half)
    })
}
