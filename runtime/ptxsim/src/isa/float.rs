//! Floating point to nearest with host arithmetic (PTX ISA 9.7.3, 9.7.4); [`super::general`] has the other combinations.

use super::*;
use crate::machine::arith::*;

fn f(a: u32) -> f32 {
    f32::from_bits(a)
}
fn d(a: u64) -> f64 {
    f64::from_bits(a)
}

/// The hot product: with the processor's own instruction where it has one.
fn fma32(a: &L32, b: &L32, c: &L32, o: &mut L32) {
    #[inline(always)]
    fn lanes(a: &L32, b: &L32, c: &L32, o: &mut L32) {
        for i in 0..32 {
            o[i] = nan32(f(a[i]).mul_add(f(b[i]), f(c[i])));
        }
    }
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn wide(a: &L32, b: &L32, c: &L32, o: &mut L32) {
            lanes(a, b, c, o);
        }
        if std::arch::is_x86_feature_detected!("fma") && std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has both features.
            return unsafe { wide(a, b, c, o) };
        }
    }
    lanes(a, b, c, o);
}

fn fma64(a: &L64, b: &L64, c: &L64, o: &mut L64) {
    #[inline(always)]
    fn lanes(a: &L64, b: &L64, c: &L64, o: &mut L64) {
        for i in 0..32 {
            o[i] = d(a[i]).mul_add(d(b[i]), d(c[i])).to_bits();
        }
    }
    fn nans(a: &L64, b: &L64, c: &L64, o: &mut L64) {
        for i in 0..32 {
            o[i] = nan64(d(o[i]), &[b[i], c[i], a[i]]);
        }
    }
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn wide(a: &L64, b: &L64, c: &L64, o: &mut L64) {
            lanes(a, b, c, o);
        }
        if std::arch::is_x86_feature_detected!("fma") && std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has both features.
            unsafe { wide(a, b, c, o) };
            return nans(a, b, c, o);
        }
    }
    lanes(a, b, c, o);
    nans(a, b, c, o);
}

