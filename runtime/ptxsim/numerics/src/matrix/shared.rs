//! Operands of `wgmma` in shared memory: descriptors, layouts and swizzles (PTX ISA 9.7.15.5.1).
//!
//! Central type: [`Descriptor`].

/// How 16-byte pieces are exchanged: address bits 4.. ^= bits 7..
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swizzle {
    None,
    B32,
    B64,
    B128,
}

impl Swizzle {
    /// Bytes of one line of the pattern.
    pub fn line(self) -> u32 {
        match self {
            Swizzle::None => 16,
            Swizzle::B32 => 32,
            Swizzle::B64 => 64,
            Swizzle::B128 => 128,
        }
    }

    /// The physical address of a logical one.
    #[inline]
    pub fn apply(self, address: u32) -> u32 {
        address ^ (address >> 3 & (self.line() - 16))
    }
}

/// A matrix descriptor, in bytes.
///
/// ```text
/// 63 62    | 51..49      | 45..32        | 29..16         | 13..0
/// swizzle  | base offset | stride >> 4   | leading >> 4   | address >> 4
/// 0 none, 1 128 B, 2 64 B, 3 32 B
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    pub address: u32,
    pub leading: u32,
    pub stride: u32,
    pub base_offset: u32,
    pub swizzle: Swizzle,
}

impl Descriptor {
    pub fn decode(bits: u64) -> Descriptor {
        let field = |at: u32| ((bits >> at & 0x3fff) << 4) as u32;
        Descriptor {
            address: field(0),
            leading: field(16),
            stride: field(32),
            base_offset: (bits >> 49 & 7) as u32,
            swizzle: [Swizzle::None, Swizzle::B128, Swizzle::B64, Swizzle::B32][(bits >> 62) as usize],
        }
    }

    /// Shared byte address of byte `byte` of K in row `row` (of M or N) of a K-major operand.
    ///
    /// ```text
    /// none:    8 rows x 16 bytes in one piece; pieces `leading` apart along K, `stride` apart along rows
    /// swizzle: 8 rows of a line in one piece; pieces `stride` apart along rows
    /// ```
    pub fn k_major(&self, row: u32, byte: u32) -> u32 {
        let down = self.address + row / 8 * self.stride + row % 8 * self.swizzle.line();
        match self.swizzle {
            Swizzle::None => down + byte / 16 * self.leading + byte % 16,
            _ => self.swizzle.apply(down + byte),
        }
    }

    /// Shared byte address of the 16-bit element of an MN-major operand at row `row` (of M or N) and `k`.
    ///
    /// ```text
    /// a piece is 8 k, each a line of rows
    /// none:    pieces `stride` apart along rows, `leading` along K
    /// swizzle: pieces `leading` apart along rows, `stride` along K
    /// ```
    pub fn mn_major(&self, row: u32, k: u32) -> u32 {
        let line = self.swizzle.line();
        let (along, across) = match self.swizzle {
            Swizzle::None => (self.stride, self.leading),
            _ => (self.leading, self.stride),
        };
        let byte = 2 * row;
        self.swizzle.apply(self.address + byte / line * along + byte % line + k / 8 * across + k % 8 * line)
    }
}
