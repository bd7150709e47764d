//! `sparse24.matmul`: a product whose first factor is 2:4 compressed.

use super::check_compressed;
use super::compress::decompress;
use crate::attr::{AttrKind, Attrs};
use crate::builder::Builder;
use crate::check::Values;
use crate::graph::ValueId;
use crate::op::{Meaning, OpDef, OpView, Work, one, required, result};
use crate::ty::TensorType;
use tricot_types::Poly;

fn infer(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let [values, meta, b] = view.operands else { unreachable!("operand count is checked") };
    let k = check_compressed(values, meta)?;
    let rank = values.rank();
    if rank < 2 || b.rank() != rank {
        return Err(format!("values and b must have the same rank, 2 at least, not {values} and {b}"));
    }
    if values.shape[..rank - 2] != b.shape[..rank - 2] {
        return Err(format!("the batch axes of {values} and {b} differ"));
    }
    if b.shape[rank - 2] != k {
        return Err(format!("values stand for {k} columns, b has {} rows", b.shape[rank - 2]));
    }
    let out = view.attrs.dtype("dtype");
    if values.dtype != b.dtype && !(values.dtype.is_int() && b.dtype.is_int()) {
        return Err(format!("values are {}, b is {}", values.dtype, b.dtype));
    }
    if out.is_float() != values.dtype.is_float() {
        return Err(format!("a product of {} cannot give {out}", values.dtype));
    }
    let mut shape = values.shape[..rank - 1].to_vec();
    shape.push(b.shape[rank - 1].clone());
    Ok(vec![TensorType::new(out, shape)])
}

/// A multiply-add for each stored value: half of the dense product's count.
fn work(view: OpView<'_>) -> Work {
    let (values, b) = (&view.operands[0], &view.operands[2]);
    let n = b.shape.last().cloned().unwrap_or_default();
    Work { flops: values.elements() * n * Poly::constant(2) }
}

fn decompose(b: &mut Builder<'_>, attrs: &Attrs, v: &[ValueId]) -> Values {
    let a = decompress(b, v[0], v[1])?;
    let batch: String = ('a'..='j').take(b.ty(a).rank() - 2).collect();
    let spec = format!("{batch}mk,{batch}kn->{batch}mn");
    Ok(vec![b.contract(&spec, &[a, v[2]], attrs.dtype("dtype"))?])
}

pub static MATMUL: OpDef = OpDef {
    name: "sparse24.matmul",
    summary: "Matrix product with a 2:4 compressed first factor.",
    doc: "`y = decompress(values, meta) b`, rounded once to `dtype`; accumulation as in `core.contract`. Axes before the last two are a \
          batch, equal in all operands. FLOPs count the stored values only.",
    operands: &[
        one("values", "[.., m, k/2], encoding sparse24 or none"),
        one("meta", "u8 [.., m, k/8]"),
        one("b", "[.., k, n], the dtype of `values`"),
    ],
    attrs: &[required("dtype", AttrKind::DType, "element type of the result")],
    results: &[result("y", "[.., m, n]")],
    infer,
    meaning: Meaning::Decompose(decompose),
    work,
    vjp: None,
};
