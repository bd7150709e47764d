//! Neighbouring loops that always step together become one, so that backends see long loops: `[b, s, d]` in row-major
//! order is one loop, not three.

use crate::nest::Lowered;
use std::collections::{BTreeMap, BTreeSet};
use tricot_kernel::{Body, Contraction, Expr, ExprId, Exprs, Extent, Index, Loop, LoopVar, Nest, Stage, Store};
#[cfg(test)]
use tricot_types::Poly;

/// Merges loops of a kernel wherever every index allows it.
pub fn collapse(lowered: Lowered) -> Lowered {
    // Dead expressions must not hold loops apart.
    let mut lowered = tidy(lowered);
    if matches!(lowered.body, Body::Attention(_) | Body::SparseContraction(_) | Body::Custom(_)) {
        return lowered;
    }
    let mut indices: Vec<Index> = vec![];
    let mut fixed: BTreeSet<LoopVar> = BTreeSet::new();
    for (_, node) in lowered.exprs.iter() {
        match &node.expr {
            Expr::Var(v) => {
                fixed.insert(*v);
            }
            Expr::Load { index, .. } => indices.push(index.clone()),
            _ => {}
        }
    }
    visit_stores(&mut lowered.body, &mut |s| indices.push(s.index.clone()));
    let mut gone = BTreeSet::new();
    visit_loops(&mut lowered.body, &mut |loops| merge(loops, &indices, &fixed, &mut gone));
    if gone.is_empty() {
        return lowered;
    }
    let clean = |index: &Index| -> Index {
        let affine = index.affine.iter().filter(|(v, _)| !gone.contains(v)).map(|(v, s)| (*v, s.clone())).collect();
        Index { affine, ..index.clone() }
    };
    let map = rebuild(&mut lowered.exprs, &clean, |_| true);
    renumber(&mut lowered.body, &map, &clean);
    lowered
}

/// Merges within one list of loops; the inner variable stays, the outer goes.
fn merge(loops: &mut Vec<Loop>, indices: &[Index], fixed: &BTreeSet<LoopVar>, gone: &mut BTreeSet<LoopVar>) {
    let mut at = loops.len();
    while at >= 2 {
        at -= 1;
        let (outer, inner) = (&loops[at - 1], &loops[at]);
        let (Extent::Size(rows), Extent::Size(columns)) = (&outer.extent, &inner.extent) else { continue };
        let together = |i: &Index| i.stride(outer.var) == i.stride(inner.var) * columns.clone();
        if fixed.contains(&outer.var) || fixed.contains(&inner.var) || !indices.iter().all(together) {
            continue;
        }
        let merged = Loop { var: inner.var, extent: Extent::Size(rows.clone() * columns.clone()) };
        gone.insert(outer.var);
        loops[at] = merged;
        loops.remove(at - 1);
    }
}

/// The arena with cleaned indices; old numbers to new ones.
fn rebuild(
    exprs: &mut Exprs,
    clean: &impl Fn(&Index) -> Index,
    keep: impl Fn(ExprId) -> bool,
) -> BTreeMap<ExprId, ExprId> {
    let old = std::mem::take(exprs);
    let mut map: BTreeMap<ExprId, ExprId> = BTreeMap::new();
    for (id, node) in old.iter().filter(|(id, _)| keep(*id)) {
        let m = |e: &ExprId| map[e];
        let expr = match &node.expr {
            Expr::Load { buffer, index, guard } => Expr::Load {
                buffer: *buffer,
                index: remap(&clean(index), &map),
                guard: guard.as_ref().map(|(c, o)| (m(c), m(o))),
            },
            Expr::Unary(op, x) => Expr::Unary(*op, m(x)),
            Expr::Binary(op, a, b) => Expr::Binary(*op, m(a), m(b)),
            Expr::Select { cond, then, other } => Expr::Select { cond: m(cond), then: m(then), other: m(other) },
            Expr::Cast { from, mode } => Expr::Cast { from: m(from), mode: *mode },
            same => same.clone(),
        };
        let new = exprs.push(node.dtype, expr);
        map.insert(id, new);
    }
    map
}

fn remap(index: &Index, map: &BTreeMap<ExprId, ExprId>) -> Index {
    Index { dynamic: index.dynamic.iter().map(|(e, s)| (map[e], s.clone())).collect(), ..index.clone() }
}

