//! Emission of a contraction: a persistent, warp-specialised TMA and wgmma pipeline.
//!
//! ```text
//! producer (one thread)      ring of stages        two consumer warpgroups
//!   wait empty, arm full  ->  [rows | cols]  ->     wait full, 4 wgmma k-steps, release the stage before
//!   … next k, next tile       [rows | cols]         … epilogue of the tile, while the ring fills for the next one
//! ```
//! The central type is [`Pipeline`]. The row operand may be 2:4 compressed ([`Metadata`]). Stores are the epilogue's matter.

use super::axes::Axis;
use super::config::{Config, Places};
use super::epilogue;
use super::metadata::MetaRows;
use super::plan::{Fetch, Plan};
use crate::emit::{Builder, Cmp, Ty, Val};
use crate::eval::facts::Facts;
use crate::kernel::Kernel;
use crate::tile::barrier::{self, Cursor, Ring};
use crate::tile::fragment::Fragment;
use crate::tile::roles::{Block, CONSUMERS};
use crate::tile::smem::{OperandTile, plus};
use crate::tile::tma;
use crate::tile::wgmma::{self, Group, Meta, Operand, Shape};
use tricot_kernel::Store;
use tricot_types::Poly;

/// k-steps of one stage: 128 bytes of the row operand, 32 a step.
pub const STEPS: u32 = 4;

/// Row tiles that are walked together, so that a column tile read into L2 serves all of them.
const RASTER: i32 = 8;

/// Where the 2:4 metadata of the row operand lies: u8, one bit per logical element, row-major. What threads read of it is
/// [`super::metadata`]'s matter.
#[derive(Clone, Debug)]
pub struct Metadata {
    pub buffer: u32,
    /// Byte strides by batch axis of the plan.
    pub batch: Vec<Poly>,
    /// Bytes of a row.
    pub row: Poly,
}

/// Everything decided about a kernel.
#[derive(Clone, Debug)]
pub struct Pipeline {
    pub plan: Plan,
    pub config: Config,
    pub metadata: Option<Metadata>,
    pub stores: Vec<Store>,
}

/// The tile being worked on: first row and column, and the index along every batch axis; i32.
#[derive(Clone, Debug)]
pub struct Tile {
    pub row: Val,
    pub col: Val,
    pub batch: Vec<Val>,
}

/// The kernel under emission.
struct Emission<'a> {
    k: &'a Kernel<'a>,
    b: &'a Builder,
    p: &'a Pipeline,
    facts: &'a Facts<'a>,
    walk: &'a epilogue::Walk,
    places: Places,
    shared: Val,
    ring: Ring,
    row_tile: OperandTile,
    col_tile: OperandTile,
}

impl Pipeline {
    /// Emits the body of the kernel.
    pub fn emit(&self, k: &Kernel, facts: &Facts, walk: &epilogue::Walk) {
        let b = &k.b;
        let places = self.config.places(&self.plan);
        let shared = b.ptr_to_int(k.shared(), Ty::I32);
        let ring = Ring { base: plus(b, shared, places.barriers), stages: self.config.stages };
        let (row_tile, col_tile) = (self.plan.row_tile(self.config.rows()), self.plan.col_tile(self.config.cols));
        let e = Emission { k, b, facts, p: self, walk, places, shared, ring, row_tile, col_tile };
        let block = Block::new(b);
        block.single(b, 0, || {
            // Every consumer warp releases a stage for itself.
            ring.init(b, CONSUMERS * 4);
            barrier::publish_init(b);
        });
        b.barrier();
        block.specialise(b, || e.produce(), || e.consume(&block));
    }
}

