//! What a schedule costs on a target: a roofline per launch, added up.
//!
//! The central function is [`seconds`]. A launch takes its overhead and the longer of its arithmetic and its memory traffic; both
//! are read off the kernel's description, symbols at their hints. It knows rates, no graph node and no instruction.

use crate::{Schedule, ScheduledStep};
use std::collections::{BTreeMap, BTreeSet};
use tricot_kernel::{
    Attention, AttentionKind, Binary, Body, Expr, ExprId, Extent, Index, KernelDesc, Loop, LoopVar, Stage, Store, Unary,
};
use tricot_rates::Rates;
use tricot_types::{DType, Poly, SymbolTable};

/// What a loop whose length depends on data is taken to run.
const DYNAMIC: f64 = 16.0;
/// Simple operations in one of the slow functions.
const SLOW: f64 = 4.0;

/// Seconds one run of a schedule takes.
pub fn seconds(schedule: &Schedule, rates: &Rates) -> f64 {
    let costs: BTreeMap<&str, f64> =
        schedule.kernels.iter().map(|k| (k.name.as_str(), launch(k, &schedule.symbols, rates))).collect();
    let step = |s: &ScheduledStep| match s {
        ScheduledStep::Launch { kernel, .. } => costs.get(kernel.as_str()).copied().unwrap_or(rates.launch),
        ScheduledStep::Copy { bytes, .. } => rates.launch + 2.0 * bytes.hint(&schedule.symbols) / rates.bandwidth,
    };
    schedule.steps.iter().map(step).sum()
}

/// Seconds one launch of a kernel takes.
pub fn launch(desc: &KernelDesc, symbols: &SymbolTable, rates: &Rates) -> f64 {
    let kernel = Kernel::new(desc, symbols);
    let arithmetic = kernel.operations() / rates.scalar + kernel.products(rates);
    rates.launch + arithmetic.max(kernel.bytes() / rates.bandwidth)
}

/// A description with the length of every loop and the loops every expression depends on.
struct Kernel<'a> {
    desc: &'a KernelDesc,
    symbols: &'a SymbolTable,
    extents: BTreeMap<LoopVar, f64>,
    depends: Vec<BTreeSet<LoopVar>>,
}

