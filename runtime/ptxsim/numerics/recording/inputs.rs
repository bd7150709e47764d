//! Inputs from a counter hash: operand `i` of a program is a function of its seed and `i` alone.

/// splitmix64 of a seed and a counter.
pub fn hash(seed: u64, counter: u64) -> u64 {
    let mut z = seed
        .wrapping_mul(0xd134_2543_de82_ef95)
        .wrapping_add(counter.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// A seed from a name (FNV-1a).
pub fn seed(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}

/// What an operand's bits mean, so that the interesting values can be hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    F64,
    F32,
    F16,
    Bf16,
    F16x2,
    Bf16x2,
    E4m3x2,
    E5m2x2,
    /// An integer of so many bits.
    Int(u32),
    /// A shift count, bit position or length: mostly small.
    Count,
}

impl Kind {
    /// Bits of the register.
    pub fn bits(self) -> u32 {
        match self {
            Kind::F64 => 64,
            Kind::F32 | Kind::F16x2 | Kind::Bf16x2 | Kind::Count => 32,
            Kind::F16 | Kind::Bf16 | Kind::E4m3x2 | Kind::E5m2x2 => 16,
            Kind::Int(bits) => bits.max(16),
        }
    }
}

/// (exponent bits, fraction bits) of a float format.
fn fields(kind: Kind) -> Option<(u32, u32)> {
    match kind {
        Kind::F64 => Some((11, 52)),
        Kind::F32 => Some((8, 23)),
        Kind::F16 => Some((5, 10)),
        Kind::Bf16 => Some((8, 7)),
        _ => None,
    }
}

/// A float: a special value, any bits, a number near one, a subnormal, or a number with few fraction bits (ties).
pub fn float(exp: u32, man: u32, h: u64, specials: bool) -> u64 {
    let bits = 1 + exp + man;
    let sign = (h >> 63) << (bits - 1);
    let low = h & ((1 << (bits - 1)) - 1);
    let (one, top) = (((1u64 << (exp - 1)) - 1) << man, ((1u64 << exp) - 1) << man);
    let fraction = low & ((1 << man) - 1);
    let near = |spread: u64| one.wrapping_add(((h >> 40) % (2 * spread + 1)) << man).wrapping_sub(spread << man);
    let pick = specials_of(exp, man);
    sign | match (h >> 56) & 15 {
        0..=4 if specials => pick[(h >> 32) as usize % pick.len()],
        5 => fraction,
        6 | 7 => near(3).min(top - 1),
        8 | 9 => near(6.min((1 << (exp - 1)) - 2)) & !((1 << man) - 1) | fraction >> (man / 2) << (man / 2),
        10..=12 => near(4.min((1 << (exp - 1)) - 2)) & !((1 << man) - 1) | fraction,
        _ => low,
    }
}

/// Zero, the ends of the subnormals, one and its neighbours, the largest number, infinity, NaNs, the second binade.
fn specials_of(exp: u32, man: u32) -> [u64; 12] {
    let (one, top) = (((1u64 << (exp - 1)) - 1) << man, ((1u64 << exp) - 1) << man);
    [0, 1, 1 << man, (1 << man) - 1, one, one + 1, one - 1, top - 1, top, top | 1, top | 1 << (man - 1), 2 << man]
}

/// Special value `index` of a kind of float, with a hashed sign; `None` for other kinds.
pub fn special(kind: Kind, index: usize, h: u64) -> Option<u64> {
    let signed = |exp: u32, man: u32| specials_of(exp, man)[index % 12] | (h & 1) << (exp + man);
    Some(match kind {
        Kind::F16x2 => signed(5, 10) | float(5, 10, h, true) << 16,
        Kind::Bf16x2 => signed(8, 7) | float(8, 7, h, true) << 16,
        _ => {
            let (exp, man) = fields(kind)?;
            signed(exp, man)
        }
    })
}

/// Operand bits of a kind; the first sets of a row favour special values.
pub fn operand(kind: Kind, h: u64) -> u64 {
    if let Some((exp, man)) = fields(kind) {
        return float(exp, man, h, true);
    }
    match kind {
        Kind::F16x2 => float(5, 10, h, true) | float(5, 10, hash(h, 1), true) << 16,
        Kind::Bf16x2 => float(8, 7, h, true) | float(8, 7, hash(h, 1), true) << 16,
        Kind::E4m3x2 | Kind::E5m2x2 => h & 0xffff,
        Kind::Count => match h >> 60 {
            0..=8 => (h >> 8) % 33,
            9..=12 => (h >> 8) % 70,
            13 => h & 0xffff_ffff,
            _ => h & 0xff,
        },
        Kind::Int(bits) => {
            let mask = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
            let edge = [0, 1, 2, mask, mask - 1, mask >> 1, (mask >> 1) + 1, 0x80, 0x7f, 31, 32, 0xff];
            mask & match h >> 60 {
                0..=4 => edge[(h >> 8) as usize % edge.len()],
                5..=8 => h & 0xff,
                9 => (h & 0xff).wrapping_neg(),
                _ => h ^ h >> 23,
            }
        }
        _ => unreachable!("floats are handled above"),
    }
}