fn renumber(body: &mut Body, map: &BTreeMap<ExprId, ExprId>, clean: &impl Fn(&Index) -> Index) {
    visit_stores(body, &mut |s| {
        s.index = remap(&clean(&s.index), map);
        s.value = map[&s.value];
        s.guard = s.guard.map(|g| map[&g]);
    });
    visit_loops(body, &mut |loops| {
        for l in loops {
            if let Extent::Dynamic(e) = &mut l.extent {
                *e = map[e];
            }
        }
    });
    match body {
        Body::Nest(Nest { stages, .. }) => {
            for stage in stages {
                match stage {
                    Stage::Reduce { accs, .. } => accs.iter_mut().for_each(|a| a.value = map[&a.value]),
                    Stage::Sequential { carries, .. } => {
                        carries.iter_mut().for_each(|c| (c.init, c.next) = (map[&c.init], map[&c.next]));
                    }
                    Stage::Store { .. } => {}
                }
            }
        }
        Body::Contraction(Contraction { a, b, .. }) => (*a, *b) = (map[a], map[b]),
        Body::SparseContraction(_) | Body::Attention(_) | Body::Custom(_) => {}
    }
}

fn visit_stores(body: &mut Body, visit: &mut dyn FnMut(&mut Store)) {
    match body {
        Body::Nest(n) => {
            for stage in &mut n.stages {
                match stage {
                    Stage::Store { stores, .. } | Stage::Sequential { stores, .. } => {
                        stores.iter_mut().for_each(&mut *visit)
                    }
                    Stage::Reduce { .. } => {}
                }
            }
        }
        Body::Contraction(c) => c.stores.iter_mut().for_each(visit),
        Body::SparseContraction(c) => c.stores.iter_mut().for_each(visit),
        Body::Attention(_) | Body::Custom(_) => {}
    }
}

fn visit_loops(body: &mut Body, visit: &mut dyn FnMut(&mut Vec<Loop>)) {
    match body {
        Body::Nest(n) => {
            visit(&mut n.parallel);
            for stage in &mut n.stages {
                match stage {
                    // The place found by an arg reduction counts all of the stage's loops, whichever way they are cut.
                    Stage::Reduce { loops, .. } | Stage::Store { loops, .. } | Stage::Sequential { loops, .. } => {
                        visit(loops)
                    }
                }
            }
        }
        Body::Contraction(c) => [&mut c.batch, &mut c.m, &mut c.n, &mut c.k].into_iter().for_each(visit),
        Body::SparseContraction(_) | Body::Attention(_) | Body::Custom(_) => {}
    }
}

/// Leaves out expressions nothing needs.
fn tidy(mut lowered: Lowered) -> Lowered {
    let mut live = BTreeSet::new();
    let mut stack: Vec<ExprId> = vec![];
    visit_stores(&mut lowered.body, &mut |s| {
        stack.extend(s.index.dynamic.iter().map(|(e, _)| *e));
        stack.push(s.value);
        stack.extend(s.guard);
    });
    visit_loops(&mut lowered.body, &mut |loops| {
        stack.extend(loops.iter().filter_map(|l| if let Extent::Dynamic(e) = &l.extent { Some(*e) } else { None }));
    });
    match &lowered.body {
        Body::Nest(Nest { stages, .. }) => {
            for stage in stages {
                match stage {
                    Stage::Reduce { accs, .. } => stack.extend(accs.iter().map(|a| a.value)),
                    Stage::Sequential { carries, .. } => stack.extend(carries.iter().flat_map(|c| [c.init, c.next])),
                    Stage::Store { .. } => {}
                }
            }
        }
        Body::Contraction(c) => stack.extend([c.a, c.b]),
        Body::SparseContraction(_) | Body::Attention(_) | Body::Custom(_) => return lowered,
    }
    while let Some(e) = stack.pop() {
        if live.insert(e) {
            lowered.exprs.operands(e, |o| stack.push(o));
        }
    }
    if live.len() == lowered.exprs.len() {
        return lowered;
    }
    let first = rebuild(&mut lowered.exprs, &Index::clone, |e| live.contains(&e));
    renumber(&mut lowered.body, &first, &Index::clone);
    lowered
}

/// Extents of loops as one size, for people.
#[cfg(test)]
fn sizes(loops: &[Loop]) -> Vec<Poly> {
    loops.iter().filter_map(|l| if let Extent::Size(p) = &l.extent { Some(p.clone()) } else { None }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_of_a_dense_array_are_one_loop() {
        let (i, j) = (LoopVar(0), LoopVar(1));
        let dense = Index::zero().plus(i, 4).plus(j, 1);
        let turned = Index::zero().plus(i, 1).plus(j, 3);
        let two = || vec![Loop::new(i, 3), Loop::new(j, 4)];
        let run = |indices: &[Index], fixed: &BTreeSet<LoopVar>| {
            let mut loops = two();
            merge(&mut loops, indices, fixed, &mut BTreeSet::new());
            sizes(&loops)
        };
        let none = BTreeSet::new();
        assert_eq!(run(&[dense.clone()], &none), [Poly::constant(12)]);
        assert_eq!(run(&[dense.clone(), turned], &none).len(), 2);
        assert_eq!(run(&[dense, Index::zero()], &none), [Poly::constant(12)]);
        assert_eq!(run(&[], &[j].into()).len(), 2);
    }
}
