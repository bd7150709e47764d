//! `trilinear.attention`.

use super::{K2_BIAS, SCALE, V2_BIAS, W1, W2, biased, check, logits, pairs, rounded, split_heads, weights};
use crate::attr::Attrs;
use crate::builder::Builder;
use crate::check::Values;
use crate::graph::ValueId;
use crate::op::{Meaning, OpDef, OpView, Work, one, result};
use crate::ty::TensorType;
use tricot_types::{DType, Diagnostic, Poly};

pub(super) fn infer(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    check(&view)?;
    let (q, v1) = (&view.operands[0], &view.operands[3]);
    let out = [&q.shape[0], &q.shape[1], &q.shape[2], &v1.shape[3]];
    let lse = [&q.shape[0], &q.shape[2], &q.shape[1]];
    Ok(vec![TensorType::new(q.dtype, out.map(Clone::clone)), TensorType::new(DType::F32, lse.map(Clone::clone))])
}

/// Tensor-core convention: per pair of keys a multiply-add for each feature of the logits and of the values.
pub(super) fn work(view: OpView<'_>) -> Work {
    let (q, v1) = (&view.operands[0], &view.operands[3]);
    let features = q.shape[3].clone() + v1.shape[3].clone();
    Work { flops: pairs(&view) * q.shape[0].clone() * q.shape[2].clone() * features * Poly::constant(2) }
}

fn decompose(b: &mut Builder<'_>, attrs: &Attrs, v: &[ValueId]) -> Values {
    let (q, value) = (b.ty(v[0]).clone(), b.ty(v[3]).clone());
    let wide = q.dtype.compute();
    let groups = b.ty(v[1]).shape[2].clone();
    let grouped = biased(b, v[0], 0.0)?;
    let grouped = split_heads(b, grouped, &groups)?;
    let (k1, k2) = (biased(b, v[1], 0.0)?, biased(b, v[2], attrs.float("k2_bias"))?);
    let (v1, v2) = (biased(b, v[3], 0.0)?, biased(b, v[4], attrs.float("v2_bias"))?);
    let x = logits(b, attrs, grouped, k1, k2)?;
    let (p, lse) = weights(b, x, &[4, 5])?;
    let p = rounded(b, p, q.dtype)?;
    let out = b.contract("bgrijk,bjge,bkge->bigre", &[p, v1, v2], wide)?;
    let out = b.cast(out, q.dtype)?;
    let out = b.reshape(out, &[&q.shape[0], &q.shape[1], &q.shape[2], &value.shape[3]].map(Clone::clone))?;
    let lse = b.reshape(lse, &[&q.shape[0], &q.shape[2], &q.shape[1]].map(Clone::clone))?;
    Ok(vec![out, b.cast(lse, DType::F32)?])
}

/// Through `trilinear.attention_backward`; a gradient of the lse goes through the decomposition.
fn vjp(
    b: &mut Builder<'_>,
    attrs: &Attrs,
    v: &[ValueId],
    results: &[ValueId],
    grads: &[Option<ValueId>],
) -> Result<Vec<Option<ValueId>>, Diagnostic> {
    match (grads[0], grads[1]) {
        (Some(dout), None) => {
            let mut operands = v.to_vec();
            operands.extend([results[0], results[1], dout]);
            let out = b.op("trilinear.attention_backward", &operands, attrs.clone())?;
            Ok(out.into_iter().map(Some).collect())
        }
        _ => crate::gradient::through_decomposition(&ATTENTION, b, attrs, v, grads),
    }
}

pub static ATTENTION: OpDef = OpDef {
    name: "trilinear.attention",
    summary: "Attention over pairs of keys in two causal windows (2-simplicial attention).",
    doc: "Query head `h` reads key head `g = h / (heads(q) / heads(k1))`. For `i - w1 < j <= i` and `i - w2 < k <= i`, both clipped to the \
          sequence: `x[b,h,i,j,k] = scale * sum_d q[b,i,h,d] k1[b,j,g,d] (k2[b,k,g,d] + k2_bias)`; `P` is the softmax of `x` jointly over \
          `(j, k)`; `out[b,i,h,e] = sum_jk P v1[b,j,g,e] (v2[b,k,g,e] + v2_bias)`; `lse[b,h,i] = log sum_jk e^x`. `j` and `k` are \
          independent of each other. Logits, weights and sums are held in f32 for 16- and 8-bit floats, attributes rounded to f32 for all but f64; \
          weights are rounded to a 16-bit type of the operands before they meet the values. FLOPs in the tensor-core \
          convention: `2 b h (d + e) sum_i min(i+1, w1) min(i+1, w2)`; a symbolic length counts as at least both windows. Source: \
          arXiv 2507.02754, equations 5 to 7.",
    operands: &[
        one("q", "float [b, s, h, d]"),
        one("k1", "the same dtype, [b, s, g, d], `g` divides `h`"),
        one("k2", "as `k1`"),
        one("v1", "the same dtype, [b, s, g, e]"),
        one("v2", "as `v1`"),
    ],
    attrs: &[W1, W2, SCALE, K2_BIAS, V2_BIAS],
    results: &[result("out", "[b, s, h, e], the dtype of `q`"), result("lse", "f32 [b, h, s], natural logarithm")],
    infer,
    meaning: Meaning::Decompose(decompose),
    work,
    vjp: Some(vjp),
};
