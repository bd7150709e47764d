//! Products of 8-bit floats whose result keeps f32 precision: their operands become f16, which holds both 8-bit types exactly.
//!
//! Hopper's fp8 tensor cores sum with 13 fraction bits (arXiv 2511.10909), 1e-4 of the result: nothing where it is rounded to 16 bits
//! or fewer next, a loss where f32 was asked for. f16 products sum in f32 at half the rate. The central function is [`widen`].

use crate::flat::Flat;
use std::collections::BTreeSet;
use tricot_dialects::{Builder, NodeId, ValueId};
use tricot_types::{DType, Diagnostic};

/// Replaces the operands of such products by casts.
pub fn widen(flat: &mut Flat) -> Result<(), Diagnostic> {
    let order = flat.function.live_order();
    for id in &order {
        let v = ValueId { node: *id, result: 0 };
        if !is_eight_bit_product(flat, *id) || is_rounded(flat, &order, v) {
            continue;
        }
        let node = flat.function.node(*id).clone();
        let mut builder = Builder::new(&mut flat.function, &mut flat.constants);
        builder.origin = node.origin.clone();
        let operands =
            node.operands().iter().map(|o| builder.cast(*o, DType::F16)).collect::<Result<Vec<_>, Diagnostic>>()?;
        let wide = flat.function.add_node(node.op, node.attrs, operands, node.results, node.origin);
        flat.function.node_mut(wide).names = node.names;
        flat.function.replace_uses(v, ValueId { node: wide, result: 0 });
    }
    flat.function.prune();
    Ok(())
}

fn is_eight_bit_product(flat: &Flat, id: NodeId) -> bool {
    let node = flat.function.node(id);
    let narrow = |v: &ValueId| matches!(flat.ty(*v).dtype, DType::F8E4M3 | DType::F8E5M2);
    node.op.name == "core.contract" && node.operands().iter().all(narrow)
}

/// Whether everything computed from a value, element by element, is rounded to 16 bits or fewer before it is used otherwise.
fn is_rounded(flat: &Flat, order: &[NodeId], v: ValueId) -> bool {
    let is_narrow = |v: ValueId| flat.ty(v).dtype.bits() <= 16;
    if is_narrow(v) {
        return true;
    }
    let mut wide: BTreeSet<ValueId> = [v].into();
    for id in order {
        let node = flat.function.node(*id);
        if !node.operands().iter().any(|o| wide.contains(o)) {
            continue;
        }
        let result = ValueId { node: *id, result: 0 };
        match node.op.name {
            "core.map" | "core.cast" | "core.select" | "core.reshape" | "core.transpose" if is_narrow(result) => {}
            "core.map" | "core.cast" | "core.select" | "core.reshape" | "core.transpose" => {
                wide.insert(result);
            }
            _ => return false,
        }
    }
    !flat.function.outputs.iter().any(|o| wide.contains(&o.value))
}
