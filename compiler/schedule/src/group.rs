//! Grouping: which values are stored, and hence which ops share a kernel.
//!
//! A set of values to store is grown until every kernel can be made: anything not stored is computed where it is used.
//! The central type is [`Kernels`].

use crate::eval::{Stop, internal};
use crate::flat::Flat;
use crate::nest::{self, Before, Lowered, is_bijective_view};
use crate::special;
use crate::{attention, bag, collapse, contraction, custom, sparse, winograd};
use std::collections::{BTreeMap, BTreeSet};
use tricot_dialects::{NodeId, ScalarFn, ValueId};
use tricot_types::Diagnostic;

/// All kernels in an order in which they can run.
pub struct Kernels {
    /// By the value (or first result) they make.
    pub kernels: Vec<(ValueId, Lowered)>,
    /// Values in memory: arguments, constants and what kernels write.
    pub stored: BTreeSet<ValueId>,
}

/// The value whose memory holds `v`: a reshape of a stored value is that value under another shape.
pub fn holder(flat: &Flat, stored: &BTreeSet<ValueId>, v: ValueId) -> ValueId {
    let mut v = v;
    while flat.node(v).op.name == "core.reshape" && stored.contains(&flat.node(v).operands()[0]) {
        v = flat.node(v).operands()[0];
    }
    v
}

/// Facts about the flat graph that grouping asks for again and again.
pub struct Uses {
    pub order: Vec<NodeId>,
    rank: BTreeMap<NodeId, usize>,
    users: BTreeMap<ValueId, Vec<NodeId>>,
    outputs: BTreeSet<ValueId>,
}

impl Uses {
    pub fn of(flat: &Flat) -> Uses {
        let order = flat.function.live_order();
        let rank: BTreeMap<NodeId, usize> = order.iter().enumerate().map(|(i, n)| (*n, i)).collect();
        let mut users: BTreeMap<ValueId, Vec<NodeId>> = BTreeMap::new();
        for id in &order {
            for o in flat.function.node(*id).operands() {
                let list = users.entry(*o).or_default();
                if list.last() != Some(id) {
                    list.push(*id);
                }
            }
        }
        let outputs = flat.function.outputs.iter().map(|o| o.value).collect();
        Uses { order, rank, users, outputs }
    }

    /// Nodes that read a value, in order.
    pub fn users(&self, v: ValueId) -> &[NodeId] {
        self.users.get(&v).map_or(&[], Vec::as_slice)
    }

    /// Whether anything reads a value, an output included.
    pub fn is_used(&self, v: ValueId) -> bool {
        self.outputs.contains(&v) || !self.users(v).is_empty()
    }
}

