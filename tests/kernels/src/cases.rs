//! Kernel descriptions to run against the [`crate::oracle`]: one or more of every kind, small enough for an emulator.
//!
//! The central type is [`Case`]. [`all`] lists them; [`Case::inputs`] makes the same random data everywhere.

mod lists;

pub use lists::{Part, all, broken, large, small};

use crate::oracle::{self, Num};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use tricot_kernel::*;
use tricot_types::{Bindings, DType, Poly, Symbol, SymbolInfo, SymbolTable};

/// A description with sizes, and how well its outputs must agree.
#[derive(Clone, Debug)]
pub struct Case {
    pub desc: KernelDesc,
    pub symbols: SymbolTable,
    pub bindings: Bindings,
    /// Largest relative L2 error of any float output.
    pub bound: f64,
    /// Range of float inputs: `(centre, spread)`, normal-ish.
    pub data: (f64, f64),
    /// Contents of buffers in place of random ones, by buffer number.
    pub given: BTreeMap<u32, Vec<Num>>,
}

impl Case {
    /// Random elements of every buffer; outputs are poisoned with NaN or the largest integer.
    pub fn inputs(&self) -> Vec<Vec<Num>> {
        let mut rng =
            ChaCha8Rng::seed_from_u64(self.desc.name.bytes().fold(7, |h: u64, b| h.wrapping_mul(31) ^ u64::from(b)));
        let mut element = |dtype: DType| -> Num {
            if dtype.is_float() {
                let normal: f64 = (0..6).map(|_| rng.random_range(-1.0..1.0)).sum::<f64>() / 2f64.sqrt();
                return Num::F(oracle::round(dtype, self.data.0 + self.data.1 * normal));
            }
            Num::I(match dtype {
                DType::Bool => rng.random_range(0..2),
                DType::I4 => rng.random_range(-8..8),
                DType::U4 => rng.random_range(0..16),
                DType::U8 => rng.random_range(0..256),
                DType::I8 => rng.random_range(-128..128),
                d if d.is_signed_int() => rng.random_range(-1000..1000),
                _ => rng.random_range(0..1000),
            })
        };
        let fill = |b: &Buffer, element: &mut dyn FnMut(DType) -> Num| -> Vec<Num> {
            let poison =
                if b.dtype.is_float() { Num::F(f64::NAN) } else { Num::I(i64::from(b.dtype == DType::Bool) + 2) };
            let one = |_| if b.access == Access::Write { poison } else { element(b.dtype) };
            (0..oracle::elements(&b.shape, &self.bindings)).map(one).collect()
        };
        let mut buffers: Vec<Vec<Num>> = self.desc.buffers.iter().map(|b| fill(b, &mut element)).collect();
        for (buffer, values) in &self.given {
            buffers[*buffer as usize].clone_from(values);
        }
        if let Body::SparseContraction(c) = &self.desc.body {
            // Two different places of each group of four, the lower first.
            let pairs = [4, 8, 9, 12, 13, 14];
            for byte in &mut buffers[c.meta as usize] {
                *byte = Num::I(pairs[rng.random_range(0..6)] | pairs[rng.random_range(0..6)] << 4);
            }
        }
        buffers
    }

    /// What a right kernel leaves in every buffer.
    pub fn expected(&self, inputs: &[Vec<Num>]) -> Vec<Vec<Num>> {
        let mut buffers = inputs.to_vec();
        oracle::run(&self.desc, &self.bindings, &mut buffers);
        buffers
    }

    /// Compares the buffers after a run with [`Case::expected`]; the message says what is wrong.
    pub fn check(&self, expected: &[Vec<Num>], got: &[Vec<Num>]) -> Result<f64, String> {
        let mut worst = 0f64;
        for (n, b) in self.desc.buffers.iter().enumerate() {
            if !b.dtype.is_float() {
                if let Some(at) = (0..expected[n].len()).find(|i| expected[n][*i] != got[n][*i]) {
                    return Err(format!("{}[{at}] is {:?}, not {:?}", b.name, got[n][at], expected[n][at]));
                }
                continue;
            }
            let (mut error, mut norm) = (0.0, 0.0);
            for (at, (e, g)) in expected[n].iter().zip(&got[n]).enumerate() {
                let (e, g) = (e.float(), g.float());
                if e.is_finite() && g.is_finite() {
                    error += (e - g) * (e - g);
                    norm += e * e;
                } else if !(e == g || e.is_nan() && g.is_nan()) {
                    return Err(format!("{}[{at}] is {g}, not {e}", b.name));
                }
            }
            let relative = if norm == 0.0 { f64::sqrt(error) } else { f64::sqrt(error / norm) };
            if !(relative <= self.bound) {
                return Err(format!("{} is off by {relative:.2e} of its norm, more than {:.0e}", b.name, self.bound));
            }
            worst = worst.max(relative);
        }
        Ok(worst)
    }
}

