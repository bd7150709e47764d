//! Bit fields, byte permutations and the narrow products of older machines (PTX ISA 9.7.1).

use super::integer::{bfi, dp2a, u16_};
use super::*;

/// Bit `n` and up become copies of bit `n - 1`, or zero.
fn szext(a: u32, n: u32, signed: bool) -> u32 {
    match n {
        0 => 0,
        32.. => a,
        _ if signed => ((a << (32 - n)) as i32 >> (32 - n)) as u32,
        _ => a & ((1 << n) - 1),
    }
}

/// The position of a set bit of `mask`: the |offset|-th from `base`, upwards or downwards.
fn fns(mask: u32, base: u32, offset: i32) -> u32 {
    let positions: Vec<u32> = match offset {
        _ if base > 31 => vec![],
        0 => vec![base],
        1.. => (base..32).collect(),
        _ => (0..=base).rev().collect(),
    };
    let nth = offset.unsigned_abs().saturating_sub(1) as usize;
    positions.into_iter().filter(|p| mask >> p & 1 == 1).nth(nth).unwrap_or(u32::MAX)
}

/// Bytes of b:a, byte `i` of the result at `place(i)`.
fn pick(a: u32, b: u32, place: impl Fn(u32) -> u32) -> u32 {
    let bytes = u64::from(b) << 32 | u64::from(a);
    (0..4).fold(0, |out, i| out | ((bytes >> (8 * place(i)) & 0xff) as u32) << (8 * i))
}

fn low24(a: u32) -> i64 {
    i64::from((a << 8) as i32 >> 8)
}
fn mul24_hi_s(a: u32, b: u32) -> u32 {
    ((low24(a) * low24(b)) >> 16) as u32
}
fn mul24_lo_s(a: u32, b: u32) -> u32 {
    (low24(a) * low24(b)) as u32
}
fn mul24_u(a: u32, b: u32) -> u64 {
    u64::from(a & 0xff_ffff) * u64::from(b & 0xff_ffff)
}
fn add_sat(a: u32, b: u32) -> u32 {
    (a as i32).saturating_add(b as i32) as u32
}

pub(super) static ROWS: &[Row] = &[
    rd!("bfind.s64", |a| 63u32.wrapping_sub((a ^ (a as i64 >> 63) as u64).leading_zeros())),
    rd!("bfind.shiftamt.s64", |a| {
        let m = a ^ (a as i64 >> 63) as u64;
        if m == 0 { !0 } else { m.leading_zeros() }
    }),
    Row {
        pattern: "bfi.b64",
        exec: Exec::DDDRR(|x, y, z, w, o| {
            for i in 0..32 {
                o[i] = bfi(x[i], y[i], 64, z[i], w[i]);
            }
        }),
    },
    r2!("szext.clamp.s32", |a, b| szext(a, b, true)),
    r2!("szext.clamp.u32", |a, b| szext(a, b, false)),
    r2!("szext.wrap.s32", |a, b| szext(a, b & 31, true)),
    r2!("szext.wrap.u32", |a, b| szext(a, b & 31, false)),
    r3!("fns.b32", |a, b, c| fns(a, b, c as i32)),
    r3!("prmt.b32.f4e", |a, b, c| pick(a, b, |i| i + (c & 3))),
    r3!("prmt.b32.b4e", |a, b, c| pick(a, b, |i| (c & 3).wrapping_sub(i) & 7)),
    r3!("prmt.b32.rc8", |a, b, c| pick(a, b, |_| c & 3)),
    r3!("prmt.b32.ecl", |a, b, c| pick(a, b, |i| i.max(c & 3))),
    r3!("prmt.b32.ecr", |a, b, c| pick(a, b, |i| i.min(c & 3))),
    r3!("prmt.b32.rc16", |a, b, c| pick(a, b, |i| (i & 1) + 2 * (c & 1))),
    r1!("cnot.b16", |a| u32::from(u16_(a) == 0)),
    d1!("cnot.b64", |a| u64::from(a == 0)),
    r3!("sad.s16", |a, b, c| u16_(c.wrapping_add(u32::from((a as i16).abs_diff(b as i16))))),
    r3!("sad.u16", |a, b, c| u16_(c.wrapping_add(u32::from((a as u16).abs_diff(b as u16))))),
    d3!("sad.s64", |a, b, c| c.wrapping_add((a as i64).abs_diff(b as i64))),
    d3!("sad.u64", |a, b, c| c.wrapping_add(a.abs_diff(b))),
    r3!("mad.hi.s16", |a, b, c| u16_((((i32::from(a as i16) * i32::from(b as i16)) >> 16) as u32).wrapping_add(c))),
    r3!("mad.hi.u16", |a, b, c| u16_(((u16_(a) * u16_(b)) >> 16).wrapping_add(c))),
    r3!("mad.hi.sat.s32", |a, b, c| add_sat(((i64::from(a as i32) * i64::from(b as i32)) >> 32) as u32, c)),
    r2!("mul24.hi.s32", |a, b| mul24_hi_s(a, b)),
    r2!("mul24.hi.u32", |a, b| (mul24_u(a, b) >> 16) as u32),
    r3!("mad24.lo.s32", |a, b, c| mul24_lo_s(a, b).wrapping_add(c)),
    r3!("mad24.lo.u32", |a, b, c| (mul24_u(a, b) as u32).wrapping_add(c)),
    r3!("mad24.hi.s32", |a, b, c| mul24_hi_s(a, b).wrapping_add(c)),
    r3!("mad24.hi.u32", |a, b, c| ((mul24_u(a, b) >> 16) as u32).wrapping_add(c)),
    r3!("mad24.hi.sat.s32", |a, b, c| add_sat(mul24_hi_s(a, b), c)),
    r3!("dp2a.lo.s32.u32", |a, b, c| dp2a(a, b, c, true, false, 0)),
    r3!("dp2a.hi.s32.u32", |a, b, c| dp2a(a, b, c, true, false, 1)),
    r3!("dp2a.lo.u32.s32", |a, b, c| dp2a(a, b, c, false, true, 0)),
    r3!("dp2a.hi.u32.s32", |a, b, c| dp2a(a, b, c, false, true, 1)),
];