impl<'a> Kernel<'a> {
    fn new(desc: &'a KernelDesc, symbols: &'a SymbolTable) -> Kernel<'a> {
        let mut kernel = Kernel { desc, symbols, extents: BTreeMap::new(), depends: vec![] };
        for l in loops(&desc.body) {
            let extent = match &l.extent {
                Extent::Size(p) => kernel.hint(p),
                Extent::Dynamic(_) => DYNAMIC,
            };
            kernel.extents.insert(l.var, extent);
        }
        for (id, node) in desc.exprs.iter() {
            let mut set = BTreeSet::new();
            desc.exprs.operands(id, |o| set.extend(kernel.depends[o.0 as usize].iter().copied()));
            match &node.expr {
                Expr::Var(v) => drop(set.insert(*v)),
                Expr::Load { index, .. } => set.extend(index.affine.keys().copied()),
                Expr::Acc { stage, .. } | Expr::Carry { stage, .. } => set.extend(around(&desc.body, *stage)),
                _ => {}
            }
            kernel.depends.push(set);
        }
        kernel
    }

    fn hint(&self, p: &Poly) -> f64 {
        p.hint(self.symbols).max(0.0)
    }

    /// How many times a value that depends on these loops is computed, were it computed once for each.
    fn points(&self, vars: &BTreeSet<LoopVar>) -> f64 {
        vars.iter().map(|v| self.extents.get(v).copied().unwrap_or(1.0)).product()
    }

    fn size<'l>(&self, loops: impl IntoIterator<Item = &'l Loop>) -> f64 {
        self.points(&loops.into_iter().map(|l| l.var).collect())
    }

    /// Scalar operations outside of matrix products.
    fn operations(&self) -> f64 {
        let arithmetic: f64 = self
            .desc
            .exprs
            .iter()
            .map(|(id, node)| weight(&node.expr) * self.points(&self.depends[id.0 as usize]))
            .sum();
        let folded: f64 = match &self.desc.body {
            Body::Nest(n) => n
                .stages
                .iter()
                .map(|s| match s {
                    Stage::Reduce { loops, accs } => accs.len() as f64 * self.size(n.parallel.iter().chain(loops)),
                    _ => 0.0,
                })
                .sum(),
            // The exponential of every logit, its maximum and its sum.
            Body::Attention(a) => self.pairs(a) * (SLOW + 2.0),
            _ => 0.0,
        };
        arithmetic + folded
    }

    /// Seconds of the matrix products.
    fn products(&self, rates: &Rates) -> f64 {
        let exprs = &self.desc.exprs;
        match &self.desc.body {
            Body::Nest(_) => 0.0,
            Body::Contraction(c) => {
                let flops = 2.0 * self.size(c.batch.iter().chain(&c.m).chain(&c.n).chain(&c.k));
                // Operands that are computed on the way do not reach the units that make narrow products fast.
                let plain = |e: ExprId| match &exprs[e].expr {
                    Expr::Load { index, guard: None, .. } => index.is_affine(),
                    _ => false,
                };
                let rate = rates.product(exprs[c.a].dtype);
                let general = rates.product(DType::F32).min(rate);
                flops / if plain(c.a) && plain(c.b) { rate } else { general }
            }
            Body::SparseContraction(c) => {
                let flops = 2.0 * self.size(c.batch.iter().chain([&c.m, &c.k]).chain(&c.n));
                flops / (rates.product(exprs[c.b].dtype) * rates.sparse)
            }
            Body::Attention(a) => 2.0 * self.pairs(a) * f64::from(a.dim + a.dim_v) / rates.product(a.dtype),
        }
    }

    /// Logits of an attention.
    fn pairs(&self, a: &Attention) -> f64 {
        let keys = self.hint(&a.seq_k);
        let seen = match &a.kind {
            AttentionKind::Dot { causal_offset: None, .. } => keys,
            AttentionKind::Dot { window: Some(w), .. } => keys.min(*w as f64),
            AttentionKind::Dot { .. } => keys / 2.0,
            AttentionKind::Trilinear { w1, w2, .. } => keys.min(*w1 as f64) * keys.min(*w2 as f64),
        };
        self.hint(&a.batch) * self.hint(&a.heads_q) * self.hint(&a.seq_q) * seen
    }

    /// Bytes that move between memory and the kernel: of every buffer what is touched, each element once.
    fn bytes(&self) -> f64 {
        let mut touched: BTreeMap<u32, f64> = BTreeMap::new();
        let mut touch = |buffer: u32, elements: f64| *touched.entry(buffer).or_default() += elements;
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
                let rows = self.size(c.batch.iter().chain([&c.m, &c.k]));
                touch(c.values, rows / 2.0);
                touch(c.meta, rows / 8.0);
            }
            Body::Attention(a) => {
                let queries = self.hint(&a.batch) * self.hint(&a.seq_q) * self.hint(&a.heads_q);
                let keys = self.hint(&a.batch) * self.hint(&a.seq_k) * self.hint(&a.heads_kv);
                let (dim, dim_v) = (f64::from(a.dim), f64::from(a.dim_v));
                touch(a.q.buffer, queries * dim);
                touch(a.k.buffer, keys * dim);
                touch(a.v.buffer, keys * dim_v);
                touch(a.out.buffer, queries * dim_v);
                a.lse.iter().for_each(|v| touch(v.buffer, queries));
                match &a.kind {
                    AttentionKind::Dot { bias, .. } => {
                        bias.iter().for_each(|(v, _)| touch(v.buffer, queries * self.hint(&a.seq_k)));
                    }
                    AttentionKind::Trilinear { k2, v2, .. } => {
                        touch(k2.buffer, keys * dim);
                        touch(v2.buffer, keys * dim_v);
                    }
                }
            }
            _ => {}
        }
        let bytes = |(buffer, elements): (&u32, &f64)| {
            let b = &self.desc.buffers[*buffer as usize];
            let all: f64 = b.shape.iter().map(|d| self.hint(d)).product();
            elements.min(all) * f64::from(b.dtype.bits()) / 8.0
        };
        touched.iter().map(bytes).sum()
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
        Body::Attention(_) => vec![],
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
        Body::Attention(_) => vec![],
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
        Body::Attention(_) => vec![],
    };
    stages.into_iter().flatten()
}

/// Simple operations in one expression, its operands being there.
fn weight(expr: &Expr) -> f64 {
    use Unary::*;
    match expr {
        Expr::Unary(Neg | Abs | Sign | Floor | Ceil | Round | Trunc | Not | BitNot | IsNan | IsInf, _) => 1.0,
        Expr::Unary(..) => SLOW,
        Expr::Binary(Binary::Div | Binary::FloorDiv | Binary::Mod | Binary::Rem | Binary::Pow | Binary::Atan2, ..) => {
            SLOW
        }
        Expr::Binary(..) | Expr::Select { .. } | Expr::Cast { .. } => 1.0,
        Expr::Const(_) | Expr::Var(_) | Expr::Size(_) | Expr::Load { .. } | Expr::Acc { .. } | Expr::Carry { .. } => {
            0.0
        }
    }
}
