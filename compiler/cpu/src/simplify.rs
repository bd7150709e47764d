//! Loops that need not be: adjacent ones that every index walks as one are merged, those of one round dropped.
//!
//! Works on descriptions, before any code. Loop order and positions within a group are kept.

use std::collections::BTreeSet;
use tricot_kernel::{Expr, Exprs, Extent, Index, Loop, LoopVar};
use tricot_types::Poly;

/// Variables whose own value is read, so that they cannot be merged away.
pub fn read_vars(exprs: &Exprs) -> BTreeSet<LoopVar> {
    exprs.iter().filter_map(|(_, n)| if let Expr::Var(v) = n.expr { Some(v) } else { None }).collect()
}

/// Every index of the loads of an arena.
pub fn load_indices(exprs: &Exprs) -> impl Iterator<Item = &Index> {
    exprs.iter().filter_map(|(_, n)| if let Expr::Load { index, .. } = &n.expr { Some(index) } else { None })
}

/// The arena with every node passed through `change`; numbers stay. `None` when two nodes become equal.
pub fn rewrite(exprs: &Exprs, mut change: impl FnMut(&mut tricot_kernel::Node)) -> Option<Exprs> {
    let mut out = Exprs::default();
    for (id, node) in exprs.iter() {
        let mut node = node.clone();
        change(&mut node);
        if out.push(node.dtype, node.expr) != id {
            return None;
        }
    }
    Some(out)
}

/// Merges within each group; `indices` are the stores' indices, changed along with the loads'.
pub fn collapse(exprs: &mut Exprs, indices: &mut [&mut Index], groups: &mut [&mut Vec<Loop>]) {
    let read = read_vars(exprs);
    let mut gone: BTreeSet<LoopVar> = BTreeSet::new();
    let all: Vec<Index> = load_indices(exprs).cloned().chain(indices.iter().map(|i| (**i).clone())).collect();
    let originals: Vec<Vec<Loop>> = groups.iter().map(|g| (**g).clone()).collect();
    let mut new_groups: Vec<Vec<Loop>> = vec![];
    for group in &originals {
        let mut out: Vec<Loop> = vec![];
        for (at, l) in group.iter().enumerate().rev() {
            let Extent::Size(extent) = &l.extent else {
                out.push(l.clone());
                continue;
            };
            if extent.is_one() && !read.contains(&l.var) && same_everywhere(&originals, l, None) {
                gone.insert(l.var);
                continue;
            }
            if let Some(inner) = out.last_mut()
                && let Extent::Size(inner_extent) = &inner.extent
                && !read.contains(&l.var)
                && !read.contains(&inner.var)
                && same_everywhere(&originals, l, group.get(at + 1))
                && all.iter().all(|i| i.stride(l.var) == i.stride(inner.var) * inner_extent.clone())
            {
                let whole = extent.clone() * inner_extent.clone();
                inner.extent = Extent::Size(whole);
                gone.insert(l.var);
                continue;
            }
            out.push(l.clone());
        }
        out.reverse();
        new_groups.push(out);
    }
    if gone.is_empty() {
        return;
    }
    let strip = |index: &mut Index| index.affine.retain(|v, _| !gone.contains(v));
    let rewritten = rewrite(exprs, |node| {
        if let Expr::Load { index, .. } = &mut node.expr {
            strip(index);
        }
    });
    let Some(rewritten) = rewritten else { return };
    *exprs = rewritten;
    indices.iter_mut().for_each(|i| strip(i));
    for (group, new) in groups.iter_mut().zip(new_groups) {
        **group = new;
    }
}

/// Whether every group that holds a loop's variable holds this very loop, with `next` right after it if given; stages may
/// share variables, and what one merges all must merge.
fn same_everywhere(groups: &[Vec<Loop>], l: &Loop, next: Option<&Loop>) -> bool {
    groups.iter().all(|group| {
        let at = group.iter().position(|g| g.var == l.var);
        let followed = next.is_none_or(|n| {
            let after = group.iter().position(|g| g.var == n.var);
            after.is_none() && at.is_none()
                || at.is_some() && after == at.map(|a| a + 1) && group[after.unwrap_or(0)] == *n
        });
        followed && at.is_none_or(|a| group[a] == *l)
    })
}

/// The one stride with which an index walks the row-major product of the loops, if there is one; 0 for no loops.
pub fn chain_stride(index: &Index, loops: &[Loop]) -> Option<Poly> {
    let mut below: Option<Poly> = None;
    let mut stride = Poly::default();
    for l in loops.iter().rev() {
        let own = index.stride(l.var);
        match &below {
            None => stride = own.clone(),
            Some(expected) if *expected != own => return None,
            Some(_) => {}
        }
        let Extent::Size(extent) = &l.extent else { return None };
        below = Some(own * extent.clone());
    }
    Some(stride)
}
