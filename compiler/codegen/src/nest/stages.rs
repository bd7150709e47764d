//! Emission of nests.

use super::plan::{Plan, product, stage_parts, store_roots};
use super::points::{delinearise, extents};
use super::team::{self, State};
use crate::emit::{Cmp, Ty, Val};
use crate::eval::store::Nibbles;
use crate::eval::{Eval, Facts, Lanes, vector_lanes, zip_lanes};
use crate::kernel::Kernel;
use std::collections::BTreeSet;
use tricot_kernel::{Acc, Carry, ExprId, Extent, Loop, Nest, Stage, Store};

/// One thread for `lanes` consecutive points of all loops of the single store stage.
pub(super) fn flat(k: &Kernel, facts: &Facts, nest: &Nest, plan: &Plan, lanes: u32, pairs: bool) {
    let [Stage::Store { loops, stores }] = nest.stages.as_slice() else { unreachable!("planned for one store stage") };
    let b = &k.b;
    let all: Vec<&Loop> = nest.parallel.iter().chain(loops).collect();
    let ty = if plan.narrow { Ty::I32 } else { Ty::I64 };
    let thread = linear_thread(k, plan.threads, ty);
    let first = b.mul(thread, b.int(ty, i64::from(lanes)));
    let sizes = extents(k, all.iter().copied(), ty);
    let total = sizes.iter().copied().reduce(|x, y| b.mul(x, y)).unwrap_or_else(|| b.int(ty, 1));
    b.when(b.cmp(Cmp::Slt, first, total), || {
        let mut eval = Eval::new(k, facts);
        if pairs {
            // The second point repeats the first where there is no second.
            let next = b.add(first, b.int(ty, 1));
            let exists = b.cmp(Cmp::Slt, next, total);
            let points = [first, b.select(exists, next, first)].map(|p| delinearise(b, p, &sizes));
            for (i, l) in all.iter().enumerate() {
                eval.bind(l.var, vec![points[0][i], points[1][i]]);
            }
            stores.iter().for_each(|s| {
                let nibble = k.desc.buffers[s.buffer as usize].dtype.bits() < 8;
                if nibble {
                    eval.store(s, Nibbles::Pair, Some(exists));
                } else {
                    // The repeated point stores the same value to the same place again.
                    eval.store(s, Nibbles::Whole, None);
                }
            });
            return;
        }
        let point = delinearise(b, first, &sizes);
        for (i, (l, position)) in all.iter().zip(point).enumerate() {
            if i + 1 == all.len() {
                eval.bind_consecutive(l.var, position, lanes);
            } else {
                eval.bind(l.var, vec![position]);
            }
        }
        stores.iter().for_each(|s| eval.store(s, Nibbles::Whole, None));
    });
}

/// The number of this thread in the grid.
fn linear_thread(k: &Kernel, threads: u32, ty: Ty) -> Val {
    let b = &k.b;
    let block = b.resize_u(b.block(0), ty);
    b.add(b.mul(block, b.int(ty, i64::from(threads))), b.resize_u(b.thread(0), ty))
}

/// `size` threads for each parallel point.
pub(super) fn team(k: &Kernel, facts: &Facts, nest: &Nest, plan: &Plan, size: u32) {
    let b = &k.b;
    let ty = if plan.narrow { Ty::I32 } else { Ty::I64 };
    let (point, member) = if size == plan.threads {
        (b.resize_u(b.block(0), ty), b.thread(0))
    } else {
        let thread = linear_thread(k, plan.threads, ty);
        // Powers of two.
        (b.div_u(thread, b.int(ty, i64::from(size))), b.and(b.thread(0), b.i32(size as i32 - 1)))
    };
    let sizes = extents(k, &nest.parallel, ty);
    let total = sizes.iter().copied().reduce(|x, y| b.mul(x, y)).unwrap_or_else(|| b.int(ty, 1));
    let body = || {
        let mut eval = Eval::new(k, facts);
        for (l, position) in nest.parallel.iter().zip(delinearise(b, point, &sizes)) {
            eval.bind(l.var, vec![position]);
        }
        run_stages(&mut eval, nest, &Team { size, member });
    };
    if size == plan.threads {
        // The grid has exactly one block for each point, so that barriers inside are met by every thread.
        body();
    } else {
        b.when(b.cmp(Cmp::Slt, point, total), body);
    }
}

/// One thread runs everything.
pub(super) fn serial(k: &Kernel, facts: &Facts, nest: &Nest) {
    let mut eval = Eval::new(k, facts);
    let alone = Team { size: 1, member: k.b.i32(0) };
    loops_in_order(&mut eval, &nest.parallel, &[], &[], &mut |e, _, _| {
        run_stages(e, nest, &alone);
        vec![]
    });
}

/// The threads that share one parallel point.
struct Team {
    size: u32,
    /// Number of this thread in the team, i32.
    member: Val,
}

