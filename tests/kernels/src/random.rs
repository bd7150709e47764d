//! Random nests: any mix of loops, stages, dtypes, strides, guards and gathers, compared exactly.
//!
//! Inputs are small integers in every dtype and only operations that are exact on them are drawn, so that any order of
//! accumulation gives the same bits and every difference is a defect.

use crate::cases::Case;
use crate::oracle::Num;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use tricot_kernel::*;
use tricot_types::{Bindings, DType, Poly, Symbol, SymbolInfo, SymbolTable};

struct Maker {
    rng: ChaCha8Rng,
    e: Exprs,
    buffers: Vec<Buffer>,
    inputs: Vec<Option<Vec<Num>>>,
    /// Loops in scope with their concrete extents.
    scope: Vec<(Loop, i64)>,
    next_var: u32,
    /// Finished accumulators and carries in scope.
    values: Vec<ExprId>,
    symbolic: bool,
    sizes: Vec<i64>,
    /// Multiplications that may still be drawn for the current value.
    products: u32,
}

const FLOATS: [DType; 6] = [DType::F32, DType::F64, DType::BF16, DType::F16, DType::F8E4M3, DType::F8E5M2];

impl Maker {
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.rng.random_range(0..from.len())]
    }

    fn new_loop(&mut self) -> (Loop, i64) {
        let extent = self.pick(&[1, 2, 3, 4, 5, 7, 8, 9, 12, 17, 33]);
        let var = LoopVar(self.next_var);
        self.next_var += 1;
        let size = if self.symbolic && self.rng.random() {
            self.sizes.push(extent);
            name(self.sizes.len() - 1).into()
        } else {
            Poly::constant(extent)
        };
        (Loop::new(var, size), extent)
    }

    fn new_loops(&mut self, most: usize) -> Vec<(Loop, i64)> {
        let count = self.rng.random_range(0..=most);
        (0..count).map(|_| self.new_loop()).collect()
    }

    /// A random order of some loops, as a row-major index; the element count of its buffer.
    fn layout(&mut self, mut loops: Vec<(Loop, i64)>, slack: bool) -> (Index, i64) {
        for i in (1..loops.len()).rev() {
            if self.rng.random_range(0..3) == 0 {
                let j = self.rng.random_range(0..=i);
                loops.swap(i, j);
            }
        }
        let (mut below, mut count) = (Poly::constant(1), 1i64);
        let mut index = Index::zero();
        for (l, extent) in loops.iter().rev() {
            index = index.plus(l.var, below.clone());
            let Extent::Size(size) = &l.extent else { unreachable!() };
            below = below * size.clone();
            count *= extent;
        }
        if slack {
            let by = self.rng.random_range(0..3);
            (index.shifted(by), count + by)
        } else {
            (index, count)
        }
    }

    fn new_buffer(&mut self, dtype: DType, count: i64, access: Access, values: Option<Vec<Num>>) -> u32 {
        let name = format!("b{}", self.buffers.len());
        self.buffers.push(Buffer { name, dtype, shape: vec![Poly::constant(count)], access });
        self.inputs.push(values);
        self.buffers.len() as u32 - 1
    }

    fn small_values(&mut self, dtype: DType, count: i64) -> Vec<Num> {
        let (lo, hi) = dtype.int_range().map_or((-3, 3), |(lo, hi)| (lo.max(-3), hi.min(3)));
        (0..count)
            .map(|_| {
                let x: i128 = self.rng.random_range(lo..=hi);
                if dtype.is_float() { Num::F(x as f64) } else { Num::I(x as i64) }
            })
            .collect()
    }

    fn load(&mut self, dtype: DType) -> ExprId {
        let mut used: Vec<(Loop, i64)> = vec![];
        for l in self.scope.clone() {
            if self.rng.random_range(0..4) != 0 {
                used.push(l);
            }
        }
        let gather = self.rng.random_range(0..6) == 0;
        let guarded = !gather && !used.is_empty() && self.rng.random_range(0..4) == 0;
        let (mut index, mut count) = self.layout(used.clone(), true);
        let mut guard = None;
        if gather {
            let rows = self.rng.random_range(1..6);
            let ids = self.pick(&[DType::I64, DType::I32, DType::U8]);
            let (at, n) = self.layout(used.clone(), false);
            let values = (0..n).map(|_| Num::I(self.rng.random_range(0..rows))).collect();
            let buffer = self.new_buffer(ids, n, Access::Read, Some(values));
            let id = self.e.load(ids, buffer, at);
            let id = self.e.cast(id, DType::I64, CastMode::Round);
            index = index.plus_dynamic(id, count);
            count *= rows;
        }
        if guarded {
            // One variable shifted out of its range on one side or both; the guard keeps it in.
            let l = self.pick(&used.iter().map(|(l, _)| l.var).collect::<Vec<_>>());
            let by = self.rng.random_range(-2..=2i64);
            let Extent::Size(size) = self.scope.iter().find(|(s, _)| s.var == l).unwrap().0.extent.clone() else {
                unreachable!()
            };
            let stride = index.stride(l);
            index = index.shifted(stride * Poly::constant(by));
            let var = self.e.var(l);
            let shift = self.e.int(DType::I64, by);
            let place = self.e.binary(Binary::Add, var, shift);
            let (zero, end) = (self.e.int(DType::I64, 0), self.e.push(DType::I64, Expr::Size(size)));
            let (above, below) = (self.e.binary(Binary::Ge, place, zero), self.e.binary(Binary::Lt, place, end));
            let mut cond = self.e.binary(Binary::And, above, below);
            if self.rng.random() {
                let other = self.flag(1);
                cond = self.e.binary(Binary::And, other, cond);
            }
            let other = if dtype.is_float() { self.e.float(dtype, 1.0) } else { self.e.int(dtype, 1) };
            guard = Some((cond, other));
        }
        let values = self.small_values(dtype, count);
        let buffer = self.new_buffer(dtype, count, Access::Read, Some(values));
        self.e.push(dtype, Expr::Load { buffer, index, guard })
    }

    /// A bool.
    fn flag(&mut self, depth: u32) -> ExprId {
        if depth == 0 || self.rng.random_range(0..4) == 0 {
            return self.load(DType::Bool);
        }
        let dtype = self.pick(&DType::ALL);
        let (a, b) = (self.value(dtype, depth - 1), self.value(dtype, depth - 1));
        let op = self.pick(&[Binary::Eq, Binary::Ne, Binary::Lt, Binary::Le, Binary::Gt, Binary::Ge]);
        let out = self.e.binary(op, a, b);
        if self.rng.random_range(0..3) == 0 { self.e.unary(Unary::Not, out) } else { out }
    }

    /// A value of a dtype.
    fn value(&mut self, dtype: DType, depth: u32) -> ExprId {
        if dtype == DType::Bool && depth > 0 {
            return self.flag(depth - 1);
        }
        if depth == 0 {
            return match self.rng.random_range(0..8) {
                0 if !self.scope.is_empty() => {
                    let at = self.rng.random_range(0..self.scope.len());
                    let var = self.e.var(self.scope[at].0.var);
                    // Small again, so that products stay exact.
                    let three = self.e.int(DType::I64, 3);
                    let small = self.e.binary(Binary::Mod, var, three);
                    self.e.cast(small, dtype, CastMode::Round)
                }
                1 if !self.values.is_empty() => {
                    let at = self.rng.random_range(0..self.values.len());
                    self.e.cast(self.values[at], dtype, CastMode::Saturate)
                }
                2 if dtype.is_float() => self.e.float(dtype, 2.0),
                2 => self.e.int(dtype, 1),
                _ => self.load(dtype),
            };
        }
        match self.rng.random_range(0..10) {
            0 => {
                let from = self.pick(&DType::ALL);
                let x = self.value(from, depth - 1);
                let mode = self.pick(&[CastMode::Round, CastMode::Saturate]);
                self.e.cast(x, dtype, mode)
            }
            1 => {
                let cond = self.flag(depth - 1);
                let (a, b) = (self.value(dtype, depth - 1), self.value(dtype, depth - 1));
                self.e.select(cond, a, b)
            }
            2 => {
                let x = self.value(dtype, depth - 1);
                let all = [Unary::Neg, Unary::Abs, Unary::Sign, Unary::Floor, Unary::Round];
                let op = self.pick(&all[..if dtype.is_float() { 5 } else { 3 }]);
                if dtype == DType::Bool { x } else { self.e.unary(op, x) }
            }
            3 if dtype.is_int() => {
                let (a, b) = (self.value(dtype, depth - 1), self.value(dtype, depth - 1));
                let op = self.pick(&[
                    Binary::Div,
                    Binary::Mod,
                    Binary::Rem,
                    Binary::And,
                    Binary::Or,
                    Binary::Xor,
                    Binary::Shl,
                    Binary::Shr,
                ]);
                self.e.binary(op, a, b)
            }
            4 if self.products > 0 && dtype != DType::Bool => {
                self.products -= 1;
                let (a, b) = (self.value(dtype, depth - 1), self.value(dtype, depth - 1));
                self.e.binary(Binary::Mul, a, b)
            }
            _ => {
                let (a, b) = (self.value(dtype, depth - 1), self.value(dtype, depth - 1));
                let all = [Binary::Min, Binary::Max, Binary::Add, Binary::Sub];
                let op = self.pick(&all[..if dtype == DType::Bool { 2 } else { 4 }]);
                self.e.binary(op, a, b)
            }
        }
    }

    fn fresh_value(&mut self, dtype: DType, depth: u32) -> ExprId {
        self.products = 2;
        self.value(dtype, depth)
    }

    fn store(&mut self, value: ExprId) -> Store {
        let dtype = self.e[value].dtype;
        let guarded = self.rng.random_range(0..5) == 0;
        let (index, count) = self.layout(self.scope.clone(), false);
        let access = if guarded { Access::ReadWrite } else { Access::Write };
        let values = guarded.then(|| self.small_values(dtype, count));
        let guard = guarded.then(|| self.flag(1));
        let buffer = self.new_buffer(dtype, count, access, values);
        Store { buffer, index, value, guard }
    }

    fn stage(&mut self, number: u32) -> Stage {
        let inner = self.new_loops(2);
        let loops: Vec<Loop> = inner.iter().map(|(l, _)| l.clone()).collect();
        let outside = self.scope.len();
        self.scope.extend(inner);
        let stage = match self.rng.random_range(0..5) {
            0 | 1 => {
                let mut accs = vec![];
                let mut results = vec![];
                for n in 0..self.rng.random_range(1..=2u32) {
                    let dtype = self.pick(&[
                        DType::F32,
                        DType::F64,
                        DType::I64,
                        DType::I32,
                        DType::I8,
                        DType::U4,
                        DType::U64,
                        DType::Bool,
                    ]);
                    let combine = if dtype == DType::Bool {
                        self.pick(&[Combine::And, Combine::Or])
                    } else {
                        let last = self.rng.random();
                        self.pick(&[
                            Combine::Sum,
                            Combine::Min,
                            Combine::Max,
                            Combine::ArgMin { last },
                            Combine::ArgMax { last },
                        ])
                    };
                    let value = self.fresh_value(dtype, 2);
                    accs.push(Acc { combine, dtype, value });
                    let arg = matches!(combine, Combine::ArgMin { .. } | Combine::ArgMax { .. });
                    results.push((if arg { DType::I64 } else { dtype }, n));
                }
                for (dtype, acc) in results {
                    let id = self.e.push(dtype, Expr::Acc { stage: number, acc });
                    self.values.push(id);
                }
                Stage::Reduce { loops, accs }
            }
            2 => {
                let dtype = self.pick(&[DType::F32, DType::I64, DType::I16, DType::F64]);
                let before = self.e.push(dtype, Expr::Carry { stage: number, carry: 0 });
                let step = self.fresh_value(dtype, 1);
                let op = self.pick(&[Binary::Add, Binary::Max]);
                let next = self.e.binary(op, before, step);
                let init = if dtype.is_float() { self.e.float(dtype, 0.0) } else { self.e.int(dtype, 0) };
                let shown = if self.rng.random() { before } else { next };
                let stores = vec![self.store(shown)];
                self.values.push(before);
                Stage::Sequential { loops, carries: vec![Carry { dtype, init, next }], stores }
            }
            _ => {
                let mut stores = vec![];
                for _ in 0..self.rng.random_range(1..=2) {
                    let dtype = if self.rng.random() { self.pick(&FLOATS) } else { self.pick(&DType::ALL) };
                    let value = self.fresh_value(dtype, 3);
                    stores.push(self.store(value));
                }
                Stage::Store { loops, stores }
            }
        };
        self.scope.truncate(outside);
        stage
    }
}

