//! Attention ops: ONNX Attention, FlexAttention and RotaryEmbedding.

use crate::onnx::call::{Call, Res, bad_attribute, misfit, variant};
use crate::onnx::ctx::{Ctx, REPORTED};
use crate::onnx::tensor::{dtype, unsupported_dtype};
use tricot_dialects::{Attr, Attrs, ValueId};
use tricot_types::{DType, Diagnostic, Poly};

/// `[b, s, h d]` as `[b, s, h, d]`.
fn split_heads(c: &mut Ctx, x: ValueId, heads: i64) -> Res<ValueId> {
    let s = c.shape(x);
    let feature = s.get(2).and_then(|f| f.exact_div(&Poly::constant(heads))).filter(|_| heads > 0 && s.len() == 3);
    let feature = feature.ok_or_else(|| misfit(format!("{} does not split into {heads} heads", c.ty(x))))?;
    c.b.reshape(x, &[s[0].clone(), s[1].clone(), Poly::constant(heads), feature])
}

/// Swaps axes 1 and 2: heads and positions.
fn swap(c: &mut Ctx, x: ValueId) -> Res<ValueId> {
    c.b.transpose(x, &[0, 2, 1, 3])
}

/// Which keys a query may see, beyond a mask given as a tensor.
struct Limits {
    causal: bool,
    /// Keys seen before and after the query's own position; negative: all.
    left: i64,
    right: i64,
    /// Position of query 0 among the keys, the same for all.
    offset: Poly,
    /// Valid keys per batch entry, i64 `[b]`.
    valid: Option<ValueId>,
}

/// Attention.
pub fn attention(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (q, k, v) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let rank = c.rank(q);
    if !(rank == 3 || rank == 4) || c.rank(k) != rank || c.rank(v) != rank {
        return Err(misfit(format!("attention of {}, {} and {}", c.ty(q), c.ty(k), c.ty(v))));
    }
    // From here on [b, s, h, d].
    let [mut q, mut k, mut v] = if rank == 3 {
        let (h, g) = (call.int("q_num_heads", 0)?, call.int("kv_num_heads", 0)?);
        [split_heads(c, q, h)?, split_heads(c, k, g)?, split_heads(c, v, g)?]
    } else {
        [swap(c, q)?, swap(c, k)?, swap(c, v)?]
    };
    let mut offset = Poly::default();
    if let (Some(pk), Some(pv)) = (call.maybe(4), call.maybe(5)) {
        offset = c.shape(pk).get(2).cloned().unwrap_or_default();
        let (pk, pv) = (swap(c, pk)?, swap(c, pv)?);
        k = c.b.concat(&[pk, k], 1)?;
        v = c.b.concat(&[pv, v], 1)?;
    }
    let (present_k, present_v) = (k, v);
    let features = c.shape(q)[3].as_constant().ok_or_else(|| variant("a symbolic head size"))?;
    let scale = call.get_float("scale")?.unwrap_or(1.0 / (features as f64).sqrt());
    let softcap = call.float("softcap", 0.0)?;
    let limits = Limits {
        causal: call.flag("is_causal", false)?,
        left: call.int("left_window_size", -1)?,
        right: call.int("right_window_size", -1)?,
        offset,
        valid: match call.maybe(6) {
            Some(n) => Some(c.b.cast(n, DType::I64)?),
            None => None,
        },
    };
    let mask = match call.maybe(3) {
        Some(m) => Some(padded_mask(c, m, &k)?),
        None => None,
    };
    let mode = call.int("qk_matmul_output_mode", 0)?;
    let plain = softcap == 0.0
        && !call.wants(3)
        && limits.valid.is_none()
        && limits.right < 0
        && (limits.left < 0 || limits.causal)
        && c.dtype(k) == c.dtype(q)
        && c.dtype(v) == c.dtype(q);
    let mut out = vec![];
    if plain {
        let mut operands = vec![q, k, v];
        if let Some(m) = mask {
            // Broadcasting aligns to the right; nn.attention wants four axes.
            let bias = additive(c, m, c.dtype(q).compute())?;
            let shape = c.shape(bias);
            let four: Vec<Poly> = vec![Poly::constant(1); 4 - shape.len().min(4)].into_iter().chain(shape).collect();
            operands.push(c.b.reshape(bias, &four)?);
        }
        let attrs = Attrs::new()
            .with("scale", scale)
            .with("causal", limits.causal)
            .with("offset", limits.offset)
            .with("window", if limits.left >= 0 { limits.left + 1 } else { 0 });
        out.push(c.b.one("nn.attention", &operands, attrs)?);
    } else {
        let precision = match call.get_int("softmax_precision")? {
            Some(n) => Some(dtype(i32::try_from(n).unwrap_or(-1)).map_err(|n| unsupported_dtype(&n))?),
            None => None,
        };
        let type_of_q = c.dtype(q);
        (q, k, v) = (swap(c, q)?, swap(c, k)?, swap(c, v)?);
        let raw = logits(c, q, k, scale)?;
        let capped = if softcap > 0.0 { cap(c, raw, softcap)? } else { raw };
        let bias = bias(c, capped, mask, &limits)?;
        let biased = match bias {
            Some(b) => c.map("add", &[capped, b])?,
            None => capped,
        };
        let rounded = match precision {
            Some(p) if p.bits() < c.dtype(biased).bits() => {
                let narrow = c.b.cast(biased, p)?;
                c.up(narrow)?
            }
            _ => biased,
        };
        let probabilities = softmax_masked(c, rounded, bias)?;
        let shown = match mode {
            0 => raw,
            1 => capped,
            2 => biased,
            _ => probabilities,
        };
        let y = weighted(c, probabilities, v, type_of_q)?;
        out.push(swap(c, y)?);
        out.push(c.b.cast(shown, type_of_q)?);
    }
    let y = if rank == 3 {
        let s = c.shape(out[0]);
        c.b.reshape(out[0], &[s[0].clone(), s[1].clone(), s[2].clone() * s[3].clone()])?
    } else {
        swap(c, out[0])?
    };
    let mut all = vec![y, swap(c, present_k)?, swap(c, present_v)?];
    all.extend(out.get(1));
    Ok(all)
}

