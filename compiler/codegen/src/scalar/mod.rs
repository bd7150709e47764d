//! Scalars of every [`DType`]: how they sit in registers and in memory, and the arithmetic of expression nodes.
//!
//! In registers ([`register`]): f64 and f32 as themselves; f16, bf16 and the 8-bit floats as f32, always rounded to their type;
//! 64- and 32-bit integers as themselves; narrower integers as i32, always sign- or zero-extended; bool as i1.
//! This module knows no loop and no address.

mod cast;
mod memory;
mod ops;

pub use cast::cast;
pub use memory::{from_memory, memory_type, to_memory};
pub(crate) use ops::constant_power;
pub use ops::{binary, unary};

use crate::emit::{Builder, Ty, Val};
use tricot_kernel::{Combine, Const};
use tricot_types::DType;

/// The register type of a dtype.
pub fn register(dtype: DType) -> Ty {
    match dtype {
        DType::F64 => Ty::F64,
        DType::F32 | DType::F16 | DType::BF16 | DType::F8E4M3 | DType::F8E5M2 => Ty::F32,
        DType::I64 | DType::U64 => Ty::I64,
        DType::I32 | DType::U32 | DType::I16 | DType::U16 | DType::I8 | DType::U8 | DType::I4 | DType::U4 => Ty::I32,
        DType::Bool => Ty::I1,
    }
}

/// Whether integer values are sign-extended.
pub fn signed(dtype: DType) -> bool {
    dtype.is_signed_int()
}

/// A constant in register form; floats are rounded to the dtype, integers wrapped.
pub fn constant(b: &Builder, dtype: DType, value: Const) -> Val {
    let ty = register(dtype);
    match (dtype, value) {
        (DType::Bool, Const::Int(i)) => b.bool(i != 0),
        (DType::Bool, Const::Float(bits)) => b.bool(f64::from_bits(bits) != 0.0),
        (d, Const::Float(bits)) if d.is_float() => {
            let v = f64::from_bits(bits);
            match d {
                DType::F64 => b.float(ty, v),
                DType::F32 => b.float(ty, v),
                _ => round_float(b, d, b.float(Ty::F64, v)),
            }
        }
        (d, Const::Int(i)) if d.is_float() => constant(b, d, Const::Float((i as f64).to_bits())),
        (d, Const::Float(bits)) => constant(b, d, Const::Int(f64::from_bits(bits) as i64)),
        (d, Const::Int(i)) => {
            let unused = 64 - d.bits();
            let wrapped = if signed(d) { (i << unused) >> unused } else { ((i as u64) << unused >> unused) as i64 };
            // Unsigned 32-bit constants as the i32 of the same bits.
            b.int(ty, if ty == Ty::I32 { i64::from(wrapped as i32) } else { wrapped })
        }
    }
}

/// Brings the result of 32-bit integer arithmetic back into the range of a narrow integer type.
pub(crate) fn wrap(b: &Builder, dtype: DType, v: Val) -> Val {
    let bits = dtype.bits();
    if dtype.is_float() || bits >= 32 || dtype == DType::Bool {
        return v;
    }
    let unused = b.i32(32 - bits as i32);
    let up = b.shl(v, unused);
    if signed(dtype) { b.shr_s(up, unused) } else { b.shr_u(up, unused) }
}

/// Rounds an f32 or f64 to a float dtype, in its register form; overflow to infinity (NaN for e4m3).
pub(crate) fn round_float(b: &Builder, dtype: DType, v: Val) -> Val {
    match dtype {
        DType::F64 | DType::F32 => b.resize_f(v, register(dtype)),
        DType::F16 | DType::BF16 => {
            let narrow = if dtype == DType::F16 { Ty::F16 } else { Ty::BF16 };
            // bf16 from f64 goes through an f32 rounded to odd, which a second rounding cannot spoil.
            let v = if dtype == DType::BF16 { odd_f32(b, v) } else { v };
            b.resize_f(b.resize_f(v, narrow), Ty::F32)
        }
        _ => from_memory(b, dtype, to_float8(b, dtype, v)),
    }
}

