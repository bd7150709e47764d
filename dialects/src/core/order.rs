//! `core.top_k`: the ordered largest or smallest elements; a full sort for `k` = size.

use super::check_axis;
use crate::attr::{Attr, AttrKind};
use crate::op::{Meaning, OpDef, OpView, defaulted, one, required, result, work_per_input};
use crate::ty::TensorType;
use tricot_types::DType;

fn infer(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let t = &view.operands[0];
    let axis = check_axis(view.attrs.int("axis"), t.rank())?;
    let k = view.attrs.dim("k");
    if let (Some(k), Some(n)) = (k.as_constant(), t.shape[axis].as_constant())
        && !(0..=n).contains(&k)
    {
        return Err(format!("k is {k}, the axis holds {n} elements"));
    }
    let mut shape = t.shape.clone();
    shape[axis] = k.clone();
    Ok(vec![t.with_shape(shape.clone()), TensorType::new(DType::I64, shape)])
}

pub static TOP_K: OpDef = OpDef {
    name: "core.top_k",
    summary: "The k largest or smallest elements of an axis, in order.",
    doc: "Sorted from the extreme on; equal elements keep their order of position (stable). NaN counts as larger than everything.",
    operands: &[one("operand", "any numeric type")],
    attrs: &[
        required("k", AttrKind::Dim, "how many"),
        required("axis", AttrKind::Int, "along which axis"),
        defaulted("largest", AttrKind::Bool, || Attr::Bool(true), "largest first, else smallest first"),
    ],
    results: &[
        result("values", "the operand's dtype, `k` along the axis"),
        result("positions", "i64 positions along the axis"),
    ],
    infer,
    meaning: Meaning::Primitive,
    work: work_per_input,
    vjp: None,
};
