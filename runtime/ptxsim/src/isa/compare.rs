//! `setp` (PTX ISA 9.7.6) and `testp` (9.7.3.1): comparisons as lane masks. Unordered forms (`ltu`) are true on NaN.

// The unordered comparisons are negations by their definition.
#![allow(clippy::neg_cmp_op_on_partial_ord)]

use super::*;
use crate::machine::arith::{bf16, f16};

fn f(a: u32) -> f32 {
    f32::from_bits(a)
}
fn d(a: u64) -> f64 {
    f64::from_bits(a)
}

pub(super) static ROWS: &[Row] = &[
    prr!("setp.eq.{b32,s32,u32}", |a, b| a == b),
    prr!("setp.ne.{b32,s32,u32}", |a, b| a != b),
    prr!("setp.lt.s32", |a, b| (a as i32) < b as i32),
    prr!("setp.le.s32", |a, b| a as i32 <= b as i32),
    prr!("setp.gt.s32", |a, b| a as i32 > b as i32),
    prr!("setp.ge.s32", |a, b| a as i32 >= b as i32),
    prr!("setp.{lt,lo}.u32", |a, b| a < b),
    prr!("setp.{le,ls}.u32", |a, b| a <= b),
    prr!("setp.{gt,hi}.u32", |a, b| a > b),
    prr!("setp.{ge,hs}.u32", |a, b| a >= b),
    prr!("setp.eq.{b16,s16,u16}", |a, b| a as u16 == b as u16),
    prr!("setp.ne.{b16,s16,u16}", |a, b| a as u16 != b as u16),
    prr!("setp.lt.s16", |a, b| (a as i16) < b as i16),
    prr!("setp.le.s16", |a, b| a as i16 <= b as i16),
    prr!("setp.gt.s16", |a, b| a as i16 > b as i16),
    prr!("setp.ge.s16", |a, b| a as i16 >= b as i16),
    prr!("setp.{lt,lo}.u16", |a, b| (a as u16) < b as u16),
    prr!("setp.{le,ls}.u16", |a, b| a as u16 <= b as u16),
    prr!("setp.{gt,hi}.u16", |a, b| a as u16 > b as u16),
    prr!("setp.{ge,hs}.u16", |a, b| a as u16 >= b as u16),
    pdd!("setp.eq.{b64,s64,u64}", |a, b| a == b),
    pdd!("setp.ne.{b64,s64,u64}", |a, b| a != b),
    pdd!("setp.lt.s64", |a, b| (a as i64) < b as i64),
    pdd!("setp.le.s64", |a, b| a as i64 <= b as i64),
    pdd!("setp.gt.s64", |a, b| a as i64 > b as i64),
    pdd!("setp.ge.s64", |a, b| a as i64 >= b as i64),
    pdd!("setp.{lt,lo}.u64", |a, b| a < b),
    pdd!("setp.{le,ls}.u64", |a, b| a <= b),
    pdd!("setp.{gt,hi}.u64", |a, b| a > b),
    pdd!("setp.{ge,hs}.u64", |a, b| a >= b),
    prr!("setp.eq.f32", |a, b| f(a) == f(b)),
    prr!("setp.ne.f32", |a, b| f(a) < f(b) || f(a) > f(b)),
    prr!("setp.lt.f32", |a, b| f(a) < f(b)),
    prr!("setp.le.f32", |a, b| f(a) <= f(b)),
    prr!("setp.gt.f32", |a, b| f(a) > f(b)),
    prr!("setp.ge.f32", |a, b| f(a) >= f(b)),
    prr!("setp.equ.f32", |a, b| !(f(a) < f(b) || f(a) > f(b))),
    prr!("setp.neu.f32", |a, b| f(a) != f(b)),
    prr!("setp.ltu.f32", |a, b| !(f(a) >= f(b))),
    prr!("setp.leu.f32", |a, b| !(f(a) > f(b))),
    prr!("setp.gtu.f32", |a, b| !(f(a) <= f(b))),
    prr!("setp.geu.f32", |a, b| !(f(a) < f(b))),
    prr!("setp.num.f32", |a, b| !f(a).is_nan() && !f(b).is_nan()),
    prr!("setp.nan.f32", |a, b| f(a).is_nan() || f(b).is_nan()),
    pdd!("setp.eq.f64", |a, b| d(a) == d(b)),
    pdd!("setp.ne.f64", |a, b| d(a) < d(b) || d(a) > d(b)),
    pdd!("setp.lt.f64", |a, b| d(a) < d(b)),
    pdd!("setp.le.f64", |a, b| d(a) <= d(b)),
    pdd!("setp.gt.f64", |a, b| d(a) > d(b)),
    pdd!("setp.ge.f64", |a, b| d(a) >= d(b)),
    pdd!("setp.equ.f64", |a, b| !(d(a) < d(b) || d(a) > d(b))),
    pdd!("setp.neu.f64", |a, b| d(a) != d(b)),
    pdd!("setp.ltu.f64", |a, b| !(d(a) >= d(b))),
    pdd!("setp.leu.f64", |a, b| !(d(a) > d(b))),
    pdd!("setp.gtu.f64", |a, b| !(d(a) <= d(b))),
    pdd!("setp.geu.f64", |a, b| !(d(a) < d(b))),
    pdd!("setp.num.f64", |a, b| !d(a).is_nan() && !d(b).is_nan()),
    pdd!("setp.nan.f64", |a, b| d(a).is_nan() || d(b).is_nan()),
    prr!("setp.eq.f16", |a, b| {
        let (x, y) = (f16(a), f16(b));
        x == y
    }),
    prr!("setp.ne.f16", |a, b| {
        let (x, y) = (f16(a), f16(b));
        x < y || x > y
    }),
    prr!("setp.lt.f16", |a, b| {
        let (x, y) = (f16(a), f16(b));
        x < y
    }),
    prr!("setp.le.f16", |a, b| {
        let (x, y) = (f16(a), f16(b));
        x <= y
    }),
    prr!("setp.gt.f16", |a, b| {
        let (x, y) = (f16(a), f16(b));
        x > y
    }),
    prr!("setp.ge.f16", |a, b| {
        let (x, y) = (f16(a), f16(b));
        x >= y
    }),
    prr!("setp.equ.f16", |a, b| {
        let (x, y) = (f16(a), f16(b));
        !(x < y || x > y)
    }),
    prr!("setp.neu.f16", |a, b| {
        let (x, y) = (f16(a), f16(b));
        x != y
    }),
    prr!("setp.ltu.f16", |a, b| {
        let (x, y) = (f16(a), f16(b));
        !(x >= y)
    }),
    prr!("setp.leu.f16", |a, b| {
        let (x, y) = (f16(a), f16(b));
        !(x > y)
    }),
    prr!("setp.gtu.f16", |a, b| {
        let (x, y) = (f16(a), f16(b));
        !(x <= y)
    }),
    prr!("setp.geu.f16", |a, b| {
        let (x, y) = (f16(a), f16(b));
        !(x < y)
    }),
    prr!("setp.num.f16", |a, b| {
        let (x, y) = (f16(a), f16(b));
        !x.is_nan() && !y.is_nan()
    }),
    prr!("setp.nan.f16", |a, b| {
        let (x, y) = (f16(a), f16(b));
        x.is_nan() || y.is_nan()
    }),
    prr!("setp.eq.bf16", |a, b| {
        let (x, y) = (bf16(a), bf16(b));
        x == y
    }),
    prr!("setp.ne.bf16", |a, b| {
        let (x, y) = (bf16(a), bf16(b));
        x < y || x > y
    }),
    prr!("setp.lt.bf16", |a, b| {
        let (x, y) = (bf16(a), bf16(b));
        x < y
    }),
    prr!("setp.le.bf16", |a, b| {
        let (x, y) = (bf16(a), bf16(b));
        x <= y
    }),
    prr!("setp.gt.bf16", |a, b| {
        let (x, y) = (bf16(a), bf16(b));
        x > y
    }),
    prr!("setp.ge.bf16", |a, b| {
        let (x, y) = (bf16(a), bf16(b));
        x >= y
    }),
    prr!("setp.equ.bf16", |a, b| {
        let (x, y) = (bf16(a), bf16(b));
        !(x < y || x > y)
    }),
    prr!("setp.neu.bf16", |a, b| {
        let (x, y) = (bf16(a), bf16(b));
        x != y
    }),
    prr!("setp.ltu.bf16", |a, b| {
        let (x, y) = (bf16(a), bf16(b));
        !(x >= y)
    }),
    prr!("setp.leu.bf16", |a, b| {
        let (x, y) = (bf16(a), bf16(b));
        !(x > y)
    }),
    prr!("setp.gtu.bf16", |a, b| {
        let (x, y) = (bf16(a), bf16(b));
        !(x <= y)
    }),
    prr!("setp.geu.bf16", |a, b| {
        let (x, y) = (bf16(a), bf16(b));
        !(x < y)
    }),
    prr!("setp.num.bf16", |a, b| {
        let (x, y) = (bf16(a), bf16(b));
        !x.is_nan() && !y.is_nan()
    }),
    prr!("setp.nan.bf16", |a, b| {
        let (x, y) = (bf16(a), bf16(b));
        x.is_nan() || y.is_nan()
    }),
    // `testp` looks at one operand, which stands in both places. Zero counts as normal.
    prr!("testp.finite.f32", |a, _b| f(a).is_finite()),
    prr!("testp.infinite.f32", |a, _b| f(a).is_infinite()),
    prr!("testp.number.f32", |a, _b| !f(a).is_nan()),
    prr!("testp.notanumber.f32", |a, _b| f(a).is_nan()),
    prr!("testp.normal.f32", |a, _b| f(a).is_normal() || f(a) == 0.0),
    prr!("testp.subnormal.f32", |a, _b| f(a).is_subnormal()),
    pdd!("testp.finite.f64", |a, _b| d(a).is_finite()),
    pdd!("testp.infinite.f64", |a, _b| d(a).is_infinite()),
    pdd!("testp.number.f64", |a, _b| !d(a).is_nan()),
    pdd!("testp.notanumber.f64", |a, _b| d(a).is_nan()),
    pdd!("testp.normal.f64", |a, _b| d(a).is_normal() || d(a) == 0.0),
    pdd!("testp.subnormal.f64", |a, _b| d(a).is_subnormal()),
];
