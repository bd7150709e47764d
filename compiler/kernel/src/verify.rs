//! The verifier of kernel descriptions: what every backend may rely on.
//!
//! [`verify`] reports everything that is wrong. Descriptions come from schedule, or from a person's text.

use crate::custom::{Custom, CustomArgument};
use crate::desc::{Acc, Access, AttentionKind, Body, Combine, Extent, KernelDesc, Loop, Stage, Store, View};
use crate::expr::{CastMode, Const, Expr, ExprId};
use crate::index::{Index, LoopVar};
use crate::scalar::{Binary, Unary};
use std::collections::{BTreeMap, BTreeSet};
use tricot_types::{DType, Diagnostic, Poly, Symbol};

/// Checks a description.
///
/// # Errors
/// TC0410 a number that names nothing (buffer, expression, accumulator), TC0411 element types that do not fit, TC0412 a loop
/// variable, accumulator or carried value used out of scope, TC0413 a symbol that is not passed, TC0414 a buffer used
/// against its access, TC0415 a body of the wrong form.
pub fn verify(desc: &KernelDesc) -> Result<(), Vec<Diagnostic>> {
    let mut v = Verifier { desc, problems: vec![], symbols: desc.symbols.iter().collect(), bound: BTreeSet::new() };
    for buffer in &desc.buffers {
        buffer.shape.iter().for_each(|p| v.poly(p));
    }
    v.nodes();
    if v.problems.is_empty() {
        v.body();
    }
    let Verifier { problems, .. } = v;
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// What an expression may mention at some place.
#[derive(Clone, Default)]
struct Scope {
    vars: BTreeSet<LoopVar>,
    /// Type of each accumulator in reach.
    accs: BTreeMap<(u32, u32), DType>,
    carries: BTreeMap<(u32, u32), DType>,
}

struct Verifier<'d> {
    desc: &'d KernelDesc,
    problems: Vec<Diagnostic>,
    symbols: BTreeSet<&'d Symbol>,
    /// Loop variables bound so far; each may be bound once.
    bound: BTreeSet<LoopVar>,
}

impl<'d> Verifier<'d> {
    fn add(&mut self, code: &'static str, message: String) {
        self.problems.push(Diagnostic::error(code, message).at_name(format!("kernel `{}`", self.desc.name), ""));
    }

    fn poly(&mut self, p: &Poly) {
        let mut unknown = BTreeSet::new();
        p.visit_symbols(&mut |s| {
            if !self.symbols.contains(s) {
                unknown.insert(s.clone());
            }
        });
        for s in unknown {
            self.add("TC0413", format!("symbol `{s}` is not among the kernel's"));
        }
    }

    fn dtype(&self, e: ExprId) -> Option<DType> {
        ((e.0 as usize) < self.desc.exprs.len()).then(|| self.desc.exprs[e].dtype)
    }

    fn buffer(&mut self, buffer: u32, write: bool, dtype: Option<DType>) {
        let Some(b) = self.desc.buffers.get(buffer as usize) else {
            let n = self.desc.buffers.len();
            return self.add("TC0410", format!("there is no buffer {buffer}, the kernel has {n}"));
        };
        let wrong = if write { Access::Read } else { Access::Write };
        if b.access == wrong {
            self.add(
                "TC0414",
                format!("buffer {buffer} is {} but its access is {wrong:?}", if write { "written" } else { "read" }),
            );
        }
        if let Some(d) = dtype
            && d != b.dtype
        {
            self.add("TC0411", format!("buffer {buffer} holds {}, not {d}", b.dtype));
        }
    }

