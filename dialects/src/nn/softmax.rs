//! Softmax and its logarithm along one axis.

use crate::attr::{AttrKind, Attrs};
use crate::builder::Builder;
use crate::check::{Values, float, spread, wide};
use crate::core::check_axis;
use crate::graph::ValueId;
use crate::op::{Meaning, OpDef, OpView, Work, one, required, result};
use crate::ty::TensorType;
use tricot_types::{Diagnostic, Poly};

fn infer(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    float(&view.operands[0], "x")?;
    check_axis(view.attrs.int("axis"), view.operands[0].rank())?;
    Ok(vec![view.operands[0].clone()])
}

/// Maximum, difference, exponential, sum, quotient.
fn work(view: OpView<'_>) -> Work {
    Work { flops: view.operands[0].elements() * Poly::constant(5) }
}

/// `x` minus its largest element along the axis: every exponential that follows is at most 1.
fn centred(b: &mut Builder<'_>, x: ValueId, axis: i64) -> Result<ValueId, Diagnostic> {
    let shape = b.ty(x).shape.clone();
    let top = b.reduce("max", x, &[axis])?;
    let top = spread(b, top, &shape, &[axis])?;
    b.map("sub", &[x, top])
}

fn decompose_softmax(b: &mut Builder<'_>, attrs: &Attrs, x: &[ValueId]) -> Values {
    let axis = attrs.int("axis");
    wide(b, x[0], |b, x| {
        let shape = b.ty(x).shape.clone();
        let d = centred(b, x, axis)?;
        let e = b.map("exp", &[d])?;
        let sum = b.reduce("sum", e, &[axis])?;
        let sum = spread(b, sum, &shape, &[axis])?;
        b.map("div", &[e, sum])
    })
}

fn decompose_log_softmax(b: &mut Builder<'_>, attrs: &Attrs, x: &[ValueId]) -> Values {
    let axis = attrs.int("axis");
    wide(b, x[0], |b, x| {
        let shape = b.ty(x).shape.clone();
        let d = centred(b, x, axis)?;
        let e = b.map("exp", &[d])?;
        let sum = b.reduce("sum", e, &[axis])?;
        let log = b.map("log", &[sum])?;
        let log = spread(b, log, &shape, &[axis])?;
        b.map("sub", &[d, log])
    })
}

pub static SOFTMAX: OpDef = OpDef {
    name: "nn.softmax",
    summary: "Exponentials that sum to one along an axis.",
    doc: "`y = e^(x - m) / sum(e^(x - m))`, `m` the largest element along `axis`. A row of which every element is -inf gives NaN, as \
          the formula says.",
    operands: &[one("x", "a float tensor")],
    attrs: &[required("axis", AttrKind::Int, "the axis that sums to one")],
    results: &[result("y", "the operand's type")],
    infer,
    meaning: Meaning::Decompose(decompose_softmax),
    work,
    vjp: Some(|b, attrs, x, y, g| {
        // dx = y * (g - sum(g * y))
        let Some(g) = g[0] else { return Ok(vec![None]) };
        let axis = attrs.int("axis");
        let ty = b.ty(x[0]).clone();
        let (g, y) = (b.cast(g, ty.dtype.compute())?, b.cast(y[0], ty.dtype.compute())?);
        let gy = b.map("mul", &[g, y])?;
        let sum = b.reduce("sum", gy, &[axis])?;
        let sum = spread(b, sum, &ty.shape, &[axis])?;
        let d = b.map("sub", &[g, sum])?;
        let dx = b.map("mul", &[y, d])?;
        Ok(vec![Some(b.cast(dx, ty.dtype)?)])
    }),
};

pub static LOG_SOFTMAX: OpDef = OpDef {
    name: "nn.log_softmax",
    summary: "Logarithm of the softmax along an axis.",
    doc: "`y = (x - m) - log(sum(e^(x - m)))`, `m` the largest element along `axis`.",
    operands: &[one("x", "a float tensor")],
    attrs: &[required("axis", AttrKind::Int, "the axis that sums to one")],
    results: &[result("y", "the operand's type")],
    infer,
    meaning: Meaning::Decompose(decompose_log_softmax),
    work,
    vjp: Some(|b, attrs, x, y, g| {
        // dx = g - e^y * sum(g)
        let Some(g) = g[0] else { return Ok(vec![None]) };
        let axis = attrs.int("axis");
        let ty = b.ty(x[0]).clone();
        let (g, y) = (b.cast(g, ty.dtype.compute())?, b.cast(y[0], ty.dtype.compute())?);
        let sum = b.reduce("sum", g, &[axis])?;
        let sum = spread(b, sum, &ty.shape, &[axis])?;
        let p = b.map("exp", &[y])?;
        let back = b.map("mul", &[p, sum])?;
        let dx = b.map("sub", &[g, back])?;
        Ok(vec![Some(b.cast(dx, ty.dtype)?)])
    }),
};
