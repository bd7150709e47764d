//! The kernel description and its anchors.

use crate::custom::Custom;
use crate::expr::{ExprId, Exprs};
use crate::index::{Index, LoopVar};
use serde::{Deserialize, Serialize};
use tricot_types::{DType, Poly, Symbol};

/// One kernel: buffers in, buffers out, and the body between.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct KernelDesc {
    /// An identifier, unique in the module, made of the anchor and a content hash; the same on every target.
    pub name: String,
    /// Sizes passed at launch, in this order.
    pub symbols: Vec<Symbol>,
    /// Buffers passed at launch, in this order. No two alias unless they are the same entry.
    pub buffers: Vec<Buffer>,
    /// The arithmetic of the body.
    pub exprs: Exprs,
    pub body: Body,
}

/// A dense row-major buffer argument.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Buffer {
    /// For people and dumps.
    pub name: String,
    pub dtype: DType,
    /// Extents; the product is the number of elements that may be addressed.
    pub shape: Vec<Poly>,
    pub access: Access,
}

/// What the kernel does with a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    Read,
    /// Every element is written before the kernel ends, none is read.
    Write,
    ReadWrite,
}

/// The anchor of a kernel.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// Maps, reductions, normalisations, scans, gathers, scatters: loops over scalar expressions.
    Nest(Nest),
    /// A (batched) matrix product with any prologue and epilogue.
    Contraction(Contraction),
    /// A matrix product whose A operand is 2:4 compressed.
    SparseContraction(SparseContraction),
    /// Fused dot-product or trilinear attention.
    Attention(Attention),
    /// Code of the user's own.
    Custom(Custom),
}

/// A loop extent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    Size(Poly),
    /// An i64 expression of enclosing scope (a bag's length, say); negative counts as 0.
    Dynamic(ExprId),
}

/// `for var in 0..extent`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Loop {
    pub var: LoopVar,
    pub extent: Extent,
}

impl Loop {
    /// A loop of polynomial extent.
    pub fn new(var: LoopVar, extent: impl Into<Poly>) -> Loop {
        Loop { var, extent: Extent::Size(extent.into()) }
    }
}

/// For every point of the parallel loops, in any order: run the stages one after the other.
///
/// ```text
/// parallel i0, i1          softmax over the last axis of x[i0, i1, k]:
///   reduce  k: max(x)        stage 0
///   reduce  k: sum(exp(x - acc(0,0)))                stage 1
///   store   k: y = exp(x - acc(0,0)) / acc(1,0)      stage 2
/// ```
/// Points are independent: no point reads what another wrote. Within a point a later stage sees what an earlier stage
/// stored only through accumulators, except in a `Sequential` stage, which sees its own stores.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Nest {
    /// Extents here are always `Extent::Size`.
    pub parallel: Vec<Loop>,
    pub stages: Vec<Stage>,
}

/// One pass inside a point of the parallel loops.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Accumulates over the loops in any fixed order (a backend may use a tree); empty loops give the identity.
    Reduce { loops: Vec<Loop>, accs: Vec<Acc> },
    /// Stores at every point of the loops; no two points store to the same element.
    Store { loops: Vec<Loop>, stores: Vec<Store> },
    /// Runs the loops strictly in order: evaluates `next` of all carries and the stores with the old carries (a store may
    /// also use `next` expressions), then advances. Loads see earlier stores. Scans, scatters with repeated indices.
    Sequential { loops: Vec<Loop>, carries: Vec<Carry>, stores: Vec<Store> },
}

/// A running value of a `Sequential` stage.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Carry {
    pub dtype: DType,
    pub init: ExprId,
    pub next: ExprId,
}

/// An accumulator: `combine` over the values, held in `dtype`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Acc {
    pub combine: Combine,
    /// Type of the running value (f32 for 16-bit inputs). For `ArgMin`/`ArgMax` the type of the compared values; the
    /// result is the i64 row-major position in the stage's loops.
    pub dtype: DType,
    pub value: ExprId,
}

/// How an accumulator combines.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Combine {
    /// Identity 0.
    Sum,
    /// Identity 1.
    Prod,
    /// Identity +infinity or the largest integer; NaN wins.
    Min,
    /// Identity -infinity or the smallest integer; NaN wins.
    Max,
    /// Identity true.
    And,
    /// Identity false.
    Or,
    /// Position of the smallest value; ties go to the first, or the last if `last`. NaN counts as smallest.
    ArgMin { last: bool },
    /// Position of the largest value; ties go to the first, or the last if `last`. NaN counts as largest.
    ArgMax { last: bool },
}

