//! A register-tiled matrix product in shared memory.
//!
//! A block of 256 threads computes a tile of the flattened (m, n) of one batch point. For each step of k the threads evaluate the
//! operands' expressions, whatever they are, into shared memory in the accumulator's type; then every thread multiplies its
//! rows and columns. Points beyond the edges count as zero and are not stored.
//!
//! ```text
//! shared:  A[k][m] (tile_m + pad)   B[k][n] (tile_n + pad)      thread (y, x): rows y*TM.., columns x*TN..
//! ```

use crate::emit::{Builder, Cmp, Ty, Val};
use crate::eval::store::Nibbles;
use crate::eval::{Eval, Facts};
use crate::kernel::Kernel;
use crate::nest::{delinearise, extents, plain_launch, plan::product, plan::store_roots};
use crate::scalar;
use crate::select::Family;
use tricot_kernel::{Body, CastMode, Contraction, Expr, ExprId, KernelDesc, Loop};
use tricot_plan::GpuLaunch;
use tricot_types::{DType, Diagnostic, Poly, SymbolTable};

const THREADS: u32 = 256;
/// Elements between the rows of a shared tile beyond its width, to spread banks.
const PAD: u32 = 4;

/// Tile sizes; `tile_m / rows * tile_n / columns == 256`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Tile {
    m: u32,
    n: u32,
    k: u32,
    /// Output rows and columns of a thread.
    rows: u32,
    columns: u32,
}

/// A product and its tile.
struct Simt {
    desc: KernelDesc,
    symbols: SymbolTable,
    tile: Tile,
    blocks: Poly,
}

/// Takes every [`Body::Contraction`] over loops of polynomial size with an accumulator in f32, f64, i32 or i64, except those
/// that store 4-bit elements.
pub fn family(desc: &KernelDesc, symbols: &SymbolTable) -> Option<Box<dyn Family>> {
    let Body::Contraction(c) = &desc.body else { return None };
    if !matches!(c.acc, DType::F32 | DType::F64 | DType::I32 | DType::I64) {
        return None;
    }
    if c.stores.iter().any(|s| desc.buffers[s.buffer as usize].dtype.bits() < 8) {
        return None;
    }
    let facts = Facts::new(desc, symbols);
    let (m, n, batch) = (product(&c.m)?, product(&c.n)?, product(&c.batch)?);
    let k = product(&c.k)?;
    // Positions within a tile row are 32-bit numbers.
    if ![&m, &n, &k].into_iter().all(|p| facts.fits_i32(p))
        && [&m, &n, &k].into_iter().any(|p| p.as_constant().is_some_and(|c| c >= 1 << 31))
    {
        return None;
    }
    let tile = choose(m.hint(symbols), n.hint(symbols), c.acc.bits());
    let blocks = m.ceil_div(i64::from(tile.m)).checked_mul(&n.ceil_div(i64::from(tile.n)))?.checked_mul(&batch)?;
    Some(Box::new(Simt { desc: desc.clone(), symbols: symbols.clone(), tile, blocks }))
}

/// Square tiles, or flat ones where one side is short.
fn choose(m: f64, n: f64, bits: u32) -> Tile {
    let k = if bits > 32 { 8 } else { 16 };
    if n <= 16.0 {
        Tile { m: 128, n: 16, k, rows: 4, columns: 2 }
    } else if m <= 16.0 {
        Tile { m: 16, n: 128, k, rows: 2, columns: 4 }
    } else {
        Tile { m: 64, n: 64, k, rows: 4, columns: 4 }
    }
}

impl Family for Simt {
    fn choice(&self) -> String {
        format!("simt {}x{}x{}", self.tile.m, self.tile.n, self.tile.k)
    }

    fn launch(&self) -> GpuLaunch {
        let Body::Contraction(c) = &self.desc.body else { unreachable!("constructed from a contraction") };
        let elements = self.tile.k * (self.tile.m + self.tile.n + 2 * PAD);
        plain_launch(&self.desc, self.blocks.clone(), THREADS, elements * c.acc.bits() / 8)
    }

