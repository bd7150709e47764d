//! `Attention` kernels: online softmax over blocks, products through the gemm helper.
//!
//! The central type is [`Parts`]: the kernel's expressions over its buffers and over blocks in the thread's scratch, from
//! which the loops are emitted with the same machinery as every other kernel. A task is one (batch, head, query block).
//! Nothing larger than a block of logits is ever stored. Sources: online softmax after Milakov and Gimelshein
//! (arXiv 1805.02867); trilinear attention arXiv 2507.02754.

use crate::blob::Unit;
use crate::emit::{Emit, Shared, body_function, dependencies, entry_function};
use crate::loops::{Level, points_of};
use cranelift_codegen::ir::{InstBuilder, Value};
use cranelift_codegen::isa::TargetIsa;
use tricot_kernel::{
    Acc, Attention, AttentionKind, Binary, CastMode, Combine, Expr, ExprId, Exprs, Index, KernelDesc, Loop, LoopVar,
    Store, Unary, View,
};
use tricot_types::{DType, Diagnostic, Poly};

const BATCH: LoopVar = LoopVar(0);
const HEAD: LoopVar = LoopVar(1);
const BLOCK: LoopVar = LoopVar(2);
/// Key/value head.
const GROUP: LoopVar = LoopVar(3);
const QUERY: LoopVar = LoopVar(4);
/// Key, or first key of a pair.
const KEY: LoopVar = LoopVar(5);
/// Second key of a pair.
const KEY2: LoopVar = LoopVar(6);
const FEATURE: LoopVar = LoopVar(7);

/// Queries of a task.
const QUERIES: i64 = 64;
/// Keys of a block of dot attention.
const KEYS: i64 = 256;

/// Scratch blocks, in the order of their virtual buffers.
#[derive(Clone, Copy)]
enum Block {
    /// Scaled queries, or the products q * k1 of one query.
    Rows,
    /// Keys (dot) or second keys (trilinear) in the compute type.
    Keys,
    Values,
    Logits,
    /// Running output.
    Out,
    /// Products of probabilities with second values.
    Product,
    /// Running maximum and sum.
    Top,
    Sum,
    Count,
}

/// Expressions and how to place them.
struct Parts<'a> {
    a: &'a Attention,
    e: Exprs,
    first: u32,
    /// f64 for f64 tensors, else f32.
    ct: DType,
}

