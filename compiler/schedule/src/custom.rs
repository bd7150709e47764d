//! Declared ops that stay whole, because their author wrote a kernel for the target.

use crate::eval::{Eval, Stop, internal};
use crate::flat::Flat;
use crate::nest::Lowered;
use std::collections::BTreeSet;
use tricot_dialects::custom::{CallArgument, Code};
use tricot_dialects::op::OpView;
use tricot_dialects::{Node, TensorType, ValueId};
use tricot_kernel::{Access, Body, Custom, CustomArgument, CustomCode};
use tricot_types::SymbolTable;

/// Whether an op was declared by a user.
pub fn is_custom(node: &Node) -> bool {
    node.op.declaration().is_some()
}

/// Whether a declared op has a kernel for this call on this target. Others are their bodies.
pub fn keeps(node: &Node, types: &[TensorType], target: &str, symbols: &SymbolTable) -> bool {
    node.op.declaration().is_some_and(|op| op.kernel(target, types, &node.attrs, symbols).is_ok())
}

/// The kernel of a declared op; `root` is its first result.
pub fn lower(flat: &Flat, stored: &BTreeSet<ValueId>, root: ValueId) -> Result<Lowered, Stop> {
    let node = flat.node(root);
    let mut ev = Eval::new(flat, stored);
    let types: Vec<TensorType> = node.operands().iter().map(|o| flat.ty(*o).clone()).collect();
    // Only ops with a kernel for the target were kept, and there are kernels for one target alone.
    let found = node.op.declaration().map(|op| op.kernel("sm_90a", &types, &node.attrs, &flat.symbols));
    let Some(Ok(call)) = found else { return Err(internal(node, "a declared op without a kernel was kept whole")) };
    if let Some(missing) = node.operands().iter().find(|o| !stored.contains(o)) {
        return Err(Stop::Store(*missing));
    }
    let operands: Vec<u32> = node.operands().iter().map(|o| ev.buffer(*o, Access::Read)).collect();
    let results: Vec<ValueId> =
        (0..node.results.len() as u32).map(|result| ValueId { node: root.node, result }).collect();
    let outputs: Vec<u32> = results.iter().map(|r| ev.buffer(*r, Access::Write)).collect();
    let arguments = call.arguments.into_iter().map(|a| match a {
        CallArgument::Operand(at) => CustomArgument::Buffer(operands[at as usize]),
        CallArgument::Result(at) => CustomArgument::Buffer(outputs[at as usize]),
        CallArgument::Value { value, bytes } => CustomArgument::Value { value, bytes },
    });
    let view = OpView { def: node.op, operands: &types, attrs: &node.attrs, constant: None, callee: None };
    let body = Custom {
        target: call.kernel.target,
        op: node.op.name.into(),
        entry: call.kernel.entry,
        grid: call.grid,
        block: call.kernel.block,
        cluster: call.kernel.cluster,
        shared_bytes: call.kernel.shared_bytes,
        arguments: arguments.collect(),
        flops: (node.op.work)(view).flops,
        nanoseconds: call.kernel.microseconds.map_or(0, |m| (m * 1e3) as u64),
        code: match call.kernel.code {
            Code::Ptx(text) => CustomCode::Ptx(text),
            Code::Cubin(bytes) => CustomCode::Cubin(bytes),
        },
    };
    ev.exprs = Default::default();
    ev.inlined.extend(results);
    Ok(Lowered::new(ev, Body::Custom(body)))
}
