//! Dot-product attention with grouped heads, bias, causal mask and sliding window.

use crate::attr::{Attr, AttrKind, Attrs};
use crate::builder::Builder;
use crate::check::{Values, dtype, float, rank, zero_dim};
use crate::graph::ValueId;
use crate::op::{Meaning, OpDef, OpView, Work, defaulted, one, optional, required, result};
use crate::ty::TensorType;
use tricot_types::{DType, Diagnostic, Poly};

fn infer(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let [q, k, v] = &view.operands[..3] else { unreachable!("operand count is checked") };
    float(q, "q")?;
    for (t, name) in [(q, "q"), (k, "k"), (v, "v")] {
        rank(t, name, 4)?;
        dtype(t, name, q.dtype)?;
    }
    let same = |what: &str, a: &Poly, b: &Poly| match a == b {
        true => Ok(()),
        false => Err(format!("{what} differ: {a} and {b}")),
    };
    same("batch sizes of q and k", &q.shape[0], &k.shape[0])?;
    same("feature sizes of q and k", &q.shape[3], &k.shape[3])?;
    for (axis, what) in ["batch sizes", "lengths", "head counts"].into_iter().enumerate() {
        same(&format!("{what} of k and v"), &k.shape[axis], &v.shape[axis])?;
    }
    let (h, g) = (&q.shape[2], &k.shape[2]);
    if h.exact_div(g).is_none() {
        return Err(format!("{h} query heads do not split over {g} key heads"));
    }
    let logits = [&q.shape[0], h, &q.shape[1], &k.shape[1]];
    if let Some(bias) = view.operands.get(3) {
        float(bias, "bias")?;
        rank(bias, "bias", 4)?;
        for (have, want) in bias.shape.iter().zip(logits) {
            if have != want && !have.is_one() {
                return Err(format!("bias is {bias}; {have} must be 1 or {want}"));
            }
        }
    }
    if view.attrs.int("window") < 0 {
        return Err(format!("the window {} is negative", view.attrs.int("window")));
    }
    if view.attrs.int("window") > 0 && !view.attrs.bool("causal") {
        return Err("a window needs `causal = true`".into());
    }
    let out = [&q.shape[0], &q.shape[1], h, &v.shape[3]];
    Ok(vec![
        TensorType::new(q.dtype, out.map(Clone::clone)),
        TensorType::new(DType::F32, logits[..3].iter().map(|p| (*p).clone())),
    ])
}

/// Number of (query, key) pairs of a head that take part. Exact where all sizes are numbers; symbolic causal sizes assume
/// that no query lies before the first key.
fn pairs(view: &OpView<'_>) -> Poly {
    let (i, j) = (&view.operands[0].shape[1], &view.operands[1].shape[1]);
    if !view.attrs.bool("causal") {
        return i.clone() * j.clone();
    }
    let (offset, window) = (view.attrs.dim("offset"), view.attrs.int("window"));
    if let (Some(i), Some(j), Some(offset)) = (i.as_constant(), j.as_constant(), offset.as_constant()) {
        let count = |q: i64| {
            let end = (q + offset + 1).clamp(0, j);
            let begin = if window > 0 { (q + offset - window + 1).clamp(0, end) } else { 0 };
            end - begin
        };
        return Poly::constant((0..i).map(count).sum());
    }
    if window > 0 {
        return i.clone() * Poly::constant(window);
    }
    // Query i sees offset + i + 1 keys.
    i.clone() * offset.clone() + (i.clone() * (i.clone() + 1.into())).floor_div(2)
}

/// Tensor-core convention: two flops a multiply-add of the two products, nothing for the softmax.
fn work(view: OpView<'_>) -> Work {
    let (q, v) = (&view.operands[0], &view.operands[2]);
    let features = q.shape[3].clone() + v.shape[3].clone();
    Work { flops: pairs(&view) * q.shape[0].clone() * q.shape[2].clone() * features * Poly::constant(2) }
}