/// A mask that covers fewer keys than there are hides the rest.
fn padded_mask(c: &mut Ctx, mask: ValueId, k: &ValueId) -> Res<ValueId> {
    let (shape, keys) = (c.shape(mask), c.shape(*k)[1].clone());
    let Some(last) = shape.last().cloned() else { return Ok(mask) };
    let missing = keys - last.clone();
    match missing.as_constant() {
        Some(n) if n > 0 && !last.is_one() => {
            let mut high = vec![Poly::default(); shape.len()];
            high[shape.len() - 1] = missing;
            let low = vec![Poly::default(); shape.len()];
            let hidden = if c.dtype(mask) == DType::Bool { 0.0 } else { f64::NEG_INFINITY };
            c.b.pad(mask, &low, &high, hidden)
        }
        _ => Ok(mask),
    }
}

/// A mask as something to add: 0 where a bool mask keeps, -inf where it hides.
fn additive(c: &mut Ctx, mask: ValueId, to: DType) -> Res<ValueId> {
    if c.dtype(mask) != DType::Bool {
        return c.b.cast(mask, to);
    }
    let shape = c.shape(mask);
    let (zero, hidden) = (c.b.full(to, 0.0, &shape)?, c.b.full(to, f64::NEG_INFINITY, &shape)?);
    c.b.select(mask, zero, hidden)
}

/// `q k^T scale`, `[b, h, i, j]` in the compute type; key heads are shared by groups of query heads.
fn logits(c: &mut Ctx, q: ValueId, k: ValueId, scale: f64) -> Res<ValueId> {
    let (qs, ks) = (c.shape(q), c.shape(k));
    let each = qs[1].exact_div(&ks[1]);
    let each = each.ok_or_else(|| misfit(format!("{} query heads for {} key heads", qs[1], ks[1])))?;
    let wide = c.dtype(q).compute();
    let q = c.b.reshape(q, &[qs[0].clone(), ks[1].clone(), each, qs[2].clone(), qs[3].clone()])?;
    let raw = c.b.contract("bgrid,bgjd->bgrij", &[q, k], wide)?;
    let raw = c.b.reshape(raw, &[qs[0].clone(), qs[1].clone(), qs[2].clone(), ks[2].clone()])?;
    c.with("mul", raw, scale)
}

