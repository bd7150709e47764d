//! Which variable should advance by lanes: a count of how memory is walked by each candidate.
//!
//! Knows indices and loops, no code.

use crate::emit::Deps;
use std::collections::BTreeSet;
use tricot_kernel::{Expr, ExprId, Exprs, Extent, Index, Loop, LoopVar, Stage, Store};
use tricot_types::DType;

/// Every node the roots need.
pub fn reachable(exprs: &Exprs, roots: &[ExprId]) -> BTreeSet<ExprId> {
    let mut seen = BTreeSet::new();
    let mut stack = roots.to_vec();
    while let Some(id) = stack.pop() {
        if seen.insert(id) {
            exprs.operands(id, |o| stack.push(o));
        }
    }
    seen
}

/// How an index walks when `var` advances.
enum Walk {
    Still,
    Next,
    Jump,
}

fn walk(deps: &[Deps], index: &Index, var: LoopVar) -> Walk {
    if index.dynamic.iter().any(|(e, _)| deps[e.0 as usize].vars.contains(&var)) {
        return Walk::Jump;
    }
    match index.affine.get(&var) {
        None => Walk::Still,
        Some(stride) if stride.is_one() => Walk::Next,
        Some(_) => Walk::Jump,
    }
}

/// Worth of vectorising these loads and stores over `var`; `None` where a store forbids it.
pub fn score(exprs: &Exprs, deps: &[Deps], roots: &[ExprId], stores: &[Store], var: LoopVar) -> Option<i64> {
    let mut total = 0;
    for id in reachable(exprs, roots) {
        if let Expr::Load { index, .. } = &exprs[id].expr {
            total += match walk(deps, index, var) {
                Walk::Still => 0,
                Walk::Next => 2,
                Walk::Jump => -1,
            };
        }
    }
    for store in stores {
        total += match walk(deps, &store.index, var) {
            Walk::Still => return None,
            Walk::Next => 3,
            Walk::Jump => -1,
        };
    }
    Some(total)
}

/// Lanes for a vector variable: eight, or four where 64-bit values vary with it or the loop is short. Guards of loads
/// do not count: where they are regular the lanes run past them.
pub fn lanes(exprs: &Exprs, deps: &[Deps], roots: &[ExprId], l: &Loop) -> usize {
    let mut seen = BTreeSet::new();
    let mut stack = roots.to_vec();
    while let Some(id) = stack.pop() {
        if !seen.insert(id) {
            continue;
        }
        match &exprs[id].expr {
            Expr::Load { index, guard, .. } => {
                stack.extend(index.dynamic.iter().map(|(e, _)| *e));
                stack.extend(guard.map(|(_, other)| other));
            }
            _ => exprs.operands(id, |o| stack.push(o)),
        }
    }
    let wide = seen.into_iter().any(|id| {
        exprs[id].dtype.bits() == 64 && exprs[id].dtype != DType::Bool && deps[id.0 as usize].vars.contains(&l.var)
    });
    let short = matches!(&l.extent, Extent::Size(p) if p.as_constant().is_some_and(|c| c < 8));
    if wide || short { 4 } else { 8 }
}

/// Whether a loop has rounds enough for lanes.
pub fn long_enough(l: &Loop) -> bool {
    match &l.extent {
        Extent::Size(p) => p.as_constant().is_none_or(|c| c >= 4),
        Extent::Dynamic(_) => true,
    }
}

/// The roots of a stage: what its loops evaluate.
pub fn stage_roots(stage: &Stage) -> Vec<ExprId> {
    match stage {
        Stage::Reduce { accs, .. } => accs.iter().map(|a| a.value).collect(),
        Stage::Store { stores, .. } => crate::emit::Emit::store_roots(stores),
        Stage::Sequential { carries, stores, .. } => {
            let mut roots = crate::emit::Emit::store_roots(stores);
            roots.extend(carries.iter().flat_map(|c| [c.init, c.next]));
            roots
        }
    }
}

/// The loops of a stage.
pub fn stage_loops(stage: &Stage) -> &[Loop] {
    match stage {
        Stage::Reduce { loops, .. } | Stage::Store { loops, .. } | Stage::Sequential { loops, .. } => loops,
    }
}

/// The stores of a stage.
pub fn stage_stores(stage: &Stage) -> &[Store] {
    match stage {
        Stage::Reduce { .. } => &[],
        Stage::Store { stores, .. } | Stage::Sequential { stores, .. } => stores,
    }
}
