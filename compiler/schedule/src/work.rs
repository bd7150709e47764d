//! What a kernel does, counted: scalar operations, matrix products, bytes.
//!
//! The central type is [`Count`]. Loops and accesses of a description are counted in a [`Number`]: f64 at the symbols' hints for costs,
//! polynomials for plans ([`work`]). It knows no graph node, no rate and no instruction.

use std::collections::{BTreeMap, BTreeSet};
use tricot_kernel::{
    Attention, AttentionKind, Binary, Body, Expr, ExprId, Extent, Index, KernelDesc, Loop, LoopVar, Stage, Store, Unary,
};
use tricot_plan::{Units, Work};
use tricot_types::{DType, Poly, SymbolTable};

/// What a loop whose length depends on data is taken to run.
const DYNAMIC: i64 = 16;
/// Simple operations in one of the slow functions.
const SLOW: i64 = 4;

/// What counts are made of.
pub(crate) trait Number: Clone {
    fn of(size: &Poly, symbols: &SymbolTable) -> Self;
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    /// A division whose rest does not matter.
    fn over(self, divisor: i64) -> Self;
    /// The value at the hints, by which the smaller of two numbers is told.
    fn at_hints(&self) -> f64;

    fn min(self, other: Self) -> Self {
        if self.at_hints() <= other.at_hints() { self } else { other }
    }
}

impl Number for f64 {
    fn of(size: &Poly, symbols: &SymbolTable) -> f64 {
        size.hint(symbols).max(0.0)
    }

    fn plus(self, other: f64) -> f64 {
        self + other
    }

    fn times(self, other: f64) -> f64 {
        self * other
    }

    fn over(self, divisor: i64) -> f64 {
        self / divisor as f64
    }

    fn at_hints(&self) -> f64 {
        *self
    }
}

/// A polynomial with its value at the hints; none once a coefficient overflowed.
#[derive(Clone)]
struct Exact {
    poly: Option<Poly>,
    hint: f64,
}

impl Number for Exact {
    fn of(size: &Poly, symbols: &SymbolTable) -> Exact {
        Exact { poly: Some(size.clone()), hint: f64::of(size, symbols) }
    }

    fn plus(self, other: Exact) -> Exact {
        let poly = self.poly.zip(other.poly).and_then(|(a, b)| a.checked_add(&b));
        Exact { poly, hint: self.hint + other.hint }
    }

    fn times(self, other: Exact) -> Exact {
        let poly = self.poly.zip(other.poly).and_then(|(a, b)| a.checked_mul(&b));
        Exact { poly, hint: self.hint * other.hint }
    }

    fn over(self, divisor: i64) -> Exact {
        Exact { poly: self.poly.map(|p| p.floor_div(divisor)), hint: self.hint / divisor as f64 }
    }

    fn at_hints(&self) -> f64 {
        self.hint
    }
}

/// What one launch of a kernel does, over the kernel's symbols; none where the numbers do not fit.
pub fn work(desc: &KernelDesc, symbols: &SymbolTable) -> Option<Work> {
    let count: Count<Exact> = Count::new(desc, symbols);
    let (flops, units) = match count.products() {
        Some((flops, _)) if flops.hint > 0.0 => (flops, count.units()),
        _ => (count.operations(), Units::Scalar),
    };
    Some(Work { flops: flops.poly?, bytes: count.bytes().poly?, units, estimate: count.estimate })
}

/// A description with the length of every loop and the loops every expression depends on.
pub(crate) struct Count<'a, N> {
    desc: &'a KernelDesc,
    symbols: &'a SymbolTable,
    extents: BTreeMap<LoopVar, N>,
    depends: Vec<BTreeSet<LoopVar>>,
    /// The length of some loop depends on data.
    estimate: bool,
}

