//! What happens to a finished tile: the description's stores, whatever they compute.
//!
//! Each warp turns its accumulators around in a small patch of shared memory, 16 rows by 32 columns at a time, so that a lane
//! gets 8 neighbours along the axis that is contiguous in the output:
//!
//! ```text
//! wgmma fragment: lane holds pairs        along columns: lane holds 8 of a row      along rows: 8 of a column
//!   row r: c0c0 c1c1 c2c2 c3c3 …            row r: c0 ×8 | c1 ×8 | c2 ×8 | c3 ×8      lanes 0..16: rows 0..8, lanes 16..32: rows 8..16
//! ```
//! The central type is [`Walk`], how the lanes go over the patch. It knows the plan's axes and the stores, no operand.

use super::axes::Axis;
use super::kernel::{Pipeline, Tile, unfuse};
use crate::emit::{Builder, Cmp, Ty, Val};
use crate::eval::Eval;
use crate::eval::facts::{Facts, vector_lanes};
use crate::eval::store::Nibbles;
use crate::kernel::Kernel;
use crate::tile::fragment;
use crate::tile::roles::{Block, CONSUMERS};
use crate::tile::smem::{self, plus};
use crate::tile::wgmma;
use tricot_kernel::{ExprId, KernelDesc, LoopVar};
use tricot_types::SymbolTable;

/// Rows and columns of a patch, and the floats between its rows: 8 modulo 32 banks, so that eight rows of four lanes writing
/// pairs meet no bank twice in a phase.
const ROWS: u32 = 16;
const COLS: u32 = 32;
const PITCH: u32 = 40;

/// Bytes of a warp's patch, and of all consumer warps' patches.
const PATCH: u32 = ROWS * PITCH * 4;
pub const BYTES: u32 = CONSUMERS * 4 * PATCH;

/// Neighbours a lane handles at once.
const RUN: u32 = 8;

/// The tile axis that a lane's run goes along.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Along {
    Cols,
    Rows,
}

/// How the lanes walk and store; a pure function of plan and stores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Walk {
    along: Along,
    /// Neighbours evaluated and stored together, 1, 2, 4 or 8; they never cross the end of the innermost loop.
    pub lanes: u32,
}

impl Walk {
    /// Decides for the stores of a description; `None` for elements smaller than a byte, which two lanes would share.
    pub fn new(desc: &KernelDesc, p: &Pipeline, symbols: &SymbolTable) -> Option<Walk> {
        if p.stores.iter().any(|s| desc.buffers[s.buffer as usize].dtype.bits() < 8) {
            return None;
        }
        let contiguous = |axis: &Axis| {
            let inner = axis.inner().map(|(v, _)| *v);
            p.stores.iter().any(|s| inner.is_some_and(|v| s.index.stride(v).is_one()))
        };
        let rows = !contiguous(&p.plan.cols) && contiguous(&p.plan.rows);
        let (along, axis) = if rows { (Along::Rows, &p.plan.rows) } else { (Along::Cols, &p.plan.cols) };
        let facts = Facts::new(desc, symbols);
        let roots: Vec<ExprId> = p.stores.iter().flat_map(|s| [Some(s.value), s.guard]).flatten().collect();
        let lanes = axis.inner().map_or(1, |(var, extent)| vector_lanes(&facts, *var, extent, &roots, &p.stores));
        Some(Walk { along, lanes })
    }
}

/// Emits the stores of the 64-row blocks of one consumer warpgroup; `first_row` is its first row, `scratch` the shared address of
/// all patches.
#[allow(clippy::too_many_arguments)]
pub fn emit(
    k: &Kernel,
    facts: &Facts,
    p: &Pipeline,
    walk: &Walk,
    block: &Block,
    scratch: Val,
    tile: &Tile,
    first_row: Val,
    acc: &[Val],
) {
    let b = &k.b;
    let warp = b.add(b.mul(block.warpgroup, b.i32(4)), block.warp);
    let patch = b.add(scratch, b.mul(warp, b.i32(PATCH as i32)));
    let (r, c) = (b.shr_u(block.lane, b.i32(2)), b.and(block.lane, b.i32(3)));
    let write = b.add(patch, b.add(b.mul(r, b.i32((PITCH * 4) as i32)), b.mul(c, b.i32(8))));
    let lanes = Lanes::new(b, walk.along, block.lane);
    let e = Emission { k, facts, p, walk, outer: outer_indices(k, p, tile) };

    for part in 0..p.config.blocks {
        let row = b.add(b.add(first_row, b.i32((part * wgmma::M) as i32)), b.mul(block.warp, b.i32(16)));
        for chunk in 0..p.config.cols / COLS {
            let first = ((part * p.config.cols + chunk * COLS) / 2) as usize;
            smem::warp_sync(b);
            for i in (0..COLS as usize / 2).step_by(2) {
                let (half, group, _) = fragment::place(i);
                let at = plus(b, write, half as u32 * 8 * PITCH * 4 + group as u32 * 32);
                smem::store(b, at, &acc[first + i..first + i + 2]);
            }
            smem::warp_sync(b);
            for pass in 0..2 {
                let (dr, dc) = lanes.start(b, pass);
                let from = b.add(patch, b.mul(b.add(b.mul(dr, b.i32(PITCH as i32)), dc), b.i32(4)));
                let col = b.add(b.add(tile.col, b.i32((chunk * COLS) as i32)), dc);
                e.run(b.add(row, dr), col, from);
            }
        }
    }
}

