//! `trilinear`: attention over pairs of keys (2-simplicial attention), its backward and the determinant form.

mod attention;
mod backward;
mod determinant;

use crate::attr::{Attr, AttrKind};
use crate::builder::Builder;
use crate::check::{dtype, float, rank, spread};
use crate::graph::ValueId;
use crate::op::{AttrDef, OpDef, OpView, defaulted, required};
use tricot_types::{DType, Diagnostic, Poly};

/// All ops of the dialect.
pub const OPS: &[&OpDef] = &[&attention::ATTENTION, &backward::ATTENTION_BACKWARD, &determinant::DETERMINANT];

const W1: AttrDef = required("w1", AttrKind::Int, "window of the first keys, itself included, at least 1");
const W2: AttrDef = required("w2", AttrKind::Int, "window of the second keys, itself included, at least 1");
const SCALE: AttrDef = required("scale", AttrKind::Float, "factor of the logits, often `d^-0.5`");
const K2_BIAS: AttrDef = defaulted("k2_bias", AttrKind::Float, || Attr::float(0.0), "added to every element of `k2`");
const V2_BIAS: AttrDef = defaulted("v2_bias", AttrKind::Float, || Attr::float(0.0), "added to every element of `v2`");

/// Checks q, k1, k2, v1, v2 and the windows.
fn check(view: &OpView<'_>) -> Result<(), String> {
    let q = &view.operands[0];
    float(q, "q")?;
    for (t, operand) in view.operands[..5].iter().zip(view.def.operands) {
        rank(t, operand.name, 4)?;
        dtype(t, operand.name, q.dtype)?;
    }
    let (k1, v1) = (&view.operands[1], &view.operands[3]);
    if view.operands[2].shape != k1.shape {
        return Err(format!("k1 is {k1}, k2 is {}; shapes must be equal", view.operands[2]));
    }
    if view.operands[4].shape != v1.shape {
        return Err(format!("v1 is {v1}, v2 is {}; shapes must be equal", view.operands[4]));
    }
    if k1.shape[..3] != v1.shape[..3] {
        return Err(format!("k1 is {k1}, v1 is {v1}; batch, length and heads must be equal"));
    }
    if [&q.shape[0], &q.shape[1], &q.shape[3]] != [&k1.shape[0], &k1.shape[1], &k1.shape[3]] {
        return Err(format!("q is {q}, k1 is {k1}; batch, length and features must be equal"));
    }
    if q.shape[2].exact_div(&k1.shape[2]).is_none() {
        return Err(format!("{} query heads do not split over {} key heads", q.shape[2], k1.shape[2]));
    }
    for name in ["w1", "w2"] {
        if view.attrs.int(name) < 1 {
            return Err(format!("{name} is {}, the least is 1", view.attrs.int(name)));
        }
    }
    Ok(())
}

/// `sum_i min(i + 1, w1) * min(i + 1, w2)`: the key pairs of one head. A symbolic length is taken to be at least both windows.
fn pairs(view: &OpView<'_>) -> Poly {
    let (w1, w2) = (view.attrs.int("w1"), view.attrs.int("w2"));
    let s = &view.operands[0].shape[1];
    let (mut narrow, mut broad) = (w1.min(w2), w1.max(w2));
    if let Some(n) = s.as_constant() {
        (narrow, broad) = (narrow.min(n), broad.min(n));
    }
    let (a, c) = (i128::from(narrow), i128::from(broad));
    // sum_{i <= a} i^2 + a * sum_{a < i <= c} i, then (s - c) full rectangles.
    let ramp = a * (a + 1) * (2 * a + 1) / 6 + a * (c * (c + 1) - a * (a + 1)) / 2;
    let (Ok(ramp), Some(full)) = (i64::try_from(ramp), narrow.checked_mul(broad)) else { return Poly::default() };
    Poly::constant(ramp) + (s.clone() - Poly::constant(broad)) * Poly::constant(full)
}

/// `[b, s, h, d]` as `[b, s, g, h / g, d]`.
fn split_heads(b: &mut Builder<'_>, x: ValueId, groups: &Poly) -> Result<ValueId, Diagnostic> {
    let s = b.ty(x).shape.clone();
    let each = s[2].exact_div(groups).expect("verified");
    b.reshape(x, &[s[0].clone(), s[1].clone(), groups.clone(), each, s[3].clone()])
}

