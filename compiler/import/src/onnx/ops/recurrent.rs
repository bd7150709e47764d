//! RNN, GRU and LSTM, unrolled along a sequence of known length.

use crate::onnx::call::{Call, Res, bad_attribute, misfit, variant};
use crate::onnx::ctx::Ctx;
use tricot_dialects::{Attr, ValueId};
use tricot_types::{DType, Poly};

/// Longest sequence that is unrolled.
pub const MAX_STEPS: i64 = 4096;

/// What one direction of a recurrent op needs.
struct Cell {
    hidden: i64,
    activations: Vec<(String, f64, f64)>,
    clip: Option<f64>,
    linear_before_reset: bool,
    coupled: bool,
}

impl Cell {
    /// Activation `i` of this direction.
    fn activate(&self, c: &mut Ctx, i: usize, x: ValueId) -> Res<ValueId> {
        let x = match self.clip {
            Some(limit) => {
                let low = c.with("max", x, -limit)?;
                c.with("min", low, limit)?
            }
            None => x,
        };
        let (name, alpha, beta) = &self.activations[i];
        let a = ("alpha", Attr::float(*alpha));
        match name.to_lowercase().as_str() {
            "sigmoid" => c.b.map("sigmoid", &[x]),
            "tanh" => c.b.map("tanh", &[x]),
            "relu" => c.b.map("relu", &[x]),
            "affine" => {
                let scaled = c.with("mul", x, *alpha)?;
                c.with("add", scaled, *beta)
            }
            "scaledtanh" => {
                let inner = c.with("mul", x, *beta)?;
                let bent = c.b.map("tanh", &[inner])?;
                c.with("mul", bent, *alpha)
            }
            "leakyrelu" => c.op1("nn.leaky_relu", &[x], &[a]),
            "thresholdedrelu" => c.op1("nn.thresholded_relu", &[x], &[a]),
            "hardsigmoid" => c.op1("nn.hard_sigmoid", &[x], &[a, ("beta", Attr::float(*beta))]),
            "elu" => c.op1("nn.elu", &[x], &[a]),
            "softsign" => c.op1("nn.softsign", &[x], &[]),
            "softplus" => c.op1("nn.softplus", &[x], &[]),
            other => Err(bad_attribute(format!("the activation `{other}` is unknown"))),
        }
    }

    /// Columns `i` of `n` equal parts of the last axis.
    fn part(&self, c: &mut Ctx, x: ValueId, i: i64) -> Res<ValueId> {
        let axis = c.rank(x) - 1;
        c.slice_axis(x, axis, Poly::constant(i * self.hidden), Poly::constant(self.hidden))
    }
}

/// Default constants of an activation.
fn constants(name: &str) -> (f64, f64) {
    match name.to_lowercase().as_str() {
        "leakyrelu" => (0.01f32.into(), 0.0),
        "hardsigmoid" => (0.2f32.into(), 0.5),
        _ => (1.0, 1.0),
    }
}

