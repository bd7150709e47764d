//! `core.reduce`, `core.arg_reduce`, `core.scan`: folding an axis.

use super::{check_axes, check_axis};
use crate::attr::{Attr, AttrKind};
use crate::op::{Meaning, OpDef, OpView, defaulted, one, required, result, work_per_input};
use crate::ty::TensorType;
use tricot_types::{DType, Poly};

const KINDS: &[&str] = &["sum", "prod", "max", "min", "and", "or"];

fn kind_fits(kind: &str, dtype: DType) -> Result<(), String> {
    let logical = matches!(kind, "and" | "or");
    match logical == (dtype == DType::Bool) {
        true => Ok(()),
        false => Err(format!("a `{kind}` of {dtype} is not defined")),
    }
}

fn without(shape: &[Poly], axes: &[usize]) -> Vec<Poly> {
    shape.iter().enumerate().filter(|(i, _)| !axes.contains(i)).map(|(_, d)| d.clone()).collect()
}

fn infer_reduce(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let t = &view.operands[0];
    kind_fits(view.attrs.str("kind"), t.dtype)?;
    let axes = check_axes(view.attrs.ints("axes"), t.rank())?;
    Ok(vec![t.with_shape(without(&t.shape, &axes))])
}

pub static REDUCE: OpDef = OpDef {
    name: "core.reduce",
    summary: "Folds axes away.",
    doc: "Combines all elements along `axes`, which disappear from the shape. Identities: 0, 1, the smallest and largest value of the \
          type (infinities for floats), true, false. `max` and `min` give NaN if any element is NaN. Sums and products of 16- and \
          8-bit floats are held in f32 and rounded once; integers wrap.",
    operands: &[one("operand", "any type; bool for and/or only")],
    attrs: &[
        required("kind", AttrKind::Word(KINDS), "how to combine"),
        required("axes", AttrKind::Ints, "distinct axes to fold"),
    ],
    results: &[result("result", "the operand's dtype, without the folded axes")],
    infer: infer_reduce,
    meaning: Meaning::Primitive,
    work: work_per_input,
    vjp: Some(|b, attrs, ops, results, grads| {
        let Some(g) = grads[0] else { return Ok(vec![None]) };
        let ty = b.ty(ops[0]).clone();
        let axes = attrs.ints("axes");
        let kept: Vec<i64> = (0..ty.rank() as i64).filter(|a| !axes.contains(a)).collect();
        let spread = b.broadcast(g, &ty.shape, &kept)?;
        match attrs.str("kind") {
            "sum" => Ok(vec![Some(spread)]),
            "max" | "min" => {
                // Ties share the gradient equally.
                let extreme = b.broadcast(results[0], &ty.shape, &kept)?;
                let hit = b.map("eq", &[ops[0], extreme])?;
                let one = b.cast(hit, ty.dtype)?;
                let count = b.reduce("sum", one, axes)?;
                let count = b.broadcast(count, &ty.shape, &kept)?;
                let share = b.map("div", &[one, count])?;
                Ok(vec![Some(b.map("mul", &[spread, share])?)])
            }
            _ => Ok(vec![None]),
        }
    }),
};

fn infer_arg(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let t = &view.operands[0];
    let axis = check_axis(view.attrs.int("axis"), t.rank())?;
    Ok(vec![TensorType::new(DType::I64, without(&t.shape, &[axis]))])
}

pub static ARG_REDUCE: OpDef = OpDef {
    name: "core.arg_reduce",
    summary: "Position of the largest or smallest element along an axis.",
    doc: "i64 position along `axis`, which disappears. Ties go to the lowest position, or the highest if `last`. NaN counts as the \
          extreme.",
    operands: &[one("operand", "any type; the axis must not be empty")],
    attrs: &[
        required("kind", AttrKind::Word(&["max", "min"]), "which extreme"),
        required("axis", AttrKind::Int, "the axis to search"),
        defaulted("last", AttrKind::Bool, || Attr::Bool(false), "ties go to the highest position"),
    ],
    results: &[result("position", "i64, without the axis")],
    infer: infer_arg,
    meaning: Meaning::Primitive,
    work: work_per_input,
    vjp: None,
};

fn infer_scan(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let t = &view.operands[0];
    kind_fits(view.attrs.str("kind"), t.dtype)?;
    check_axis(view.attrs.int("axis"), t.rank())?;
    Ok(vec![t.clone()])
}

pub static SCAN: OpDef = OpDef {
    name: "core.scan",
    summary: "Running fold along an axis.",
    doc: "`result[…, i, …]` combines the elements `0..=i` along `axis` (`0..i` if `exclusive`, `i..` if `reverse`). The running value \
          is held as in `core.reduce`.",
    operands: &[one("operand", "any type; bool for and/or only")],
    attrs: &[
        required("kind", AttrKind::Word(KINDS), "how to combine"),
        required("axis", AttrKind::Int, "the axis to run along"),
        defaulted("exclusive", AttrKind::Bool, || Attr::Bool(false), "leave the element itself out"),
        defaulted("reverse", AttrKind::Bool, || Attr::Bool(false), "run from the end"),
    ],
    results: &[result("result", "the operand's type")],
    infer: infer_scan,
    meaning: Meaning::Primitive,
    work: work_per_input,
    vjp: Some(|b, attrs, _, _, grads| match (grads[0], attrs.str("kind")) {
        (Some(g), "sum") => {
            let attrs = attrs.clone().with("reverse", !attrs.bool("reverse"));
            Ok(vec![Some(b.one("core.scan", &[g], attrs)?)])
        }
        _ => Ok(vec![None]),
    }),
};
