//! `trilinear.determinant`: logits that are sums of 3x3 determinants, invariant under a joint rotation.

use super::attention::infer as infer_attention;
use super::{SCALE, W1, W2, pairs};
use crate::attr::Attrs;
use crate::builder::Builder;
use crate::check::Values;
use crate::graph::ValueId;
use crate::op::{Meaning, OpDef, OpView, Work, one, result};
use crate::ty::TensorType;
use tricot_types::{Diagnostic, Poly};

fn infer(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let out = infer_attention(view)?;
    let d = &view.operands[0].shape[3];
    match d.exact_div(&Poly::constant(3)) {
        Some(_) => Ok(out),
        None => Err(format!("the feature size {d} is not a multiple of 3")),
    }
}

/// As `trilinear.attention` with `2 d` features.
fn work(view: OpView<'_>) -> Work {
    let (q, v1) = (&view.operands[0], &view.operands[3]);
    let features = q.shape[3].clone() * Poly::constant(2) + v1.shape[3].clone();
    Work { flops: pairs(&view) * q.shape[0].clone() * q.shape[2].clone() * features * Poly::constant(2) }
}

/// Each triple `(x0, x1, x2)` of features turned left by `by` places.
fn turned(b: &mut Builder<'_>, x: ValueId, by: i64) -> Result<ValueId, Diagnostic> {
    let shape = b.ty(x).shape.clone();
    let mut triples = shape[..3].to_vec();
    triples.extend([shape[3].exact_div(&Poly::constant(3)).expect("verified"), Poly::constant(3)]);
    let x = b.reshape(x, &triples)?;
    let mut parts = vec![];
    for (start, size) in [(by, 3 - by), (0, by)] {
        let (mut from, mut many) = (vec![Poly::constant(0); 5], triples.clone());
        from[4] = Poly::constant(start);
        many[4] = Poly::constant(size);
        parts.push(b.slice(x, &from, &many, &[1; 5])?);
    }
    let joined = b.concat(&parts, 4)?;
    b.reshape(joined, &shape)
}

fn decompose(b: &mut Builder<'_>, attrs: &Attrs, v: &[ValueId]) -> Values {
    // det[a, b, c] = <a, (b1 b2 b0), (c2 c0 c1)> - <a, (b2 b0 b1), (c1 c2 c0)> (Sarrus)
    let negative = b.map("neg", &[v[0]])?;
    let q = b.concat(&[v[0], negative], 3)?;
    let (once, twice) = (turned(b, v[1], 1)?, turned(b, v[1], 2)?);
    let k1 = b.concat(&[once, twice], 3)?;
    let (once, twice) = (turned(b, v[2], 1)?, turned(b, v[2], 2)?);
    let k2 = b.concat(&[twice, once], 3)?;
    b.op("trilinear.attention", &[q, k1, k2, v[3], v[4]], attrs.clone())
}

pub static DETERMINANT: OpDef = OpDef {
    name: "trilinear.determinant",
    summary: "Trilinear attention whose logits are sums of determinants.",
    doc: "Features split into `p = d / 3` triples of neighbours; `x[b,h,i,j,k] = scale * sum_p det[q_p, k1_p, k2_p]`. All else is \
          `trilinear.attention`, to which it decomposes with `2 d` features by the rule of Sarrus. Source: arXiv 2507.02754, \
          equations 8 and 9.",
    operands: &[
        one("q", "float [b, s, h, d], `d` a multiple of 3"),
        one("k1", "the same dtype, [b, s, g, d]"),
        one("k2", "as `k1`"),
        one("v1", "the same dtype, [b, s, g, e]"),
        one("v2", "as `v1`"),
    ],
    attrs: &[W1, W2, SCALE],
    results: &[result("out", "[b, s, h, e], the dtype of `q`"), result("lse", "f32 [b, h, s]")],
    infer,
    meaning: Meaning::Decompose(decompose),
    work,
    vjp: Some(|b, attrs, v, _, g| crate::gradient::through_decomposition(&DETERMINANT, b, attrs, v, g)),
};
