//! Activations: one scalar formula each, computed in f32 for 16- and 8-bit floats.

use crate::attr::{Attr, AttrKind, Attrs};
use crate::builder::Builder;
use crate::check::{Values, chain, float, wide};
use crate::graph::ValueId;
use crate::op::{Meaning, OpDef, OpView, Work, defaulted, one, result};
use crate::ty::TensorType;
use tricot_types::{Diagnostic, Poly};

fn infer(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    float(&view.operands[0], "x")?;
    Ok(vec![view.operands[0].clone()])
}

/// A handful of operations an element, whatever the function.
fn work(view: OpView<'_>) -> Work {
    Work { flops: view.operands[0].elements() * Poly::constant(4) }
}

/// `where(x > threshold, yes, no)`.
fn where_above(
    b: &mut Builder<'_>,
    x: ValueId,
    threshold: f64,
    yes: ValueId,
    no: ValueId,
) -> Result<ValueId, Diagnostic> {
    let above = b.map_scalar("gt", x, threshold)?;
    b.select(above, yes, no)
}

/// `max(0, min(1, alpha * x + beta))`.
fn ramp(b: &mut Builder<'_>, x: ValueId, alpha: f64, beta: f64) -> Result<ValueId, Diagnostic> {
    let scaled = b.map_scalar("mul", x, alpha)?;
    let shifted = b.map_scalar("add", scaled, beta)?;
    let low = b.map_scalar("max", shifted, 0.0)?;
    b.map_scalar("min", low, 1.0)
}

/// `log(1 + e^x)` as `max(x, 0) + log1p(e^-|x|)`.
fn softplus(b: &mut Builder<'_>, x: ValueId) -> Result<ValueId, Diagnostic> {
    let tail = chain(b, x, &["abs", "neg", "exp", "log1p"])?;
    let head = b.map("relu", &[x])?;
    b.map("add", &[head, tail])
}

/// `factor * (e^(min(x, 0) / divisor) - 1)`: the branch below zero; bounded above it, so that no infinity arises.
fn below_zero(b: &mut Builder<'_>, x: ValueId, factor: f64, divisor: f64) -> Result<ValueId, Diagnostic> {
    let low = b.map_scalar("min", x, 0.0)?;
    let low = if divisor == 1.0 { low } else { b.map_scalar("div", low, divisor)? };
    let e = b.map("expm1", &[low])?;
    b.map_scalar("mul", e, factor)
}

