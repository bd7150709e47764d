//! Binary floating-point formats and the one rounding function everything else goes through.
//!
//! Central types: [`Format`] (how bits spell a number) and [`Unpacked`] (the number). This module does not know instructions.

/// Rounding of an exact value to a format (PTX ISA, "Rounding Modifiers").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// `.rn`: nearest, ties to even.
    Near,
    /// `.rna`: nearest, ties away from zero.
    NearAway,
    /// `.rz`: towards zero.
    Zero,
    /// `.rm`: towards minus infinity.
    Down,
    /// `.rp`: towards plus infinity.
    Up,
}

/// What becomes of a magnitude beyond the largest finite one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// IEEE 754: infinity or the largest finite number, as the rounding direction says.
    Ieee,
    /// `.satfinite`: the largest finite number.
    Finite,
}

/// How the bits of a format are laid out: sign, `exp_bits` of exponent, `man_bits` of fraction, `low` unused bits.
///
/// ```text
/// f32  s eeeeeeee mmmmmmmmmmmmmmmmmmmmmmm        tf32 s eeeeeeee mmmmmmmmmm 0000000000000
/// bf16 s eeeeeeee mmmmmmm     f16 s eeeee mmmmmmmmmm     e5m2 s eeeee mm     e4m3 s eeee mmm
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    pub exp_bits: u32,
    pub man_bits: u32,
    /// Unused bits below the fraction.
    pub low: u32,
    /// The all-ones exponent holds infinities and NaNs; otherwise only the all-ones pattern is NaN.
    pub infinite: bool,
    /// The NaN of an invalid operation, and of every NaN but those of f64 (see [`crate::nan`]).
    pub nan: u64,
}

pub const F64: Format = Format { exp_bits: 11, man_bits: 52, low: 0, infinite: true, nan: 0xfff8_0000_0000_0000 };
pub const F32: Format = Format { exp_bits: 8, man_bits: 23, low: 0, infinite: true, nan: 0x7fff_ffff };
pub const TF32: Format = Format { exp_bits: 8, man_bits: 10, low: 13, infinite: true, nan: 0x7fff_e000 };
pub const BF16: Format = Format { exp_bits: 8, man_bits: 7, low: 0, infinite: true, nan: 0x7fff };
pub const F16: Format = Format { exp_bits: 5, man_bits: 10, low: 0, infinite: true, nan: 0x7fff };
pub const E5M2: Format = Format { exp_bits: 5, man_bits: 2, low: 0, infinite: true, nan: 0x7f };
pub const E4M3: Format = Format { exp_bits: 4, man_bits: 3, low: 0, infinite: false, nan: 0x7f };

/// A number: `(-1)^negative * man * 2^exp`, or a special.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unpacked {
    pub class: Class,
    pub negative: bool,
    /// Weight of the lowest bit of `man`.
    pub exp: i32,
    pub man: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Zero,
    Finite,
    Infinite,
    Nan,
}

impl Format {
    pub const fn bias(&self) -> i32 {
        (1 << (self.exp_bits - 1)) - 1
    }

    /// Exponent of the smallest normal number.
    pub const fn min_exp(&self) -> i32 {
        1 - self.bias()
    }

    const fn sign_bit(&self) -> u64 {
        1 << (self.exp_bits + self.man_bits + self.low)
    }

    const fn pack(&self, negative: bool, biased: u64, man: u64) -> u64 {
        (if negative { self.sign_bit() } else { 0 }) | (biased << self.man_bits | man) << self.low
    }

    pub const fn zero(&self, negative: bool) -> u64 {
        self.pack(negative, 0, 0)
    }

    /// The largest finite number.
    pub const fn largest(&self, negative: bool) -> u64 {
        let ones = (1 << self.man_bits) - 1;
        if self.infinite {
            self.pack(negative, (1 << self.exp_bits) - 2, ones)
        } else {
            self.pack(negative, (1 << self.exp_bits) - 1, ones - 1)
        }
    }

    /// Infinity, or NaN where the format has none.
    pub const fn infinity(&self, negative: bool) -> u64 {
        if self.infinite { self.pack(negative, (1 << self.exp_bits) - 1, 0) } else { self.nan }
    }