    /// Types of all nodes, scopes aside.
    fn nodes(&mut self) {
        let desc = self.desc;
        for (id, node) in desc.exprs.iter() {
            let mut late = false;
            desc.exprs.operands(id, |o| late |= o >= id);
            if late {
                self.add("TC0410", format!("expression %{} uses one that is not before it", id.0));
                continue;
            }
            let ty = |e: &ExprId| desc.exprs[*e].dtype;
            let d = node.dtype;
            let fits = match &node.expr {
                Expr::Const(Const::Float(_)) => d.is_float(),
                Expr::Const(Const::Int(_)) => !d.is_float(),
                Expr::Var(_) => d == DType::I64,
                Expr::Size(p) => {
                    self.poly(p);
                    d == DType::I64
                }
                Expr::Load { buffer, index, guard } => {
                    self.buffer(*buffer, false, Some(d));
                    self.index(index);
                    guard.is_none_or(|(c, o)| ty(&c) == DType::Bool && ty(&o) == d)
                }
                Expr::Unary(op, x) => match op {
                    Unary::Not => d == DType::Bool && ty(x) == d,
                    Unary::IsNan | Unary::IsInf => d == DType::Bool && ty(x).is_float(),
                    Unary::BitNot => d == ty(x) && d.is_int(),
                    Unary::Neg | Unary::Abs | Unary::Sign => d == ty(x) && d != DType::Bool,
                    _ => d == ty(x) && d.is_float(),
                },
                Expr::Binary(op, a, b) => {
                    let equal = ty(a) == ty(b);
                    let result = if op.is_comparison() { DType::Bool } else { ty(a) };
                    let defined = match op {
                        Binary::And | Binary::Or | Binary::Xor => !ty(a).is_float(),
                        Binary::Shl | Binary::Shr => ty(a).is_int(),
                        Binary::Eq | Binary::Ne => true,
                        Binary::Min | Binary::Max => true,
                        _ => ty(a) != DType::Bool || op.is_comparison(),
                    };
                    equal && d == result && defined
                }
                Expr::Select { cond, then, other } => ty(cond) == DType::Bool && ty(then) == d && ty(other) == d,
                Expr::Cast { from, mode } => *mode != CastMode::Bits || ty(from).bits() == d.bits(),
                Expr::Acc { .. } | Expr::Carry { .. } => true,
            };
            if !fits {
                self.add("TC0411", format!("expression %{} of {d} does not fit its operands: {:?}", id.0, node.expr));
            }
        }
    }

    fn index(&mut self, index: &Index) {
        self.poly(&index.offset);
        index.affine.values().for_each(|p| self.poly(p));
        for (e, p) in &index.dynamic {
            self.poly(p);
            if self.dtype(*e).is_none_or(|d| d != DType::I64) {
                self.add("TC0411", format!("index term %{} is no i64 expression", e.0));
            }
        }
    }

    /// Everything below `e` must be in scope.
    fn within(&mut self, e: ExprId, scope: &Scope, place: &str) {
        if self.dtype(e).is_none() {
            return self.add("TC0410", format!("{place}: there is no expression %{}", e.0));
        }
        let desc = self.desc;
        let (mut seen, mut stack) = (BTreeSet::new(), vec![e]);
        while let Some(e) = stack.pop() {
            if !seen.insert(e) {
                continue;
            }
            let node = &desc.exprs[e];
            match &node.expr {
                Expr::Var(v) => self.variable(*v, scope, place),
                Expr::Load { index, .. } => index.affine.keys().for_each(|v| self.variable(*v, scope, place)),
                Expr::Acc { stage, acc } => self.held("accumulator", scope.accs.get(&(*stage, *acc)), e, place),
                Expr::Carry { stage, carry } => {
                    self.held("carried value", scope.carries.get(&(*stage, *carry)), e, place)
                }
                _ => {}
            }
            desc.exprs.operands(e, |o| stack.push(o));
        }
    }

    fn held(&mut self, what: &str, have: Option<&DType>, e: ExprId, place: &str) {
        let dtype = self.desc.exprs[e].dtype;
        match have {
            None => self.add("TC0412", format!("{place}: %{} is a {what} out of reach", e.0)),
            Some(d) if *d != dtype => self.add("TC0411", format!("{place}: %{} is {dtype}, the {what} {d}", e.0)),
            Some(_) => {}
        }
    }

    fn variable(&mut self, v: LoopVar, scope: &Scope, place: &str) {
        if !scope.vars.contains(&v) {
            self.add("TC0412", format!("{place}: loop variable v{} is not bound there", v.0));
        }
    }