/// RNN, GRU and LSTM.
pub fn recurrent(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let op = call.op();
    let (gates, per_direction): (i64, &[&str]) = match op {
        "RNN" => (1, &["Tanh"]),
        "GRU" => (3, &["Sigmoid", "Tanh"]),
        _ => (4, &["Sigmoid", "Tanh", "Tanh"]),
    };
    let (mut x, w, r) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let rs = c.static_shape(r, "the recurrent weights")?;
    if c.rank(x) != 3 || c.rank(w) != 3 || rs.len() != 3 || rs[1] != gates * rs[2] {
        return Err(misfit(format!("{op} of {} with {} and {}", c.ty(x), c.ty(w), c.ty(r))));
    }
    let (directions, hidden) = (rs[0] as usize, rs[2]);
    let batch_major = call.flag("layout", false)?;
    if batch_major {
        x = c.b.transpose(x, &[1, 0, 2])?;
    }
    let xs = c.shape(x);
    let steps = xs[0]
        .as_constant()
        .ok_or_else(|| variant(format!("{op} over a symbolic length")).with_help("give it a value with --set"))?;
    if steps > MAX_STEPS || steps == 0 {
        return Err(variant(format!("{op} over {steps} steps; between 1 and {MAX_STEPS} are unrolled")));
    }
    let reverse_first = match (call.text("direction", "forward")?.as_str(), directions) {
        ("forward", 1) | ("bidirectional", 2) => false,
        ("reverse", 1) => true,
        (other, n) => return Err(bad_attribute(format!("`direction` is `{other}` with weights for {n} directions"))),
    };
    let names = call.texts("activations")?.unwrap_or_else(|| per_direction.iter().map(|s| s.to_string()).collect());
    let (alphas, betas) =
        (call.floats("activation_alpha")?.unwrap_or_default(), call.floats("activation_beta")?.unwrap_or_default());
    if names.len() < per_direction.len() {
        return Err(bad_attribute(format!("`activations` lists {} of {}", names.len(), per_direction.len())));
    }
    let lens = match call.maybe(4) {
        Some(l) => Some(c.b.cast(l, DType::I64)?),
        None => None,
    };
    let (mut all, mut last_h, mut last_c) = (vec![], vec![], vec![]);
    for d in 0..directions {
        // One list may serve both directions.
        let skip = if names.len() >= directions * per_direction.len() { d * per_direction.len() } else { 0 };
        let activations = (0..per_direction.len())
            .map(|i| {
                let name = names[skip + i].clone();
                let (a, b) = constants(&name);
                (name, alphas.get(skip + i).copied().unwrap_or(a), betas.get(skip + i).copied().unwrap_or(b))
            })
            .collect();
        let cell = Cell {
            hidden,
            activations,
            clip: call.get_float("clip")?,
            linear_before_reset: call.flag("linear_before_reset", false)?,
            coupled: call.flag("input_forget", false)?,
        };
        let pick = |c: &mut Ctx, v: Option<ValueId>| -> Res<Option<ValueId>> {
            let Some(v) = v else { return Ok(None) };
            Ok(Some(c.pick(v, 0, d as i64)?))
        };
        let state = |c: &mut Ctx, i: usize| -> Res<ValueId> {
            let dtype = c.dtype(x);
            match call.maybe(i) {
                Some(v) => c.pick(v, if batch_major { 1 } else { 0 }, d as i64),
                None => c.b.full(dtype, 0.0, &[xs[1].clone(), Poly::constant(hidden)]),
            }
        };
        let (wd, rd) = (pick(c, Some(w))?, pick(c, Some(r))?);
        let bias = pick(c, call.maybe(3))?;
        let peepholes = pick(c, if op == "LSTM" { call.maybe(7) } else { None })?;
        let mut h = state(c, 5)?;
        let mut memory = state(c, if op == "LSTM" { 6 } else { usize::MAX })?;
        let (wd, rd) = (wd.expect("given"), rd.expect("given"));
        let dtype = c.dtype(x);
        let projected = c.b.contract("tbi,gi->tbg", &[x, wd], dtype)?;
        let backwards = reverse_first || d == 1;
        let mut outputs = vec![];
        for i in 0..steps {
            let t = if backwards { steps - 1 - i } else { i };
            let xt = c.pick(projected, 0, t)?;
            let (mut new_h, mut new_c) = match op {
                "RNN" => (rnn(c, &cell, xt, h, rd, bias)?, memory),
                "GRU" => (gru(c, &cell, xt, h, rd, bias)?, memory),
                _ => lstm(c, &cell, xt, h, memory, rd, bias, peepholes)?,
            };
            let mut shown = new_h;
            if let Some(l) = lens {
                // Beyond the end of a sequence the state stays and the output is zero.
                let alive = c.with("gt", l, t as f64)?;
                let shape = c.shape(h);
                let alive = c.b.broadcast(alive, &shape, &[0])?;
                let zero = c.fill_like(h, 0.0)?;
                shown = c.b.select(alive, new_h, zero)?;
                new_h = c.b.select(alive, new_h, h)?;
                new_c = c.b.select(alive, new_c, memory)?;
            }
            (h, memory) = (new_h, new_c);
            let shape = c.shape(shown);
            outputs.push(c.b.reshape(shown, &[&[Poly::constant(1), Poly::constant(1)], shape.as_slice()].concat())?);
        }
        if backwards {
            outputs.reverse();
        }
        all.push(c.b.concat(&outputs, 0)?);
        let single = |c: &mut Ctx, v: ValueId| {
            let shape = c.shape(v);
            c.b.reshape(v, &[&[Poly::constant(1)], shape.as_slice()].concat())
        };
        last_h.push(single(c, h)?);
        last_c.push(single(c, memory)?);
    }
    let mut y = c.b.concat(&all, 1)?;
    let (mut yh, mut yc) = (c.b.concat(&last_h, 0)?, c.b.concat(&last_c, 0)?);
    if batch_major {
        y = c.b.transpose(y, &[2, 0, 1, 3])?;
        (yh, yc) = (c.b.transpose(yh, &[1, 0, 2])?, c.b.transpose(yc, &[1, 0, 2])?);
    }
    Ok(if op == "LSTM" { vec![y, yh, yc] } else { vec![y, yh] })
}

/// `h R'`.
fn recur(c: &mut Ctx, h: ValueId, r: ValueId) -> Res<ValueId> {
    let dtype = c.dtype(h);
    c.b.contract("bh,gh->bg", &[h, r], dtype)
}

/// The two halves of a bias.
fn halves(c: &mut Ctx, bias: ValueId, width: i64) -> Res<(ValueId, ValueId)> {
    let w = Poly::constant(width);
    Ok((c.slice_axis(bias, 0, Poly::default(), w.clone())?, c.slice_axis(bias, 0, w.clone(), w)?))
}

