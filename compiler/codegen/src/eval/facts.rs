//! What is known about a description before it is emitted: ranges of integer expressions and how memory may be vectorised.

use std::collections::{BTreeMap, BTreeSet};
use tricot_kernel::{Binary, Body, Const, Expr, ExprId, Extent, Index, KernelDesc, Loop, LoopVar, Stage, Store};
use tricot_types::{DType, Poly, SymbolTable};

/// Facts of one description.
pub struct Facts<'a> {
    pub desc: &'a KernelDesc,
    pub symbols: &'a SymbolTable,
    /// An interval for every expression; the whole i128 range where nothing is known.
    ranges: Vec<(i128, i128)>,
}

const UNKNOWN: (i128, i128) = (i64::MIN as i128, i64::MAX as i128);

/// All loops of a description.
fn all_loops(desc: &KernelDesc) -> Vec<&Loop> {
    match &desc.body {
        Body::Nest(nest) => {
            let stages = nest.stages.iter().flat_map(|s| match s {
                Stage::Reduce { loops, .. } | Stage::Store { loops, .. } | Stage::Sequential { loops, .. } => loops,
            });
            nest.parallel.iter().chain(stages).collect()
        }
        Body::Contraction(c) => c.batch.iter().chain(&c.m).chain(&c.n).chain(&c.k).collect(),
        Body::SparseContraction(c) => c.batch.iter().chain([&c.m, &c.k]).chain(&c.n).collect(),
        Body::Attention(_) | Body::Custom(_) => vec![],
    }
}

impl<'a> Facts<'a> {
    /// Derives the facts.
    pub fn new(desc: &'a KernelDesc, symbols: &'a SymbolTable) -> Facts<'a> {
        let mut vars: BTreeMap<LoopVar, i128> = BTreeMap::new();
        for l in all_loops(desc) {
            let most = match &l.extent {
                Extent::Size(p) => i128::from(p.bounds(symbols).1),
                Extent::Dynamic(_) => i128::from(i64::MAX),
            };
            let slot = vars.entry(l.var).or_insert(0);
            *slot = (*slot).max(most - 1);
        }
        let mut ranges: Vec<(i128, i128)> = Vec::with_capacity(desc.exprs.len());
        for (_, node) in desc.exprs.iter() {
            let of = |id: &ExprId| ranges[id.0 as usize];
            let whole = node.dtype.int_range().unwrap_or(UNKNOWN);
            let range = match &node.expr {
                Expr::Const(Const::Int(i)) => (i128::from(*i), i128::from(*i)),
                Expr::Var(v) => (0, vars.get(v).copied().unwrap_or(i128::from(i64::MAX))),
                Expr::Size(p) => {
                    let (low, high) = p.bounds(symbols);
                    (i128::from(low), i128::from(high))
                }
                Expr::Binary(op, x, y) if node.dtype == DType::I64 => binary_range(*op, of(x), of(y)),
                Expr::Select { then, other, .. } if node.dtype == DType::I64 => {
                    let (a, b) = (of(then), of(other));
                    (a.0.min(b.0), a.1.max(b.1))
                }
                Expr::Cast { from, .. } if node.dtype == DType::I64 && !desc.exprs[*from].dtype.is_float() => of(from),
                _ => whole,
            };
            // What does not fit may have wrapped.
            ranges.push(if range.0 < whole.0 || range.1 > whole.1 { whole } else { range });
        }
        Facts { desc, symbols, ranges }
    }

    /// Whether an integer expression lies in `least..2^31`.
    pub fn small(&self, id: ExprId, least: i128) -> bool {
        let (low, high) = self.ranges[id.0 as usize];
        low >= least && high < 1 << 31
    }

    /// Whether a polynomial lies in 0..2^31 minus some room for rounding up to tiles.
    pub fn fits_i32(&self, p: &Poly) -> bool {
        let (low, high) = p.bounds(self.symbols);
        low >= 0 && high < (1 << 31) - (1 << 16)
    }

    /// Whether `by` divides every value of the polynomial.
    pub fn divides(&self, by: u32, p: &Poly) -> bool {
        p.known_multiple(self.symbols) % i64::from(by) == 0
    }

    /// Whether a loop runs at least once whenever the kernel runs.
    pub fn runs(&self, l: &Loop) -> bool {
        matches!(&l.extent, Extent::Size(p) if p.bounds(self.symbols).0 >= 1)
    }

    /// Whether the elements at `lanes` consecutive values of `var`, the first a multiple of `lanes`, are adjacent and start at a
    /// multiple of `lanes` elements. Data-dependent terms must not depend on `var`; the caller sees that they are uniform.
    pub fn contiguous(&self, index: &Index, var: LoopVar, lanes: u32) -> bool {
        index.stride(var).is_one()
            && self.divides(lanes, &index.offset)
            && index.affine.iter().all(|(v, s)| *v == var || self.divides(lanes, s))
            && index.dynamic.iter().all(|(e, s)| self.divides(lanes, s) && !self.depends(*e, var))
    }

    /// Whether an expression depends on a loop variable.
    pub fn depends(&self, id: ExprId, var: LoopVar) -> bool {
        let mut found = false;
        visit(self.desc, &[id], &mut |id| {
            found |= match &self.desc.exprs[id].expr {
                Expr::Var(v) => *v == var,
                Expr::Load { index, .. } => index.affine.contains_key(&var),
                _ => false,
            }
        });
        found
    }
}

