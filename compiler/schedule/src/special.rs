//! Kernels of their own: scan, top_k, scatter, and update_slice of a stored value.

use crate::coords::{linear, var};
use crate::eval::{Eval, Stop, combine_named, located};
use crate::flat::Flat;
use crate::nest::{Before, Lowered, backwards, lower as lower_nest, with_axis};
use std::collections::BTreeSet;
use tricot_dialects::{Node, ValueId};
use tricot_kernel::{
    Acc, Access, Binary, Body, Carry, CastMode, Combine, Expr, ExprId, Exprs, Index, Loop, Nest, Stage, Store, Unary,
};
use tricot_types::{DType, Diagnostic};

/// Ops that this module lowers.
pub fn is_special(name: &str) -> bool {
    matches!(name, "core.scan" | "core.top_k" | "core.scatter")
}

/// Whether a stored result is its data with a box replaced, so that only the box needs a kernel.
pub fn updates_in_place(flat: &Flat, v: ValueId) -> bool {
    flat.node(v).op.name == "core.update_slice" && flat.ty(v).dtype.bits() >= 8
}

/// The kernel of a special op; `root` is its first result.
pub fn lower(flat: &Flat, stored: &BTreeSet<ValueId>, root: ValueId) -> Result<Lowered, Stop> {
    let node = flat.node(root);
    if flat.ty(root).dtype.bits() == 4 {
        let message = format!("`{}` of {} is not supported", node.op.name, flat.ty(root).dtype);
        let d = Diagnostic::error("TC0401", message).with_help("cast to i8 or u8 before it and back after it");
        return Err(Stop::Fail(located(d, node)));
    }
    match node.op.name {
        "core.scan" => scan(Eval::new(flat, stored), root),
        "core.top_k" => top_k(Eval::new(flat, stored), root),
        "core.update_slice" => update_slice(flat, stored, root),
        _ => scatter(flat, stored, root),
    }
}

fn combine(e: &mut Exprs, how: Combine, a: ExprId, b: ExprId) -> ExprId {
    let op = match how {
        Combine::Sum => Binary::Add,
        Combine::Prod => Binary::Mul,
        Combine::Min => Binary::Min,
        Combine::Max => Binary::Max,
        Combine::And => Binary::And,
        _ => Binary::Or,
    };
    e.binary(op, a, b)
}

fn identity(e: &mut Exprs, how: Combine, dtype: DType) -> ExprId {
    match (how, dtype.int_range()) {
        (Combine::Prod, _) => crate::scalar::constant(e, dtype, 1.0),
        (Combine::And, _) => e.int(dtype, 1),
        (Combine::Min, Some((_, hi))) => e.int(dtype, hi as i64),
        (Combine::Max, Some((lo, _))) => e.int(dtype, lo as i64),
        (Combine::Min, None) => e.float(dtype, f64::INFINITY),
        (Combine::Max, None) => e.float(dtype, f64::NEG_INFINITY),
        _ => crate::scalar::constant(e, dtype, 0.0),
    }
}

fn scan(mut ev: Eval<'_>, root: ValueId) -> Result<Lowered, Stop> {
    let flat = ev.flat;
    let node = flat.node(root);
    let ty = flat.ty(root);
    let axis = node.attrs.int("axis") as usize;
    let (mut parallel, mut at) = ev.domain(&ty.shape);
    let n = &ty.shape[axis];
    let k = match at[axis].affine.keys().next() {
        Some(k) => *k,
        None => ev.new_var(n),
    };
    parallel.retain(|l| l.var != k);
    ev.inner.insert(k);
    at[axis] = if node.attrs.bool("reverse") { backwards(k, n) } else { var(k) };
    let how = combine_named(node.attrs.str("kind"));
    let held = ty.dtype.compute();
    let value = ev.value(node.operands()[0], &at, None)?;
    let rows: BTreeSet<_> = parallel.iter().map(|l| l.var).collect();
    if let Some((v, _)) = ev.reductions.iter().find(|(_, vars)| *vars != rows) {
        return Err(Stop::Store(*v));
    }
    let e = &mut ev.exprs;
    let value = e.cast(value, held, CastMode::Round);
    let stage = ev.stages.len() as u32;
    let old = e.push(held, Expr::Carry { stage, carry: 0 });
    let next = combine(e, how, old, value);
    let init = identity(e, how, held);
    let out = if node.attrs.bool("exclusive") { old } else { next };
    let value = e.cast(out, ty.dtype, CastMode::Round);
    let index = linear(&at, &ty.shape);
    let buffer = ev.buffer(root, Access::Write);
    let stores = vec![Store { buffer, index, value, guard: None }];
    let carries = vec![Carry { dtype: held, init, next }];
    let mut stages = ev.stages.clone();
    stages.push(Stage::Sequential { loops: vec![Loop::new(k, n.clone())], carries, stores });
    ev.inlined.insert(root);
    Ok(Lowered::new(ev, Body::Nest(Nest { parallel, stages })))
}

