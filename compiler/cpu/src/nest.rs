//! `Nest` kernels: parallel points, stages inside.
//!
//! Either a parallel variable stands for lanes and all stages of a group of points run together, or each stage picks one
//! of its own loops. Points are split over threads in chunks that depend on sizes only.

use crate::access::{lanes, long_enough, reachable, score, stage_loops, stage_roots, stage_stores};
use crate::blob::Unit;
use crate::emit::{Deps, Emit, Shared, body_function, dependencies, entry_function};
use crate::loops::{points_of, size_of};
use crate::simplify::{collapse, load_indices};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value};
use cranelift_codegen::isa::TargetIsa;
use tricot_kernel::{Combine, ExprId, Exprs, Extent, Index, KernelDesc, Loop, LoopVar, Nest, Stage};
use tricot_types::{Diagnostic, Poly};

/// Node evaluations that are worth a task of their own.
pub const TASK: i64 = 1 << 16;

/// The chunk number of a split vector variable.
const CHUNK: LoopVar = LoopVar(u32::MAX);

/// The tile number of a loop that reads along cache lines which the vector variable crosses.
const TILE: LoopVar = LoopVar(u32::MAX - 1);

/// Rounds of such a tile: a cache line of f32.
const TILE_ROUNDS: i64 = 16;

/// How a nest is vectorised.
struct Choice {
    /// Number of the parallel loop that stands for lanes.
    parallel: Option<usize>,
    /// For each stage whether its (then last) loop does.
    inner: Vec<bool>,
    lanes: usize,
}

/// Compiles a nest; the string names the choice made.
pub fn compile(desc: &KernelDesc, nest: &Nest, isa: &dyn TargetIsa, text: bool) -> Result<(Unit, String), Diagnostic> {
    let (mut exprs, mut nest) = (desc.exprs.clone(), nest.clone());
    merge_loops(&mut exprs, &mut nest);
    let deps = dependencies(&exprs);
    let choice = choose(&exprs, &deps, &mut nest);
    let shared = Shared { exprs: &exprs, deps: &deps, buffers: &desc.buffers, symbols: &desc.symbols, isa };

    let has_loops = nest.stages.iter().any(|s| !stage_loops(s).is_empty());
    let mut outer = nest.parallel.clone();
    let vector = choice.parallel.map(|at| outer.remove(at));
    let crossing = match &vector {
        Some(v) if !has_loops => outer.iter().position(|u| crosses_lines(&exprs, v, u)),
        _ => None,
    };
    let chunk: i64 = if has_loops || crossing.is_some() { 64 } else { 2048 };
    let tiled = crossing.map(|at| {
        let u = outer[at].clone();
        outer[at] = Loop::new(TILE, size_of(&u).ceil_div(TILE_ROUNDS));
        u
    });
    if let Some(v) = &vector {
        let extent = size_of(v);
        if extent.as_constant().is_none_or(|e| e > chunk) {
            outer.push(Loop::new(CHUNK, extent.ceil_div(chunk)));
        }
    }
    let chunked = outer.last().is_some_and(|l| l.var == CHUNK);

    let mut cost = Poly::default();
    for stage in &nest.stages {
        let nodes = reachable(&exprs, &stage_roots(stage)).len() as i64 + 2;
        let dynamic = stage_loops(stage).iter().filter(|l| matches!(l.extent, Extent::Dynamic(_))).count();
        cost = cost + points_of(stage_loops(stage)) * Poly::constant(nodes * 16i64.pow(dynamic.min(4) as u32));
    }
    if let Some(v) = &vector {
        let each = if chunked { Poly::constant(chunk) } else { size_of(v) };
        cost = cost * each;
    }
    if tiled.is_some() {
        cost = cost * Poly::constant(TILE_ROUNDS);
    }
    let total = points_of(&outer);
    let entry = entry_function(&shared, |e| {
        let (total, cost) = (e.poly(&total), e.poly(&cost));
        (total, e.grain(cost))
    })?;
    let body = body_function(&shared, choice.lanes, &[], |e, begin, end| {
        e.points(&outer, begin, end, |e| {
            e.values.clear();
            for stage in &nest.stages {
                e.hoist(&stage_roots(stage), stage_loops(stage).is_empty());
            }
            let Some(v) = &vector else { return run_stages(e, &nest, &choice) };
            let extent = e.extent(&v.extent);
            let (lo, hi) = match chunked {
                true => {
                    let at = e.var(CHUNK).expect("bound by the points");
                    let lo = e.b.ins().imul_imm_s(at, chunk);
                    let end = e.b.ins().iadd_imm_s(lo, chunk);
                    let shorter = e.b.ins().icmp(IntCC::SignedLessThan, end, extent);
                    (lo, e.b.ins().select(shorter, end, extent))
                }
                false => (e.i64(0), extent),
            };
            let roots: Vec<ExprId> = nest.stages.iter().flat_map(stage_roots).collect();
            let run = &mut |e: &mut Emit| run_stages(e, &nest, &choice);
            let Some(u) = &tiled else { return e.range(v.var, lo, hi, true, &roots, run) };
            let (from, to) = e.block(TILE, TILE_ROUNDS, &size_of(u));
            e.count(from, to, 1, |e, i| {
                e.bind(u.var, i);
                e.hoist(&roots, true);
                e.range(v.var, lo, hi, true, &roots, run);
                e.unbind();
            });
        });
    })?;
    let mut unit = Unit::default();
    unit.add(isa, entry, text)?;
    unit.add(isa, body, text)?;
    let how = match (&vector, choice.inner.iter().any(|i| *i)) {
        (Some(_), _) => format!("loops x{} across points", choice.lanes),
        (None, true) => format!("loops x{} within points", choice.lanes),
        (None, false) => "scalar loops".to_string(),
    };
    Ok((unit, how))
}

