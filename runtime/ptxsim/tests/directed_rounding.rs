//! Arithmetic in every rounding mode against the processor's own: it rounds to nearest, what it cut off is computed exactly, and
//! that says on which side of its result the true value lies.

#[allow(dead_code, reason = "only some kinds of operands are drawn here")]
#[path = "../numerics/recording/inputs.rs"]
mod inputs;

use inputs::{Kind, hash, operand, seed};
use tricot_ptxsim::isa::general::lookup;

const MODES: [&str; 4] = ["rn", "rz", "rm", "rp"];

/// `a + b` as its nearest number and the exact rest (Knuth).
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    let t = s - a;
    (s, (a - (s - t)) + (b - t))
}

/// The nearest number to a result, and something of the sign of the rest.
fn exact(op: &str, [a, b, c]: [f64; 3]) -> (f64, f64) {
    match op {
        "add" => two_sum(a, b),
        "sub" => two_sum(a, -b),
        "mul" => (a * b, a.mul_add(b, -(a * b))),
        "div" => (a / b, (-(a / b)).mul_add(b, a) * b.signum()),
        "rcp" => exact("div", [1.0, a, 0.0]),
        "sqrt" => (a.sqrt(), (-a.sqrt()).mul_add(a.sqrt(), a)),
        // Exact for factors of 24 bits.
        "fma" => two_sum(a * b, c),
        _ => unreachable!("{op}"),
    }
}

/// Which of two neighbours a mode takes for a value between them.
fn side<T>(mode: &str, negative: bool, near: T, below: T, above: T) -> T {
    match mode {
        "rn" => near,
        "rm" => below,
        "rp" => above,
        _ if negative => above,
        _ => below,
    }
}

fn round32(mode: &str, (s, e): (f64, f64)) -> f32 {
    let near = s as f32;
    let back = f64::from(near);
    let over = if s == back { e } else { s - back };
    // A tie of the first rounding is decided by the rest.
    let tie = |other: f32| (f64::from(other) - s).abs() == (s - back).abs() && e != 0.0;
    match over {
        _ if over == 0.0 || s.is_nan() => near,
        _ if over > 0.0 => {
            let nearest = if tie(near.next_up()) && e > 0.0 { near.next_up() } else { near };
            side(mode, s < 0.0, nearest, near, near.next_up())
        }
        _ => {
            let nearest = if tie(near.next_down()) && e < 0.0 { near.next_down() } else { near };
            side(mode, s < 0.0, nearest, near.next_down(), near)
        }
    }
}

/// The sign of an exact zero.
fn zero(mode: &str, op: &str, [a, b, c]: [f64; 3]) -> f64 {
    let (x, y) = match op {
        "add" => (a, b),
        "sub" => (a, -b),
        "fma" => (a * b, c),
        _ => return exact(op, [a, b, c]).0,
    };
    let same = x.is_sign_negative() == y.is_sign_negative();
    if same {
        0f64.copysign(x)
    } else if mode == "rm" {
        -0.0
    } else {
        0.0
    }
}

fn flush(v: f32, on: bool) -> f32 {
    if on && v.is_subnormal() { 0f32.copysign(v) } else { v }
}