/// Every element counts those that come before it in the order; that count is its place. Quadratic, but parallel and
/// deterministic.
fn top_k(mut ev: Eval<'_>, root: ValueId) -> Result<Lowered, Stop> {
    let flat = ev.flat;
    let node = flat.node(root);
    let x = node.operands()[0];
    if !ev.stored.contains(&x) {
        return Err(Stop::Store(x));
    }
    let shape = flat.ty(x).shape.clone();
    let axis = node.attrs.int("axis") as usize;
    let (parallel, at) = ev.domain(&shape);
    let i = ev.new_var(&shape[axis]);
    ev.inner.insert(i);
    let mine = ev.value(x, &at, None)?;
    let other = ev.value(x, &with_axis(&at, axis, var(i)), None)?;
    let position = ev.coordinate(&at[axis]);
    let e = &mut ev.exprs;
    let (mut above, mut below) = (e.binary(Binary::Gt, other, mine), e.binary(Binary::Lt, other, mine));
    if flat.ty(x).dtype.is_float() {
        // NaN is larger than everything and equal to itself.
        let (my_nan, its_nan) = (e.unary(Unary::IsNan, mine), e.unary(Unary::IsNan, other));
        let (my_number, its_number) = (e.unary(Unary::Not, my_nan), e.unary(Unary::Not, its_nan));
        let more = e.binary(Binary::And, its_nan, my_number);
        let less = e.binary(Binary::And, my_nan, its_number);
        above = e.binary(Binary::Or, above, more);
        below = e.binary(Binary::Or, below, less);
    }
    let (first, later) = if node.attrs.bool("largest") { (above, below) } else { (below, above) };
    let iv = e.var(i);
    let earlier = e.binary(Binary::Lt, iv, position);
    let not_later = e.unary(Unary::Not, later);
    let tie = e.binary(Binary::And, not_later, earlier);
    let before = e.binary(Binary::Or, first, tie);
    let value = e.cast(before, DType::I64, CastMode::Round);
    let loops = vec![Loop::new(i, shape[axis].clone())];
    let count = Stage::Reduce { loops, accs: vec![Acc { combine: Combine::Sum, dtype: DType::I64, value }] };
    let rank = e.push(DType::I64, Expr::Acc { stage: 0, acc: 0 });
    let k = ev.size(node.attrs.dim("k"));
    let kept = ev.exprs.binary(Binary::Lt, rank, k);
    let out_at = with_axis(&at, axis, Index::zero().plus_dynamic(rank, 1));
    let mut stores = vec![];
    for (result, value) in [(0, mine), (1, position)] {
        let v = ValueId { node: root.node, result };
        if ev.stored.contains(&v) {
            let buffer = ev.buffer(v, Access::Write);
            stores.push(Store { buffer, index: linear(&out_at, &flat.ty(v).shape), value, guard: Some(kept) });
        }
        ev.inlined.insert(v);
    }
    let stages = vec![count, Stage::Store { loops: vec![], stores }];
    Ok(Lowered::new(ev, Body::Nest(Nest { parallel, stages })))
}

