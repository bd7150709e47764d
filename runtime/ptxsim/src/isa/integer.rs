//! Integers and bits (PTX ISA 9.7.1, 9.7.2, 9.7.8).

use super::*;

fn s16(a: u32) -> i32 {
    a as u16 as i16 as i32
}
pub(super) fn u16_(a: u32) -> u32 {
    a & 0xffff
}
fn mulhi(a: u64, b: u64) -> u64 {
    (u128::from(a) * u128::from(b) >> 64) as u64
}
fn mulhi_s(a: u64, b: u64) -> u64 {
    (i128::from(a as i64) * i128::from(b as i64) >> 64) as u64
}
/// Byte selection of `prmt` in its default mode: bit 3 of a selector replicates the sign.
fn prmt(a: u32, b: u32, c: u32) -> u32 {
    let bytes = u64::from(b) << 32 | u64::from(a);
    (0..4).fold(0, |out, n| {
        let select = c >> (4 * n) & 15;
        let byte = (bytes >> (8 * (select & 7)) & 0xff) as u32;
        let byte = if select & 8 != 0 { if byte & 0x80 != 0 { 0xff } else { 0 } } else { byte };
        out | byte << (8 * n)
    })
}
fn pair(f: impl Fn(i32, i32) -> i32, a: u32, b: u32) -> u32 {
    let (lo, hi) = (f(s16(a), s16(b)), f(s16(a >> 16), s16(b >> 16)));
    (lo as u32 & 0xffff) | (hi as u32) << 16
}
fn pair_u(f: impl Fn(u32, u32) -> u32, a: u32, b: u32) -> u32 {
    u16_(f(u16_(a), u16_(b))) | f(a >> 16, b >> 16) << 16
}
/// Position and length of a bit field: the low 8 bits, but all of them where the field is 64 bits wide, as ptxas makes it.
fn field(width: u64, pos: u32, len: u32) -> (u64, u64) {
    let mask = if width == 64 { u32::MAX } else { 255 };
    (u64::from(pos & mask), u64::from(len & mask))
}
fn bfe_u(a: u64, width: u64, pos: u32, len: u32) -> u64 {
    let (pos, len) = field(width, pos, len);
    if pos >= width || len == 0 {
        return 0;
    }
    let shifted = a >> pos;
    if len >= 64 { shifted } else { shifted & ((1 << len) - 1) }
}
fn bfe_s(a: u64, width: u64, pos: u32, len: u32) -> u64 {
    let (pos, len) = field(width, pos, len);
    if len == 0 {
        return 0;
    }
    let msb = width - 1;
    let sign = a >> (pos + len - 1).min(msb) & 1;
    let mut out = 0;
    for i in 0..width {
        let bit = if i < len && pos + i <= msb { a >> (pos + i) & 1 } else { sign };
        out |= bit << i;
    }
    out
}
pub(super) fn bfi(a: u64, b: u64, width: u64, pos: u32, len: u32) -> u64 {
    let (pos, len) = field(width, pos, len);
    let mut out = b;
    for i in 0..len {
        if pos + i >= width {
            break;
        }
        out = out & !(1 << (pos + i)) | (a >> i & 1) << (pos + i);
    }
    out
}
fn dp4a(a: u32, b: u32, c: u32, sa: bool, sb: bool) -> u32 {
    let byte = |v: u32, n: u32, s: bool| {
        let v = (v >> (8 * n)) as u8;
        if s { i32::from(v as i8) } else { i32::from(v) }
    };
    (0..4).fold(c, |sum, n| sum.wrapping_add(byte(a, n, sa).wrapping_mul(byte(b, n, sb)) as u32))
}
pub(super) fn dp2a(a: u32, b: u32, c: u32, sa: bool, sb: bool, high: u32) -> u32 {
    let half = |n: u32| if sa { s16(a >> (16 * n)) } else { u16_(a >> (16 * n)) as i32 };
    let byte = |n: u32| {
        let v = (b >> (8 * (n + 2 * high))) as u8;
        if sb { i32::from(v as i8) } else { i32::from(v) }
    };
    (0..2).fold(c, |sum, n| sum.wrapping_add(half(n).wrapping_mul(byte(n)) as u32))
}
/// Division by zero and its remainder are all ones on sm_90 (unspecified by the ISA).
macro_rules! div {
    ($a:expr, $b:expr, $t:ty, $r:ty) => {
        if $b as $t == 0 { !0 } else { ($a as $t).wrapping_div($b as $t) as $r }
    };
}
macro_rules! rem {
    ($a:expr, $b:expr, $t:ty, $r:ty) => {
        if $b as $t == 0 { !0 } else { ($a as $t).wrapping_rem($b as $t) as $r }
    };
}