/// Builds a description step by step.
struct Make {
    desc: KernelDesc,
    symbols: SymbolTable,
    bindings: Bindings,
    bound: f64,
    data: (f64, f64),
}

const V: [LoopVar; 6] = [LoopVar(0), LoopVar(1), LoopVar(2), LoopVar(3), LoopVar(4), LoopVar(5)];

impl Make {
    fn new(name: &str) -> Make {
        let body = Body::Nest(Nest { parallel: vec![], stages: vec![] });
        let desc = KernelDesc { name: name.into(), symbols: vec![], buffers: vec![], exprs: Exprs::default(), body };
        Make { desc, symbols: SymbolTable::new(), bindings: Bindings::new(), bound: 1e-5, data: (0.0, 1.5) }
    }

    fn symbol(&mut self, name: &str, value: i64, info: SymbolInfo) -> Poly {
        let s = Symbol::new(name).expect("an identifier");
        self.desc.symbols.push(s.clone());
        self.symbols.insert(s.clone(), info);
        self.bindings.insert(s.clone(), value);
        s.into()
    }

    fn buffer(&mut self, dtype: DType, shape: Vec<Poly>, access: Access) -> u32 {
        let at = self.desc.buffers.len() as u32;
        self.desc.buffers.push(Buffer { name: format!("b{at}"), dtype, shape, access });
        at
    }

    fn read(&mut self, dtype: DType, shape: &[i64]) -> u32 {
        self.buffer(dtype, shape.iter().map(|n| (*n).into()).collect(), Access::Read)
    }

    fn write(&mut self, dtype: DType, shape: &[i64]) -> u32 {
        self.buffer(dtype, shape.iter().map(|n| (*n).into()).collect(), Access::Write)
    }

    fn done(mut self, body: Body) -> Case {
        self.desc.body = body;
        Case {
            desc: self.desc,
            symbols: self.symbols,
            bindings: self.bindings,
            bound: self.bound,
            data: self.data,
            given: BTreeMap::new(),
        }
    }

    fn nest(self, parallel: &[(LoopVar, i64)], stages: Vec<Stage>) -> Case {
        self.done(Body::Nest(Nest { parallel: loops(parallel), stages }))
    }
}

fn loops(of: &[(LoopVar, i64)]) -> Vec<Loop> {
    of.iter().map(|(v, n)| Loop::new(*v, *n)).collect()
}

fn at(terms: &[(LoopVar, i64)]) -> Index {
    terms.iter().fold(Index::zero(), |i, (v, s)| i.plus(*v, *s))
}

fn put(buffer: u32, index: Index, value: ExprId) -> Store {
    Store { buffer, index, value, guard: None }
}

fn store(loops: Vec<Loop>, stores: Vec<Store>) -> Stage {
    Stage::Store { loops, stores }
}

fn sum(dtype: DType, value: ExprId) -> Acc {
    Acc { combine: Combine::Sum, dtype, value }
}

/// Unit roundings times a few, or exact.
fn bound_of(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => 1e-12,
        DType::F32 => 2e-6,
        d if d.is_float() => 1.5 * d.unit_roundoff(),
        _ => 0.0,
    }
}

/// y = f(x) for every unary function that is defined around `data`.
fn unary_map(op: Unary, dtype: DType, n: i64, data: (f64, f64)) -> Case {
    let mut m = Make::new(&format!("{op:?}_{dtype}_{n}").to_lowercase());
    m.data = data;
    m.bound = bound_of(dtype);
    let x = m.read(dtype, &[n]);
    let result = if op.is_predicate() { DType::Bool } else { dtype };
    let y = m.write(result, &[n]);
    let value = m.desc.exprs.load(dtype, x, at(&[(V[0], 1)]));
    let value = m.desc.exprs.unary(op, value);
    m.nest(&[(V[0], n)], vec![store(vec![], vec![put(y, at(&[(V[0], 1)]), value)])])
}