impl<'a> Parts<'a> {
    fn new(desc: &'a KernelDesc, a: &'a Attention) -> Parts<'a> {
        let ct = if a.dtype == DType::F64 { DType::F64 } else { DType::F32 };
        Parts { a, e: Exprs::default(), first: desc.buffers.len() as u32, ct }
    }

    fn buffer(&self, block: Block) -> u32 {
        self.first + block as u32
    }

    /// A tensor element in the compute type.
    fn element(&mut self, view: &View, dtype: DType, vars: &[LoopVar]) -> ExprId {
        let x = self.e.load(dtype, view.buffer, at(view, vars));
        self.e.cast(x, self.ct, CastMode::Round)
    }

    /// An element of a scratch block: row-major over (row, column) variables.
    fn scratch(&mut self, block: Block, index: Index) -> ExprId {
        self.e.load(self.ct, self.buffer(block), index)
    }

    fn float(&mut self, value: f64) -> ExprId {
        self.e.float(self.ct, value)
    }

    fn op(&mut self, op: Binary, a: ExprId, b: ExprId) -> ExprId {
        self.e.binary(op, a, b)
    }

    fn store(&self, block: Block, index: Index, value: ExprId) -> Store {
        Store { buffer: self.buffer(block), index, value, guard: None }
    }

    /// The pieces of one online-softmax step over logits: see [`Step`].
    fn step(&mut self, logit: ExprId, probability: Index, place: Index) -> Step {
        let found = self.e.push(self.ct, Expr::Acc { stage: 0, acc: 0 });
        let before = self.scratch(Block::Top, place.clone());
        let top = self.op(Binary::Max, before, found);
        // With nothing seen yet the maximum is -infinity; shifting by 0 then keeps every term 0 instead of NaN.
        let nothing = self.float(f64::NEG_INFINITY);
        let zero = self.float(0.0);
        let unseen = self.op(Binary::Eq, top, nothing);
        let shift = self.e.select(unseen, zero, top);
        let fade = self.op(Binary::Sub, before, shift);
        let fade = self.e.unary(Unary::Exp, fade);
        let shifted = self.op(Binary::Sub, logit, shift);
        let weight = self.e.unary(Unary::Exp, shifted);
        let stored = self.scratch(Block::Logits, probability.clone());
        let gained = self.e.push(self.ct, Expr::Acc { stage: 1, acc: 0 });
        let old = self.scratch(Block::Sum, place.clone());
        let kept = self.op(Binary::Mul, old, fade);
        let sum = self.op(Binary::Add, kept, gained);
        Step {
            max: Acc { combine: Combine::Max, dtype: self.ct, value: logit },
            early: vec![shift, fade, top, kept],
            weights: self.store(Block::Logits, probability, weight),
            sum: Acc { combine: Combine::Sum, dtype: self.ct, value: stored },
            update: vec![self.store(Block::Top, place.clone(), top), self.store(Block::Sum, place, sum)],
            fade,
        }
    }

    /// Normalised output and LSE stores from the running values at `place`.
    fn results(&mut self, place: Index, out: Index) -> (Store, Vec<Store>) {
        let (total, top) = (self.scratch(Block::Sum, place.clone()), self.scratch(Block::Top, place));
        let (zero, nothing) = (self.float(0.0), self.float(f64::NEG_INFINITY));
        let unseen = self.op(Binary::Eq, total, zero);
        let value = self.scratch(Block::Out, out);
        let value = self.op(Binary::Div, value, total);
        let value = self.e.select(unseen, zero, value);
        let value = self.e.cast(value, self.a.dtype, CastMode::Round);
        let index = at(&self.a.out, &[BATCH, QUERY, HEAD, FEATURE]);
        let out = Store { buffer: self.a.out.buffer, index, value, guard: None };
        let mut lse = vec![];
        if let Some(view) = &self.a.lse {
            let log = self.e.unary(Unary::Log, total);
            let value = self.op(Binary::Add, top, log);
            let value = self.e.select(unseen, nothing, value);
            let value = self.e.cast(value, DType::F32, CastMode::Round);
            let index = at(view, &[BATCH, HEAD, QUERY]);
            lse.push(Store { buffer: view.buffer, index, value, guard: None });
        }
        (out, lse)
    }

    /// Starting values of the running blocks.
    fn starts(&mut self, place: Index, out: Index) -> (Store, Vec<Store>) {
        let (zero, nothing) = (self.float(0.0), self.float(f64::NEG_INFINITY));
        let running = vec![self.store(Block::Top, place.clone(), nothing), self.store(Block::Sum, place, zero)];
        (self.store(Block::Out, out, zero), running)
    }
}

/// One step of online softmax, to be emitted in this order.
struct Step {
    /// Stage 0: the largest new logit.
    max: Acc,
    /// Read from the running values before they change.
    early: Vec<ExprId>,
    /// Replaces logits by weights.
    weights: Store,
    /// Stage 1: the sum of the new weights.
    sum: Acc,
    update: Vec<Store>,
    /// Factor on everything accumulated so far.
    fade: ExprId,
}

impl Step {
    fn emit(&self, e: &mut Emit, levels: &[Level]) {
        e.values.clear();
        e.reduce_levels(0, levels, &[], std::slice::from_ref(&self.max), true);
        self.early.iter().for_each(|x| {
            e.eval(*x);
        });
        e.store_levels(levels, std::slice::from_ref(&self.weights), true);
        e.reduce_levels(1, levels, &[], std::slice::from_ref(&self.sum), true);
        e.perform(&self.update);
    }
}

