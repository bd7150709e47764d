//! Floats: arithmetic, comparisons, conversions, approximations.

use super::Expect;
use tricot_ptx_numerics::arith;
use tricot_ptx_numerics::convert::{Convert, Type, saturate};
use tricot_ptx_numerics::format::{BF16, Class, F16, F32, F64, Format, Round};
use tricot_ptx_numerics::minmax::{Pick, select};

fn format(name: &str) -> Option<(&'static Format, bool)> {
    Some(match name {
        "f64" => (&F64, false),
        "f32" => (&F32, false),
        "f16" => (&F16, false),
        "bf16" => (&BF16, false),
        "f16x2" => (&F16, true),
        "bf16x2" => (&BF16, true),
        _ => return None,
    })
}

fn round(parts: &[&str]) -> Round {
    let has = |names: [&str; 2]| parts.iter().any(|p| names.contains(p));
    match () {
        () if has(["rz", "rzi"]) => Round::Zero,
        () if has(["rm", "rmi"]) => Round::Down,
        () if has(["rp", "rpi"]) => Round::Up,
        () if has(["rna", "rna"]) => Round::NearAway,
        () => Round::Near,
    }
}

pub fn evaluate(parts: &[&str], x: &[u64]) -> Option<Expect> {
    match parts[0] {
        "cvt" => return convert(parts, x).map(Expect::Exact),
        "setp" | "testp" | "set" | "slct" => return compare(parts, x).map(Expect::Exact),
        _ => {}
    }
    let (f, packed) = format(parts.last()?)?;
    if !packed {
        return scalar(parts, f, x);
    }
    let half = |shift: u32| scalar(parts, f, &x.iter().map(|v| v >> shift & 0xffff).collect::<Vec<_>>());
    Some(Expect::Halves(Box::new(half(0)?), Box::new(half(16)?)))
}

fn scalar(parts: &[&str], f: &'static Format, x: &[u64]) -> Option<Expect> {
    let has = |name: &str| parts.contains(&name);
    if has("approx") || has("full") {
        return approximate(parts, f, x);
    }
    let flush = |bits: u64| if has("ftz") { f.flush(bits) } else { bits };
    let y: Vec<u64> = x.iter().map(|&bits| flush(bits)).collect();
    let mode = round(parts);
    let sign = f.zero(true);
    // The NaN of either sign that `.oob` takes for a missing operand.
    let missing = |bits: u64| has("oob") && bits & 0x7fff == 0x7ff7;
    let out = match parts[0] {
        "add" => arith::add(f, y[0], y[1], mode),
        "sub" => arith::sub(f, y[0], y[1], mode),
        "mul" => arith::mul(f, y[0], y[1], mode),
        "div" => arith::div(f, y[0], y[1], mode),
        "fma" if missing(x[0]) || missing(x[1]) => 0,
        "fma" => arith::fma(f, y[0], y[1], y[2], mode),
        "rcp" => arith::rcp(f, y[0], mode),
        "sqrt" => arith::sqrt(f, y[0], mode),
        "abs" => arith::abs(f, y[0]),
        "neg" => arith::neg(f, y[0]),
        "copysign" => return Some(Expect::Exact(y[0] & sign | y[1] & !sign)),
        "min" => select(f, Pick::Min, has("NaN"), has("xorsign"), y[0], y[1]),
        "max" => select(f, Pick::Max, has("NaN"), has("xorsign"), y[0], y[1]),
        _ => return None,
    };
    let out = flush(out);
    let out = if has("sat") { saturate(f, out) } else { out };
    let out = if has("relu") && !f.is_nan(out) && out & sign != 0 { 0 } else { out };
    Some(Expect::Exact(out))
}

/// Approximations; the errors are those of the ISA's description of each instruction.
fn approximate(parts: &[&str], f: &'static Format, x: &[u64]) -> Option<Expect> {
    let has = |name: &str| parts.contains(&name);
    let flush = |bits: u64| if has("ftz") { f.flush(bits) } else { bits };
    // The approximations of f64 with `.ftz` look at the upper half.
    let seen = |bits: u64| if *f == F64 && has("ftz") { bits & !0xffff_ffff } else { bits };
    let v: Vec<f64> = x.iter().map(|&bits| f.to_f64(flush(seen(bits)))).collect();
    let ulp = 2f64.powi(-(f.man_bits as i32));
    let tiny = f.to_f64(1);
    let normal = 2f64.powi(f.min_exp());
    let (value, mut absolute, relative) = match parts[0] {
        "div" => (v[0] / v[1], tiny, 2.0 * ulp),
        "rcp" if *f == F64 => (1.0 / v[0], 0.0, 2f64.powi(-20)),
        "rcp" => (1.0 / v[0], tiny, ulp),
        "sqrt" => (v[0].sqrt(), tiny, 2f64.powi(-23)),
        "rsqrt" if *f == F64 => (1.0 / v[0].sqrt(), 0.0, 2f64.powi(-20)),
        "rsqrt" => (1.0 / v[0].sqrt(), tiny, 2f64.powf(-22.9)),
        // The bound holds within two turns; beyond, only the range is known.
        "sin" | "cos" => {
            let value = if parts[0] == "sin" { v[0].sin() } else { v[0].cos() };
            (value, if v[0].abs() <= std::f64::consts::TAU { 2f64.powf(-20.5) } else { 2.0 }, 0.0)
        }
        "lg2" => (v[0].log2(), 2f64.powi(-22), 2f64.powi(-22)),
        "ex2" if *f == F16 => (v[0].exp2(), tiny, 2f64.powf(-9.9)),
        "ex2" if *f == BF16 => (v[0].exp2(), tiny, 2f64.powi(-7)),
        "ex2" => (v[0].exp2(), tiny, 2.0 * ulp),
        "tanh" if *f == F16 => (v[0].tanh(), 2f64.powf(-10.987), 0.0),
        "tanh" if *f == BF16 => (v[0].tanh(), 2f64.powi(-8), 0.0),
        "tanh" => (v[0].tanh(), tiny, 2f64.powi(-11)),
        _ => return None,
    };
    if has("ftz") && value.abs() < normal * (1.0 + relative) {
        absolute = absolute.max(normal);
    }
    // div.approx with a divisor above 2^126 may give 0.
    if parts[0] == "div" && has("approx") && v[1].abs() > 2f64.powi(126) {
        absolute = absolute.max(value.abs());
    }
    Some(Expect::Near { format: f, value, absolute, relative })
}

