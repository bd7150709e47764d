//! `cvt` between any two scalar types by way of exact intermediates (PTX ISA 9.7.9.21).

use super::arith::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Int { bits: u32, signed: bool },
    F16,
    Bf16,
    F32,
    F64,
}

impl Type {
    pub fn parse(name: &str) -> Option<Type> {
        Some(match name {
            "f16" => Type::F16,
            "bf16" => Type::Bf16,
            "f32" => Type::F32,
            "f64" => Type::F64,
            _ => {
                let bits: u32 = name[1..].parse().ok().filter(|b| matches!(b, 8 | 16 | 32 | 64))?;
                match &name[..1] {
                    "u" | "b" => Type::Int { bits, signed: false },
                    "s" => Type::Int { bits, signed: true },
                    _ => return None,
                }
            }
        })
    }

    pub fn bits(self) -> u32 {
        match self {
            Type::Int { bits, .. } => bits,
            Type::F16 | Type::Bf16 => 16,
            Type::F32 => 32,
            Type::F64 => 64,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    Nearest,
    Zero,
    Down,
    Up,
}

/// A conversion; `dst_bits` is the width of the destination register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    pub to: Type,
    pub from: Type,
    pub round: Round,
    /// `.rni` and its kin: to a whole number.
    pub whole: bool,
    pub saturate: bool,
    pub ftz: bool,
    pub dst_bits: u32,
}

fn whole(v: f64, round: Round) -> f64 {
    match round {
        Round::Nearest => v.round_ties_even(),
        Round::Zero => v.trunc(),
        Round::Down => v.floor(),
        Round::Up => v.ceil(),
    }
}

/// i128 to f32 bits in one rounding to nearest even.
fn int_f32(v: i128) -> u32 {
    if let Ok(s) = i64::try_from(v) { (s as f32).to_bits() } else { (v as u64 as f32).to_bits() }
}

/// One lane.
pub fn convert(spec: &Spec, bits: u64) -> u64 {
    let float = match spec.from {
        Type::Int { bits: width, signed } => {
            let value = if width == 64 {
                if signed { i128::from(bits as i64) } else { i128::from(bits) }
            } else {
                let low = bits & ((1 << width) - 1);
                if signed { i128::from((low << (64 - width)) as i64 >> (64 - width)) } else { i128::from(low) }
            };
            return match spec.to {
                Type::Int { .. } => to_int(spec, value),
                Type::F64 => {
                    let f = if let Ok(s) = i64::try_from(value) { s as f64 } else { value as u64 as f64 };
                    f.to_bits()
                }
                Type::F32 => u64::from(int_f32(value)),
                // 64 bits do not fit f64; the sticky bit keeps the second rounding right.
                Type::F16 | Type::Bf16 => {
                    let mut exact = value;
                    if value.unsigned_abs() >> 53 != 0 {
                        exact = value >> 11 << 11 | i128::from(value & 0x7ff != 0) << 11;
                    }
                    small(spec, exact as f64)
                }
            };
        }
        Type::F16 => f64::from(f16(bits as u32)),
        Type::Bf16 => f64::from(bf16(bits as u32)),
        Type::F32 => f64::from(f32::from_bits(if spec.ftz { ftz(bits as u32) } else { bits as u32 })),
        Type::F64 => f64::from_bits(bits),
    };
    let float = if spec.whole { whole(float, spec.round) } else { float };
    match spec.to {
        Type::Int { bits: width, signed } => {
            let (low, high) = range(width, signed);
            let value = if float.is_nan() {
                // NaN becomes 0, or the largest magnitude for 64-bit results from wide floats.
                if width == 64 && !matches!(spec.from, Type::F16 | Type::Bf16) { 1 << 63 } else { 0 }
            } else if float <= low as f64 {
                low
            } else if float >= high as f64 {
                high
            } else {
                float as i128
            };
            extend(value, width, signed, spec.dst_bits)
        }
        Type::F64 => nan64(float),
        Type::F32 => {
            let v = match spec.round {
                _ if spec.whole => float as f32,
                Round::Nearest => float as f32,
                Round::Zero | Round::Down | Round::Up => directed(float, spec.round),
            };
            let v = nan32(if spec.saturate { f32::from_bits(sat32(v)) } else { v });
            u64::from(if spec.ftz { ftz(v) } else { v })
        }
        Type::F16 | Type::Bf16 => small(spec, float),
    }
}

fn small(spec: &Spec, v: f64) -> u64 {
    let v = if spec.saturate { if v > 0.0 { v.min(1.0) } else { 0.0 } } else { v };
    u64::from(if spec.to == Type::F16 { to_f16_64(v) } else { to_bf16_64(v) })
}

/// f64 to f32 towards a direction.
fn directed(v: f64, round: Round) -> f32 {
    let near = v as f32;
    let back = f64::from(near);
    if back == v || v.is_nan() || v.is_infinite() {
        return near;
    }
    let smaller = match round {
        Round::Zero => back.abs() > v.abs(),
        Round::Down => back > v,
        _ => false,
    };
    let larger = round == Round::Up && back < v;
    if smaller && round == Round::Zero {
        f32::from_bits(near.to_bits() - 1)
    } else if smaller {
        near.next_down()
    } else if larger {
        near.next_up()
    } else {
        near
    }
}

fn range(bits: u32, signed: bool) -> (i128, i128) {
    if signed { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
}

fn to_int(spec: &Spec, value: i128) -> u64 {
    let Type::Int { bits, signed } = spec.to else { return 0 };
    let value = if spec.saturate {
        let (low, high) = range(bits, signed);
        value.clamp(low, high)
    } else {
        value
    };
    extend(value, bits, signed, spec.dst_bits)
}

/// The low `bits`, extended to a destination register.
fn extend(value: i128, bits: u32, signed: bool, dst: u32) -> u64 {
    let low = value as u64;
    let out = if bits >= 64 {
        low
    } else if signed {
        ((low << (64 - bits)) as i64 >> (64 - bits)) as u64
    } else {
        low & ((1 << bits) - 1)
    };
    if dst >= 64 { out } else { out & ((1 << dst) - 1) }
}