/// The index of a view's element; a stride of 0 (a broadcast axis) drops out.
fn at(view: &View, vars: &[LoopVar]) -> Index {
    let origin = Index::zero().shifted(view.offset.clone());
    vars.iter().zip(&view.strides).fold(origin, |index, (var, stride)| index.plus(*var, stride.clone()))
}

fn grid(row: LoopVar, columns: i64, column: LoopVar) -> Index {
    Index::zero().plus(row, columns).plus(column, 1)
}

/// A level over `lo..hi` of one variable.
fn slice(var: LoopVar, lo: Value, hi: Value) -> Level {
    Level::Slice { loops: vec![Loop::new(var, 1)], lo, hi }
}

impl Emit<'_> {
    /// Lays scratch blocks of so many elements one after the other and returns their addresses.
    fn blocks(&mut self, sizes: &[Value], bytes: i64) -> Vec<Value> {
        let mut total = self.i64(0);
        let mut offsets = vec![];
        for size in sizes {
            offsets.push(total);
            let size = self.b.ins().imul_imm_s(*size, bytes);
            let size = self.b.ins().iadd_imm_s(size, 63);
            let size = self.b.ins().band_imm_s(size, -64);
            total = self.b.ins().iadd(total, size);
        }
        let base = self.scratch(total);
        offsets.into_iter().map(|o| self.b.ins().iadd(base, o)).collect()
    }

    /// Binds the key/value head of the current query head.
    fn bind_group(&mut self, a: &Attention) {
        let head = self.var(HEAD).expect("bound by the points");
        let group = if a.heads_q == a.heads_kv {
            head
        } else {
            let (q, kv) = (self.poly(&a.heads_q), self.poly(&a.heads_kv));
            let ratio = self.b.ins().udiv(q, kv);
            self.b.ins().udiv(head, ratio)
        };
        self.bind(GROUP, group);
    }

    /// Lets a virtual buffer be indexed by absolute `(row, column)` although it starts at `(row0, column0)`.
    fn place_block(&mut self, buffer: u32, at: Value, row0: Value, row_stride: i64, column0: Option<Value>) {
        let size = i64::from(self.buffers[buffer as usize].dtype.bits() / 8);
        let row_stride = self.i64(-row_stride);
        let mut terms = vec![(row0, row_stride)];
        if let Some(column) = column0 {
            let one = self.i64(-1);
            terms.push((column, one));
        }
        self.buffers[buffer as usize].at = self.offset(at, &terms, size);
    }
}

fn unit(
    isa: &dyn TargetIsa,
    text: bool,
    parts: &Parts,
    desc: &KernelDesc,
    cost: &Poly,
    run: impl FnOnce(&mut Emit, &[Loop], Value, Value),
) -> Result<Unit, Diagnostic> {
    let a = parts.a;
    let tasks = [
        Loop::new(BATCH, a.batch.clone()),
        Loop::new(HEAD, a.heads_q.clone()),
        Loop::new(BLOCK, a.seq_q.ceil_div(QUERIES)),
    ];
    let deps = dependencies(&parts.e);
    let shared = Shared { exprs: &parts.e, deps: &deps, buffers: &desc.buffers, symbols: &desc.symbols, isa };
    let entry = entry_function(&shared, |e| {
        let (total, cost) = (e.poly(&points_of(&tasks)), e.poly(cost));
        let cost = e.sshr_by(cost, 4);
        (total, e.grain(cost))
    })?;
    let lanes = if parts.ct == DType::F64 { 4 } else { 8 };
    let virtuals = vec![parts.ct; Block::Count as usize];
    let body = body_function(&shared, lanes, &virtuals, |e, begin, end| run(e, &tasks, begin, end))?;
    let mut unit = Unit::default();
    unit.add(isa, entry, text)?;
    unit.add(isa, body, text)?;
    Ok(unit)
}

