//! `embedding`: sums of table rows, bag by bag, from float or row-wise quantised tables.

use crate::attr::{Attr, AttrKind, Attrs};
use crate::builder::Builder;
use crate::check::{Values, float, positions, rank, shape};
use crate::graph::ValueId;
use crate::op::{AttrDef, Meaning, OpDef, OpView, OperandDef, Work, defaulted, one, optional, result};
use crate::ty::TensorType;
use tricot_types::{DType, Diagnostic, Poly};

/// All ops of the dialect.
pub const OPS: &[&OpDef] = &[&BAG, &BAG_QUANTIZED];

const MODE: AttrDef =
    defaulted("mode", AttrKind::Word(&["sum", "mean"]), || Attr::Str("sum".into()), "what a bag gives");
const INCLUDE_LAST: AttrDef = defaulted(
    "include_last",
    AttrKind::Bool,
    || Attr::Bool(false),
    "whether `offsets` ends with the end of the last bag",
);
const INDICES: OperandDef = one("indices", "i64 or i32 [l], rows of the table");
const OFFSETS: OperandDef =
    one("offsets", "i64 or i32 [bags], not decreasing, beginning with 0; [bags + 1] with `include_last`");
const WEIGHTS: OperandDef = optional("weights", "float [l], factor of each row; sums only");

/// Checks indices, offsets, weights; returns the number of bags.
fn check_bags(view: &OpView<'_>, at: usize) -> Result<Poly, String> {
    let (indices, offsets) = (&view.operands[at], &view.operands[at + 1]);
    for (t, name) in [(indices, "indices"), (offsets, "offsets")] {
        positions(t, name)?;
        rank(t, name, 1)?;
    }
    if let Some(weights) = view.operands.get(at + 2) {
        float(weights, "weights")?;
        shape(weights, "weights", &indices.shape)?;
        if view.attrs.str("mode") == "mean" {
            return Err("a mean takes no weights".into());
        }
    }
    let bags = match view.attrs.bool("include_last") {
        true => offsets.shape[0].clone() - Poly::constant(1),
        false => offsets.shape[0].clone(),
    };
    match bags.as_constant().is_some_and(|b| b < 0) {
        true => Err("offsets with `include_last` hold one entry at least".into()),
        false => Ok(bags),
    }
}

fn work_at(view: &OpView<'_>, at: usize, each: i64) -> Work {
    let width = view.operands[0].shape.last().cloned().unwrap_or_default();
    let weighted = i64::from(view.operands.len() > at + 2);
    Work { flops: view.operands[at].elements() * width * Poly::constant(each + weighted) }
}

/// Sums rows `[l, d]` (a compute type) bag by bag. Which bag a position belongs to is the number of offsets at or before it, less
/// one: a running sum over marks set at the offsets. Positions behind the last offset of `include_last` fall outside and count
/// nowhere.
fn pool(
    b: &mut Builder<'_>,
    attrs: &Attrs,
    mut rows: ValueId,
    offsets: ValueId,
    weights: Option<ValueId>,
    bags: &Poly,
) -> Result<ValueId, Diagnostic> {
    let ty = b.ty(rows).clone();
    if let Some(w) = weights {
        let w = b.cast(w, ty.dtype)?;
        let w = b.broadcast(w, &ty.shape, &[0])?;
        rows = b.map("mul", &[rows, w])?;
    }
    let add = || Attrs::new().with("combine", "add");
    let length = [ty.shape[0].clone()];
    let ones = b.scalar_int(DType::I64, 1)?;
    let ones_at = b.broadcast(ones, &b.ty(offsets).shape.clone(), &[])?;
    let none = b.scalar_int(DType::I64, 0)?;
    let none = b.broadcast(none, &length, &[])?;
    let marks = b.one("core.scatter", &[none, offsets, ones_at], add())?;
    let running = b.one("core.scan", &[marks], Attrs::new().with("kind", "sum").with("axis", 0))?;
    let ones_all = b.broadcast(ones, &length, &[])?;
    let bag = b.map("sub", &[running, ones_all])?;
    let out_shape = [bags.clone(), ty.shape[1].clone()];
    let zero = b.full(ty.dtype, 0.0, &out_shape)?;
    let sum = b.one("core.scatter", &[zero, bag, rows], add())?;
    if attrs.str("mode") == "sum" {
        return Ok(sum);
    }
    let zero = b.full(ty.dtype, 0.0, &[bags.clone()])?;
    let one_each = b.full(ty.dtype, 1.0, &length)?;
    let count = b.one("core.scatter", &[zero, bag, one_each], add())?;
    let count = b.map_scalar("max", count, 1.0)?;
    let count = b.broadcast(count, &out_shape, &[0])?;
    b.map("div", &[sum, count])
}

fn bag_count(b: &Builder<'_>, attrs: &Attrs, offsets: ValueId) -> Poly {
    let n = b.ty(offsets).shape[0].clone();
    if attrs.bool("include_last") { n - Poly::constant(1) } else { n }
}

