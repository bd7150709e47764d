//! Fused attention, dot and trilinear.

use crate::harness::*;
use rand::RngExt;
use tricot_kernel::*;
use tricot_types::{DType, Poly};

/// Strides of a tensor with axes (batch, sequence, head, feature); heads outside the sequence with `heads_first`.
fn view(buffer: u32, seq: &Poly, heads: &Poly, dim: i64, heads_first: bool) -> View {
    let dim_ = Poly::constant(dim);
    let (s, h) = if heads_first {
        (dim_.clone(), seq.clone() * dim_.clone())
    } else {
        (heads.clone() * dim_.clone(), dim_.clone())
    };
    View { buffer, offset: Poly::default(), strides: vec![seq.clone() * heads.clone() * dim_, s, h, Poly::constant(1)] }
}

struct Setup {
    dtype: DType,
    batch: i64,
    q: i64,
    k: i64,
    hq: i64,
    hkv: i64,
    dim: i64,
    dim_v: i64,
    heads_first: bool,
    lse: bool,
}

fn attention(s: &Setup, kind: impl FnOnce(&mut Vec<Buffer>) -> AttentionKind) -> Case {
    let shape = |seq: &str, heads: &str, dim: i64| [sym("b"), sym(seq), sym(heads), Poly::constant(dim)];
    let mut buffers = vec![
        buffer("q", s.dtype, &shape("q", "h", s.dim), Access::Read),
        buffer("k", s.dtype, &shape("k", "g", s.dim), Access::Read),
        buffer("v", s.dtype, &shape("k", "g", s.dim_v), Access::Read),
        buffer("out", s.dtype, &shape("q", "h", s.dim_v), Access::Write),
    ];
    let mut lse = None;
    if s.lse {
        let strides = vec![sym("h") * sym("q"), sym("q"), Poly::constant(1)];
        lse = Some(View { buffer: buffers.len() as u32, offset: Poly::default(), strides });
        buffers.push(buffer("lse", DType::F32, &[sym("b"), sym("h"), sym("q")], Access::Write));
    }
    let kind = kind(&mut buffers);
    let (q, k) = (sym("q"), sym("k"));
    let body = Attention {
        kind,
        batch: sym("b"),
        seq_q: q.clone(),
        seq_k: k.clone(),
        heads_q: sym("h"),
        heads_kv: sym("g"),
        dim: s.dim as u32,
        dim_v: s.dim_v as u32,
        dtype: s.dtype,
        scale_bits: (1.0 / (s.dim as f64).sqrt()).to_bits(),
        q: view(0, &q, &sym("h"), s.dim, s.heads_first),
        k: view(1, &k, &sym("g"), s.dim, s.heads_first),
        v: view(2, &k, &sym("g"), s.dim_v, s.heads_first),
        out: view(3, &q, &sym("h"), s.dim_v, s.heads_first),
        lse,
    };
    let desc = KernelDesc {
        name: format!("attention {} {}x{} {}", s.dtype, s.q, s.k, s.dim),
        symbols: ["b", "q", "k", "h", "g"].map(symbol).to_vec(),
        buffers,
        exprs: Exprs::default(),
        body: Body::Attention(body),
    };
    let mut case = Case::new(desc);
    for (name, size) in [("b", s.batch), ("q", s.q), ("k", s.k), ("h", s.hq), ("g", s.hkv)] {
        case = case.with(name, size);
    }
    case.scale = 1.5;
    case
}

#[test]
fn dot_attention() {
    let mut rng = seeded(21);
    for dtype in [DType::F32, DType::BF16, DType::F64, DType::F16] {
        for (q, k, dim, dim_v) in
            [(1, 1, 4, 4), (70, 70, 16, 8), (3, 300, 33, 20), (130, 9, 64, 64), (5, 0, 8, 8), (0, 5, 8, 8)]
        {
            for variant in 0..5 {
                let group = rng.random_range(1..=2);
                let s = Setup {
                    dtype,
                    batch: rng.random_range(1..3),
                    q,
                    k,
                    hq: 2 * group,
                    hkv: 2,
                    dim,
                    dim_v,
                    heads_first: rng.random(),
                    lse: rng.random(),
                };
                attention(&s, |buffers| {
                    let causal_offset = (variant >= 1).then(|| match variant {
                        1 => Poly::constant(0),
                        _ => sym("k") - sym("q"),
                    });
                    let window = (variant == 3).then_some(7);
                    let bias = (variant == 4 || variant == 0 && q == 70).then(|| {
                        let t = if variant == 4 { DType::F32 } else { dtype };
                        buffers.push(buffer("bias", t, &[sym("h"), sym("q"), sym("k")], Access::Read));
                        // Broadcast over the batch.
                        let strides = vec![Poly::default(), sym("q") * sym("k"), sym("k"), Poly::constant(1)];
                        (View { buffer: buffers.len() as u32 - 1, offset: Poly::default(), strides }, t)
                    });
                    AttentionKind::Dot { causal_offset, window, bias }
                })
                .check(if dtype == DType::F64 { 1e-7 } else { tolerance(dtype) });
            }
        }
    }
}

#[test]
fn trilinear_attention() {
    let mut rng = seeded(22);
    for dtype in [DType::F32, DType::BF16, DType::F64] {
        for (n, dim, w1, w2, biased) in [
            (1, 4, 1, 1, false),
            (20, 8, 5, 3, true),
            (70, 16, 4, 20, false),
            (33, 20, 100, 100, true),
            (150, 8, 140, 2, false),
        ] {
            let group = rng.random_range(1..=2);
            let s = Setup {
                dtype,
                batch: rng.random_range(1..3),
                q: n,
                k: n,
                hq: group,
                hkv: 1,
                dim,
                dim_v: dim + 4,
                heads_first: rng.random(),
                lse: true,
            };
            let case = attention(&s, |buffers| {
                let first = buffers.len() as u32;
                let shape = |d: i64| [sym("b"), sym("k"), sym("g"), Poly::constant(d)];
                buffers.push(buffer("k2", dtype, &shape(s.dim), Access::Read));
                buffers.push(buffer("v2", dtype, &shape(s.dim_v), Access::Read));
                AttentionKind::Trilinear {
                    w1,
                    w2,
                    k2: view(first, &sym("k"), &sym("g"), s.dim, s.heads_first),
                    v2: view(first + 1, &sym("k"), &sym("g"), s.dim_v, s.heads_first),
                    k2_bias_bits: if biased { (1.0 / dim as f64).to_bits() } else { 0 },
                    v2_bias_bits: if biased { 1.0f64.to_bits() } else { 0 },
                }
            });
            case.check(if dtype == DType::F64 { 1e-7 } else { tolerance(dtype) });
        }
    }
}
