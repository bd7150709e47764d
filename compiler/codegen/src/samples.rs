//! Descriptions that exercise the tensor-core families, for the tests of this crate and on devices.

use tricot_kernel::{
    Access, Attention, AttentionKind, Binary, Body, Buffer, CastMode, Contraction, Expr, Exprs, Index, KernelDesc,
    Loop, LoopVar, Precision, SparseContraction, Store, View,
};
use tricot_types::{DType, Poly};

/// A product `[b, m, n] = [b, m, k] * [b, k, n]` in the given majors, with an optional bias over n.
pub struct Gemm {
    pub dtype: DType,
    pub out: DType,
    pub batch: Poly,
    pub m: Poly,
    pub n: Poly,
    pub k: Poly,
    pub a_k_major: bool,
    pub b_k_major: bool,
    pub bias: bool,
}

impl Gemm {
    /// K-major operands, no batch, no bias, the output of the operands' type.
    pub fn new(dtype: DType, m: i64, n: i64, k: i64) -> Gemm {
        let [m, n, k] = [m, n, k].map(Poly::constant);
        Gemm { dtype, out: dtype, batch: 1.into(), m, n, k, a_k_major: true, b_k_major: true, bias: false }
    }

    /// The description.
    pub fn desc(&self, name: &str) -> KernelDesc {
        let [bv, mv, nv, kv] = [0, 1, 2, 3].map(LoopVar);
        let Gemm { batch, m, n, k, .. } = self;
        let (mk, nk, mn) = (m.clone() * k.clone(), n.clone() * k.clone(), m.clone() * n.clone());
        let a = Index::zero().plus(bv, mk);
        let a = if self.a_k_major { a.plus(mv, k.clone()).plus(kv, 1) } else { a.plus(mv, 1).plus(kv, m.clone()) };
        let b = Index::zero().plus(bv, nk);
        let b = if self.b_k_major { b.plus(nv, k.clone()).plus(kv, 1) } else { b.plus(nv, 1).plus(kv, n.clone()) };
        let mut exprs = Exprs::default();
        let a = exprs.load(self.dtype, 0, a);
        let b = exprs.load(self.dtype, 1, b);
        let mut sum = exprs.push(DType::F32, Expr::Acc { stage: 0, acc: 0 });
        if self.bias {
            let bias = exprs.load(DType::F32, 3, Index::zero().plus(nv, 1));
            sum = exprs.binary(Binary::Add, sum, bias);
        }
        let value = exprs.cast(sum, self.out, CastMode::Round);
        let index = Index::zero().plus(bv, mn).plus(mv, n.clone()).plus(nv, 1);
        let buffer = |name: &str, dtype, shape: &[&Poly], access| Buffer {
            name: name.into(),
            dtype,
            shape: shape.iter().map(|p| (*p).clone()).collect(),
            access,
        };
        let mut buffers = vec![
            buffer("a", self.dtype, &[batch, m, k], Access::Read),
            buffer("b", self.dtype, &[batch, n, k], Access::Read),
            buffer("out", self.out, &[batch, m, n], Access::Write),
        ];
        if self.bias {
            buffers.push(buffer("bias", DType::F32, &[n], Access::Read));
        }
        let mut symbols = vec![];
        for p in [batch, m, n, k] {
            p.visit_symbols(&mut |s| symbols.push(s.clone()));
        }
        KernelDesc {
            name: name.into(),
            symbols,
            buffers,
            exprs,
            body: Body::Contraction(Contraction {
                batch: vec![Loop::new(bv, batch.clone())],
                m: vec![Loop::new(mv, m.clone())],
                n: vec![Loop::new(nv, n.clone())],
                k: vec![Loop::new(kv, k.clone())],
                a,
                b,
                acc: DType::F32,
                precision: Precision::Native,
                stores: vec![Store { buffer: 2, index, value, guard: None }],
            }),
        }
    }
}

/// Attention over contiguous [batch, sequence, heads, features] tensors.
pub struct Sizes {
    pub dtype: DType,
    pub batch: Poly,
    pub seq: Poly,
    pub seq_k: Poly,
    pub heads: i64,
    pub heads_kv: i64,
    pub dim: u32,
}

