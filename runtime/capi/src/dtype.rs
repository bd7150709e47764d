//! Element types as C numbers them. The numbers never change; new types get new ones.

use crate::arguments::wrong;
use std::ffi::c_char;
use tricot_types::{DType, Diagnostic};

/// An element type: one of the `TRICOT_DTYPE_` constants.
pub type TricotDType = u32;

pub const TRICOT_DTYPE_F64: TricotDType = 1;
pub const TRICOT_DTYPE_F32: TricotDType = 2;
pub const TRICOT_DTYPE_F16: TricotDType = 3;
pub const TRICOT_DTYPE_BF16: TricotDType = 4;
/// OCP 8-bit float, 4 exponent and 3 mantissa bits, no infinities.
pub const TRICOT_DTYPE_F8E4M3: TricotDType = 5;
/// OCP 8-bit float, 5 exponent and 2 mantissa bits.
pub const TRICOT_DTYPE_F8E5M2: TricotDType = 6;
pub const TRICOT_DTYPE_I64: TricotDType = 7;
pub const TRICOT_DTYPE_I32: TricotDType = 8;
pub const TRICOT_DTYPE_I16: TricotDType = 9;
pub const TRICOT_DTYPE_I8: TricotDType = 10;
/// Two to a byte, the lower index in the low bits.
pub const TRICOT_DTYPE_I4: TricotDType = 11;
pub const TRICOT_DTYPE_U64: TricotDType = 12;
pub const TRICOT_DTYPE_U32: TricotDType = 13;
pub const TRICOT_DTYPE_U16: TricotDType = 14;
pub const TRICOT_DTYPE_U8: TricotDType = 15;
/// Two to a byte, the lower index in the low bits.
pub const TRICOT_DTYPE_U4: TricotDType = 16;
/// One byte an element, 0 or 1.
pub const TRICOT_DTYPE_BOOL: TricotDType = 17;

/// The number of a type.
pub const fn to_c(dtype: DType) -> TricotDType {
    match dtype {
        DType::F64 => TRICOT_DTYPE_F64,
        DType::F32 => TRICOT_DTYPE_F32,
        DType::F16 => TRICOT_DTYPE_F16,
        DType::BF16 => TRICOT_DTYPE_BF16,
        DType::F8E4M3 => TRICOT_DTYPE_F8E4M3,
        DType::F8E5M2 => TRICOT_DTYPE_F8E5M2,
        DType::I64 => TRICOT_DTYPE_I64,
        DType::I32 => TRICOT_DTYPE_I32,
        DType::I16 => TRICOT_DTYPE_I16,
        DType::I8 => TRICOT_DTYPE_I8,
        DType::I4 => TRICOT_DTYPE_I4,
        DType::U64 => TRICOT_DTYPE_U64,
        DType::U32 => TRICOT_DTYPE_U32,
        DType::U16 => TRICOT_DTYPE_U16,
        DType::U8 => TRICOT_DTYPE_U8,
        DType::U4 => TRICOT_DTYPE_U4,
        DType::Bool => TRICOT_DTYPE_BOOL,
    }
}

/// The type of a number. TC0892 when there is none.
pub fn from_c(number: TricotDType, what: &str) -> Result<DType, Diagnostic> {
    DType::ALL
        .into_iter()
        .find(|d| to_c(*d) == number)
        .ok_or_else(|| wrong(format!("{what}: {number} is no element type")).with_help("use a TRICOT_DTYPE_ constant"))
}

/// The type's name, such as `bf16`. The string is static; null when there is no such type. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn tricot_dtype_name(dtype: TricotDType) -> *const c_char {
    macro_rules! names {
        ($($dtype:ident $name:literal),*) => {
            match dtype {
                $($dtype => concat!($name, "\0").as_ptr().cast(),)*
                _ => std::ptr::null(),
            }
        };
    }
    names!(
        TRICOT_DTYPE_F64 "f64", TRICOT_DTYPE_F32 "f32", TRICOT_DTYPE_F16 "f16", TRICOT_DTYPE_BF16 "bf16",
        TRICOT_DTYPE_F8E4M3 "f8e4m3", TRICOT_DTYPE_F8E5M2 "f8e5m2", TRICOT_DTYPE_I64 "i64", TRICOT_DTYPE_I32 "i32",
        TRICOT_DTYPE_I16 "i16", TRICOT_DTYPE_I8 "i8", TRICOT_DTYPE_I4 "i4", TRICOT_DTYPE_U64 "u64",
        TRICOT_DTYPE_U32 "u32", TRICOT_DTYPE_U16 "u16", TRICOT_DTYPE_U8 "u8", TRICOT_DTYPE_U4 "u4",
        TRICOT_DTYPE_BOOL "bool"
    )
}

/// Bits of one element; 0 when there is no such type. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn tricot_dtype_bits(dtype: TricotDType) -> u32 {
    from_c(dtype, "dtype").map_or(0, |d| u32::from(d.bits()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    #[test]
    fn numbers_and_names_are_those_of_the_types() {
        for dtype in DType::ALL {
            assert_eq!(from_c(to_c(dtype), ""), Ok(dtype));
            // SAFETY: a static string.
            let name = unsafe { CStr::from_ptr(tricot_dtype_name(to_c(dtype))) };
            assert_eq!(name.to_str(), Ok(dtype.name()));
            assert_eq!(tricot_dtype_bits(to_c(dtype)), u32::from(dtype.bits()));
        }
        for number in [0, 18, u32::MAX] {
            assert_eq!(from_c(number, "").unwrap_err().code, "TC0892");
            assert!(tricot_dtype_name(number).is_null() && tricot_dtype_bits(number) == 0);
        }
    }
}
