//! 2:4 sparsity: selecting and compressing as straight-line code over groups of four.
//!
//! The product of a compressed matrix is in [`crate::contraction`].

use crate::coords::{add, linear, scale};
use crate::eval::{At, Eval, Stop};
use crate::flat::Flat;
use crate::nest::Lowered;
use std::collections::BTreeSet;
use tricot_dialects::{Node, TensorType, ValueId};
use tricot_kernel::{Access, Binary, Body, CastMode, ExprId, Exprs, Nest, Stage, Store, Unary};
use tricot_types::DType;

/// Whether a 2:4 op is kept whole.
pub fn keeps(node: &Node, types: &[TensorType]) -> bool {
    let wide = types[0].dtype.bits() >= 8;
    match node.op.name {
        "sparse24.mask" | "sparse24.select" | "sparse24.compress" => wide,
        "sparse24.matmul" => wide && types[0].dtype == types[2].dtype,
        _ => false,
    }
}

/// Whether this module lowers an op.
pub fn is_selection(name: &str) -> bool {
    matches!(name, "sparse24.mask" | "sparse24.select" | "sparse24.compress")
}

/// What decides: the value or its magnitude, NaN as the largest of the type.
fn key(e: &mut Exprs, mut x: ExprId, by_magnitude: bool) -> ExprId {
    let dtype = e[x].dtype;
    if by_magnitude {
        // The magnitude of the smallest signed integer wraps; compare in a type that holds it.
        if dtype.is_signed_int() && dtype != DType::I64 {
            x = e.cast(x, DType::I64, CastMode::Round);
        }
        if !e[x].dtype.is_int() || e[x].dtype.is_signed_int() {
            x = e.unary(Unary::Abs, x);
        }
    }
    if !dtype.is_float() {
        return x;
    }
    let nan = e.unary(Unary::IsNan, x);
    let top = e.float(dtype, if dtype == DType::F8E4M3 { 448.0 } else { f64::INFINITY });
    e.select(nan, top, x)
}

/// Which two of four stay: those that fewer than two others beat, by a larger key or an equal one at a lower index.
fn keep(e: &mut Exprs, keys: [ExprId; 4]) -> [ExprId; 4] {
    [0, 1, 2, 3].map(|i| {
        let mut count = e.int(DType::I32, 0);
        for j in (0..4).filter(|j| *j != i) {
            let op = if j < i { Binary::Ge } else { Binary::Gt };
            let beats = e.binary(op, keys[j], keys[i]);
            let one = e.cast(beats, DType::I32, CastMode::Round);
            count = e.binary(Binary::Add, count, one);
        }
        let two = e.int(DType::I32, 2);
        e.binary(Binary::Lt, count, two)
    })
}

/// The kernel of a selection; `root` is its first result.
pub fn lower(flat: &Flat, stored: &BTreeSet<ValueId>, root: ValueId) -> Result<Lowered, Stop> {
    let mut ev = Eval::new(flat, stored);
    let node = flat.node(root);
    let x = node.operands()[0];
    let axis = node.attrs.int("axis") as usize;
    let compress = node.op.name == "sparse24.compress";
    let each = if compress { 8 } else { 4 };
    let mut shape = flat.ty(x).shape.clone();
    shape[axis] = shape[axis].floor_div(each);
    let (parallel, at) = ev.domain(&shape);
    let element = |i: i64| -> At {
        let mut at = at.clone();
        at[axis] = scale(&at[axis], &each.into()).shifted(i);
        at
    };
    let by_magnitude = node.attrs.str("by") == "magnitude";
    let mut stores = vec![];
    let mut meta = None;
    for group in 0..each / 4 {
        let mut values = vec![];
        for i in 0..4 {
            values.push(ev.value(x, &element(4 * group + i), None)?);
        }
        if let Some((v, _)) = ev.reductions.first() {
            return Err(Stop::Store(*v));
        }
        let e = &mut ev.exprs;
        let keys = [0, 1, 2, 3].map(|i| key(e, values[i], by_magnitude));
        let kept = keep(e, keys);
        if !compress {
            let zero = crate::scalar::constant(e, flat.ty(x).dtype, 0.0);
            for i in 0..4 {
                let value = match node.op.name {
                    "sparse24.mask" => kept[i],
                    _ => ev.exprs.select(kept[i], values[i], zero),
                };
                let buffer = ev.buffer(root, Access::Write);
                let index = linear(&element(i as i64), &flat.ty(root).shape);
                stores.push(Store { buffer, index, value, guard: None });
            }
            continue;
        }
        // Exactly two stay: the lowest and the highest of them.
        let (low, high) = (e.select(kept[1], values[1], values[2]), e.select(kept[2], values[2], values[1]));
        let pair = [e.select(kept[0], values[0], low), e.select(kept[3], values[3], high)];
        let number = [0, 1, 2, 3].map(|i| e.int(DType::U8, i));
        let (low, high) = (e.select(kept[1], number[1], number[2]), e.select(kept[2], number[2], number[1]));
        let (first, second) = (e.select(kept[0], number[0], low), e.select(kept[3], number[3], high));
        let two = e.int(DType::U8, 2);
        let second = e.binary(Binary::Shl, second, two);
        let nibble = e.binary(Binary::Or, first, second);
        meta = Some(match meta {
            None => nibble,
            Some(low) => {
                let four = e.int(DType::U8, 4);
                let high = e.binary(Binary::Shl, nibble, four);
                e.binary(Binary::Or, low, high)
            }
        });
        for (i, value) in pair.into_iter().enumerate() {
            let mut at = at.clone();
            at[axis] = add(&scale(&at[axis], &4.into()), &crate::coords::constant(2 * group + i as i64));
            let buffer = ev.buffer(root, Access::Write);
            stores.push(Store { buffer, index: linear(&at, &flat.ty(root).shape), value, guard: None });
        }
    }
    ev.inlined.insert(root);
    if let Some(value) = meta {
        let v = ValueId { node: root.node, result: 1 };
        let buffer = ev.buffer(v, Access::Write);
        stores.push(Store { buffer, index: linear(&at, &flat.ty(v).shape), value, guard: None });
        ev.inlined.insert(v);
    }
    Ok(Lowered::new(ev, Body::Nest(Nest { parallel, stages: vec![Stage::Store { loops: vec![], stores }] })))
}