impl Sizes {
    /// The description; trilinear with windows, dot-product attention without.
    pub fn desc(&self, name: &str, windows: Option<(u64, u64)>, causal: bool) -> KernelDesc {
        let mut buffers: Vec<Buffer> = vec![];
        let mut tensor = |name: &str, heads: i64, seq: &Poly, access| {
            let dim = Poly::constant(i64::from(self.dim));
            let row = Poly::constant(heads) * dim.clone();
            buffers.push(Buffer {
                name: name.into(),
                dtype: self.dtype,
                shape: vec![self.batch.clone(), seq.clone(), heads.into(), dim.clone()],
                access,
            });
            let strides = vec![seq.clone() * row.clone(), row, dim, 1.into()];
            View { buffer: buffers.len() as u32 - 1, offset: Poly::default(), strides }
        };
        let q = tensor("q", self.heads, &self.seq, Access::Read);
        let k = tensor("k", self.heads_kv, &self.seq_k, Access::Read);
        let v = tensor("v", self.heads_kv, &self.seq_k, Access::Read);
        let k2 = tensor("k2", self.heads_kv, &self.seq_k, Access::Read);
        let v2 = tensor("v2", self.heads_kv, &self.seq_k, Access::Read);
        let out = tensor("out", self.heads, &self.seq, Access::Write);
        let lse = View {
            buffer: buffers.len() as u32,
            offset: Poly::default(),
            strides: vec![Poly::constant(self.heads) * self.seq.clone(), self.seq.clone(), 1.into()],
        };
        let shape = vec![self.batch.clone(), self.heads.into(), self.seq.clone()];
        buffers.push(Buffer { name: "lse".into(), dtype: DType::F32, shape, access: Access::Write });
        let mut symbols = vec![];
        for p in [&self.batch, &self.seq, &self.seq_k] {
            p.visit_symbols(&mut |s| {
                if !symbols.contains(s) {
                    symbols.push(s.clone());
                }
            });
        }
        let kind = match windows {
            Some((w1, w2)) => AttentionKind::Trilinear { w1, w2, k2, v2, k2_bias_bits: 0, v2_bias_bits: 0 },
            None => AttentionKind::Dot { causal_offset: causal.then(Poly::default), window: None, bias: None },
        };
        KernelDesc {
            name: name.into(),
            symbols,
            buffers,
            exprs: Exprs::default(),
            body: Body::Attention(Attention {
                kind,
                batch: self.batch.clone(),
                seq_q: self.seq.clone(),
                seq_k: self.seq_k.clone(),
                heads_q: self.heads.into(),
                heads_kv: self.heads_kv.into(),
                dim: self.dim,
                dim_v: self.dim,
                dtype: self.dtype,
                scale_bits: f64::from(self.dim).powf(-0.5).to_bits(),
                q,
                k,
                v,
                out,
                lse: Some(lse),
            }),
        }
    }
}

/// `[m, n] = sparse [m, k] * [k, n]`, the output n-contiguous or m-contiguous.
pub fn sparse(dtype: DType, (m, n, k): (i64, i64, i64), b_k_major: bool, transposed: bool) -> KernelDesc {
    let [mv, nv, kv] = [0, 1, 2].map(LoopVar);
    let mut exprs = Exprs::default();
    let b = if b_k_major { Index::zero().plus(nv, k).plus(kv, 1) } else { Index::zero().plus(nv, 1).plus(kv, n) };
    let b = exprs.load(dtype, 2, b);
    let sum = exprs.push(DType::F32, Expr::Acc { stage: 0, acc: 0 });
    let value = exprs.cast(sum, dtype, CastMode::Round);
    let index = if transposed { Index::zero().plus(mv, 1).plus(nv, m) } else { Index::zero().plus(mv, n).plus(nv, 1) };
    let buffer = |name: &str, dtype, rows: i64, cols: i64, access| Buffer {
        name: name.into(),
        dtype,
        shape: vec![rows.into(), cols.into()],
        access,
    };
    KernelDesc {
        name: "sp".into(),
        symbols: vec![],
        buffers: vec![
            buffer("values", dtype, m, k / 2, Access::Read),
            buffer("meta", DType::U8, m, k / 8, Access::Read),
            buffer("b", dtype, k, n, Access::Read),
            buffer("out", dtype, m, n, Access::Write),
        ],
        exprs,
        body: Body::SparseContraction(SparseContraction {
            batch: vec![],
            m: Loop::new(mv, m),
            n: vec![Loop::new(nv, n)],
            k: Loop::new(kv, k),
            values: 0,
            meta: 1,
            b,
            acc: DType::F32,
            stores: vec![Store { buffer: 3, index, value, guard: None }],
        }),
    }
}
