//! Evaluation on demand: the expression of any graph value at given coordinates, views becoming index arithmetic.
//!
//! The central type is [`Eval`], one kernel's expressions in the making. Values that are stored in memory end the
//! recursion as loads; a reduction met on the way becomes a stage. What cannot be part of this kernel stops it with the
//! value that must be stored first. Knows no plan and no target.

use crate::coords::{add, constant, groups, linear, scale, strides, var};
use crate::flat::Flat;
use crate::scalar;
use std::collections::{BTreeMap, BTreeSet};
use tricot_dialects::{Node, ValueId};
use tricot_kernel::{Acc, Access, Binary, Buffer, CastMode, Combine, Expr, ExprId, Exprs, Index, Loop, LoopVar, Stage};
use tricot_types::{DType, Diagnostic, Poly};

/// Why a kernel could not be made.
pub enum Stop {
    /// This value must be stored by a kernel of its own.
    Store(ValueId),
    Fail(Diagnostic),
}

/// A position: one coordinate per axis.
pub type At = Vec<Index>;

/// One kernel's expressions in the making.
pub struct Eval<'g> {
    pub flat: &'g Flat,
    pub stored: &'g BTreeSet<ValueId>,
    pub exprs: Exprs,
    pub buffers: Vec<Buffer>,
    /// The value behind each buffer.
    pub values: Vec<ValueId>,
    /// Sizes of all loop variables so far.
    pub extents: BTreeMap<LoopVar, Poly>,
    /// Variables of loops inside a stage, which no fused reduction may depend on.
    pub inner: BTreeSet<LoopVar>,
    pub stages: Vec<Stage>,
    /// The reduction behind each stage and the variables it depends on.
    pub reductions: Vec<(ValueId, BTreeSet<LoopVar>)>,
    /// The contraction this kernel is about, and the expression of its sum.
    pub pivot: Option<(ValueId, ExprId)>,
    /// A value this kernel computes at a few positions only, and its expressions there.
    pub tiles: Option<(ValueId, Vec<(At, ExprId)>)>,
    /// Positions along the way from the pivot to the root: views there need no division.
    pub path: BTreeMap<ValueId, At>,
    /// Values computed inside this kernel.
    pub inlined: BTreeSet<ValueId>,
    /// Exclusive upper bounds of non-negative expressions.
    below: BTreeMap<ExprId, Poly>,
    memo: BTreeMap<(ValueId, Option<ExprId>), Vec<(At, ExprId)>>,
    /// Values being evaluated, to end on a fault rather than overflow the stack.
    depth: usize,
}

/// Deepest chain of fused ops; a longer one is cut by storing a value.
const MAX_DEPTH: usize = 96;

