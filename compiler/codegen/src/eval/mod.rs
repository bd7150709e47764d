//! Evaluates expression DAGs of a kernel description inside loops.
//!
//! The central type is [`Eval`]: a stack of scopes, one per open loop or branch. A node is emitted once per scope, in the outermost
//! scope where its variables are bound, provided [`Eval::hoist`] is called when a loop is about to open. Values are [`Lanes`]:
//! one value for all lanes, or one per lane where a thread works on several consecutive points at once.

pub mod facts;
mod load;
pub mod store;

pub use facts::{Facts, common_vector, vector_lanes};

use crate::emit::{Builder, Ty, Val};
use crate::kernel::Kernel;
use crate::scalar;
use std::collections::{BTreeMap, BTreeSet};
use tricot_kernel::{Binary, Expr, ExprId, LoopVar};
use tricot_types::DType;

/// One value for all lanes, or one per lane.
pub type Lanes = Vec<Val>;

/// Applies `f` lane by lane; the result is uniform if all arguments are.
pub fn zip_lanes(args: &[&Lanes], mut f: impl FnMut(&[Val]) -> Val) -> Lanes {
    let width = args.iter().map(|a| a.len()).max().unwrap_or(1);
    let pick = |a: &Lanes, i: usize| if a.len() == 1 { a[0] } else { a[i] };
    (0..width).map(|i| f(&args.iter().map(|a| pick(a, i)).collect::<Vec<_>>())).collect()
}

#[derive(Default)]
struct Scope {
    vars: BTreeMap<LoopVar, Lanes>,
    accs: BTreeMap<(u32, u32), Lanes>,
    carries: BTreeMap<(u32, u32), Lanes>,
    cache: BTreeMap<ExprId, Lanes>,
    /// Values cached further out are not seen from here on: the stage stores to what they may have loaded.
    fresh: bool,
}

/// The state of evaluation at the current place of emission.
pub struct Eval<'k> {
    pub k: &'k Kernel<'k>,
    pub b: &'k Builder,
    pub facts: &'k Facts<'k>,
    scopes: Vec<Scope>,
    /// The variable whose lanes are consecutive, starting at a multiple of their number.
    consecutive: Option<LoopVar>,
    /// Buffers that the open `Sequential` stage stores to: loads of them stay inside its innermost loop.
    ordered: BTreeSet<u32>,
}

