//! `sparse24.mask` and `sparse24.select`: which two of four stay.

use super::{AXIS, BY, groups};
use crate::attr::Attrs;
use crate::builder::Builder;
use crate::check::Values;
use crate::graph::ValueId;
use crate::op::{Meaning, OpDef, OpView, Work, one, result};
use crate::ty::TensorType;
use tricot_types::{DType, Diagnostic, Poly};

/// Twelve comparisons a group of four.
pub(super) fn work(view: OpView<'_>) -> Work {
    Work { flops: view.operands[0].elements() * Poly::constant(3) }
}

/// `[…, k, …]` as `[…, k / 4, 4, …]`.
pub(super) fn grouped(b: &mut Builder<'_>, x: ValueId, axis: usize) -> Result<ValueId, Diagnostic> {
    let mut shape = b.ty(x).shape.clone();
    let groups = shape[axis].exact_div(&Poly::constant(4)).expect("verified");
    shape[axis] = groups;
    shape.insert(axis + 1, Poly::constant(4));
    b.reshape(x, &shape)
}

/// The keep mask of `x`, grouped: bool `[…, k / 4, 4, …]`. An element stays when fewer than two others beat it: by a larger
/// key, or by an equal key at a lower index.
pub(super) fn keep(b: &mut Builder<'_>, x: ValueId, axis: usize, by: &str) -> Result<ValueId, Diagnostic> {
    let mut key = grouped(b, x, axis)?;
    let ty = b.ty(key).clone();
    // The magnitude of the smallest signed integer wraps; compare in a type that holds it.
    if by == "magnitude" {
        if ty.dtype.is_signed_int() && ty.dtype != DType::I64 {
            key = b.cast(key, DType::I64)?;
        }
        key = b.map("abs", &[key])?;
    }
    let ty = ty.with_dtype(b.ty(key).dtype);
    if ty.dtype.is_float() {
        let nan = b.map("is_nan", &[key])?;
        let top = if ty.dtype == DType::F8E4M3 { 448.0 } else { f64::INFINITY };
        let top = b.full(ty.dtype, top, &ty.shape)?;
        key = b.select(nan, top, key)?;
    }
    // Every element (axis lane) against every other of its group (axis lane + 1).
    let lane = axis + 1;
    let mut square = ty.shape.clone();
    square.insert(lane + 1, Poly::constant(4));
    let rank = square.len() as i64;
    let own: Vec<i64> = (0..rank).filter(|a| *a != lane as i64 + 1).collect();
    let others: Vec<i64> = (0..rank).filter(|a| *a != lane as i64).collect();
    let (mine, theirs) = (b.broadcast(key, &square, &own)?, b.broadcast(key, &square, &others)?);
    let larger = b.map("gt", &[theirs, mine])?;
    let equal = b.map("eq", &[theirs, mine])?;
    let (i, j) = (b.iota(DType::I32, &square, lane as i64)?, b.iota(DType::I32, &square, lane as i64 + 1)?);
    let before = b.map("lt", &[j, i])?;
    let tie = b.map("and", &[equal, before])?;
    let beats = b.map("or", &[larger, tie])?;
    let beats = b.cast(beats, DType::I32)?;
    let count = b.reduce("sum", beats, &[lane as i64 + 1])?;
    let two = b.scalar_int(DType::I32, 2)?;
    let two = b.broadcast(two, &ty.shape, &[])?;
    b.map("lt", &[count, two])
}

fn decompose_mask(b: &mut Builder<'_>, attrs: &Attrs, x: &[ValueId]) -> Values {
    let shape = b.ty(x[0]).shape.clone();
    let mask = keep(b, x[0], attrs.int("axis") as usize, attrs.str("by"))?;
    Ok(vec![b.reshape(mask, &shape)?])
}

fn decompose_select(b: &mut Builder<'_>, attrs: &Attrs, x: &[ValueId]) -> Values {
    let ty = b.ty(x[0]).clone();
    let mask = decompose_mask(b, attrs, x)?[0];
    let zero = b.full(ty.dtype, 0.0, &ty.shape)?;
    Ok(vec![b.select(mask, x[0], zero)?])
}

pub static MASK: OpDef = OpDef {
    name: "sparse24.mask",
    summary: "Which two of every four neighbours are best.",
    doc: "Each run of four elements along `axis` (4t to 4t + 3) keeps exactly two: those with the largest key, ties going to the lower \
          index. The key is the magnitude or the value; a NaN counts as the largest value of the type. Source: arXiv 2503.16672.",
    operands: &[one("x", "float or integer, a multiple of 4 along `axis`")],
    attrs: &[AXIS, BY],
    results: &[result("mask", "bool, the shape of `x`, true where an element stays")],
    infer: |view| {
        groups(&view, 4)?;
        Ok(vec![TensorType::new(DType::Bool, view.operands[0].shape.clone())])
    },
    meaning: Meaning::Decompose(decompose_mask),
    work,
    vjp: None,
};

pub static SELECT: OpDef = OpDef {
    name: "sparse24.select",
    summary: "Zeroes all but the best two of every four neighbours.",
    doc: "`y = mask ? x : 0` with the mask of `sparse24.mask`. The gradient passes where the element stayed.",
    operands: &[one("x", "float or integer, a multiple of 4 along `axis`")],
    attrs: &[AXIS, BY],
    results: &[result("y", "the type of `x`")],
    infer: |view| {
        groups(&view, 4)?;
        Ok(vec![TensorType { encoding: None, ..view.operands[0].clone() }])
    },
    meaning: Meaning::Decompose(decompose_select),
    work,
    vjp: Some(|b, attrs, x, _, g| {
        let Some(g) = g[0] else { return Ok(vec![None]) };
        let ty = b.ty(g).clone();
        let mask = b.one("sparse24.mask", x, attrs.clone())?;
        let zero = b.full(ty.dtype, 0.0, &ty.shape)?;
        Ok(vec![Some(b.select(mask, g, zero)?)])
    }),
};