/// How the data of an op comes to be in its result's memory.
fn data_in_place(flat: &Flat, stored: &BTreeSet<ValueId>, data: ValueId, root: ValueId) -> Result<Before, Stop> {
    Ok(match stored.contains(&data) {
        true => Before::Copy(data),
        false => Before::Launch(Box::new(crate::collapse::collapse(lower_nest(flat, stored, data, root)?))),
    })
}

/// The data is put in place first, at no cost where result and data share memory; then the box is stored.
fn update_slice(flat: &Flat, stored: &BTreeSet<ValueId>, root: ValueId) -> Result<Lowered, Stop> {
    let node = flat.node(root);
    let (data, update) = (node.operands()[0], node.operands()[1]);
    let before = data_in_place(flat, stored, data, root)?;
    let mut ev = Eval::new(flat, stored);
    let (shape, size) = (flat.ty(root).shape.clone(), flat.ty(update).shape.clone());
    let out = ev.buffer(root, Access::ReadWrite);
    let (parallel, at) = ev.domain(&size);
    let value = ev.value(update, &at, None)?;
    let start = ev.box_start(node)?;
    if let Some((v, _)) = ev.reductions.first() {
        return Err(Stop::Store(*v));
    }
    let position: Vec<Index> = at.iter().zip(start).map(|(c, s)| crate::coords::add(c, &s)).collect();
    let stores = vec![Store { buffer: out, index: linear(&position, &shape), value, guard: None }];
    ev.inlined.insert(root);
    let stages = vec![Stage::Store { loops: vec![], stores }];
    let mut lowered = Lowered::new(ev, Body::Nest(Nest { parallel, stages }));
    lowered.before = Some(before);
    Ok(lowered)
}

/// The data is put in place first; then the updates of each column run in order.
fn scatter(flat: &Flat, stored: &BTreeSet<ValueId>, root: ValueId) -> Result<Lowered, Stop> {
    let node: &Node = flat.node(root);
    let [data, indices, updates] = node.operands() else { unreachable!("verified") };
    let before = data_in_place(flat, stored, *data, root)?;
    let mut ev = Eval::new(flat, stored);
    let shape = flat.ty(root).shape.clone();
    let out = ev.buffer(root, Access::ReadWrite);
    let (parallel, columns) = ev.domain(&shape[1..]);
    let m = &flat.ty(*indices).shape[0];
    let i = ev.new_var(m);
    ev.inner.insert(i);
    let index = ev.value(*indices, &[var(i)], None)?;
    let index = ev.exprs.cast(index, DType::I64, CastMode::Round);
    let (zero, end) = (ev.exprs.int(DType::I64, 0), ev.size(&shape[0]));
    let low = ev.exprs.binary(Binary::Ge, index, zero);
    let high = ev.exprs.binary(Binary::Lt, index, end);
    let inside = ev.both(Some(low), high);
    let mut at = vec![var(i)];
    at.extend_from_slice(&columns);
    let mut value = ev.value(*updates, &at, None)?;
    if let Some((v, _)) = ev.reductions.first() {
        return Err(Stop::Store(*v));
    }
    at[0] = Index::zero().plus_dynamic(index, 1);
    let index = linear(&at, &shape);
    let dtype = flat.ty(root).dtype;
    let how = match node.attrs.str("combine") {
        "add" => Some(Combine::Sum),
        "mul" => Some(Combine::Prod),
        "max" => Some(Combine::Max),
        "min" => Some(Combine::Min),
        _ => None,
    };
    if let Some(how) = how {
        let zero = crate::scalar::constant(&mut ev.exprs, dtype, 0.0);
        let load = Expr::Load { buffer: out, index: index.clone(), guard: Some((inside, zero)) };
        let old = ev.exprs.push(dtype, load);
        value = combine(&mut ev.exprs, how, old, value);
    }
    let stores = vec![Store { buffer: out, index, value, guard: Some(inside) }];
    let stages = vec![Stage::Sequential { loops: vec![Loop::new(i, m.clone())], carries: vec![], stores }];
    ev.inlined.insert(root);
    let mut lowered = Lowered::new(ev, Body::Nest(Nest { parallel, stages }));
    lowered.before = Some(before);
    Ok(lowered)
}