/// `x + bias` in the compute type.
fn biased(b: &mut Builder<'_>, x: ValueId, bias: f64) -> Result<ValueId, Diagnostic> {
    let wide = b.ty(x).dtype.compute();
    let x = b.cast(x, wide)?;
    if bias == 0.0 { Ok(x) } else { b.map_scalar("add", x, bias) }
}

/// Bool `[i, j, k]`: whether query `i` sees the pair `(j, k)`.
fn allowed(b: &mut Builder<'_>, s: &Poly, w1: i64, w2: i64) -> Result<ValueId, Diagnostic> {
    let plane = [s.clone(), s.clone()];
    let (i, j) = (b.iota(DType::I64, &plane, 0)?, b.iota(DType::I64, &plane, 1)?);
    let distance = b.map("sub", &[i, j])?;
    let zero = b.scalar_int(DType::I64, 0)?;
    let zero = b.broadcast(zero, &plane, &[])?;
    let past = b.map("ge", &[distance, zero])?;
    let cube = [s.clone(), s.clone(), s.clone()];
    let mut sides = vec![];
    for (w, axes) in [(w1, [0, 1]), (w2, [0, 2])] {
        let w = b.scalar_int(DType::I64, w)?;
        let w = b.broadcast(w, &plane, &[])?;
        let near = b.map("lt", &[distance, w])?;
        let side = b.map("and", &[past, near])?;
        sides.push(b.broadcast(side, &cube, &axes)?);
    }
    b.map("and", &sides)
}

/// Logits `[b, g, r, i, j, k]` in the compute type, -inf where a query does not look.
fn logits(
    b: &mut Builder<'_>,
    attrs: &crate::Attrs,
    q: ValueId,
    k1: ValueId,
    k2: ValueId,
) -> Result<ValueId, Diagnostic> {
    let wide = b.ty(q).dtype;
    let s = b.ty(q).shape[1].clone();
    let x = b.contract("bigrd,bjgd,bkgd->bgrijk", &[q, k1, k2], wide)?;
    let x = b.map_scalar("mul", x, attrs.float("scale"))?;
    let shape = b.ty(x).shape.clone();
    let mask = allowed(b, &s, attrs.int("w1"), attrs.int("w2"))?;
    let mask = b.broadcast(mask, &shape, &[3, 4, 5])?;
    let never = b.full(wide, f64::NEG_INFINITY, &shape)?;
    b.select(mask, x, never)
}

/// Weights rounded to the operands' type where that has 16 bits, as tensor cores take them, back in the compute type.
pub(crate) fn rounded(b: &mut Builder<'_>, weights: ValueId, dtype: DType) -> Result<ValueId, Diagnostic> {
    let wide = b.ty(weights).dtype;
    if dtype.bits() != 16 {
        return Ok(weights);
    }
    let narrow = b.cast(weights, dtype)?;
    b.cast(narrow, wide)
}

/// Softmax over `axes` and the logarithm of its divisor, without them. A row of -inf gives weights 0 and -inf.
pub(crate) fn weights(b: &mut Builder<'_>, x: ValueId, axes: &[i64]) -> Result<(ValueId, ValueId), Diagnostic> {
    let ty = b.ty(x).clone();
    let top = b.reduce("max", x, axes)?;
    let rows = b.ty(top).shape.clone();
    let never = b.full(ty.dtype, f64::NEG_INFINITY, &rows)?;
    let empty = b.map("eq", &[top, never])?;
    let zero = b.full(ty.dtype, 0.0, &rows)?;
    let top = b.select(empty, zero, top)?;
    let spread_top = spread(b, top, &ty.shape, axes)?;
    let d = b.map("sub", &[x, spread_top])?;
    let e = b.map("exp", &[d])?;
    let sum = b.reduce("sum", e, axes)?;
    let log = b.map("log", &[sum])?;
    let lse = b.map("add", &[top, log])?;
    let one = b.full(ty.dtype, 1.0, &rows)?;
    let divisor = b.select(empty, one, sum)?;
    let divisor = spread(b, divisor, &ty.shape, axes)?;
    Ok((b.map("div", &[e, divisor])?, lse))
}
