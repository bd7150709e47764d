//! Integers and bits.

use tricot_ptx_numerics::convert::{Convert, Type};
use tricot_ptx_numerics::format::Round;
use tricot_ptx_numerics::integer;

/// Width and signedness of a suffix such as `s32`, `u16x2` or `b64`.
fn ty(name: &str) -> Option<(u32, bool)> {
    let digits = name.strip_prefix(['s', 'u', 'b'])?;
    let bits = digits.strip_suffix("x2").unwrap_or(digits).parse().ok()?;
    matches!(bits, 8 | 16 | 32 | 64).then_some((bits, name.starts_with('s')))
}

fn value(bits: u64, (width, signed): (u32, bool)) -> i128 {
    let up = 64 - width;
    if signed { i128::from((bits << up) as i64 >> up) } else { i128::from(bits << up >> up) }
}

fn clamp(v: i128, (width, signed): (u32, bool)) -> i128 {
    let (low, high) = if signed { (-(1i128 << (width - 1)), (1 << (width - 1)) - 1) } else { (0, (1 << width) - 1) };
    v.clamp(low, high)
}

pub fn evaluate(parts: &[&str], immediate: &str, x: &[u64]) -> Option<u64> {
    let has = |name: &str| parts.contains(&name);
    let last = parts.last()?;
    let word = |i: usize| x[i] as u32;
    match parts[0] {
        "prmt" => {
            let selector = if *last == "b32" { word(2) } else { integer::prmt_mode(last, word(2))? };
            return Some(integer::prmt(word(0), word(1), selector).into());
        }
        "lop3" => {
            let table = u32::from_str_radix(immediate.strip_prefix("0x")?, 16).ok()?;
            return Some(integer::lop3(word(0), word(1), word(2), table).into());
        }
        "cvt" if parts[1] == "pack" => return pack(parts[3], x),
        "cvt" => {
            let (to, from) = (Type::parse(parts[parts.len() - 2])?, Type::parse(last)?);
            let (Type::Int { .. }, Type::Int { .. }) = (to, from) else { return None };
            let spec = Convert {
                to,
                from,
                round: Round::Zero,
                whole: false,
                sat: has("sat"),
                finite: false,
                relu: false,
                ftz: false,
            };
            return Some(spec.apply(x[0]));
        }
        "selp" => return Some(if (word(2) as i32) < 0 { x[0] } else { x[1] }),
        "and" | "or" | "xor" | "not" | "mov" if *last == "pred" => {
            let p = |i: usize| (word(i) as i32) < 0;
            return Some(u64::from(match parts[0] {
                "and" => p(0) && p(1),
                "or" => p(0) || p(1),
                "xor" => p(0) != p(1),
                "not" => !p(0),
                _ => p(0),
            }));
        }
        "slct" if *last == "s32" => return Some(if word(2) as i32 >= 0 { x[0] } else { x[1] }),
        "dp4a" | "dp2a" => {
            let types = &parts[parts.len() - 2..];
            let (a, b) = (types[0] == "s32", types[1] == "s32");
            return Some(
                if parts[0] == "dp4a" {
                    integer::dp4a(a, b, word(0), word(1), word(2))
                } else {
                    integer::dp2a(has("hi"), a, b, word(0), word(1), word(2))
                }
                .into(),
            );
        }
        _ => {}
    }
    let t @ (width, signed) = ty(last)?;
    let v = |i: usize| value(x[i], t);
    let mask = u64::MAX >> (64 - width);
    let high = has("hi");
    let part = |product: i128| if high { product >> width } else { product };
    if last.ends_with("x2") {
        let half = |s: u32| {
            let (a, b) = (value(x[0] >> s, t), value(x[1] >> s, t));
            let out = match parts[0] {
                "add" => a + b,
                "min" => a.min(b),
                "max" => a.max(b),
                _ => return None,
            };
            Some((if has("relu") { out.max(0) } else { out }) as u64 & 0xffff)
        };
        return Some(half(0)? | half(16)? << 16);
    }
    if has("cc") {
        return carry(parts, x, t);
    }
    let out: i128 = match parts[0] {
        "add" => v(0) + v(1),
        "sub" => v(0) - v(1),
        "mul" if has("wide") => return Some((v(0) * v(1)) as u64),
        // Products of 64-bit numbers may need all 128 bits; the sign of what is above them is cut off below.
        "mul" => part(v(0).wrapping_mul(v(1))),
        "mad" if has("wide") => return Some((v(0) * v(1)) as u64).map(|p| p.wrapping_add(x[2])),
        "mad" => part(v(0).wrapping_mul(v(1))).wrapping_add(v(2)),
        "div" => {
            if v(1) == 0 {
                -1
            } else {
                v(0) / v(1)
            }
        }
        // All ones, where the ISA leaves the quotient and the remainder open.
        "rem" => {
            if v(1) == 0 {
                -1
            } else {
                v(0) % v(1)
            }
        }
        "min" => v(0).min(v(1)),
        "max" => v(0).max(v(1)),
        "abs" => v(0).abs(),
        "neg" => -v(0),
        "sad" => (v(0) - v(1)).abs() + v(2),
        "and" => v(0) & v(1),
        "or" => v(0) | v(1),
        "xor" => v(0) ^ v(1),
        "not" => !v(0),
        "cnot" => i128::from(v(0) == 0),
        "shl" => {
            if x[1] >= u64::from(width) {
                0
            } else {
                v(0) << x[1]
            }
        }
        "shr" => v(0) >> x[1].min(64),
        "mul24" => i128::from(integer::mul24(high, signed, word(0), word(1)) as i32),
        "mad24" => {
            let p = integer::mul24(high, signed, word(0), word(1));
            (if signed { i128::from(p as i32) } else { i128::from(p) }) + v(2)
        }
        "popc" => i128::from((x[0] & mask).count_ones()),
        "clz" => i128::from((x[0] & mask).leading_zeros() - (64 - width)),
        "brev" => i128::from((x[0] & mask).reverse_bits() >> (64 - width)),
        "bfind" => return Some(integer::bfind(width, signed, has("shiftamt"), x[0]).into()),
        "bfe" => return Some(integer::bfe(width, signed, x[0] & mask, word(1), word(2))),
        "bfi" => return Some(integer::bfi(width, x[0] & mask, x[1] & mask, word(2), word(3))),
        "bmsk" => return Some(integer::bmsk(has("wrap"), word(0), word(1)).into()),
        "szext" => return Some(integer::szext(has("wrap"), signed, word(0), word(1)).into()),
        "fns" => return Some(integer::fns(word(0), word(1), word(2) as i32).into()),
        "shf" => return Some(integer::shf(has("l"), has("wrap"), word(0), word(1), word(2)).into()),
        "setp" | "set" => {
            let on = match parts[1] {
                "eq" => v(0) == v(1),
                "ne" => v(0) != v(1),
                "lt" | "lo" => v(0) < v(1),
                "le" | "ls" => v(0) <= v(1),
                "gt" | "hi" => v(0) > v(1),
                "ge" | "hs" => v(0) >= v(1),
                _ => return None,
            };
            if matches!(parts[2], "and" | "or" | "xor") {
                return Some(combined(parts, on, (word(2) as i32) < 0));
            }
            let one = match (parts[0], parts[parts.len() - 2]) {
                ("setp", _) => 1,
                (_, "f32") => 0x3f80_0000,
                _ => 0xffff_ffff,
            };
            return Some(if on { one } else { 0 });
        }
        _ => return None,
    };
    let out = if has("relu") { out.max(0) } else { out };
    let out = if has("sat") { clamp(out, t) } else { out };
    Some(out as u64 & mask)
}

