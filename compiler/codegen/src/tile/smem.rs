//! Operand tiles in shared memory, in the one layout this crate uses: the 128-byte swizzle.
//!
//! The central type is [`OperandTile`]. It knows where a k-step of a row block lies and how to describe it to wgmma; it
//! does not know who fills the tile.

use crate::emit::{Builder, Ty, Val};

/// Bytes of one swizzled row: the inner extent of every TMA box (PTX ISA, "Swizzling modes", 128B).
///
/// ```text
/// an atom is 8 rows of 128 bytes, 1024-byte aligned; 16-byte chunk c of row r lies at chunk c ^ (r & 7):
///   row 0   0 1 2 3 4 5 6 7
///   row 1   1 0 3 2 5 4 7 6
///   row 2   2 3 0 1 6 7 4 5   …
/// ```
pub const ROW: u32 = 128;

/// Bytes of one swizzle atom; every tile starts at a multiple of it.
pub const ATOM: u32 = 8 * ROW;

/// Dynamic shared memory of a block on sm_90: 227 KiB.
pub const SHARED_LIMIT: u32 = 232_448;

/// Which axis of an operand is contiguous in memory and in its rows of 128 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Major {
    /// The reduction axis: a row holds 128 bytes of k of one m (or n).
    K,
    /// The other axis: a row holds 64 16-bit elements of m (or n) at one k. 16-bit types only.
    Mn,
}

/// An operand tile: `mn` rows or columns by `k` of the reduction, of elements of `bytes` bytes.
///
/// ```text
/// K-major                                   MN-major
///   chunk 0: mn rows of 128 B (first k)       chunk 0: k rows of 128 B (mn 0..64)
///   chunk 1: mn rows of 128 B (next k)        chunk 1: k rows of 128 B (mn 64..128)
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OperandTile {
    pub major: Major,
    pub mn: u32,
    pub k: u32,
    pub bytes: u32,
}

impl OperandTile {
    /// Elements in a row of 128 bytes.
    pub fn per_row(&self) -> u32 {
        ROW / self.bytes
    }

    /// Rows of one chunk, also the outer extent of one TMA box.
    pub fn chunk_rows(&self) -> u32 {
        if self.major == Major::K { self.mn } else { self.k }
    }

    /// Number of chunks, one TMA box each.
    pub fn chunks(&self) -> u32 {
        let across = if self.major == Major::K { self.k } else { self.mn };
        across.div_ceil(self.per_row())
    }

    /// Bytes of one chunk.
    pub fn chunk_bytes(&self) -> u32 {
        self.chunk_rows() * ROW
    }

    /// Bytes of the tile.
    pub fn size(&self) -> u32 {
        self.chunks() * self.chunk_bytes()
    }

    /// Byte offset of the part that begins at row `mn` (a multiple of 8 K-major, of 64 MN-major) and reduction index `k`
    /// (a multiple of 32 bytes of k K-major, of 8 MN-major).
    pub fn at(&self, mn: u32, k: u32) -> u32 {
        let (row, across) = if self.major == Major::K { (mn, k) } else { (k, mn) };
        across / self.per_row() * self.chunk_bytes() + row * ROW + across % self.per_row() * self.bytes
    }

    /// Byte offset of [`OperandTile::at`] in the units of a descriptor's address field.
    pub fn step(&self, mn: u32, k: u32) -> i64 {
        i64::from(self.at(mn, k) >> 4)
    }

    /// The matrix descriptor of the tile at shared address `addr`.
    pub fn descriptor(&self, b: &Builder, addr: Val) -> Val {
        // Leading dimension: the distance between the 64-element column chunks of an MN-major tile; ignored K-major.
        let leading = if self.major == Major::Mn { self.chunk_bytes() } else { 16 };
        descriptor(b, addr, leading)
    }
}

/// A wgmma matrix descriptor for 128-byte swizzled tiles (PTX ISA 9.7.15.5.1, "Shared memory matrix layout").
///
/// ```text
/// 63 62 | 51..49      | 45..32              | 29..16               | 13..0
/// 1 =   | base offset | stride between the  | stride between       | address >> 4
/// 128 B | 0           | 8-row groups >> 4   | MN-major chunks >> 4 |
/// ```
fn descriptor(b: &Builder, addr: Val, leading: u32) -> Val {
    let fixed = (1u64 << 62) | (u64::from(ATOM >> 4) << 32) | (u64::from(leading >> 4) << 16);
    let field = b.shr_u(b.and(addr, b.i32(0x3ffff)), b.i32(4));
    b.or(b.resize_u(field, Ty::I64), b.i64(fixed as i64))
}

