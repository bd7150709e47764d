//! `Contraction` kernels: blocks of rows and columns through the gemm helper, prologues and epilogues around each block.
//!
//! The central type is [`Operand`]. A plain strided load goes to the helper as it lies; any other operand is packed by
//! a compiled loop into a panel in the thread's scratch, one slice of k at a time. The product lands in a tile that the
//! compiled epilogue reads while it is in cache, or straight in the output where nothing is left to do.

use crate::access::{lanes, long_enough, score};
use crate::blob::Unit;
use crate::emit::{Deps, Emit, Shared, body_function, dependencies, entry_function};
use crate::loops::{Level, points_of, size_of};
use crate::simplify::{chain_stride, collapse, rewrite};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{AbiParam, BlockArg, InstBuilder, Signature, Value, types};
use cranelift_codegen::isa::{CallConv, TargetIsa};
use tricot_kernel::{Contraction, Expr, ExprId, Exprs, Extent, Index, KernelDesc, Loop, LoopVar, Store};
use tricot_plan::helpers::Slot;
use tricot_types::{DType, Diagnostic, Poly, SymbolTable};

/// Numbers of the row and column block.
const ROWS: LoopVar = LoopVar(u32::MAX - 1);
const COLS: LoopVar = LoopVar(u32::MAX - 2);

/// Fewest tasks a launch should have before blocks stay as large as caches like them.
const TASKS: f64 = 8.0;

/// Smallest useful block side.
const SIDE: i64 = 48;

/// How the helper gets at an operand.
enum Operand {
    /// Where it lies: element strides of the row-major outer (m or n) and k index.
    Plain { buffer: u32, index: Index, outer: Poly, k: Poly },
    /// Through a panel, `vector_k` when lanes run along k.
    Packed { value: ExprId, vector_k: bool, vector: bool },
}

/// One side of the product: its operand, its loops and its block.
struct Side {
    operand: Operand,
    loops: Vec<Loop>,
    block: i64,
    /// Number of the panel's virtual buffer.
    panel: u32,
}

/// Where the product of a block goes.
enum Target {
    /// The output itself, with its row and column strides.
    Output { buffer: u32, index: Index, rows: Poly, cols: Poly },
    /// A tile that the stores read.
    Tile { vector: bool },
}

struct Plan<'a> {
    a: Side,
    b: Side,
    k: Vec<Loop>,
    k_block: i64,
    /// Element type of panels and tile.
    dtype: DType,
    target: Target,
    tile: u32,
    stores: &'a [Store],
}

