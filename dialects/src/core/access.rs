//! `core.gather`, `core.scatter`, `core.update_slice`: data-dependent access.

use super::check_axis;
use crate::attr::{Attr, AttrKind, Attrs};
use crate::builder::Builder;
use crate::graph::ValueId;
use crate::op::{Meaning, OpDef, OpView, defaulted, no_work, one, optional, required, result};
use crate::ty::TensorType;
use tricot_types::{DType, Diagnostic, Poly};

fn check_index(t: &TensorType, what: &str) -> Result<(), String> {
    match t.dtype {
        DType::I64 | DType::I32 => Ok(()),
        other => Err(format!("{what} must be i64 or i32, not {other}")),
    }
}

fn infer_gather(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let (data, indices) = (&view.operands[0], &view.operands[1]);
    check_index(indices, "indices")?;
    let axis = check_axis(view.attrs.int("axis"), data.rank())?;
    let batch = view.attrs.int("batch_dims");
    let batch = usize::try_from(batch).ok().filter(|b| *b <= axis && *b <= indices.rank());
    let batch = batch.ok_or_else(|| format!("batch_dims is {}, the axis {axis}", view.attrs.int("batch_dims")))?;
    if data.shape[..batch] != indices.shape[..batch] {
        return Err(format!("the leading {batch} axes of {data} and {indices} differ"));
    }
    let shape = data.shape[..axis].iter().chain(&indices.shape[batch..]).chain(&data.shape[axis + 1..]);
    Ok(vec![data.with_shape(shape.cloned().collect())])
}

pub static GATHER: OpDef = OpDef {
    name: "core.gather",
    summary: "Takes slices at given positions along an axis.",
    doc: "`result[b…, p…, i…, q…] = data[b…, p…, indices[b…, i…], q…]`: `b` the `batch_dims` leading axes data and indices share, `p` the \
          axes of data up to `axis`, `q` those after it. Positions outside the axis are clamped to its ends.",
    operands: &[one("data", "any type"), one("indices", "i64 or i32")],
    attrs: &[
        required("axis", AttrKind::Int, "axis of data that is indexed"),
        defaulted("batch_dims", AttrKind::Int, || Attr::Int(0), "leading axes in common; at most `axis`"),
    ],
    results: &[result("result", "the data's dtype")],
    infer: infer_gather,
    meaning: Meaning::Primitive,
    work: no_work,
    vjp: Some(vjp_gather),
};

/// Adds the gradient's rows where they came from. Only along axis 0 and without batch axes.
fn vjp_gather(
    b: &mut Builder<'_>,
    attrs: &Attrs,
    ops: &[ValueId],
    _results: &[ValueId],
    grads: &[Option<ValueId>],
) -> Result<Vec<Option<ValueId>>, Diagnostic> {
    let Some(g) = grads[0] else { return Ok(vec![None; 2]) };
    if attrs.int("axis") != 0 {
        let message = format!("a gather along axis {} has no gradient; only axis 0 has", attrs.int("axis"));
        return Err(Diagnostic::error("TC0117", message));
    }
    let (data, indices) = (b.ty(ops[0]).clone(), b.ty(ops[1]).clone());
    let count = [indices.elements()];
    let flat = b.reshape(ops[1], &count)?;
    // As the gather does, positions outside are brought to the ends.
    let last = b.size(&(data.shape[0].clone() - Poly::constant(1)))?;
    let last = b.cast(last, indices.dtype)?;
    let last = b.broadcast(last, &count, &[])?;
    let zero = b.scalar_int(indices.dtype, 0)?;
    let zero = b.broadcast(zero, &count, &[])?;
    let flat = b.map("max", &[flat, zero])?;
    let flat = b.map("min", &[flat, last])?;
    let rows: Vec<Poly> = count.iter().chain(&data.shape[1..]).cloned().collect();
    let g = b.reshape(g, &rows)?;
    let nothing = b.full(data.dtype, 0.0, &data.shape)?;
    let out = b.one("core.scatter", &[nothing, flat, g], Attrs::new().with("combine", "add"))?;
    Ok(vec![Some(out), None])
}