#[test]
fn f32_in_all_modes() {
    let mut checked = 0;
    for (op, sources, sat) in [
        ("add", 2, true),
        ("sub", 2, true),
        ("mul", 2, true),
        ("fma", 3, true),
        ("div", 2, false),
        ("rcp", 1, false),
        ("sqrt", 1, false),
    ] {
        for (mode, ftz, sat) in MODES.iter().flat_map(|m| {
            [(*m, "", ""), (*m, ".ftz", ""), (*m, "", ".sat"), (*m, ".ftz", ".sat")]
                .map(|(m, f, s)| (m, f, if sat { s } else { "" }))
        }) {
            let name = format!("{op}.{mode}{ftz}{sat}.f32");
            let f = lookup(&name).unwrap_or_else(|| panic!("{name} is not decoded"));
            for i in 0..4000 {
                let bits: [u64; 3] = std::array::from_fn(|k| {
                    if k < sources { operand(Kind::F32, hash(seed(op), 3 * i + k as u64)) } else { 0 }
                });
                let x = bits.map(|b| f64::from(flush(f32::from_bits(b as u32), !ftz.is_empty())));
                // Near the top, the exact sum of an f32 and a far larger one still fits f64.
                let (s, e) = exact(op, x);
                // Infinite operands leave no rest.
                let e = if e.is_nan() { 0.0 } else { e };
                let value = if s == 0.0 && e == 0.0 {
                    zero(mode, op, x) as f32
                } else if s.is_finite() {
                    round32(mode, (s, e))
                } else {
                    s as f32
                };
                let value = flush(value, !ftz.is_empty());
                let want = match () {
                    () if !sat.is_empty() => {
                        if value > 0.0 {
                            value.min(1.0).to_bits()
                        } else {
                            0
                        }
                    }
                    () if value.is_nan() => 0x7fff_ffff,
                    () => value.to_bits(),
                };
                assert_eq!(f.apply(bits) as u32, want, "{name} of {:x?}", &bits[..sources]);
                checked += 1;
            }
        }
    }
    assert!(checked > 300_000);
}

/// A number of full precision between 2^-span and 2^span.
fn medium(h: u64, span: u64) -> f64 {
    let exponent = 1023 + (h >> 32) % (2 * span) - span;
    f64::from_bits(h << 63 | exponent << 52 | hash(h, 1) >> 12)
}

#[test]
fn f64_in_all_modes() {
    for op in ["add", "sub", "mul", "div", "rcp", "sqrt"] {
        for mode in MODES {
            let name = format!("{op}.{mode}.f64");
            let f = lookup(&name).unwrap_or_else(|| panic!("{name} is not decoded"));
            for i in 0..4000 {
                let mut x: [f64; 3] = std::array::from_fn(|k| medium(hash(seed(op), 3 * i + k as u64), 60));
                if op == "sqrt" {
                    x[0] = x[0].abs();
                }
                let (s, e) = exact(op, x);
                let (below, above) = if e < 0.0 { (s.next_down(), s) } else { (s, s.next_up()) };
                let want = if e == 0.0 { s } else { side(mode, s < 0.0, s, below, above) };
                assert_eq!(f64::from_bits(f.apply(x.map(f64::to_bits))), want, "{name} of {x:?}");
            }
        }
    }
}

/// `fma` of f64 in whole numbers: factors of 53 bits, and a sum that fits 127.
#[test]
fn f64_fma_in_all_modes() {
    for mode in MODES {
        let f = lookup(&format!("fma.{mode}.f64")).expect("it is decoded");
        for i in 0..20_000 {
            let whole = |k: u64, bits: u64| {
                let h = hash(seed("fma"), 3 * i + k);
                let magnitude = (h >> 11 | 1 << 52) >> (53 - bits);
                if h & 1 == 1 { -(magnitude as i128) } else { magnitude as i128 }
            };
            let shift = hash(i, 9) % 70;
            let (a, b, c) = (whole(0, 53), whole(1, 1 + i % 53), whole(2, 53));
            let sum = a * b + (c << shift);
            let magnitude = sum.unsigned_abs();
            let cut = (128 - magnitude.leading_zeros()).saturating_sub(53);
            let (kept, rest) = (magnitude >> cut, magnitude & ((1 << cut) - 1));
            let half = if cut == 0 { 1 } else { 1u128 << (cut - 1) };
            let near = kept + u128::from(rest > half || rest == half && kept & 1 == 1);
            let (toward, away) = (kept, kept + u128::from(rest != 0));
            let (below, above) = if sum < 0 { (away, toward) } else { (toward, away) };
            let rounded = side(mode, sum < 0, near, below, above) as f64 * 2f64.powi(cut as i32);
            let want = if sum < 0 { -rounded } else { rounded };
            let x = [a as f64, b as f64, c as f64 * 2f64.powi(shift as i32)];
            if sum != 0 {
                assert_eq!(f64::from_bits(f.apply(x.map(f64::to_bits))), want, "fma.{mode}.f64 of {x:?}");
            }
        }
    }
}