    fn emit(&self, kernel: &Kernel) -> Result<(), Diagnostic> {
        let Body::Contraction(c) = &self.desc.body else { unreachable!("constructed from a contraction") };
        let facts = Facts::new(&self.desc, &self.symbols);
        emit(kernel, &facts, c, self.tile);
        Ok(())
    }
}

/// One side of the product: its loops, expression and shared tile.
struct Side<'a> {
    loops: &'a [Loop],
    value: ExprId,
    /// First row (or column) of the block's tile.
    origin: Val,
    /// Total rows (or columns).
    total: Val,
    sizes: Vec<Val>,
    /// Rows of the tile.
    width: u32,
    /// Shared memory of `[k][width + PAD]`.
    base: Val,
    /// Neighbouring threads take neighbouring k rather than neighbouring rows.
    along_k: bool,
}

fn emit(k: &Kernel, facts: &Facts, c: &Contraction, tile: Tile) {
    let b = &k.b;
    let ty = scalar::register(c.acc);
    let element = i64::from(c.acc.bits() / 8);
    let (m_sizes, n_sizes) = (extents(k, &c.m, Ty::I32), extents(k, &c.n, Ty::I32));
    let (k_sizes, batch_sizes) = (extents(k, &c.k, Ty::I32), extents(k, &c.batch, Ty::I32));
    let (m_total, n_total, k_total) = (all(b, &m_sizes), all(b, &n_sizes), all(b, &k_sizes));

    // Blocks: columns of tiles fastest, then rows, then batch points.
    let tiles = |total: Val, width: u32| b.div_u(b.add(total, b.i32(width as i32 - 1)), b.i32(width as i32));
    let (tiles_n, tiles_m) = (tiles(n_total, tile.n), tiles(m_total, tile.m));
    let block = b.block(0);
    let (block_n, rest) = (b.rem_u(block, tiles_n), b.div_u(block, tiles_n));
    let (block_m, batch) = (b.rem_u(rest, tiles_m), b.div_u(rest, tiles_m));

    let mut eval = Eval::new(k, facts);
    for (l, position) in c.batch.iter().zip(delinearise(b, batch, &batch_sizes)) {
        eval.bind(l.var, vec![position]);
    }
    let side = |loops, value, block: Val, total, sizes, width: u32, base| Side {
        loops,
        value,
        origin: b.mul(block, b.i32(width as i32)),
        total,
        sizes,
        width,
        base,
        along_k: along_k(facts, value, loops, &c.k),
    };
    let shared = k.shared();
    let a_side = side(c.m.as_slice(), c.a, block_m, m_total, m_sizes.clone(), tile.m, shared);
    let b_base = b.offset(shared, i64::from(tile.k * (tile.m + PAD)) * element);
    let b_side = side(c.n.as_slice(), c.b, block_n, n_total, n_sizes.clone(), tile.n, b_base);

    let thread = b.thread(0);
    let across = tile.n / tile.columns;
    let (thread_y, thread_x) = (b.div_u(thread, b.i32(across as i32)), b.rem_u(thread, b.i32(across as i32)));
    let first_row = b.mul(thread_y, b.i32(tile.rows as i32));
    let first_column = b.mul(thread_x, b.i32(tile.columns as i32));
    let count = (tile.rows * tile.columns) as usize;
    let zero = b.zero(ty);

    // Without k the sums stay zero. Every thread of the block makes the same number of steps, so all meet at the barriers.
    let sums = b.for_loop(b.i32(0), k_total, b.i32(tile.k as i32), &vec![zero; count], |k_first, sums| {
        for s in [&a_side, &b_side] {
            fill(&mut eval, c, s, k_first, k_total, &k_sizes, tile.k, ty);
        }
        b.barrier();
        let mut sums = sums.to_vec();
        for step in 0..tile.k {
            let row = |s: &Side, first: Val, n: u32| -> Vec<Val> {
                let at = b.gep(s.base, ty, b.add(first, b.i32((step * (s.width + PAD)) as i32)));
                let vector = b.load(at, ty.vec(n), n * element as u32);
                (0..n).map(|i| b.lane(vector, i)).collect()
            };
            let (av, bv) = (row(&a_side, first_row, tile.rows), row(&b_side, first_column, tile.columns));
            for (i, x) in av.iter().enumerate() {
                for (j, y) in bv.iter().enumerate() {
                    let at = i * tile.columns as usize + j;
                    sums[at] = if ty.is_float() { b.fma(*x, *y, sums[at]) } else { b.add(b.mul(*x, *y), sums[at]) };
                }
            }
        }
        b.barrier();
        sums
    });

    for i in 0..tile.rows {
        let row = b.add(b.add(a_side.origin, first_row), b.i32(i as i32));
        b.when(b.cmp(Cmp::Slt, row, m_total), || {
            eval.scoped(|e| {
                for (l, p) in c.m.iter().zip(delinearise(b, row, &m_sizes)) {
                    e.bind(l.var, vec![p]);
                }
                e.hoist(&store_roots(&c.stores), true);
                for j in 0..tile.columns {
                    let column = b.add(b.add(b_side.origin, first_column), b.i32(j as i32));
                    b.when(b.cmp(Cmp::Slt, column, n_total), || {
                        e.scoped(|e| {
                            for (l, p) in c.n.iter().zip(delinearise(b, column, &n_sizes)) {
                                e.bind(l.var, vec![p]);
                            }
                            e.bind_acc(0, 0, vec![sums[(i * tile.columns + j) as usize]]);
                            c.stores.iter().for_each(|s| e.store(s, Nibbles::Whole, None));
                        });
                    });
                }
            });
        });
    }
}

