//! Conversions between dtypes, as [`CastMode`] documents them.

use super::memory::{from_bits, to_bits};
use super::{constant, odd_f32, register, round_float, saturated_float8, signed, wrap};
use crate::emit::{Builder, Cmp, FCmp, Ty, Val};
use tricot_kernel::{CastMode, Const};
use tricot_types::DType;

/// Converts a register value.
pub fn cast(b: &Builder, from: DType, to: DType, mode: CastMode, v: Val) -> Val {
    if mode == CastMode::Bits {
        return from_bits(b, to, to_bits(b, from, v));
    }
    if from == to {
        return v;
    }
    match (from, to) {
        (_, DType::Bool) if from.is_float() => b.cmp_f(FCmp::Une, v, b.zero(v.ty)),
        (_, DType::Bool) => b.cmp(Cmp::Ne, v, b.zero(v.ty)),
        (DType::Bool, _) if to.is_float() => b.int_to_float_u(v, register(to)),
        (DType::Bool, _) => b.resize_u(v, register(to)),
        _ if from.is_float() && to.is_float() => float_to_float(b, to, mode, v),
        _ if from.is_float() => float_to_int(b, to, v),
        _ if to.is_float() => int_to_float(b, from, to, mode, v),
        _ => int_to_int(b, from, to, mode, v),
    }
}

/// Largest finite value.
fn largest(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::MAX,
        DType::F32 => f64::from(f32::MAX),
        DType::F16 => 65504.0,
        DType::BF16 => 3.389_531_389_251_535_5e38,
        DType::F8E4M3 => 448.0,
        _ => 57344.0,
    }
}

fn float_to_float(b: &Builder, to: DType, mode: CastMode, v: Val) -> Val {
    if mode == CastMode::Round {
        return round_float(b, to, v);
    }
    // Finite values are clamped first; infinities and NaN convert as in `Round`.
    if matches!(to, DType::F8E4M3 | DType::F8E5M2) {
        let narrow = odd_f32(b, v);
        let infinite = b.cmp_f(FCmp::Oeq, b.abs_f(v), b.float(v.ty, f64::INFINITY));
        let saturated = from_bits(b, to, saturated_float8(b, to, narrow));
        return b.select(infinite, round_float(b, to, v), saturated);
    }
    let limit = largest(to);
    let bounded = b.max_f(b.min_f(v, b.float(v.ty, limit)), b.float(v.ty, -limit));
    let infinite = b.cmp_f(FCmp::Oeq, b.abs_f(v), b.float(v.ty, f64::INFINITY));
    round_float(b, to, b.select(infinite, v, bounded))
}

fn float_to_int(b: &Builder, to: DType, v: Val) -> Val {
    let ty = register(to);
    if to.bits() >= 32 {
        return if signed(to) { b.float_to_int_s(v, ty) } else { b.float_to_int_u(v, ty) };
    }
    let (low, high) = to.int_range().expect("integers have a range");
    let wide = b.float_to_int_s(v, Ty::I32);
    b.max_s(b.min_s(wide, b.i32(high as i32)), b.i32(low as i32))
}

fn int_to_float(b: &Builder, from: DType, to: DType, mode: CastMode, v: Val) -> Val {
    // Through f64 where that is exact, so that narrow results round once; 64-bit integers beyond 2^53 go straight to f32 or f64.
    let convert = |ty| if signed(from) { b.int_to_float_s(v, ty) } else { b.int_to_float_u(v, ty) };
    match to {
        DType::F64 => convert(Ty::F64),
        DType::F32 => convert(Ty::F32),
        _ if from.bits() < 32 => float_to_float(b, to, mode, convert(Ty::F32)),
        _ => float_to_float(b, to, mode, convert(Ty::F64)),
    }
}

fn int_to_int(b: &Builder, from: DType, to: DType, mode: CastMode, v: Val) -> Val {
    let resize = |v: Val, ty: Ty| if signed(from) { b.resize_s(v, ty) } else { b.resize_u(v, ty) };
    if mode == CastMode::Round {
        return wrap(b, to, resize(v, register(to)));
    }
    // Saturating: clamp in the source's own register, where both limits are compared as the source's kind.
    let (from_low, from_high) = from.int_range().expect("integers have a range");
    let (to_low, to_high) = to.int_range().expect("integers have a range");
    let mut v = v;
    let limit = |value: i128| constant(b, from, Const::Int(value as i64));
    if to_high < from_high {
        v = if signed(from) { b.min_s(v, limit(to_high)) } else { b.min_u(v, limit(to_high)) };
    }
    if to_low > from_low {
        v = b.max_s(v, limit(to_low));
    }
    wrap(b, to, resize(v, register(to)))
}
