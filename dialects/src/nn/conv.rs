//! Two-dimensional convolution (cross-correlation, as every framework means it).

use crate::attr::{Attr, AttrKind, Attrs};
use crate::builder::Builder;
use crate::check::{Values, add, ceil_div, dtype, float, ints, multiply, rank, subtract};
use crate::graph::ValueId;
use crate::op::{Meaning, OpDef, OpView, Work, defaulted, one, result};
use crate::ty::TensorType;
use tricot_types::Poly;

/// Number of window positions: `(size + low + high - (kernel - 1) * dilation - 1) floordiv stride + 1`.
pub(super) fn positions(
    size: &Poly,
    pads: i64,
    kernel: i64,
    dilation: i64,
    stride: i64,
    what: &str,
) -> Result<Poly, String> {
    let reach = (kernel - 1).checked_mul(dilation).ok_or_else(|| format!("the window along {what} is too large"))?;
    let room = subtract(&add(size, &Poly::constant(pads))?, &Poly::constant(reach))?;
    if room.as_constant().is_some_and(|c| c < 1) {
        return Err(format!(
            "the window reaches over {} along {what}, there are {size} and {pads} of padding",
            reach.saturating_add(1)
        ));
    }
    ceil_div(&room, stride)
}

/// `x` padded by `[top, left, bottom, right]` on its last two axes.
pub(super) fn pad_image(
    b: &mut Builder<'_>,
    x: ValueId,
    pad: &[i64],
    value: f64,
) -> Result<ValueId, tricot_types::Diagnostic> {
    if pad.iter().all(|p| *p == 0) {
        return Ok(x);
    }
    let rank = b.ty(x).rank();
    let (mut low, mut high) = (vec![Poly::constant(0); rank], vec![Poly::constant(0); rank]);
    for i in 0..2 {
        low[rank - 2 + i] = Poly::constant(pad[i]);
        high[rank - 2 + i] = Poly::constant(pad[2 + i]);
    }
    b.pad(x, &low, &high, value)
}

/// `core.window` along the last two axes.
pub(super) fn window_image(
    b: &mut Builder<'_>,
    x: ValueId,
    size: &[i64],
    stride: &[i64],
    dilation: &[i64],
) -> Result<ValueId, tricot_types::Diagnostic> {
    let rank = b.ty(x).rank() as i64;
    let attrs = Attrs::new()
        .with("axes", vec![rank - 2, rank - 1])
        .with("size", size.to_vec())
        .with("stride", stride.to_vec())
        .with("dilation", dilation.to_vec());
    b.one("core.window", &[x], attrs)
}

fn infer(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let (x, w, a) = (&view.operands[0], &view.operands[1], view.attrs);
    float(x, "x")?;
    dtype(w, "w", x.dtype)?;
    rank(x, "x", 4)?;
    rank(w, "w", 4)?;
    ints(a.ints("stride"), "stride", 2, 1)?;
    ints(a.ints("pad"), "pad", 4, 0)?;
    ints(a.ints("dilation"), "dilation", 2, 1)?;
    let groups = a.int("groups");
    if groups < 1 {
        return Err(format!("groups is {groups}, the least is 1"));
    }
    let groups = Poly::constant(groups);
    if multiply(&w.shape[1], &groups)? != x.shape[1] {
        return Err(format!("x has {} channels, w reads {} groups of {}", x.shape[1], groups, w.shape[1]));
    }
    if w.shape[0].exact_div(&groups).is_none() {
        return Err(format!("{} filters do not split into {groups} groups", w.shape[0]));
    }
    let mut out = vec![x.shape[0].clone(), w.shape[0].clone()];
    for (i, what) in ["height", "width"].into_iter().enumerate() {
        let Some(kernel) = w.shape[2 + i].as_constant().filter(|k| *k >= 1) else {
            return Err(format!("the {what} of w must be a number, not {}", w.shape[2 + i]));
        };
        let pads = a.ints("pad")[i]
            .checked_add(a.ints("pad")[2 + i])
            .ok_or_else(|| format!("the padding along {what} is too large"))?;
        out.push(positions(&x.shape[2 + i], pads, kernel, a.ints("dilation")[i], a.ints("stride")[i], what)?);
    }
    Ok(vec![TensorType::new(x.dtype, out)])
}

fn work(view: OpView<'_>) -> Work {
    let w = &view.operands[1];
    let out = infer(view).map(|t| t[0].elements()).unwrap_or_default();
    Work { flops: out * w.shape[1].clone() * w.shape[2].clone() * w.shape[3].clone() * Poly::constant(2) }
}

fn decompose(b: &mut Builder<'_>, attrs: &Attrs, v: &[ValueId]) -> Values {
    let w = b.ty(v[1]).clone();
    let kernel: Vec<i64> = w.shape[2..].iter().map(|k| k.as_constant().expect("verified")).collect();
    let padded = pad_image(b, v[0], attrs.ints("pad"), 0.0)?;
    let (stride, dilation) = (attrs.ints("stride"), attrs.ints("dilation"));
    if attrs.int("groups") == 1 {
        let windows = window_image(b, padded, &kernel, stride, dilation)?;
        return Ok(vec![b.contract("ncxykl,fckl->nfxy", &[windows, v[1]], w.dtype)?]);
    }
    let groups = Poly::constant(attrs.int("groups"));
    let each = w.shape[0].exact_div(&groups).expect("verified");
    let x = b.ty(padded).shape.clone();
    let split = [x[0].clone(), groups.clone(), w.shape[1].clone(), x[2].clone(), x[3].clone()];
    let padded = b.reshape(padded, &split)?;
    let windows = window_image(b, padded, &kernel, stride, dilation)?;
    let filters = [groups, each, w.shape[1].clone(), w.shape[2].clone(), w.shape[3].clone()];
    let filters = b.reshape(v[1], &filters)?;
    let y = b.contract("ngcxykl,gfckl->ngfxy", &[windows, filters], w.dtype)?;
    let y_shape = b.ty(y).shape.clone();
    let joined = [y_shape[0].clone(), w.shape[0].clone(), y_shape[3].clone(), y_shape[4].clone()];
    Ok(vec![b.reshape(y, &joined)?])
}

pub static CONV2D: OpDef = OpDef {
    name: "nn.conv2d",
    summary: "Two-dimensional convolution, NCHW.",
    doc: "`y[n, f, x, y'] = sum over c, k, l of x[n, g * C + c, x * sh + k * dh - top, y' * sw + l * dw - left] * w[f, c, k, l]` with `C = \
          c / groups`, `g` the group of filter `f`, zeros outside the image. A bias is added by core ops. 16- and 8-bit floats \
          accumulate in f32.",
    operands: &[
        one("x", "float [n, c, h, w]"),
        one("w", "the same dtype, [f, c / groups, kh, kw], kernel sizes known"),
    ],
    attrs: &[
        defaulted("stride", AttrKind::Ints, || Attr::Ints(vec![1, 1]), "[sh, sw]"),
        defaulted("pad", AttrKind::Ints, || Attr::Ints(vec![0; 4]), "[top, left, bottom, right]"),
        defaulted("dilation", AttrKind::Ints, || Attr::Ints(vec![1, 1]), "[dh, dw]"),
        defaulted("groups", AttrKind::Int, || Attr::Int(1), "divides both channel counts"),
    ],
    results: &[result("y", "[n, f, oh, ow]")],
    infer,
    meaning: Meaning::Decompose(decompose),
    work,
    vjp: Some(|b, attrs, v, _, g| crate::gradient::through_decomposition(&CONV2D, b, attrs, v, g)),
};
