//! Reverse-mode gradients: walks a graph backwards, op by op, through the VJPs of their definitions.

use crate::attr::Attrs;
use crate::builder::Builder;
use crate::graph::{NodeId, ValueId};
use crate::op::{Meaning, OpDef};
use std::collections::{BTreeMap, BTreeSet};
use tricot_types::Diagnostic;

/// Appends the gradient of `sum(seed * value)` over all `(value, seed)` with respect to `wrt`; `None` where nothing flows.
///
/// An op without a VJP of its own is differentiated through its decomposition; a core op without one is an error, TC0117.
pub fn gradient(
    b: &mut Builder<'_>,
    seeds: &[(ValueId, ValueId)],
    wrt: &[ValueId],
) -> Result<Vec<Option<ValueId>>, Diagnostic> {
    let order = between(b, seeds, wrt);
    let mut grads: BTreeMap<ValueId, ValueId> = BTreeMap::new();
    for (value, seed) in seeds {
        accumulate(b, &mut grads, *value, *seed)?;
    }
    for id in order.into_iter().rev() {
        let node = b.function.node(id);
        let (op, attrs) = (node.op, node.attrs.clone());
        let operands = node.operands().to_vec();
        let results: Vec<_> = (0..node.results.len() as u32).map(|result| ValueId { node: id, result }).collect();
        let incoming: Vec<_> = results.iter().map(|r| grads.get(r).copied()).collect();
        if incoming.iter().all(Option::is_none) {
            continue;
        }
        let out = match (op.vjp, op.meaning) {
            (Some(vjp), _) => vjp(b, &attrs, &operands, &results, &incoming)?,
            (None, Meaning::Decompose(_) | Meaning::Declared(_)) => {
                through_decomposition(op, b, &attrs, &operands, &incoming)?
            }
            (None, Meaning::Primitive) => {
                let d = Diagnostic::error("TC0117", format!("`{}` has no gradient", op.name));
                return Err(match &b.function.node(id).origin {
                    Some(o) => d.at_node(&o.file, &o.node, &o.op, ""),
                    None => d,
                });
            }
        };
        for (operand, gradient) in operands.iter().zip(out) {
            if let Some(g) = gradient {
                accumulate(b, &mut grads, *operand, g)?;
            }
        }
    }
    Ok(wrt.iter().map(|v| grads.get(v).copied()).collect())
}

/// The VJP of an op by way of its decomposition: builds it once more and walks back through it.
pub fn through_decomposition(
    op: &'static OpDef,
    b: &mut Builder<'_>,
    attrs: &Attrs,
    operands: &[ValueId],
    gradients: &[Option<ValueId>],
) -> Result<Vec<Option<ValueId>>, Diagnostic> {
    let Some(results) = op.decompose(b, attrs, operands) else { return Ok(vec![None; operands.len()]) };
    let results = results?;
    let seeds: Vec<_> = results.iter().zip(gradients).filter_map(|(r, g)| g.map(|g| (*r, g))).collect();
    gradient(b, &seeds, operands)
}

fn accumulate(
    b: &mut Builder<'_>,
    grads: &mut BTreeMap<ValueId, ValueId>,
    value: ValueId,
    gradient: ValueId,
) -> Result<(), Diagnostic> {
    let sum = match grads.get(&value) {
        Some(old) => b.map("add", &[*old, gradient])?,
        None => gradient,
    };
    grads.insert(value, sum);
    Ok(())
}

/// Nodes on paths from `wrt` to the seeded values, producers first.
fn between(b: &Builder<'_>, seeds: &[(ValueId, ValueId)], wrt: &[ValueId]) -> Vec<NodeId> {
    let stop: BTreeSet<NodeId> = wrt.iter().map(|v| v.node).collect();
    let (mut done, mut order) = (BTreeSet::new(), vec![]);
    let mut depends: BTreeSet<NodeId> = stop.clone();
    let mut stack: Vec<(NodeId, usize)> = seeds.iter().map(|(v, _)| (v.node, 0)).collect();
    while let Some((id, at)) = stack.pop() {
        if at == 0 && (done.contains(&id) || stop.contains(&id)) {
            continue;
        }
        let operands = b.function.node(id).operands();
        match operands.get(at) {
            Some(v) => {
                stack.push((id, at + 1));
                stack.push((v.node, 0));
            }
            None => {
                if done.insert(id) && operands.iter().any(|v| depends.contains(&v.node)) {
                    depends.insert(id);
                    order.push(id);
                }
            }
        }
    }
    order
}