pub(super) static ROWS: &[Row] = &[
    r2!("add{,.rn}.f32", |a, b| nan32(f(a) + f(b))),
    r2!("sub{,.rn}.f32", |a, b| nan32(f(a) - f(b))),
    r2!("mul{,.rn}.f32", |a, b| nan32(f(a) * f(b))),
    Row { pattern: "{fma,mad}.rn.f32", exec: Exec::R3(fma32) },
    r2!("add{,.rn}.ftz.f32", |a, b| ftz(nan32(f(ftz(a)) + f(ftz(b))))),
    r2!("sub{,.rn}.ftz.f32", |a, b| ftz(nan32(f(ftz(a)) - f(ftz(b))))),
    r2!("mul{,.rn}.ftz.f32", |a, b| ftz(nan32(f(ftz(a)) * f(ftz(b))))),
    r3!("{fma,mad}.rn.ftz.f32", |a, b, c| ftz(nan32(f(ftz(a)).mul_add(f(ftz(b)), f(ftz(c)))))),
    r2!("add{,.rn}.sat.f32", |a, b| sat32(f(a) + f(b))),
    r2!("mul{,.rn}.sat.f32", |a, b| sat32(f(a) * f(b))),
    r3!("fma.rn.sat.f32", |a, b, c| sat32(f(a).mul_add(f(b), f(c)))),
    d2!("add{,.rn}.f64", |a, b| nan64(d(a) + d(b), &[b, a])),
    d2!("sub{,.rn}.f64", |a, b| nan64(d(a) - d(b), &[b, a])),
    d2!("mul{,.rn}.f64", |a, b| nan64(d(a) * d(b), &[b, a])),
    Row { pattern: "{fma,mad}.rn.f64", exec: Exec::D3(fma64) },
    r2!("div.{rn,full,approx}.f32", |a, b| nan32(f(a) / f(b))),
    r2!("div.{rn,full,approx}.ftz.f32", |a, b| ftz(nan32(f(ftz(a)) / f(ftz(b))))),
    d2!("div.rn.f64", |a, b| nan64(d(a) / d(b), &[a, b])),
    r1!("rcp.{rn,approx}.f32", |a| nan32(1.0 / f(a))),
    r1!("rcp.{rn,approx}.ftz.f32", |a| ftz(nan32(1.0 / f(ftz(a))))),
    d1!("rcp.rn.f64", |a| nan64(1.0 / d(a), &[a])),
    r1!("sqrt.{rn,approx}.f32", |a| nan32(f(a).sqrt())),
    r1!("sqrt.{rn,approx}.ftz.f32", |a| ftz(nan32(f(ftz(a)).sqrt()))),
    d1!("sqrt.rn.f64", |a| nan64(d(a).sqrt(), &[a])),
    r1!("rsqrt.approx.f32", |a| nan32((1.0 / f64::from(f(a)).sqrt()) as f32)),
    r1!("rsqrt.approx.ftz.f32", |a| ftz(nan32((1.0 / f64::from(f(ftz(a))).sqrt()) as f32))),
    d1!("rsqrt.approx.f64", |a| nan64(1.0 / d(a).sqrt(), &[a])),
    r1!("ex2.approx.f32", |a| nan32(f64::from(f(a)).exp2() as f32)),
    r1!("ex2.approx.ftz.f32", |a| ftz(nan32(f64::from(f(ftz(a))).exp2() as f32))),
    r1!("lg2.approx.f32", |a| nan32(f64::from(f(a)).log2() as f32)),
    r1!("lg2.approx.ftz.f32", |a| nan32(f64::from(f(ftz(a))).log2() as f32)),
    r1!("sin.approx{,.ftz}.f32", |a| nan32(f64::from(f(a)).sin() as f32)),
    r1!("cos.approx{,.ftz}.f32", |a| nan32(f64::from(f(a)).cos() as f32)),
    r1!("tanh.approx.f32", |a| nan32(f64::from(f(a)).tanh() as f32)),
    r1!("abs.f32", |a| nan32(f(a).abs())),
    r1!("abs.ftz.f32", |a| nan32(f(ftz(a)).abs())),
    r1!("neg.f32", |a| nan32(-f(a))),
    r1!("neg.ftz.f32", |a| nan32(-f(ftz(a)))),
    d1!("abs.f64", |a| nan64(d(a).abs(), &[a])),
    d1!("neg.f64", |a| nan64(-d(a), &[a])),
    // The first operand gives the sign.
    r2!("copysign.f32", |a, b| a & 0x8000_0000 | b & 0x7fff_ffff),
    d2!("copysign.f64", |a, b| a & 1 << 63 | b & !(1 << 63)),
    r2!("min.f32", |a, b| min32(a, b)),
    r2!("max.f32", |a, b| max32(a, b)),
    r2!("min.ftz.f32", |a, b| min32(ftz(a), ftz(b))),
    r2!("max.ftz.f32", |a, b| max32(ftz(a), ftz(b))),
    r2!("min.NaN.f32", |a, b| if f(a).is_nan() || f(b).is_nan() { 0x7fff_ffff } else { min32(a, b) }),
    r2!("max.NaN.f32", |a, b| if f(a).is_nan() || f(b).is_nan() { 0x7fff_ffff } else { max32(a, b) }),
    d2!("min.f64", |a, b| min64(a, b)),
    d2!("max.f64", |a, b| max64(a, b)),
    r2!("add{,.rn}.f16", |a, b| to_f16(f16(a) + f16(b))),
    r2!("sub{,.rn}.f16", |a, b| to_f16(f16(a) - f16(b))),
    r2!("mul{,.rn}.f16", |a, b| to_f16(f16(a) * f16(b))),
    r3!("fma.rn.f16", |a, b, c| to_f16_64(f64::from(f16(a)) * f64::from(f16(b)) + f64::from(f16(c)))),
    r2!("add{,.rn}.bf16", |a, b| to_bf16(bf16(a) + bf16(b))),
    r2!("sub{,.rn}.bf16", |a, b| to_bf16(bf16(a) - bf16(b))),
    r2!("mul{,.rn}.bf16", |a, b| to_bf16(bf16(a) * bf16(b))),
    r3!("fma.rn.bf16", |a, b, c| to_bf16_64(f64::from(bf16(a)) * f64::from(bf16(b)) + f64::from(bf16(c)))),
    r2!("add{,.rn}.f16x2", |a, b| two(a, b, |x, y| to_f16(f16(x) + f16(y)))),
    r2!("sub{,.rn}.f16x2", |a, b| two(a, b, |x, y| to_f16(f16(x) - f16(y)))),
    r2!("mul{,.rn}.f16x2", |a, b| two(a, b, |x, y| to_f16(f16(x) * f16(y)))),
    r2!("add{,.rn}.bf16x2", |a, b| two(a, b, |x, y| to_bf16(bf16(x) + bf16(y)))),
    r2!("sub{,.rn}.bf16x2", |a, b| two(a, b, |x, y| to_bf16(bf16(x) - bf16(y)))),
    r2!("mul{,.rn}.bf16x2", |a, b| two(a, b, |x, y| to_bf16(bf16(x) * bf16(y)))),
    r3!("fma.rn.f16x2", |a, b, c| {
        let one = |s: u32| to_f16_64(f64::from(f16(a >> s)) * f64::from(f16(b >> s)) + f64::from(f16(c >> s)));
        one(0) | one(16) << 16
    }),
    r3!("fma.rn.bf16x2", |a, b, c| {
        let one = |s: u32| to_bf16_64(f64::from(bf16(a >> s)) * f64::from(bf16(b >> s)) + f64::from(bf16(c >> s)));
        one(0) | one(16) << 16
    }),
    r2!("min.f16", |a, b| to_f16(f(min32(f16(a).to_bits(), f16(b).to_bits())))),
    r2!("max.f16", |a, b| to_f16(f(max32(f16(a).to_bits(), f16(b).to_bits())))),
    r2!("min.bf16", |a, b| to_bf16(f(min32(bf16(a).to_bits(), bf16(b).to_bits())))),
    r2!("max.bf16", |a, b| to_bf16(f(max32(bf16(a).to_bits(), bf16(b).to_bits())))),
    r2!("min.NaN.f16", |a, b| {
        if f16(a).is_nan() || f16(b).is_nan() { 0x7fff } else { to_f16(f(min32(f16(a).to_bits(), f16(b).to_bits()))) }
    }),
    r2!("max.NaN.f16", |a, b| {
        if f16(a).is_nan() || f16(b).is_nan() { 0x7fff } else { to_f16(f(max32(f16(a).to_bits(), f16(b).to_bits()))) }
    }),
    r2!("min.NaN.bf16", |a, b| {
        if bf16(a).is_nan() || bf16(b).is_nan() {
            0x7fff
        } else {
            to_bf16(f(min32(bf16(a).to_bits(), bf16(b).to_bits())))
        }
    }),
    r2!("max.NaN.bf16", |a, b| {
        if bf16(a).is_nan() || bf16(b).is_nan() {
            0x7fff
        } else {
            to_bf16(f(max32(bf16(a).to_bits(), bf16(b).to_bits())))
        }
    }),
];
