//! The optimisers of the training preview domain.

use crate::onnx::call::{Call, Res};
use crate::onnx::ctx::Ctx;
use tricot_dialects::ValueId;

/// Adagrad, Adam and Momentum: one step each.
pub fn optimiser(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (rate, step) = (call.input(0)?, call.input(1)?);
    let states = match call.op() {
        "Adam" => 2,
        _ => 1,
    };
    let n = (call.inputs.len().saturating_sub(2)) / (2 + states);
    let mut groups = vec![vec![]; 1 + states];
    for i in 0..n {
        let x = call.input(2 + i)?;
        let g = call.input(2 + n + i)?;
        let s: Vec<ValueId> = (0..states).map(|j| call.input(2 + (2 + j) * n + i)).collect::<Res<_>>()?;
        let l2 = call.float("norm_coefficient", 0.0)?;
        let decayed = c.with("mul", x, l2)?;
        let g = c.b.map("add", &[g, decayed])?;
        let new = match call.op() {
            "Adagrad" => adagrad(c, call, [rate, step, x, g, s[0]])?,
            "Adam" => adam(c, call, [rate, step, x, g, s[0], s[1]])?,
            _ => momentum(c, call, [rate, step, x, g, s[0]])?,
        };
        groups.iter_mut().zip(new).for_each(|(list, v)| list.push(v));
    }
    Ok(groups.concat())
}

/// An integer step count as a float scalar.
fn steps(c: &mut Ctx, step: ValueId, like: ValueId) -> Res<ValueId> {
    let to = c.dtype(like);
    let step = c.reshape(step, &[])?;
    c.b.cast(step, to)
}

fn adagrad(c: &mut Ctx, call: &Call, [rate, step, x, g, h]: [ValueId; 5]) -> Res<Vec<ValueId>> {
    let t = steps(c, step, x)?;
    let slowed = c.with("mul", t, call.float("decay_factor", 0.0)?)?;
    let slowed = c.with("add", slowed, 1.0)?;
    let rate = c.reshape(rate, &[])?;
    let r = c.b.map("div", &[rate, slowed])?;
    let square = c.b.map("square", &[g])?;
    let h = c.b.map("add", &[h, square])?;
    let root = c.b.map("sqrt", &[h])?;
    let below = c.with("add", root, call.float("epsilon", 1e-6f32.into())?)?;
    let up = c.map("mul", &[r, g])?;
    let change = c.b.map("div", &[up, below])?;
    Ok(vec![c.b.map("sub", &[x, change])?, h])
}

fn momentum(c: &mut Ctx, call: &Call, [rate, step, x, g, v]: [ValueId; 5]) -> Res<Vec<ValueId>> {
    let (alpha, beta) = (call.float("alpha", 0.0)?, call.float("beta", 0.0)?);
    // The first step takes the gradient in full.
    let t = c.reshape(step, &[])?;
    let later = c.with("gt", t, 0.0)?;
    let dtype = c.dtype(x);
    let (some, full) = (c.b.scalar(dtype, beta)?, c.b.scalar(dtype, 1.0)?);
    let share = c.b.select(later, some, full)?;
    let old = c.with("mul", v, alpha)?;
    let new = c.map("mul", &[share, g])?;
    let v = c.b.map("add", &[old, new])?;
    let direction = if call.text("mode", "standard")? == "nesterov" {
        let ahead = c.with("mul", v, alpha)?;
        c.b.map("add", &[g, ahead])?
    } else {
        v
    };
    let rate = c.reshape(rate, &[])?;
    let change = c.map("mul", &[rate, direction])?;
    Ok(vec![c.b.map("sub", &[x, change])?, v])
}

fn adam(c: &mut Ctx, call: &Call, [rate, step, x, g, v, h]: [ValueId; 6]) -> Res<Vec<ValueId>> {
    let (alpha, beta) = (call.float("alpha", 0.9f32.into())?, call.float("beta", 0.999f32.into())?);
    let mix = |c: &mut Ctx, old: ValueId, new: ValueId, keep: f64| -> Res<ValueId> {
        let (a, b) = (c.with("mul", old, keep)?, c.with("mul", new, 1.0 - keep)?);
        c.b.map("add", &[a, b])
    };
    let v = mix(c, v, g, alpha)?;
    let square = c.b.map("square", &[g])?;
    let h = mix(c, h, square, beta)?;
    let t = steps(c, step, x)?;
    let unbiased = |c: &mut Ctx, keep: f64| -> Res<ValueId> {
        let base = c.fill_like(t, keep)?;
        let power = c.b.map("pow", &[base, t])?;
        let one = c.fill_like(t, 1.0)?;
        c.b.map("sub", &[one, power])
    };
    let (one_a, one_b) = (unbiased(c, alpha)?, unbiased(c, beta)?);
    let root_b = c.b.map("sqrt", &[one_b])?;
    let correction = c.b.map("div", &[root_b, one_a])?;
    let late = c.with("gt", t, 0.0)?;
    let one = c.fill_like(t, 1.0)?;
    let correction = c.b.select(late, correction, one)?;
    let rate = c.reshape(rate, &[])?;
    let r = c.b.map("mul", &[rate, correction])?;
    let root = c.b.map("sqrt", &[h])?;
    let below = c.with("add", root, call.float("epsilon", 1e-6f32.into())?)?;
    let up = c.map("mul", &[r, v])?;
    let change = c.b.map("div", &[up, below])?;
    let moved = c.b.map("sub", &[x, change])?;
    let moved = c.with("mul", moved, 1.0 - call.float("norm_coefficient_post", 0.0)?)?;
    Ok(vec![moved, v, h])
}
