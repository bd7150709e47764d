//! `sparse24.compress` and `sparse24.decompress`: two values and a nibble for every group of four.

use super::choose::{grouped, keep, work};
use super::{AXIS, BY, check_compressed, groups};
use crate::attr::Attrs;
use crate::builder::Builder;
use crate::check::Values;
use crate::graph::ValueId;
use crate::op::{Meaning, OpDef, OpView, one, result};
use crate::ty::{Encoding, TensorType};
use tricot_types::{DType, Diagnostic, Poly};

fn infer_compress(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let (axis, bytes) = groups(&view, 8)?;
    let x = &view.operands[0];
    if axis + 1 != x.rank() {
        return Err(format!("axis {axis} of {x} is not the last; transpose first"));
    }
    let mut values = x.shape.clone();
    values[axis] = bytes.clone() * Poly::constant(4);
    let mut meta = x.shape.clone();
    meta[axis] = bytes;
    let encoding = Some(Encoding::Sparse24 { axis: axis as u32 });
    Ok(vec![TensorType { encoding, ..TensorType::new(x.dtype, values) }, TensorType::new(DType::U8, meta)])
}

/// A rank-0 integer broadcast to the shape of `like`.
fn number(b: &mut Builder<'_>, like: ValueId, value: i64) -> Result<ValueId, Diagnostic> {
    let ty = b.ty(like).clone();
    let c = b.scalar_int(ty.dtype, value)?;
    b.broadcast(c, &ty.shape, &[])
}

/// Entry `at` of the last axis, which disappears.
fn entry(b: &mut Builder<'_>, x: ValueId, at: i64) -> Result<ValueId, Diagnostic> {
    let mut size = b.ty(x).shape.clone();
    let last = size.len() - 1;
    let mut start = vec![Poly::constant(0); size.len()];
    start[last] = Poly::constant(at);
    size[last] = Poly::constant(1);
    let part = b.slice(x, &start, &size, &vec![1; size.len()])?;
    b.reshape(part, &size[..last])
}

/// Two values side by side along a new last axis.
fn pair(b: &mut Builder<'_>, first: ValueId, second: ValueId) -> Result<ValueId, Diagnostic> {
    let mut shape = b.ty(first).shape.clone();
    shape.push(Poly::constant(1));
    let (first, second) = (b.reshape(first, &shape)?, b.reshape(second, &shape)?);
    b.concat(&[first, second], shape.len() as i64 - 1)
}

fn decompose_compress(b: &mut Builder<'_>, attrs: &Attrs, x: &[ValueId]) -> Values {
    let shape = b.ty(x[0]).shape.clone();
    let axis = shape.len() - 1;
    let bytes = shape[axis].exact_div(&Poly::constant(8)).expect("verified");
    let mask = keep(b, x[0], axis, attrs.str("by"))?;
    let x = grouped(b, x[0], axis)?;
    let lanes_shape = b.ty(x).shape.clone();
    let lane = lanes_shape.len() as i64 - 1;
    let lanes = b.iota(DType::I64, &lanes_shape, lane)?;
    let (high, low) = (number(b, lanes, 3)?, number(b, lanes, 0)?);
    // The mask keeps exactly two lanes: the lowest and the highest.
    let kept_or_high = b.select(mask, lanes, high)?;
    let kept_or_low = b.select(mask, lanes, low)?;
    let first = b.reduce("min", kept_or_high, &[lane])?;
    let second = b.reduce("max", kept_or_low, &[lane])?;
    let both = pair(b, first, second)?;
    let gather = Attrs::new().with("axis", lane).with("batch_dims", lane);
    let values = b.one("core.gather", &[x, both], gather)?;
    let mut values_shape = shape.clone();
    values_shape[axis] = bytes.clone() * Poly::constant(4);
    let values = b.reshape(values, &values_shape)?;
    let four = number(b, second, 4)?;
    let second = b.map("mul", &[second, four])?;
    let nibble = b.map("add", &[first, second])?;
    let mut meta_shape = shape;
    meta_shape[axis] = bytes;
    let mut pairs = meta_shape.clone();
    pairs.push(Poly::constant(2));
    let nibbles = b.reshape(nibble, &pairs)?;
    let (even, odd) = (entry(b, nibbles, 0)?, entry(b, nibbles, 1)?);
    let sixteen = number(b, odd, 16)?;
    let odd = b.map("mul", &[odd, sixteen])?;
    let byte = b.map("add", &[even, odd])?;
    Ok(vec![values, b.cast(byte, DType::U8)?])
}