/// Compiles a contraction whose expressions are `exprs` (the description's own, or more).
pub fn compile(
    desc: &KernelDesc,
    exprs: &Exprs,
    contraction: &Contraction,
    table: &SymbolTable,
    isa: &dyn TargetIsa,
    text: bool,
) -> Result<(Unit, String), Diagnostic> {
    let (mut exprs, mut c) = (exprs.clone(), contraction.clone());
    let every = c.batch.iter().chain(&c.m).chain(&c.n).chain(&c.k);
    if every.clone().any(|l| matches!(l.extent, Extent::Dynamic(_))) {
        return Err(Diagnostic::error("TC0602", "a contraction with a loop bound that depends on data")
            .with_help("only nests may have dynamic loops"));
    }
    {
        let mut indices: Vec<&mut Index> = c.stores.iter_mut().map(|s| &mut s.index).collect();
        collapse(&mut exprs, &mut indices, &mut [&mut c.batch, &mut c.m, &mut c.n, &mut c.k]);
    }
    let contiguous =
        |loops: &[Loop]| loops.last().map_or(0, |l| c.stores.iter().filter(|s| s.index.stride(l.var).is_one()).count());
    if contiguous(&c.m) > contiguous(&c.n) {
        std::mem::swap(&mut c.m, &mut c.n);
        std::mem::swap(&mut c.a, &mut c.b);
    }
    let dtype = match c.acc {
        DType::F64 => DType::F64,
        d if d.is_float() => DType::F32,
        DType::I64 | DType::U64 => DType::I64,
        _ => DType::I32,
    };
    let first = desc.buffers.len() as u32;
    let deps = dependencies(&exprs);
    let operand = |value: ExprId, loops: &[Loop]| operand(desc, &exprs, &deps, value, loops, &c.k, dtype);
    let (a, b) = (operand(c.a, &c.m), operand(c.b, &c.n));
    let packed = |o: &Operand| matches!(o, Operand::Packed { .. });
    let (pack_a, pack_b) = (packed(&a), packed(&b));
    let (rows, cols) = blocks(&c, pack_a, pack_b, table);
    let k = points_of(&c.k);
    let k_block = match k.as_constant() {
        Some(k) if k <= 384 => k.max(1),
        _ => 256,
    };
    let tile = first + 2;
    let target = target(desc, &exprs, &deps, &c, dtype);
    let exprs = with_tile(&exprs, &c, tile, cols).ok_or_else(|| Diagnostic::error("TC0692", "two sums are one"))?;
    let deps = dependencies(&exprs);
    let mut width = if matches!(dtype, DType::F64 | DType::I64) { 4 } else { 8 };
    for (group, roots) in [(&c.m, vec![c.a]), (&c.n, vec![c.b]), (&c.n, Emit::store_roots(&c.stores))] {
        for l in group.last().into_iter().chain(c.k.last()) {
            width = width.min(lanes(&exprs, &deps, &roots, l));
        }
    }
    let choice = format!(
        "gemm {dtype} {rows}x{cols}{}{}{}",
        if pack_a { ", a packed" } else { "" },
        if pack_b { ", b packed" } else { "" },
        if matches!(target, Target::Tile { .. }) { ", epilogue" } else { "" }
    );
    let plan = Plan {
        a: Side { operand: a, loops: c.m.clone(), block: rows, panel: first },
        b: Side { operand: b, loops: c.n.clone(), block: cols, panel: first + 1 },
        k: c.k.clone(),
        k_block,
        dtype,
        target,
        tile,
        stores: &c.stores,
    };
    let shared = Shared { exprs: &exprs, deps: &deps, buffers: &desc.buffers, symbols: &desc.symbols, isa };
    let (m, n) = (points_of(&c.m), points_of(&c.n));
    let mut tasks = c.batch.clone();
    tasks.push(Loop::new(ROWS, m.ceil_div(rows)));
    tasks.push(Loop::new(COLS, n.ceil_div(cols)));
    let total = points_of(&tasks);
    let one_block = |size: &Poly, block: i64| size.as_constant().map_or(block, |s| s.min(block));
    let area = one_block(&m, rows) * one_block(&n, cols);
    let cost = (k.clone() + Poly::constant(64)) * Poly::constant(area);
    let entry = entry_function(&shared, |e| {
        let (total, cost) = (e.poly(&total), e.poly(&cost));
        // Sixteen fused multiply-adds count as one node.
        let cost = e.sshr_by(cost, 4);
        (total, e.grain(cost))
    })?;
    let body = body_function(&shared, width, &[dtype; 3], |e, begin, end| plan.emit(e, &tasks, begin, end))?;
    let mut unit = Unit::default();
    unit.add(isa, entry, text)?;
    unit.add(isa, body, text)?;
    Ok((unit, choice))
}

/// Block sides: large enough that packing and the helper's own packing are cheap, small enough for caches and tasks.
fn blocks(c: &Contraction, pack_a: bool, pack_b: bool, table: &SymbolTable) -> (i64, i64) {
    let (m, n) = (points_of(&c.m), points_of(&c.n));
    let (mut rows, mut cols) = match (pack_a, pack_b) {
        (false, false) => (256, 512),
        (false, true) => (512, 256),
        (true, false) => (256, 512),
        (true, true) => (256, 256),
    };
    rows = m.as_constant().map_or(rows, |m| m.clamp(1, rows));
    cols = n.as_constant().map_or(cols, |n| n.clamp(1, cols));
    let (mh, nh, bh) = (m.hint(table), n.hint(table), points_of(&c.batch).hint(table).max(1.0));
    loop {
        let tasks = bh * (mh / rows as f64).ceil().max(1.0) * (nh / cols as f64).ceil().max(1.0);
        // The side whose operand needs packing is cut first: that repeats no packing.
        let cut_cols = if pack_a == pack_b { cols >= rows } else { pack_b };
        let (first, second) = if cut_cols { (&mut cols, &mut rows) } else { (&mut rows, &mut cols) };
        let side = if *first >= 2 * SIDE { first } else { second };
        if tasks >= TASKS || *side < 2 * SIDE {
            return (rows, cols);
        }
        *side = (*side + 1) / 2;
    }
}

