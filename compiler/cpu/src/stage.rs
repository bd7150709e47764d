//! The three kinds of stages of a nest, at a point whose outer variables are bound.
//!
//! Results of reductions and carries go to [`Emit::values`]. A stage may be vectorised over its own innermost loop
//! (`inner`), or run with an outer variable already standing for lanes; the code is the same. Knows no parallelism.

use crate::emit::Emit;
use crate::loops::Level;
use crate::value::{Val, part_type, scalar_type};
use cranelift_codegen::ir::InstBuilder;
use cranelift_frontend::Variable;
use tricot_kernel::{Acc, Binary, Carry, CastMode, Combine, ExprId, Extent, Loop, Store, Unary};
use tricot_types::DType;

/// Additions in a row before an f32 sum goes on from zero.
const RUN: i64 = 64;

/// A value that loops change: one frontend variable a part.
struct Cell {
    dtype: DType,
    vector: bool,
    parts: Vec<Variable>,
}

impl Emit<'_> {
    fn cell(&mut self, init: &Val) -> Cell {
        let ty = if init.vector { part_type(init.dtype) } else { scalar_type(init.dtype) };
        let parts: Vec<Variable> = init.parts.iter().map(|_| self.b.declare_var(ty)).collect();
        let cell = Cell { dtype: init.dtype, vector: init.vector, parts };
        self.set(&cell, init);
        cell
    }

    fn set(&mut self, cell: &Cell, value: &Val) {
        for (var, part) in cell.parts.iter().zip(&value.parts) {
            self.b.def_var(*var, *part);
        }
    }

    fn get(&mut self, cell: &Cell) -> Val {
        let parts = cell.parts.iter().map(|v| self.b.use_var(*v)).collect();
        Val { dtype: cell.dtype, vector: cell.vector, parts }
    }

    /// Everything a set of stores evaluates.
    pub fn store_roots(stores: &[Store]) -> Vec<ExprId> {
        stores.iter().flat_map(|s| s.index.dynamic.iter().map(|(e, _)| *e).chain([s.value]).chain(s.guard)).collect()
    }

    /// Evaluates and performs stores: all values first, so that none sees another.
    pub fn perform(&mut self, stores: &[Store]) {
        let values: Vec<(Val, Option<Val>)> = stores
            .iter()
            .map(|s| {
                let guard = s.guard.filter(|g| !self.assumed.contains(g));
                (self.eval(s.value), guard.map(|g| self.eval(g)))
            })
            .collect();
        for (store, (value, guard)) in stores.iter().zip(values) {
            self.store(store, &value, guard.as_ref());
        }
    }

    /// A `Store` stage over prepared levels.
    pub fn store_levels(&mut self, levels: &[Level], stores: &[Store], inner: bool) {
        let roots = Self::store_roots(stores);
        self.nest(levels, inner, true, &roots, &mut |e| e.perform(stores));
    }

    /// A `Store` stage.
    pub fn store_stage(&mut self, loops: &[Loop], stores: &[Store], inner: bool) {
        let levels: Vec<Level> = loops.iter().cloned().map(Level::Loop).collect();
        self.store_levels(&levels, stores, inner);
    }

    /// The value a combination starts from.
    fn identity(&mut self, combine: Combine, dtype: DType) -> Val {
        let (float, int) = match combine {
            Combine::Sum | Combine::Or => (0.0, 0),
            Combine::Prod | Combine::And => (1.0, 1),
            Combine::Min | Combine::ArgMin { .. } => (f64::INFINITY, dtype.int_range().map_or(0, |(_, hi)| hi as i64)),
            Combine::Max | Combine::ArgMax { .. } => {
                (f64::NEG_INFINITY, dtype.int_range().map_or(0, |(lo, _)| lo as i64))
            }
        };
        if dtype.is_float() { self.constant_limit(dtype, float) } else { self.constant_int(dtype, int) }
    }

    /// A float constant where infinity means the largest value if the format has none.
    fn constant_limit(&mut self, dtype: DType, value: f64) -> Val {
        match crate::convert::small(dtype) {
            Some(f) if value.is_infinite() && f.overflow == f.nan => {
                self.constant_float(dtype, f.max().copysign(value))
            }
            _ => self.constant_float(dtype, value),
        }
    }

    /// `a` combined with `b`.
    fn combined(&mut self, combine: Combine, a: &Val, b: &Val) -> Val {
        let op = match combine {
            Combine::Sum => Binary::Add,
            Combine::Prod => Binary::Mul,
            Combine::Min | Combine::ArgMin { .. } => Binary::Min,
            Combine::Max | Combine::ArgMax { .. } => Binary::Max,
            Combine::And => Binary::And,
            Combine::Or => Binary::Or,
        };
        self.binary(op, a, b)
    }

    /// A `Reduce` stage; its results become `Acc { stage, .. }`.
    pub fn reduce_stage(&mut self, stage: u32, loops: &[Loop], accs: &[Acc], inner: bool) {
        let levels: Vec<Level> = loops.iter().cloned().map(Level::Loop).collect();
        self.reduce_levels(stage, &levels, loops, accs, inner);
    }

    /// A `Reduce` stage over prepared levels; `loops` give positions to `ArgMin` and `ArgMax`.
    pub fn reduce_levels(&mut self, stage: u32, levels: &[Level], loops: &[Loop], accs: &[Acc], inner: bool) {
        let lanes_outside = self.vec.is_some();
        let mut cells: Vec<(Cell, Option<Cell>, Option<Cell>)> = vec![];
        for acc in accs {
            let identity = self.identity(acc.combine, acc.dtype);
            let wide = if lanes_outside || inner { Some(self.splat(&identity)) } else { None };
            let position = matches!(acc.combine, Combine::ArgMin { .. } | Combine::ArgMax { .. }).then(|| {
                let zero = self.constant_int(DType::I64, 0);
                let zero = if lanes_outside { self.splat(&zero) } else { zero };
                self.cell(&zero)
            });
            let (main, lanes) = match (lanes_outside, wide) {
                (true, Some(wide)) => (self.cell(&wide), None),
                (_, wide) => (self.cell(&identity), wide.map(|w| self.cell(&w))),
            };
            cells.push((main, lanes, position));
        }
        let roots: Vec<ExprId> = accs.iter().map(|a| a.value).collect();
        let totals = self.totals(accs, &cells);
        self.nest_in_runs(levels, inner, &roots, &totals, &mut |e| {
            for (acc, (main, lanes, position)) in accs.iter().zip(&cells) {
                let value = e.eval(acc.value);
                let value = e.cast(&value, acc.dtype, CastMode::Round);
                let vector_now = e.vec.is_some();
                let cell = if vector_now && !lanes_outside { lanes.as_ref().unwrap_or(main) } else { main };
                let value = if vector_now { e.splat(&value) } else { value };
                let old = e.get(cell);
                match position {
                    None => {
                        let new = e.combined(acc.combine, &old, &value);
                        e.set(cell, &new);
                    }
                    Some(position) => e.arg_step(acc, loops, &value, &old, cell, position),
                }
            }
        });
        for (i, (acc, (main, lanes, position))) in accs.iter().zip(&cells).enumerate() {
            let mut result = match position {
                Some(position) => self.get(position),
                None => self.get(main),
            };
            if let (Some(lanes), None) = (lanes, position) {
                let wide = self.get(lanes);
                result = self.fold(acc.combine, &wide, result);
            }
            self.values.insert((false, stage, i as u32), result);
        }
    }

    /// For each cell of an f32 sum a cell for the sum of its runs.
    fn totals<'c>(&mut self, accs: &[Acc], cells: &'c [(Cell, Option<Cell>, Option<Cell>)]) -> Vec<(&'c Cell, Cell)> {
        let sums = accs.iter().zip(cells).filter(|(a, _)| a.combine == Combine::Sum && a.dtype == DType::F32);
        let partial: Vec<&Cell> =
            sums.flat_map(|(_, (main, lanes, _))| [Some(main), lanes.as_ref()]).flatten().collect();
        partial
            .into_iter()
            .map(|cell| {
                let zero = self.get(cell);
                (cell, self.cell(&zero))
            })
            .collect()
    }

    /// As [`Emit::nest`]. Where the last loop is long, the cells of `totals` are added up in runs of [`RUN`] rounds: the rounding of
    /// a sum of n terms grows with the length of its longest chain of additions, and a product of a vector with a matrix is one
    /// chain otherwise.
    fn nest_in_runs(
        &mut self,
        levels: &[Level],
        inner: bool,
        roots: &[ExprId],
        totals: &[(&Cell, Cell)],
        body: &mut dyn FnMut(&mut Self),
    ) {
        let run = RUN * if inner { self.lanes as i64 } else { 1 };
        let long = |extent: &Extent| match extent {
            Extent::Size(size) => size.as_constant().is_none_or(|n| n > 2 * run),
            Extent::Dynamic(_) => false,
        };
        let (outer, last) = match levels {
            [outer @ .., Level::Loop(last)] if !totals.is_empty() && long(&last.extent) => (outer, last),
            _ => return self.nest(levels, inner, true, roots, body),
        };
        self.nest(outer, false, true, roots, &mut |e| {
            let (lo, hi) = (e.i64(0), e.extent(&last.extent));
            e.pieces(lo, hi, run, |e, lo, hi| {
                let level = Level::Slice { loops: vec![last.clone()], lo, hi };
                e.nest(&[level], inner, true, roots, body);
                for (cell, total) in totals {
                    let (sum, part) = (e.get(total), e.get(cell));
                    let sum = e.binary(Binary::Add, &sum, &part);
                    e.set(total, &sum);
                    let zero = e.constant_float(cell.dtype, 0.0);
                    let zero = if cell.vector { e.splat(&zero) } else { zero };
                    e.set(cell, &zero);
                }
            });
        });
        for (cell, total) in totals {
            let sum = self.get(total);
            self.set(cell, &sum);
        }
    }

    /// Combines all lanes of a vector and a scalar, pairwise.
    fn fold(&mut self, combine: Combine, wide: &Val, scalar: Val) -> Val {
        let mut wide = wide.clone();
        // 64-bit comparisons give their masks by pairs of parts.
        let least = if part_type(wide.dtype).lane_bits() == 64 { 2 } else { 1 };
        while wide.parts.len() % 2 == 0 && wide.parts.len() / 2 >= least {
            let half = wide.parts.len() / 2;
            let low = Val::vector(wide.dtype, wide.parts[..half].to_vec());
            let high = Val::vector(wide.dtype, wide.parts[half..].to_vec());
            wide = self.combined(combine, &low, &high);
        }
        let count = wide.parts.len() * part_type(wide.dtype).lane_count() as usize;
        let mut lanes: Vec<Val> = (0..count).map(|l| self.lane(&wide, l)).collect();
        while lanes.len() > 1 {
            lanes = lanes
                .chunks(2)
                .map(|p| if p.len() == 2 { self.combined(combine, &p[0], &p[1]) } else { p[0].clone() })
                .collect();
        }
        self.combined(combine, &lanes[0], &scalar)
    }

    /// One step of an arg reduction: takes the value and its position where it beats the best so far.
    fn arg_step(&mut self, acc: &Acc, loops: &[Loop], value: &Val, best: &Val, cell: &Cell, position: &Cell) {
        let (largest, last) = match acc.combine {
            Combine::ArgMax { last } => (true, last),
            Combine::ArgMin { last } => (false, last),
            _ => unreachable!("only arg reductions have positions"),
        };
        let op = match (largest, last) {
            (true, false) => Binary::Gt,
            (true, true) => Binary::Ge,
            (false, false) => Binary::Lt,
            (false, true) => Binary::Le,
        };
        let mut better = self.binary(op, value, best);
        if acc.dtype.is_float() {
            let nan = self.unary(Unary::IsNan, value);
            let first_nan = if last {
                nan
            } else {
                let had = self.unary(Unary::IsNan, best);
                let had_not = self.not(&had);
                self.binary(Binary::And, &nan, &had_not)
            };
            better = self.binary(Binary::Or, &better, &first_nan);
        }
        let mut here = None;
        for l in loops {
            let var = self.var(l.var).expect("inside its loop");
            here = Some(match here {
                None => var,
                Some(outer) => {
                    let extent = self.extent(&l.extent);
                    let scaled = self.b.ins().imul(outer, extent);
                    self.b.ins().iadd(scaled, var)
                }
            });
        }
        let here = here.unwrap_or_else(|| self.i64(0));
        let here = Val::scalar(DType::I64, here);
        let new = self.choose(&better, value, best);
        let old_position = self.get(position);
        let new_position = self.choose(&better, &here, &old_position);
        self.set(cell, &new);
        self.set(position, &new_position);
    }

    /// A `Sequential` stage; its final carries become `Carry { stage, .. }`.
    pub fn sequential_stage(&mut self, stage: u32, loops: &[Loop], carries: &[Carry], stores: &[Store]) {
        let lanes_outside = self.vec.is_some();
        let mut cells = vec![];
        for carry in carries {
            let init = self.eval(carry.init);
            let mut init = self.cast(&init, carry.dtype, CastMode::Round);
            if lanes_outside {
                init = self.splat(&init);
            }
            cells.push(self.cell(&init));
        }
        let levels: Vec<Level> = loops.iter().cloned().map(Level::Loop).collect();
        let mut roots = Self::store_roots(stores);
        roots.extend(carries.iter().map(|c| c.next));
        // Memory changes while the loops run: nothing is read ahead.
        self.nest(&levels, false, false, &roots, &mut |e| {
            for (i, cell) in cells.iter().enumerate() {
                let value = e.get(cell);
                e.values.insert((true, stage, i as u32), value);
            }
            let next: Vec<Val> = carries
                .iter()
                .map(|c| {
                    let value = e.eval(c.next);
                    let value = e.cast(&value, c.dtype, CastMode::Round);
                    if lanes_outside { e.splat(&value) } else { value }
                })
                .collect();
            e.perform(stores);
            for (i, (cell, value)) in cells.iter().zip(&next).enumerate() {
                e.set(cell, value);
                e.values.remove(&(true, stage, i as u32));
            }
        });
        for (i, cell) in cells.iter().enumerate() {
            let value = self.get(cell);
            self.values.insert((true, stage, i as u32), value);
        }
    }
}