/// A random case from a seed.
pub fn case(seed: u64) -> Case {
    let mut m = Maker {
        rng: ChaCha8Rng::seed_from_u64(seed),
        e: Exprs::default(),
        buffers: vec![],
        inputs: vec![],
        scope: vec![],
        next_var: 0,
        values: vec![],
        symbolic: seed % 2 == 1,
        sizes: vec![],
        products: 0,
    };
    m.scope = m.new_loops(3);
    let parallel = m.scope.iter().map(|(l, _)| l.clone()).collect();
    let mut stages: Vec<Stage> = (0..m.rng.random_range(1..=3)).map(|n| m.stage(n)).collect();
    // What was computed last is shown.
    if let Some(value) = m.values.last().copied() {
        let store = m.store(value);
        stages.push(Stage::Store { loops: vec![], stores: vec![store] });
    }
    let symbols: Vec<Symbol> = (0..m.sizes.len()).map(name).collect();
    // Half of the symbolic cases have hints that choose teams for small loops.
    let hint = if seed % 4 == 1 { 400 } else { 8 };
    let info = SymbolInfo { hint, ..SymbolInfo::default() };
    let table: SymbolTable = symbols.iter().map(|s| (s.clone(), info.clone())).collect();
    let bindings: Bindings = symbols.iter().cloned().zip(m.sizes.iter().copied()).collect();
    let given: BTreeMap<u32, Vec<Num>> =
        m.inputs.into_iter().enumerate().filter_map(|(i, v)| Some((i as u32, v?))).collect();
    let desc = KernelDesc {
        name: format!("random_{seed}"),
        symbols,
        buffers: m.buffers,
        exprs: m.e,
        body: Body::Nest(Nest { parallel, stages }),
    };
    Case { desc, symbols: table, bindings, bound: 0.0, data: (0.0, 1.0), given }
}

fn name(number: usize) -> Symbol {
    Symbol::new(&format!("n{number}")).expect("an identifier")
}