/// How an operand over `loops` and `k` reaches the helper.
fn operand(
    desc: &KernelDesc,
    exprs: &Exprs,
    deps: &[Deps],
    value: ExprId,
    loops: &[Loop],
    k: &[Loop],
    dtype: DType,
) -> Operand {
    let node = &exprs[value];
    if let Expr::Load { buffer, index, guard: None } = &node.expr
        && desc.buffers[*buffer as usize].dtype == dtype
        && node.dtype == dtype
        && index.is_affine()
        && let (Some(outer), Some(k_stride)) = (chain_stride(index, loops), chain_stride(index, k))
    {
        let mut origin = index.clone();
        origin.affine.retain(|v, _| !loops.iter().chain(k).any(|l| l.var == *v));
        return Operand::Plain { buffer: *buffer, index: origin, outer, k: k_stride };
    }
    let along = |l: Option<&Loop>| {
        l.filter(|l| long_enough(l)).and_then(|l| score(exprs, deps, &[value], &[], l.var)).unwrap_or(i64::MIN)
    };
    let (by_k, by_outer) = (along(k.last()), along(loops.last()));
    Operand::Packed { value, vector_k: by_k > by_outer, vector: by_k.max(by_outer) >= 0 }
}

/// Straight to the output if the one store is the bare sum at a strided place.
fn target(desc: &KernelDesc, exprs: &Exprs, deps: &[Deps], c: &Contraction, dtype: DType) -> Target {
    if let [Store { buffer, index, value, guard: None }] = c.stores.as_slice()
        && matches!(exprs[*value].expr, Expr::Acc { .. })
        && desc.buffers[*buffer as usize].dtype == dtype
        && exprs[*value].dtype == dtype
        && index.is_affine()
        && let (Some(rows), Some(cols)) = (chain_stride(index, &c.m), chain_stride(index, &c.n))
    {
        let mut origin = index.clone();
        origin.affine.retain(|v, _| !c.m.iter().chain(&c.n).any(|l| l.var == *v));
        return Target::Output { buffer: *buffer, index: origin, rows, cols };
    }
    let vector = c.n.last().filter(|l| long_enough(l)).and_then(|l| {
        // The tile itself is one more contiguous load.
        score(exprs, deps, &Emit::store_roots(&c.stores), &c.stores, l.var).map(|s| s + 2)
    });
    Target::Tile { vector: vector.is_some_and(|s| s > 0) }
}

/// The row-major point number of a group, times a stride.
fn linear(loops: &[Loop], stride: i64) -> Index {
    let mut index = Index::zero();
    let mut below = Poly::constant(stride);
    for l in loops.iter().rev() {
        index = index.plus(l.var, below.clone());
        below = below * size_of(l);
    }
    index
}

/// Two indices added.
fn joined(a: Index, b: Index) -> Index {
    b.affine.into_iter().fold(a, |sum, (var, stride)| sum.plus(var, stride))
}

/// The arena with the sum read from the tile.
fn with_tile(exprs: &Exprs, c: &Contraction, tile: u32, cols: i64) -> Option<Exprs> {
    let index = joined(linear(&c.m, cols), linear(&c.n, 1));
    rewrite(exprs, |node| {
        if matches!(node.expr, Expr::Acc { .. }) {
            node.expr = Expr::Load { buffer: tile, index: index.clone(), guard: None };
        }
    })
}