fn binary_map(op: Binary, dtype: DType, data: (f64, f64)) -> Case {
    let mut m = Make::new(&format!("{op:?}_{dtype}").to_lowercase());
    m.data = data;
    m.bound = bound_of(dtype);
    let n = 130;
    let (x, y) = (m.read(dtype, &[n]), m.read(dtype, &[n]));
    let result = if op.is_comparison() { DType::Bool } else { dtype };
    let z = m.write(result, &[n]);
    let a = m.desc.exprs.load(dtype, x, at(&[(V[0], 1)]));
    let b = m.desc.exprs.load(dtype, y, at(&[(V[0], 1)]));
    // Small divisors, exponents and shifts, zero among them.
    let b = if dtype.is_float() || dtype == DType::Bool || op.is_comparison() {
        b
    } else {
        let seven = m.desc.exprs.int(dtype, if dtype.bits() == 4 { 3 } else { 7 });
        m.desc.exprs.binary(Binary::Rem, b, seven)
    };
    let value = m.desc.exprs.binary(op, a, b);
    m.nest(&[(V[0], n)], vec![store(vec![], vec![put(z, at(&[(V[0], 1)]), value)])])
}

fn cast_map(from: DType, to: DType, mode: CastMode) -> Case {
    let mut m = Make::new(&format!("cast_{from}_{to}_{mode:?}").to_lowercase());
    m.data = (0.0, if matches!(to, DType::F8E4M3 | DType::F8E5M2) { 300.0 } else { 40.0 });
    // Conversions are exact but for the sign of NaN, which is not looked at.
    m.bound = 0.0;
    let n = 257;
    let x = m.read(from, &[n]);
    let y = m.write(to, &[n]);
    let value = m.desc.exprs.load(from, x, at(&[(V[0], 1)]));
    let value = m.desc.exprs.push(to, Expr::Cast { from: value, mode });
    m.nest(&[(V[0], n)], vec![store(vec![], vec![put(y, at(&[(V[0], 1)]), value)])])
}

/// Row softmax of `rows` x `columns`.
fn softmax(dtype: DType, rows: i64, columns: i64) -> Case {
    let mut m = Make::new(&format!("softmax_{dtype}_{rows}_{columns}"));
    m.bound = if dtype == DType::F32 { 1e-5 } else { 6e-3 };
    let x = m.read(dtype, &[rows, columns]);
    let y = m.write(dtype, &[rows, columns]);
    let e = &mut m.desc.exprs;
    let index = |k: LoopVar| at(&[(V[0], columns), (k, 1)]);
    let element = |e: &mut Exprs, k: LoopVar| {
        let v = e.load(dtype, x, index(k));
        e.cast(v, DType::F32, CastMode::Round)
    };
    let first = element(e, V[1]);
    let most = e.push(DType::F32, Expr::Acc { stage: 0, acc: 0 });
    let power = |e: &mut Exprs, k: LoopVar| {
        let v = element(e, k);
        let shifted = e.binary(Binary::Sub, v, most);
        e.unary(Unary::Exp, shifted)
    };
    let (second, third) = (power(e, V[2]), power(e, V[3]));
    let total = e.push(DType::F32, Expr::Acc { stage: 1, acc: 0 });
    let value = e.binary(Binary::Div, third, total);
    let value = e.cast(value, dtype, CastMode::Round);
    let k = |v: LoopVar| loops(&[(v, columns)]);
    let max = Acc { combine: Combine::Max, dtype: DType::F32, value: first };
    m.nest(
        &[(V[0], rows)],
        vec![
            Stage::Reduce { loops: k(V[1]), accs: vec![max] },
            Stage::Reduce { loops: k(V[2]), accs: vec![sum(DType::F32, second)] },
            store(k(V[3]), vec![put(y, index(V[3]), value)]),
        ],
    )
}

/// Any reduction over two axes of `[rows, inner0, inner1]`, or over the first axis.
fn reduction(combine: Combine, dtype: DType, rows: i64, inner: [i64; 2], columns: bool) -> Case {
    let way = if columns { "columns" } else { "rows" };
    let mut m = Make::new(&format!("reduce_{}_{dtype}_{way}_{rows}_{}_{}", name_of(combine), inner[0], inner[1]));
    m.bound = if dtype == DType::F64 { 1e-12 } else { 1e-5 };
    m.data = if combine == Combine::Prod { (1.0, 0.05) } else { (0.3, 1.0) };
    let x = m.read(dtype, &[rows * inner[0] * inner[1]]);
    let arg = matches!(combine, Combine::ArgMin { .. } | Combine::ArgMax { .. });
    let out = if arg { DType::I64 } else { dtype };
    let y = m.write(out, &[rows]);
    let index = if columns {
        at(&[(V[0], 1), (V[1], rows * inner[1]), (V[2], rows)])
    } else {
        at(&[(V[0], inner[0] * inner[1]), (V[1], inner[1]), (V[2], 1)])
    };
    let v = m.desc.exprs.load(dtype, x, index);
    let result = m.desc.exprs.push(out, Expr::Acc { stage: 0, acc: 0 });
    let acc = Acc { combine, dtype, value: v };
    m.nest(
        &[(V[0], rows)],
        vec![
            Stage::Reduce { loops: loops(&[(V[1], inner[0]), (V[2], inner[1])]), accs: vec![acc] },
            store(vec![], vec![put(y, at(&[(V[0], 1)]), result)]),
        ],
    )
}