fn convert(parts: &[&str], x: &[u64]) -> Option<u64> {
    let has = |name: &str| parts.contains(&name);
    let (to, from) = (parts[parts.len() - 2], parts[parts.len() - 1]);
    let one = |to: &str, from: &str, bits: u64| -> Option<u64> {
        let whole = ["rni", "rzi", "rmi", "rpi"].iter().any(|r| has(r));
        Some(
            Convert {
                to: Type::parse(to)?,
                from: Type::parse(from)?,
                round: round(parts),
                whole,
                sat: has("sat"),
                finite: has("satfinite"),
                relu: has("relu"),
                ftz: has("ftz"),
            }
            .apply(bits),
        )
    };
    let Some(half) = to.strip_suffix("x2") else { return one(to, from, x[0]) };
    let width = if half.starts_with('e') { 8 } else { 16 };
    let (high, low, source) = match from.strip_suffix("x2") {
        None => (x[0], x[1], from),
        Some(source) => {
            let bits = if source.starts_with('e') { 8 } else { 16 };
            (x[0] >> bits, x[0] & ((1 << bits) - 1), source)
        }
    };
    Some(one(half, source, high)? << width | one(half, source, low)?)
}

/// How two numbers compare under the name of a comparison.
fn holds(op: &str, a: f64, b: f64) -> Option<bool> {
    let nan = a.is_nan() || b.is_nan();
    Some(match op {
        "eq" => a == b,
        "ne" => !nan && a != b,
        "lt" => a < b,
        "le" => a <= b,
        "gt" => a > b,
        "ge" => a >= b,
        "equ" => nan || a == b,
        "neu" => a != b,
        "ltu" => nan || a < b,
        "leu" => nan || a <= b,
        "gtu" => nan || a > b,
        "geu" => nan || a >= b,
        "num" => !nan,
        "nan" => nan,
        _ => return None,
    })
}

fn compare(parts: &[&str], x: &[u64]) -> Option<u64> {
    let (f, packed) = format(parts.last()?)?;
    let flush = |bits: u64| if parts.contains(&"ftz") { f.flush(bits) } else { bits };
    let value = |bits: u64| f.to_f64(flush(bits));
    match parts[0] {
        "setp" if packed => {
            let half = |s: u32| holds(parts[1], value(x[0] >> s & 0xffff), value(x[1] >> s & 0xffff)).map(u64::from);
            Some(half(0)? | half(16)? << 1)
        }
        "setp" => holds(parts[1], value(x[0]), value(x[1])).map(u64::from),
        "set" if packed => {
            let one = match parts[parts.len() - 2] {
                "f16x2" => 0x3c00,
                "bf16x2" => 0x3f80,
                _ => 0xffff,
            };
            let half = |s: u32| holds(parts[1], value(x[0] >> s & 0xffff), value(x[1] >> s & 0xffff));
            Some(if half(0)? { one } else { 0 } | if half(16)? { one << 16 } else { 0 })
        }
        "set" => {
            let on = holds(parts[1], value(x[0]), value(x[1]))?;
            let one = match parts[parts.len() - 2] {
                "f32" => 0x3f80_0000,
                "f16" => 0x3c00,
                "bf16" => 0x3f80,
                _ => 0xffff_ffff,
            };
            Some(if on { one } else { 0 })
        }
        "slct" => Some(if value(x[2]) >= 0.0 { x[0] } else { x[1] }),
        "testp" => {
            let u = f.unpack(x[0]);
            // Zero counts as normal.
            let subnormal = u.class == Class::Finite && u.man >> f.man_bits == 0;
            Some(u64::from(match parts[1] {
                "finite" => matches!(u.class, Class::Finite | Class::Zero),
                "infinite" => u.class == Class::Infinite,
                "number" => u.class != Class::Nan,
                "notanumber" => u.class == Class::Nan,
                "normal" => matches!(u.class, Class::Finite | Class::Zero) && !subnormal,
                "subnormal" => subnormal,
                _ => return None,
            }))
        }
        _ => None,
    }
}