impl Emission<'_> {
    fn size(&self, poly: &Poly) -> Val {
        self.b.resize_s(self.k.poly(poly), Ty::I32)
    }

    /// Runs `body` for every tile of this block, with a ring cursor.
    fn tiles(&self, body: impl FnOnce(Tile, Cursor) -> Cursor) {
        let (b, plan) = (self.b, &self.p.plan);
        let rows = self.size(&plan.rows.extent.ceil_div(i64::from(self.p.config.rows())));
        let cols = self.size(&plan.cols.extent.ceil_div(i64::from(self.p.config.cols)));
        let plane = b.mul(rows, cols);
        let extents: Vec<Val> = plan.batch.iter().map(|a| self.size(&a.extent)).collect();
        let total = extents.iter().fold(plane, |t, e| b.mul(t, *e));
        let start = self.ring.start(b);
        b.for_loop(b.block(0), total, b.grid(0), &[start.stage, start.parity], |t, at| {
            let (batch, t) = (b.div_u(t, plane), b.rem_u(t, plane));
            let band = b.mul(cols, b.i32(RASTER));
            let first = b.mul(b.div_u(t, band), b.i32(RASTER));
            let height = b.min_s(b.sub(rows, first), b.i32(RASTER));
            let in_band = b.rem_u(t, band);
            let row = b.add(first, b.rem_u(in_band, height));
            let col = b.div_u(in_band, height);
            let tile = Tile {
                row: b.mul(row, b.i32(self.p.config.rows() as i32)),
                col: b.mul(col, b.i32(self.p.config.cols as i32)),
                batch: split(b, batch, &extents),
            };
            let at = body(tile, Cursor { stage: at[0], parity: at[1] });
            vec![at.stage, at.parity]
        });
    }

    /// Stages of one tile, and those of the innermost reduction axis.
    fn stages(&self) -> (Val, Val) {
        let plan = &self.p.plan;
        let inner = self.size(&plan.depth.extent.ceil_div(i64::from(plan.stage_depth())));
        let all = plan.outer.iter().fold(inner, |n, a| self.b.mul(n, self.size(&a.extent)));
        // Opaque, or LLVM unrolls constant counts and the producer runs out of its few registers.
        (self.b.pin(&[all])[0], inner)
    }

    fn produce(&self) {
        let (b, plan) = (self.b, &self.p.plan);
        let maps = [self.k.tensor_map(0), self.k.tensor_map(1)];
        let (stages, inner) = self.stages();
        let extents: Vec<Val> = plan.outer.iter().map(|a| self.size(&a.extent)).collect();
        self.tiles(|tile, start| {
            let end = b.for_loop(b.i32(0), stages, b.i32(1), &[start.stage, start.parity], |step, at| {
                let at = Cursor { stage: at[0], parity: at[1] };
                let outer = split(b, b.div_u(step, inner), &extents);
                let k = b.mul(b.rem_u(step, inner), b.i32(plan.stage_depth() as i32));
                let full = self.ring.acquire(b, at, self.places.stage);
                let to = self.stage(at.stage);
                let k_row = if plan.packing == 2 { b.shr_u(k, b.i32(1)) } else { k };
                copy(b, &plan.row, &self.row_tile, to, maps[0], (tile.row, k_row), &outer, &tile.batch, full);
                let to = plus(b, to, self.places.row_bytes);
                copy(b, &plan.col, &self.col_tile, to, maps[1], (tile.col, k), &outer, &tile.batch, full);
                let next = self.ring.next(b, at);
                vec![next.stage, next.parity]
            });
            Cursor { stage: end[0], parity: end[1] }
        });
    }

    /// The shared address of a stage.
    fn stage(&self, stage: Val) -> Val {
        let ring = plus(self.b, self.shared, self.places.ring);
        self.b.add(ring, self.b.mul(stage, self.b.i32(self.places.stage as i32)))
    }

    fn consume(&self, block: &Block) {
        let (b, config) = (self.b, self.p.config);
        let (stages, _) = self.stages();
        let own = b.mul(block.warpgroup, b.i32((config.blocks * wgmma::M) as i32));
        // In a row tile the second consumer's rows begin this many bytes on; the same for both majors at multiples of 64.
        let skip = b.mul(block.warpgroup, b.i32(self.row_tile.at(config.blocks * wgmma::M, 0) as i32));
        // Metadata registers must not change while a product reads them, so a sparse product is waited for at once.
        let pending = if self.p.metadata.is_some() { 0 } else { 1 };
        self.tiles(|tile, start| {
            let first_row = b.add(tile.row, own);
            let meta = self.p.metadata.as_ref().map(|m| {
                let extents = [&self.p.plan.rows, &self.p.plan.depth].map(|a| self.size(&a.extent));
                MetaRows::new(self.k, m, self.p, block, &tile, first_row, extents)
            });
            let words = meta.as_ref().map_or(vec![], |m| m.load(b.i32(0)));
            let mut init = vec![start.stage, start.parity];
            init.extend(&words);
            init.extend(Fragment::splat(b, 2 * config.registers() as u32, 0.0).regs);
            let end = b.for_loop(b.i32(0), stages, b.i32(1), &init, |step, state| {
                let at = Cursor { stage: state[0], parity: state[1] };
                let (held, acc) = state[2..].split_at(words.len());
                let next_words = meta.as_ref().map_or(vec![], |m| m.load(b.add(step, b.i32(1))));
                self.ring.await_full(b, at);
                let acc = self.multiply(self.stage(at.stage), skip, held).issue(b, acc);
                let acc = wgmma::wait(b, &acc, pending);
                if pending == 0 {
                    block.each_warp(b, || barrier::arrive(b, self.ring.empty(b, at.stage)));
                } else {
                    // Opaque, or LLVM peels the first step off and moves all accumulators between the two copies.
                    let step = b.pin(&[step])[0];
                    b.when(b.cmp(Cmp::Ne, step, b.i32(0)), || self.release_previous(block, at.stage));
                }
                let next = self.ring.next(b, at);
                let mut state = vec![next.stage, next.parity];
                state.extend(next_words);
                state.extend(acc);
                state
            });
            let at = Cursor { stage: end[0], parity: end[1] };
            let mut acc = end[2 + words.len()..].to_vec();
            if pending != 0 {
                acc = wgmma::wait(b, &acc, 0);
                self.release_previous(block, at.stage);
            }
            let scratch = plus(b, self.shared, self.places.epilogue);
            epilogue::emit(self.k, self.facts, self.p, self.walk, block, scratch, &tile, first_row, &acc);
            at
        });
    }

    fn release_previous(&self, block: &Block, stage: Val) {
        let before = self.ring.previous(self.b, stage);
        block.each_warp(self.b, || barrier::arrive(self.b, self.ring.empty(self.b, before)));
    }

    /// The products of one stage.
    fn multiply(&self, stage: Val, skip: Val, words: &[Val]) -> Group {
        let (b, plan, config) = (self.b, &self.p.plan, self.p.config);
        let row = self.row_tile.descriptor(b, b.add(stage, skip));
        let col = self.col_tile.descriptor(b, plus(b, stage, self.places.row_bytes));
        let (a, bt) = (plan.row.dtype, plan.col.dtype);
        let mut group =
            Group::new(Shape { n: config.cols, a, b: bt, a_major: plan.row.major, b_major: plan.col.major });
        for step in 0..STEPS {
            let k = step * wgmma::depth(a);
            for block in 0..config.blocks {
                let first = (block * config.cols / 2) as usize;
                let left = Operand::Shared { descriptor: row, step: self.row_tile.step(block * wgmma::M, k) };
                let right = self.col_tile.step(0, k * plan.packing);
                match words.get((block * STEPS + step) as usize) {
                    None => group.product(first, left, col, right),
                    Some(word) => group.sparse_product(first, left, Meta { word: *word, selector: 0 }, col, right),
                };
            }
        }
        group
    }
}