impl<'a, N: Number> Count<'a, N> {
    pub fn new(desc: &'a KernelDesc, symbols: &'a SymbolTable) -> Count<'a, N> {
        let mut count = Count { desc, symbols, extents: BTreeMap::new(), depends: vec![], estimate: false };
        for l in loops(&desc.body) {
            let extent = match &l.extent {
                Extent::Size(p) => count.size(p),
                Extent::Dynamic(_) => {
                    count.estimate = true;
                    count.number(DYNAMIC)
                }
            };
            count.extents.insert(l.var, extent);
        }
        for (id, node) in desc.exprs.iter() {
            let mut set = BTreeSet::new();
            desc.exprs.operands(id, |o| set.extend(count.depends[o.0 as usize].iter().copied()));
            match &node.expr {
                Expr::Var(v) => drop(set.insert(*v)),
                Expr::Load { index, .. } => set.extend(index.affine.keys().copied()),
                Expr::Acc { stage, .. } | Expr::Carry { stage, .. } => set.extend(around(&desc.body, *stage)),
                _ => {}
            }
            count.depends.push(set);
        }
        count
    }

    fn size(&self, p: &Poly) -> N {
        N::of(p, self.symbols)
    }

    fn number(&self, value: i64) -> N {
        N::of(&Poly::constant(value), self.symbols)
    }

    fn product(&self, parts: impl IntoIterator<Item = N>) -> N {
        parts.into_iter().fold(self.number(1), N::times)
    }

    fn sum(&self, parts: impl IntoIterator<Item = N>) -> N {
        parts.into_iter().fold(self.number(0), N::plus)
    }

    /// How many times a value that depends on these loops is computed, were it computed once for each.
    fn points(&self, vars: &BTreeSet<LoopVar>) -> N {
        self.product(vars.iter().filter_map(|v| self.extents.get(v).cloned()))
    }

    fn points_of<'l>(&self, loops: impl IntoIterator<Item = &'l Loop>) -> N {
        self.points(&loops.into_iter().map(|l| l.var).collect())
    }

    /// Scalar operations outside of matrix products.
    pub fn operations(&self) -> N {
        let arithmetic = self.desc.exprs.iter().filter(|(_, node)| weight(&node.expr) > 0);
        let arithmetic = self.sum(
            arithmetic
                .map(|(id, node)| self.number(weight(&node.expr)).times(self.points(&self.depends[id.0 as usize]))),
        );
        let folded = match &self.desc.body {
            Body::Nest(n) => self.sum(n.stages.iter().filter_map(|s| match s {
                Stage::Reduce { loops, accs } => {
                    Some(self.number(accs.len() as i64).times(self.points_of(n.parallel.iter().chain(loops))))
                }
                _ => None,
            })),
            // The exponential of every logit, its maximum and its sum.
            Body::Attention(a) => self.pairs(a).times(self.number(SLOW + 2)),
            Body::Custom(c) => self.size(&c.flops),
            _ => self.number(0),
        };
        arithmetic.plus(folded)
    }

    /// Operations of the matrix products, multiply-adds counting two and 2:4 products as dense ones, and the type they are in.
    pub fn products(&self) -> Option<(N, DType)> {
        let exprs = &self.desc.exprs;
        match &self.desc.body {
            Body::Nest(_) | Body::Custom(_) => None,
            Body::Contraction(c) => {
                let points = self.points_of(c.batch.iter().chain(&c.m).chain(&c.n).chain(&c.k));
                Some((points.times(self.number(2)), exprs[c.a].dtype))
            }
            Body::SparseContraction(c) => {
                let points = self.points_of(c.batch.iter().chain([&c.m, &c.k]).chain(&c.n));
                Some((points.times(self.number(2)), exprs[c.b].dtype))
            }
            Body::Attention(a) => {
                let features = self.number(2 * (i64::from(a.dim) + i64::from(a.dim_v)));
                Some((self.pairs(a).times(features), a.dtype))
            }
        }
    }

    fn units(&self) -> Units {
        match (&self.desc.body, self.products()) {
            (Body::SparseContraction(_), Some((_, dtype))) => Units::Sparse24(dtype),
            (_, Some((_, dtype))) => Units::Matrix(dtype),
            _ => Units::Scalar,
        }
    }

    /// Logits of an attention that take part. Exact for lengths not below the windows.
    fn pairs(&self, a: &Attention) -> N {
        let keys = self.size(&a.seq_k);
        let each = match &a.kind {
            AttentionKind::Dot { causal_offset: None, .. } => self.size(&a.seq_q).times(keys),
            AttentionKind::Dot { window: Some(w), .. } => {
                self.size(&a.seq_q).times(keys.min(self.number(i64::try_from(*w).unwrap_or(i64::MAX))))
            }
            AttentionKind::Dot { .. } => self.size(&a.seq_q).times(keys).over(2),
            AttentionKind::Trilinear { w1, w2, .. } => {
                self.window_pairs(&a.seq_q, keys, (*w1).min(*w2), (*w1).max(*w2))
            }
        };
        self.product([self.size(&a.batch), self.size(&a.heads_q), each])
    }

    /// The sum over positions i of `min(i + 1, near) min(i + 1, far)`: squares up to `near`, then a triangle up to `far`, then a box.
    fn window_pairs(&self, seq: &Poly, keys: N, near: u64, far: u64) -> N {
        let longest = seq.as_constant().map_or(u64::MAX, |n| n.max(0) as u64);
        let [near, far] = [near, far].map(|w| i64::try_from(w.min(longest)).unwrap_or(i64::MAX));
        let start = (|| {
            let squares = near.checked_mul(near + 1)?.checked_mul(2 * near + 1)? / 6;
            let triangle = far.checked_mul(far + 1)? / 2 - near.checked_mul(near + 1)? / 2;
            squares.checked_add(near.checked_mul(triangle)?)
        })();
        let length = self.size(seq);
        match start {
            Some(start) if far > 0 && length.at_hints() >= far as f64 => {
                let rest = seq.checked_add(&Poly::constant(-far)).unwrap_or_default();
                self.number(start).plus(self.product([self.size(&rest), self.number(near), self.number(far)]))
            }
            _ => self.product([length, keys.clone().min(self.number(near)), keys.min(self.number(far))]),
        }
    }

    /// Bytes that move between memory and the kernel: of every buffer what is touched, each element once.
    pub fn bytes(&self) -> N {
        let mut touched: BTreeMap<u32, N> = BTreeMap::new();
        let mut touch = |buffer: u32, elements: N| {
            let sum = match touched.remove(&buffer) {
                Some(before) => before.plus(elements),
                None => elements,
            };
            touched.insert(buffer, sum);
        };
        let mut at = |buffer: u32, index: &Index| {
            let mut vars: BTreeSet<LoopVar> = index.affine.keys().copied().collect();
            index.dynamic.iter().for_each(|(e, _)| vars.extend(&self.depends[e.0 as usize]));
            touch(buffer, self.points(&vars));
        };
        for (_, node) in self.desc.exprs.iter() {
            if let Expr::Load { buffer, index, .. } = &node.expr {
                at(*buffer, index);
            }
        }
        stores(&self.desc.body).for_each(|s| at(s.buffer, &s.index));
        match &self.desc.body {
            Body::SparseContraction(c) => {
                let rows = self.points_of(c.batch.iter().chain([&c.m, &c.k]));
                touch(c.values, rows.clone().over(2));
                touch(c.meta, rows.over(8));
            }
            Body::Attention(a) => {
                let queries = self.product([&a.batch, &a.seq_q, &a.heads_q].map(|p| self.size(p)));
                let keys = self.product([&a.batch, &a.seq_k, &a.heads_kv].map(|p| self.size(p)));
                let [dim, dim_v] = [a.dim, a.dim_v].map(|d| self.number(i64::from(d)));
                touch(a.q.buffer, queries.clone().times(dim.clone()));
                touch(a.k.buffer, keys.clone().times(dim.clone()));
                touch(a.v.buffer, keys.clone().times(dim_v.clone()));
                touch(a.out.buffer, queries.clone().times(dim_v.clone()));
                a.lse.iter().for_each(|v| touch(v.buffer, queries.clone()));
                match &a.kind {
                    AttentionKind::Dot { bias, .. } => {
                        bias.iter().for_each(|(v, _)| touch(v.buffer, queries.clone().times(self.size(&a.seq_k))));
                    }
                    AttentionKind::Trilinear { k2, v2, .. } => {
                        touch(k2.buffer, keys.clone().times(dim));
                        touch(v2.buffer, keys.times(dim_v));
                    }
                }
            }
            Body::Custom(_) => {
                for (at, b) in (0u32..).zip(&self.desc.buffers) {
                    touch(at, self.product(b.shape.iter().map(|d| self.size(d))));
                }
            }
            _ => {}
        }
        self.sum(touched.into_iter().map(|(buffer, elements)| {
            let b = &self.desc.buffers[buffer as usize];
            let all = self.product(b.shape.iter().map(|d| self.size(d)));
            elements.min(all).times(self.number(i64::from(b.dtype.bits()))).over(8)
        }))
    }
}