/// Calls `f` once for every node reachable from `roots`.
pub fn visit(desc: &KernelDesc, roots: &[ExprId], f: &mut impl FnMut(ExprId)) {
    let (mut seen, mut open) = (BTreeSet::new(), roots.to_vec());
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            f(id);
            desc.exprs.operands(id, |o| open.push(o));
        }
    }
}

fn binary_range(op: Binary, (a, b): (i128, i128), (c, d): (i128, i128)) -> (i128, i128) {
    match op {
        Binary::Add => (a + c, b + d),
        Binary::Sub => (a - d, b - c),
        Binary::Mul => {
            let corners = [a.saturating_mul(c), a.saturating_mul(d), b.saturating_mul(c), b.saturating_mul(d)];
            (*corners.iter().min().expect("four"), *corners.iter().max().expect("four"))
        }
        Binary::Min => (a.min(c), b.min(d)),
        Binary::Max => (a.max(c), b.max(d)),
        Binary::Div | Binary::FloorDiv if a >= 0 && c >= 1 => (a / d, b / c),
        Binary::Mod | Binary::Rem if a >= 0 && c >= 1 => (0, b.min(d - 1)),
        _ => UNKNOWN,
    }
}

/// The widest vector (8, 4 or 2 lanes, else 1) for consecutive values of `var`: some access is adjacent and aligned, none that is
/// adjacent exceeds 16 bytes, and `extent` is a multiple. `roots` are the expressions evaluated, `stores` the stores made.
pub fn vector_lanes(facts: &Facts, var: LoopVar, extent: &Poly, roots: &[ExprId], stores: &[Store]) -> u32 {
    let desc = facts.desc;
    let mut accesses: Vec<(&Index, DType)> = Vec::new();
    visit(desc, roots, &mut |id| {
        if let Expr::Load { buffer, index, .. } = &desc.exprs[id].expr {
            accesses.push((index, desc.buffers[*buffer as usize].dtype));
        }
    });
    accesses.extend(stores.iter().map(|s| (&s.index, desc.buffers[s.buffer as usize].dtype)));
    let fits = |lanes: u32| {
        let mut adjacent =
            accesses.iter().filter(|(index, _)| facts.contiguous(index, var, lanes)).map(|(_, d)| d.bits()).peekable();
        adjacent.peek().is_some() && adjacent.all(|bits| bits * lanes <= 128) && facts.divides(lanes, extent)
    };
    [8, 4, 2].into_iter().find(|lanes| fits(*lanes)).unwrap_or(1)
}

/// [`vector_lanes`] reduced so that about `threads` threads still have work.
pub fn common_vector(lanes: u32, points: f64, threads: f64) -> u32 {
    let mut lanes = lanes;
    while lanes > 1 && points / f64::from(lanes) < threads {
        lanes /= 2;
    }
    lanes
}
