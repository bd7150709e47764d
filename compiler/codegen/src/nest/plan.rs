//! Choosing how a nest is spread over threads.

use crate::eval::{Facts, common_vector, facts::visit, vector_lanes};
use std::fmt;
use tricot_kernel::{Expr, ExprId, Extent, Loop, LoopVar, Nest, Stage, Store};
use tricot_types::Poly;

/// How parallel points are spread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// All loops of the only stage are parallel; `lanes` consecutive points of the innermost a thread. `pairs`: two consecutive points of
    /// the flattened loops instead, for 4-bit stores whose bytes straddle rows.
    Flat { lanes: u32, pairs: bool },
    /// `size` threads (1, 32, or the whole block) for each parallel point.
    Team { size: u32 },
    /// One thread for everything.
    Serial,
}

/// A way with its launch numbers.
#[derive(Clone, Debug)]
pub struct Plan {
    pub way: Way,
    pub threads: u32,
    pub blocks: Poly,
    pub shared_bytes: u32,
    /// Points (times lanes) and block numbers fit in 31 bits.
    pub narrow: bool,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.way {
            Way::Flat { pairs: true, .. } => write!(f, "map pairs"),
            Way::Flat { lanes, .. } => write!(f, "map x{lanes}"),
            Way::Team { size: 1 } => write!(f, "nest thread per point"),
            Way::Team { size: 32 } => write!(f, "nest warp per point"),
            Way::Team { size } => write!(f, "nest block of {size} per point"),
            Way::Serial => write!(f, "nest serial"),
        }
    }
}

/// The loops, roots and stores of a stage.
pub(super) fn stage_parts(stage: &Stage) -> (&[Loop], Vec<ExprId>, &[Store]) {
    match stage {
        Stage::Reduce { loops, accs } => (loops, accs.iter().map(|a| a.value).collect(), &[]),
        Stage::Store { loops, stores } => (loops, store_roots(stores), stores),
        Stage::Sequential { loops, carries, stores } => {
            let next = carries.iter().map(|c| c.next);
            (loops, next.chain(store_roots(stores)).collect(), stores)
        }
    }
}

/// Every expression a list of stores evaluates.
pub(crate) fn store_roots(stores: &[Store]) -> Vec<ExprId> {
    let of = |s: &Store| {
        let own = std::iter::once(s.value).chain(s.guard);
        own.chain(s.index.dynamic.iter().map(|(e, _)| *e)).collect::<Vec<_>>()
    };
    stores.iter().flat_map(of).collect()
}

/// The product of all extents if they are polynomials and it does not overflow.
pub(crate) fn product<'a>(loops: impl IntoIterator<Item = &'a Loop>) -> Option<Poly> {
    loops.into_iter().try_fold(Poly::constant(1), |acc, l| match &l.extent {
        Extent::Size(p) => acc.checked_mul(p),
        Extent::Dynamic(_) => None,
    })
}

const FLAT_THREADS: u32 = 256;
/// Threads that fill an H200 a few times over: 132 SMs.
const ENOUGH: f64 = 132.0 * 512.0;

/// Registers of a thread that loads may fill: 255 there are, less addresses and partial sums.
const MAX_LOADED: u32 = 160;

impl Plan {
    /// Chooses from extents and hints.
    pub(super) fn choose(facts: &Facts, nest: &Nest) -> Plan {
        let parallel = product(&nest.parallel);
        if let [Stage::Store { loops, stores }] = nest.stages.as_slice() {
            let all: Vec<&Loop> = nest.parallel.iter().chain(loops).collect();
            if let Some(plan) = product(all.iter().copied()).and_then(|total| flat(facts, &all, stores, total)) {
                return plan;
            }
        }
        let stores_nibbles = nest.stages.iter().flat_map(|s| stage_parts(s).2).any(|s| is_nibble(facts, s));
        let Some(points) = parallel.filter(|_| !stores_nibbles) else { return serial() };
        team(facts, nest, points)
    }
}

fn serial() -> Plan {
    Plan { way: Way::Serial, threads: 1, blocks: 1.into(), shared_bytes: 0, narrow: false }
}

fn is_nibble(facts: &Facts, store: &Store) -> bool {
    facts.desc.buffers[store.buffer as usize].dtype.bits() < 8
}