fn run_stages(eval: &mut Eval, nest: &Nest, team: &Team) {
    for (number, stage) in nest.stages.iter().enumerate() {
        let number = number as u32;
        match stage {
            Stage::Reduce { loops, accs } => reduce(eval, number, loops, accs, team),
            Stage::Store { loops, stores } => store(eval, loops, stores, team),
            Stage::Sequential { loops, carries, stores } => sequential(eval, number, loops, carries, stores),
        }
    }
}

/// The body of [`loops_in_order`]: gets the row-major position so far and the carried values, gives the next ones.
type InLoops<'b, 'k> = &'b mut dyn FnMut(&mut Eval<'k>, Val, &[Val]) -> Vec<Val>;

/// Opens `loops` one inside the other on one thread, hoisting `roots` before each, and threads values through them.
fn loops_in_order<'k>(
    eval: &mut Eval<'k>,
    loops: &[Loop],
    roots: &[ExprId],
    init: &[Val],
    body: InLoops<'_, 'k>,
) -> Vec<Val> {
    let b = eval.b;
    fn open<'k>(
        e: &mut Eval<'k>,
        loops: &[Loop],
        roots: &[ExprId],
        at: Val,
        values: &[Val],
        body: InLoops<'_, 'k>,
    ) -> Vec<Val> {
        let b = e.b;
        let Some((outer, inner)) = loops.split_first() else { return body(e, at, values) };
        e.hoist(roots, loops.iter().all(|l| e.facts.runs(l)));
        let extent = extent_of(e, outer);
        b.for_loop(b.i64(0), extent, b.i64(1), values, |i, values| {
            e.scoped(|e| {
                e.bind(outer.var, vec![i]);
                let at = b.add(b.mul(at, extent), i);
                open(e, inner, roots, at, values, body)
            })
        })
    }
    open(eval, loops, roots, b.i64(0), init, body)
}

/// A loop's extent, i64.
fn extent_of(e: &mut Eval, l: &Loop) -> Val {
    match &l.extent {
        Extent::Size(p) => e.k.poly(p),
        Extent::Dynamic(id) => e.eval_one(*id),
    }
}

/// The body of [`share_loops`]: gets the row-major position of every lane and the carried values, gives the next ones.
type InShare<'b, 'k> = &'b mut dyn FnMut(&mut Eval<'k>, Lanes, &[Val]) -> Vec<Val>;

/// Shares the points of `loops` out over the team, `lanes` consecutive ones at a time.
fn share_loops<'k>(
    eval: &mut Eval<'k>,
    team: &Team,
    loops: &[Loop],
    roots: &[ExprId],
    lanes: u32,
    init: &[Val],
    body: InShare<'_, 'k>,
) -> Vec<Val> {
    let b = eval.b;
    if team.size == 1 {
        return loops_in_order(eval, loops, roots, init, &mut |e, at, values| body(e, vec![at], values));
    }
    let step = |ty| b.int(ty, i64::from(team.size * lanes));
    let first = |ty| b.mul(b.resize_u(team.member, ty), b.int(ty, i64::from(lanes)));
    let positions = |at: Val| -> Lanes {
        let at = b.resize_u(at, Ty::I64);
        (0..lanes).map(|i| if i == 0 { at } else { b.add(at, b.i64(i64::from(i))) }).collect()
    };
    if let Some(total) = product(loops) {
        let ty = if eval.facts.fits_i32(&total) { Ty::I32 } else { Ty::I64 };
        eval.hoist(roots, loops.iter().all(|l| eval.facts.runs(l)));
        let sizes = extents(eval.k, loops, ty);
        let count = sizes.iter().copied().reduce(|x, y| b.mul(x, y)).unwrap_or_else(|| b.int(ty, 1));
        return b.for_loop(first(ty), count, step(ty), init, |at, values| {
            eval.scoped(|e| {
                let point = delinearise(b, at, &sizes);
                for (i, (l, position)) in loops.iter().zip(point).enumerate() {
                    if i + 1 == loops.len() {
                        e.bind_consecutive(l.var, position, lanes);
                    } else {
                        e.bind(l.var, vec![position]);
                    }
                }
                body(e, positions(at), values)
            })
        });
    }
    // Extents that depend on data: every thread walks the outer loops, the innermost is shared.
    let (inner, outer) = loops.split_last().expect("a product of no extents is 1");
    loops_in_order(eval, outer, roots, init, &mut |e, at, values| {
        e.hoist(roots, e.facts.runs(inner));
        let extent = extent_of(e, inner);
        let row = b.mul(at, extent);
        b.for_loop(first(Ty::I64), extent, step(Ty::I64), values, |i, values| {
            e.scoped(|e| {
                e.bind_consecutive(inner.var, i, lanes);
                body(e, positions(b.add(row, i)), values)
            })
        })
    })
}

/// Lanes for the innermost loop of a stage.
fn lanes_of(eval: &Eval, team: &Team, loops: &[Loop], roots: &[ExprId], stores: &[Store]) -> u32 {
    match loops.last() {
        Some(Loop { var, extent: Extent::Size(extent) }) if team.size > 1 => {
            let most = vector_lanes(eval.facts, *var, extent, roots, stores);
            let total: f64 = product(loops).map_or(1.0, |p| p.hint(eval.facts.symbols));
            crate::eval::common_vector(most, total, f64::from(team.size))
        }
        _ => 1,
    }
}

