//! Between registers and memory.

use super::register;
use crate::emit::{Builder, Elem, Ty, Val};
use tricot_types::DType;

/// The type one element has in memory; i4 and u4 share an i8 between two.
pub fn memory_type(dtype: DType) -> Ty {
    match dtype {
        DType::F64 => Ty::F64,
        DType::F32 => Ty::F32,
        DType::F16 => Ty::F16,
        DType::BF16 => Ty::BF16,
        _ => Ty::int(dtype.bits().max(8)),
    }
}

/// A loaded element in register form. For i4 and u4 the nibble must be in the low bits of an i8 or i32.
pub fn from_memory(b: &Builder, dtype: DType, v: Val) -> Val {
    match dtype {
        DType::F64 | DType::F32 | DType::I64 | DType::U64 | DType::I32 | DType::U32 => v,
        DType::F16 | DType::BF16 => b.resize_f(v, Ty::F32),
        DType::F8E4M3 | DType::F8E5M2 => {
            // Both convert exactly to f16 (PTX ISA, `cvt.rn.f16x2.e4m3x2`).
            let name = if dtype == DType::F8E4M3 { "e4m3x2" } else { "e5m2x2" };
            let text = format!("cvt.rn.f16x2.{name} $0, $1;");
            let pair = b.asm_pure(&text, "=r,h", &[b.resize_u(v, Ty::I16)], Ty::I32);
            b.resize_f(b.bitcast(b.resize_u(pair, Ty::I16), Ty::F16), Ty::F32)
        }
        DType::I16 | DType::I8 => b.resize_s(v, Ty::I32),
        DType::U16 | DType::U8 => b.resize_u(v, Ty::I32),
        DType::I4 | DType::U4 => super::wrap(b, dtype, b.resize_u(v, Ty::I32)),
        DType::Bool => b.cmp(crate::emit::Cmp::Ne, v, b.zero(v.ty)),
    }
}

/// A register value in memory form; for i4 and u4 an i8 whose low nibble counts and whose high nibble is zero.
pub fn to_memory(b: &Builder, dtype: DType, v: Val) -> Val {
    debug_assert_eq!(v.ty, register(dtype));
    match dtype {
        DType::F64 | DType::F32 | DType::I64 | DType::U64 | DType::I32 | DType::U32 => v,
        DType::F16 => b.resize_f(v, Ty::F16),
        DType::BF16 => b.resize_f(v, Ty::BF16),
        // The value is representable already.
        DType::F8E4M3 | DType::F8E5M2 => super::to_float8(b, dtype, v),
        DType::I16 | DType::U16 => b.resize_u(v, Ty::I16),
        DType::I8 | DType::U8 => b.resize_u(v, Ty::I8),
        DType::I4 | DType::U4 => b.and(b.resize_u(v, Ty::I8), b.int(Ty::I8, 15)),
        DType::Bool => b.resize_u(v, Ty::I8),
    }
}

/// The register value's bits as an integer of the dtype's width (i8 for the 4-bit types).
pub(crate) fn to_bits(b: &Builder, dtype: DType, v: Val) -> Val {
    let stored = to_memory(b, dtype, v);
    match stored.ty.elem {
        Elem::F16 | Elem::BF16 | Elem::F32 | Elem::F64 => b.bitcast(stored, stored.ty.as_int()),
        _ => stored,
    }
}

/// The register value with these bits.
pub(crate) fn from_bits(b: &Builder, dtype: DType, bits: Val) -> Val {
    let ty = memory_type(dtype);
    from_memory(b, dtype, if ty.is_float() { b.bitcast(bits, ty) } else { bits })
}