/// Compiles dot-product attention.
pub fn dot(desc: &KernelDesc, a: &Attention, isa: &dyn TargetIsa, text: bool) -> Result<(Unit, String), Diagnostic> {
    let AttentionKind::Dot { causal_offset, window, bias } = &a.kind else { unreachable!("chosen by kind") };
    let mut p = Parts::new(desc, a);
    let (dim, dim_v) = (i64::from(a.dim), i64::from(a.dim_v));
    let kv = [BATCH, KEY, GROUP, FEATURE];

    let q = p.element(&a.q, a.dtype, &[BATCH, QUERY, HEAD, FEATURE]);
    let scale = p.float(f64::from_bits(a.scale_bits));
    let q = p.op(Binary::Mul, q, scale);
    let fill_q = p.store(Block::Rows, grid(QUERY, dim, FEATURE), q);
    let k = p.element(&a.k, a.dtype, &kv);
    let fill_k = p.store(Block::Keys, grid(KEY, dim, FEATURE), k);
    let v = p.element(&a.v, a.dtype, &kv);
    let fill_v = p.store(Block::Values, grid(KEY, dim_v, FEATURE), v);

    let mut logit = p.scratch(Block::Logits, grid(QUERY, KEYS, KEY));
    if let Some((view, dtype)) = bias {
        let extra = p.element(view, *dtype, &[BATCH, HEAD, QUERY, KEY]);
        logit = p.op(Binary::Add, logit, extra);
    }
    if let Some(offset) = causal_offset {
        let (i, j) = (p.e.var(QUERY), p.e.var(KEY));
        let offset = p.e.push(DType::I64, Expr::Size(offset.clone()));
        let last = p.op(Binary::Add, i, offset);
        let mut seen = p.op(Binary::Le, j, last);
        if let Some(window) = window {
            let width = p.e.int(DType::I64, (*window).min(i64::MAX as u64 / 4) as i64);
            let before = p.op(Binary::Sub, last, width);
            let near = p.op(Binary::Gt, j, before);
            seen = p.op(Binary::And, seen, near);
        }
        let nothing = p.float(f64::NEG_INFINITY);
        logit = p.e.select(seen, logit, nothing);
    }
    let row = Index::zero().plus(QUERY, 1);
    let out = grid(QUERY, dim_v, FEATURE);
    let step = p.step(logit, grid(QUERY, KEYS, KEY), row.clone());
    let running = p.scratch(Block::Out, out.clone());
    let faded = p.op(Binary::Mul, running, step.fade);
    let fade_out = p.store(Block::Out, out.clone(), faded);
    let (start_out, start) = p.starts(row.clone(), out.clone());
    let (finish, lse) = p.results(row, out);

    let plain = a.dtype == p.ct;
    let cost = (a.seq_k.clone() + Poly::constant(1)) * Poly::constant(QUERIES * (dim + dim_v + 128));
    let size = i64::from(p.ct.bits() / 8);
    let (ct, b) = (p.ct, |block| p.buffer(block));
    let unit = unit(isa, text, &p, desc, &cost, |e, tasks, begin, end| {
        let panel = if plain { 0 } else { KEYS };
        let sizes = [QUERIES * dim, panel * dim, panel * dim_v, QUERIES * KEYS, QUERIES * dim_v, 0, QUERIES, QUERIES];
        let sizes: Vec<Value> = sizes.iter().map(|s| e.i64(*s)).collect();
        let at_ = e.blocks(&sizes, size);
        let place = |block: Block| at_[block as usize];
        e.points(tasks, begin, end, |e| {
            e.bind_group(a);
            let (i0, i1) = e.block(BLOCK, QUERIES, &a.seq_q);
            let rows = e.b.ins().isub(i1, i0);
            e.place_block(b(Block::Rows), place(Block::Rows), i0, dim, None);
            e.place_block(b(Block::Out), place(Block::Out), i0, dim_v, None);
            e.place_block(b(Block::Top), place(Block::Top), i0, 1, None);
            e.place_block(b(Block::Sum), place(Block::Sum), i0, 1, None);
            let zero = e.i64(0);
            let (dim_, dim_v_) = (e.i64(dim), e.i64(dim_v));
            let (each_q, each_d, each_dv) =
                (slice(QUERY, i0, i1), slice(FEATURE, zero, dim_), slice(FEATURE, zero, dim_v_));
            e.store_levels(&[each_q.clone(), each_d.clone()], &[fill_q], true);
            e.store_levels(&[each_q.clone(), each_dv.clone()], &[start_out], true);
            e.store_levels(&[each_q.clone()], &start, false);
            // Keys that some query of the block sees.
            let seq_k = e.poly(&a.seq_k);
            let (mut lo, mut hi) = (zero, seq_k);
            if let Some(offset) = causal_offset {
                let offset = e.poly(offset);
                let last = e.b.ins().iadd(i1, offset);
                hi = e.least(hi, last);
                if let Some(window) = window {
                    let first = e.b.ins().iadd(i0, offset);
                    let first = e.b.ins().iadd_imm_s(first, 1 - (*window).min(1 << 48) as i64);
                    lo = e.most(lo, first);
                }
            }
            e.pieces(lo, hi, KEYS, |e, j0, j1| {
                let columns = e.b.ins().isub(j1, j0);
                let each_k = slice(KEY, j0, j1);
                let one = e.i64(1);
                let (keys, values) = if plain {
                    e.bind(KEY, j0);
                    e.bind(FEATURE, zero);
                    let (k, v) = (e.address(a.k.buffer, &at(&a.k, &kv)), e.address(a.v.buffer, &at(&a.v, &kv)));
                    e.unbind();
                    e.unbind();
                    let [kr, kc, vr, vc] =
                        [&a.k.strides[1], &a.k.strides[3], &a.v.strides[1], &a.v.strides[3]].map(|s| e.poly(s));
                    ((k, kr, kc), (v, vr, vc))
                } else {
                    e.place_block(b(Block::Keys), place(Block::Keys), j0, dim, None);
                    e.place_block(b(Block::Values), place(Block::Values), j0, dim_v, None);
                    e.store_levels(&[each_k.clone(), each_d.clone()], &[fill_k], true);
                    e.store_levels(&[each_k.clone(), each_dv.clone()], &[fill_v], true);
                    ((place(Block::Keys), dim_, one), (place(Block::Values), dim_v_, one))
                };
                let logits = place(Block::Logits);
                let stride = e.i64(KEYS);
                let q = place(Block::Rows);
                let (k, k_row, k_col) = keys;
                e.gemm(ct, [rows, columns, dim_, logits, stride, one, zero, q, dim_, one, k, k_col, k_row]);
                e.place_block(b(Block::Logits), logits, i0, KEYS, Some(j0));
                e.nest(&[each_q.clone()], false, true, &[], &mut |e| {
                    step.emit(e, &[each_k.clone()]);
                    e.store_levels(&[each_dv.clone()], std::slice::from_ref(&fade_out), true);
                });
                let (v, v_row, v_col) = values;
                let out = place(Block::Out);
                e.gemm(ct, [rows, dim_v_, columns, out, dim_v_, one, one, logits, stride, one, v, v_row, v_col]);
            });
            e.values.clear();
            e.store_levels(&[each_q.clone(), each_dv], &[finish], true);
            e.store_levels(&[each_q], &lse, false);
            e.unbind();
        });
    })?;
    Ok((unit, format!("attention {ct} {QUERIES}x{KEYS}")))
}