/// `buffer[index] = value`, only where the guard holds if there is one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Store {
    pub buffer: u32,
    pub index: Index,
    /// Must have the buffer's dtype.
    pub value: ExprId,
    pub guard: Option<ExprId>,
}

/// `acc[batch, m, n] = sum_k a[batch, m, k] * b[batch, k, n]`, then the stores.
///
/// Each group is a list of loops (outermost first), so that einsums with split indices need no copy.
/// `a` and `b` are expressions over (batch, m, k) and (batch, k, n): a plain load is the fast case, anything else
/// a fused prologue. `stores` are over (batch, m, n) and read the sum as `Expr::Acc { stage: 0, acc: 0 }`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Contraction {
    pub batch: Vec<Loop>,
    pub m: Vec<Loop>,
    pub n: Vec<Loop>,
    pub k: Vec<Loop>,
    pub a: ExprId,
    pub b: ExprId,
    /// Accumulator type: f32 for f32 and narrower floats, f64, or i32 (int8) / i64.
    pub acc: DType,
    pub precision: Precision,
    pub stores: Vec<Store>,
}

/// How f32 products may be computed on tensor cores. An implementation choice with a budget.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Products of the operands' own dtype, exact up to the accumulator.
    Native,
    /// f32 operands rounded to tf32.
    Tf32,
    /// f32 operands split in two tf32 parts, three products.
    Tf32x3,
}

/// A [`Contraction`] whose A operand is stored 2:4 along k.
///
/// `values` is row-major `[batch…, m, k/2]`; `meta` is u8 `[batch…, m, k/8]`, one nibble a group of four, the lower group in the
/// low nibble; a nibble is `idx0 | idx1 << 2` with `idx0 < idx1` (PTX ISA, "Sparse matrix storage"). A group that
/// keeps fewer than two is padded with zeros at any free index.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SparseContraction {
    pub batch: Vec<Loop>,
    pub m: Loop,
    pub n: Vec<Loop>,
    /// The logical reduction; its extent is a multiple of 8.
    pub k: Loop,
    pub values: u32,
    pub meta: u32,
    /// Expression over (batch, k, n).
    pub b: ExprId,
    pub acc: DType,
    pub stores: Vec<Store>,
}

/// A strided tensor view with named axes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct View {
    pub buffer: u32,
    /// Element offset of the origin.
    pub offset: Poly,
    /// Element strides, in the axis order the user of the view documents.
    pub strides: Vec<Poly>,
}

/// Fused attention over tensors with axes (batch, sequence, head, feature).
///
/// Head `h` of q reads key/value head `h / (heads_q / heads_kv)`. Softmax is over all keys (dot) or the whole (j, k) rectangle
/// (trilinear), in f32; rows without a key give 0 and an LSE of -infinity. LSE is the natural logarithm.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Attention {
    pub kind: AttentionKind,
    pub batch: Poly,
    pub seq_q: Poly,
    pub seq_k: Poly,
    pub heads_q: Poly,
    pub heads_kv: Poly,
    /// Features of q and k.
    pub dim: u32,
    /// Features of v and of the output.
    pub dim_v: u32,
    /// Element type of q, k, v and the output.
    pub dtype: DType,
    pub scale_bits: u64,
    /// Axes (b, i, h, d).
    pub q: View,
    /// Axes (b, j, g, d).
    pub k: View,
    pub v: View,
    /// Axes (b, i, h, d).
    pub out: View,
    /// Axes (b, h, i), f32.
    pub lse: Option<View>,
}

/// Which attention.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttentionKind {
    /// Softmax of scaled q·k.
    Dot {
        /// Query i sees keys up to `i + offset`.
        causal_offset: Option<Poly>,
        /// Query i sees keys from `i + offset - window + 1` on; only with `causal_offset`.
        window: Option<u64>,
        /// Added to the scaled logits, f32 or the tensors' dtype; axes (b, h, i, j).
        bias: Option<(View, DType)>,
    },
    /// Trilinear attention (arXiv 2507.02754): `k`/`v` of the enclosing desc are k1/v1 with window `w1`.
    /// Query i sees `i - w1 < j <= i`, `i - w2 < l <= i`.
    Trilinear {
        w1: u64,
        w2: u64,
        k2: View,
        v2: View,
        /// f64 bits of constants added to k2 and v2.
        k2_bias_bits: u64,
        v2_bias_bits: u64,
    },
}
