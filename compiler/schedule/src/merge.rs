//! Matrix products of one value with several constant weights become one product with the weights side by side.
//!
//! [`merge`] is the way in. A merged product reads its input once and is launched once; its users read slices of the result. A
//! slice cannot end an epilogue, so what pays is asked of the caller's cost, not decided here. Knows no kernel.

use crate::contraction;
use crate::flat::Flat;
use crate::fold::{self, MAX_BYTES};
use std::collections::{BTreeMap, BTreeSet};
use tricot_dialects::core::Einsum;
use tricot_dialects::{Builder, Node, NodeId, ValueId};
use tricot_types::{Diagnostic, Poly};

/// Kinds of group tried, each at the price of a schedule in outline; equal blocks of a model are of one kind.
const MAX_TRIALS: usize = 6;

/// Products that may become one.
#[derive(Clone)]
struct Group {
    /// In the graph's order.
    members: Vec<ValueId>,
    /// Which operand is the weights: 0 or 1.
    side: usize,
    /// The axis of the weights, and of the result, along which they are laid side by side.
    weight_axis: usize,
    result_axis: usize,
    /// Equal for groups that differ only in values.
    kind: String,
}

/// Merges the groups that make the graph cheaper by `seconds`.
pub fn merge(flat: Flat, seconds: &dyn Fn(&Flat) -> Option<f64>) -> Flat {
    let groups = groups(&flat);
    let kinds: BTreeSet<&str> = groups.iter().map(|g| g.kind.as_str()).collect();
    let Some(mut least) = (if groups.is_empty() { None } else { seconds(&flat) }) else { return flat };
    let mut best = flat;
    for kind in kinds.into_iter().take(MAX_TRIALS) {
        let mut trial = best.clone();
        let constant = fold::constants(&trial);
        let applied = groups.iter().filter(|g| g.kind == kind).try_for_each(|g| apply(&mut trial, g, &constant));
        trial.function.prune();
        match (applied, seconds(&trial)) {
            (Ok(()), Some(s)) if s < least * (1.0 - 1e-9) => (best, least) = (trial, s),
            _ => {}
        }
    }
    best
}

/// A product with one constant operand.
struct Product {
    value: ValueId,
    weights: ValueId,
    side: usize,
    /// Letters of the weights' axes.
    letters: Vec<char>,
    result: Vec<char>,
    /// Axes of the weights that only they have and the result keeps.
    own: Vec<usize>,
}

fn groups(flat: &Flat) -> Vec<Group> {
    let constant = fold::constants(flat);
    // By the shared operand and everything but the weights' shape.
    let mut alike: BTreeMap<(ValueId, String), Vec<Product>> = BTreeMap::new();
    for id in flat.function.live_order() {
        let value = ValueId { node: id, result: 0 };
        if let Some((key, product)) = product(flat, &constant, value) {
            alike.entry(key).or_default().push(product);
        }
    }
    let mut out = vec![];
    for ((shared, key), products) in alike {
        let mut left = products;
        for nth in 0.. {
            let Some(axis) = left.first().and_then(|p| p.own.get(nth).copied()) else { break };
            // The weights may differ in size along this axis only.
            let mut buckets: BTreeMap<Vec<i64>, Vec<Product>> = BTreeMap::new();
            for p in std::mem::take(&mut left) {
                let mut shape = flat.ty(p.weights).static_shape().unwrap_or_default();
                shape.remove(axis);
                buckets.entry(shape).or_default().push(p);
            }
            for bucket in buckets.into_values() {
                match bucket.len() {
                    1 => left.extend(bucket),
                    _ => out.extend(group(flat, shared, &key, axis, &bucket)),
                }
            }
        }
    }
    out
}

/// What must be equal for products to merge, and the product, if it is a matrix product with constant weights.
fn product(flat: &Flat, constant: &BTreeSet<NodeId>, value: ValueId) -> Option<((ValueId, String), Product)> {
    let node = flat.node(value);
    if !contraction::is_matrix(flat, value) {
        return None;
    }
    let is_constant = |at: usize| constant.contains(&node.operands()[at].node);
    let side = match (is_constant(0), is_constant(1)) {
        (true, false) => 0,
        (false, true) => 1,
        _ => return None,
    };
    let (shared, weights) = (node.operands()[1 - side], node.operands()[side]);
    flat.ty(weights).static_shape()?;
    let spec = Einsum::parse(node.attrs.str("spec")).ok()?;
    let (letters, others, result) = (spec.operands[side].clone(), &spec.operands[1 - side], spec.result);
    let own = (0..letters.len()).filter(|i| !others.contains(&letters[*i]) && result.contains(&letters[*i])).collect();
    // Letters renamed by first use, the shared operand's first.
    let mut names: Vec<char> = vec![];
    let mut renamed = |letters: &[char]| -> String {
        letters
            .iter()
            .map(|c| {
                let at = names.iter().position(|n| n == c).unwrap_or_else(|| {
                    names.push(*c);
                    names.len() - 1
                });
                format!("{at}.")
            })
            .collect()
    };
    let spec = format!("{} {} {}", renamed(others), renamed(&letters), renamed(&result));
    let key = format!("{spec}: {side} {} {}", flat.ty(weights).dtype, flat.ty(value).dtype);
    Some(((shared, key), Product { value, weights, side, letters, result, own }))
}