pub(super) static ROWS: &[Row] = &[
    r2!("add.{s32,u32}", |a, b| a.wrapping_add(b)),
    r2!("add.sat.s32", |a, b| (a as i32).saturating_add(b as i32) as u32),
    r2!("sub.{s32,u32}", |a, b| a.wrapping_sub(b)),
    r2!("sub.sat.s32", |a, b| (a as i32).saturating_sub(b as i32) as u32),
    r2!("add.{s16,u16}", |a, b| u16_(a.wrapping_add(b))),
    r2!("sub.{s16,u16}", |a, b| u16_(a.wrapping_sub(b))),
    r2!("add.{s16x2,u16x2}", |a, b| pair_u(|x, y| x.wrapping_add(y), a, b)),
    d2!("add.{s64,u64}", |a, b| a.wrapping_add(b)),
    d2!("sub.{s64,u64}", |a, b| a.wrapping_sub(b)),
    r2!("mul.lo.{s32,u32}", |a, b| a.wrapping_mul(b)),
    r2!("mul.lo.{s16,u16}", |a, b| u16_(a.wrapping_mul(b))),
    d2!("mul.lo.{s64,u64}", |a, b| a.wrapping_mul(b)),
    r2!("mul.hi.s32", |a, b| ((a as i32 as i64 * b as i32 as i64) >> 32) as u32),
    r2!("mul.hi.u32", |a, b| ((u64::from(a) * u64::from(b)) >> 32) as u32),
    r2!("mul.hi.s16", |a, b| u16_((s16(a) * s16(b) >> 16) as u32)),
    r2!("mul.hi.u16", |a, b| u16_(a) * u16_(b) >> 16),
    d2!("mul.hi.s64", |a, b| mulhi_s(a, b)),
    d2!("mul.hi.u64", |a, b| mulhi(a, b)),
    drr!("mul.wide.s32", |a, b| (a as i32 as i64 * b as i32 as i64) as u64),
    drr!("mul.wide.u32", |a, b| u64::from(a) * u64::from(b)),
    r2!("mul.wide.s16", |a, b| (s16(a) * s16(b)) as u32),
    r2!("mul.wide.u16", |a, b| u16_(a) * u16_(b)),
    r2!("mul24.lo.s32", |a, b| (((a << 8) as i32 as i64 >> 8) * ((b << 8) as i32 as i64 >> 8)) as u32),
    r2!("mul24.lo.u32", |a, b| (u64::from(a & 0xff_ffff) * u64::from(b & 0xff_ffff)) as u32),
    r3!("mad.lo.{s32,u32}", |a, b, c| a.wrapping_mul(b).wrapping_add(c)),
    r3!("mad.lo.{s16,u16}", |a, b, c| u16_(a.wrapping_mul(b).wrapping_add(c))),
    d3!("mad.lo.{s64,u64}", |a, b, c| a.wrapping_mul(b).wrapping_add(c)),
    r3!("mad.hi.s32", |a, b, c| (((a as i32 as i64 * b as i32 as i64) >> 32) as u32).wrapping_add(c)),
    r3!("mad.hi.u32", |a, b, c| (((u64::from(a) * u64::from(b)) >> 32) as u32).wrapping_add(c)),
    d3!("mad.hi.s64", |a, b, c| mulhi_s(a, b).wrapping_add(c)),
    d3!("mad.hi.u64", |a, b, c| mulhi(a, b).wrapping_add(c)),
    Row {
        pattern: "mad.wide.s32",
        exec: Exec::DRRD(|x, y, z, o| {
            for i in 0..32 {
                o[i] = ((x[i] as i32 as i64 * y[i] as i32 as i64) as u64).wrapping_add(z[i]);
            }
        }),
    },
    Row {
        pattern: "mad.wide.u32",
        exec: Exec::DRRD(|x, y, z, o| {
            for i in 0..32 {
                o[i] = (u64::from(x[i]) * u64::from(y[i])).wrapping_add(z[i]);
            }
        }),
    },
    r3!("mad.wide.s16", |a, b, c| ((s16(a) * s16(b)) as u32).wrapping_add(c)),
    r3!("mad.wide.u16", |a, b, c| (u16_(a) * u16_(b)).wrapping_add(c)),
    r2!("div.s32", |a, b| div!(a, b, i32, u32)),
    r2!("div.u32", |a, b| div!(a, b, u32, u32)),
    r2!("div.s16", |a, b| u16_(div!(a, b, i16, u32))),
    r2!("div.u16", |a, b| u16_(div!(a, b, u16, u32))),
    d2!("div.s64", |a, b| div!(a, b, i64, u64)),
    d2!("div.u64", |a, b| div!(a, b, u64, u64)),
    r2!("rem.s32", |a, b| rem!(a, b, i32, u32)),
    r2!("rem.u32", |a, b| rem!(a, b, u32, u32)),
    r2!("rem.s16", |a, b| u16_(rem!(a, b, i16, u32))),
    r2!("rem.u16", |a, b| u16_(rem!(a, b, u16, u32))),
    d2!("rem.s64", |a, b| rem!(a, b, i64, u64)),
    d2!("rem.u64", |a, b| rem!(a, b, u64, u64)),
    r1!("abs.s32", |a| (a as i32).wrapping_abs() as u32),
    r1!("abs.s16", |a| u16_(s16(a).wrapping_abs() as u32)),
    d1!("abs.s64", |a| (a as i64).wrapping_abs() as u64),
    r1!("neg.s32", |a| a.wrapping_neg()),
    r1!("neg.s16", |a| u16_(a.wrapping_neg())),
    d1!("neg.s64", |a| a.wrapping_neg()),
    r2!("min.s32", |a, b| (a as i32).min(b as i32) as u32),
    r2!("max.s32", |a, b| (a as i32).max(b as i32) as u32),
    r2!("min.relu.s32", |a, b| (a as i32).min(b as i32).max(0) as u32),
    r2!("max.relu.s32", |a, b| (a as i32).max(b as i32).max(0) as u32),
    r2!("min.u32", |a, b| a.min(b)),
    r2!("max.u32", |a, b| a.max(b)),
    r2!("min.s16", |a, b| u16_(s16(a).min(s16(b)) as u32)),
    r2!("max.s16", |a, b| u16_(s16(a).max(s16(b)) as u32)),
    r2!("min.u16", |a, b| u16_(a).min(u16_(b))),
    r2!("max.u16", |a, b| u16_(a).max(u16_(b))),
    d2!("min.s64", |a, b| (a as i64).min(b as i64) as u64),
    d2!("max.s64", |a, b| (a as i64).max(b as i64) as u64),
    d2!("min.u64", |a, b| a.min(b)),
    d2!("max.u64", |a, b| a.max(b)),
    r2!("min.s16x2", |a, b| pair(|x, y| x.min(y), a, b)),
    r2!("max.s16x2", |a, b| pair(|x, y| x.max(y), a, b)),
    r2!("min.relu.s16x2", |a, b| pair(|x, y| x.min(y).max(0), a, b)),
    r2!("max.relu.s16x2", |a, b| pair(|x, y| x.max(y).max(0), a, b)),
    r2!("min.u16x2", |a, b| pair_u(|x, y| x.min(y), a, b)),
    r2!("max.u16x2", |a, b| pair_u(|x, y| x.max(y), a, b)),
    r2!("and.{b16,b32}", |a, b| a & b),
    r2!("or.{b16,b32}", |a, b| a | b),
    r2!("xor.{b16,b32}", |a, b| a ^ b),
    r1!("not.b32", |a| !a),
    r1!("not.b16", |a| u16_(!a)),
    r1!("cnot.b32", |a| u32::from(a == 0)),
    d2!("and.b64", |a, b| a & b),
    d2!("or.b64", |a, b| a | b),
    d2!("xor.b64", |a, b| a ^ b),
    d1!("not.b64", |a| !a),
    r2!("shl.b32", |a, b| if b > 31 { 0 } else { a << b }),
    r2!("shl.b16", |a, b| if b > 15 { 0 } else { u16_(a << b) }),
    r2!("shr.{u32,b32}", |a, b| if b > 31 { 0 } else { a >> b }),
    r2!("shr.{u16,b16}", |a, b| if b > 15 { 0 } else { u16_(a) >> b }),
    r2!("shr.s32", |a, b| (a as i32 >> b.min(31)) as u32),
    r2!("shr.s16", |a, b| u16_((s16(a) >> b.min(31)) as u32)),
    ddr!("shl.b64", |a, b| if b > 63 { 0 } else { a << b }),
    ddr!("shr.{u64,b64}", |a, b| if b > 63 { 0 } else { a >> b }),
    ddr!("shr.s64", |a, b| (a as i64 >> b.min(63)) as u64),
    r3!("shf.l.wrap.b32", |a, b, c| ((u64::from(b) << 32 | u64::from(a)) << (c & 31) >> 32) as u32),
    r3!("shf.l.clamp.b32", |a, b, c| ((u64::from(b) << 32 | u64::from(a)) << c.min(32) >> 32) as u32),
    r3!("shf.r.wrap.b32", |a, b, c| ((u64::from(b) << 32 | u64::from(a)) >> (c & 31)) as u32),
    r3!("shf.r.clamp.b32", |a, b, c| ((u64::from(b) << 32 | u64::from(a)) >> c.min(32)) as u32),
    r1!("popc.b32", |a| a.count_ones()),
    r1!("clz.b32", |a| a.leading_zeros()),
    r1!("brev.b32", |a| a.reverse_bits()),
    d1!("brev.b64", |a| a.reverse_bits()),
    rd!("popc.b64", |a| a.count_ones()),
    rd!("clz.b64", |a| a.leading_zeros()),
    r1!("bfind.u32", |a| 31u32.wrapping_sub(a.leading_zeros())),
    r1!("bfind.shiftamt.u32", |a| if a == 0 { !0 } else { a.leading_zeros() }),
    r1!("bfind.s32", |a| 31u32.wrapping_sub((a ^ (a as i32 >> 31) as u32).leading_zeros())),
    r1!("bfind.shiftamt.s32", |a| {
        let m = a ^ (a as i32 >> 31) as u32;
        if m == 0 { !0 } else { m.leading_zeros() }
    }),
    rd!("bfind.u64", |a| 63u32.wrapping_sub(a.leading_zeros())),
    rd!("bfind.shiftamt.u64", |a| if a == 0 { !0 } else { a.leading_zeros() }),
    r3!("bfe.u32", |a, b, c| bfe_u(u64::from(a), 32, b, c) as u32),
    r3!("bfe.s32", |a, b, c| bfe_s(u64::from(a), 32, b, c) as u32),
    Row {
        pattern: "bfe.u64",
        exec: Exec::DDRR(|x, y, z, o| {
            for i in 0..32 {
                o[i] = bfe_u(x[i], 64, y[i], z[i]);
            }
        }),
    },
    Row {
        pattern: "bfe.s64",
        exec: Exec::DDRR(|x, y, z, o| {
            for i in 0..32 {
                o[i] = bfe_s(x[i], 64, y[i], z[i]);
            }
        }),
    },
    Row {
        pattern: "bfi.b32",
        exec: Exec::R4(|x, y, z, w, o| {
            for i in 0..32 {
                o[i] = bfi(u64::from(x[i]), u64::from(y[i]), 32, z[i], w[i]) as u32;
            }
        }),
    },
    Row {
        pattern: "lop3.b32",
        exec: Exec::R4(|x, y, z, w, o| {
            for i in 0..32 {
                let (a, b, c) = (x[i], y[i], z[i]);
                let terms = [
                    !a & !b & !c,
                    !a & !b & c,
                    !a & b & !c,
                    !a & b & c,
                    a & !b & !c,
                    a & !b & c,
                    a & b & !c,
                    a & b & c,
                ];
                o[i] = (0..8).fold(0, |out, n| if w[i] >> n & 1 != 0 { out | terms[n] } else { out });
            }
        }),
    },
    r2!("bmsk.clamp.b32", |a, b| if a >= 32 { 0 } else { ((((1u64 << b.min(32)) - 1) << a) & 0xffff_ffff) as u32 }),
    r2!("bmsk.wrap.b32", |a, b| (((1u64 << (b & 31)) - 1) << (a & 31)) as u32),
    r3!("prmt.b32", |a, b, c| prmt(a, b, c)),
    r3!("sad.s32", |a, b, c| c.wrapping_add((a as i32).abs_diff(b as i32))),
    r3!("sad.u32", |a, b, c| c.wrapping_add(a.abs_diff(b))),
    r3!("dp4a.s32.s32", |a, b, c| dp4a(a, b, c, true, true)),
    r3!("dp4a.s32.u32", |a, b, c| dp4a(a, b, c, true, false)),
    r3!("dp4a.u32.s32", |a, b, c| dp4a(a, b, c, false, true)),
    r3!("dp4a.u32.u32", |a, b, c| dp4a(a, b, c, false, false)),
    r3!("dp2a.lo.s32.s32", |a, b, c| dp2a(a, b, c, true, true, 0)),
    r3!("dp2a.hi.s32.s32", |a, b, c| dp2a(a, b, c, true, true, 1)),
    r3!("dp2a.lo.u32.u32", |a, b, c| dp2a(a, b, c, false, false, 0)),
    r3!("dp2a.hi.u32.u32", |a, b, c| dp2a(a, b, c, false, false, 1)),
    Row { pattern: "and.pred", exec: Exec::PP(|a, b| a & b) },
    Row { pattern: "or.pred", exec: Exec::PP(|a, b| a | b) },
    Row { pattern: "xor.pred", exec: Exec::PP(|a, b| a ^ b) },
    Row { pattern: "not.pred", exec: Exec::P1(|a| !a) },
    Row { pattern: "mov.pred", exec: Exec::P1(|a| a) },
    Row { pattern: "selp.{b16,u16,s16,b32,u32,s32,f32}", exec: Exec::Sel32 },
    Row { pattern: "selp.{b64,u64,s64,f64}", exec: Exec::Sel64 },
];
