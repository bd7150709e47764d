//! Fused attention: operands become strided views, nothing of size n² is stored.

use crate::eval::{Eval, Stop, internal};
use crate::flat::Flat;
use crate::nest::Lowered;
use std::collections::BTreeSet;
use tricot_dialects::{Node, TensorType, ValueId};
use tricot_kernel::{Access, Attention, AttentionKind, Body, Expr, View};
use tricot_types::DType;

/// Whether an attention op is kept whole: features known, element types the kernels have. Others decompose.
pub fn keeps(node: &Node, types: &[TensorType]) -> bool {
    let q = &types[0];
    let known = |t: &TensorType| t.shape[3].as_constant().is_some_and(|d| (1..=1 << 20).contains(&d));
    let float = matches!(q.dtype, DType::F32 | DType::F16 | DType::BF16);
    match node.op.name {
        "nn.attention" => {
            let bias = types.get(3).is_none_or(|b| b.dtype == DType::F32 || b.dtype == q.dtype);
            float && bias && known(q) && known(&types[2])
        }
        "trilinear.attention" => float && known(q) && known(&types[3]),
        _ => false,
    }
}

/// Whether an op is one of the two attentions.
pub fn is_attention(name: &str) -> bool {
    matches!(name, "nn.attention" | "trilinear.attention")
}

/// A value as a strided view of a stored buffer; anything else must be stored first.
fn view(ev: &mut Eval<'_>, v: ValueId) -> Result<View, Stop> {
    let (_, at) = ev.domain(&ev.flat.ty(v).shape);
    let e = ev.value(v, &at, None)?;
    match ev.exprs[e].expr.clone() {
        Expr::Load { buffer, index, guard: None } if index.is_affine() => {
            let stride =
                |c: &tricot_kernel::Index| c.affine.keys().next().map(|x| index.stride(*x)).unwrap_or_default();
            Ok(View { buffer, strides: at.iter().map(stride).collect(), offset: index.offset.clone() })
        }
        _ => Err(Stop::Store(v)),
    }
}

/// The kernel of an attention op; `root` is its first result.
pub fn lower(flat: &Flat, stored: &BTreeSet<ValueId>, root: ValueId) -> Result<Lowered, Stop> {
    let node = flat.node(root);
    let mut ev = Eval::new(flat, stored);
    let mut views = vec![];
    for o in node.operands() {
        views.push(view(&mut ev, *o)?);
    }
    let types: Vec<TensorType> = node.operands().iter().map(|o| flat.ty(*o).clone()).collect();
    let mut result = |v: ValueId| {
        let strides = crate::coords::strides(&flat.ty(v).shape);
        View { buffer: ev.buffer(v, Access::Write), offset: Default::default(), strides }
    };
    let out = result(root);
    let second = ValueId { node: root.node, result: 1 };
    let lse = stored.contains(&second).then(|| result(second));
    let dim = |t: &TensorType| t.shape[3].as_constant().and_then(|d| u32::try_from(d).ok());
    let (q, k) = (&types[0], &types[1]);
    let attrs = &node.attrs;
    let window = |name: &str| u64::try_from(attrs.int(name)).map_err(|_| internal(node, "a negative window"));
    let (kind, v) = match node.op.name {
        "nn.attention" => {
            let causal = attrs.bool("causal");
            let kind = AttentionKind::Dot {
                causal_offset: causal.then(|| attrs.dim("offset").clone()),
                window: Some(window("window")?).filter(|w| *w > 0 && causal),
                bias: views.get(3).map(|v| (v.clone(), types[3].dtype)),
            };
            (kind, 2)
        }
        _ => {
            let kind = AttentionKind::Trilinear {
                w1: window("w1")?,
                w2: window("w2")?,
                k2: views[2].clone(),
                v2: views[4].clone(),
                k2_bias_bits: attrs.float("k2_bias").to_bits(),
                v2_bias_bits: attrs.float("v2_bias").to_bits(),
            };
            (kind, 3)
        }
    };
    let (Some(dim_qk), Some(dim_v)) = (dim(q), dim(&types[v])) else {
        return Err(internal(node, "feature sizes must be known"));
    };
    let body = Attention {
        kind,
        batch: q.shape[0].clone(),
        seq_q: q.shape[1].clone(),
        seq_k: k.shape[1].clone(),
        heads_q: q.shape[2].clone(),
        heads_kv: k.shape[2].clone(),
        dim: dim_qk,
        dim_v,
        dtype: q.dtype,
        scale_bits: attrs.float("scale").to_bits(),
        q: views[0].clone(),
        k: views[1].clone(),
        v: views[v].clone(),
        out,
        lse,
    };
    ev.exprs = Default::default();
    ev.inlined.extend([root, second]);
    Ok(Lowered::new(ev, Body::Attention(body)))
}
