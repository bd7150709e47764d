//! Integer and bit-field instructions that have no host counterpart (PTX ISA 9.7.1, 9.7.2, 9.7.8).
//!
//! No central type: functions on `u32` and `u64`.

/// `prmt.b32` without a mode: each result byte is picked by a nibble of `selector` out of the 8 bytes b:a; bit 3 replicates its sign.
#[inline]
pub fn prmt(a: u32, b: u32, selector: u32) -> u32 {
    let bytes = u64::from(b) << 32 | u64::from(a);
    let pick = |i: u32| {
        let nibble = selector >> (4 * i) & 15;
        let byte = (bytes >> (8 * (nibble & 7))) as u8;
        let byte = if nibble & 8 != 0 { (byte as i8 >> 7) as u8 } else { byte };
        u32::from(byte) << (8 * i)
    };
    pick(0) | pick(1) | pick(2) | pick(3)
}

/// The selector that a mode of `prmt` (`f4e`, `b4e`, `rc8`, `ecl`, `ecr`, `rc16`) stands for; `c` is the third operand.
pub fn prmt_mode(mode: &str, c: u32) -> Option<u32> {
    let table: [u32; 4] = match mode {
        "f4e" => [0x3210, 0x4321, 0x5432, 0x6543],
        "b4e" => [0x5670, 0x6701, 0x7012, 0x0123],
        "rc8" => [0x0000, 0x1111, 0x2222, 0x3333],
        "ecl" => [0x3210, 0x3211, 0x3222, 0x3333],
        "ecr" => [0x0000, 0x1110, 0x2210, 0x3210],
        "rc16" => [0x1010, 0x3232, 0x1010, 0x3232],
        _ => return None,
    };
    Some(table[(c & 3) as usize])
}

/// `lop3`: bit `4 a + 2 b + c` of `table` for each bit.
#[inline]
pub fn lop3(a: u32, b: u32, c: u32, table: u32) -> u32 {
    (0..8).filter(|i| table >> i & 1 == 1).fold(0, |out, i| {
        let side = |v: u32, on: u32| if on == 1 { v } else { !v };
        out | side(a, i >> 2 & 1) & side(b, i >> 1 & 1) & side(c, i & 1)
    })
}

/// `shf.l` (`left`) and `shf.r` of b:a by `c`, clamped to 32 or wrapped.
#[inline]
pub fn shf(left: bool, wrap: bool, a: u32, b: u32, c: u32) -> u32 {
    let n = if wrap { c & 31 } else { c.min(32) };
    let both = u64::from(b) << 32 | u64::from(a);
    if left { (both << n >> 32) as u32 } else { (both >> n) as u32 }
}

/// Position and length of a bit field. The ISA takes the low 8 bits of both; the sequences of shifts that ptxas makes for
/// 64 bits take all of them.
fn field(width: u32, pos: u32, len: u32) -> (u32, u32) {
    if width == 64 { (pos.min(64), len.min(64)) } else { (pos & 255, len & 255) }
}

/// `bfe`: `len` bits of the `width`-bit `a` from bit `pos`, sign-extended if `signed`.
pub fn bfe(width: u32, signed: bool, a: u64, pos: u32, len: u32) -> u64 {
    let (pos, len) = field(width, pos, len);
    let mask = u64::MAX >> (64 - width);
    let bit = |i: u32| a >> i & 1;
    let sign = if !signed || len == 0 { 0 } else { bit((pos + len - 1).min(width - 1)) };
    let mut out = 0;
    for i in 0..width {
        let value = if i < len && pos + i < width { bit(pos + i) } else { sign };
        out |= value << i;
    }
    out & mask
}

/// `bfi`: the low `len` bits of `a` over bits `pos`.. of `b`.
pub fn bfi(width: u32, a: u64, b: u64, pos: u32, len: u32) -> u64 {
    let (pos, len) = field(width, pos, len);
    if pos >= width || len == 0 {
        return b;
    }
    let field = if len >= 64 { u64::MAX } else { (1 << len) - 1 };
    let mask = field << pos & (u64::MAX >> (64 - width));
    b & !mask | a << pos & mask
}

/// `bfind`: the position of the highest set bit (of the highest bit unlike the sign); all ones if there is none.
pub fn bfind(width: u32, signed: bool, shift_amount: bool, a: u64) -> u32 {
    let mask = u64::MAX >> (64 - width);
    let a = if signed && a >> (width - 1) & 1 == 1 { !a & mask } else { a & mask };
    if a == 0 {
        return u32::MAX;
    }
    let at = 63 - a.leading_zeros();
    if shift_amount { width - 1 - at } else { at }
}

/// `bmsk`: `len` ones from bit `pos`.
pub fn bmsk(wrap: bool, pos: u32, len: u32) -> u32 {
    let (pos, len) = if wrap { (pos & 31, len & 31) } else { (pos.min(32), len.min(32)) };
    let ones = if len == 32 { u32::MAX } else { (1 << len) - 1 };
    if pos == 32 { 0 } else { ones << pos }
}

/// `szext`: the low `n` bits, sign- or zero-extended.
pub fn szext(wrap: bool, signed: bool, a: u32, n: u32) -> u32 {
    let n = if wrap { n & 31 } else { n.min(32) };
    match 32 - n {
        32 => 0,
        up if signed => ((a << up) as i32 >> up) as u32,
        up => a << up >> up,
    }
}

/// `fns`: the position of the `offset`-th set bit of `mask` from bit `base` on (downwards if negative); all ones if none.
pub fn fns(mask: u32, base: u32, offset: i32) -> u32 {
    if base > 31 {
        return u32::MAX;
    }
    if offset == 0 {
        return if mask >> base & 1 == 1 { base } else { u32::MAX };
    }
    let (mut at, step, mut left) = (base as i32, offset.signum(), offset.unsigned_abs());
    while (0..32).contains(&at) {
        left -= mask >> at & 1;
        if left == 0 {
            return at as u32;
        }
        at += step;
    }
    u32::MAX
}

/// `dp4a`: `c` plus four products of bytes.
#[inline]
pub fn dp4a(a_signed: bool, b_signed: bool, a: u32, b: u32, c: u32) -> u32 {
    (0..4).fold(c, |sum, i| {
        let byte =
            |v: u32, signed: bool| if signed { (v >> (8 * i)) as i8 as i32 } else { (v >> (8 * i)) as u8 as i32 };
        sum.wrapping_add((byte(a, a_signed) * byte(b, b_signed)) as u32)
    })
}

/// `dp2a`: `c` plus two products of the halves of `a` and the low (`high`: upper) bytes of `b`.
#[inline]
pub fn dp2a(high: bool, a_signed: bool, b_signed: bool, a: u32, b: u32, c: u32) -> u32 {
    let b = if high { b >> 16 } else { b };
    (0..2).fold(c, |sum, i| {
        let half = if a_signed { (a >> (16 * i)) as i16 as i32 } else { (a >> (16 * i)) as u16 as i32 };
        let byte = if b_signed { (b >> (8 * i)) as i8 as i32 } else { (b >> (8 * i)) as u8 as i32 };
        sum.wrapping_add(half.wrapping_mul(byte) as u32)
    })
}

/// `mul24.lo`/`.hi`: bits 0..32 or 16..48 of the product of the low 24 bits.
#[inline]
pub fn mul24(high: bool, signed: bool, a: u32, b: u32) -> u32 {
    let low = |v: u32| if signed { i64::from((v << 8) as i32 >> 8) } else { i64::from(v & 0xff_ffff) };
    let product = low(a) * low(b);
    (if high { product >> 16 } else { product }) as u32
}