impl<'k> Eval<'k> {
    /// An evaluator with one empty scope.
    pub fn new(k: &'k Kernel<'k>, facts: &'k Facts<'k>) -> Eval<'k> {
        Eval { k, b: &k.b, facts, scopes: vec![Scope::default()], consecutive: None, ordered: BTreeSet::new() }
    }

    /// Opens a scope, runs `body`, closes it.
    pub fn scoped<R>(&mut self, body: impl FnOnce(&mut Eval<'k>) -> R) -> R {
        self.scopes.push(Scope::default());
        let result = body(self);
        self.scopes.pop();
        result
    }

    /// As [`Eval::scoped`], but nothing cached outside is seen and loads of `buffers` are never hoisted.
    pub fn ordered<R>(&mut self, buffers: BTreeSet<u32>, body: impl FnOnce(&mut Eval<'k>) -> R) -> R {
        let before = std::mem::replace(&mut self.ordered, buffers);
        self.scopes.push(Scope { fresh: true, ..Scope::default() });
        let result = body(self);
        self.scopes.pop();
        self.ordered = before;
        result
    }

    /// Binds a loop variable (i64, one value or one per lane) in the current scope.
    pub fn bind(&mut self, var: LoopVar, value: Lanes) {
        self.top().vars.insert(var, value);
    }

    /// Binds a variable to `lanes` consecutive values from `first` on, a multiple of `lanes`.
    pub fn bind_consecutive(&mut self, var: LoopVar, first: Val, lanes: u32) {
        let values =
            (0..lanes).map(|i| if i == 0 { first } else { self.b.add(first, self.b.i64(i64::from(i))) }).collect();
        self.consecutive = (lanes > 1).then_some(var);
        self.bind(var, values);
    }

    /// Sets the final value of an accumulator.
    pub fn bind_acc(&mut self, stage: u32, acc: u32, value: Lanes) {
        self.top().accs.insert((stage, acc), value);
    }

    /// Sets the value of a carry.
    pub fn bind_carry(&mut self, stage: u32, carry: u32, value: Lanes) {
        self.top().carries.insert((stage, carry), value);
    }

    fn top(&mut self) -> &mut Scope {
        self.scopes.last_mut().expect("there is always a scope")
    }

    fn find<'a, T: 'a>(&'a self, get: impl Fn(&'a Scope) -> Option<&'a T>) -> Option<&'a T> {
        self.scopes.iter().rev().find_map(get)
    }

    fn cached(&self, id: ExprId) -> Option<Lanes> {
        for scope in self.scopes.iter().rev() {
            if let Some(v) = scope.cache.get(&id) {
                return Some(v.clone());
            }
            if scope.fresh {
                return None;
            }
        }
        None
    }

    fn bound(&self, var: LoopVar) -> bool {
        self.find(|s| s.vars.get(&var)).is_some()
    }

    fn var(&self, var: LoopVar) -> Lanes {
        self.find(|s| s.vars.get(&var)).unwrap_or_else(|| panic!("loop variable {} is not bound here", var.0)).clone()
    }

    /// Whether a node can be computed now: everything it depends on is bound. Loads without a guard count only if `loads`.
    fn ready(&self, id: ExprId, loads: bool, memo: &mut BTreeMap<ExprId, bool>) -> bool {
        if let Some(known) = memo.get(&id) {
            return *known;
        }
        let exprs = &self.k.desc.exprs;
        let own = match &exprs[id].expr {
            Expr::Var(v) => self.bound(*v),
            Expr::Acc { stage, acc } => self.find(|s| s.accs.get(&(*stage, *acc))).is_some(),
            Expr::Carry { stage, carry } => self.find(|s| s.carries.get(&(*stage, *carry))).is_some(),
            Expr::Load { buffer, index, guard } => {
                (guard.is_some() || loads)
                    && !self.ordered.contains(buffer)
                    && index.affine.keys().all(|v| self.bound(*v))
            }
            _ => true,
        };
        let mut all = own;
        if own {
            exprs.operands(id, |o| all = all && self.ready(o, loads, memo));
        }
        memo.insert(id, all);
        all
    }

    /// Emits, in the current scope, every part of `roots` that does not depend on what is bound later. Call it just before opening a
    /// loop that evaluates them. `runs` says that the loop runs at least once, so that unguarded loads may be done before it.
    pub fn hoist(&mut self, roots: &[ExprId], runs: bool) {
        let (mut memo, mut seen) = (BTreeMap::new(), BTreeSet::new());
        roots.iter().for_each(|r| self.hoist_node(*r, runs, &mut memo, &mut seen));
    }

    fn hoist_node(&mut self, id: ExprId, runs: bool, memo: &mut BTreeMap<ExprId, bool>, seen: &mut BTreeSet<ExprId>) {
        if !seen.insert(id) || self.cached(id).is_some() {
            return;
        }
        let exprs = &self.k.desc.exprs;
        if self.ready(id, runs, memo) {
            // Leaves cost nothing where they are used.
            if !matches!(exprs[id].expr, Expr::Const(_) | Expr::Var(_) | Expr::Acc { .. } | Expr::Carry { .. }) {
                self.eval(id);
            }
            return;
        }
        if let Expr::Load { index, guard: Some((cond, other)), .. } = &exprs[id].expr {
            // The index of a guarded load may itself load where the guard allows only.
            self.hoist_node(*cond, runs, memo, seen);
            self.hoist_node(*other, runs, memo, seen);
            for (e, _) in &index.dynamic {
                let mut without_loads = BTreeMap::new();
                if self.ready(*e, false, &mut without_loads) {
                    self.eval(*e);
                }
            }
            return;
        }
        let mut operands = vec![];
        exprs.operands(id, |o| operands.push(o));
        operands.into_iter().for_each(|o| self.hoist_node(o, runs, memo, seen));
    }

    /// The value of a node in register form, cached in the current scope.
    pub fn eval(&mut self, id: ExprId) -> Lanes {
        if let Some(value) = self.cached(id) {
            return value;
        }
        let value = self.compute(id);
        self.top().cache.insert(id, value.clone());
        value
    }

    /// The value of a node known to be the same in all lanes.
    pub fn eval_one(&mut self, id: ExprId) -> Val {
        self.eval(id)[0]
    }

    fn compute(&mut self, id: ExprId) -> Lanes {
        let desc = self.k.desc;
        let b = self.b;
        let dtype = desc.exprs[id].dtype;
        match &desc.exprs[id].expr {
            Expr::Const(c) => vec![scalar::constant(b, dtype, *c)],
            Expr::Var(v) => self.var(*v),
            Expr::Size(p) => vec![self.k.poly(p)],
            Expr::Load { buffer, index, guard } => self.load(*buffer, index, *guard),
            Expr::Unary(op, x) => {
                let from = desc.exprs[*x].dtype;
                let x = self.eval(*x);
                zip_lanes(&[&x], |v| scalar::unary(b, *op, from, v[0]))
            }
            Expr::Binary(op, x, y) => self.binary(*op, *x, *y),
            Expr::Select { cond, then, other } => {
                let (cond, then, other) = (self.eval(*cond), self.eval(*then), self.eval(*other));
                zip_lanes(&[&cond, &then, &other], |v| b.select(v[0], v[1], v[2]))
            }
            Expr::Cast { from, mode } => {
                let from_dtype = desc.exprs[*from].dtype;
                let x = self.eval(*from);
                zip_lanes(&[&x], |v| scalar::cast(b, from_dtype, dtype, *mode, v[0]))
            }
            Expr::Acc { stage, acc } => self
                .find(|s| s.accs.get(&(*stage, *acc)))
                .unwrap_or_else(|| panic!("accumulator {stage}.{acc} has no value here"))
                .clone(),
            Expr::Carry { stage, carry } => self
                .find(|s| s.carries.get(&(*stage, *carry)))
                .unwrap_or_else(|| panic!("carry {stage}.{carry} has no value here"))
                .clone(),
        }
    }

    fn binary(&mut self, op: Binary, x: ExprId, y: ExprId) -> Lanes {
        let desc = self.k.desc;
        let b = self.b;
        let dtype = desc.exprs[x].dtype;
        let (left, right) = (self.eval(x), self.eval(y));
        if let (Binary::Pow, Expr::Const(exponent)) = (op, &desc.exprs[y].expr) {
            if dtype.is_float() {
                let powers: Option<Lanes> =
                    left.iter().map(|v| scalar::constant_power(b, dtype, *v, *exponent)).collect();
                if let Some(powers) = powers {
                    return powers;
                }
            }
        }
        // Index arithmetic: 64-bit division is a long routine, 32-bit division by a constant three instructions.
        let divides = matches!(op, Binary::Div | Binary::FloorDiv | Binary::Mod | Binary::Rem);
        if divides && dtype == DType::I64 && self.facts.small(x, 0) && self.facts.small(y, 1) {
            return zip_lanes(&[&left, &right], |v| {
                let (n, d) = (b.resize_u(v[0], Ty::I32), b.resize_u(v[1], Ty::I32));
                let value = if matches!(op, Binary::Div | Binary::FloorDiv) { b.div_u(n, d) } else { b.rem_u(n, d) };
                b.resize_u(value, Ty::I64)
            });
        }
        zip_lanes(&[&left, &right], |v| scalar::binary(b, op, dtype, v[0], v[1]))
    }
}
