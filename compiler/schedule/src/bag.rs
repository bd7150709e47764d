//! Embedding bags: a sum over a run of table rows whose length depends on data.

use crate::coords::{linear, var};
use crate::eval::{Eval, Stop};
use crate::flat::Flat;
use crate::nest::Lowered;
use std::collections::BTreeSet;
use tricot_dialects::ValueId;
use tricot_kernel::{
    Acc, Access, Binary, Body, CastMode, Combine, Expr, ExprId, Extent, Index, Loop, Nest, Stage, Store,
};
use tricot_types::{DType, Poly};

/// Whether this module lowers an op.
pub fn is_bag(name: &str) -> bool {
    matches!(name, "embedding.bag" | "embedding.bag_quantized")
}

/// `offsets[at]` clamped to `0..=l`, so that no data can lead outside the indices.
fn bound(ev: &mut Eval<'_>, offsets: ValueId, at: Index, l: &Poly) -> Result<ExprId, Stop> {
    let e = ev.value(offsets, &[at], None)?;
    Ok(ev.clamped(e, &(l.clone() + 1.into())))
}

/// The kernel of a bag op.
pub fn lower(flat: &Flat, stored: &BTreeSet<ValueId>, root: ValueId) -> Result<Lowered, Stop> {
    let mut ev = Eval::new(flat, stored);
    let node = flat.node(root);
    let ops = node.operands();
    let quantized = node.op.name == "embedding.bag_quantized";
    let first = if quantized { 3 } else { 1 };
    let (table, indices, offsets, weights) = (ops[0], ops[first], ops[first + 1], ops.get(first + 2));
    let ty = flat.ty(root);
    let (parallel, at) = ev.domain(&ty.shape);
    let l = flat.ty(indices).shape[0].clone();
    let begin = bound(&mut ev, offsets, at[0].clone(), &l)?;
    let end = match node.attrs.bool("include_last") {
        true => bound(&mut ev, offsets, at[0].clone().shifted(1), &l)?,
        false => {
            // The last bag runs to the end. Its successor's offset is not there: read the last one instead, and ignore it.
            let next = at[0].clone().shifted(1);
            let (next_e, count) = (ev.coordinate(&next), ev.size(&ty.shape[0]));
            let inside = ev.exprs.binary(Binary::Lt, next_e, count);
            let clamped = ev.clamped(next_e, &ty.shape[0]);
            let there = bound(&mut ev, offsets, Index::zero().plus_dynamic(clamped, 1), &l)?;
            let all = ev.size(&l);
            ev.exprs.select(inside, there, all)
        }
    };
    let length = ev.exprs.binary(Binary::Sub, end, begin);
    // The extent of the loop is data; no coordinate arithmetic needs it.
    let p = ev.new_var(&l);
    ev.inner.insert(p);
    let position = [var(p).plus_dynamic(begin, 1)];
    let index = ev.value(indices, &position, None)?;
    let row = ev.clamped(index, &flat.ty(table).shape[0]);
    let row = Index::zero().plus_dynamic(row, 1);
    let held = ty.dtype.compute();
    let mut value = ev.value(table, &[row.clone(), at[1].clone()], None)?;
    value = ev.exprs.cast(value, held, CastMode::Round);
    if quantized {
        let scale = ev.value(ops[1], std::slice::from_ref(&row), None)?;
        let scale = ev.exprs.cast(scale, held, CastMode::Round);
        let bias = ev.value(ops[2], &[row], None)?;
        let bias = ev.exprs.cast(bias, held, CastMode::Round);
        value = ev.exprs.binary(Binary::Mul, value, scale);
        value = ev.exprs.binary(Binary::Add, value, bias);
    }
    if let Some(w) = weights {
        let w = ev.value(*w, &position, None)?;
        let w = ev.exprs.cast(w, held, CastMode::Round);
        value = ev.exprs.binary(Binary::Mul, value, w);
    }
    if let Some((v, _)) = ev.reductions.first() {
        return Err(Stop::Store(*v));
    }
    let loops = vec![Loop { var: p, extent: Extent::Dynamic(length) }];
    let sum = Stage::Reduce { loops, accs: vec![Acc { combine: Combine::Sum, dtype: held, value }] };
    let mut value = ev.exprs.push(held, Expr::Acc { stage: 0, acc: 0 });
    if node.attrs.str("mode") == "mean" {
        let one = ev.exprs.int(DType::I64, 1);
        let count = ev.exprs.binary(Binary::Max, length, one);
        let count = ev.exprs.cast(count, held, CastMode::Round);
        value = ev.exprs.binary(Binary::Div, value, count);
    }
    let value = ev.exprs.cast(value, ty.dtype, CastMode::Round);
    let buffer = ev.buffer(root, Access::Write);
    let stores = vec![Store { buffer, index: linear(&at, &ty.shape), value, guard: None }];
    ev.inlined.insert(root);
    let stages = vec![sum, Stage::Store { loops: vec![], stores }];
    Ok(Lowered::new(ev, Body::Nest(Nest { parallel, stages })))
}