fn rows_of(b: &mut Builder<'_>, table: ValueId, indices: ValueId) -> Result<ValueId, Diagnostic> {
    b.one("core.gather", &[table, indices], Attrs::new().with("axis", 0))
}

fn decompose_bag(b: &mut Builder<'_>, attrs: &Attrs, v: &[ValueId]) -> Values {
    let dtype = b.ty(v[0]).dtype;
    let bags = bag_count(b, attrs, v[2]);
    let rows = rows_of(b, v[0], v[1])?;
    let rows = b.cast(rows, dtype.compute())?;
    let y = pool(b, attrs, rows, v[2], v.get(3).copied(), &bags)?;
    Ok(vec![b.cast(y, dtype)?])
}

pub static BAG: OpDef = OpDef {
    name: "embedding.bag",
    summary: "Sums or means of table rows, bag by bag.",
    doc: "Bag `t` holds the positions `offsets[t] <= p < offsets[t + 1]` (the last up to `l`, or to the last offset with `include_last`). \
          `y[t, :] = sum_p weights[p] * table[indices[p], :]`, or the mean; an empty bag gives zeros. Indices outside the table are \
          clamped to it. 16- and 8-bit floats accumulate in f32. Source: torch.nn.EmbeddingBag, FBGEMM table-batched embeddings.",
    operands: &[one("table", "float [n, d]"), INDICES, OFFSETS, WEIGHTS],
    attrs: &[MODE, INCLUDE_LAST],
    results: &[result("y", "[bags, d], the dtype of `table`")],
    infer: |view| {
        let table = &view.operands[0];
        float(table, "table")?;
        rank(table, "table", 2)?;
        let bags = check_bags(&view, 1)?;
        Ok(vec![TensorType::new(table.dtype, [bags, table.shape[1].clone()])])
    },
    meaning: Meaning::Decompose(decompose_bag),
    work: |view| work_at(&view, 1, 1),
    vjp: Some(|b, attrs, v, _, g| crate::gradient::through_decomposition(&BAG, b, attrs, v, g)),
};

fn infer_quantized(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let table = &view.operands[0];
    rank(table, "table", 2)?;
    if !matches!(table.dtype, DType::I8 | DType::U8 | DType::I4 | DType::U4) {
        return Err(format!("table must hold i8, u8, i4 or u4, not {table}"));
    }
    for (t, name) in view.operands[1..3].iter().zip(["scale", "bias"]) {
        float(t, name)?;
        shape(t, name, &table.shape[..1])?;
    }
    let to = view.attrs.dtype("dtype");
    if !to.is_float() {
        return Err(format!("dtype must be a float type, not {to}"));
    }
    let bags = check_bags(&view, 3)?;
    Ok(vec![TensorType::new(to, [bags, table.shape[1].clone()])])
}

fn decompose_quantized(b: &mut Builder<'_>, attrs: &Attrs, v: &[ValueId]) -> Values {
    let wide = attrs.dtype("dtype").compute();
    let bags = bag_count(b, attrs, v[4]);
    let mut parts = vec![];
    for table in &v[..3] {
        let rows = rows_of(b, *table, v[3])?;
        parts.push(b.cast(rows, wide)?);
    }
    let shape = b.ty(parts[0]).shape.clone();
    let (scale, bias) = (b.broadcast(parts[1], &shape, &[0])?, b.broadcast(parts[2], &shape, &[0])?);
    let scaled = b.map("mul", &[parts[0], scale])?;
    let rows = b.map("add", &[scaled, bias])?;
    let y = pool(b, attrs, rows, v[4], v.get(5).copied(), &bags)?;
    Ok(vec![b.cast(y, attrs.dtype("dtype"))?])
}

pub static BAG_QUANTIZED: OpDef = OpDef {
    name: "embedding.bag_quantized",
    summary: "Sums or means of rows of an integer table with a scale and bias per row.",
    doc: "As `embedding.bag` with the rows `scale[r] * table[r, :] + bias[r]`, computed in the compute type of `dtype`. 4-bit tables hold \
          two elements a byte, the lower column in the low nibble. Source: FBGEMM row-wise int8 and int4 tables.",
    operands: &[
        one("table", "i8, u8, i4 or u4 [n, d]"),
        one("scale", "float [n]"),
        one("bias", "float [n]"),
        INDICES,
        OFFSETS,
        WEIGHTS,
    ],
    attrs: &[MODE, INCLUDE_LAST, defaulted("dtype", AttrKind::DType, || Attr::DType(DType::F32), "a float type")],
    results: &[result("y", "[bags, d] of `dtype`")],
    infer: infer_quantized,
    meaning: Meaning::Decompose(decompose_quantized),
    work: |view| work_at(&view, 3, 3),
    vjp: None,
};
