//! `trilinear.attention_backward`.

use super::{K2_BIAS, SCALE, V2_BIAS, W1, W2, biased, check, logits, pairs, split_heads};
use crate::attr::Attrs;
use crate::builder::Builder;
use crate::check::{Values, dtype, shape};
use crate::graph::ValueId;
use crate::op::{Meaning, OpDef, OpView, Work, one, result};
use crate::ty::TensorType;
use tricot_types::{DType, Poly};

fn infer(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    check(&view)?;
    let (q, v1) = (&view.operands[0], &view.operands[3]);
    let out = [&q.shape[0], &q.shape[1], &q.shape[2], &v1.shape[3]].map(Clone::clone);
    for (at, name) in [(5, "out"), (7, "dout")] {
        dtype(&view.operands[at], name, q.dtype)?;
        shape(&view.operands[at], name, &out)?;
    }
    dtype(&view.operands[6], "lse", DType::F32)?;
    shape(&view.operands[6], "lse", &[&q.shape[0], &q.shape[2], &q.shape[1]].map(Clone::clone))?;
    Ok(view.operands[..5].to_vec())
}

/// Six products over the pairs: logits, dP, and one each for dQ with dK1, dK2, dV1, dV2 where sharing is counted once.
fn work(view: OpView<'_>) -> Work {
    let (q, v1) = (&view.operands[0], &view.operands[3]);
    let features = q.shape[3].clone() + v1.shape[3].clone();
    Work { flops: pairs(&view) * q.shape[0].clone() * q.shape[2].clone() * features * Poly::constant(6) }
}

fn decompose(b: &mut Builder<'_>, attrs: &Attrs, v: &[ValueId]) -> Values {
    let types: Vec<_> = v.iter().map(|x| b.ty(*x).clone()).collect();
    let wide = types[0].dtype.compute();
    let groups = types[1].shape[2].clone();
    let mut wides = vec![];
    for (at, bias) in [(0, 0.0), (1, 0.0), (2, attrs.float("k2_bias")), (3, 0.0), (4, attrs.float("v2_bias"))] {
        wides.push(biased(b, v[at], bias)?);
    }
    let [q, k1, k2, v1, v2] = wides[..] else { unreachable!("five operands") };
    let (out, dout) = (b.cast(v[5], wide)?, b.cast(v[7], wide)?);
    let q = split_heads(b, q, &groups)?;
    let (out, dout) = (split_heads(b, out, &groups)?, split_heads(b, dout, &groups)?);
    let x = logits(b, attrs, q, k1, k2)?;
    let full = b.ty(x).shape.clone();
    let lse = b.cast(v[6], wide)?;
    let lse = b.reshape(lse, &full[..4])?;
    let lse = b.broadcast(lse, &full, &[0, 1, 2, 3])?;
    let d = b.map("sub", &[x, lse])?;
    let p = b.map("exp", &[d])?;
    let dv1 = b.contract("bgrijk,bigre,bkge->bjge", &[p, dout, v2], wide)?;
    let dv2 = b.contract("bgrijk,bigre,bjge->bkge", &[p, dout, v1], wide)?;
    let dp = b.contract("bigre,bjge,bkge->bgrijk", &[dout, v1, v2], wide)?;
    let delta = b.contract("bigre,bigre->bgri", &[dout, out], wide)?;
    let delta = b.broadcast(delta, &full, &[0, 1, 2, 3])?;
    let inner = b.map("sub", &[dp, delta])?;
    let ds = b.map("mul", &[p, inner])?;
    let dq = b.contract("bgrijk,bjgd,bkgd->bigrd", &[ds, k1, k2], wide)?;
    let dk1 = b.contract("bgrijk,bigrd,bkgd->bjgd", &[ds, q, k2], wide)?;
    let dk2 = b.contract("bgrijk,bigrd,bjgd->bkgd", &[ds, q, k1], wide)?;
    let mut results = vec![];
    for (at, (g, scaled)) in [(dq, true), (dk1, true), (dk2, true), (dv1, false), (dv2, false)].into_iter().enumerate()
    {
        let g = if scaled { b.map_scalar("mul", g, attrs.float("scale"))? } else { g };
        let g = b.reshape(g, &types[at].shape)?;
        results.push(b.cast(g, types[at].dtype)?);
    }
    Ok(results)
}

pub static ATTENTION_BACKWARD: OpDef = OpDef {
    name: "trilinear.attention_backward",
    summary: "Gradients of `trilinear.attention`.",
    doc: "With `x` the masked logits, `P = e^(x - lse)`, `D[i] = sum_e dout out`: `dv1[j] = sum P dout v2[k]`, `dv2[k] = sum P dout \
          v1[j]`, `dP = sum_e dout v1[j] v2[k]`, `dS = P (dP - D)`, `dq[i] = scale sum dS k1[j] k2[k]`, `dk1[j] = scale sum dS q[i] \
          k2[k]`, `dk2[k] = scale sum dS q[i] k1[j]`, with the biases of the forward added to `k2` and `v2`; sums also run over the query \
          heads of a key head. FLOPs count six products over the pairs. Source: arXiv 2507.02754, equations 10 to 16.",
    operands: &[
        one("q", "float [b, s, h, d]"),
        one("k1", "the same dtype, [b, s, g, d]"),
        one("k2", "as `k1`"),
        one("v1", "the same dtype, [b, s, g, e]"),
        one("v2", "as `v1`"),
        one("out", "result of the forward, [b, s, h, e]"),
        one("lse", "result of the forward, f32 [b, h, s]"),
        one("dout", "gradient of `out`"),
    ],
    attrs: &[W1, W2, SCALE, K2_BIAS, V2_BIAS],
    results: &[
        result("dq", "type of `q`"),
        result("dk1", "type of `k1`"),
        result("dk2", "type of `k2`"),
        result("dv1", "type of `v1`"),
        result("dv2", "type of `v2`"),
    ],
    infer,
    meaning: Meaning::Decompose(decompose),
    work,
    vjp: None,
};
