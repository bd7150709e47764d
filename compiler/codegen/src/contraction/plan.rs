//! From a description to tiles: which loops become the tile's rows, columns and reduction, and how TMA fetches them.
//!
//! The central type is [`Plan`]. It decides layouts and tensor maps; it emits nothing.

use super::axes::{Axis, fuse};
use crate::tile::smem::{Major, OperandTile, ROW};
use crate::tile::tma::{self, Dim};
use tricot_kernel::{Contraction, Expr, ExprId, Index, KernelDesc, Loop, LoopVar, Precision};
use tricot_plan::launch::TensorMap;
use tricot_types::{DType, Poly, SymbolTable};

/// One factor of the product: a buffer and its affine index.
#[derive(Clone, Debug)]
pub struct Factor {
    pub buffer: u32,
    pub dtype: DType,
    pub index: Index,
}

/// The loops of a product, whatever its anchor.
#[derive(Clone, Debug)]
pub struct Problem {
    pub batch: Vec<Loop>,
    pub rows: Vec<Loop>,
    pub cols: Vec<Loop>,
    pub depth: Vec<Loop>,
    /// Holds the rows.
    pub row: Factor,
    /// Holds the columns.
    pub col: Factor,
    /// Logical elements of the reduction for each stored one of the row operand: 1, or 2 when it is 2:4 compressed. The strides of
    /// `row.index` along `depth` count logical elements.
    pub packing: u32,
}

/// How one operand reaches shared memory.
#[derive(Clone, Debug)]
pub struct Fetch {
    pub major: Major,
    pub dtype: DType,
    /// Fused outer reduction axes and batch axes that the tensor map has a coordinate for, in its order after the first two.
    pub outer: Vec<usize>,
    pub batch: Vec<usize>,
    buffer: u32,
    offset: Poly,
    dims: Vec<Dim>,
}

/// A product laid out as tiles.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Independent tiles of tiles: the batch loops, and row or column loops that do not fuse into the tile's.
    pub batch: Vec<Axis>,
    pub rows: Axis,
    pub cols: Axis,
    /// Reduction axes walked one index at a time around the innermost.
    pub outer: Vec<Axis>,
    pub depth: Axis,
    /// Loop variables that are always 0.
    pub units: Vec<LoopVar>,
    pub row: Fetch,
    pub col: Fetch,
    pub packing: u32,
}

/// The factor an expression loads, if it is a plain affine load.
pub fn factor(desc: &KernelDesc, id: ExprId) -> Option<Factor> {
    let node = &desc.exprs[id];
    match &node.expr {
        Expr::Load { buffer, index, guard: None } if index.is_affine() => {
            Some(Factor { buffer: *buffer, dtype: node.dtype, index: index.clone() })
        }
        _ => None,
    }
}

/// The loops of a dense contraction with operands that wgmma takes as they are.
pub fn dense(desc: &KernelDesc, c: &Contraction) -> Option<Problem> {
    let (row, col) = (factor(desc, c.a)?, factor(desc, c.b)?);
    let wide = |d| matches!(d, DType::F16 | DType::BF16);
    let narrow = |d| matches!(d, DType::F8E4M3 | DType::F8E5M2);
    // fp8 sums keep 13 fraction bits (arXiv 2511.10909): enough where the result is rounded to 16 bits, not for f32.
    let rounded = c.stores.iter().all(|s| desc.buffers[s.buffer as usize].dtype.bits() <= 16);
    let types = (wide(row.dtype) && row.dtype == col.dtype) || (narrow(row.dtype) && narrow(col.dtype) && rounded);
    if !types || c.acc != DType::F32 || c.precision != Precision::Native {
        return None;
    }
    let [batch, rows, cols, depth] = [&c.batch, &c.m, &c.n, &c.k].map(|l| l.to_vec());
    Some(Problem { batch, rows, cols, depth, row, col, packing: 1 })
}

impl Problem {
    /// The transposed product.
    pub fn swapped(self) -> Problem {
        Problem { rows: self.cols, cols: self.rows, row: self.col, col: self.row, ..self }
    }
}