/// Of `add` only: the data's gradient passes, an update gets that of its row, or zero if it was skipped.
fn vjp_scatter(
    b: &mut Builder<'_>,
    attrs: &Attrs,
    ops: &[ValueId],
    _results: &[ValueId],
    grads: &[Option<ValueId>],
) -> Result<Vec<Option<ValueId>>, Diagnostic> {
    let Some(g) = grads[0] else { return Ok(vec![None; 3]) };
    if attrs.str("combine") != "add" {
        let message = format!("a scatter that combines by `{}` has no gradient; only `add` has", attrs.str("combine"));
        return Err(Diagnostic::error("TC0117", message));
    }
    let (data, indices, updates) = (b.ty(ops[0]).clone(), b.ty(ops[1]).clone(), b.ty(ops[2]).clone());
    let rows = b.one("core.gather", &[g, ops[1]], Attrs::new().with("axis", 0))?;
    let zero = b.scalar_int(indices.dtype, 0)?;
    let zero = b.broadcast(zero, &indices.shape, &[])?;
    let end = b.size(&data.shape[0])?;
    let end = b.cast(end, indices.dtype)?;
    let end = b.broadcast(end, &indices.shape, &[])?;
    let (above, below) = (b.map("ge", &[ops[1], zero])?, b.map("lt", &[ops[1], end])?);
    let inside = b.map("and", &[above, below])?;
    let inside = b.broadcast(inside, &updates.shape, &[0])?;
    let nothing = b.full(updates.dtype, 0.0, &updates.shape)?;
    Ok(vec![Some(g), None, Some(b.select(inside, rows, nothing)?)])
}

fn infer_scatter(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let [data, indices, updates] = view.operands else { unreachable!("operand count is checked") };
    check_index(indices, "indices")?;
    if indices.rank() != 1 || data.rank() == 0 {
        return Err(format!(
            "indices must have rank 1 and data at least 1, not {} and {}",
            indices.rank(),
            data.rank()
        ));
    }
    let expected: Vec<_> = indices.shape.iter().chain(&data.shape[1..]).cloned().collect();
    if updates.shape != expected || updates.dtype != data.dtype {
        return Err(format!("updates are {updates}, expected {}", data.with_shape(expected)));
    }
    Ok(vec![data.clone()])
}

pub static SCATTER: OpDef = OpDef {
    name: "core.scatter",
    summary: "Writes or combines slices at given positions of axis 0.",
    doc: "Starts from `data`; for each `i` in order: `result[indices[i], …] = combine(result[indices[i], …], updates[i, …])`. Positions \
          outside the axis are skipped. `replace` keeps the last update of a position.",
    operands: &[
        one("data", "shape [n, …]"),
        one("indices", "i64 or i32, shape [m]"),
        one("updates", "the data's dtype, shape [m, …]"),
    ],
    attrs: &[required(
        "combine",
        AttrKind::Word(&["replace", "add", "mul", "max", "min"]),
        "how an update meets what is there",
    )],
    results: &[result("result", "the data's type")],
    infer: infer_scatter,
    meaning: Meaning::Primitive,
    work: crate::op::work_per_input,
    vjp: Some(vjp_scatter),
};

fn infer_update(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let (data, update) = (&view.operands[0], &view.operands[1]);
    if data.dtype != update.dtype || data.rank() != update.rank() {
        return Err(format!("the update {update} does not fit into {data}"));
    }
    if view.attrs.dims("start").len() != data.rank() {
        return Err(format!("start needs {} entries", data.rank()));
    }
    if let Some(offsets) = view.operands.get(2) {
        check_index(offsets, "offsets")?;
        if offsets.static_shape() != Some(vec![data.rank() as i64]) {
            return Err(format!("offsets are {offsets}, expected [{}]", data.rank()));
        }
    }
    Ok(vec![data.clone()])
}

pub static UPDATE_SLICE: OpDef = OpDef {
    name: "core.update_slice",
    summary: "Replaces a box of a tensor.",
    doc: "The result is `data` with the box that begins at `start + offsets` replaced by `update`. The beginning is clamped so that the \
          box lies inside. With an output aliased to the input this is an in-place write (a KV cache).",
    operands: &[
        one("data", "any type"),
        one("update", "the same dtype and rank"),
        optional("offsets", "i64 or i32 [rank], added to `start`"),
    ],
    attrs: &[required("start", AttrKind::Dims, "beginning of the box, one entry an axis")],
    results: &[result("result", "the data's type")],
    infer: infer_update,
    meaning: Meaning::Primitive,
    work: no_work,
    vjp: None,
};