    /// Adds loops to a scope.
    fn loops(&mut self, loops: &[Loop], scope: &mut Scope, dynamic: bool, place: &str) {
        for l in loops {
            match &l.extent {
                Extent::Size(p) => self.poly(p),
                Extent::Dynamic(e) if dynamic => {
                    self.within(*e, scope, place);
                    if self.dtype(*e).is_some_and(|d| d != DType::I64) {
                        self.add("TC0411", format!("{place}: the extent %{} is no i64", e.0));
                    }
                }
                Extent::Dynamic(_) => self.add("TC0415", format!("{place}: the extent of v{} must be a size", l.var.0)),
            }
            if !self.bound.insert(l.var) {
                self.add("TC0412", format!("{place}: loop variable v{} is bound twice", l.var.0));
            }
            scope.vars.insert(l.var);
        }
    }

    fn stores(&mut self, stores: &[Store], scope: &Scope, place: &str) {
        for s in stores {
            self.within(s.value, scope, place);
            let dtype = self.dtype(s.value);
            self.buffer(s.buffer, true, dtype);
            self.index(&s.index);
            s.index.affine.keys().for_each(|v| self.variable(*v, scope, place));
            s.index.dynamic.iter().for_each(|(e, _)| self.within(*e, scope, place));
            if let Some(g) = s.guard {
                self.within(g, scope, place);
                if self.dtype(g).is_some_and(|d| d != DType::Bool) {
                    self.add("TC0411", format!("{place}: the guard %{} is no bool", g.0));
                }
            }
        }
    }

    fn body(&mut self) {
        match &self.desc.body {
            Body::Nest(n) => {
                let mut scope = Scope::default();
                self.loops(&n.parallel, &mut scope, false, "parallel");
                for (i, stage) in n.stages.iter().enumerate() {
                    self.stage(i as u32, stage, &mut scope);
                }
            }
            Body::Contraction(c) => {
                let mut all = vec![];
                for (loops, place) in [(&c.batch, "batch"), (&c.m, "m"), (&c.n, "n"), (&c.k, "k")] {
                    let mut scope = Scope::default();
                    self.loops(loops, &mut scope, false, place);
                    all.push(scope.vars);
                }
                let scope = |groups: &[usize]| Scope {
                    vars: groups.iter().flat_map(|g| all[*g].iter().copied()).collect(),
                    ..Scope::default()
                };
                self.within(c.a, &scope(&[0, 1, 3]), "a");
                self.within(c.b, &scope(&[0, 3, 2]), "b");
                if self.dtype(c.a) != self.dtype(c.b) {
                    self.add("TC0411", format!("a is {:?}, b is {:?}", self.dtype(c.a), self.dtype(c.b)));
                }
                let mut out = scope(&[0, 1, 2]);
                out.accs.insert((0, 0), c.acc);
                self.stores(&c.stores, &out, "store");
            }
            Body::SparseContraction(c) => {
                let mut all = vec![];
                let (m, k) = (std::slice::from_ref(&c.m), std::slice::from_ref(&c.k));
                for (loops, place) in [(c.batch.as_slice(), "batch"), (m, "m"), (&c.n, "n"), (k, "k")] {
                    let mut scope = Scope::default();
                    self.loops(loops, &mut scope, false, place);
                    all.push(scope.vars);
                }
                let scope = |groups: &[usize]| Scope {
                    vars: groups.iter().flat_map(|g| all[*g].iter().copied()).collect(),
                    ..Scope::default()
                };
                self.buffer(c.values, false, None);
                self.buffer(c.meta, false, Some(DType::U8));
                self.within(c.b, &scope(&[0, 3, 2]), "b");
                let mut out = scope(&[0, 1, 2]);
                out.accs.insert((0, 0), c.acc);
                self.stores(&c.stores, &out, "store");
            }
            Body::Custom(c) => self.custom(c),
            Body::Attention(a) => {
                for p in [&a.batch, &a.seq_q, &a.seq_k, &a.heads_q, &a.heads_kv] {
                    self.poly(p);
                }
                let d = Some(a.dtype);
                for (view, write, dtype, rank) in
                    [(&a.q, false, d, 4), (&a.k, false, d, 4), (&a.v, false, d, 4), (&a.out, true, d, 4)]
                {
                    self.view(view, write, dtype, rank);
                }
                if let Some(lse) = &a.lse {
                    self.view(lse, true, Some(DType::F32), 3);
                }
                match &a.kind {
                    AttentionKind::Dot { causal_offset, bias, window } => {
                        causal_offset.iter().for_each(|p| self.poly(p));
                        if let Some((view, dtype)) = bias {
                            self.view(view, false, Some(*dtype), 4);
                        }
                        if window.is_some() && causal_offset.is_none() {
                            self.add("TC0415", "a window needs a causal offset".into());
                        }
                    }
                    AttentionKind::Trilinear { k2, v2, w1, w2, .. } => {
                        self.view(k2, false, d, 4);
                        self.view(v2, false, d, 4);
                        if *w1 == 0 || *w2 == 0 {
                            self.add("TC0415", format!("windows of {w1} and {w2}; the least is 1"));
                        }
                    }
                }
            }
        }
    }