impl Plan<'_> {
    fn bytes(&self) -> i64 {
        i64::from(self.dtype.bits() / 8)
    }

    /// Emits the body: one task a batch point, row block and column block.
    fn emit(&self, e: &mut Emit, tasks: &[Loop], begin: Value, end: Value) {
        let size = self.bytes();
        let (a_bytes, b_bytes) = (self.a.block * self.k_block * size, self.b.block * self.k_block * size);
        let needs = [&self.a, &self.b].iter().any(|s| matches!(s.operand, Operand::Packed { .. }))
            || matches!(self.target, Target::Tile { .. });
        let scratch = if needs {
            let bytes = e.i64(a_bytes + b_bytes + self.a.block * self.b.block * size + 128);
            e.scratch(bytes)
        } else {
            e.i64(0)
        };
        let up = |bytes: i64| (bytes + 63) / 64 * 64;
        let panels = [scratch, e.b.ins().iadd_imm_s(scratch, up(a_bytes))];
        let tile = e.b.ins().iadd_imm_s(scratch, up(a_bytes) + up(b_bytes));
        e.points(tasks, begin, end, |e| {
            let (m0, m1) = e.block(ROWS, self.a.block, &points_of(&self.a.loops));
            let (n0, n1) = e.block(COLS, self.b.block, &points_of(&self.b.loops));
            let (m, n) = (e.b.ins().isub(m1, m0), e.b.ins().isub(n1, n0));
            let destination = match &self.target {
                Target::Output { buffer, index, rows, cols } => {
                    let origin = e.address(*buffer, index);
                    let (rows, cols) = (e.poly(rows), e.poly(cols));
                    let at = e.offset(origin, &[(m0, rows), (n0, cols)], size);
                    (at, rows, cols)
                }
                Target::Tile { .. } => (tile, e.i64(self.b.block), e.i64(1)),
            };
            self.slices_of_k(e, &panels, (m0, m1, m), (n0, n1, n), destination);
            if let Target::Tile { vector } = self.target {
                // The stores see the tile as if it were the whole product.
                let (row, one) = (e.i64(-self.b.block), e.i64(-1));
                e.buffers[self.tile as usize].at = e.offset(tile, &[(m0, row), (n0, one)], size);
                let levels = [
                    Level::Slice { loops: self.a.loops.clone(), lo: m0, hi: m1 },
                    Level::Slice { loops: self.b.loops.clone(), lo: n0, hi: n1 },
                ];
                e.store_levels(&levels, self.stores, vector);
            }
        });
    }

    /// Packs and multiplies slice after slice of k, at least one even if k is empty: that one writes the zeros.
    fn slices_of_k(
        &self,
        e: &mut Emit,
        panels: &[Value; 2],
        rows: (Value, Value, Value),
        cols: (Value, Value, Value),
        (dst, dst_rs, dst_cs): (Value, Value, Value),
    ) {
        let total = e.poly(&points_of(&self.k));
        let packs = [&self.a, &self.b].iter().any(|s| matches!(s.operand, Operand::Packed { .. }));
        let zero = e.i64(0);
        let once = !packs || points_of(&self.k).as_constant().is_some_and(|k| k <= self.k_block);
        if once {
            e.open();
            self.slice_of_k(e, panels, rows, cols, (zero, total), (dst, dst_rs, dst_cs));
            e.close();
            return;
        }
        let (head, exit) = (e.b.create_block(), e.b.create_block());
        let k0 = e.b.append_block_param(head, types::I64);
        e.b.ins().jump(head, &[BlockArg::Value(zero)]);
        e.b.switch_to_block(head);
        e.open();
        let k1 = e.b.ins().iadd_imm_s(k0, self.k_block);
        let shorter = e.b.ins().icmp(IntCC::SignedLessThan, k1, total);
        let k1 = e.b.ins().select(shorter, k1, total);
        self.slice_of_k(e, panels, rows, cols, (k0, k1), (dst, dst_rs, dst_cs));
        e.close();
        let more = e.b.ins().icmp(IntCC::SignedLessThan, k1, total);
        e.b.ins().brif(more, head, &[BlockArg::Value(k1)], exit, &[]);
        e.b.switch_to_block(exit);
    }

    fn slice_of_k(
        &self,
        e: &mut Emit,
        panels: &[Value; 2],
        (m0, m1, m): (Value, Value, Value),
        (n0, n1, n): (Value, Value, Value),
        (k0, k1): (Value, Value),
        (dst, dst_rs, dst_cs): (Value, Value, Value),
    ) {
        let (a, a_rs, a_cs) = self.side(e, &self.a, panels[0], (m0, m1), (k0, k1));
        let (b, b_cs, b_rs) = self.side(e, &self.b, panels[1], (n0, n1), (k0, k1));
        let k = e.b.ins().isub(k1, k0);
        e.gemm(self.dtype, [m, n, k, dst, dst_rs, dst_cs, k0, a, a_rs, a_cs, b, b_rs, b_cs]);
    }

    /// Makes an operand's block ready: its address, outer stride and k stride.
    fn side(
        &self,
        e: &mut Emit,
        side: &Side,
        panel: Value,
        (lo, hi): (Value, Value),
        (k0, k1): (Value, Value),
    ) -> (Value, Value, Value) {
        let size = self.bytes();
        match &side.operand {
            Operand::Plain { buffer, index, outer, k } => {
                let origin = e.address(*buffer, index);
                let (outer, k) = (e.poly(outer), e.poly(k));
                (e.offset(origin, &[(lo, outer), (k0, k)], size), outer, k)
            }
            Operand::Packed { value, vector_k, vector } => {
                let (outer_stride, k_stride) = if *vector_k { (self.k_block, 1) } else { (1, side.block) };
                let index = joined(linear(&side.loops, outer_stride), linear(&self.k, k_stride));
                let (o, k) = (e.i64(-outer_stride), e.i64(-k_stride));
                e.buffers[side.panel as usize].at = e.offset(panel, &[(lo, o), (k0, k)], size);
                let outer = Level::Slice { loops: side.loops.clone(), lo, hi };
                let k = Level::Slice { loops: self.k.clone(), lo: k0, hi: k1 };
                let levels = if *vector_k { [outer, k] } else { [k, outer] };
                let store = Store { buffer: side.panel, index, value: *value, guard: None };
                e.store_levels(&levels, &[store], *vector);
                (panel, e.i64(outer_stride), e.i64(k_stride))
            }
        }
    }
}