/// Evaluates one side's elements of a step of k into its shared tile.
#[allow(clippy::too_many_arguments)]
fn fill(eval: &mut Eval, c: &Contraction, s: &Side, k_first: Val, k_total: Val, k_sizes: &[Val], depth: u32, ty: Ty) {
    let b = eval.b;
    let thread = b.thread(0);
    let total = s.width * depth;
    for round in 0..total.div_ceil(THREADS) {
        let number = b.add(thread, b.i32((round * THREADS) as i32));
        let (outer, inner) = (if s.along_k { depth } else { s.width } as i32, b);
        let (quotient, remainder) = (inner.div_u(number, b.i32(outer)), inner.rem_u(number, b.i32(outer)));
        let (row, step) = if s.along_k { (quotient, remainder) } else { (remainder, quotient) };
        let (position, k_position) = (b.add(s.origin, row), b.add(k_first, step));
        let inside = b.and(b.cmp(Cmp::Slt, position, s.total), b.cmp(Cmp::Slt, k_position, k_total));
        let own = b.cmp(Cmp::Slt, number, b.i32(total as i32));
        let mut store = || {
            let value = b.if_else(
                inside,
                || {
                    eval.scoped(|e| {
                        for (l, p) in s.loops.iter().zip(delinearise(b, position, &s.sizes)) {
                            e.bind(l.var, vec![p]);
                        }
                        for (l, p) in c.k.iter().zip(delinearise(b, k_position, k_sizes)) {
                            e.bind(l.var, vec![p]);
                        }
                        let dtype = e.k.desc.exprs[s.value].dtype;
                        vec![scalar::cast(b, dtype, c.acc, CastMode::Round, e.eval_one(s.value))]
                    })
                },
                || vec![b.zero(ty)],
            )[0];
            let at = b.add(b.mul(step, b.i32((s.width + PAD) as i32)), row);
            b.store(value, b.gep(s.base, ty, at), 0);
        };
        if (round + 1) * THREADS <= total {
            store();
        } else {
            b.when(own, store);
        }
    }
}

fn all(b: &Builder, sizes: &[Val]) -> Val {
    sizes.iter().copied().reduce(|x, y| b.mul(x, y)).unwrap_or_else(|| b.i32(1))
}

/// Whether an operand's elements are adjacent along k (rather than along its rows) in most of its loads.
fn along_k(facts: &Facts, value: ExprId, rows: &[Loop], k: &[Loop]) -> bool {
    let (mut along, mut across) = (0, 0);
    crate::eval::facts::visit(facts.desc, &[value], &mut |id| {
        if let Expr::Load { index, .. } = &facts.desc.exprs[id].expr {
            along += u32::from(k.last().is_some_and(|l| index.stride(l.var).is_one()));
            across += u32::from(rows.last().is_some_and(|l| index.stride(l.var).is_one()));
        }
    });
    along > across
}
