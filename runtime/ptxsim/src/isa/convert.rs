//! `cvt` (PTX ISA 9.7.9.21) and `cvta`. The hot conversions have rows of their own; the rest is decoded by type in
//! `machine::convert`.

use super::*;
use crate::machine::arith::*;

fn f(a: u32) -> f32 {
    f32::from_bits(a)
}

pub(super) static ROWS: &[Row] = &[
    dr!("cvt.{s64,u64}.s32", |a| a as i32 as i64 as u64),
    dr!("cvt.{s64,u64}.u32", |a| u64::from(a)),
    rd!("cvt.{s32,u32}.{s64,u64}", |a| a as u32),
    r1!("cvt.f32.f16", |a| nan32(f16(a))),
    r1!("cvt.f32.bf16", |a| a << 16),
    r1!("cvt.rn.f16.f32", |a| to_f16(f(a))),
    r1!("cvt.rn.bf16.f32", |a| to_bf16(f(a))),
    // The first operand goes to the upper half.
    r2!("cvt.rn.f16x2.f32", |a, b| to_f16(f(a)) << 16 | to_f16(f(b))),
    r2!("cvt.rn.bf16x2.f32", |a, b| to_bf16(f(a)) << 16 | to_bf16(f(b))),
    r2!("cvt.rn.satfinite.e4m3x2.f32", |a, b| to_e4m3(f(a)) << 8 | to_e4m3(f(b))),
    r2!("cvt.rn.satfinite.e5m2x2.f32", |a, b| to_e5m2(f(a)) << 8 | to_e5m2(f(b))),
    r1!("cvt.rn.f16x2.e4m3x2", |a| to_f16(e4m3(a >> 8)) << 16 | to_f16(e4m3(a))),
    r1!("cvt.rn.f16x2.e5m2x2", |a| to_f16(e5m2(a >> 8)) << 16 | to_f16(e5m2(a))),
    r1!("cvt.rzi.s32.f32", |a| if f(a).is_nan() { 0 } else { f(a) as i32 as u32 }),
    r1!("cvt.rzi.u32.f32", |a| f(a) as u32),
    r1!("cvt.rni.s32.f32", |a| if f(a).is_nan() { 0 } else { f(a).round_ties_even() as i32 as u32 }),
    r1!("cvt.rn.f32.s32", |a| (a as i32 as f32).to_bits()),
    r1!("cvt.rn.f32.u32", |a| (a as f32).to_bits()),
    r1!("cvt.rni.f32.f32", |a| nan32(f(a).round_ties_even())),
    r1!("cvt.rmi.f32.f32", |a| nan32(f(a).floor())),
    r1!("cvt.rpi.f32.f32", |a| nan32(f(a).ceil())),
    r1!("cvt.rzi.f32.f32", |a| nan32(f(a).trunc())),
    r1!("cvt.rna.tf32.f32", |a| to_tf32_rna(a)),
];