fn name_of(c: Combine) -> String {
    match c {
        Combine::ArgMin { last } => format!("argmin{}", u8::from(last)),
        Combine::ArgMax { last } => format!("argmax{}", u8::from(last)),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// Mean and variance normalisation with a symbolic row count and length.
fn layer_norm(rows: i64, columns: i64, multiple: i64) -> Case {
    let mut m = Make::new(&format!("layernorm_{rows}_{columns}_{multiple}"));
    let r = m.symbol("r", rows, SymbolInfo { hint: 4096, ..SymbolInfo::default() });
    let c = m.symbol("c", columns, SymbolInfo { multiple, max: 1 << 20, hint: 1024, ..SymbolInfo::default() });
    let x = m.buffer(DType::F32, vec![r.clone(), c.clone()], Access::Read);
    let g = m.buffer(DType::F32, vec![c.clone()], Access::Read);
    let y = m.buffer(DType::F32, vec![r.clone(), c.clone()], Access::Write);
    let e = &mut m.desc.exprs;
    let index = |k: LoopVar| Index::zero().plus(V[0], c.clone()).plus(k, 1);
    let first = e.load(DType::F32, x, index(V[1]));
    let size = e.push(DType::I64, Expr::Size(c.clone()));
    let count = e.cast(size, DType::F32, CastMode::Round);
    let total = e.push(DType::F32, Expr::Acc { stage: 0, acc: 0 });
    let mean = e.binary(Binary::Div, total, count);
    let centred = |e: &mut Exprs, k: LoopVar| {
        let v = e.load(DType::F32, x, index(k));
        e.binary(Binary::Sub, v, mean)
    };
    let second = centred(e, V[2]);
    let square = e.binary(Binary::Mul, second, second);
    let squares = e.push(DType::F32, Expr::Acc { stage: 1, acc: 0 });
    let variance = e.binary(Binary::Div, squares, count);
    let eps = e.float(DType::F32, 1e-5);
    let shifted = e.binary(Binary::Add, variance, eps);
    let scale = e.unary(Unary::Rsqrt, shifted);
    let gain = e.load(DType::F32, g, at(&[(V[3], 1)]));
    let third = centred(e, V[3]);
    let value = e.binary(Binary::Mul, third, scale);
    let value = e.binary(Binary::Mul, value, gain);
    let k = |v: LoopVar| vec![Loop::new(v, c.clone())];
    let stages = vec![
        Stage::Reduce { loops: k(V[1]), accs: vec![sum(DType::F32, first)] },
        Stage::Reduce { loops: k(V[2]), accs: vec![sum(DType::F32, square)] },
        store(k(V[3]), vec![put(y, index(V[3]), value)]),
    ];
    m.done(Body::Nest(Nest { parallel: vec![Loop::new(V[0], r)], stages }))
}

/// A padded 3x3 window maximum: guarded loads, division of a loop variable.
fn pool() -> Case {
    let mut m = Make::new("pool");
    let (channels, height, width) = (3, 7, 9);
    let x = m.read(DType::F32, &[channels, height, width]);
    let y = m.write(DType::F32, &[channels, height, width]);
    let e = &mut m.desc.exprs;
    let side = |e: &mut Exprs, outer: LoopVar, inner: LoopVar, size: i64| {
        let (o, i) = (e.var(outer), e.var(inner));
        let s = e.binary(Binary::Add, o, i);
        let one = e.int(DType::I64, 1);
        let s = e.binary(Binary::Sub, s, one);
        let (zero, size) = (e.int(DType::I64, 0), e.int(DType::I64, size));
        let (low, high) = (e.binary(Binary::Ge, s, zero), e.binary(Binary::Lt, s, size));
        (s, e.binary(Binary::And, low, high))
    };
    let (row, row_in) = side(e, V[1], V[3], height);
    let (column, column_in) = side(e, V[2], V[4], width);
    let inside = e.binary(Binary::And, row_in, column_in);
    let least = e.float(DType::F32, f64::NEG_INFINITY);
    let index = at(&[(V[0], height * width)]).plus_dynamic(row, width).plus_dynamic(column, 1);
    let v = e.push(DType::F32, Expr::Load { buffer: x, index, guard: Some((inside, least)) });
    let most = e.push(DType::F32, Expr::Acc { stage: 0, acc: 0 });
    let acc = Acc { combine: Combine::Max, dtype: DType::F32, value: v };
    m.nest(
        &[(V[0], channels), (V[1], height), (V[2], width)],
        vec![
            Stage::Reduce { loops: loops(&[(V[3], 3), (V[4], 3)]), accs: vec![acc] },
            store(vec![], vec![put(y, at(&[(V[0], height * width), (V[1], width), (V[2], 1)]), most)]),
        ],
    )
}

/// An embedding bag: dynamic extents, gathers, int4 rows.
fn bag(dtype: DType, dim: i64) -> Case {
    let mut m = Make::new(&format!("bag_{dtype}_{dim}"));
    let (bags, rows, length) = (5, 1000, 4);
    let table = m.read(dtype, &[rows, dim]);
    let ids = m.read(DType::U32, &[bags * length]);
    let y = m.write(DType::F32, &[bags, dim]);
    let e = &mut m.desc.exprs;
    // Bag i holds i of the entries from i * length on.
    let position = e.var(V[2]);
    let own = e.var(V[0]);
    let index = Index::zero().plus(V[0], length).plus_dynamic(position, 1);
    let id = e.load(DType::U32, ids, index);
    let id = e.cast(id, DType::I64, CastMode::Round);
    let v = e.load(dtype, table, at(&[(V[1], 1)]).plus_dynamic(id, dim));
    let v = e.cast(v, DType::F32, CastMode::Round);
    let total = e.push(DType::F32, Expr::Acc { stage: 0, acc: 0 });
    let inner = Loop { var: V[2], extent: Extent::Dynamic(own) };
    m.nest(
        &[(V[0], bags), (V[1], dim)],
        vec![
            Stage::Reduce { loops: vec![inner], accs: vec![sum(DType::F32, v)] },
            store(vec![], vec![put(y, at(&[(V[0], dim), (V[1], 1)]), total)]),
        ],
    )
}

/// Dynamic loops under a team: `rows` sums of random lengths.
fn ragged(rows: i64) -> Case {
    let mut m = Make::new(&format!("ragged_{rows}"));
    let length = 300;
    let x = m.read(DType::F32, &[rows, 3, length]);
    let y = m.write(DType::F32, &[rows]);
    let e = &mut m.desc.exprs;
    let own = e.var(V[0]);
    let seventy = e.int(DType::I64, 70);
    let extent = e.binary(Binary::Mul, own, seventy);
    let v = e.load(DType::F32, x, at(&[(V[0], 3 * length), (V[1], length), (V[2], 1)]));
    let total = e.push(DType::F32, Expr::Acc { stage: 0, acc: 0 });
    m.nest(
        &[(V[0], rows)],
        vec![
            Stage::Reduce {
                loops: vec![Loop::new(V[1], 3), Loop { var: V[2], extent: Extent::Dynamic(extent) }],
                accs: vec![sum(DType::F32, v)],
            },
            store(vec![], vec![put(y, at(&[(V[0], 1)]), total)]),
        ],
    )
}

/// A running sum along rows with the final value stored after it, and a scatter that adds into repeated places.
fn sequential() -> Vec<Case> {
    let mut m = Make::new("cumsum");
    let (rows, n) = (6, 37);
    let x = m.read(DType::F32, &[rows, n]);
    let y = m.write(DType::F32, &[rows, n]);
    let z = m.write(DType::F32, &[rows]);
    let e = &mut m.desc.exprs;
    let index = at(&[(V[0], n), (V[1], 1)]);
    let v = e.load(DType::F32, x, index.clone());
    let zero = e.float(DType::F32, 0.0);
    let before = e.push(DType::F32, Expr::Carry { stage: 0, carry: 0 });
    let next = e.binary(Binary::Add, before, v);
    let carries = vec![Carry { dtype: DType::F32, init: zero, next }];
    let scan = m.nest(
        &[(V[0], rows)],
        vec![
            Stage::Sequential { loops: loops(&[(V[1], n)]), carries, stores: vec![put(y, index, next)] },
            store(vec![], vec![put(z, at(&[(V[0], 1)]), before)]),
        ],
    );

    let mut m = Make::new("scatter_add");
    let (n, places) = (40, 7);
    let ids = m.read(DType::U32, &[n]);
    let x = m.read(DType::F32, &[n, 5]);
    let y = m.buffer(DType::F32, vec![places.into(), 5.into()], Access::ReadWrite);
    let e = &mut m.desc.exprs;
    let id = e.load(DType::U32, ids, at(&[(V[1], 1)]));
    let id = e.cast(id, DType::I64, CastMode::Round);
    let count = e.int(DType::I64, places);
    let place = e.binary(Binary::Mod, id, count);
    let index = at(&[(V[0], 1)]).plus_dynamic(place, 5);
    let old = e.load(DType::F32, y, index.clone());
    let v = e.load(DType::F32, x, at(&[(V[0], 1), (V[1], 5)]));
    let value = e.binary(Binary::Add, old, v);
    let three = e.int(DType::I64, 3);
    let guard = e.binary(Binary::Ne, place, three);
    let s = Store { buffer: y, index, value, guard: Some(guard) };
    let scatter =
        m.nest(&[(V[0], 5)], vec![Stage::Sequential { loops: loops(&[(V[1], n)]), carries: vec![], stores: vec![s] }]);
    vec![scan, scatter]
}

/// Stores of 4-bit elements in rows of `columns`, transposed or not.
fn nibbles(columns: i64, transposed: bool) -> Case {
    let mut m = Make::new(&format!("nibbles_{columns}_{transposed}"));
    let rows = 5;
    let x = m.read(DType::I8, &[rows, columns]);
    let y = m.write(DType::I4, &[rows, columns]);
    let v = m.desc.exprs.load(DType::I8, x, at(&[(V[0], columns), (V[1], 1)]));
    let v = m.desc.exprs.cast(v, DType::I4, CastMode::Saturate);
    let index = if transposed { at(&[(V[0], 1), (V[1], rows)]) } else { at(&[(V[0], columns), (V[1], 1)]) };
    m.nest(&[(V[0], rows), (V[1], columns)], vec![store(vec![], vec![put(y, index, v)])])
}

/// A transposing, broadcasting map over symbols with two outputs.
fn map_symbolic() -> Case {
    let mut m = Make::new("map_symbolic");
    let n = m.symbol("n", 23, SymbolInfo::default());
    let k = m.symbol("k", 16, SymbolInfo { multiple: 8, ..SymbolInfo::default() });
    let x = m.buffer(DType::F16, vec![k.clone(), n.clone()], Access::Read);
    let bias = m.buffer(DType::F16, vec![k.clone()], Access::Read);
    let y = m.buffer(DType::F16, vec![n.clone(), k.clone()], Access::Write);
    let z = m.buffer(DType::F32, vec![n.clone(), k.clone()], Access::Write);
    m.bound = 1e-3;
    let e = &mut m.desc.exprs;
    let v = e.load(DType::F16, x, Index::zero().plus(V[0], 1).plus(V[1], n.clone()));
    let w = e.load(DType::F16, bias, at(&[(V[1], 1)]));
    let s = e.binary(Binary::Add, v, w);
    let t = e.unary(Unary::Tanh, s);
    let wide = e.cast(t, DType::F32, CastMode::Round);
    let half = e.float(DType::F32, 0.5);
    let scaled = e.binary(Binary::Mul, wide, half);
    let out = Index::zero().plus(V[0], k.clone()).plus(V[1], 1);
    let stores = vec![put(y, out.clone(), t), put(z, out, scaled)];
    let nest = Nest { parallel: vec![Loop::new(V[0], n), Loop::new(V[1], k)], stages: vec![store(vec![], stores)] };
    m.done(Body::Nest(nest))
}

/// `c = act(a b + bias)`; a `[batch, m, k]`, b `[batch, k, n]` or its transpose. The result is of the accumulator's type.
fn contraction(dtype: DType, acc: DType, sizes: [i64; 4], transposed: bool) -> Case {
    rounded_contraction(dtype, acc, acc, sizes, transposed)
}

/// As [`contraction`], its result rounded to `to`.
fn rounded_contraction(dtype: DType, acc: DType, to: DType, [batch, mm, nn, kk]: [i64; 4], transposed: bool) -> Case {
    let rounded = if to == acc { String::new() } else { format!("_{to}") };
    let mut m = Make::new(&format!("contract_{dtype}{rounded}_{batch}_{mm}_{nn}_{kk}_{transposed}"));
    m.bound = if to == DType::F32 { 1e-5 } else { bound_of(to) };
    let a = m.read(dtype, &[batch, mm, kk]);
    let b = m.read(dtype, &[batch, kk, nn]);
    let bias = m.read(acc, &[nn]);
    let c = m.write(to, &[batch, mm, nn]);
    let e = &mut m.desc.exprs;
    let av = e.load(dtype, a, at(&[(V[0], mm * kk), (V[1], kk), (V[3], 1)]));
    let b_index = if transposed {
        at(&[(V[0], kk * nn), (V[2], kk), (V[3], 1)])
    } else {
        at(&[(V[0], kk * nn), (V[3], nn), (V[2], 1)])
    };
    let bv = e.load(dtype, b, b_index);
    let sum = e.push(acc, Expr::Acc { stage: 0, acc: 0 });
    let w = e.load(acc, bias, at(&[(V[2], 1)]));
    let value = e.binary(Binary::Add, sum, w);
    let zero = if acc.is_float() { e.float(acc, 0.0) } else { e.int(acc, 0) };
    let value = e.binary(Binary::Max, value, zero);
    let value = e.cast(value, to, CastMode::Round);
    let stores = vec![put(c, at(&[(V[0], mm * nn), (V[1], nn), (V[2], 1)]), value)];
    m.done(Body::Contraction(Contraction {
        batch: loops(&[(V[0], batch)]),
        m: loops(&[(V[1], mm)]),
        n: loops(&[(V[2], nn)]),
        k: loops(&[(V[3], kk)]),
        a: av,
        b: bv,
        acc,
        precision: Precision::Native,
        stores,
    }))
}

/// Split m and k groups, symbolic sizes and a prologue with a guard (a 1-d convolution).
fn convolution() -> Case {
    let mut m = Make::new("convolution");
    let length = m.symbol("t", 21, SymbolInfo::default());
    let batch = m.symbol("b", 2, SymbolInfo::default());
    let (channels, taps, out) = (3, 5, 6);
    let x = m.buffer(DType::F32, vec![batch.clone(), channels.into(), length.clone()], Access::Read);
    let w = m.read(DType::F32, &[out, channels, taps]);
    let y = m.buffer(DType::F32, vec![batch.clone(), out.into(), length.clone()], Access::Write);
    let e = &mut m.desc.exprs;
    // m = (batch, position), n = out, k = (channel, tap)
    let (p, t) = (e.var(V[1]), e.var(V[4]));
    let s = e.binary(Binary::Add, p, t);
    let two = e.int(DType::I64, 2);
    let s = e.binary(Binary::Sub, s, two);
    let (zero, end) = (e.int(DType::I64, 0), e.push(DType::I64, Expr::Size(length.clone())));
    let (low, high) = (e.binary(Binary::Ge, s, zero), e.binary(Binary::Lt, s, end));
    let inside = e.binary(Binary::And, low, high);
    let nothing = e.float(DType::F32, 0.0);
    let index =
        Index::zero().plus(V[0], length.clone() * channels.into()).plus(V[3], length.clone()).plus_dynamic(s, 1);
    let a = e.push(DType::F32, Expr::Load { buffer: x, index, guard: Some((inside, nothing)) });
    let a = e.unary(Unary::Exp, a);
    let b = e.load(DType::F32, w, at(&[(V[2], channels * taps), (V[3], taps), (V[4], 1)]));
    let sum = e.push(DType::F32, Expr::Acc { stage: 0, acc: 0 });
    let out_index = Index::zero().plus(V[0], length.clone() * out.into()).plus(V[2], length.clone()).plus(V[1], 1);
    let stores = vec![put(y, out_index, sum)];
    m.done(Body::Contraction(Contraction {
        batch: vec![],
        m: vec![Loop::new(V[0], batch), Loop::new(V[1], length)],
        n: loops(&[(V[2], out)]),
        k: loops(&[(V[3], channels), (V[4], taps)]),
        a,
        b,
        acc: DType::F32,
        precision: Precision::Native,
        stores,
    }))
}

/// With what the sparse tensor cores do not take: the magnitudes of `b`, and a sum that is not rounded.
fn sparse(dtype: DType, sizes: [i64; 4]) -> Case {
    sparse_product(&format!("sparse_{dtype}"), dtype, DType::F32, sizes, true)
}

/// As the sparse tensor cores take it.
fn plain_sparse(dtype: DType, to: DType, sizes: [i64; 4]) -> Case {
    sparse_product(&format!("plain_sparse_{dtype}_{to}"), dtype, to, sizes, false)
}

fn sparse_product(name: &str, dtype: DType, to: DType, [batch, mm, nn, kk]: [i64; 4], magnitudes: bool) -> Case {
    let mut m = Make::new(&format!("{name}_{batch}_{mm}_{nn}_{kk}"));
    m.bound = if to == DType::F32 { 1e-5 } else { bound_of(to) };
    let values = m.read(dtype, &[batch, mm, kk / 2]);
    let meta = m.read(DType::U8, &[batch, mm, kk / 8]);
    let b = m.read(dtype, &[batch, kk, nn]);
    let c = m.write(to, &[batch, mm, nn]);
    let e = &mut m.desc.exprs;
    // 8-bit operands are read along the reduction only (PTX ISA 9.7.15.5).
    let strides = if dtype.bits() == 8 { [(V[2], kk), (V[3], 1)] } else { [(V[3], nn), (V[2], 1)] };
    let mut bv = e.load(dtype, b, at(&[(V[0], kk * nn), strides[0], strides[1]]));
    if magnitudes {
        bv = e.unary(Unary::Abs, bv);
    }
    let sum = e.push(DType::F32, Expr::Acc { stage: 0, acc: 0 });
    let sum = e.cast(sum, to, CastMode::Round);
    let stores = vec![put(c, at(&[(V[0], mm * nn), (V[1], nn), (V[2], 1)]), sum)];
    m.done(Body::SparseContraction(SparseContraction {
        batch: loops(&[(V[0], batch)]),
        m: Loop::new(V[1], mm),
        n: loops(&[(V[2], nn)]),
        k: Loop::new(V[3], kk),
        values,
        meta,
        b: bv,
        acc: DType::F32,
        stores,
    }))
}

fn attention(
    name: &str,
    dtype: DType,
    kind: &str,
    [batch, seq, heads, kv]: [i64; 4],
    dims: [u32; 2],
    (w1, w2): (u64, u64),
) -> Case {
    let mut m = Make::new(&format!("attention_{name}_{dtype}"));
    m.bound = if dtype == DType::F32 { 1e-5 } else { 6e-3 };
    let (dim, dim_v) = (i64::from(dims[0]), i64::from(dims[1]));
    let view = |buffer: u32, heads: i64, dim: i64| View {
        buffer,
        offset: Poly::default(),
        strides: [seq * heads * dim, heads * dim, dim, 1].map(Poly::from).to_vec(),
    };
    let q = m.read(dtype, &[batch, seq, heads, dim]);
    let k = m.read(dtype, &[batch, seq, kv, dim]);
    let v = m.read(dtype, &[batch, seq, kv, dim_v]);
    let kind = match kind {
        "trilinear" | "plain" => {
            // Tensor cores take no biases.
            let biases = if kind == "plain" { [0.0, 0.0] } else { [0.5f64, 1.0] };
            let k2 = m.read(dtype, &[batch, seq, kv, dim]);
            let v2 = m.read(dtype, &[batch, seq, kv, dim_v]);
            AttentionKind::Trilinear {
                w1,
                w2,
                k2: view(k2, kv, dim),
                v2: view(v2, kv, dim_v),
                k2_bias_bits: biases[0].to_bits(),
                v2_bias_bits: biases[1].to_bits(),
            }
        }
        "causal" => AttentionKind::Dot { causal_offset: Some((-2).into()), window: Some(w1), bias: None },
        _ => {
            let bias = m.read(DType::F32, &[batch, heads, seq, seq]);
            let strides = [heads * seq * seq, seq * seq, seq, 1].map(Poly::from).to_vec();
            let bias = View { buffer: bias, offset: Poly::default(), strides };
            AttentionKind::Dot { causal_offset: None, window: None, bias: Some((bias, DType::F32)) }
        }
    };
    let out = m.write(dtype, &[batch, seq, heads, dim_v]);
    let lse = m.write(DType::F32, &[batch, heads, seq]);
    let lse = View { buffer: lse, offset: Poly::default(), strides: [heads * seq, seq, 1].map(Poly::from).to_vec() };
    let scale = 1.0 / f64::from(dims[0]).sqrt();
    m.done(Body::Attention(Attention {
        kind,
        batch: batch.into(),
        seq_q: seq.into(),
        seq_k: seq.into(),
        heads_q: heads.into(),
        heads_kv: kv.into(),
        dim: dims[0],
        dim_v: dims[1],
        dtype,
        scale_bits: scale.to_bits(),
        q: view(q, heads, dim),
        k: view(k, kv, dim),
        v: view(v, kv, dim_v),
        out: view(out, heads, dim_v),
        lse: Some(lse),
    }))
}
