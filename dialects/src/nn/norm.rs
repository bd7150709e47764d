//! Normalisations: layer, RMS, batch, instance and group. Statistics are held in f32 for 16- and 8-bit floats.

use crate::attr::{Attr, AttrKind, Attrs};
use crate::builder::Builder;
use crate::check::{count, float, rank, shape, spread, wide};
use crate::core::check_axis;
use crate::graph::ValueId;
use crate::op::{AttrDef, Meaning, OpDef, OpView, Work, defaulted, one, optional, required, result};
use crate::ty::TensorType;
use tricot_types::{Diagnostic, Poly};

const EPSILON: AttrDef = defaulted(
    "epsilon",
    AttrKind::Float,
    || Attr::float(1e-5),
    "added to the variance (the mean square) before the root",
);

fn work(view: OpView<'_>) -> Work {
    Work { flops: view.operands[0].elements() * Poly::constant(8) }
}

/// Mean over `axes`, without them.
fn mean(b: &mut Builder<'_>, x: ValueId, axes: &[i64]) -> Result<ValueId, Diagnostic> {
    let ty = b.ty(x).clone();
    let n: Poly = axes.iter().map(|a| ty.shape[*a as usize].clone()).product();
    let sum = b.reduce("sum", x, axes)?;
    let shape = b.ty(sum).shape.clone();
    let n = count(b, &n, ty.dtype, &shape)?;
    b.map("div", &[sum, n])
}

/// `x * rsqrt(mean(x^2) + epsilon)`, the mean over `axes`.
fn root_mean_square(b: &mut Builder<'_>, x: ValueId, axes: &[i64], epsilon: f64) -> Result<ValueId, Diagnostic> {
    let shape = b.ty(x).shape.clone();
    let square = b.map("square", &[x])?;
    let ms = mean(b, square, axes)?;
    let ms = b.map_scalar("add", ms, epsilon)?;
    let r = b.map("rsqrt", &[ms])?;
    let r = spread(b, r, &shape, axes)?;
    b.map("mul", &[x, r])
}

/// `(x - mean) * rsqrt(var + epsilon)`: subtracts the mean first, so that no cancellation hits the variance.
fn standardise(b: &mut Builder<'_>, x: ValueId, axes: &[i64], epsilon: f64) -> Result<ValueId, Diagnostic> {
    let shape = b.ty(x).shape.clone();
    let m = mean(b, x, axes)?;
    let m = spread(b, m, &shape, axes)?;
    let d = b.map("sub", &[x, m])?;
    root_mean_square(b, d, axes, epsilon)
}

/// `x * scale + bias`, both broadcast along `axes` of `x`.
fn affine(
    b: &mut Builder<'_>,
    x: ValueId,
    scale: ValueId,
    bias: Option<ValueId>,
    axes: &[i64],
) -> Result<ValueId, Diagnostic> {
    let ty = b.ty(x).clone();
    let mut y = x;
    for (function, value) in [("mul", Some(scale)), ("add", bias)] {
        if let Some(v) = value {
            let v = b.cast(v, ty.dtype)?;
            let v = b.broadcast(v, &ty.shape, axes)?;
            y = b.map(function, &[y, v])?;
        }
    }
    Ok(y)
}

fn infer_trailing(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let x = &view.operands[0];
    float(x, "x")?;
    let axis = check_axis(view.attrs.int("axis"), x.rank())?;
    for (t, name) in view.operands[1..].iter().zip(["scale", "bias"]) {
        float(t, name)?;
        shape(t, name, &x.shape[axis..])?;
    }
    Ok(vec![x.clone()])
}

fn trailing_axes(b: &Builder<'_>, attrs: &Attrs, x: ValueId) -> Vec<i64> {
    (attrs.int("axis")..b.ty(x).rank() as i64).collect()
}

pub static LAYER_NORM: OpDef = OpDef {
    name: "nn.layer_norm",
    summary: "Zero mean and unit variance over the trailing axes.",
    doc: "Over the axes `axis..rank`: `y = (x - mean) / sqrt(var + epsilon) * scale + bias`, `var` the mean of `(x - mean)^2`. Source: \
          arXiv 1607.06450.",
    operands: &[
        one("x", "a float tensor"),
        one("scale", "float, shape of the normalised axes"),
        optional("bias", "float, shape of the normalised axes"),
    ],
    attrs: &[required("axis", AttrKind::Int, "first normalised axis"), EPSILON],
    results: &[result("y", "the type of `x`")],
    infer: infer_trailing,
    meaning: Meaning::Decompose(|b, attrs, v| {
        let axes = trailing_axes(b, attrs, v[0]);
        wide(b, v[0], |b, x| {
            let n = standardise(b, x, &axes, attrs.float("epsilon"))?;
            affine(b, n, v[1], v.get(2).copied(), &axes)
        })
    }),
    work,
    vjp: Some(|b, attrs, v, _, g| crate::gradient::through_decomposition(&LAYER_NORM, b, attrs, v, g)),
};