pub static COMPRESS: OpDef = OpDef {
    name: "sparse24.compress",
    summary: "Selects two of every four neighbours and stores only them.",
    doc: "Of each group of four along the last axis the two elements of `sparse24.mask` are stored in order of index. The group's \
          nibble of metadata is `idx0 | idx1 << 2`, `idx0 < idx1`; a byte holds two groups, the lower in its low nibble. Source: arXiv \
          2503.16672, PTX ISA 9.7.15.6 (meaning of the indices).",
    operands: &[one("x", "float or integer [.., k], `k` a multiple of 8")],
    attrs: &[AXIS, BY],
    results: &[
        result("values", "[.., k/2], the dtype of `x`, encoding sparse24<axis>"),
        result("meta", "u8 [.., k/8]"),
    ],
    infer: infer_compress,
    meaning: Meaning::Decompose(decompose_compress),
    work,
    vjp: None,
};

fn infer_decompress(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let (values, meta) = (&view.operands[0], &view.operands[1]);
    let k = check_compressed(values, meta)?;
    let last = values.rank() - 1;
    if view.attrs.int("axis") != last as i64 {
        return Err(format!("axis is {}, values are compressed along axis {last}", view.attrs.int("axis")));
    }
    let mut shape = values.shape.clone();
    shape[last] = k;
    Ok(vec![TensorType::new(values.dtype, shape)])
}

pub(super) fn decompress(b: &mut Builder<'_>, values: ValueId, meta: ValueId) -> Result<ValueId, Diagnostic> {
    let ty = b.ty(values).clone();
    let last = ty.rank() - 1;
    let groups = ty.shape[last].exact_div(&Poly::constant(2)).expect("verified");
    let meta = b.cast(meta, DType::I32)?;
    let (mask4, shift4) = (number(b, meta, 15)?, number(b, meta, 4)?);
    let (even, odd) = (b.map("and", &[meta, mask4])?, b.map("shr", &[meta, shift4])?);
    let nibbles = pair(b, even, odd)?;
    let mut group_shape = ty.shape.clone();
    group_shape[last] = groups.clone();
    let nibbles = b.reshape(nibbles, &group_shape)?;
    let (mask2, shift2) = (number(b, nibbles, 3)?, number(b, nibbles, 2)?);
    let first = b.map("and", &[nibbles, mask2])?;
    let second = b.map("shr", &[nibbles, shift2])?;
    let mut pairs = group_shape.clone();
    pairs.push(Poly::constant(2));
    let values = b.reshape(values, &pairs)?;
    let mut out = group_shape.clone();
    out.push(Poly::constant(4));
    let kept: Vec<i64> = (0..=last as i64).collect();
    let lanes = b.iota(DType::I32, &out, last as i64 + 1)?;
    let mut y = b.full(ty.dtype, 0.0, &out)?;
    for (at, index) in [(1, second), (0, first)] {
        let value = entry(b, values, at)?;
        let value = b.broadcast(value, &out, &kept)?;
        let index = b.broadcast(index, &out, &kept)?;
        let here = b.map("eq", &[lanes, index])?;
        y = b.select(here, value, y)?;
    }
    let mut shape = ty.shape;
    shape[last] = groups * Poly::constant(4);
    b.reshape(y, &shape)
}

pub static DECOMPRESS: OpDef = OpDef {
    name: "sparse24.decompress",
    summary: "Puts compressed values back in their places, zeros elsewhere.",
    doc: "The inverse of `sparse24.compress` on a tensor that is 2:4 already. Should both indices of a nibble be equal, the first value \
          stands.",
    operands: &[one("values", "[.., k/2], encoding sparse24 or none"), one("meta", "u8 [.., k/8]")],
    attrs: &[AXIS],
    results: &[result("x", "[.., k], the dtype of `values`")],
    infer: infer_decompress,
    meaning: Meaning::Decompose(|b, _, v| Ok(vec![decompress(b, v[0], v[1])?])),
    work: crate::op::no_work,
    vjp: None,
};