/// The byte offset of 16-byte chunk `chunk` (0..8) of row `row` in a swizzled chunk of rows, both i32.
pub fn swizzled(b: &Builder, row: Val, chunk: Val) -> Val {
    let turned = b.xor(chunk, b.and(row, b.i32(7)));
    b.add(b.mul(row, b.i32(ROW as i32)), b.mul(turned, b.i32(16)))
}

/// Bump allocation of a block's dynamic shared memory.
#[derive(Clone, Copy, Default, Debug)]
pub struct Layout {
    used: u32,
}

impl Layout {
    /// Reserves `bytes` at a multiple of `align`; returns the offset.
    pub fn take(&mut self, bytes: u32, align: u32) -> u32 {
        let at = self.used.next_multiple_of(align);
        self.used = at + bytes;
        at
    }

    /// Bytes used so far.
    pub fn used(&self) -> u32 {
        self.used
    }
}

/// `addr + bytes`.
pub fn plus(b: &Builder, addr: Val, bytes: u32) -> Val {
    if bytes == 0 { addr } else { b.add(addr, b.i32(bytes as i32)) }
}

/// Stores 32-bit registers (f32 or i32; 1, 2 or 4) at a shared address.
pub fn store(b: &Builder, addr: Val, values: &[Val]) {
    let letter = if values[0].ty == Ty::F32 { 'f' } else { 'r' };
    let (list, vector) = registers(values.len(), 1);
    let constraints = format!("r{}", format!(",{letter}").repeat(values.len()));
    let operands: Vec<Val> = std::iter::once(addr).chain(values.iter().copied()).collect();
    b.asm_effect(&format!("st.shared{vector}.b32 [$0], {list};"), &constraints, &operands);
}

/// Loads `count` (1, 2 or 4) 32-bit registers of type `ty` from a shared address.
pub fn load(b: &Builder, addr: Val, ty: Ty, count: usize) -> Vec<Val> {
    let letter = if ty == Ty::F32 { 'f' } else { 'r' };
    let (list, vector) = registers(count, 0);
    let constraints = format!("{}r,~{{memory}}", format!("={letter},").repeat(count));
    b.asm(&format!("ld.shared{vector}.b32 {list}, [${count}];"), &constraints, &[addr], &vec![ty; count], true)
}

/// The PTX operand list of `count` registers from operand `first` on, and the vector suffix.
fn registers(count: usize, first: usize) -> (String, &'static str) {
    let names: Vec<String> = (first..first + count).map(|i| format!("${i}")).collect();
    match count {
        1 => (names[0].clone(), ""),
        2 => (format!("{{{}}}", names.join(", ")), ".v2"),
        4 => (format!("{{{}}}", names.join(", ")), ".v4"),
        _ => panic!("shared accesses move 1, 2 or 4 registers, not {count}"),
    }
}

/// Makes this thread's stores to shared memory visible to TMA and wgmma (PTX ISA 9.7.13.4, `fence.proxy.async`).
pub fn publish_to_async(b: &Builder) {
    b.asm_effect("fence.proxy.async.shared::cta;", "", &[]);
}

/// Waits for the 32 threads of the warp and orders their shared-memory accesses.
pub fn warp_sync(b: &Builder) {
    b.asm_effect("bar.warp.sync -1;", "", &[]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k_major_steps_walk_rows_then_chunks() {
        let tile = OperandTile { major: Major::K, mn: 128, k: 128, bytes: 2 };
        assert_eq!((tile.chunks(), tile.size()), (2, 2 * 128 * 128));
        assert_eq!(tile.at(0, 16), 32);
        assert_eq!(tile.at(64, 0), 64 * 128);
        assert_eq!(tile.at(64, 80), 128 * 128 + 64 * 128 + 32);
    }

    #[test]
    fn mn_major_steps_walk_k_rows() {
        let tile = OperandTile { major: Major::Mn, mn: 192, k: 64, bytes: 2 };
        assert_eq!((tile.chunks(), tile.chunk_bytes()), (3, 8192));
        assert_eq!(tile.at(0, 16), 16 * 128);
        assert_eq!(tile.at(128, 16), 2 * 8192 + 16 * 128);
    }
}