/// The expressions of a contraction's operands, if it is one.
pub(crate) fn operands(body: &Body) -> Option<(ExprId, ExprId)> {
    match body {
        Body::Contraction(c) => Some((c.a, c.b)),
        _ => None,
    }
}

/// Every loop of a body.
fn loops(body: &Body) -> Vec<&Loop> {
    match body {
        Body::Nest(n) => {
            let inner = n.stages.iter().flat_map(|s| match s {
                Stage::Reduce { loops, .. } | Stage::Store { loops, .. } | Stage::Sequential { loops, .. } => loops,
            });
            n.parallel.iter().chain(inner).collect()
        }
        Body::Contraction(c) => c.batch.iter().chain(&c.m).chain(&c.n).chain(&c.k).collect(),
        Body::SparseContraction(c) => c.batch.iter().chain([&c.m, &c.k]).chain(&c.n).collect(),
        Body::Attention(_) | Body::Custom(_) => vec![],
    }
}

/// Loops around the accumulators and carries of a stage.
fn around(body: &Body, stage: u32) -> Vec<LoopVar> {
    let vars = |loops: Vec<&Loop>| loops.into_iter().map(|l| l.var).collect();
    match body {
        Body::Nest(n) => match n.stages.get(stage as usize) {
            Some(Stage::Sequential { loops, .. }) => vars(n.parallel.iter().chain(loops).collect()),
            _ => vars(n.parallel.iter().collect()),
        },
        Body::Contraction(c) => vars(c.batch.iter().chain(&c.m).chain(&c.n).collect()),
        Body::SparseContraction(c) => vars(c.batch.iter().chain([&c.m]).chain(&c.n).collect()),
        Body::Attention(_) | Body::Custom(_) => vec![],
    }
}

