//! Normalisations.

use super::reduce::mean_keep;
use crate::onnx::call::{Call, Res, bad_attribute, misfit, normal_axes, normal_axis, variant};
use crate::onnx::ctx::Ctx;
use tricot_dialects::{Attr, ValueId};
use tricot_types::{DType, Poly};

fn epsilon(call: &Call) -> Res<(&'static str, Attr)> {
    Ok(("epsilon", Attr::float(call.float("epsilon", 1e-5f32.into())?)))
}

/// BatchNormalization; in training also the running mean and variance.
pub fn batch_norm(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let inputs = [x, call.input(1)?, call.input(2)?, call.input(3)?, call.input(4)?];
    if call.version < 9 && call.int("spatial", 1)? != 1 {
        return Err(variant("batch normalisation with `spatial` = 0"));
    }
    if !call.flag("training_mode", false)? || call.version < 14 {
        return Ok(vec![c.op1("nn.batch_norm", &inputs, &[epsilon(call)?])?]);
    }
    let momentum = call.float("momentum", 0.9f32.into())?;
    let wide = c.up(x)?;
    let axes: Vec<i64> = (0..c.rank(x) as i64).filter(|a| *a != 1).collect();
    let mean = mean_keep(c, wide, &axes)?;
    let difference = c.map("sub", &[wide, mean])?;
    let square = c.b.map("square", &[difference])?;
    let variance = mean_keep(c, square, &axes)?;
    let channels = [c.shape(x)[1].clone()];
    let (mean, variance) = (c.b.reshape(mean, &channels)?, c.b.reshape(variance, &channels)?);
    let y = c.op1("nn.batch_norm", &[x, inputs[1], inputs[2], mean, variance], &[epsilon(call)?])?;
    let mut out = vec![y];
    for (old, new) in [(inputs[3], mean), (inputs[4], variance)] {
        let dtype = c.dtype(old);
        let old = c.up(old)?;
        let new = c.b.cast(new, c.dtype(old))?;
        let (old, new) = (c.with("mul", old, momentum)?, c.with("mul", new, 1.0 - momentum)?);
        let sum = c.b.map("add", &[old, new])?;
        out.push(c.b.cast(sum, dtype)?);
    }
    Ok(out)
}

/// InstanceNormalization.
pub fn instance_norm(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let inputs = [call.input(0)?, call.input(1)?, call.input(2)?];
    Ok(vec![c.op1("nn.instance_norm", &inputs, &[epsilon(call)?])?])
}

/// GroupNormalization; before opset 21 scale and bias count groups, not channels.
pub fn group_norm(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let groups = call.get_int("num_groups")?.ok_or_else(|| bad_attribute("`num_groups` is missing"))?;
    if groups < 1 || c.rank(x) < 2 {
        return Err(misfit(format!("{groups} groups of {}", c.ty(x))));
    }
    let channels = c.shape(x)[1].clone();
    let mut vectors = [call.input(1)?, call.input(2)?];
    for v in &mut vectors {
        if c.shape(*v) != [channels.clone()] && c.shape(*v) == [Poly::constant(groups)] {
            let each = channels.exact_div(&Poly::constant(groups)).unwrap_or_default();
            let wide = c.b.broadcast(*v, &[Poly::constant(groups), each], &[0])?;
            *v = c.reshape(wide, &[channels.clone()])?;
        }
    }
    let attrs = [("groups", Attr::Int(groups)), epsilon(call)?];
    Ok(vec![c.op1("nn.group_norm", &[x, vectors[0], vectors[1]], &attrs)?])
}

/// LayerNormalization, with mean and inverse deviation where they are asked for.
pub fn layer_norm(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (x, scale) = (call.input(0)?, call.input(1)?);
    let shape = c.shape(x);
    let axis = call.axis("axis", -1, shape.len())?;
    let normalised = &shape[axis as usize..];
    let mut operands = vec![x, c.b.broadcast_to(scale, normalised)?];
    if let Some(bias) = call.maybe(2) {
        operands.push(c.b.broadcast_to(bias, normalised)?);
    }
    let mut out = vec![c.op1("nn.layer_norm", &operands, &[("axis", Attr::Int(axis)), epsilon(call)?])?];
    if call.wants(1) || call.wants(2) {
        let axes: Vec<i64> = (axis..shape.len() as i64).collect();
        let wide = c.up(x)?;
        let mean = mean_keep(c, wide, &axes)?;
        let difference = c.map("sub", &[wide, mean])?;
        let square = c.b.map("square", &[difference])?;
        let variance = mean_keep(c, square, &axes)?;
        let shifted = c.with("add", variance, call.float("epsilon", 1e-5f32.into())?)?;
        let inverse = c.b.map("rsqrt", &[shifted])?;
        let to = match call.int("stash_type", 1)? {
            1 => DType::F32,
            _ => c.dtype(x),
        };
        out.extend([c.b.cast(mean, to)?, c.b.cast(inverse, to)?]);
    }
    Ok(out)
}