impl Plan {
    /// Lays a problem out, or `None` where TMA and wgmma cannot fetch it.
    pub fn new(p: &Problem, symbols: &SymbolTable) -> Option<Plan> {
        let mut units = vec![];
        let mut axes = |loops: &[Loop]| fuse(loops, &p.row.index, &p.col.index, &mut units);
        let (batch, rows, cols, depth) = (axes(&p.batch)?, axes(&p.rows)?, axes(&p.cols)?, axes(&p.depth)?);
        if rows.iter().any(|a| !a.col.is_zero()) || cols.iter().any(|a| !a.row.is_zero()) {
            return None;
        }
        for (rows, more_rows) in choices(&rows, symbols) {
            for (cols, more_cols) in choices(&cols, symbols) {
                let batch: Vec<Axis> = [&batch, &more_rows, &more_cols].into_iter().flatten().cloned().collect();
                for (depth, outer) in choices(&depth, symbols) {
                    let walk = Walk { depth: &depth, outer: &outer, batch: &batch, symbols };
                    let row = walk.fetch(&p.row, |a| &a.row, &rows, p.packing);
                    let col = walk.fetch(&p.col, |a| &a.col, &cols, 1);
                    if let (Some(row), Some(col)) = (row, col) {
                        let (units, packing) = (units.clone(), p.packing);
                        return Some(Plan { batch, rows, cols, outer, depth, units, row, col, packing });
                    }
                }
            }
        }
        None
    }

    /// Elements of the (logical) reduction in one stage: 128 bytes of the row operand.
    pub fn stage_depth(&self) -> u32 {
        ROW / (self.row.dtype.bits() / 8) * self.packing
    }

    /// The row operand's tile of `mn` rows, one stage deep.
    pub fn row_tile(&self, mn: u32) -> OperandTile {
        let bytes = self.row.dtype.bits() / 8;
        OperandTile { major: self.row.major, mn, k: self.stage_depth() / self.packing, bytes }
    }

    /// The column operand's tile of `mn` columns, one stage deep.
    pub fn col_tile(&self, mn: u32) -> OperandTile {
        OperandTile { major: self.col.major, mn, k: self.stage_depth(), bytes: self.col.dtype.bits() / 8 }
    }
}

/// Ways to pick the tile's axis from a group: the largest first, then the others; the rest keeps its order.
fn choices(axes: &[Axis], symbols: &SymbolTable) -> Vec<(Axis, Vec<Axis>)> {
    if axes.is_empty() {
        return vec![(Axis::unit(), vec![])];
    }
    let mut order: Vec<usize> = (0..axes.len()).collect();
    order.sort_by(|x, y| axes[*y].hint(symbols).total_cmp(&axes[*x].hint(symbols)).then(y.cmp(x)));
    let pick = |at: usize| {
        let mut rest = axes.to_vec();
        let axis = rest.remove(at);
        (axis, rest)
    };
    order.into_iter().map(pick).collect()
}

/// The axes around a tile.
struct Walk<'a> {
    depth: &'a Axis,
    outer: &'a [Axis],
    batch: &'a [Axis],
    symbols: &'a SymbolTable,
}

impl Walk<'_> {
    /// How to fetch a factor whose tile runs along `mn`, K-major if possible.
    fn fetch(&self, f: &Factor, stride: fn(&Axis) -> &Poly, mn: &Axis, packing: u32) -> Option<Fetch> {
        let per_row = ROW / (f.dtype.bits() / 8);
        let moving = |axes: &[Axis]| (0..axes.len()).filter(|i| !stride(&axes[*i]).is_zero()).collect::<Vec<_>>();
        let (outer, batch) = (moving(self.outer), moving(self.batch));
        let far = outer.iter().map(|i| &self.outer[*i]).chain(batch.iter().map(|i| &self.batch[*i]));
        let far: Vec<Dim> = far.map(|a| Dim { extent: a.extent.clone(), stride: stride(a).clone(), tile: 1 }).collect();

        let k = Dim {
            extent: self.depth.extent.floor_div(i64::from(packing)),
            stride: stride(self.depth).clone(),
            tile: 1,
        };
        let mn = Dim { extent: mn.extent.clone(), stride: stride(mn).clone(), tile: 1 };
        let majors = if f.dtype.bits() == 16 && packing == 1 { &[Major::K, Major::Mn][..] } else { &[Major::K][..] };
        majors.iter().find_map(|major| {
            let (near, next) = if *major == Major::K { (&k, &mn) } else { (&mn, &k) };
            let near = Dim { tile: per_row, ..near.clone() };
            let dims: Vec<Dim> = [near, next.clone()].into_iter().chain(far.iter().cloned()).collect();
            tma::source(f.buffer, f.dtype, &f.index.offset, &dims, self.symbols)?;
            let (outer, batch, offset) = (outer.clone(), batch.clone(), f.index.offset.clone());
            Some(Fetch { major: *major, dtype: f.dtype, outer, batch, buffer: f.buffer, offset, dims })
        })
    }
}

impl Fetch {
    /// The tensor map for copying `tile`, one box a chunk.
    pub fn map(&self, tile: &OperandTile, symbols: &SymbolTable) -> Option<TensorMap> {
        let mut dims = self.dims.clone();
        dims[1].tile = tile.chunk_rows();
        tma::source(self.buffer, self.dtype, &self.offset, &dims, symbols)
    }
}
