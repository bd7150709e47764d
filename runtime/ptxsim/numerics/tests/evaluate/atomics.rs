//! What an atomic, or a reduction by a copy, leaves in memory that held `x[0]`.

use tricot_ptx_numerics::arith;
use tricot_ptx_numerics::format::{BF16, F16, F32, F64, Format, Round};
use tricot_ptx_numerics::minmax::{Pick, select};

pub fn evaluate(parts: &[&str], compared: &str, x: &[u64]) -> Option<u64> {
    const OPERATIONS: [&str; 10] = ["add", "min", "max", "inc", "dec", "and", "or", "xor", "exch", "cas"];
    let (ty, global) = (*parts.last()?, parts.contains(&"global"));
    let op = *parts.iter().rev().find(|part| OPERATIONS.contains(part))?;
    let add = |f: &Format, a: u64, b: u64| arith::add(f, a, b, Round::Near);
    let pair = |f: &Format| add(f, x[0] & 0xffff, x[1] & 0xffff) | add(f, x[0] >> 16, x[1] >> 16) << 16;
    match (op, ty) {
        // Atomics on global memory flush (PTX ISA 9.7.13.5), copies do not.
        ("add", "f32") if global && parts[0] != "cp" => {
            return Some(F32.flush(add(&F32, F32.flush(x[0]), F32.flush(x[1]))));
        }
        ("add", "f32") => return Some(add(&F32, x[0], x[1])),
        // The adder of global memory hands a NaN on as it is; shared memory has a loop around an addition.
        ("add", "f64") if global && F64.is_nan(x[1]) => return Some(x[1]),
        ("add", "f64") if global && F64.is_nan(x[0]) => return Some(x[0]),
        ("add", "f64") => return Some(add(&F64, x[1], x[0])),
        ("add", "f16") => return Some(add(&F16, x[0], x[1])),
        ("add", "bf16") => return Some(add(&BF16, x[0], x[1])),
        ("add", "f16x2") => return Some(pair(&F16)),
        ("add", "bf16x2") => return Some(pair(&BF16)),
        ("min" | "max", "f16" | "bf16") => {
            let (format, pick) =
                (if ty == "f16" { &F16 } else { &BF16 }, if op == "min" { Pick::Min } else { Pick::Max });
            return Some(select(format, pick, false, false, x[0], x[1]));
        }
        _ => {}
    }
    let width: u32 = ty[1..].parse().ok()?;
    let mask = u64::MAX >> (64 - width);
    let signed = |v: u64| (v << (64 - width)) as i64;
    let less = |a: u64, b: u64| if ty.starts_with('s') { signed(a) < signed(b) } else { a & mask < b & mask };
    let (a, b) = (x[0] & mask, x[1] & mask);
    let after = match op {
        "add" => a.wrapping_add(b),
        "min" => {
            if less(b, a) {
                b
            } else {
                a
            }
        }
        "max" => {
            if less(a, b) {
                b
            } else {
                a
            }
        }
        "inc" => {
            if a >= b {
                0
            } else {
                a + 1
            }
        }
        "dec" => {
            if a == 0 || a > b {
                b
            } else {
                a - 1
            }
        }
        "and" => a & b,
        "or" => a | b,
        "xor" => a ^ b,
        "exch" => b,
        "cas" if compared == "$a" || a == b => x[2],
        "cas" => a,
        _ => return None,
    };
    Some(after & mask)
}