/// Compiles trilinear attention.
pub fn trilinear(
    desc: &KernelDesc,
    a: &Attention,
    isa: &dyn TargetIsa,
    text: bool,
) -> Result<(Unit, String), Diagnostic> {
    let AttentionKind::Trilinear { w1, w2, k2, v2, k2_bias_bits, v2_bias_bits } = &a.kind else {
        unreachable!("chosen by kind")
    };
    let mut p = Parts::new(desc, a);
    let (dim, dim_v) = (i64::from(a.dim), i64::from(a.dim_v));
    let (w1, w2) = ((*w1).min(1 << 40) as i64, (*w2).min(1 << 40) as i64);
    let (jb, lb) = (w1.clamp(1, 128), w2.clamp(1, 256));

    let q = p.element(&a.q, a.dtype, &[BATCH, QUERY, HEAD, FEATURE]);
    let scale = p.float(f64::from_bits(a.scale_bits));
    let q = p.op(Binary::Mul, q, scale);
    let k1 = p.element(&a.k, a.dtype, &[BATCH, KEY, GROUP, FEATURE]);
    let rows = p.op(Binary::Mul, q, k1);
    let fill_rows = p.store(Block::Rows, grid(KEY, dim, FEATURE), rows);
    let mut biased = |view: &View, bits: u64| {
        let x = p.element(view, a.dtype, &[BATCH, KEY2, GROUP, FEATURE]);
        let bias = p.float(f64::from_bits(bits));
        if bits << 1 == 0 { x } else { p.op(Binary::Add, x, bias) }
    };
    let (k2, v2) = (biased(k2, *k2_bias_bits), biased(v2, *v2_bias_bits));
    let fill_k = p.store(Block::Keys, grid(KEY2, dim, FEATURE), k2);
    let fill_v = p.store(Block::Values, grid(KEY2, dim_v, FEATURE), v2);

    let logit = p.scratch(Block::Logits, grid(KEY, lb, KEY2));
    let step = p.step(logit, grid(KEY, lb, KEY2), Index::zero());
    let out = Index::zero().plus(FEATURE, 1);
    let product = p.scratch(Block::Product, grid(KEY, dim_v, FEATURE));
    let v1 = p.element(&a.v, a.dtype, &[BATCH, KEY, GROUP, FEATURE]);
    let term = p.op(Binary::Mul, product, v1);
    let gain = Acc { combine: Combine::Sum, dtype: p.ct, value: term };
    let gained = p.e.push(p.ct, Expr::Acc { stage: 2, acc: 0 });
    let running = p.scratch(Block::Out, out.clone());
    let kept = p.op(Binary::Mul, running, step.fade);
    let sum = p.op(Binary::Add, kept, gained);
    let grow = p.store(Block::Out, out.clone(), sum);
    let (start_out, start) = p.starts(Index::zero(), out.clone());
    let (finish, lse) = p.results(Index::zero(), out);

    let pairs = w1.min(1 << 16) * w2.min(1 << 16);
    let cost = Poly::constant(pairs.saturating_mul(dim + dim_v + 64).saturating_mul(QUERIES));
    let size = i64::from(p.ct.bits() / 8);
    let (ct, b) = (p.ct, |block| p.buffer(block));
    let unit = unit(isa, text, &p, desc, &cost, |e, tasks, begin, end| {
        // Second keys of a whole query block are converted once.
        let seq_k = e.poly(&a.seq_k);
        let wide = e.i64(QUERIES + w2 - 1);
        let panel = e.least(wide, seq_k);
        let (keys, values) = (e.b.ins().imul_imm_s(panel, dim), e.b.ins().imul_imm_s(panel, dim_v));
        let mut sizes = vec![];
        for (i, size) in [jb * dim, 0, 0, jb * lb, dim_v, jb * dim_v, 1, 1].into_iter().enumerate() {
            sizes.push(match i {
                1 => keys,
                2 => values,
                _ => e.i64(size),
            });
        }
        let at_ = e.blocks(&sizes, size);
        let place = |block: Block| at_[block as usize];
        for block in [Block::Out, Block::Top, Block::Sum] {
            e.buffers[b(block) as usize].at = place(block);
        }
        e.points(tasks, begin, end, |e| {
            e.bind_group(a);
            let (i0, i1) = e.block(BLOCK, QUERIES, &a.seq_q);
            let (zero, one) = (e.i64(0), e.i64(1));
            let (dim_, dim_v_) = (e.i64(dim), e.i64(dim_v));
            let (each_d, each_dv) = (slice(FEATURE, zero, dim_), slice(FEATURE, zero, dim_v_));
            let first = e.b.ins().iadd_imm_s(i0, 1 - w2);
            let (l_lo, l_hi) = (e.most(first, zero), e.least(i1, seq_k));
            let all = slice(KEY2, l_lo, l_hi);
            e.place_block(b(Block::Keys), place(Block::Keys), l_lo, dim, None);
            e.place_block(b(Block::Values), place(Block::Values), l_lo, dim_v, None);
            e.store_levels(&[all.clone(), each_d.clone()], &[fill_k], true);
            e.store_levels(&[all, each_dv.clone()], &[fill_v], true);
            e.nest(&[slice(QUERY, i0, i1)], false, true, &[], &mut |e| {
                let i = e.var(QUERY).expect("inside its loop");
                e.store_levels(&[each_dv.clone()], std::slice::from_ref(&start_out), true);
                e.perform(&start);
                let next = e.b.ins().iadd_imm_s(i, 1);
                let end = e.least(next, seq_k);
                let (j_lo, l_lo2) = (e.b.ins().iadd_imm_s(next, -w1), e.b.ins().iadd_imm_s(next, -w2));
                let (j_lo, l_from) = (e.most(j_lo, zero), e.most(l_lo2, zero));
                e.pieces(j_lo, end, jb, |e, j0, j1| {
                    let rows = e.b.ins().isub(j1, j0);
                    let each_j = slice(KEY, j0, j1);
                    let q = place(Block::Rows);
                    e.place_block(b(Block::Rows), q, j0, dim, None);
                    e.store_levels(&[each_j.clone(), each_d.clone()], std::slice::from_ref(&fill_rows), true);
                    e.pieces(l_from, end, lb, |e, l0, l1| {
                        let columns = e.b.ins().isub(l1, l0);
                        let each_l = slice(KEY2, l0, l1);
                        let (logits, product) = (place(Block::Logits), place(Block::Product));
                        let stride = e.i64(lb);
                        let keys = e.offset(e.buffers[b(Block::Keys) as usize].at, &[(l0, dim_)], size);
                        let values = e.offset(e.buffers[b(Block::Values) as usize].at, &[(l0, dim_v_)], size);
                        e.gemm(ct, [rows, columns, dim_, logits, stride, one, zero, q, dim_, one, keys, one, dim_]);
                        e.place_block(b(Block::Logits), logits, j0, lb, Some(l0));
                        step.emit(e, &[each_j.clone(), each_l]);
                        let (p_, v) = (logits, values);
                        e.gemm(
                            ct,
                            [rows, dim_v_, columns, product, dim_v_, one, zero, p_, stride, one, v, dim_v_, one],
                        );
                        e.place_block(b(Block::Product), product, j0, dim_v, None);
                        e.nest(&[each_dv.clone()], true, true, &[step.fade], &mut |e| {
                            e.reduce_levels(2, &[each_j.clone()], &[], std::slice::from_ref(&gain), false);
                            e.perform(std::slice::from_ref(&grow));
                        });
                    });
                });
                e.values.clear();
                e.open();
                e.store_levels(&[each_dv.clone()], std::slice::from_ref(&finish), true);
                e.store_levels(&[], &lse, false);
                e.close();
            });
            e.unbind();
        });
    })?;
    Ok((unit, format!("trilinear attention {ct} {jb}x{lb}")))
}
