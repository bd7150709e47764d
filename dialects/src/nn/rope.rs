//! Rotary position embedding.

use crate::attr::{Attr, AttrKind, Attrs};
use crate::builder::Builder;
use crate::check::{Values, float, rank, wide};
use crate::graph::ValueId;
use crate::op::{Meaning, OpDef, OpView, Work, defaulted, one, result};
use crate::ty::TensorType;
use tricot_types::Poly;

fn infer(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let x = &view.operands[0];
    float(x, "x")?;
    rank(x, "x", 4)?;
    let Some(half) = x.shape[3].exact_div(&Poly::constant(2)) else {
        return Err(format!("the feature size {} is not even", x.shape[3]));
    };
    for (t, name) in view.operands[1..].iter().zip(["cos", "sin"]) {
        float(t, name)?;
        let table = [x.shape[1].clone(), half.clone()];
        let each = [x.shape[0].clone(), x.shape[1].clone(), half.clone()];
        if t.shape != table && t.shape != each {
            let wanted = [t.with_shape(table.to_vec()), t.with_shape(each.to_vec())];
            return Err(format!("{name} is {t}, expected {} or {}", wanted[0], wanted[1]));
        }
    }
    Ok(vec![x.clone()])
}

/// Two products and a sum an element.
fn work(view: OpView<'_>) -> Work {
    Work { flops: view.operands[0].elements() * Poly::constant(3) }
}

fn decompose(b: &mut Builder<'_>, attrs: &Attrs, v: &[ValueId]) -> Values {
    wide(b, v[0], |b, x| {
        let ty = b.ty(x).clone();
        let half = ty.shape[3].exact_div(&Poly::constant(2)).expect("verified");
        let [zero, one] = [Poly::constant(0), Poly::constant(1)];
        // The two members of each pair, [b, s, h, d / 2].
        let part = |b: &mut Builder<'_>, second: bool| {
            if attrs.bool("interleaved") {
                let mut pairs = ty.shape[..3].to_vec();
                pairs.extend([half.clone(), Poly::constant(2)]);
                let x = b.reshape(x, &pairs)?;
                let mut start = vec![zero.clone(); 5];
                start[4] = if second { one.clone() } else { zero.clone() };
                pairs[4] = one.clone();
                let p = b.slice(x, &start, &pairs, &[1; 5])?;
                b.reshape(p, &pairs[..4])
            } else {
                let mut start = vec![zero.clone(); 4];
                start[3] = if second { half.clone() } else { zero.clone() };
                let mut size = ty.shape.clone();
                size[3] = half.clone();
                b.slice(x, &start, &size, &[1; 4])
            }
        };
        let (first, second) = (part(b, false)?, part(b, true)?);
        let shape = b.ty(first).shape.clone();
        let angle = |b: &mut Builder<'_>, t: ValueId| {
            let t = b.cast(t, ty.dtype)?;
            let axes: &[i64] = if b.ty(t).rank() == 2 { &[1, 3] } else { &[0, 1, 3] };
            b.broadcast(t, &shape, axes)
        };
        let (cos, sin) = (angle(b, v[1])?, angle(b, v[2])?);
        let (fc, ss) = (b.map("mul", &[first, cos])?, b.map("mul", &[second, sin])?);
        let (fs, sc) = (b.map("mul", &[first, sin])?, b.map("mul", &[second, cos])?);
        let (low, high) = (b.map("sub", &[fc, ss])?, b.map("add", &[fs, sc])?);
        if !attrs.bool("interleaved") {
            return b.concat(&[low, high], 3);
        }
        let mut single = shape.clone();
        single.push(one);
        let (low, high) = (b.reshape(low, &single)?, b.reshape(high, &single)?);
        let pairs = b.concat(&[low, high], 4)?;
        b.reshape(pairs, &ty.shape)
    })
}

pub static ROPE: OpDef = OpDef {
    name: "nn.rope",
    summary: "Rotary position embedding: turns pairs of features by an angle per position.",
    doc: "Pair `p` of position `s`: `(a, b) -> (a cos - b sin, a sin + b cos)` with the table entries `[s, p]`. The pair is `(x[p], \
          x[p + d/2])`, or `(x[2p], x[2p + 1])` if `interleaved`. Source: arXiv 2104.09864.",
    operands: &[
        one("x", "float [b, s, h, d], `d` even"),
        one("cos", "float [s, d/2] or [b, s, d/2]"),
        one("sin", "as `cos`"),
    ],
    attrs: &[defaulted("interleaved", AttrKind::Bool, || Attr::Bool(false), "pairs are neighbours")],
    results: &[result("y", "the type of `x`")],
    infer,
    meaning: Meaning::Decompose(decompose),
    work,
    vjp: Some(|b, attrs, v, _, g| crate::gradient::through_decomposition(&ROPE, b, attrs, v, g)),
};