/// Logits `[b, g, r, i, j]` in the compute type, with scale, bias and mask: the softmax's argument.
fn logits(b: &mut Builder<'_>, attrs: &Attrs, v: &[ValueId]) -> Result<ValueId, Diagnostic> {
    let (q, k) = (b.ty(v[0]).clone(), b.ty(v[1]).clone());
    let wide = q.dtype.compute();
    let grouped = split_heads(b, v[0], &k.shape[2])?;
    let raw = b.contract("bigrd,bjgd->bgrij", &[grouped, v[1]], wide)?;
    let mut x = b.map_scalar("mul", raw, attrs.float("scale"))?;
    let ty = b.ty(x).clone();
    if let Some(bias) = v.get(3) {
        let full = [&q.shape[0], &q.shape[2], &q.shape[1], &k.shape[1]].map(Clone::clone);
        let bias = b.cast(*bias, wide)?;
        let bias = b.broadcast_to(bias, &full)?;
        let bias = b.reshape(bias, &ty.shape)?;
        x = b.map("add", &[x, bias])?;
    }
    if attrs.bool("causal") {
        // distance = i + offset - j: 0 is the newest key that may be seen.
        let plane = [q.shape[1].clone(), k.shape[1].clone()];
        let (i, j) = (b.iota(DType::I64, &plane, 0)?, b.iota(DType::I64, &plane, 1)?);
        let offset = b.size(attrs.dim("offset"))?;
        let offset = b.broadcast(offset, &plane, &[])?;
        let i = b.map("add", &[i, offset])?;
        let distance = b.map("sub", &[i, j])?;
        let zero = b.scalar_int(DType::I64, 0)?;
        let zero = b.broadcast(zero, &plane, &[])?;
        let mut keep = b.map("ge", &[distance, zero])?;
        if attrs.int("window") > 0 {
            let window = b.scalar_int(DType::I64, attrs.int("window"))?;
            let window = b.broadcast(window, &plane, &[])?;
            let near = b.map("lt", &[distance, window])?;
            keep = b.map("and", &[keep, near])?;
        }
        let keep = b.broadcast(keep, &ty.shape, &[3, 4])?;
        let never = b.full(ty.dtype, f64::NEG_INFINITY, &ty.shape)?;
        x = b.select(keep, x, never)?;
    }
    Ok(x)
}

/// `[b, i, h, d]` as `[b, i, g, h / g, d]`.
fn split_heads(b: &mut Builder<'_>, x: ValueId, groups: &Poly) -> Result<ValueId, Diagnostic> {
    let s = b.ty(x).shape.clone();
    let each = s[2].exact_div(groups).expect("verified");
    b.reshape(x, &[s[0].clone(), s[1].clone(), groups.clone(), each, s[3].clone()])
}

fn decompose(b: &mut Builder<'_>, attrs: &Attrs, v: &[ValueId]) -> Values {
    let (q, k, value) = (b.ty(v[0]).clone(), b.ty(v[1]).clone(), b.ty(v[2]).clone());
    let x = logits(b, attrs, v)?;
    let (p, lse) = crate::trilinear::weights(b, x, &[4])?;
    let p = crate::trilinear::rounded(b, p, q.dtype)?;
    let wide = b.cast(v[2], q.dtype.compute())?;
    let out = b.contract("bgrij,bjge->bigre", &[p, wide], q.dtype.compute())?;
    let out = b.cast(out, q.dtype)?;
    let out = b.reshape(out, &[&q.shape[0], &q.shape[1], &q.shape[2], &value.shape[3]].map(Clone::clone))?;
    let lse = b.reshape(lse, &[&q.shape[0], &q.shape[2], &q.shape[1]].map(Clone::clone))?;
    debug_assert_eq!(k.shape[0], q.shape[0]);
    Ok(vec![out, b.cast(lse, DType::F32)?])
}

pub static ATTENTION: OpDef = OpDef {
    name: "nn.attention",
    summary: "Dot-product attention with grouped heads.",
    doc: "Query head `h` reads key head `g = h / (heads(q) / heads(k))`. `x[b,h,i,j] = scale * sum_d q[b,i,h,d] k[b,j,g,d] + bias[b,h,i,j]`; \
          `out[b,i,h,e] = sum_j softmax_j(x) v[b,j,g,e]`; `lse[b,h,i] = log sum_j e^x`. `causal`: query `i` sees the keys `j <= i + offset`, \
          and with `window` only those with `j > i + offset - window`. A query that sees no key gives zeros and an lse of -inf. \
          Logits, weights and sums are held in f32 for 16- and 8-bit floats, attributes rounded to f32 for all but f64; \
          weights are rounded to a 16-bit type of the operands before they meet the values. FLOPs count the two products over the pairs that take \
          part (the tensor-core convention). Source: arXiv 1706.03762, 2305.13245 (grouped heads), 2205.14135 (lse).",
    operands: &[
        one("q", "float [b, i, h, d]"),
        one("k", "the same dtype, [b, j, g, d], `g` divides `h`"),
        one("v", "the same dtype, [b, j, g, e]"),
        optional("bias", "float [b|1, h|1, i|1, j|1], added to the scaled logits"),
    ],
    attrs: &[
        required("scale", AttrKind::Float, "factor of the logits, often `d^-0.5`"),
        defaulted("causal", AttrKind::Bool, || Attr::Bool(false), "whether later keys are hidden"),
        defaulted("offset", AttrKind::Dim, zero_dim, "position of query 0 among the keys"),
        defaulted(
            "window",
            AttrKind::Int,
            || Attr::Int(0),
            "how many keys a query sees at most; 0: all; needs `causal`",
        ),
    ],
    results: &[result("out", "[b, i, h, e], the dtype of `q`"), result("lse", "f32 [b, h, i]")],
    infer,
    meaning: Meaning::Decompose(decompose),
    work,
    vjp: Some(vjp),
};

