//! Which keys each accumulator row may see, and the mask that follows.
//!
//! The central type is [`Limits`], a half-open range of keys for each of the two rows a thread holds.

use crate::emit::{Builder, Cmp, Val};
use crate::tile::fragment::{self, Fragment};
use crate::tile::roles::Block;

/// Keys `low <= key < high` count, by row half; i32, relative to whatever the block's first key is.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub low: [Val; 2],
    pub high: [Val; 2],
}

impl Limits {
    /// Scores with -infinity where the key does not count; column 0 is key `first`.
    pub fn mask(&self, b: &Builder, block: &Block, scores: &Fragment, first: Val) -> Fragment {
        let pair = b.mul(b.and(block.lane, b.i32(3)), b.i32(2));
        let own = b.add(first, pair);
        let low = self.low.map(|v| b.sub(v, own));
        let high = self.high.map(|v| b.sub(v, own));
        let never = b.f32(f32::NEG_INFINITY);
        let regs = scores.regs.iter().enumerate().map(|(i, s)| {
            let (half, group, element) = fragment::place(i);
            let column = b.i32((group * 8 + element) as i32);
            let counts = b.and(b.cmp(Cmp::Sge, column, low[half]), b.cmp(Cmp::Slt, column, high[half]));
            b.select(counts, *s, never)
        });
        Fragment { regs: regs.collect() }
    }

    /// [`Limits::mask`] only where `needed` (the same for the whole warp) says so.
    pub fn mask_if(&self, b: &Builder, block: &Block, scores: &Fragment, first: Val, needed: Val) -> Fragment {
        let regs = b.if_else(needed, || self.mask(b, block, scores, first).regs, || scores.regs.clone());
        Fragment { regs }
    }
}

/// The rows of a 64-row tile that the running thread holds: its upper one and the one 8 below.
pub fn own(b: &Builder, block: &Block) -> [Val; 2] {
    let upper = b.add(b.mul(block.warp, b.i32(16)), b.shr_u(block.lane, b.i32(2)));
    [upper, b.add(upper, b.i32(8))]
}