    fn custom(&mut self, c: &Custom) {
        c.grid.iter().chain([&c.flops]).for_each(|p| self.poly(p));
        let mut passed = vec![];
        for a in &c.arguments {
            match a {
                CustomArgument::Buffer(at) if (*at as usize) < self.desc.buffers.len() => passed.push(*at),
                CustomArgument::Buffer(at) => self.add("TC0410", format!("there is no buffer {at}")),
                CustomArgument::Value { value, bytes } => {
                    self.poly(value);
                    if !matches!(bytes, 4 | 8) {
                        self.add("TC0415", format!("a value of {bytes} bytes; 4 and 8 are possible"));
                    }
                }
            }
        }
        for (at, buffer) in self.desc.buffers.iter().enumerate() {
            if buffer.access != Access::Read && !passed.contains(&(at as u32)) {
                self.add("TC0415", format!("buffer {at} is written, but the code gets no pointer to it"));
            }
        }
        let products = [c.block, c.cluster].map(|n| n.iter().map(|v| u64::from(*v)).product::<u64>());
        if products.contains(&0) || products[0] > 1024 || c.entry.is_empty() {
            self.add("TC0415", format!("a launch of {:?} threads in clusters of {:?} blocks", c.block, c.cluster));
        }
    }

    fn view(&mut self, view: &View, write: bool, dtype: Option<DType>, rank: usize) {
        self.buffer(view.buffer, write, dtype);
        self.poly(&view.offset);
        view.strides.iter().for_each(|p| self.poly(p));
        if view.strides.len() != rank {
            self.add(
                "TC0415",
                format!("a view of buffer {} has {} strides, not {rank}", view.buffer, view.strides.len()),
            );
        }
    }

    fn stage(&mut self, number: u32, stage: &Stage, scope: &mut Scope) {
        let place = format!("stage {number}");
        let mut inner = scope.clone();
        match stage {
            Stage::Reduce { loops, accs } => {
                self.loops(loops, &mut inner, true, &place);
                for (i, Acc { combine, dtype, value }) in accs.iter().enumerate() {
                    self.within(*value, &inner, &place);
                    if self.dtype(*value).is_some_and(|d| d != *dtype) {
                        self.add(
                            "TC0411",
                            format!("{place}: accumulator {i} is {dtype}, its value %{} is not", value.0),
                        );
                    }
                    let logical = matches!(combine, Combine::And | Combine::Or);
                    if logical && *dtype != DType::Bool {
                        self.add("TC0411", format!("{place}: accumulator {i} combines {dtype} logically"));
                    }
                    let held = match combine {
                        Combine::ArgMin { .. } | Combine::ArgMax { .. } => DType::I64,
                        _ => *dtype,
                    };
                    scope.accs.insert((number, i as u32), held);
                }
            }
            Stage::Store { loops, stores } => {
                self.loops(loops, &mut inner, true, &place);
                self.stores(stores, &inner, &place);
            }
            Stage::Sequential { loops, carries, stores } => {
                for (i, c) in carries.iter().enumerate() {
                    self.within(c.init, scope, &place);
                    inner.carries.insert((number, i as u32), c.dtype);
                }
                self.loops(loops, &mut inner, true, &place);
                for (i, c) in carries.iter().enumerate() {
                    self.within(c.next, &inner, &place);
                    if [c.init, c.next].iter().any(|e| self.dtype(*e).is_some_and(|d| d != c.dtype)) {
                        self.add(
                            "TC0411",
                            format!("{place}: carried value {i} is {}, its expressions are not", c.dtype),
                        );
                    }
                }
                self.stores(stores, &inner, &place);
                scope.carries.extend(carries.iter().enumerate().map(|(i, c)| ((number, i as u32), c.dtype)));
            }
        }
    }
}