fn stores(body: &Body) -> impl Iterator<Item = &Store> {
    let stages: Vec<&Vec<Store>> = match body {
        Body::Nest(n) => n
            .stages
            .iter()
            .filter_map(|s| match s {
                Stage::Store { stores, .. } | Stage::Sequential { stores, .. } => Some(stores),
                Stage::Reduce { .. } => None,
            })
            .collect(),
        Body::Contraction(c) => vec![&c.stores],
        Body::SparseContraction(c) => vec![&c.stores],
        Body::Attention(_) | Body::Custom(_) => vec![],
    };
    stages.into_iter().flatten()
}

/// Simple operations in one expression, its operands being there.
fn weight(expr: &Expr) -> i64 {
    use Unary::*;
    match expr {
        Expr::Unary(Neg | Abs | Sign | Floor | Ceil | Round | Trunc | Not | BitNot | IsNan | IsInf, _) => 1,
        Expr::Unary(..) => SLOW,
        Expr::Binary(Binary::Div | Binary::FloorDiv | Binary::Mod | Binary::Rem | Binary::Pow | Binary::Atan2, ..) => {
            SLOW
        }
        Expr::Binary(..) | Expr::Select { .. } | Expr::Cast { .. } => 1,
        Expr::Const(_) | Expr::Var(_) | Expr::Size(_) | Expr::Load { .. } | Expr::Acc { .. } | Expr::Carry { .. } => 0,
    }
}