fn run_stages(e: &mut Emit, nest: &Nest, choice: &Choice) {
    e.values.clear();
    for (number, stage) in nest.stages.iter().enumerate() {
        let (number, inner) = (number as u32, choice.inner[number]);
        match stage {
            Stage::Reduce { loops, accs } => e.reduce_stage(number, loops, accs, inner),
            Stage::Store { loops, stores } => e.store_stage(loops, stores, inner),
            Stage::Sequential { loops, carries, stores } => e.sequential_stage(number, loops, carries, stores),
        }
    }
}

fn merge_loops(exprs: &mut Exprs, nest: &mut Nest) {
    let mut indices: Vec<&mut Index> = vec![];
    let mut groups: Vec<&mut Vec<Loop>> = vec![&mut nest.parallel];
    for stage in &mut nest.stages {
        match stage {
            Stage::Reduce { loops, .. } => groups.push(loops),
            Stage::Store { loops, stores } | Stage::Sequential { loops, stores, .. } => {
                groups.push(loops);
                indices.extend(stores.iter_mut().map(|s| &mut s.index));
            }
        }
    }
    collapse(exprs, &mut indices, &mut groups);
}

/// Picks the vector variables; a stage's own is moved to the end of its loops.
fn choose(exprs: &Exprs, deps: &[Deps], nest: &mut Nest) -> Choice {
    let mut best: Option<(usize, i64)> = None;
    for (at, l) in nest.parallel.iter().enumerate() {
        let uniform_loops = nest.stages.iter().flat_map(stage_loops).all(|inner| match &inner.extent {
            Extent::Size(_) => true,
            Extent::Dynamic(e) => !depends(deps, *e, l.var),
        });
        if !long_enough(l) || !uniform_loops {
            continue;
        }
        let total = nest.stages.iter().try_fold(0, |sum, stage| {
            score(exprs, deps, &stage_roots(stage), stage_stores(stage), l.var).map(|s| sum + s)
        });
        if let Some(total) = total.filter(|t| *t > 0)
            && best.is_none_or(|(_, b)| total >= b)
        {
            best = Some((at, total));
        }
    }
    let mut own: Vec<Option<(usize, i64)>> = vec![];
    for stage in &nest.stages {
        let loops = stage_loops(stage);
        let roots = stage_roots(stage);
        let ordered = match stage {
            Stage::Sequential { .. } => true,
            Stage::Reduce { accs, .. } => {
                accs.iter().any(|a| matches!(a.combine, Combine::ArgMin { .. } | Combine::ArgMax { .. }))
            }
            Stage::Store { .. } => false,
        };
        let dynamic = loops.iter().any(|l| matches!(l.extent, Extent::Dynamic(_)));
        let candidates = match (ordered, dynamic) {
            (true, _) => 0..0,
            (false, true) => loops.len() - 1..loops.len(),
            (false, false) => 0..loops.len(),
        };
        let scored = candidates.filter(|i| long_enough(&loops[*i])).filter_map(|i| {
            score(exprs, deps, &roots, stage_stores(stage), loops[i].var).filter(|s| *s > 0).map(|s| (i, s))
        });
        own.push(scored.max_by_key(|(i, s)| (*s, *i)));
    }
    let inner_total: i64 = own.iter().flatten().map(|(_, s)| s).sum();
    if let Some((at, total)) = best
        && total > inner_total
    {
        let l = nest.parallel[at].clone();
        let roots: Vec<_> = nest.stages.iter().flat_map(stage_roots).collect();
        let lanes = lanes(exprs, deps, &roots, &l);
        return Choice { parallel: Some(at), inner: vec![false; nest.stages.len()], lanes };
    }
    let mut width = 8;
    for (stage, own) in nest.stages.iter_mut().zip(&own) {
        let Some((at, _)) = own else { continue };
        let roots = stage_roots(stage);
        let (Stage::Reduce { loops, .. } | Stage::Store { loops, .. } | Stage::Sequential { loops, .. }) = stage;
        let l = loops.remove(*at);
        width = width.min(lanes(exprs, deps, &roots, &l));
        loops.push(l);
    }
    Choice { parallel: None, inner: own.iter().map(Option::is_some).collect(), lanes: width }
}

/// Whether some load steps by 1 with `u` but jumps with the vector variable: a transposition.
fn crosses_lines(exprs: &Exprs, v: &Loop, u: &Loop) -> bool {
    let long = size_of(u).as_constant().is_none_or(|e| e > 1);
    long && load_indices(exprs)
        .any(|i| i.stride(u.var).is_one() && !i.stride(v.var).is_zero() && !i.stride(v.var).is_one())
}

/// Whether a loop bound may vary with `var`: what a stage computes may vary with every point.
fn depends(deps: &[Deps], id: ExprId, var: LoopVar) -> bool {
    let own = &deps[id.0 as usize];
    own.vars.contains(&var) || !own.values.is_empty()
}

impl Emit<'_> {
    /// Points a task should hold when one point costs `cost` node evaluations.
    pub fn grain(&mut self, cost: Value) -> Value {
        let one = self.i64(1);
        let positive = self.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, cost, 0);
        let cost = self.b.ins().select(positive, cost, one);
        let task = self.i64(TASK);
        let grain = self.b.ins().udiv(task, cost);
        let some = self.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, grain, 0);
        self.b.ins().select(some, grain, one)
    }
}
