//! Ops that carry a state from call to call: LinearAttention, unrolled, and CausalConvWithState.

use super::recurrent::MAX_STEPS;
use crate::onnx::call::{Call, Res, bad_attribute, misfit, variant};
use crate::onnx::ctx::Ctx;
use tricot_dialects::{Attr, ValueId};
use tricot_types::Poly;

/// LinearAttention: a recurrence over a `[d_k, d_v]` state, unrolled.
pub fn linear_attention(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (q, k, v) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let (hq, hk) = (call.int("q_num_heads", 0)?, call.int("kv_num_heads", 0)?);
    let rule = call.text("update_rule", "gated_delta")?;
    let to = c.dtype(q);
    let wide = to.compute();
    let heads = |c: &mut Ctx, x: ValueId, h: i64| -> Res<ValueId> {
        let s = c.shape(x);
        let each = s.get(2).and_then(|f| f.exact_div(&Poly::constant(h))).filter(|_| h > 0 && s.len() == 3);
        let each = each.ok_or_else(|| misfit(format!("{} does not split into {h} heads", c.ty(x))))?;
        let x = c.b.cast(x, wide)?;
        c.b.reshape(x, &[s[0].clone(), s[1].clone(), Poly::constant(h), each])
    };
    if hk < 1 || hq < 1 || hq % hk != 0 {
        return Err(bad_attribute(format!("{hq} query heads over {hk} key heads")));
    }
    let (q, k, v) = (heads(c, q, hq)?, heads(c, k, hk)?, heads(c, v, hk)?);
    let (qs, vs) = (c.shape(q), c.shape(v));
    let steps = qs[1].as_constant().filter(|t| (1..=MAX_STEPS).contains(t));
    let steps =
        steps.ok_or_else(|| variant(format!("a sequence of length {}; 1 to {MAX_STEPS} steps are unrolled", qs[1])))?;
    let q =
        c.b.reshape(q, &[qs[0].clone(), qs[1].clone(), Poly::constant(hk), Poly::constant(hq / hk), qs[3].clone()])?;
    let state_shape = [qs[0].clone(), Poly::constant(hk), qs[3].clone(), vs[3].clone()];
    let (mut state, state_type) = match call.maybe(3) {
        Some(s) => (c.b.cast(s, wide)?, c.dtype(s)),
        None => (c.b.full(wide, 0.0, &state_shape)?, to),
    };
    let gated = rule == "gated" || rule == "gated_delta";
    let corrected = rule == "delta" || rule == "gated_delta";
    if !(gated || corrected || rule == "linear") {
        return Err(bad_attribute(format!("`update_rule` is `{rule}`")));
    }
    let decay = match gated {
        // One entry a head, or one a head and key feature.
        true => Some(heads(c, call.input(4)?, hk)?),
        false => None,
    };
    let beta = match corrected {
        true => {
            let b = call.input(5)?;
            let last = c.shape(b).last().and_then(Poly::as_constant).unwrap_or(1);
            Some(heads(c, b, last)?)
        }
        false => None,
    };
    let scale = match call.float("scale", 0.0)? {
        0.0 => {
            let d = qs[3].as_constant().ok_or_else(|| variant("a symbolic head size"))?;
            1.0 / (d as f64).sqrt()
        }
        s => s,
    };
    let mut outputs = vec![];
    for t in 0..steps {
        let (qt, kt, mut vt) = (c.pick(q, 1, t)?, c.pick(k, 1, t)?, c.pick(v, 1, t)?);
        if let Some(g) = decay {
            let g = c.pick(g, 1, t)?;
            let g = c.b.map("exp", &[g])?;
            let mut shape = c.shape(g);
            shape.push(Poly::constant(1));
            let g = c.b.reshape(g, &shape)?;
            state = c.map("mul", &[state, g])?;
        }
        if let Some(b) = beta {
            let known = c.b.contract("bhdm,bhd->bhm", &[state, kt], wide)?;
            let error = c.b.map("sub", &[vt, known])?;
            let b = c.pick(b, 1, t)?;
            vt = c.map("mul", &[b, error])?;
        }
        let write = c.b.contract("bhd,bhm->bhdm", &[kt, vt], wide)?;
        state = c.b.map("add", &[state, write])?;
        let read = c.b.contract("bhrd,bhdm->bhrm", &[qt, state], wide)?;
        outputs.push(c.b.reshape(read, &[qs[0].clone(), 1.into(), Poly::constant(hq) * vs[3].clone()])?);
    }
    let y = c.b.concat(&outputs, 1)?;
    let y = c.with("mul", y, scale)?;
    Ok(vec![c.b.cast(y, to)?, c.b.cast(state, state_type)?])
}

/// CausalConvWithState: a depthwise convolution over the past and the present.
pub fn causal_conv(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (x, w) = (call.input(0)?, call.input(1)?);
    let (xs, ws) = (c.shape(x), c.static_shape(w, "the filter")?);
    if xs.len() != 3 || ws.len() != 3 {
        return Err(misfit(format!("a causal convolution of {} with {}", c.ty(x), c.ty(w))));
    }
    let (k, dtype) = (ws[2], c.dtype(x));
    let past = Poly::constant(k - 1);
    let padded = match call.maybe(3) {
        Some(s) => c.b.concat(&[s, x], 2)?,
        None => c.b.pad(x, &[Poly::default(), Poly::default(), past.clone()], &[0.into(), 0.into(), 0.into()], 0.0)?,
    };
    let attrs = [
        ("axes", Attr::Ints(vec![2])),
        ("size", Attr::Ints(vec![k])),
        ("stride", Attr::Ints(vec![1])),
        ("dilation", Attr::Ints(vec![1])),
    ];
    let windows = c.op1("core.window", &[padded], &attrs)?;
    let filter = c.b.reshape(w, &[xs[1].clone(), Poly::constant(k)])?;
    let mut y = c.b.contract("bctk,ck->bct", &[windows, filter], dtype.compute())?;
    if let Some(bias) = call.maybe(2) {
        let bias = c.up(bias)?;
        y = super::conv::add_channel(c, y, bias)?;
    }
    y = match call.text("activation", "none")?.as_str() {
        "none" => y,
        "silu" | "swish" => c.op1("nn.silu", &[y], &[])?,
        other => return Err(bad_attribute(format!("`activation` is `{other}`"))),
    };
    let kept = c.slice_axis(padded, 2, xs[2].clone(), past)?;
    Ok(vec![c.b.cast(y, dtype)?, kept])
}