fn cap(c: &mut Ctx, x: ValueId, softcap: f64) -> Res<ValueId> {
    let small = c.with("div", x, softcap)?;
    let bent = c.b.map("tanh", &[small])?;
    c.with("mul", bent, softcap)
}

/// All masks as one bias broadcastable to the logits.
fn bias(c: &mut Ctx, logits: ValueId, mask: Option<ValueId>, limits: &Limits) -> Res<Option<ValueId>> {
    let ty = c.ty(logits);
    let (queries, keys) = (ty.shape[2].clone(), ty.shape[3].clone());
    let mut total = match mask {
        Some(m) => Some(additive(c, m, ty.dtype)?),
        None => None,
    };
    let mut allowed: Vec<ValueId> = vec![];
    let grid = [Poly::constant(1), Poly::constant(1), queries.clone(), keys.clone()];
    if limits.causal || limits.left >= 0 || limits.right >= 0 {
        // distance = i + offset - j, per batch entry where the cache is external.
        let (i, j) = (c.b.iota(DType::I64, &grid, 2)?, c.b.iota(DType::I64, &grid, 3)?);
        let offset = match limits.valid {
            Some(n) if limits.offset.is_zero() => {
                let n = c.b.reshape(n, &[ty.shape[0].clone(), 1.into(), 1.into(), 1.into()])?;
                let count = c.size(&queries)?;
                c.map("sub", &[n, count])?
            }
            _ => c.size(&limits.offset)?,
        };
        let at = c.map("add", &[i, offset])?;
        let distance = c.map("sub", &[at, j])?;
        if limits.causal {
            allowed.push(c.with("ge", distance, 0.0)?);
        }
        if limits.left >= 0 {
            allowed.push(c.with("le", distance, limits.left as f64)?);
        }
        if limits.right >= 0 {
            allowed.push(c.with("ge", distance, -(limits.right as f64))?);
        }
    }
    if let Some(n) = limits.valid {
        let shape = [ty.shape[0].clone(), 1.into(), 1.into(), keys];
        let j = c.b.iota(DType::I64, &shape, 3)?;
        let n = c.b.reshape(n, &[ty.shape[0].clone(), 1.into(), 1.into(), 1.into()])?;
        allowed.push(c.map("lt", &[j, n])?);
    }
    for keep in allowed {
        let term = additive(c, keep, ty.dtype)?;
        total = Some(match total {
            Some(t) => c.map("add", &[t, term])?,
            None => term,
        });
    }
    Ok(total)
}

/// Softmax along the last axis; rows that the bias hides entirely give zeros.
fn softmax_masked(c: &mut Ctx, x: ValueId, bias: Option<ValueId>) -> Res<ValueId> {
    let p = c.op1("nn.softmax", &[x], &[("axis", Attr::Int(3))])?;
    let Some(bias) = bias else { return Ok(p) };
    let shape = c.shape(x);
    let rank = c.rank(bias) as i64;
    if rank == 0 {
        return Ok(p);
    }
    let largest = c.b.reduce_keep("max", bias, &[rank - 1])?;
    let hidden = c.with("eq", largest, f64::NEG_INFINITY)?;
    let hidden = c.b.broadcast_to(hidden, &shape)?;
    let zero = c.fill_like(p, 0.0)?;
    c.b.select(hidden, zero, p)
}

