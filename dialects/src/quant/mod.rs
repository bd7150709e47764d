//! `quant`: row-wise quantisation to 8-bit floats and integers, and back.

use crate::attr::{Attr, AttrKind, Attrs};
use crate::builder::Builder;
use crate::check::{Values, float, shape, spread};
use crate::graph::ValueId;
use crate::op::{Meaning, OpDef, OpView, Work, defaulted, one, result};
use crate::ty::TensorType;
use tricot_types::{DType, Poly};

/// All ops of the dialect.
pub const OPS: &[&OpDef] = &[&DEQUANTIZE, &ROWWISE_FP8, &ROWWISE_INT8];

fn work(view: OpView<'_>) -> Work {
    Work { flops: view.operands[0].elements() * Poly::constant(4) }
}

fn infer_rows(x: &TensorType, to: DType) -> Result<Vec<TensorType>, String> {
    float(x, "x")?;
    match x.shape.split_last() {
        Some((_, rows)) => Ok(vec![x.with_dtype(to), TensorType::new(DType::F32, rows.iter().cloned())]),
        None => Err("x must have rank 1 at least".into()),
    }
}

/// `scale = max |x| / top` per row of the last axis, 1 for rows of zeros; `q = x / scale`, ready for rounding.
fn scaled(b: &mut Builder<'_>, x: ValueId, top: f64) -> Result<(ValueId, ValueId), tricot_types::Diagnostic> {
    let ty = b.ty(x).clone();
    let wide = if ty.dtype == DType::F64 { DType::F64 } else { DType::F32 };
    let last = ty.rank() as i64 - 1;
    let x = b.cast(x, wide)?;
    let size = b.map("abs", &[x])?;
    let largest = b.reduce("max", size, &[last])?;
    let rows = b.ty(largest).shape.clone();
    let scale = b.map_scalar("div", largest, top)?;
    let zero = b.full(wide, 0.0, &rows)?;
    let empty = b.map("eq", &[scale, zero])?;
    let one = b.full(wide, 1.0, &rows)?;
    let scale = b.select(empty, one, scale)?;
    // The stored scale divides, so that quantised values and scale belong together.
    let stored = b.cast(scale, DType::F32)?;
    let divisor = b.cast(stored, wide)?;
    let divisor = spread(b, divisor, &ty.shape, &[last])?;
    Ok((b.map("div", &[x, divisor])?, stored))
}

fn saturate(b: &mut Builder<'_>, x: ValueId, to: DType) -> Result<ValueId, tricot_types::Diagnostic> {
    b.one("core.cast", &[x], Attrs::new().with("to", to).with("mode", "saturate"))
}

fn infer_fp8(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    match view.attrs.dtype("dtype") {
        to @ (DType::F8E4M3 | DType::F8E5M2) => infer_rows(&view.operands[0], to),
        other => Err(format!("dtype must be f8e4m3 or f8e5m2, not {other}")),
    }
}

pub static ROWWISE_FP8: OpDef = OpDef {
    name: "quant.rowwise_fp8",
    summary: "Quantises each row to an 8-bit float with a scale of its own.",
    doc: "Rows run along the last axis. `scale = max |x| / top`, `top` 448 for f8e4m3 and 57344 for f8e5m2, 1 for rows of zeros; `q = \
          round(x / scale)` to the 8-bit float, saturating.",
    operands: &[one("x", "float [.., k]")],
    attrs: &[defaulted("dtype", AttrKind::DType, || Attr::DType(DType::F8E4M3), "f8e4m3 or f8e5m2")],
    results: &[result("q", "[.., k] of `dtype`"), result("scale", "f32 [..]")],
    infer: infer_fp8,
    meaning: Meaning::Decompose(|b, attrs, v| {
        let to = attrs.dtype("dtype");
        let (q, scale) = scaled(b, v[0], if to == DType::F8E4M3 { 448.0 } else { 57344.0 })?;
        Ok(vec![saturate(b, q, to)?, scale])
    }),
    work,
    vjp: None,
};

pub static ROWWISE_INT8: OpDef = OpDef {
    name: "quant.rowwise_int8",
    summary: "Quantises each row to 8-bit integers with a scale of its own.",
    doc: "Rows run along the last axis. `scale = max |x| / 127`, 1 for rows of zeros; `q = round(x / scale)`, ties to even, which lies in \
          -127..=127.",
    operands: &[one("x", "float [.., k]")],
    attrs: &[],
    results: &[result("q", "i8 [.., k]"), result("scale", "f32 [..]")],
    infer: |view| infer_rows(&view.operands[0], DType::I8),
    meaning: Meaning::Decompose(|b, _, v| {
        let (q, scale) = scaled(b, v[0], 127.0)?;
        let q = b.map("round", &[q])?;
        // A scale rounded down lets the largest element reach 127.00001, never 127.5.
        Ok(vec![saturate(b, q, DType::I8)?, scale])
    }),
    work,
    vjp: None,
};

fn infer_dequantize(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let (q, scale) = (&view.operands[0], &view.operands[1]);
    float(scale, "scale")?;
    let Some((_, rows)) = q.shape.split_last() else { return Err("q must have rank 1 at least".into()) };
    shape(scale, "scale", rows)?;
    let to = view.attrs.dtype("dtype");
    if q.dtype == DType::Bool || !to.is_float() {
        return Err(format!("{} cannot be dequantised to {to}", q.dtype));
    }
    Ok(vec![TensorType::new(to, q.shape.clone())])
}

fn decompose_dequantize(b: &mut Builder<'_>, attrs: &Attrs, v: &[ValueId]) -> Values {
    let shape = b.ty(v[0]).shape.clone();
    let to = attrs.dtype("dtype");
    let (q, scale) = (b.cast(v[0], to.compute())?, b.cast(v[1], to.compute())?);
    let scale = spread(b, scale, &shape, &[shape.len() as i64 - 1])?;
    let x = b.map("mul", &[q, scale])?;
    Ok(vec![b.cast(x, to)?])
}

pub static DEQUANTIZE: OpDef = OpDef {
    name: "quant.dequantize",
    summary: "Multiplies each row by its scale.",
    doc: "`x[.., k] = q[.., k] * scale[..]`, computed in the compute type of `dtype`.",
    operands: &[one("q", "any numeric type [.., k]"), one("scale", "float [..]")],
    attrs: &[defaulted("dtype", AttrKind::DType, || Attr::DType(DType::F32), "a float type")],
    results: &[result("x", "[.., k] of `dtype`")],
    infer: infer_dequantize,
    meaning: Meaning::Decompose(decompose_dequantize),
    work: crate::op::work_per_input,
    vjp: None,
};
