//! Element types. tf32 is absent on purpose: it is a compute precision, never a storage type.

use std::fmt;
use std::str::FromStr;

/// The storage type of a tensor element.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum DType {
    F64,
    F32,
    F16,
    BF16,
    /// OCP 8-bit float, 4 exponent and 3 mantissa bits, no infinities (e4m3fn).
    F8E4M3,
    /// OCP 8-bit float, 5 exponent and 2 mantissa bits.
    F8E5M2,
    I64,
    I32,
    I16,
    I8,
    /// Signed 4-bit integer; two to a byte, the lower index in the low nibble.
    I4,
    U64,
    U32,
    U16,
    U8,
    /// Unsigned 4-bit integer; two to a byte, the lower index in the low nibble.
    U4,
    /// One byte an element, 0 or 1.
    Bool,
}

impl DType {
    /// Every element type, in the order the documentation lists them.
    pub const ALL: [DType; 17] = [
        DType::F64,
        DType::F32,
        DType::F16,
        DType::BF16,
        DType::F8E4M3,
        DType::F8E5M2,
        DType::I64,
        DType::I32,
        DType::I16,
        DType::I8,
        DType::I4,
        DType::U64,
        DType::U32,
        DType::U16,
        DType::U8,
        DType::U4,
        DType::Bool,
    ];

    /// The name used in graph text, manifests and messages.
    pub const fn name(self) -> &'static str {
        match self {
            DType::F64 => "f64",
            DType::F32 => "f32",
            DType::F16 => "f16",
            DType::BF16 => "bf16",
            DType::F8E4M3 => "f8e4m3",
            DType::F8E5M2 => "f8e5m2",
            DType::I64 => "i64",
            DType::I32 => "i32",
            DType::I16 => "i16",
            DType::I8 => "i8",
            DType::I4 => "i4",
            DType::U64 => "u64",
            DType::U32 => "u32",
            DType::U16 => "u16",
            DType::U8 => "u8",
            DType::U4 => "u4",
            DType::Bool => "bool",
        }
    }

    /// Bits one element occupies in memory.
    pub const fn bits(self) -> u32 {
        match self {
            DType::F64 | DType::I64 | DType::U64 => 64,
            DType::F32 | DType::I32 | DType::U32 => 32,
            DType::F16 | DType::BF16 | DType::I16 | DType::U16 => 16,
            DType::F8E4M3 | DType::F8E5M2 | DType::I8 | DType::U8 | DType::Bool => 8,
            DType::I4 | DType::U4 => 4,
        }
    }

    /// Bytes that `elements` elements occupy, sub-byte types rounded up to a whole byte.
    /// `None` when the count overflows.
    pub fn bytes(self, elements: u64) -> Option<u64> {
        elements.checked_mul(u64::from(self.bits())).map(|b| b.div_ceil(8))
    }

    /// f64, f32, f16, bf16 or one of the 8-bit floats.
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F64 | DType::F32 | DType::F16 | DType::BF16 | DType::F8E4M3 | DType::F8E5M2)
    }

    /// A signed or unsigned integer; `bool` is not one.
    pub const fn is_int(self) -> bool {
        !self.is_float() && !matches!(self, DType::Bool)
    }

    /// i64, i32, i16, i8 or i4.
    pub const fn is_signed_int(self) -> bool {
        matches!(self, DType::I64 | DType::I32 | DType::I16 | DType::I8 | DType::I4)
    }

    /// The type in which arithmetic on this type is carried out before rounding back:
    /// 16- and 8-bit floats compute in f32, 4-bit integers in i32/u32, all others in themselves.
    pub const fn compute(self) -> DType {
        match self {
            DType::F16 | DType::BF16 | DType::F8E4M3 | DType::F8E5M2 => DType::F32,
            DType::I4 => DType::I32,
            DType::U4 => DType::U32,
            other => other,
        }
    }

    /// Unit round-off (half an ulp at 1.0) of a float type; 0 for integers and `bool`.
    pub fn unit_roundoff(self) -> f64 {
        match self {
            DType::F64 => 2f64.powi(-53),
            DType::F32 => 2f64.powi(-24),
            DType::F16 => 2f64.powi(-11),
            DType::BF16 => 2f64.powi(-8),
            DType::F8E4M3 => 2f64.powi(-4),
            DType::F8E5M2 => 2f64.powi(-3),
            _ => 0.0,
        }
    }

    /// Smallest and largest representable integer; `None` for floats.
    pub const fn int_range(self) -> Option<(i128, i128)> {
        Some(match self {
            DType::I64 => (i64::MIN as i128, i64::MAX as i128),
            DType::I32 => (i32::MIN as i128, i32::MAX as i128),
            DType::I16 => (i16::MIN as i128, i16::MAX as i128),
            DType::I8 => (i8::MIN as i128, i8::MAX as i128),
            DType::I4 => (-8, 7),
            DType::U64 => (0, u64::MAX as i128),
            DType::U32 => (0, u32::MAX as i128),
            DType::U16 => (0, u16::MAX as i128),
            DType::U8 => (0, u8::MAX as i128),
            DType::U4 => (0, 15),
            DType::Bool => (0, 1),
            _ => return None,
        })
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DType {
    type Err = String;
    /// Reads a [`DType::name`].
    fn from_str(s: &str) -> Result<Self, String> {
        DType::ALL.into_iter().find(|d| d.name() == s).ok_or_else(|| format!("unknown element type `{s}`"))
    }
}

impl serde::Serialize for DType {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.name())
    }
}

impl<'de> serde::Deserialize<'de> for DType {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<str>::deserialize(d)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}