/// Where in a patch a lane's runs begin.
struct Lanes {
    along: Along,
    row: Val,
    col: Val,
}

impl Lanes {
    fn new(b: &Builder, along: Along, lane: Val) -> Lanes {
        let (row, col) = match along {
            Along::Cols => (b.shr_u(lane, b.i32(2)), b.mul(b.and(lane, b.i32(3)), b.i32(RUN as i32))),
            Along::Rows => (b.mul(b.shr_u(lane, b.i32(4)), b.i32(RUN as i32)), b.and(lane, b.i32(15))),
        };
        Lanes { along, row, col }
    }

    /// Row and column of the run of pass 0 or 1.
    fn start(&self, b: &Builder, pass: i32) -> (Val, Val) {
        match self.along {
            Along::Cols => (b.add(self.row, b.i32(8 * pass)), self.col),
            Along::Rows => (self.row, b.add(self.col, b.i32(16 * pass))),
        }
    }
}

/// Values of the loop variables outside the tile's two axes.
fn outer_indices(k: &Kernel, p: &Pipeline, tile: &Tile) -> Vec<(LoopVar, Val)> {
    let mut out: Vec<_> = p.plan.units.iter().map(|v| (*v, k.b.i64(0))).collect();
    for (axis, index) in p.plan.batch.iter().zip(&tile.batch) {
        out.extend(unfuse(k, axis, k.b.resize_s(*index, Ty::I64)));
    }
    out
}

struct Emission<'a> {
    k: &'a Kernel<'a>,
    facts: &'a Facts<'a>,
    p: &'a Pipeline,
    walk: &'a Walk,
    outer: Vec<(LoopVar, Val)>,
}

impl Emission<'_> {
    /// One lane's run from (`row`, `col`), its sums at shared address `from`.
    fn run(&self, row: Val, col: Val, from: Val) {
        let b = &self.k.b;
        // Opaque from here on: LLVM would otherwise compute the addresses of all runs first and keep them in registers.
        let pinned = b.pin(&[row, col, from]);
        let (row, col, from) = (pinned[0], pinned[1], pinned[2]);
        let (dr, dc, pitch) = match self.walk.along {
            Along::Cols => (0, 1, 4),
            Along::Rows => (1, 0, PITCH * 4),
        };
        let part = |i: Val| {
            let (row, col) = (b.add(row, b.mul(i, b.i32(dr))), b.add(col, b.mul(i, b.i32(dc))));
            b.when(self.inside(row, col), || {
                let from = b.add(from, b.mul(i, b.i32(pitch as i32)));
                self.elements(row, col, self.sums(from));
            });
        };
        if self.walk.lanes == 1 {
            b.for_each(b.i32(0), b.i32(RUN as i32), b.i32(1), part);
        } else {
            (0..RUN).step_by(self.walk.lanes as usize).for_each(|i| part(b.i32(i as i32)));
        }
    }

    fn inside(&self, row: Val, col: Val) -> Val {
        let b = &self.k.b;
        let extent = |axis: &Axis| b.resize_s(self.k.poly(&axis.extent), Ty::I32);
        let (rows, cols) = (extent(&self.p.plan.rows), extent(&self.p.plan.cols));
        b.and(b.cmp(Cmp::Slt, row, rows), b.cmp(Cmp::Slt, col, cols))
    }

    /// The sums of one group of lanes.
    fn sums(&self, from: Val) -> Vec<Val> {
        let b = &self.k.b;
        let lanes = self.walk.lanes;
        match self.walk.along {
            Along::Rows => (0..lanes).flat_map(|i| smem::load(b, plus(b, from, i * PITCH * 4), Ty::F32, 1)).collect(),
            Along::Cols => {
                let wide = lanes.min(4);
                (0..lanes / wide).flat_map(|i| smem::load(b, plus(b, from, i * 16), Ty::F32, wide as usize)).collect()
            }
        }
    }

    /// Evaluates and stores `walk.lanes` neighbours from (`row`, `col`) on.
    fn elements(&self, row: Val, col: Val, sums: Vec<Val>) {
        let b = &self.k.b;
        let wide = |v: Val| b.resize_s(v, Ty::I64);
        let mut eval = Eval::new(self.k, self.facts);
        for (var, value) in &self.outer {
            eval.bind(*var, vec![*value]);
        }
        let (rows, cols) = (unfuse(self.k, &self.p.plan.rows, wide(row)), unfuse(self.k, &self.p.plan.cols, wide(col)));
        let (fixed, mut moving) = if self.walk.along == Along::Rows { (cols, rows) } else { (rows, cols) };
        if let Some((var, first)) = moving.pop() {
            eval.bind_consecutive(var, first, self.walk.lanes);
        }
        for (var, value) in fixed.into_iter().chain(moving) {
            eval.bind(var, vec![value]);
        }
        eval.bind_acc(0, 0, sums);
        self.p.stores.iter().for_each(|s| eval.store(s, Nibbles::Whole, None));
    }
}
