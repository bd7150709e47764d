//! The 2:4 metadata of a row operand, on its way from global memory to the registers of the products that need it.
//!
//! The central type is [`MetaRows`]: where one thread's words lie. It knows the layouts of PTX ISA 9.7.15.6.1, "Sparse matrix
//! storage", and no product.

use super::kernel::{Metadata, Pipeline, STEPS, Tile};
use crate::emit::{Builder, Cmp, Ty, Val};
use crate::kernel::Kernel;
use crate::tile::roles::Block;
use crate::tile::wgmma;

/// The metadata rows a consumer thread reads.
///
/// ```text
/// word of warp w, lane 4 r + c:
///   16-bit elements, one k-step of 32:    bits 31..16            bits 15..0
///                                         row 16 w + r + 8       row 16 w + r
///     both halves: k 16 (c & 1) .. + 16; lanes with c >= 2 do not count at selector 0 and load the same words
///   8-bit elements, one k-step of 64:     row 16 w + r + 8 (c & 1), k 32 (c >> 1) .. + 32; every lane counts
///   the lowest group of four is in the lowest nibble
/// ```
pub struct MetaRows<'a> {
    b: &'a Builder,
    narrow: bool,
    /// Start of the tensor's metadata, and this lane's column in a k-step, bytes.
    base: Val,
    lane: Val,
    /// Logical depth.
    depth: Val,
    /// By 64-row block, and by half where elements are wide: the row's address and whether it exists.
    rows: Vec<(Val, Val)>,
}

/// Keeps elements 0 and 1 of each of eight groups: valid everywhere, for rows and columns that do not exist.
const NEUTRAL: i32 = 0x4444_4444;

impl<'a> MetaRows<'a> {
    /// `extents`: logical rows and depth, i32.
    pub fn new(
        k: &'a Kernel<'a>,
        m: &Metadata,
        p: &Pipeline,
        block: &Block,
        tile: &Tile,
        first_row: Val,
        extents: [Val; 2],
    ) -> MetaRows<'a> {
        let b = &k.b;
        let wide = |v: Val| b.resize_s(v, Ty::I64);
        let narrow = p.plan.row.dtype.bits() == 8;
        let mut base = k.buffer(m.buffer);
        for (index, stride) in tile.batch.iter().zip(&m.batch) {
            if !stride.is_zero() {
                base = b.gep(base, Ty::I8, b.mul(wide(*index), k.poly(stride)));
            }
        }
        let row_bytes = k.poly(&m.row);
        let mut own = b.add(b.mul(block.warp, b.i32(16)), b.shr_u(block.lane, b.i32(2)));
        let low = b.and(block.lane, b.i32(1));
        if narrow {
            own = b.add(own, b.mul(low, b.i32(8)));
        }
        let [extent, depth] = extents;
        let halves = if narrow { 1 } else { 2 };
        let mut rows = vec![];
        for at in 0..halves * p.config.blocks {
            let row = b.add(b.add(first_row, own), b.i32((at / halves * wgmma::M + at % halves * 8) as i32));
            let inside = b.cmp(Cmp::Slt, row, extent);
            let row = b.select(inside, row, b.i32(0));
            rows.push((b.gep(base, Ty::I8, b.mul(wide(row), row_bytes)), inside));
        }
        let lane = match narrow {
            true => b.mul(b.and(b.shr_u(block.lane, b.i32(1)), b.i32(1)), b.i32(4)),
            false => b.mul(low, b.i32(2)),
        };
        MetaRows { b, narrow, base, lane, depth, rows }
    }

    /// The words of stage `stage`, by block and step.
    pub fn load(&self, stage: Val) -> Vec<Val> {
        let b = self.b;
        // Bytes of a row's metadata in one k-step.
        let step_bytes: i32 = if self.narrow { 8 } else { 4 };
        let mut words = vec![];
        for rows in self.rows.chunks(if self.narrow { 1 } else { 2 }) {
            for step in 0..STEPS as i32 {
                let first = b.mul(stage, b.i32(STEPS as i32 * step_bytes));
                let byte = b.add(first, b.add(self.lane, b.i32(step * step_bytes)));
                let within = b.cmp(Cmp::Slt, b.mul(byte, b.i32(8)), self.depth);
                let read = |(row, inside): (Val, Val), ty: Ty| {
                    let valid = b.and(inside, within);
                    let at = b.select(valid, b.gep(row, Ty::I8, b.resize_s(byte, Ty::I64)), self.base);
                    let bits = b.resize_u(b.load(at, ty, if self.narrow { 4 } else { 2 }), Ty::I32);
                    let neutral = if self.narrow { NEUTRAL } else { NEUTRAL & 0xffff };
                    b.select(valid, bits, b.i32(neutral))
                };
                words.push(match rows {
                    [low, high] => b.or(read(*low, Ty::I16), b.shl(read(*high, Ty::I16), b.i32(16))),
                    _ => read(rows[0], Ty::I32),
                });
            }
        }
        words
    }
}