/// RMSNormalization.
pub fn rms_norm(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (x, scale) = (call.input(0)?, call.input(1)?);
    let shape = c.shape(x);
    let axis = call.axis("axis", -1, shape.len())?;
    let scale = c.b.broadcast_to(scale, &shape[axis as usize..])?;
    Ok(vec![c.op1("nn.rms_norm", &[x, scale], &[("axis", Attr::Int(axis)), epsilon(call)?])?])
}

/// LRN: `x / (bias + alpha / size * sum of squares of neighbouring channels)^beta`.
pub fn lrn(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let size = call.int("size", 0)?;
    if !(1..=1 << 31).contains(&size) || c.rank(x) < 2 {
        return Err(misfit(format!("`size` is {size} for {}", c.ty(x))));
    }
    let (dtype, rank) = (c.dtype(x), c.rank(x));
    let wide = c.up(x)?;
    let square = c.b.map("square", &[wide])?;
    let (mut low, mut high) = (vec![Poly::default(); rank], vec![Poly::default(); rank]);
    low[1] = Poly::constant((size - 1) / 2);
    high[1] = Poly::constant(size - 1 - (size - 1) / 2);
    let padded = c.b.pad(square, &low, &high, 0.0)?;
    let attrs = [
        ("axes", Attr::Ints(vec![1])),
        ("size", Attr::Ints(vec![size])),
        ("stride", Attr::Ints(vec![1])),
        ("dilation", Attr::Ints(vec![1])),
    ];
    let windows = c.op1("core.window", &[padded], &attrs)?;
    let sum = c.b.reduce("sum", windows, &[rank as i64])?;
    let scaled = c.with("mul", sum, call.float("alpha", 1e-4f32.into())? / size as f64)?;
    let shifted = c.with("add", scaled, call.float("bias", 1.0)?)?;
    let power = c.with("pow", shifted, call.float("beta", 0.75)?)?;
    let y = c.b.map("div", &[wide, power])?;
    Ok(vec![c.b.cast(y, dtype)?])
}

/// MeanVarianceNormalization: `(x - mean) / (deviation + 1e-9)`.
pub fn mean_variance(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let (dtype, rank) = (c.dtype(x), c.rank(x));
    let axes = normal_axes(&call.ints("axes")?.unwrap_or_else(|| vec![0, 2, 3]), rank)?;
    let wide = c.up(x)?;
    let mean = mean_keep(c, wide, &axes)?;
    let difference = c.map("sub", &[wide, mean])?;
    let square = c.b.map("square", &[difference])?;
    let variance = mean_keep(c, square, &axes)?;
    let deviation = c.b.map("sqrt", &[variance])?;
    let deviation = c.with("add", deviation, 1e-9)?;
    let y = c.map("div", &[difference, deviation])?;
    Ok(vec![c.b.cast(y, dtype)?])
}

/// LpNormalization: divides by the 1- or 2-norm along an axis; rows of zeros stay.
pub fn lp_norm(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let dtype = c.dtype(x);
    let axis = normal_axis(call.int("axis", -1)?, c.rank(x))?;
    let wide = c.up(x)?;
    let norm = match call.int("p", 2)? {
        1 => {
            let magnitude = c.b.map("abs", &[wide])?;
            c.b.reduce_keep("sum", magnitude, &[axis])?
        }
        2 => {
            let square = c.b.map("square", &[wide])?;
            let sum = c.b.reduce_keep("sum", square, &[axis])?;
            c.b.map("sqrt", &[sum])?
        }
        p => return Err(bad_attribute(format!("`p` is {p}, not 1 or 2"))),
    };
    let empty = c.with("eq", norm, 0.0)?;
    let one = c.fill_like(norm, 1.0)?;
    let divisor = c.b.select(empty, one, norm)?;
    let y = c.map("div", &[wide, divisor])?;
    Ok(vec![c.b.cast(y, dtype)?])
}