fn reduce(eval: &mut Eval, number: u32, loops: &[Loop], accs: &[Acc], team: &Team) {
    let b = eval.b;
    let roots: Vec<ExprId> = accs.iter().map(|a| a.value).collect();
    let lanes = lanes_of(eval, team, loops, &roots, &[]);
    // One accumulator per lane keeps chains short. States are carried as (value, position)… in a row.
    let starts: Vec<State> = accs.iter().flat_map(|a| vec![team::start(b, a); lanes as usize]).collect();
    let flatten =
        |states: &[State]| states.iter().flat_map(|s| std::iter::once(s.value).chain(s.position)).collect::<Vec<Val>>();
    let template = starts.clone();
    let unflatten = |values: &[Val]| -> Vec<State> {
        let mut values = values.iter().copied();
        let mut take = || values.next().expect("as many as were flattened");
        template.iter().map(|s| State { value: take(), position: s.position.map(|_| take()) }).collect()
    };
    // Dynamic extents give the threads of a team different trip counts; they meet again after the loop.
    let out = share_loops(eval, team, loops, &roots, lanes, &flatten(&starts), &mut |e, at, carried| {
        let before = unflatten(carried);
        let mut after = Vec::with_capacity(before.len());
        for (n, acc) in accs.iter().enumerate() {
            let dtype = e.k.desc.exprs[acc.value].dtype;
            let value = e.eval(acc.value);
            let value = zip_lanes(&[&value], |v| {
                crate::scalar::cast(b, dtype, acc.dtype, tricot_kernel::CastMode::Round, v[0])
            });
            for lane in 0..lanes as usize {
                let state = before[n * lanes as usize + lane];
                let new = State {
                    value: value[if value.len() == 1 { 0 } else { lane }],
                    position: state.position.map(|_| at[lane]),
                };
                after.push(team::merge(b, acc, state, new));
            }
        }
        flatten(&after)
    });
    let finals = unflatten(&out);
    let merged = accs.iter().enumerate().map(|(n, acc)| {
        let own = &finals[n * lanes as usize..(n + 1) * lanes as usize];
        own.iter().copied().reduce(|x, y| team::merge(b, acc, x, y)).expect("at least one lane")
    });
    let merged: Vec<State> = merged.collect();
    let combined = team::across_team(eval.k, team.size, accs, merged);
    for (n, state) in combined.into_iter().enumerate() {
        eval.bind_acc(number, n as u32, vec![team::finish(b, state)]);
    }
}

fn store(eval: &mut Eval, loops: &[Loop], stores: &[Store], team: &Team) {
    let b = eval.b;
    let roots = store_roots(stores);
    let lanes = lanes_of(eval, team, loops, &roots, stores);
    let nibbles = if team.size == 1 { Nibbles::Alone } else { Nibbles::Whole };
    if loops.is_empty() && team.size > 1 {
        // A single point belongs to the first thread.
        eval.hoist(&roots, true);
        b.when(b.cmp(Cmp::Eq, team.member, b.i32(0)), || {
            eval.scoped(|e| stores.iter().for_each(|s| e.store(s, nibbles, None)));
        });
        return;
    }
    share_loops(eval, team, loops, &roots, lanes, &[], &mut |e, _, _| {
        stores.iter().for_each(|s| e.store(s, nibbles, None));
        vec![]
    });
}

/// Runs on one thread; teams of more are never planned for a nest with such a stage.
fn sequential(eval: &mut Eval, number: u32, loops: &[Loop], carries: &[Carry], stores: &[Store]) {
    let written: BTreeSet<u32> = stores.iter().map(|s| s.buffer).collect();
    let init: Vec<Val> = carries.iter().map(|c| eval.eval_one(c.init)).collect();
    let roots = stage_parts_roots(carries, stores);
    let out = eval.ordered(written, |e| {
        loops_in_order(e, loops, &roots, &init, &mut |e, _, carried| {
            for (n, value) in carried.iter().enumerate() {
                e.bind_carry(number, n as u32, vec![*value]);
            }
            // Everything is evaluated before anything is stored.
            let next: Vec<Val> = carries.iter().map(|c| e.eval_one(c.next)).collect();
            let values: Vec<(Lanes, Option<Lanes>)> =
                stores.iter().map(|s| (e.eval(s.value), s.guard.map(|g| e.eval(g)))).collect();
            for s in stores {
                s.index.dynamic.iter().for_each(|(id, _)| {
                    e.eval(*id);
                });
            }
            for (s, (value, guard)) in stores.iter().zip(values) {
                e.store_value(s, value, guard, Nibbles::Alone, None);
            }
            next
        })
    });
    for (n, value) in out.into_iter().enumerate() {
        eval.bind_carry(number, n as u32, vec![value]);
    }
}

fn stage_parts_roots(carries: &[Carry], stores: &[Store]) -> Vec<ExprId> {
    let stage = Stage::Sequential { loops: vec![], carries: carries.to_vec(), stores: stores.to_vec() };
    stage_parts(&stage).1
}