/// `p v` with shared value heads, rounded to `to`; `[b, h, i, e]`.
fn weighted(c: &mut Ctx, p: ValueId, v: ValueId, to: DType) -> Res<ValueId> {
    let (ps, vs) = (c.shape(p), c.shape(v));
    let each = ps[1].exact_div(&vs[1]).ok_or_else(|| misfit(format!("{} heads for {} value heads", ps[1], vs[1])))?;
    let grouped = c.b.reshape(p, &[ps[0].clone(), vs[1].clone(), each, ps[2].clone(), ps[3].clone()])?;
    let dtype = c.dtype(grouped);
    let v = c.b.cast(v, dtype)?;
    let y = c.b.contract("bgrij,bgje->bgrie", &[grouped, v], dtype)?;
    let y = c.b.reshape(y, &[ps[0].clone(), ps[1].clone(), ps[2].clone(), vs[3].clone()])?;
    c.b.cast(y, to)
}

/// FlexAttention: attention with graphs applied to scores and probabilities.
pub fn flex_attention(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (q, k, v) = (call.input(0)?, call.input(1)?, call.input(2)?);
    if [q, k, v].iter().any(|x| c.rank(*x) != 4) {
        return Err(misfit("q, k and v must have rank 4"));
    }
    let features = c.shape(q)[3].as_constant().ok_or_else(|| variant("a symbolic head size"))?;
    let scale = call.get_float("scale")?.unwrap_or(1.0 / (features as f64).sqrt());
    let raw = logits(c, q, k, scale)?;
    let wide = match call.get_int("softmax_precision")? {
        Some(n) => dtype(i32::try_from(n).unwrap_or(-1)).map_err(|n| unsupported_dtype(&n))?,
        None => c.dtype(q).compute(),
    };
    let mut scores = c.b.cast(raw, wide)?;
    for (name, softmax) in [("score_mod", true), ("prob_mod", false)] {
        if call.has(name) {
            let results = c.nested(call.graph(name)?, &[scores])?;
            let results = results.ok_or_else(|| Diagnostic::error(REPORTED, "refused inside"))?;
            scores = *results.first().ok_or_else(|| misfit(format!("`{name}` has no output")))?;
        }
        if softmax {
            scores = c.op1("nn.softmax", &[scores], &[("axis", Attr::Int(3))])?;
        }
    }
    let to = c.dtype(v);
    Ok(vec![weighted(c, scores, v, to)?])
}

/// RotaryEmbedding.
pub fn rotary(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let (mut cos, mut sin) = (call.input(1)?, call.input(2)?);
    let original = c.shape(x);
    let x = match original.len() {
        3 => split_heads(c, x, call.int("num_heads", 0)?)?,
        4 => swap(c, x)?,
        _ => return Err(misfit(format!("a rotary embedding of {}", c.ty(x)))),
    };
    if let Some(positions) = call.maybe(3) {
        cos = c.gather(cos, positions, 0)?;
        sin = c.gather(sin, positions, 0)?;
    }
    let shape = c.shape(x);
    let partial = match call.int("rotary_embedding_dim", 0)? {
        0 => None,
        d => Some(Poly::constant(d)).filter(|d| *d != shape[3]),
    };
    let interleaved = ("interleaved", Attr::Bool(call.flag("interleaved", false)?));
    let y = match partial {
        None => c.op1("nn.rope", &[x, cos, sin], &[interleaved])?,
        Some(d) => {
            let head = c.slice_axis(x, 3, Poly::default(), d.clone())?;
            let tail = c.slice_axis(x, 3, d.clone(), shape[3].clone() - d)?;
            let turned = c.op1("nn.rope", &[head, cos, sin], &[interleaved])?;
            c.b.concat(&[turned, tail], 3)?
        }
    };
    Ok(vec![match original.len() {
        3 => c.b.reshape(y, &original)?,
        _ => swap(c, y)?,
    }])
}

/// SwiGLU: `a sigmoid(alpha a) b`.
pub fn swiglu(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    if c.ty(a) != c.ty(b) {
        return Err(bad_attribute(format!("{} and {} must be of one type", c.ty(a), c.ty(b))));
    }
    let gate = super::activation::swish_of(c, a, call.float("alpha", 1.0)?)?;
    Ok(vec![c.b.map("mul", &[gate, b])?])
}