pub static RMS_NORM: OpDef = OpDef {
    name: "nn.rms_norm",
    summary: "Unit root mean square over the trailing axes.",
    doc: "Over the axes `axis..rank`: `y = x / sqrt(mean(x^2) + epsilon) * scale`. Source: arXiv 1910.07467.",
    operands: &[one("x", "a float tensor"), one("scale", "float, shape of the normalised axes")],
    attrs: &[required("axis", AttrKind::Int, "first normalised axis"), EPSILON],
    results: &[result("y", "the type of `x`")],
    infer: infer_trailing,
    meaning: Meaning::Decompose(|b, attrs, v| {
        let axes = trailing_axes(b, attrs, v[0]);
        wide(b, v[0], |b, x| {
            let n = root_mean_square(b, x, &axes, attrs.float("epsilon"))?;
            affine(b, n, v[1], None, &axes)
        })
    }),
    work,
    vjp: Some(|b, attrs, v, _, g| crate::gradient::through_decomposition(&RMS_NORM, b, attrs, v, g)),
};

/// Operands after `x` are vectors over the channels, axis 1.
fn infer_channels(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let x = &view.operands[0];
    float(x, "x")?;
    if x.rank() < 2 {
        return Err(format!("x must have a batch and a channel axis, not {x}"));
    }
    for (t, operand) in view.operands.iter().zip(view.def.operands).skip(1) {
        float(t, operand.name)?;
        rank(t, operand.name, 1)?;
        shape(t, operand.name, &x.shape[1..2])?;
    }
    Ok(vec![x.clone()])
}

pub static BATCH_NORM: OpDef = OpDef {
    name: "nn.batch_norm",
    summary: "Normalisation by given statistics of each channel (inference form).",
    doc: "`y = (x - mean) * (scale / sqrt(var + epsilon)) + bias` with vectors over axis 1. Source: arXiv 1502.03167.",
    operands: &[
        one("x", "float [n, c, …]"),
        one("scale", "float [c]"),
        one("bias", "float [c]"),
        one("mean", "float [c]"),
        one("var", "float [c], not negative"),
    ],
    attrs: &[EPSILON],
    results: &[result("y", "the type of `x`")],
    infer: infer_channels,
    meaning: Meaning::Decompose(|b, attrs, v| {
        wide(b, v[0], |b, x| {
            let ty = b.ty(x).clone();
            let var = b.cast(v[4], ty.dtype)?;
            let var = b.map_scalar("add", var, attrs.float("epsilon"))?;
            let r = b.map("rsqrt", &[var])?;
            let scale = b.cast(v[1], ty.dtype)?;
            let factor = b.map("mul", &[scale, r])?;
            let mean = b.cast(v[3], ty.dtype)?;
            let mean = b.broadcast(mean, &ty.shape, &[1])?;
            let d = b.map("sub", &[x, mean])?;
            affine(b, d, factor, Some(v[2]), &[1])
        })
    }),
    work,
    vjp: Some(|b, attrs, v, _, g| crate::gradient::through_decomposition(&BATCH_NORM, b, attrs, v, g)),
};

pub static INSTANCE_NORM: OpDef = OpDef {
    name: "nn.instance_norm",
    summary: "Zero mean and unit variance of each channel of each sample.",
    doc: "Over the axes `2..rank`: `y = (x - mean) / sqrt(var + epsilon) * scale[c] + bias[c]`. Source: arXiv 1607.08022.",
    operands: &[one("x", "float [n, c, …]"), one("scale", "float [c]"), one("bias", "float [c]")],
    attrs: &[EPSILON],
    results: &[result("y", "the type of `x`")],
    infer: infer_channels,
    meaning: Meaning::Decompose(|b, attrs, v| {
        let axes: Vec<i64> = (2..b.ty(v[0]).rank() as i64).collect();
        wide(b, v[0], |b, x| {
            let n = standardise(b, x, &axes, attrs.float("epsilon"))?;
            affine(b, n, v[1], Some(v[2]), &[1])
        })
    }),
    work,
    vjp: Some(|b, attrs, v, _, g| crate::gradient::through_decomposition(&INSTANCE_NORM, b, attrs, v, g)),
};

fn infer_group(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let out = infer_channels(view)?;
    let (groups, c) = (view.attrs.int("groups"), &out[0].shape[1]);
    if groups < 1 || c.exact_div(&Poly::constant(groups)).is_none() {
        return Err(format!("{c} channels do not split into {groups} groups"));
    }
    Ok(out)
}

pub static GROUP_NORM: OpDef = OpDef {
    name: "nn.group_norm",
    summary: "Zero mean and unit variance of each group of channels of each sample.",
    doc: "Channels split into `groups` runs of neighbours; over each run and the axes `2..rank`: `y = (x - mean) / sqrt(var + epsilon) * \
          scale[c] + bias[c]`. Source: arXiv 1803.08494.",
    operands: &[one("x", "float [n, c, …]"), one("scale", "float [c]"), one("bias", "float [c]")],
    attrs: &[required("groups", AttrKind::Int, "number of groups, divides `c`"), EPSILON],
    results: &[result("y", "the type of `x`")],
    infer: infer_group,
    meaning: Meaning::Decompose(|b, attrs, v| {
        let groups = Poly::constant(attrs.int("groups"));
        wide(b, v[0], |b, x| {
            let full = b.ty(x).shape.clone();
            let each = full[1].exact_div(&groups).expect("verified");
            let mut split = vec![full[0].clone(), groups, each];
            split.extend_from_slice(&full[2..]);
            let axes: Vec<i64> = (2..split.len() as i64).collect();
            let x = b.reshape(x, &split)?;
            let n = standardise(b, x, &axes, attrs.float("epsilon"))?;
            let n = b.reshape(n, &full)?;
            affine(b, n, v[1], Some(v[2]), &[1])
        })
    }),
    work,
    vjp: Some(|b, attrs, v, _, g| crate::gradient::through_decomposition(&GROUP_NORM, b, attrs, v, g)),
};