/// Index along each of some axes (outermost first) from one running index, i32.
pub fn split(b: &Builder, mut index: Val, extents: &[Val]) -> Vec<Val> {
    let mut out = vec![];
    for (i, extent) in extents.iter().enumerate().rev() {
        if i == 0 {
            out.push(index);
        } else {
            out.push(b.rem_u(index, *extent));
            index = b.div_u(index, *extent);
        }
    }
    out.reverse();
    out
}

/// Copies one operand's tile at (`mn`, `k`), one box a chunk.
#[allow(clippy::too_many_arguments)]
fn copy(
    b: &Builder,
    f: &Fetch,
    tile: &OperandTile,
    to: Val,
    map: Val,
    at: (Val, Val),
    outer: &[Val],
    batch: &[Val],
    full: Val,
) {
    let (mn, k) = at;
    let far = f.outer.iter().map(|i| outer[*i]).chain(f.batch.iter().map(|i| batch[*i]));
    let far: Vec<Val> = far.collect();
    for chunk in 0..tile.chunks() {
        let across = |v: Val| if chunk == 0 { v } else { b.add(v, b.i32((chunk * tile.per_row()) as i32)) };
        let near = if f.major == crate::tile::smem::Major::K { [across(k), mn] } else { [across(mn), k] };
        let coordinates: Vec<Val> = near.into_iter().chain(far.iter().copied()).collect();
        tma::load(b, plus(b, to, chunk * tile.chunk_bytes()), map, &coordinates, full);
    }
}

/// Indices of the loops an axis was fused from, given its own (i64).
pub fn unfuse(k: &Kernel, axis: &Axis, index: Val) -> Vec<(tricot_kernel::LoopVar, Val)> {
    let b = &k.b;
    let extents: Vec<Val> = axis.loops.iter().map(|(_, e)| k.poly(e)).collect();
    axis.loops.iter().map(|(v, _)| *v).zip(split(b, index, &extents)).collect()
}