/// An f64 rounded to f32 so that a later rounding to fewer bits is right; f32 stays.
pub(crate) fn odd_f32(b: &Builder, v: Val) -> Val {
    use crate::emit::FCmp;
    if v.ty == Ty::F32 {
        return v;
    }
    let toward_zero = b.asm_pure("cvt.rz.f32.f64 $0, $1;", "=f,d", &[v], Ty::F32);
    let inexact = b.cmp_f(FCmp::One, b.resize_f(toward_zero, Ty::F64), v);
    let bits = b.bitcast(toward_zero, Ty::I32);
    // Infinity from a finite value cannot happen when rounding toward zero, so setting the last bit never makes a NaN of one.
    b.bitcast(b.or(bits, b.resize_u(inexact, Ty::I32)), Ty::F32)
}

/// The bits (i8) of an f32 or f64 rounded to an 8-bit float, overflow to infinity (e5m2) or NaN (e4m3).
pub(crate) fn to_float8(b: &Builder, dtype: DType, v: Val) -> Val {
    use crate::emit::FCmp;
    let v = odd_f32(b, v);
    let bits = saturated_float8(b, dtype, v);
    let magnitude = b.abs_f(v);
    // e4m3: 448 is the largest, 464 the tie that still rounds down to even. e5m2: 57344, and the tie 61440 rounds up.
    let (over, bits_over) = match dtype {
        DType::F8E4M3 => (b.cmp_f(FCmp::Ogt, magnitude, b.f32(464.0)), 0x7f),
        _ => (b.cmp_f(FCmp::Oge, magnitude, b.f32(61440.0)), 0x7c),
    };
    let sign = b.and(b.shr_u(b.bitcast(v, Ty::I32), b.i32(24)), b.i32(0x80));
    let overflowed = b.resize_u(b.or(sign, b.i32(bits_over)), Ty::I8);
    b.select(over, overflowed, bits)
}

/// The bits (i8) of an f32 rounded to an 8-bit float, everything too large to the largest finite value, NaN kept
/// (PTX ISA, `cvt.rn.satfinite.e4m3x2.f32`).
pub(crate) fn saturated_float8(b: &Builder, dtype: DType, v: Val) -> Val {
    let name = if dtype == DType::F8E4M3 { "e4m3x2" } else { "e5m2x2" };
    let text = format!("cvt.rn.satfinite.{name}.f32 $0, $1, $2;");
    let pair = b.asm_pure(&text, "=h,f,f", &[b.f32(0.0), v], Ty::I16);
    b.resize_u(pair, Ty::I8)
}

/// The neutral element of an accumulator, in register form. For `ArgMin` and `ArgMax` that of the compared value.
pub fn identity(b: &Builder, combine: Combine, dtype: DType) -> Val {
    let ty = register(dtype);
    if dtype == DType::Bool {
        return b.bool(matches!(combine, Combine::And | Combine::Prod | Combine::Min | Combine::ArgMin { .. }));
    }
    if dtype.is_float() {
        return match combine {
            Combine::Prod | Combine::And => b.float(ty, 1.0),
            Combine::Min | Combine::ArgMin { .. } => b.float(ty, f64::INFINITY),
            Combine::Max | Combine::ArgMax { .. } => b.float(ty, f64::NEG_INFINITY),
            Combine::Sum | Combine::Or => b.float(ty, 0.0),
        };
    }
    let (low, high) = dtype.int_range().expect("integers have a range");
    let value = match combine {
        Combine::Prod => 1,
        Combine::And => -1,
        Combine::Min | Combine::ArgMin { .. } => high,
        Combine::Max | Combine::ArgMax { .. } => low,
        Combine::Sum | Combine::Or => 0,
    };
    constant(b, dtype, Const::Int(value as i64))
}
