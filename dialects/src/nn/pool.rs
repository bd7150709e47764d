//! Two-dimensional pooling.

use super::conv::{pad_image, positions, window_image};
use crate::attr::{Attr, AttrKind, Attrs};
use crate::builder::Builder;
use crate::check::{Values, float, ints, rank, wide};
use crate::graph::ValueId;
use crate::op::{AttrDef, Meaning, OpDef, OpView, Work, defaulted, one, required, result};
use crate::ty::TensorType;
use tricot_types::{DType, Poly};

const SIZE: AttrDef = required("size", AttrKind::Ints, "[kh, kw]");
const STRIDE: AttrDef = defaulted("stride", AttrKind::Ints, || Attr::Ints(vec![1, 1]), "[sh, sw]");
const PAD: AttrDef = defaulted("pad", AttrKind::Ints, || Attr::Ints(vec![0; 4]), "[top, left, bottom, right]");
const DILATION: AttrDef = defaulted("dilation", AttrKind::Ints, || Attr::Ints(vec![1, 1]), "[dh, dw]");

fn infer(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let (x, a) = (&view.operands[0], view.attrs);
    float(x, "x")?;
    rank(x, "x", 4)?;
    ints(a.ints("size"), "size", 2, 1)?;
    ints(a.ints("stride"), "stride", 2, 1)?;
    ints(a.ints("pad"), "pad", 4, 0)?;
    ints(a.ints("dilation"), "dilation", 2, 1)?;
    let mut out = x.shape[..2].to_vec();
    for (i, what) in ["height", "width"].into_iter().enumerate() {
        let (size, dilation) = (a.ints("size")[i], a.ints("dilation")[i]);
        let (low, high) = (a.ints("pad")[i], a.ints("pad")[2 + i]);
        let reach = (size - 1).checked_mul(dilation).ok_or_else(|| format!("the window along {what} is too large"))?;
        if low.max(high) > reach {
            return Err(format!("a padding of {} along {what} leaves windows without any element", low.max(high)));
        }
        let pads = low.checked_add(high).ok_or_else(|| format!("the padding along {what} is too large"))?;
        out.push(positions(&x.shape[2 + i], pads, size, dilation, a.ints("stride")[i], what)?);
    }
    Ok(vec![TensorType::new(x.dtype, out)])
}

fn work(view: OpView<'_>) -> Work {
    let size: i64 = view.attrs.ints("size").iter().product();
    let out = infer(view).map(|t| t[0].elements()).unwrap_or_default();
    Work { flops: out * Poly::constant(size) }
}

fn windows(b: &mut Builder<'_>, attrs: &Attrs, x: ValueId, fill: f64) -> Result<ValueId, tricot_types::Diagnostic> {
    let padded = pad_image(b, x, attrs.ints("pad"), fill)?;
    window_image(b, padded, attrs.ints("size"), attrs.ints("stride"), attrs.ints("dilation"))
}

fn decompose_max(b: &mut Builder<'_>, attrs: &Attrs, x: &[ValueId]) -> Values {
    // e4m3 has no infinity; its lowest value serves, since every window holds an element.
    let lowest = if b.ty(x[0]).dtype == DType::F8E4M3 { -448.0 } else { f64::NEG_INFINITY };
    let w = windows(b, attrs, x[0], lowest)?;
    Ok(vec![b.reduce("max", w, &[4, 5])?])
}

fn decompose_avg(b: &mut Builder<'_>, attrs: &Attrs, x: &[ValueId]) -> Values {
    wide(b, x[0], |b, x| {
        let image = b.ty(x).clone();
        let w = windows(b, attrs, x, 0.0)?;
        let sum = b.reduce("sum", w, &[4, 5])?;
        let ty = b.ty(sum).clone();
        let unpadded = attrs.ints("pad").iter().all(|p| *p == 0);
        let count = if attrs.bool("count_pad") || unpadded {
            let size: i64 = attrs.ints("size").iter().product();
            b.full(ty.dtype, size as f64, &ty.shape)?
        } else {
            // How many elements of the image each window holds.
            let ones = b.full(ty.dtype, 1.0, &image.shape[2..])?;
            let padded = pad_image(b, ones, attrs.ints("pad"), 0.0)?;
            let w = window_image(b, padded, attrs.ints("size"), attrs.ints("stride"), attrs.ints("dilation"))?;
            let count = b.reduce("sum", w, &[2, 3])?;
            b.broadcast(count, &ty.shape, &[2, 3])?
        };
        b.map("div", &[sum, count])
    })
}

pub static MAX_POOL2D: OpDef = OpDef {
    name: "nn.max_pool2d",
    summary: "Largest element of each window, NCHW.",
    doc: "Windows of `size` taken every `stride`, their elements `dilation` apart; padding never wins. Padding may not exceed the \
          window's reach `(size - 1) * dilation`.",
    operands: &[one("x", "float [n, c, h, w]")],
    attrs: &[SIZE, STRIDE, PAD, DILATION],
    results: &[result("y", "[n, c, oh, ow]")],
    infer,
    meaning: Meaning::Decompose(decompose_max),
    work,
    vjp: Some(|b, attrs, v, _, g| crate::gradient::through_decomposition(&MAX_POOL2D, b, attrs, v, g)),
};

pub static AVG_POOL2D: OpDef = OpDef {
    name: "nn.avg_pool2d",
    summary: "Mean of each window, NCHW.",
    doc: "As `nn.max_pool2d`, with the mean. `count_pad`: the divisor is the window's size; otherwise the number of elements of the \
          image in the window. 16- and 8-bit floats accumulate in f32.",
    operands: &[one("x", "float [n, c, h, w]")],
    attrs: &[
        SIZE,
        STRIDE,
        PAD,
        DILATION,
        defaulted("count_pad", AttrKind::Bool, || Attr::Bool(false), "padding counts as zeros"),
    ],
    results: &[result("y", "[n, c, oh, ow]")],
    infer,
    meaning: Meaning::Decompose(decompose_avg),
    work,
    vjp: Some(|b, attrs, v, _, g| crate::gradient::through_decomposition(&AVG_POOL2D, b, attrs, v, g)),
};