macro_rules! activation {
    ($ident:ident, $name:literal, $summary:literal, $doc:literal, [$($attr:expr),*], $body:expr) => {
        #[doc = $summary]
        pub static $ident: OpDef = OpDef {
            name: $name,
            summary: $summary,
            doc: $doc,
            operands: &[one("x", "a float tensor")],
            attrs: &[$($attr),*],
            results: &[result("y", "the operand's type")],
            infer,
            meaning: Meaning::Decompose(|b, attrs, x| {
                let body: fn(&mut Builder<'_>, &Attrs, ValueId) -> Result<ValueId, Diagnostic> = $body;
                wide(b, x[0], |b, x| body(b, attrs, x))
            }),
            work,
            vjp: Some(|b, attrs, x, _, g| crate::gradient::through_decomposition(&$ident, b, attrs, x, g)),
        };
    };
}

activation!(
    GELU,
    "nn.gelu",
    "Gaussian error linear unit.",
    "`none`: `x * (1 + erf(x / sqrt 2)) / 2`. `tanh`: `x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2`. Source: arXiv 1606.08415, \
     ONNX Gelu.",
    [defaulted("approximate", AttrKind::Word(&["none", "tanh"]), || Attr::Str("none".into()), "which formula")],
    |b, attrs, x| {
        let bell = if attrs.str("approximate") == "none" {
            let scaled = b.map_scalar("mul", x, std::f64::consts::FRAC_1_SQRT_2)?;
            b.map("erf", &[scaled])?
        } else {
            let square = b.map("square", &[x])?;
            let cube = b.map("mul", &[square, x])?;
            let cube = b.map_scalar("mul", cube, 0.044715)?;
            let inner = b.map("add", &[x, cube])?;
            let inner =
                b.map_scalar("mul", inner, std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2)?;
            b.map("tanh", &[inner])?
        };
        let gate = b.map_scalar("add", bell, 1.0)?;
        let half = b.map_scalar("mul", x, 0.5)?;
        b.map("mul", &[half, gate])
    }
);

activation!(
    SILU,
    "nn.silu",
    "Sigmoid linear unit, also called swish.",
    "`x * sigmoid(x)`. Source: arXiv 1702.03118.",
    [],
    |b, _, x| {
        let gate = b.map("sigmoid", &[x])?;
        b.map("mul", &[x, gate])
    }
);

activation!(
    SOFTPLUS,
    "nn.softplus",
    "Smooth rectifier.",
    "`log(1 + e^x)`, computed as `max(x, 0) + log1p(e^-|x|)`.",
    [],
    |b, _, x| softplus(b, x)
);

activation!(
    MISH,
    "nn.mish",
    "Self-regularised activation.",
    "`x * tanh(softplus(x))`. Source: arXiv 1908.08681.",
    [],
    |b, _, x| {
        let s = softplus(b, x)?;
        let t = b.map("tanh", &[s])?;
        b.map("mul", &[x, t])
    }
);

activation!(
    ELU,
    "nn.elu",
    "Exponential linear unit.",
    "`x` where `x > 0`, else `alpha * (e^x - 1)`. Source: arXiv 1511.07289.",
    [defaulted("alpha", AttrKind::Float, || Attr::float(1.0), "scale below zero")],
    |b, attrs, x| {
        let low = below_zero(b, x, attrs.float("alpha"), 1.0)?;
        where_above(b, x, 0.0, x, low)
    }
);

activation!(
    CELU,
    "nn.celu",
    "Continuously differentiable exponential linear unit.",
    "`max(0, x) + min(0, alpha * (e^(x / alpha) - 1))`, `alpha > 0`. Source: arXiv 1704.07483.",
    [defaulted("alpha", AttrKind::Float, || Attr::float(1.0), "scale below zero")],
    |b, attrs, x| {
        let alpha = attrs.float("alpha");
        let low = below_zero(b, x, alpha, alpha)?;
        where_above(b, x, 0.0, x, low)
    }
);

activation!(
    SELU,
    "nn.selu",
    "Scaled exponential linear unit.",
    "`gamma * x` where `x > 0`, else `gamma * alpha * (e^x - 1)`. Source: arXiv 1706.02515.",
    [
        defaulted(
            "alpha",
            AttrKind::Float,
            || Attr::float(1.673_263_192_176_818_8),
            "scale below zero; ONNX's f32 constant"
        ),
        defaulted(
            "gamma",
            AttrKind::Float,
            || Attr::float(1.050_701_022_148_132_3),
            "scale of everything; ONNX's f32 constant"
        )
    ],
    |b, attrs, x| {
        let low = below_zero(b, x, attrs.float("alpha"), 1.0)?;
        let y = where_above(b, x, 0.0, x, low)?;
        b.map_scalar("mul", y, attrs.float("gamma"))
    }
);

activation!(
    LEAKY_RELU,
    "nn.leaky_relu",
    "Rectifier with a slope below zero.",
    "`x` where `x > 0`, else `alpha * x`.",
    [defaulted("alpha", AttrKind::Float, || Attr::float(0.01), "slope below zero")],
    |b, attrs, x| {
        let low = b.map_scalar("mul", x, attrs.float("alpha"))?;
        where_above(b, x, 0.0, x, low)
    }
);

activation!(
    HARD_SIGMOID,
    "nn.hard_sigmoid",
    "Piecewise linear sigmoid.",
    "`max(0, min(1, alpha * x + beta))`.",
    [
        defaulted("alpha", AttrKind::Float, || Attr::float(0.2), "slope"),
        defaulted("beta", AttrKind::Float, || Attr::float(0.5), "value at zero")
    ],
    |b, attrs, x| ramp(b, x, attrs.float("alpha"), attrs.float("beta"))
);

activation!(
    HARD_SWISH,
    "nn.hard_swish",
    "Piecewise quadratic swish.",
    "`x * max(0, min(1, x / 6 + 1 / 2))`. Source: arXiv 1905.02244.",
    [],
    |b, _, x| {
        let shifted = b.map_scalar("add", x, 3.0)?;
        let low = b.map_scalar("max", shifted, 0.0)?;
        let high = b.map_scalar("min", low, 6.0)?;
        let gate = b.map_scalar("div", high, 6.0)?;
        b.map("mul", &[x, gate])
    }
);

activation!(SOFTSIGN, "nn.softsign", "Rational sigmoid.", "`x / (1 + |x|)`.", [], |b, _, x| {
    let size = b.map("abs", &[x])?;
    let below = b.map_scalar("add", size, 1.0)?;
    b.map("div", &[x, below])
});

activation!(
    THRESHOLDED_RELU,
    "nn.thresholded_relu",
    "Zero up to a threshold, identity above.",
    "`x` where `x > alpha`, else 0.",
    [defaulted("alpha", AttrKind::Float, || Attr::float(1.0), "the threshold")],
    |b, attrs, x| {
        let ty = b.ty(x).clone();
        let zero = b.full(ty.dtype, 0.0, &ty.shape)?;
        where_above(b, x, attrs.float("alpha"), x, zero)
    }
);

activation!(
    SHRINK,
    "nn.shrink",
    "Zero around the origin, moved towards it elsewhere.",
    "`x + bias` where `x < -lambd`, `x - bias` where `x > lambd`, else 0. Source: ONNX Shrink.",
    [
        defaulted("bias", AttrKind::Float, || Attr::float(0.0), "the move"),
        defaulted("lambd", AttrKind::Float, || Attr::float(0.5), "half width of the zero interval")
    ],
    |b, attrs, x| {
        let ty = b.ty(x).clone();
        let zero = b.full(ty.dtype, 0.0, &ty.shape)?;
        let up = b.map_scalar("add", x, attrs.float("bias"))?;
        let down = b.map_scalar("sub", x, attrs.float("bias"))?;
        let below = b.map_scalar("lt", x, -attrs.float("lambd"))?;
        let inner = where_above(b, x, attrs.float("lambd"), down, zero)?;
        b.select(below, up, inner)
    }
);

fn infer_prelu(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let (x, slope) = (&view.operands[0], &view.operands[1]);
    float(x, "x")?;
    crate::check::dtype(slope, "slope", x.dtype)?;
    let joint = crate::builder::broadcast_shapes(&x.shape, &slope.shape)?;
    match joint == x.shape {
        true => Ok(vec![x.clone()]),
        false => Err(format!("slope {slope} does not broadcast to {x}")),
    }
}

fn decompose_prelu(b: &mut Builder<'_>, _: &Attrs, operands: &[ValueId]) -> Values {
    let slope = operands[1];
    wide(b, operands[0], |b, x| {
        let ty = b.ty(x).clone();
        let slope = b.cast(slope, ty.dtype)?;
        let slope = b.broadcast_to(slope, &ty.shape)?;
        let low = b.map("mul", &[x, slope])?;
        where_above(b, x, 0.0, x, low)
    })
}

pub static PRELU: OpDef = OpDef {
    name: "nn.prelu",
    summary: "Rectifier with a learned slope below zero.",
    doc: "`x` where `x > 0`, else `slope * x`. Source: arXiv 1502.01852.",
    operands: &[
        one("x", "a float tensor"),
        one("slope", "the same dtype, broadcast to `x` from the right as numpy does"),
    ],
    attrs: &[],
    results: &[result("y", "the type of `x`")],
    infer: infer_prelu,
    meaning: Meaning::Decompose(decompose_prelu),
    work,
    vjp: Some(|b, attrs, x, _, g| crate::gradient::through_decomposition(&PRELU, b, attrs, x, g)),
};
