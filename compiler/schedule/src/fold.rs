//! Constant work: what depends on constants alone is computed once, when the bundle is built.
//!
//! Values are evaluated by the reference in typed mode, that is with the roundings the graph declares, one at a time. Masks,
//! iotas and broadcasts of single numbers are left alone: computing them costs less than reading them.

use crate::flat::Flat;
use std::collections::{BTreeMap, BTreeSet};
use tricot_dialects::{Attrs, Builder, Function, Module, NodeId, ValueId, registry};
use tricot_reference::{Mode, Options, evaluate};
use tricot_types::{Bindings, Diagnostic};

/// Results above this many bytes are computed at run time.
pub const MAX_BYTES: i64 = 1 << 30;
/// Results up to this many bytes fold even when they come from single numbers only.
const SMALL_BYTES: i64 = 4096;
/// Bytes the evaluator may use beside the constants.
const MEMORY_CAP: u64 = 4 << 30;

fn is_view(name: &str) -> bool {
    matches!(name, "core.broadcast" | "core.transpose" | "core.reshape" | "core.slice" | "core.window" | "core.pad")
}

/// How much work a schedule is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effort {
    Full,
    /// Only to see what the kernels are: large constants to fold become inputs.
    Outline,
}

/// Replaces constant subgraphs by constants.
pub fn fold(flat: &mut Flat, effort: Effort) -> Result<(), Diagnostic> {
    for v in targets(flat) {
        // Small ones may be shapes and scalars, which decide what kernels look like.
        let mut stand_in = effort == Effort::Outline && flat.ty(v).bytes().hint(&flat.symbols) > SMALL_BYTES as f64;
        let module = if stand_in { Module::default() } else { part(flat, v)? };
        stand_in |= module.main().is_some_and(reads_arguments);
        if stand_in {
            let name = format!("folded{}", flat.function.inputs().len());
            let input = flat.function.add_input(&name, flat.ty(v).clone());
            flat.function.replace_uses(v, input);
            continue;
        }
        let options = Options { mode: Mode::Typed, memory_cap: MEMORY_CAP, symbols: Bindings::new() };
        let constant = match evaluate(&module, &[], &options) {
            Ok(results) => results[0].to_constant(),
            Err(reason) => {
                tracing::warn!("a constant is computed at run time: {reason}");
                continue;
            }
        };
        let hash = flat.constants.add(constant);
        let op = registry::lookup("core.constant").expect("core.constant is registered");
        let (ty, origin) = (flat.ty(v).clone(), flat.node(v).origin.clone());
        let node = flat.function.add_node(op, Attrs::new().with("value", hash), vec![], vec![ty], origin);
        flat.function.replace_uses(v, ValueId { node, result: 0 });
    }
    flat.function.prune();
    Ok(())
}

fn reads_arguments(function: &Function) -> bool {
    function.order().into_iter().any(|id| function.node(id).op.name == "core.argument")
}

/// Live nodes that depend on no argument and no chance.
pub fn constants(flat: &Flat) -> BTreeSet<NodeId> {
    let f = &flat.function;
    let mut out: BTreeSet<NodeId> = BTreeSet::new();
    for id in f.live_order() {
        let node = f.node(id);
        let fixed = !matches!(node.op.name, "core.argument" | "core.random");
        if fixed && node.operands().iter().all(|o| out.contains(&o.node)) {
            out.insert(id);
        }
    }
    out
}

/// Values to fold: constant, of known size, used by something that is not, and more than a view of a constant.
fn targets(flat: &Flat) -> Vec<ValueId> {
    let f = &flat.function;
    let order = f.live_order();
    let constant = constants(flat);
    // Those with an array of several values below.
    let mut arrays: BTreeSet<NodeId> = BTreeSet::new();
    for id in order.iter().filter(|id| constant.contains(id)) {
        let node = f.node(*id);
        let several = match node.op.name {
            "core.constant" => {
                let c = flat.constants.get(node.attrs.constant("value"));
                c.is_some_and(|c| c.elements() > 1 && c.splat().is_none())
            }
            _ => node.operands().iter().any(|o| arrays.contains(&o.node)),
        };
        if several {
            arrays.insert(*id);
        }
    }
    let mut wanted: BTreeSet<ValueId> = f.outputs.iter().map(|o| o.value).collect();
    for id in order.iter().filter(|id| !constant.contains(id)) {
        wanted.extend(f.node(*id).operands());
    }
    let mut out = BTreeSet::new();
    for mut v in wanted.into_iter().filter(|v| constant.contains(&v.node)) {
        while is_view(f.node(v.node).op.name) {
            v = f.node(v.node).operands()[0];
        }
        let ty = f.ty(v);
        let bytes = ty.static_shape().and_then(|_| ty.bytes().as_constant());
        let fits = bytes.is_some_and(|b| b <= SMALL_BYTES || b <= MAX_BYTES && arrays.contains(&v.node));
        let source = matches!(f.node(v.node).op.name, "core.constant" | "core.iota" | "core.size");
        if fits && !source {
            out.insert(v);
        }
    }
    // Deepest last: a folded value may be part of another.
    let rank: BTreeMap<NodeId, usize> = order.iter().enumerate().map(|(i, n)| (*n, i)).collect();
    let mut out: Vec<ValueId> = out.into_iter().collect();
    out.sort_by_key(|v| (rank[&v.node], v.result));
    out
}

/// The subgraph below `v` as a module of its own.
fn part(flat: &Flat, v: ValueId) -> Result<Module, Diagnostic> {
    let mut module = Module::new("constant");
    let mut function = Function::new(Module::MAIN);
    let mut image: BTreeMap<ValueId, ValueId> = BTreeMap::new();
    let mut needed = BTreeSet::new();
    let mut stack = vec![v.node];
    while let Some(id) = stack.pop() {
        if needed.insert(id) {
            stack.extend(flat.function.node(id).operands().iter().map(|o| o.node));
        }
    }
    for id in flat.function.order().into_iter().filter(|id| needed.contains(id)) {
        let node = flat.function.node(id);
        if node.op.name == "core.constant"
            && let Some(c) = flat.constants.get(node.attrs.constant("value"))
        {
            module.constants.add(c.clone());
        }
        let operands: Vec<ValueId> = node.operands().iter().map(|o| image[o]).collect();
        let new = function.add_node(node.op, node.attrs.clone(), operands, node.results.clone(), node.origin.clone());
        for result in 0..node.results.len() as u32 {
            image.insert(ValueId { node: id, result }, ValueId { node: new, result });
        }
    }
    Builder::new(&mut function, &mut module.constants).output("value", image[&v]);
    module.add_function(function);
    Ok(module)
}
