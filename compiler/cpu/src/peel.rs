//! Ranges of a loop variable where guards hold, so that the middle of a padded loop needs no guard.
//!
//! A guard is a conjunction of comparisons; each that is affine in the variable bounds it from one side. Inside the
//! bounds the guard is assumed ([`Emit::assumed`]), outside the guarded scalar code runs. Knows no memory.

use crate::access::reachable;
use crate::emit::Emit;
use cranelift_codegen::ir::{InstBuilder, Value};
use std::collections::BTreeSet;
use tricot_kernel::{Binary, Const, Expr, ExprId, Exprs, LoopVar};
use tricot_types::DType;

/// `coefficient * var + rest`, with `rest` in a register.
struct Affine {
    coefficient: i64,
    rest: Value,
}

/// The guards of loads below the roots, and the store guards among `guards`, that depend on `var`.
fn guards(e: &Emit, roots: &[ExprId], var: LoopVar) -> BTreeSet<ExprId> {
    let loads = reachable(e.exprs, roots).into_iter().filter_map(|id| match &e.exprs[id].expr {
        Expr::Load { guard: Some((cond, _)), .. } => Some(*cond),
        _ => None,
    });
    let stores = roots.iter().copied().filter(|id| e.exprs[*id].dtype == DType::Bool);
    loads.chain(stores).filter(|id| e.deps[id.0 as usize].vars.contains(&var)).collect()
}

/// The comparisons whose conjunction a bool node is.
fn atoms(exprs: &Exprs, id: ExprId, out: &mut BTreeSet<ExprId>) {
    match &exprs[id].expr {
        Expr::Binary(Binary::And | Binary::Mul | Binary::Min, a, b) if exprs[id].dtype == DType::Bool => {
            atoms(exprs, *a, out);
            atoms(exprs, *b, out);
        }
        _ => {
            out.insert(id);
        }
    }
}

/// Whether a comparison can be turned into a bound on `var`; nothing is emitted.
fn is_bound(e: &Emit, id: ExprId, var: LoopVar) -> bool {
    if !e.deps[id.0 as usize].vars.contains(&var) {
        return e.ready(id, false);
    }
    match &e.exprs[id].expr {
        Expr::Binary(Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge, a, b) => {
            e.exprs[*a].dtype == DType::I64
                && matches!((slope(e, *a, var), slope(e, *b, var)), (Some(x), Some(y)) if x != y && (x - y).abs() < 1 << 20)
        }
        _ => false,
    }
}

/// The constant coefficient of `var` in an i64 node that is affine in it.
fn slope(e: &Emit, id: ExprId, var: LoopVar) -> Option<i64> {
    let deps = &e.deps[id.0 as usize];
    if !deps.vars.contains(&var) {
        return e.ready(id, false).then_some(0);
    }
    match &e.exprs[id].expr {
        Expr::Var(_) => Some(1),
        Expr::Binary(Binary::Add, a, b) => slope(e, *a, var)?.checked_add(slope(e, *b, var)?),
        Expr::Binary(Binary::Sub, a, b) => slope(e, *a, var)?.checked_sub(slope(e, *b, var)?),
        Expr::Binary(Binary::Mul, a, b) => match (&e.exprs[*a].expr, &e.exprs[*b].expr) {
            (Expr::Const(Const::Int(c)), _) => slope(e, *b, var)?.checked_mul(*c),
            (_, Expr::Const(Const::Int(c))) => slope(e, *a, var)?.checked_mul(*c),
            _ => None,
        },
        _ => None,
    }
    .filter(|s| s.abs() < 1 << 20)
}

impl Emit<'_> {
    /// Guards that can be assumed inside a computed part of `lo..hi`, and that part. `None` if there is none.
    pub fn guarded_part(
        &mut self,
        roots: &[ExprId],
        var: LoopVar,
        lo: Value,
        hi: Value,
    ) -> Option<(BTreeSet<ExprId>, Value, Value)> {
        let found = guards(self, roots, var);
        let mut all = BTreeSet::new();
        let mut assumed = BTreeSet::new();
        for guard in found {
            let mut own = BTreeSet::new();
            atoms(self.exprs, guard, &mut own);
            if own.iter().all(|id| is_bound(self, *id, var)) {
                all.extend(own);
                assumed.insert(guard);
            }
        }
        if assumed.is_empty() {
            return None;
        }
        let (mut from, mut to) = (lo, hi);
        for atom in all {
            if !self.deps[atom.0 as usize].vars.contains(&var) {
                // Fails for the whole loop: the part ends before it begins.
                let holds = self.eval(atom).one();
                to = self.b.ins().select(holds, to, from);
                continue;
            }
            let Expr::Binary(op, a, b) = self.exprs[atom].expr else { unreachable!("checked by is_bound") };
            let (a, b) = (self.affine(a, var), self.affine(b, var));
            // As `coefficient * var + rest >= 0`.
            let (high, low) = if matches!(op, Binary::Gt | Binary::Ge) { (a, b) } else { (b, a) };
            let coefficient = high.coefficient - low.coefficient;
            let mut rest = self.b.ins().isub(high.rest, low.rest);
            if matches!(op, Binary::Gt | Binary::Lt) {
                rest = self.b.ins().iadd_imm_s(rest, -1);
            }
            if coefficient > 0 {
                let negated = self.b.ins().ineg(rest);
                let up = self.b.ins().iadd_imm_s(negated, coefficient - 1);
                let first = self.floor_div_const(up, coefficient);
                from = self.most(from, first);
            } else {
                let last = self.floor_div_const(rest, -coefficient);
                let end = self.b.ins().iadd_imm_s(last, 1);
                to = self.least(to, end);
            }
        }
        let from = self.least(from, hi);
        let to = self.most(to, from);
        Some((assumed, from, to))
    }

    fn affine(&mut self, id: ExprId, var: LoopVar) -> Affine {
        if !self.deps[id.0 as usize].vars.contains(&var) {
            return Affine { coefficient: 0, rest: self.eval(id).one() };
        }
        match self.exprs[id].expr {
            Expr::Var(_) => Affine { coefficient: 1, rest: self.i64(0) },
            Expr::Binary(op @ (Binary::Add | Binary::Sub), a, b) => {
                let (a, b) = (self.affine(a, var), self.affine(b, var));
                if op == Binary::Add {
                    let rest = self.b.ins().iadd(a.rest, b.rest);
                    Affine { coefficient: a.coefficient + b.coefficient, rest }
                } else {
                    let rest = self.b.ins().isub(a.rest, b.rest);
                    Affine { coefficient: a.coefficient - b.coefficient, rest }
                }
            }
            Expr::Binary(Binary::Mul, a, b) => {
                let (inner, c) = match (&self.exprs[a].expr, &self.exprs[b].expr) {
                    (Expr::Const(Const::Int(c)), _) => (b, *c),
                    (_, Expr::Const(Const::Int(c))) => (a, *c),
                    _ => unreachable!("checked by slope"),
                };
                let inner = self.affine(inner, var);
                let rest = self.b.ins().imul_imm_s(inner.rest, c);
                Affine { coefficient: inner.coefficient * c, rest }
            }
            _ => unreachable!("checked by slope"),
        }
    }
}