fn flat(facts: &Facts, loops: &[&Loop], stores: &[Store], total: Poly) -> Option<Plan> {
    let plan = |lanes: u32, pairs: bool| Plan {
        way: Way::Flat { lanes, pairs },
        threads: FLAT_THREADS,
        blocks: total.ceil_div(i64::from(FLAT_THREADS * lanes)),
        shared_bytes: 0,
        narrow: facts.fits_i32(&total),
    };
    let mut lanes = 1;
    if let Some(inner) = loops.last() {
        let Extent::Size(extent) = &inner.extent else { return None };
        let most = vector_lanes(facts, inner.var, extent, &store_roots(stores), stores);
        lanes = common_vector(most, total.hint(facts.symbols), ENOUGH);
        while lanes > 1 && loaded_registers(facts, stores) * lanes > MAX_LOADED {
            lanes /= 2;
        }
        let nibbles = || stores.iter().filter(|s| is_nibble(facts, s));
        if nibbles().next().is_some() {
            lanes = lanes.max(2);
            let whole = |s: &Store| s.guard.is_none() && facts.contiguous(&s.index, inner.var, lanes);
            if most < 2 || !nibbles().all(whole) {
                // Two consecutive points of the flattened loops, if that is the order of the buffer.
                let row_major = |s: &Store| s.guard.is_none() && is_row_major(s, loops);
                return nibbles().all(row_major).then(|| plan(2, true));
            }
        }
    } else if stores.iter().any(|s| is_nibble(facts, s)) {
        return None;
    }
    Some(plan(lanes, false))
}

/// Registers for everything a point loads: the sums of a Winograd transform need all of its taps at once.
fn loaded_registers(facts: &Facts, stores: &[Store]) -> u32 {
    let mut count = 0;
    visit(facts.desc, &store_roots(stores), &mut |id| {
        let node = &facts.desc.exprs[id];
        if matches!(node.expr, Expr::Load { .. }) {
            count += node.dtype.bits().div_ceil(32);
        }
    });
    count
}

/// Whether a store's index is exactly the row-major position in the loops.
fn is_row_major(store: &Store, loops: &[&Loop]) -> bool {
    let mut stride = Poly::constant(1);
    let mut left = store.index.affine.len();
    for l in loops.iter().rev() {
        let Extent::Size(extent) = &l.extent else { return false };
        if !extent.is_one() {
            if store.index.stride(l.var) != stride {
                return false;
            }
            left -= 1;
        }
        let Some(next) = stride.checked_mul(extent) else { return false };
        stride = next;
    }
    left == 0 && store.index.offset.is_zero() && store.index.dynamic.is_empty()
}

fn team(facts: &Facts, nest: &Nest, points: Poly) -> Plan {
    let hint = |l: &Loop| match &l.extent {
        Extent::Size(p) => p.hint(facts.symbols).max(1.0),
        Extent::Dynamic(_) => 32.0,
    };
    let work = |s: &Stage| stage_parts(s).0.iter().map(hint).product::<f64>();
    let longest = nest.stages.iter().map(work).fold(1.0, f64::max);
    let rows = points.hint(facts.symbols).max(1.0);
    let sequential = nest.stages.iter().any(|s| matches!(s, Stage::Sequential { .. }));
    let size = if sequential
        || longest <= 16.0
        || (across_points(facts, nest) && rows >= 4096.0)
        || rows >= ENOUGH * 16.0 && longest <= 32.0
    {
        1
    } else if longest <= 512.0 || (longest <= 4096.0 && rows >= 2048.0) {
        32
    } else if longest <= 16384.0 {
        256
    } else {
        1024
    };
    // Small blocks spread few points over many SMs.
    let threads = match size {
        1 if rows < ENOUGH => 64,
        1 | 32 => 128,
        whole => whole,
    };
    let accs =
        nest.stages.iter().map(|s| if let Stage::Reduce { accs, .. } = s { accs.len() } else { 0 }).max().unwrap_or(0);
    let shared_bytes = if size > 32 { super::team::shared_bytes(accs) } else { 0 };
    let blocks = points.ceil_div(i64::from(threads / size));
    Plan { way: Way::Team { size }, threads, blocks, shared_bytes, narrow: facts.fits_i32(&points) }
}

/// Whether neighbouring points read neighbouring elements while the loops of the stages do not: a reduction over columns.
fn across_points(facts: &Facts, nest: &Nest) -> bool {
    let Some(inner) = nest.parallel.last() else { return false };
    let loop_vars: Vec<LoopVar> = nest.stages.iter().filter_map(|s| stage_parts(s).0.last().map(|l| l.var)).collect();
    let (mut along, mut across) = (0, 0);
    for stage in &nest.stages {
        visit(facts.desc, &stage_parts(stage).1, &mut |id| {
            if let Expr::Load { index, .. } = &facts.desc.exprs[id].expr {
                along += u32::from(loop_vars.iter().any(|v| index.stride(*v).is_one()));
                across += u32::from(index.stride(inner.var).is_one());
            }
        });
    }
    across > along
}