fn rnn(c: &mut Ctx, cell: &Cell, x: ValueId, h: ValueId, r: ValueId, bias: Option<ValueId>) -> Res<ValueId> {
    let back = recur(c, h, r)?;
    let mut sum = c.b.map("add", &[x, back])?;
    if let Some(b) = bias {
        let (w, r) = halves(c, b, cell.hidden)?;
        sum = c.map("add", &[sum, w])?;
        sum = c.map("add", &[sum, r])?;
    }
    cell.activate(c, 0, sum)
}

fn gru(c: &mut Ctx, cell: &Cell, x: ValueId, h: ValueId, r: ValueId, bias: Option<ValueId>) -> Res<ValueId> {
    let n = cell.hidden;
    let rows =
        |c: &mut Ctx, from: i64, count: i64| c.slice_axis(r, 0, Poly::constant(from * n), Poly::constant(count * n));
    let (r_gates, r_hidden) = (rows(c, 0, 2)?, rows(c, 2, 1)?);
    let mut x = x;
    let mut late = None;
    if let Some(b) = bias {
        let (wb, rb) = halves(c, b, 3 * n)?;
        x = c.map("add", &[x, wb])?;
        // The hidden gate's recurrent bias may lie inside the reset product.
        let early = c.slice_axis(rb, 0, Poly::default(), Poly::constant(2 * n))?;
        let hidden = c.slice_axis(rb, 0, Poly::constant(2 * n), Poly::constant(n))?;
        let zero = c.b.pad(early, &[Poly::default()], &[Poly::constant(n)], 0.0)?;
        x = c.map("add", &[x, zero])?;
        late = Some(hidden);
    }
    let back = recur(c, h, r_gates)?;
    let zr = c.slice_axis(x, 1, Poly::default(), Poly::constant(2 * n))?;
    let zr = c.b.map("add", &[zr, back])?;
    let z = cell.part(c, zr, 0)?;
    let z = cell.activate(c, 0, z)?;
    let reset = cell.part(c, zr, 1)?;
    let reset = cell.activate(c, 0, reset)?;
    let xh = cell.part(c, x, 2)?;
    let inner = if cell.linear_before_reset {
        let mut back = recur(c, h, r_hidden)?;
        if let Some(b) = late {
            back = c.map("add", &[back, b])?;
        }
        c.b.map("mul", &[reset, back])?
    } else {
        let kept = c.b.map("mul", &[reset, h])?;
        let mut back = recur(c, kept, r_hidden)?;
        if let Some(b) = late {
            back = c.map("add", &[back, b])?;
        }
        back
    };
    let sum = c.b.map("add", &[xh, inner])?;
    let new = cell.activate(c, 1, sum)?;
    // (1 - z) new + z h.
    let one = c.fill_like(z, 1.0)?;
    let rest = c.b.map("sub", &[one, z])?;
    let (a, b) = (c.b.map("mul", &[rest, new])?, c.b.map("mul", &[z, h])?);
    c.b.map("add", &[a, b])
}

#[allow(clippy::too_many_arguments, reason = "the inputs of the cell's formula")]
fn lstm(
    c: &mut Ctx,
    cell: &Cell,
    x: ValueId,
    h: ValueId,
    memory: ValueId,
    r: ValueId,
    bias: Option<ValueId>,
    peepholes: Option<ValueId>,
) -> Res<(ValueId, ValueId)> {
    let back = recur(c, h, r)?;
    let mut gates = c.b.map("add", &[x, back])?;
    if let Some(b) = bias {
        let (w, r) = halves(c, b, 4 * cell.hidden)?;
        gates = c.map("add", &[gates, w])?;
        gates = c.map("add", &[gates, r])?;
    }
    let peep = |c: &mut Ctx, gate: ValueId, i: i64, state: ValueId| -> Res<ValueId> {
        let Some(p) = peepholes else { return Ok(gate) };
        let p = cell.part(c, p, i)?;
        let look = c.map("mul", &[p, state])?;
        c.b.map("add", &[gate, look])
    };
    let part = |c: &mut Ctx, i: i64| cell.part(c, gates, i);
    let (i, o, f, g) = (part(c, 0)?, part(c, 1)?, part(c, 2)?, part(c, 3)?);
    let i = peep(c, i, 0, memory)?;
    let i = cell.activate(c, 0, i)?;
    let f = if cell.coupled {
        let one = c.fill_like(i, 1.0)?;
        c.b.map("sub", &[one, i])?
    } else {
        let f = peep(c, f, 2, memory)?;
        cell.activate(c, 0, f)?
    };
    let g = cell.activate(c, 1, g)?;
    let (kept, fresh) = (c.b.map("mul", &[f, memory])?, c.b.map("mul", &[i, g])?);
    let new = c.b.map("add", &[kept, fresh])?;
    let o = peep(c, o, 1, new)?;
    let o = cell.activate(c, 0, o)?;
    let shown = Cell { clip: None, activations: cell.activations.clone(), ..*cell }.activate(c, 2, new)?;
    Ok((c.b.map("mul", &[o, shown])?, new))
}