/// `cvt.pack`: the saturated values side by side, under the third operand.
fn pack(ty: &str, x: &[u64]) -> Option<u64> {
    let (width, signed): (u32, bool) = (ty[1..].parse().ok()?, ty.starts_with('s'));
    let part = |v: u64| clamp(i128::from(v as i32), (width, signed)) as u64 & ((1 << width) - 1);
    Some((x.get(2).copied().unwrap_or(0) << (2 * width) | part(x[0]) << width | part(x[1])) & 0xffff_ffff)
}

/// `set` with a predicate, and both results of `setp` with a negated one.
fn combined(parts: &[&str], on: bool, p: bool) -> u64 {
    let with = |on: bool, p: bool| match parts[2] {
        "and" => on && p,
        "or" => on || p,
        _ => on != p,
    };
    match parts[0] {
        "set" => {
            if with(on, p) {
                0xffff_ffff
            } else {
                0
            }
        }
        _ => u64::from(with(on, !p)) | u64::from(with(!on, !p)) << 1,
    }
}

/// The programs of the carry chains: see the texts of the rows.
fn carry(parts: &[&str], x: &[u64], (width, signed): (u32, bool)) -> Option<u64> {
    let mask = u64::MAX >> (64 - width);
    let u = |i: usize| u128::from(x[i] & mask);
    // A borrow is a carry that is clear: subtraction adds the complement.
    let not = |v: u128| !v & u128::from(mask);
    let split = |sum: u128| (sum as u64 & mask, (sum >> width) as u64 & 1);
    match parts[0] {
        "add" => Some(split(u(0) + u(1)).1),
        "sub" => Some(split(u(0) + not(u(1)) + 1).1),
        "addc" | "subc" => {
            let (_, carry) = split(u(2) + u(2));
            let second = if parts[0] == "addc" { u(1) } else { not(u(1)) };
            let (sum, carry) = split(u(0) + second + u128::from(carry));
            Some(sum ^ carry)
        }
        "mad" | "madc" => {
            let (_, carry) = split(u(1) + u(2));
            let product = value(x[0], (width, signed)).wrapping_mul(value(x[1], (width, signed)));
            let product = if parts.contains(&"hi") { product >> width } else { product };
            let with = if parts[0] == "madc" { u128::from(carry) } else { 0 };
            let (sum, carry) = split(u128::from(product as u64 & mask) + u(2) + with);
            Some(sum ^ carry)
        }
        _ => None,
    }
}