/// Finds kernels for everything the outputs need.
pub fn group(flat: &Flat, fuse: bool) -> Result<Kernels, Vec<Diagnostic>> {
    let uses = Uses::of(flat);
    let mut stored = initially_stored(flat, &uses);
    if !fuse {
        stored.extend(uses.order.iter().flat_map(|id| {
            (0..flat.function.node(*id).results.len() as u32).map(|result| ValueId { node: *id, result })
        }));
    }
    let mut ready: BTreeMap<ValueId, Made> = BTreeMap::new();
    loop {
        store_shared(flat, &uses, &mut stored);
        let pivots = pivots(flat, &uses, &mut stored);
        let mut missing = BTreeSet::new();
        let mut problems = vec![];
        let mut made = BTreeMap::new();
        for root in roots(flat, &uses, &stored) {
            tricot_types::stop::check();
            let pivot = pivots.get(&root);
            let reuse = ready.remove(&root).filter(|m| m.pivot.as_ref() == pivot && m.fits(root, &stored));
            let lowered = match reuse {
                Some(made) => Ok(made.lowered),
                None => lower(flat, &stored, root, pivot),
            };
            match lowered {
                Ok(lowered) => {
                    made.insert(root, Made { lowered, pivot: pivot.cloned() });
                }
                Err(Stop::Store(v)) if stored.contains(&v) && !computes(flat, v) || v == root => {
                    problems.push(stuck(flat, v));
                }
                Err(Stop::Store(v)) => {
                    missing.insert(v);
                }
                Err(Stop::Fail(d)) => problems.push(d),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        ready = made;
        let before = stored.len();
        stored.extend(missing.iter().copied());
        if missing.is_empty() {
            break;
        }
        if stored.len() == before {
            return Err(missing.into_iter().map(|v| stuck(flat, v)).collect());
        }
    }
    let kernels =
        roots(flat, &uses, &stored).into_iter().filter_map(|r| Some((r, ready.remove(&r)?.lowered))).collect();
    Ok(Kernels { kernels, stored })
}

/// A kernel that may serve again in the next round.
struct Made {
    lowered: Lowered,
    pivot: Option<Region>,
}

impl Made {
    /// Nothing it computes inside has been stored since.
    fn fits(&self, root: ValueId, stored: &BTreeSet<ValueId>) -> bool {
        let before = match &self.lowered.before {
            Some(Before::Launch(l)) => Some(&l.inlined),
            _ => None,
        };
        let all = self.lowered.inlined.iter().chain(before.into_iter().flatten());
        all.filter(|v| v.node != root.node).all(|v| !stored.contains(v))
    }
}

fn stuck(flat: &Flat, v: ValueId) -> Diagnostic {
    match internal(flat.node(v), "no kernel can compute it") {
        Stop::Fail(d) => d,
        Stop::Store(_) => unreachable!("internal faults fail"),
    }
}

fn lower(flat: &Flat, stored: &BTreeSet<ValueId>, root: ValueId, pivot: Option<&Region>) -> Result<Lowered, Stop> {
    let name = flat.node(root).op.name;
    let lowered = match pivot.map(|r| (r, flat.node(r.pivot).op.name)) {
        Some((region, "core.contract")) => contraction::lower(flat, stored, region.pivot, &region.values, root),
        Some((region, "sparse24.matmul")) => {
            contraction::lower_sparse(flat, stored, region.pivot, &region.values, root)
        }
        Some((region, _)) => winograd::lower(flat, stored, region.pivot, root),
        None if special::is_special(name) || special::updates_in_place(flat, root) => {
            special::lower(flat, stored, root)
        }
        None if attention::is_attention(name) => attention::lower(flat, stored, root),
        None if sparse::is_selection(name) => sparse::lower(flat, stored, root),
        None if bag::is_bag(name) => bag::lower(flat, stored, root),
        None if custom::is_custom(flat.node(root)) => custom::lower(flat, stored, root),
        None => nest::lower(flat, stored, root, root),
    };
    lowered.map(collapse::collapse)
}

/// Whether a kernel makes it: neither an argument nor a constant array.
pub fn computes(flat: &Flat, v: ValueId) -> bool {
    let node = flat.node(v);
    match node.op.name {
        "core.argument" => false,
        "core.constant" => flat.constants.get(node.attrs.constant("value")).is_some_and(|c| c.splat().is_some()),
        _ => true,
    }
}

/// Stored values that kernels make, in order; nodes with several results by their first.
fn roots(flat: &Flat, uses: &Uses, stored: &BTreeSet<ValueId>) -> Vec<ValueId> {
    let mut out = vec![];
    for id in &uses.order {
        let node = flat.function.node(*id);
        let first = ValueId { node: *id, result: 0 };
        let any = (0..node.results.len() as u32).any(|result| stored.contains(&ValueId { node: *id, result }));
        if any && computes(flat, first) && holder(flat, stored, first) == first {
            out.push(first);
        }
    }
    out
}

fn initially_stored(flat: &Flat, uses: &Uses) -> BTreeSet<ValueId> {
    let mut stored: BTreeSet<ValueId> = uses.outputs.clone();
    for id in &uses.order {
        let node = flat.function.node(*id);
        let results = (0..node.results.len() as u32).map(|result| ValueId { node: *id, result });
        for v in results {
            if !computes(flat, v) || (is_opaque(node.op.name) || custom::is_custom(node)) && uses.is_used(v) {
                stored.insert(v);
                // A kernel with several results writes the first ones in any case.
                let first = ValueId { node: *id, result: 0 };
                match node.op.name {
                    "sparse24.compress" => stored.extend([first, ValueId { node: *id, result: 1 }]),
                    name if attention::is_attention(name) => stored.extend([first]),
                    _ if custom::is_custom(node) => {
                        stored.extend((0..node.results.len() as u32).map(|result| ValueId { node: *id, result }));
                    }
                    _ => {}
                }
            }
            if node.op.name == "sparse24.matmul" {
                stored.extend([node.operands()[0], node.operands()[1]]);
                store_operand(flat, &mut stored, f64::INFINITY, node.operands()[2]);
            }
            if contraction::is_matrix(flat, v) {
                for (i, o) in node.operands().iter().enumerate() {
                    store_operand(flat, &mut stored, reuse(flat, v, i), *o);
                }
            }
        }
    }
    stored
}

/// Ops whose results no other kernel computes inside.
fn is_opaque(name: &str) -> bool {
    special::is_special(name) || attention::is_attention(name) || sparse::is_selection(name) || bag::is_bag(name)
}

/// Whether a value takes the pointwise ops after it into its kernel.
fn is_pivot(flat: &Flat, v: ValueId) -> bool {
    let name = flat.node(v).op.name;
    contraction::is_matrix(flat, v) || name == "sparse24.matmul" || winograd::is_transform(name)
}

/// Ops that stay whole rather than decompose.
pub fn keeps(node: &tricot_dialects::Node, types: &[tricot_dialects::TensorType]) -> bool {
    attention::keeps(node, types)
        || sparse::keeps(node, types)
        || bag::is_bag(node.op.name)
        || winograd::keeps(node, types)
}

/// An operand of a matrix product is read many times: arithmetic on it is done once, before, unless it is next to nothing.
fn store_operand(flat: &Flat, stored: &mut BTreeSet<ValueId>, reuse: f64, operand: ValueId) {
    let mut v = operand;
    let mut budget = if reuse <= 32.0 { 2 } else { 0 };
    while !stored.contains(&v) {
        let node = flat.node(v);
        match node.op.name {
            "core.reshape" | "core.transpose" | "core.broadcast" | "core.slice" | "core.window" | "core.pad" => {
                v = node.operands()[0];
            }
            "core.constant" | "core.iota" | "core.size" => return,
            "core.cast" if budget > 0 => {
                budget -= 1;
                v = node.operands()[0];
            }
            _ => {
                stored.insert(v);
                return;
            }
        }
    }
}

/// How often a matrix product reads each element of an operand.
fn reuse(flat: &Flat, contraction: ValueId, side: usize) -> f64 {
    match contraction::Shape::of(flat, contraction) {
        Ok(shape) => shape.own(1 - side).iter().map(|c| shape.sizes[c].hint(&flat.symbols).max(1.0)).product(),
        Err(_) => f64::INFINITY,
    }
}

/// How many kernels compute a value inside.
#[derive(Clone, Copy, PartialEq)]
enum Reach {
    None,
    One(NodeId),
    Many,
}

impl Reach {
    fn join(self, other: Reach) -> Reach {
        match (self, other) {
            (Reach::None, r) | (r, Reach::None) => r,
            (a, b) if a == b => a,
            _ => Reach::Many,
        }
    }
}

/// Stores what several kernels would compute again, unless that is next to nothing.
fn store_shared(flat: &Flat, uses: &Uses, stored: &mut BTreeSet<ValueId>) {
    // Work below each value inside its kernel: (arithmetic ops, loads).
    let mut work: BTreeMap<ValueId, (u32, u32)> = BTreeMap::new();
    let weigh = |v: ValueId, stored: &BTreeSet<ValueId>, work: &BTreeMap<ValueId, (u32, u32)>| {
        let node = flat.node(v);
        let below = node.operands().iter().fold((0u32, 0u32), |(ops, loads), o| {
            let (a, b) = if stored.contains(o) { (0, 1) } else { work.get(o).copied().unwrap_or((0, 0)) };
            (ops.saturating_add(a), loads.saturating_add(b))
        });
        (below.0.saturating_add(op_weight(node)), below.1)
    };
    for id in &uses.order {
        for result in 0..flat.function.node(*id).results.len() as u32 {
            let v = ValueId { node: *id, result };
            let w = weigh(v, stored, &work);
            work.insert(v, w);
        }
    }
    let mut reach: BTreeMap<ValueId, Reach> = BTreeMap::new();
    for id in uses.order.iter().rev() {
        for result in 0..flat.function.node(*id).results.len() as u32 {
            let v = ValueId { node: *id, result };
            let mut r = Reach::None;
            for user in uses.users(v) {
                let node = flat.function.node(*user);
                for result in 0..node.results.len() as u32 {
                    let u = ValueId { node: *user, result };
                    r = r.join(match stored.contains(&u) {
                        true => Reach::One(*user),
                        false => reach.get(&u).copied().unwrap_or(Reach::None),
                    });
                }
            }
            let (ops, loads) = work[&v];
            if r == Reach::Many && !stored.contains(&v) && op_weight(flat.node(v)) > 0 && (ops > 3 || loads > 1) {
                stored.insert(v);
            }
            reach.insert(v, r);
        }
    }
}

/// Cost of computing one element again: 0 for views and sources.
fn op_weight(node: &tricot_dialects::Node) -> u32 {
    match node.op.name {
        "core.reshape" | "core.transpose" | "core.broadcast" | "core.slice" | "core.window" | "core.pad"
        | "core.concat" | "core.constant" | "core.iota" | "core.size" | "core.argument" => 0,
        "core.cast" | "core.select" => 1,
        "core.gather" | "core.update_slice" => 2,
        "core.map" => match node.attrs.str("fn").parse::<ScalarFn>() {
            Ok(f) if is_slow(f) => 4,
            _ => 1,
        },
        _ => 16,
    }
}

fn is_slow(f: ScalarFn) -> bool {
    use ScalarFn::*;
    matches!(
        f,
        Exp | Exp2
            | Expm1
            | Log
            | Log2
            | Log1p
            | Sin
            | Cos
            | Tan
            | Asin
            | Acos
            | Atan
            | Sinh
            | Cosh
            | Tanh
            | Asinh
            | Acosh
            | Atanh
            | Erf
            | Sigmoid
            | Pow
            | Atan2
            | Sqrt
            | Rsqrt
            | Div
            | Recip
            | FloorDiv
            | Mod
            | Rem
    )
}

/// A matrix product with the pointwise ops after it, in order, the product first and the value to store last.
#[derive(Clone, PartialEq)]
pub struct Region {
    pub pivot: ValueId,
    pub values: Vec<ValueId>,
}

/// Finds each matrix product's epilogue and stores its end.
fn pivots(flat: &Flat, uses: &Uses, stored: &mut BTreeSet<ValueId>) -> BTreeMap<ValueId, Region> {
    let mut out: BTreeMap<ValueId, Region> = BTreeMap::new();
    for id in &uses.order {
        let v = ValueId { node: *id, result: 0 };
        if !is_pivot(flat, v) {
            continue;
        }
        let region = epilogue(flat, uses, stored, v);
        let end = region[region.len() - 1];
        // A value can end one product's epilogue only; the next product that meets it is stored by itself.
        let (end, values) = if out.contains_key(&end) { (v, vec![v]) } else { (end, region) };
        stored.insert(end);
        out.insert(end, Region { pivot: v, values });
    }
    out
}

/// Longest epilogue.
const MAX_EPILOGUE: usize = 48;

/// Follows pointwise ops from `v` as long as everything computed from it flows into one value.
fn epilogue(flat: &Flat, uses: &Uses, stored: &BTreeSet<ValueId>, v: ValueId) -> Vec<ValueId> {
    let mut region = vec![v];
    let mut best = 1;
    let elements = flat.ty(v).elements();
    let views = !winograd::is_transform(flat.node(v).op.name);
    if stored.contains(&v) {
        return region;
    }
    while region.len() < MAX_EPILOGUE {
        let outside = |u: &ValueId| uses.users(*u).iter().filter(|n| !region.iter().any(|r| r.node == **n)).copied();
        let Some(next) = region.iter().flat_map(outside).min_by_key(|n| uses.rank[n]) else { break };
        let u = ValueId { node: next, result: 0 };
        let node = flat.node(u);
        let pointwise =
            matches!(node.op.name, "core.map" | "core.select" | "core.cast") || views && is_bijective_view(flat, u);
        if !pointwise || flat.ty(u).elements() != elements || flat.ty(u).dtype.bits() == 4 {
            break;
        }
        region.push(u);
        let open: Vec<ValueId> = region
            .iter()
            .filter(|r| stored.contains(r) || uses.users(**r).iter().any(|n| !region.iter().any(|x| x.node == *n)))
            .copied()
            .collect();
        if open.iter().all(|o| *o == u) {
            best = region.len();
        }
        if stored.contains(&u) {
            break;
        }
    }
    region.truncate(best);
    region
}
