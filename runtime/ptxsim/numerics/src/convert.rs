//! `cvt` between any two scalar formats (PTX ISA 9.7.9.21).
//!
//! Central types: [`Type`] and [`Convert`]. Packed forms convert each half by the same function.

use crate::format::{BF16, Class, E4M3, E5M2, F16, F32, F64, Format, Overflow, Round, TF32, Unpacked};
use crate::nan;

/// The type of a source or destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Int { bits: u32, signed: bool },
    Float(&'static Format),
}

impl Type {
    /// The type of a PTX suffix (`s32`, `bf16`, `e4m3`).
    pub fn parse(name: &str) -> Option<Type> {
        Some(match name {
            "f64" => Type::Float(&F64),
            "f32" => Type::Float(&F32),
            "f16" => Type::Float(&F16),
            "bf16" => Type::Float(&BF16),
            "tf32" => Type::Float(&TF32),
            "e4m3" => Type::Float(&E4M3),
            "e5m2" => Type::Float(&E5M2),
            _ => {
                let signed = name.starts_with('s');
                let bits = name.strip_prefix(['s', 'u'])?.parse().ok()?;
                matches!(bits, 8 | 16 | 32 | 64).then_some(Type::Int { bits, signed })?
            }
        })
    }
}

/// One conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convert {
    pub to: Type,
    pub from: Type,
    pub round: Round,
    /// `.rni` and its kin, float to float: to a whole number.
    pub whole: bool,
    /// `.sat`: integers clamp, floats go to [0, 1].
    pub sat: bool,
    /// `.satfinite`.
    pub finite: bool,
    /// `.relu`: negative results become +0; a NaN stays.
    pub relu: bool,
    pub ftz: bool,
}

/// Smallest and largest value of an integer type.
fn range(bits: u32, signed: bool) -> (i128, i128) {
    if signed { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
}

/// A finite number rounded to a whole one, saturated to 127 bits.
fn whole(u: &Unpacked, mode: Round) -> i128 {
    let man = u128::from(u.man);
    let magnitude = if u.exp >= 0 {
        if u.exp > 62 { i128::MAX as u128 } else { man << u.exp }
    } else {
        let shift = -u.exp as u32;
        let (kept, rest, half) =
            if shift > 100 { (0, 1, 2) } else { (man >> shift, man & ((1 << shift) - 1), 1 << (shift - 1)) };
        let up = match mode {
            Round::Near => rest > half || rest == half && kept & 1 == 1,
            Round::NearAway => rest >= half,
            Round::Zero => false,
            Round::Down => u.negative && rest != 0,
            Round::Up => !u.negative && rest != 0,
        };
        kept + u128::from(up)
    };
    if u.negative { -(magnitude as i128) } else { magnitude as i128 }
}

impl Convert {
    /// Converts `bits`. The result is zero-extended; a signed integer is sign-extended to 64 bits, for the caller to cut to the
    /// width of its register.
    pub fn apply(&self, bits: u64) -> u64 {
        let value = match self.from {
            Type::Int { bits: width, signed } => {
                let (low, _) = range(width, signed);
                let unsigned = i128::from(bits & (u64::MAX >> (64 - width)));
                let value = if signed && unsigned >= -low { unsigned + 2 * low } else { unsigned };
                if let Type::Int { bits: width, signed } = self.to {
                    let (low, high) = range(width, signed);
                    return extend(if self.sat { value.clamp(low, high) } else { value }, width, signed);
                }
                let class = if value == 0 { Class::Zero } else { Class::Finite };
                Unpacked { class, negative: value < 0, exp: 0, man: value.unsigned_abs() as u64 }
            }
            Type::Float(f) => {
                // `.ftz` is about f32 only. Where f16 is made of it the ISA has subnormals flushed, but ptxas drops the `.ftz`.
                let flushed = self.ftz && *f == F32 && self.to != Type::Float(&F16);
                f.unpack(if flushed { f.flush(bits) } else { bits })
            }
        };
        match (self.to, self.from) {
            (Type::Int { bits: width, signed }, _) => self.int(&value, width, signed),
            (Type::Float(to), Type::Float(from)) if value.class == Class::Nan => self.nan(from, to, bits),
            (Type::Float(f), _) => self.float(value, f),
        }
    }

    fn int(&self, value: &Unpacked, width: u32, signed: bool) -> u64 {
        let (low, high) = range(width, signed);
        let result = match value.class {
            Class::Zero => 0,
            // NaN gives 0, or the top bit where the source or the result has 64 bits.
            Class::Nan if width == 64 || self.from == Type::Float(&F64) => -(1 << (width - 1)),
            Class::Nan => 0,
            Class::Infinite => {
                if value.negative {
                    low
                } else {
                    high
                }
            }
            Class::Finite => whole(value, self.round).clamp(low, high),
        };
        extend(result, width, signed)
    }

    /// The float for the NaN `bits`.
    fn nan(&self, from: &Format, to: &Format, bits: u64) -> u64 {
        match self.round {
            _ if self.sat => 0,
            // `.rna` is a sequence of integer instructions. The ISA wants a NaN, but the low bits are cut off even if that
            // leaves infinity, and `.satfinite` subtracts one as from infinity, which it makes the largest number.
            Round::NearAway => (bits >> to.low).wrapping_sub(self.finite.into()) << to.low,
            // The subnormals of an f32 that becomes f64 are flushed by arithmetic, which leaves one NaN.
            _ if self.ftz && *to == F64 => nan::converted(from, to, from.nan),
            _ => nan::converted(from, to, bits),
        }
    }

    /// The float for a value that is not NaN.
    fn float(&self, mut value: Unpacked, f: &Format) -> u64 {
        if self.whole && value.class == Class::Finite && value.exp < 0 {
            let n = whole(&value, self.round);
            value = Unpacked {
                class: if n == 0 { Class::Zero } else { Class::Finite },
                exp: 0,
                man: n.unsigned_abs() as u64,
                ..value
            };
        }
        let overflow = if self.finite { Overflow::Finite } else { Overflow::Ieee };
        let mut out = f.from(&value, self.round, overflow);
        if self.ftz && *f == F32 {
            out = f.flush(out);
        }
        if self.relu && value.negative {
            out = f.zero(false);
        }
        if self.sat { saturate(f, out) } else { out }
    }
}

/// The low `bits`, extended to 64.
fn extend(value: i128, bits: u32, signed: bool) -> u64 {
    let up = 64 - bits;
    if signed { (((value as u64) << up) as i64 >> up) as u64 } else { (value as u64) << up >> up }
}

/// `.sat`: clamps to [0, 1]; NaN becomes +0.
pub fn saturate(f: &Format, bits: u64) -> u64 {
    let u = f.unpack(bits);
    let one = (f.bias() as u64) << (f.man_bits + f.low);
    match u.class {
        Class::Nan => 0,
        _ if u.negative => 0,
        _ => bits.min(one),
    }
}
