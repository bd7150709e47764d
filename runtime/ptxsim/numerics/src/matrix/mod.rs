//! The matrix unit: what `wgmma` and `mma.sync` compute, and where their operands lie.
//!
//! | module | subject |
//! |---|---|
//! | [`exact`] | the arithmetic of the tensor core, bit for bit |
//! | [`assembled`] | products that are made of others |
//! | [`fast`] | plain f32 instead |
//! | [`fragment`] | which thread holds which element |
//! | [`shared`] | matrix descriptors and swizzles of shared memory |
//! | [`sparse`] | 2:4 metadata |
//!
//! It knows neither registers nor memory: positions are rows, columns and byte offsets.

pub mod assembled;
pub mod exact;
pub mod fast;
pub mod fragment;
pub mod shared;
pub mod sparse;

use crate::format::{self, Format};

/// An element type of A or B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elem {
    F64,
    Tf32,
    F16,
    Bf16,
    E4m3,
    E5m2,
    S8,
    U8,
    S4,
    U4,
    B1,
}

impl Elem {
    /// The type of a PTX suffix (`bf16`).
    pub fn parse(name: &str) -> Option<Elem> {
        Some(match name {
            "f64" => Elem::F64,
            "tf32" => Elem::Tf32,
            "f16" => Elem::F16,
            "bf16" => Elem::Bf16,
            "e4m3" => Elem::E4m3,
            "e5m2" => Elem::E5m2,
            "s8" => Elem::S8,
            "u8" => Elem::U8,
            "s4" => Elem::S4,
            "u4" => Elem::U4,
            "b1" => Elem::B1,
            _ => return None,
        })
    }

    /// Bits in memory and registers; tf32 takes a 32-bit word.
    pub fn bits(self) -> u32 {
        match self {
            Elem::F64 => 64,
            Elem::Tf32 => 32,
            Elem::F16 | Elem::Bf16 => 16,
            Elem::E4m3 | Elem::E5m2 | Elem::S8 | Elem::U8 => 8,
            Elem::S4 | Elem::U4 => 4,
            Elem::B1 => 1,
        }
    }

    /// The floating-point format, or `None` for integers.
    pub fn format(self) -> Option<&'static Format> {
        match self {
            Elem::F64 => Some(&format::F64),
            Elem::Tf32 => Some(&format::TF32),
            Elem::F16 => Some(&format::F16),
            Elem::Bf16 => Some(&format::BF16),
            Elem::E4m3 => Some(&format::E4M3),
            Elem::E5m2 => Some(&format::E5M2),
            _ => None,
        }
    }

    /// The value of an integer element.
    pub fn integer(self, bits: u32) -> i32 {
        match self {
            Elem::S8 => i32::from(bits as i8),
            Elem::U8 => i32::from(bits as u8),
            Elem::S4 => (bits << 28) as i32 >> 28,
            Elem::U4 => (bits & 15) as i32,
            _ => (bits & 1) as i32,
        }
    }
}