impl<'g> Eval<'g> {
    pub fn new(flat: &'g Flat, stored: &'g BTreeSet<ValueId>) -> Eval<'g> {
        Eval {
            flat,
            stored,
            exprs: Exprs::default(),
            buffers: vec![],
            values: vec![],
            extents: BTreeMap::new(),
            inner: BTreeSet::new(),
            stages: vec![],
            reductions: vec![],
            pivot: None,
            tiles: None,
            path: BTreeMap::new(),
            inlined: BTreeSet::new(),
            below: BTreeMap::new(),
            memo: BTreeMap::new(),
            depth: 0,
        }
    }

    /// A fresh loop variable.
    pub fn new_var(&mut self, extent: &Poly) -> LoopVar {
        let v = LoopVar(self.extents.len() as u32);
        self.extents.insert(v, extent.clone());
        v
    }

    /// Fresh variables for every axis of a shape; axes of size 1 get the constant 0 and no loop.
    pub fn domain(&mut self, shape: &[Poly]) -> (Vec<Loop>, At) {
        let mut loops = vec![];
        let at = shape
            .iter()
            .map(|d| match d.is_one() {
                true => Index::zero(),
                false => {
                    let v = self.new_var(d);
                    loops.push(Loop::new(v, d.clone()));
                    var(v)
                }
            })
            .collect();
        (loops, at)
    }

    /// The buffer argument for a value.
    pub fn buffer(&mut self, v: ValueId, access: Access) -> u32 {
        if let Some(i) = self.values.iter().position(|x| *x == v) {
            return i as u32;
        }
        let ty = self.flat.ty(v);
        self.buffer_as(v, ty.dtype, ty.shape.clone(), access)
    }

    /// As [`Eval::buffer`] under another dtype and shape of the same bytes.
    pub fn buffer_as(&mut self, v: ValueId, dtype: DType, shape: Vec<Poly>, access: Access) -> u32 {
        let name = format!("{}{}", if access == Access::Read { "in" } else { "out" }, self.buffers.len());
        self.buffers.push(Buffer { name, dtype, shape, access });
        self.values.push(v);
        self.buffers.len() as u32 - 1
    }

    /// Value of `v` at `at`; memory is touched only where `guard` holds.
    pub fn value(&mut self, v: ValueId, at: &[Index], guard: Option<ExprId>) -> Result<ExprId, Stop> {
        debug_assert_eq!(at.len(), self.flat.ty(v).rank());
        if let Some((_, e)) = self.memo.get(&(v, guard)).and_then(|list| list.iter().find(|(a, _)| a == at)) {
            return Ok(*e);
        }
        let e = match self.stored.contains(&v) {
            true => self.load(v, at, guard),
            false => self.compute(v, at, guard)?,
        };
        self.memo.entry((v, guard)).or_default().push((at.to_vec(), e));
        Ok(e)
    }

    /// A load of a stored value.
    pub fn load(&mut self, v: ValueId, at: &[Index], guard: Option<ExprId>) -> ExprId {
        let buffer = self.buffer(v, Access::Read);
        let ty = self.flat.ty(v);
        let index = linear(at, &ty.shape);
        let guard = guard.map(|g| (g, scalar::constant(&mut self.exprs, ty.dtype, 0.0)));
        self.exprs.push(ty.dtype, Expr::Load { buffer, index, guard })
    }

    /// Value of `v` by its op, whether stored or not.
    pub fn compute(&mut self, v: ValueId, at: &[Index], guard: Option<ExprId>) -> Result<ExprId, Stop> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Stop::Store(v));
        }
        self.inlined.insert(v);
        let e = self.op(v, at, guard);
        self.depth -= 1;
        e
    }

    fn op(&mut self, v: ValueId, at: &[Index], guard: Option<ExprId>) -> Result<ExprId, Stop> {
        let flat = self.flat;
        let node = flat.node(v);
        let ops = node.operands();
        let ty = flat.ty(v);
        if let Some((pivot, sum)) = self.pivot
            && pivot == v
        {
            return match self.path.get(&v).is_some_and(|p| p == at) {
                true => Ok(self.exprs.cast(sum, ty.dtype, CastMode::Round)),
                false => Err(Stop::Store(v)),
            };
        }
        if let Some((tiled, known)) = &self.tiles
            && *tiled == v
        {
            return known.iter().find(|(a, _)| a == at).map(|(_, e)| *e).ok_or(Stop::Store(v));
        }
        match node.op.name {
            "core.constant" => {
                let c = flat.constants.get(node.attrs.constant("value")).and_then(|c| c.splat());
                match c {
                    Some(c) => Ok(scalar::splat(&mut self.exprs, &c)),
                    None => Ok(self.load(v, at, guard)),
                }
            }
            "core.map" => {
                let f = node.attrs.str("fn").parse().map_err(|m: String| internal(node, &m))?;
                let args = ops.iter().map(|o| self.value(*o, at, guard)).collect::<Result<Vec<_>, _>>()?;
                Ok(scalar::map(&mut self.exprs, f, &args))
            }
            "core.select" => {
                let cond = self.value(ops[0], at, guard)?;
                let then = self.value(ops[1], at, guard)?;
                let other = self.value(ops[2], at, guard)?;
                Ok(self.exprs.select(cond, then, other))
            }
            "core.cast" => {
                let mode = match node.attrs.str("mode") {
                    "round" => CastMode::Round,
                    "saturate" => CastMode::Saturate,
                    _ => CastMode::Bits,
                };
                let x = self.value(ops[0], at, guard)?;
                Ok(self.exprs.cast(x, ty.dtype, mode))
            }
            "core.broadcast" | "core.transpose" | "core.reshape" | "core.slice" | "core.window" => {
                let inner = match self.path.get(&v).filter(|p| *p == at).and_then(|_| self.path.get(&ops[0])) {
                    Some(known) => known.clone(),
                    None => self.view(node, at)?,
                };
                self.value(ops[0], &inner, guard)
            }
            "core.pad" => self.pad(node, at, guard),
            "core.concat" => self.concat(node, at, guard),
            "core.iota" => {
                let axis = node.attrs.int("axis") as usize;
                let e = self.coordinate(&at[axis]);
                Ok(self.exprs.cast(e, ty.dtype, CastMode::Round))
            }
            "core.size" => Ok(self.exprs.push(DType::I64, Expr::Size(node.attrs.dim("value").clone()))),
            "core.gather" => self.gather(node, at, guard),
            "core.update_slice" => self.update_slice(node, at, guard),
            "core.random" => {
                let i = self.coordinate(&linear(at, &ty.shape));
                let normal = node.attrs.str("kind") == "normal";
                Ok(scalar::random(&mut self.exprs, ty.dtype, normal, node.attrs.int("seed"), i))
            }
            "core.reduce" | "core.arg_reduce" | "core.contract" => match guard {
                None => self.reduction(v, at),
                Some(_) => Err(Stop::Store(v)),
            },
            _ => Err(Stop::Store(v)),
        }
    }

    /// Operand position of a pure view.
    fn view(&mut self, node: &Node, at: &[Index]) -> Result<At, Stop> {
        let from = self.flat.ty(node.operands()[0]).shape.clone();
        let attrs = &node.attrs;
        Ok(match node.op.name {
            "core.broadcast" => {
                let axes = attrs.ints("axes");
                (0..from.len())
                    .map(|i| if from[i].is_one() { Index::zero() } else { at[axes[i] as usize].clone() })
                    .collect()
            }
            "core.transpose" => {
                let mut out = vec![Index::zero(); from.len()];
                attrs.ints("perm").iter().enumerate().for_each(|(i, p)| out[*p as usize] = at[i].clone());
                out
            }
            "core.reshape" => self.reshape(at, attrs.dims("shape"), &from),
            "core.slice" => {
                let (start, step) = (attrs.dims("start"), attrs.ints("step"));
                (0..from.len()).map(|i| scale(&at[i], &step[i].into()).shifted(start[i].clone())).collect()
            }
            _ => {
                let (axes, stride, dilation) = (attrs.ints("axes"), attrs.ints("stride"), attrs.ints("dilation"));
                let mut out = at[..from.len()].to_vec();
                for (j, a) in axes.iter().enumerate() {
                    let position = scale(&at[*a as usize], &stride[j].into());
                    out[*a as usize] = add(&position, &scale(&at[from.len() + j], &dilation[j].into()));
                }
                out
            }
        })
    }

    /// The position in shape `to` of the element at `at` in shape `from`; both hold the same elements row-major.
    pub fn reshape(&mut self, at: &[Index], from: &[Poly], to: &[Poly]) -> At {
        let mut out = vec![Index::zero(); to.len()];
        for (f, t) in groups(from, to) {
            let shape: Vec<Poly> = f.iter().map(|i| from[*i].clone()).collect();
            let coords: Vec<Index> = f.iter().map(|i| at[*i].clone()).collect();
            let mut rest = linear(&coords, &shape);
            let inner: Vec<Poly> = t.iter().map(|i| to[*i].clone()).collect();
            for (axis, stride) in t.iter().zip(strides(&inner)) {
                let (quotient, remainder) = self.div_mod(&rest, &stride);
                out[*axis] = quotient;
                rest = remainder;
            }
        }
        out
    }

    /// Quotient and remainder of a non-negative coordinate; terms that divide leave no arithmetic behind.
    fn div_mod(&mut self, at: &Index, by: &Poly) -> (Index, Index) {
        if by.is_one() {
            return (at.clone(), Index::zero());
        }
        let (mut whole, mut rest) = (Index::zero(), Index::zero());
        match at.offset.exact_div(by) {
            Some(q) => whole = whole.shifted(q),
            None => match (at.offset.as_constant(), by.as_constant()) {
                (Some(o), Some(b)) if b > 0 => {
                    whole = whole.shifted(o.div_euclid(b));
                    rest = rest.shifted(o.rem_euclid(b));
                }
                _ => rest = rest.shifted(at.offset.clone()),
            },
        }
        for (v, s) in &at.affine {
            match s.exact_div(by) {
                Some(q) => whole = whole.plus(*v, q),
                None => rest = rest.plus(*v, s.clone()),
            }
        }
        for (e, s) in &at.dynamic {
            match s.exact_div(by) {
                Some(q) => whole = whole.plus_dynamic(*e, q),
                None => rest = rest.plus_dynamic(*e, s.clone()),
            }
        }
        let below_divisor = |max: &Poly| self.flat.at_most(&(max.clone() + 1.into()), by);
        if self.largest(&rest).is_some_and(|max| below_divisor(&max)) {
            return (whole, rest);
        }
        let n = self.coordinate(&rest);
        let d = self.exprs.push(DType::I64, Expr::Size(by.clone()));
        let q = self.exprs.binary(Binary::FloorDiv, n, d);
        let r = self.exprs.binary(Binary::Mod, n, d);
        self.below.insert(r, by.clone());
        (whole.plus_dynamic(q, 1), Index::zero().plus_dynamic(r, 1))
    }

    /// Largest value of a coordinate whose smallest is not negative, where that is known.
    fn largest(&self, at: &Index) -> Option<Poly> {
        let not_negative = |p: &Poly| p.bounds(&self.flat.symbols).0 >= 0;
        if !not_negative(&at.offset) {
            return None;
        }
        let mut max = at.offset.clone();
        for (v, s) in &at.affine {
            let last = self.extents.get(v)?.clone() - 1.into();
            max = if not_negative(s) { max + last * s.clone() } else { return None };
        }
        for (e, s) in &at.dynamic {
            let last = self.below.get(e)?.clone() - 1.into();
            max = if not_negative(s) { max + last * s.clone() } else { return None };
        }
        Some(max)
    }

    /// A coordinate as an i64 expression.
    pub fn coordinate(&mut self, at: &Index) -> ExprId {
        let mut sum = None;
        let mut terms: Vec<(ExprId, Poly)> = vec![];
        for (v, s) in &at.affine {
            terms.push((self.exprs.var(*v), s.clone()));
        }
        terms.extend(at.dynamic.iter().cloned());
        for (e, s) in terms {
            let term = match s.is_one() {
                true => e,
                false => {
                    let size = self.size(&s);
                    self.exprs.binary(Binary::Mul, e, size)
                }
            };
            sum = Some(match sum {
                None => term,
                Some(sum) => self.exprs.binary(Binary::Add, sum, term),
            });
        }
        match sum {
            None => self.size(&at.offset),
            Some(sum) if at.offset.is_zero() => sum,
            Some(sum) => {
                let offset = self.size(&at.offset);
                self.exprs.binary(Binary::Add, sum, offset)
            }
        }
    }

    /// A polynomial as an i64 expression.
    pub fn size(&mut self, p: &Poly) -> ExprId {
        match p.as_constant() {
            Some(c) => self.exprs.int(DType::I64, c),
            None => self.exprs.push(DType::I64, Expr::Size(p.clone())),
        }
    }

    /// Both conditions.
    pub fn both(&mut self, a: Option<ExprId>, b: ExprId) -> ExprId {
        match a {
            Some(a) if a != b => self.exprs.binary(Binary::And, a, b),
            _ => b,
        }
    }

    fn pad(&mut self, node: &Node, at: &[Index], guard: Option<ExprId>) -> Result<ExprId, Stop> {
        let (x, fill) = (node.operands()[0], node.operands()[1]);
        let shape = self.flat.ty(x).shape.clone();
        let (low, high, interior) = (node.attrs.dims("low"), node.attrs.dims("high"), node.attrs.ints("interior"));
        let mut inside = None;
        let mut inner = vec![];
        for i in 0..shape.len() {
            let shifted = at[i].clone().shifted(Poly::default() - low[i].clone());
            let e = |s: &mut Self| s.coordinate(&shifted);
            if !low[i].is_zero() {
                let (e, zero) = (e(self), self.exprs.int(DType::I64, 0));
                let ok = self.exprs.binary(Binary::Ge, e, zero);
                inside = Some(self.both(inside, ok));
            }
            let step = interior[i] + 1;
            if !high[i].is_zero() {
                let end = (shape[i].clone() - 1.into()) * step.into() + 1.into();
                let (e, end) = (e(self), self.size(&end));
                let ok = self.exprs.binary(Binary::Lt, e, end);
                inside = Some(self.both(inside, ok));
            }
            if step == 1 {
                inner.push(shifted);
                continue;
            }
            let (e, by) = (e(self), self.exprs.int(DType::I64, step));
            let rest = self.exprs.binary(Binary::Mod, e, by);
            let zero = self.exprs.int(DType::I64, 0);
            let hit = self.exprs.binary(Binary::Eq, rest, zero);
            inside = Some(self.both(inside, hit));
            let q = self.exprs.binary(Binary::FloorDiv, e, by);
            inner.push(Index::zero().plus_dynamic(q, 1));
        }
        let Some(inside) = inside else { return self.value(x, &inner, guard) };
        let fill = self.value(fill, &[], guard)?;
        let both = self.both(guard, inside);
        if self.stored.contains(&x) {
            let buffer = self.buffer(x, Access::Read);
            let index = linear(&inner, &shape);
            let dtype = self.flat.ty(x).dtype;
            return Ok(self.exprs.push(dtype, Expr::Load { buffer, index, guard: Some((both, fill)) }));
        }
        let value = self.value(x, &inner, Some(both))?;
        Ok(self.exprs.select(inside, value, fill))
    }

    fn concat(&mut self, node: &Node, at: &[Index], guard: Option<ExprId>) -> Result<ExprId, Stop> {
        let axis = node.attrs.int("axis") as usize;
        let mut starts = vec![Poly::default()];
        for o in node.operands() {
            let end = starts[starts.len() - 1].clone() + self.flat.ty(*o).shape[axis].clone();
            starts.push(end);
        }
        let position = self.coordinate(&at[axis]);
        let mut out = None;
        // From the last part to the first, each in front of what follows it.
        for (i, o) in node.operands().iter().enumerate().rev() {
            if starts[i] == starts[i + 1] {
                continue;
            }
            let (low, high) = (self.size(&starts[i]), self.size(&starts[i + 1]));
            let before_end = self.exprs.binary(Binary::Lt, position, high);
            let after_start = self.exprs.binary(Binary::Ge, position, low);
            let inside = match (i == 0, i + 1 == node.operands().len()) {
                (true, true) => None,
                (true, _) => Some(before_end),
                (_, true) => Some(after_start),
                _ => Some(self.both(Some(after_start), before_end)),
            };
            let reach = match inside {
                Some(inside) => Some(self.both(guard, inside)),
                None => guard,
            };
            let mut inner = at.to_vec();
            inner[axis] = inner[axis].clone().shifted(Poly::default() - starts[i].clone());
            let value = self.value(*o, &inner, reach)?;
            out = Some(match out {
                None => value,
                Some(rest) => self.exprs.select(before_end, value, rest),
            });
        }
        out.map_or_else(|| Ok(scalar::constant(&mut self.exprs, self.flat.ty(node.operands()[0]).dtype, 0.0)), Ok)
    }

    /// An index operand as an i64 expression clamped to `0..n`.
    pub fn clamped(&mut self, index: ExprId, n: &Poly) -> ExprId {
        let i = self.exprs.cast(index, DType::I64, CastMode::Round);
        let (zero, last) = (self.exprs.int(DType::I64, 0), self.size(&(n.clone() - 1.into())));
        let low = self.exprs.binary(Binary::Max, i, zero);
        let both = self.exprs.binary(Binary::Min, low, last);
        self.below.insert(both, n.clone());
        both
    }

    fn gather(&mut self, node: &Node, at: &[Index], guard: Option<ExprId>) -> Result<ExprId, Stop> {
        let (data, indices) = (node.operands()[0], node.operands()[1]);
        let (axis, batch) = (node.attrs.int("axis") as usize, node.attrs.int("batch_dims") as usize);
        let shape = self.flat.ty(data).shape.clone();
        let own = self.flat.ty(indices).rank() - batch;
        let mut position = at[..batch].to_vec();
        position.extend_from_slice(&at[axis..axis + own]);
        let index = self.value(indices, &position, guard)?;
        let index = self.clamped(index, &shape[axis]);
        let mut inner = at[..axis].to_vec();
        inner.push(Index::zero().plus_dynamic(index, 1));
        inner.extend_from_slice(&at[axis + own..]);
        self.value(data, &inner, guard)
    }

    /// Where the box of an update_slice begins along each axis, clamped so that it lies inside.
    pub fn box_start(&mut self, node: &Node) -> Result<At, Stop> {
        let ops = node.operands();
        let (shape, size) = (self.flat.ty(ops[0]).shape.clone(), self.flat.ty(ops[1]).shape.clone());
        let mut out = vec![];
        for (i, start) in node.attrs.dims("start").iter().enumerate() {
            let room = shape[i].clone() - size[i].clone();
            let fits = ops.len() < 3 && start.bounds(&self.flat.symbols).0 >= 0 && self.flat.at_most(start, &room);
            if room.is_zero() || fits {
                out.push(if room.is_zero() { Index::zero() } else { constant(start.clone()) });
                continue;
            }
            let mut begin = self.size(start);
            if let Some(offsets) = ops.get(2) {
                let offset = self.value(*offsets, &[constant(i as i64)], None)?;
                let offset = self.exprs.cast(offset, DType::I64, CastMode::Round);
                begin = self.exprs.binary(Binary::Add, begin, offset);
            }
            let begin = self.clamped(begin, &(room + 1.into()));
            out.push(Index::zero().plus_dynamic(begin, 1));
        }
        Ok(out)
    }

    fn update_slice(&mut self, node: &Node, at: &[Index], guard: Option<ExprId>) -> Result<ExprId, Stop> {
        let ops = node.operands();
        let (shape, size) = (self.flat.ty(ops[0]).shape.clone(), self.flat.ty(ops[1]).shape.clone());
        let mut inside = None;
        let mut inner = vec![];
        for (i, start) in self.box_start(node)?.into_iter().enumerate() {
            let relative = add(&at[i], &scale(&start, &(-1).into()));
            inner.push(relative.clone());
            if shape[i] == size[i] {
                continue;
            }
            let e = self.coordinate(&relative);
            let (zero, end) = (self.exprs.int(DType::I64, 0), self.size(&size[i]));
            let low = self.exprs.binary(Binary::Ge, e, zero);
            let high = self.exprs.binary(Binary::Lt, e, end);
            let low = self.both(inside, low);
            inside = Some(self.both(Some(low), high));
        }
        let Some(inside) = inside else { return self.value(ops[1], &inner, guard) };
        let reach = self.both(guard, inside);
        let new = self.value(ops[1], &inner, Some(reach))?;
        let old = self.value(ops[0], at, guard)?;
        Ok(self.exprs.select(inside, new, old))
    }

    /// Loop variables an expression depends on.
    pub fn vars_of(&self, e: ExprId, out: &mut BTreeSet<LoopVar>) {
        let mut seen = BTreeSet::new();
        let mut stack = vec![e];
        while let Some(e) = stack.pop() {
            if !seen.insert(e) {
                continue;
            }
            match &self.exprs[e].expr {
                Expr::Var(v) => {
                    out.insert(*v);
                }
                Expr::Load { index, .. } => out.extend(index.affine.keys()),
                Expr::Acc { stage, .. } => {
                    if let Some((_, vars)) = self.reductions.get(*stage as usize) {
                        out.extend(vars);
                    }
                }
                _ => {}
            }
            self.exprs.operands(e, |o| stack.push(o));
        }
    }

    /// Loop variables a position depends on.
    pub fn vars_at(&self, at: &[Index]) -> BTreeSet<LoopVar> {
        let mut out = BTreeSet::new();
        for c in at {
            out.extend(c.affine.keys());
            c.dynamic.iter().for_each(|(e, _)| self.vars_of(*e, &mut out));
        }
        out
    }

    /// A reduction becomes a stage of its own; its value is the accumulator.
    fn reduction(&mut self, v: ValueId, at: &[Index]) -> Result<ExprId, Stop> {
        let vars = self.vars_at(at);
        if self.pivot.is_some() || vars.iter().any(|x| self.inner.contains(x)) {
            return Err(Stop::Store(v));
        }
        let flat = self.flat;
        let node = flat.node(v);
        let out = flat.ty(v).dtype;
        let (loops, value, combine, acc) = match node.op.name {
            "core.contract" => {
                let (loops, value) = crate::contraction::as_reduction(self, v, at)?;
                let acc = self.exprs[value].dtype;
                (loops, value, Combine::Sum, acc)
            }
            name => {
                let x = node.operands()[0];
                let shape = flat.ty(x).shape.clone();
                let axes: Vec<usize> = match name {
                    "core.reduce" => node.attrs.ints("axes").iter().map(|a| *a as usize).collect(),
                    _ => vec![node.attrs.int("axis") as usize],
                };
                let (mut loops, mut inner, mut kept) = (vec![], vec![], at.iter());
                for (i, d) in shape.iter().enumerate() {
                    match axes.contains(&i) {
                        false => inner.push(kept.next().expect("one position per kept axis").clone()),
                        true if d.is_one() => inner.push(Index::zero()),
                        true => {
                            let k = self.new_var(d);
                            self.inner.insert(k);
                            loops.push(Loop::new(k, d.clone()));
                            inner.push(var(k));
                        }
                    }
                }
                let value = self.value(x, &inner, None)?;
                let dtype = flat.ty(x).dtype;
                let (combine, acc) = combine_of(node, dtype);
                (loops, self.exprs.cast(value, acc, CastMode::Round), combine, acc)
            }
        };
        let stage = self.stages.len() as u32;
        self.stages.push(Stage::Reduce { loops, accs: vec![Acc { combine, dtype: acc, value }] });
        self.reductions.push((v, vars));
        let held = if matches!(combine, Combine::ArgMin { .. } | Combine::ArgMax { .. }) { DType::I64 } else { acc };
        let e = self.exprs.push(held, Expr::Acc { stage, acc: 0 });
        Ok(self.exprs.cast(e, out, CastMode::Round))
    }
}

fn combine_of(node: &Node, dtype: DType) -> (Combine, DType) {
    let kind = node.attrs.str("kind");
    if node.op.name == "core.arg_reduce" {
        let last = node.attrs.bool("last");
        return match kind {
            "max" => (Combine::ArgMax { last }, dtype.compute()),
            _ => (Combine::ArgMin { last }, dtype.compute()),
        };
    }
    (combine_named(kind), dtype.compute())
}

/// The combination a `kind` attribute names.
pub fn combine_named(kind: &str) -> Combine {
    match kind {
        "sum" => Combine::Sum,
        "prod" => Combine::Prod,
        "max" => Combine::Max,
        "min" => Combine::Min,
        "and" => Combine::And,
        _ => Combine::Or,
    }
}

/// An internal fault at a node.
pub fn internal(node: &Node, message: &str) -> Stop {
    Stop::Fail(located(Diagnostic::error("TC1040", format!("`{}`: {message}", node.op.name)), node))
}

/// Points a diagnostic at the user's own node.
pub fn located(d: Diagnostic, node: &Node) -> Diagnostic {
    match &node.origin {
        Some(o) => d.at_node(&o.file, &o.node, &o.op, ""),
        None => d.at_name(node.op.name, ""),
    }
}