fn group(flat: &Flat, shared: ValueId, key: &str, axis: usize, products: &[Product]) -> Option<Group> {
    let bytes = products.iter().map(|p| flat.ty(p.weights).bytes().as_constant()).sum::<Option<i64>>()?;
    let first = &products[0];
    let result_axis = first.result.iter().position(|c| *c == first.letters[axis])?;
    let member = |p: &Product| {
        let users = flat.function.uses(p.value).into_iter().map(|(n, _)| flat.function.node(n).op.name);
        format!("{} {}", flat.ty(p.weights), users.collect::<Vec<_>>().join(" "))
    };
    let members: Vec<String> = products.iter().map(member).collect();
    (bytes <= MAX_BYTES).then(|| Group {
        members: products.iter().map(|p| p.value).collect(),
        side: first.side,
        weight_axis: axis,
        result_axis,
        kind: format!("{key} {} {}", flat.ty(shared), members.join("; ")),
    })
}

/// Replaces a group's products by slices of one, pointwise ops with constants after all of them included.
fn apply(flat: &mut Flat, group: &Group, constant: &BTreeSet<NodeId>) -> Result<(), Diagnostic> {
    let axis = group.result_axis;
    let widths: Vec<Poly> = group.members.iter().map(|v| flat.ty(*v).shape[axis].clone()).collect();
    let weights: Vec<ValueId> = group.members.iter().map(|v| flat.node(*v).operands()[group.side]).collect();
    let first = flat.node(group.members[0]).clone();
    let mut b = Builder::new(&mut flat.function, &mut flat.constants);
    b.origin = first.origin.clone();
    let mut operands = first.operands().to_vec();
    operands[group.side] = b.concat(&weights, group.weight_axis as i64)?;
    let mut merged = b.one(first.op.name, &operands, first.attrs.clone())?;
    let mut ends = group.members.clone();
    while let Some((after, next)) = lift(flat, constant, &ends, merged, axis)? {
        (merged, ends) = (after, next);
    }
    let mut b = Builder::new(&mut flat.function, &mut flat.constants);
    b.origin = first.origin.clone();
    let mut start = vec![Poly::default(); b.ty(merged).rank()];
    let mut parts = vec![];
    for (end, width) in ends.into_iter().zip(widths) {
        let mut size = b.ty(merged).shape.clone();
        size[axis] = width.clone();
        let part = b.slice(merged, &start, &size, &vec![1; start.len()])?;
        start[axis] = start[axis].clone() + width;
        parts.push((end, part));
    }
    for (end, part) in parts {
        flat.function.replace_uses(end, part);
    }
    Ok(())
}

/// Where the only use of each of `ends` is the same op with constants, that op applied to `merged`, and its results at the members.
fn lift(
    flat: &mut Flat,
    constant: &BTreeSet<NodeId>,
    ends: &[ValueId],
    merged: ValueId,
    axis: usize,
) -> Result<Option<(ValueId, Vec<ValueId>)>, Diagnostic> {
    let mut users: Vec<(NodeId, usize)> = vec![];
    for end in ends {
        match flat.function.uses(*end)[..] {
            [only] if flat.function.outputs.iter().all(|o| o.value != *end) => users.push(only),
            _ => return Ok(None),
        }
    }
    let nodes: Vec<Node> = users.iter().map(|(n, _)| flat.function.node(*n).clone()).collect();
    let (first, at) = (&nodes[0], users[0].1);
    let alike = |n: &Node| n.op.name == first.op.name && n.attrs == first.attrs;
    if !matches!(first.op.name, "core.map" | "core.cast")
        || !nodes.iter().all(alike)
        || !users.iter().all(|u| u.1 == at)
    {
        return Ok(None);
    }
    let mut operands = vec![merged; first.operands().len()];
    for (position, operand) in operands.iter_mut().enumerate().filter(|(p, _)| *p != at) {
        let parts: Vec<ValueId> = nodes.iter().map(|n| n.operands()[position]).collect();
        match side_by_side(flat, constant, &parts, merged, axis)? {
            Some(v) => *operand = v,
            None => return Ok(None),
        }
    }
    let mut b = Builder::new(&mut flat.function, &mut flat.constants);
    b.origin = first.origin.clone();
    let after = b.one(first.op.name, &operands, first.attrs.clone())?;
    Ok(Some((after, users.into_iter().map(|(node, _)| ValueId { node, result: 0 }).collect())))
}

/// Broadcasts of constants to each member's shape as one to the merged shape.
fn side_by_side(
    flat: &mut Flat,
    constant: &BTreeSet<NodeId>,
    parts: &[ValueId],
    merged: ValueId,
    axis: usize,
) -> Result<Option<ValueId>, Diagnostic> {
    let nodes: Vec<Node> = parts.iter().map(|p| flat.node(*p).clone()).collect();
    let axes = match nodes[0].op.name {
        "core.broadcast" => nodes[0].attrs.ints("axes").to_vec(),
        _ => return Ok(None),
    };
    let alike = |n: &Node| n.op.name == "core.broadcast" && n.attrs.ints("axes") == axes;
    if !nodes.iter().all(|n| alike(n) && constant.contains(&n.operands()[0].node)) {
        return Ok(None);
    }
    let sources: Vec<ValueId> = nodes.iter().map(|n| n.operands()[0]).collect();
    let along = axes.iter().position(|a| *a == axis as i64);
    let full = |at: usize| sources.iter().zip(parts).all(|(s, p)| flat.ty(*s).shape[at] == flat.ty(*p).shape[axis]);
    let (all, full) = (flat.ty(merged).shape.clone(), along.is_some_and(full));
    let mut b = Builder::new(&mut flat.function, &mut flat.constants);
    let source = match along {
        Some(at) if full => b.concat(&sources, at as i64)?,
        None if sources.iter().all(|s| *s == sources[0]) => sources[0],
        _ => return Ok(None),
    };
    Ok(Some(b.broadcast(source, &all, &axes)?))
}
