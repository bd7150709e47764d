//! Activation functions: nearly all are one nn op.

use crate::onnx::call::{Call, Res, bad_attribute, misfit};
use crate::onnx::ctx::Ctx;
use tricot_dialects::{Attr, ValueId};

fn nn(c: &mut Ctx, call: &Call, name: &str, attrs: &[(&'static str, Attr)]) -> Res<Vec<ValueId>> {
    Ok(vec![c.op1(name, &[call.input(0)?], attrs)?])
}

/// Those without attributes.
pub fn plain(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let name = match call.op() {
        "HardSwish" => "nn.hard_swish",
        "Softplus" => "nn.softplus",
        "Softsign" => "nn.softsign",
        _ => "nn.mish",
    };
    nn(c, call, name, &[])
}

/// Those with `alpha` alone.
pub fn with_alpha(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (name, default) = match call.op() {
        "LeakyRelu" => ("nn.leaky_relu", f64::from(0.01f32)),
        "Elu" => ("nn.elu", 1.0),
        "Celu" => ("nn.celu", 1.0),
        _ => ("nn.thresholded_relu", 1.0),
    };
    nn(c, call, name, &[("alpha", Attr::float(call.float("alpha", default)?))])
}

/// PRelu: `x > 0 ? x : slope x`, the slope broadcast to x.
pub fn prelu(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (x, slope) = (call.input(0)?, call.input(1)?);
    if c.dtype(x).is_float() {
        return Ok(vec![c.op1("nn.prelu", &[x, slope], &[])?]);
    }
    let scaled = c.map("mul", &[x, slope])?;
    let above = c.with("gt", x, 0.0)?;
    Ok(vec![c.b.select(above, x, scaled)?])
}

/// Selu.
pub fn selu(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let alpha = call.float("alpha", 1.673_263_192_176_818_8)?;
    let gamma = call.float("gamma", 1.050_701_022_148_132_3)?;
    nn(c, call, "nn.selu", &[("alpha", Attr::float(alpha)), ("gamma", Attr::float(gamma))])
}

/// HardSigmoid.
pub fn hard_sigmoid(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (alpha, beta) = (call.float("alpha", 0.2f32.into())?, call.float("beta", 0.5)?);
    nn(c, call, "nn.hard_sigmoid", &[("alpha", Attr::float(alpha)), ("beta", Attr::float(beta))])
}

/// Gelu, exact or by tanh.
pub fn gelu(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    match call.text("approximate", "none")? {
        a if a == "none" || a == "tanh" => nn(c, call, "nn.gelu", &[("approximate", Attr::Str(a))]),
        other => Err(bad_attribute(format!("`approximate` is `{other}`, not none or tanh"))),
    }
}

/// Swish: `x sigmoid(alpha x)`.
pub fn swish(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    Ok(vec![swish_of(c, x, call.float("alpha", 1.0)?)?])
}

/// `x sigmoid(alpha x)`.
pub fn swish_of(c: &mut Ctx, x: ValueId, alpha: f64) -> Res<ValueId> {
    if alpha == 1.0 {
        return c.op1("nn.silu", &[x], &[]);
    }
    let wide = c.up(x)?;
    let scaled = c.with("mul", wide, alpha)?;
    let gate = c.b.map("sigmoid", &[scaled])?;
    let out = c.b.map("mul", &[wide, gate])?;
    let dtype = c.dtype(x);
    c.b.cast(out, dtype)
}

/// Shrink: moves values towards 0 by `bias` and drops those within `lambd` of it.
pub fn shrink(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (bias, lambd) = (call.float("bias", 0.0)?, call.float("lambd", 0.5)?);
    let x = call.input(0)?;
    if c.dtype(x).is_float() {
        return nn(c, call, "nn.shrink", &[("bias", Attr::float(bias)), ("lambd", Attr::float(lambd))]);
    }
    if bias.fract() != 0.0 || lambd.fract() != 0.0 {
        return Err(misfit("fractional `bias` or `lambd` with integers"));
    }
    let (up, down) = (c.with("add", x, bias)?, c.with("sub", x, bias)?);
    let (below, above) = (c.with("lt", x, -lambd)?, c.with("gt", x, lambd)?);
    let zero = c.fill_like(x, 0.0)?;
    let inner = c.b.select(above, down, zero)?;
    Ok(vec![c.b.select(below, up, inner)?])
}
