//! `core.gather`, `core.scatter`, `core.update_slice`: data-dependent access.

use super::check_axis;
use crate::attr::{Attr, AttrKind};
use crate::op::{Meaning, OpDef, OpView, defaulted, no_work, one, optional, required, result};
use crate::ty::TensorType;
use tricot_types::DType;

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
    vjp: None,
};

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
    vjp: None,
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