    /// The number that `bits` spell; bits above the format and its unused low bits are ignored.
    #[inline]
    pub fn unpack(&self, bits: u64) -> Unpacked {
        let field = bits >> self.low;
        let man = field & ((1 << self.man_bits) - 1);
        let biased = field >> self.man_bits & ((1 << self.exp_bits) - 1);
        let negative = bits & self.sign_bit() != 0;
        let top = (1 << self.exp_bits) - 1;
        let special = |class| Unpacked { class, negative, exp: 0, man: 0 };
        if biased == top && self.infinite {
            return special(if man == 0 { Class::Infinite } else { Class::Nan });
        }
        if biased == top && man == (1 << self.man_bits) - 1 {
            return special(Class::Nan);
        }
        if biased == 0 && man == 0 {
            return special(Class::Zero);
        }
        let (man, biased) = if biased == 0 { (man, 1) } else { (man | 1 << self.man_bits, biased) };
        Unpacked { class: Class::Finite, negative, exp: biased as i32 - self.bias() - self.man_bits as i32, man }
    }

    /// Rounds `(-1)^negative * man * 2^exp` to the format. The lowest bit of `man` may stand for everything below it
    /// (a sticky bit) as long as it lies at least two bits below the last place of the result.
    #[inline]
    pub fn round(&self, negative: bool, man: u128, exp: i32, mode: Round, overflow: Overflow) -> u64 {
        if man == 0 {
            return self.zero(negative);
        }
        let top = exp + 127 - man.leading_zeros() as i32;
        let mut unit = top.max(self.min_exp()) - self.man_bits as i32;
        let shift = unit - exp;
        let (mut kept, rest, half) = match shift {
            ..=0 => (man << -shift, 0, 1),
            1..=127 => (man >> shift, man & ((1 << shift) - 1), 1 << (shift - 1)),
            // Far below half of the last place.
            _ => (0, 1, 2),
        };
        let up = match mode {
            Round::Near => rest > half || rest == half && kept & 1 == 1,
            Round::NearAway => rest >= half,
            Round::Zero => false,
            Round::Down => negative && rest != 0,
            Round::Up => !negative && rest != 0,
        };
        kept += u128::from(up);
        if kept >> (self.man_bits + 1) != 0 {
            kept >>= 1;
            unit += 1;
        }
        let normal = kept >> self.man_bits != 0;
        let biased = if normal { unit + self.man_bits as i32 + self.bias() } else { 0 };
        let man = kept as u64 & ((1 << self.man_bits) - 1);
        let last = (1 << self.exp_bits) - 1;
        let beyond = if self.infinite {
            biased >= last
        } else {
            biased > last || biased == last && man == (1 << self.man_bits) - 1
        };
        if !beyond {
            return self.pack(negative, biased as u64, man);
        }
        let to_largest = match mode {
            Round::Near | Round::NearAway => false,
            Round::Zero => true,
            Round::Down => !negative,
            Round::Up => negative,
        };
        if to_largest || overflow == Overflow::Finite { self.largest(negative) } else { self.infinity(negative) }
    }

    /// The number as bits of this format.
    #[inline]
    pub fn from(&self, value: &Unpacked, mode: Round, overflow: Overflow) -> u64 {
        match value.class {
            Class::Zero => self.zero(value.negative),
            Class::Finite => self.round(value.negative, u128::from(value.man), value.exp, mode, overflow),
            Class::Infinite if overflow == Overflow::Finite => self.largest(value.negative),
            Class::Infinite => self.infinity(value.negative),
            Class::Nan => self.nan,
        }
    }

    /// The value of `bits`, exact for every format; NaN is the host's.
    pub fn to_f64(&self, bits: u64) -> f64 {
        f64::from_bits(F64.from(&self.unpack(bits), Round::Near, Overflow::Ieee))
    }

    pub fn is_nan(&self, bits: u64) -> bool {
        self.unpack(bits).class == Class::Nan
    }

    /// A subnormal becomes a zero of its sign (`.ftz`).
    #[inline]
    pub fn flush(&self, bits: u64) -> u64 {
        let exponent = ((1 << self.exp_bits) - 1) << (self.man_bits + self.low);
        if bits & exponent == 0 { bits & self.sign_bit() } else { bits }
    }
}