/// With `P = e^(x - lse)`: `dV = P^T dO`, `dS = P (dO V^T - rowsum(dO O) + dlse)`, `dQ = scale dS K`, `dK = scale dS^T Q`.
fn vjp(
    b: &mut Builder<'_>,
    attrs: &Attrs,
    v: &[ValueId],
    results: &[ValueId],
    grads: &[Option<ValueId>],
) -> Result<Vec<Option<ValueId>>, Diagnostic> {
    let (q, k) = (b.ty(v[0]).clone(), b.ty(v[1]).clone());
    let wide = q.dtype.compute();
    let groups = k.shape[2].clone();
    let x = logits(b, attrs, v)?;
    let full = b.ty(x).shape.clone();
    let heads = &full[..4];
    let lse = b.cast(results[1], wide)?;
    let lse = b.reshape(lse, heads)?;
    // A query without keys has lse -inf and weights 0; -inf - -inf must not arise.
    let none = b.full(wide, f64::NEG_INFINITY, heads)?;
    let empty = b.map("eq", &[lse, none])?;
    let zero = b.full(wide, 0.0, heads)?;
    let lse = b.select(empty, zero, lse)?;
    let lse = b.broadcast(lse, &full, &[0, 1, 2, 3])?;
    let d = b.map("sub", &[x, lse])?;
    let p = b.map("exp", &[d])?;
    let [qw, kw, vw] = [v[0], v[1], v[2]].map(|t| b.cast(t, wide));
    let (qw, kw, vw) = (qw?, kw?, vw?);
    let qw = split_heads(b, qw, &groups)?;
    let mut inner = match grads[1] {
        Some(g) => {
            let g = b.cast(g, wide)?;
            b.reshape(g, heads)?
        }
        None => b.full(wide, 0.0, heads)?,
    };
    let mut dv = None;
    let mut dp = None;
    if let Some(g) = grads[0] {
        let [g, out] = [g, results[0]].map(|t| b.cast(t, wide));
        let (g, out) = (split_heads(b, g?, &groups)?, split_heads(b, out?, &groups)?);
        let delta = b.contract("bigre,bigre->bgri", &[g, out], wide)?;
        inner = b.map("sub", &[inner, delta])?;
        dv = Some(b.contract("bgrij,bigre->bjge", &[p, g], wide)?);
        dp = Some(b.contract("bigre,bjge->bgrij", &[g, vw], wide)?);
    }
    let inner = b.broadcast(inner, &full, &[0, 1, 2, 3])?;
    let ds = match dp {
        Some(dp) => b.map("add", &[dp, inner])?,
        None => inner,
    };
    let ds = b.map("mul", &[p, ds])?;
    let mut out = vec![];
    let dq = b.contract("bgrij,bjgd->bigrd", &[ds, kw], wide)?;
    let dk = b.contract("bgrij,bigrd->bjgd", &[ds, qw], wide)?;
    for (g, like) in [(dq, &q), (dk, &k)] {
        let g = b.map_scalar("mul", g, attrs.float("scale"))?;
        let g = b.reshape(g, &like.shape)?;
        out.push(Some(b.cast(g, q.dtype)?));
    }
    out.push(dv.map(|g| b.cast(g, q.dtype)).transpose()?);
    if let Some(bias) = v.get(3) {
        let ty = b.ty(*bias).clone();
        let logits = [&q.shape[0], &q.shape[2], &q.shape[1], &k.shape[1]].map(Clone::clone);
        let g = b.reshape(ds, &logits)?;
        let folded: Vec<i64> = (0..4).filter(|a| ty.shape[*a as usize] != logits[*a as usize]).collect();
        let g = b.reduce("sum", g, &folded)?;
        let g = b.reshape(g, &ty.shape)?;
        out.push(Some(b.cast(g, ty.dtype)?));
    }
    Ok(out)
}