impl Emit<'_> {
    /// First and end point of a block of a group of `size` points.
    pub fn block(&mut self, number: LoopVar, block: i64, size: &Poly) -> (Value, Value) {
        let at = self.var(number).expect("a block number");
        let lo = self.b.ins().imul_imm_s(at, block);
        let end = self.b.ins().iadd_imm_s(lo, block);
        let size = self.poly(size);
        let shorter = self.b.ins().icmp(IntCC::SignedLessThan, end, size);
        (lo, self.b.ins().select(shorter, end, size))
    }

    /// `origin + size * sum(point * stride)` in bytes.
    pub fn offset(&mut self, origin: Value, terms: &[(Value, Value)], size: i64) -> Value {
        let mut at = origin;
        for (point, stride) in terms {
            let elements = self.b.ins().imul(*point, *stride);
            let bytes = self.b.ins().imul_imm_s(elements, size);
            at = self.b.ins().iadd(at, bytes);
        }
        at
    }

    /// Calls the gemm helper; arguments as [`Slot::GemmF32`] lists them.
    pub fn gemm(&mut self, dtype: DType, args: [Value; 13]) {
        let slot = match dtype {
            DType::F32 => Slot::GemmF32,
            DType::F64 => Slot::GemmF64,
            DType::I32 => Slot::GemmI32,
            _ => Slot::GemmI64,
        };
        let mut signature = Signature::new(CallConv::SystemV);
        signature.params.extend([types::I64; 13].map(AbiParam::new));
        self.call_helper(slot, signature, &args);
    }
}
