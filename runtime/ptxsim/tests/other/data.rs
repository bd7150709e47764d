//! The data of the launch descriptions: element types, and the generator that fills a buffer (README.md, section Data).
//!
//! Central type: [`Dtype`], a storage format with its rounding from f64. Knows neither kernels nor formulas.

/// A storage format of one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    F64,
    F32,
    F16,
    Bf16,
    E4m3,
    I32,
    U32,
    U16,
    I8,
    U8,
}

impl Dtype {
    /// The type that a launch description calls `name`.
    pub fn parse(name: &str) -> Result<Self, String> {
        Ok(match name {
            "f64" => Self::F64,
            "f32" => Self::F32,
            "f16" => Self::F16,
            "bf16" => Self::Bf16,
            "e4m3" => Self::E4m3,
            "i32" => Self::I32,
            "u32" => Self::U32,
            "u16" => Self::U16,
            "i8" => Self::I8,
            "u8" => Self::U8,
            _ => return Err(format!("unknown element type `{name}`")),
        })
    }

    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::Bf16 | Self::U16 => 2,
            Self::E4m3 | Self::I8 | Self::U8 => 1,
        }
    }

    /// Exponent and fraction bits of the narrow floating-point formats, all of them with subnormals.
    fn narrow(self) -> Option<(u32, u32)> {
        match self {
            Self::F16 => Some((5, 10)),
            Self::Bf16 => Some((8, 7)),
            Self::E4m3 => Some((4, 3)),
            _ => None,
        }
    }

    /// The bits of `value`, rounded to nearest even. Data stay within the finite range of their format.
    pub fn encode(self, value: f64) -> u64 {
        match self {
            Self::F64 => value.to_bits(),
            Self::F32 => u64::from((value as f32).to_bits()),
            Self::I32 | Self::U32 => u64::from(value as i64 as u32),
            Self::U16 => u64::from(value as i64 as u16),
            Self::I8 | Self::U8 => u64::from(value as i64 as u8),
            Self::F16 | Self::Bf16 | Self::E4m3 => {
                let (exponent_bits, fraction_bits) = self.narrow().expect("a narrow format");
                let sign = u64::from(value.is_sign_negative()) << (exponent_bits + fraction_bits);
                if value == 0.0 {
                    return sign;
                }
                let bias = (1 << (exponent_bits - 1)) - 1;
                // The weight of the last fraction bit; below the smallest normal number it stays the same.
                let exponent = (((value.to_bits() >> 52) & 0x7ff) as i32 - 1023).max(1 - bias);
                let steps = (value.abs() / 2f64.powi(exponent - fraction_bits as i32)).round_ties_even() as u64;
                // Steps beyond the fraction carry into the exponent, which is what the next binade's encoding is.
                sign | ((((exponent + bias - 1) as u64) << fraction_bits) + steps)
            }
        }
    }

    /// The value of an element with these bits.
    pub fn decode(self, bits: u64) -> f64 {
        match self {
            Self::F64 => f64::from_bits(bits),
            Self::F32 => f64::from(f32::from_bits(bits as u32)),
            Self::I32 => f64::from(bits as u32 as i32),
            Self::U32 => f64::from(bits as u32),
            Self::U16 => f64::from(bits as u16),
            Self::I8 => f64::from(bits as u8 as i8),
            Self::U8 => f64::from(bits as u8),
            Self::F16 | Self::Bf16 | Self::E4m3 => {
                let (exponent_bits, fraction_bits) = self.narrow().expect("a narrow format");
                let fraction = bits & ((1 << fraction_bits) - 1);
                let exponent = (bits >> fraction_bits) & ((1 << exponent_bits) - 1);
                let sign = if bits >> (exponent_bits + fraction_bits) & 1 == 1 { -1.0 } else { 1.0 };
                let top = (1 << exponent_bits) - 1;
                // e4m3 has no infinities and a single NaN per sign.
                let is_nan = if self == Self::E4m3 {
                    exponent == top && fraction == 7
                } else {
                    exponent == top && fraction != 0
                };
                if is_nan {
                    return f64::NAN;
                }
                if exponent == top && self != Self::E4m3 {
                    return sign * f64::INFINITY;
                }
                let hidden = if exponent == 0 { 0 } else { 1 << fraction_bits };
                let bias = (1 << (exponent_bits - 1)) - 1;
                let power = (exponent as i32).max(1) - bias - fraction_bits as i32;
                sign * (fraction + hidden) as f64 * 2f64.powi(power)
            }
        }
    }

    /// The value of the element in the first bytes of `memory`, little-endian.
    pub fn load(self, memory: &[u8]) -> f64 {
        let mut bits = [0; 8];
        bits[..self.size()].copy_from_slice(&memory[..self.size()]);
        self.decode(u64::from_le_bytes(bits))
    }
}

/// Where the elements of a buffer come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Data {
    /// Multiples of `scale`/2^23 in [-scale, scale).
    Uniform {
        seed: u64,
        scale: f64,
    },
    /// Whole numbers in [low, low + count).
    Integers {
        seed: u64,
        low: i64,
        count: u64,
    },
    Zeros,
    /// Nothing: the memory has no defined content.
    Uninitialised,
}

/// The word that element `index` is made from.
fn word(seed: u64, index: u64) -> u64 {
    let z = (index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(seed.wrapping_mul(0xD1B5_4A32_D192_ED03));
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Data {
    /// Element `index` before it is rounded to its type, or nothing where memory starts undefined.
    pub fn element(self, index: u64) -> Option<f64> {
        match self {
            Self::Uniform { seed, scale } => {
                let step = (word(seed, index) >> 40) as f64 - f64::from(1 << 23);
                Some(step * scale / f64::from(1 << 23))
            }
            Self::Integers { seed, low, count } => {
                Some((low + (((word(seed, index) >> 32) * count) >> 32) as i64) as f64)
            }
            Self::Zeros => Some(0.0),
            Self::Uninitialised => None,
        }
    }
}
