//! The state of one import: the function under construction, names in scope, symbols, and what lowering code needs most.
//!
//! The central type is [`Ctx`]. Import functions build core ops through its [`Builder`] and ask it for values that have
//! to be known at import.

use super::call::{Call, Res, misfit, variant};
use super::eval::{Data, Evaluator, Known, Memo};
use super::proto::FunctionProto;
use super::tensor::External;
use crate::ImportOptions;
use std::collections::BTreeMap;
use std::rc::Rc;
use tricot_dialects::{Attr, Attrs, Builder, Constant, TensorType, ValueId};
use tricot_types::{DType, Diagnostic, Poly, SymbolTable};

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Slot {
    Value(ValueId),
    /// The result of a node that was refused; its users are passed over in silence.
    Poison,
}

/// Code of a refusal whose cause has been reported already; it never reaches the user.
pub const REPORTED: &str = "";

/// Largest number of elements a tensor may have at import, symbols left out.
pub const MAX_ELEMENTS: i64 = 1 << 46;

/// One import. See the module page.
pub struct Ctx<'m> {
    pub b: Builder<'m>,
    pub symbols: &'m mut SymbolTable,
    pub options: &'m ImportOptions,
    /// Innermost scope last.
    pub scopes: Vec<BTreeMap<String, Slot>>,
    /// Opset version by domain.
    pub opsets: BTreeMap<String, i64>,
    /// Functions of the model by (domain, name, overload).
    pub functions: BTreeMap<(String, String, String), &'m FunctionProto>,
    pub external: External,
    pub file: String,
    pub problems: Vec<Diagnostic>,
    /// Nodes that may still be lowered: bounds what loops and nested functions unroll to.
    pub budget: usize,
    /// Depth of function calls and nested graphs.
    pub depth: usize,
    memo: Memo,
}

impl<'m> Ctx<'m> {
    /// An import that has seen nothing yet.
    pub fn new(b: Builder<'m>, symbols: &'m mut SymbolTable, options: &'m ImportOptions, file: &str) -> Ctx<'m> {
        Ctx {
            b,
            symbols,
            options,
            scopes: vec![BTreeMap::new()],
            opsets: BTreeMap::new(),
            functions: BTreeMap::new(),
            external: External::default(),
            file: file.into(),
            problems: vec![],
            budget: options.max_nodes,
            depth: 0,
            memo: Memo::new(),
        }
    }

    /// Type of a value.
    pub fn ty(&self, v: ValueId) -> TensorType {
        self.b.ty(v).clone()
    }

    /// Element type of a value.
    pub fn dtype(&self, v: ValueId) -> DType {
        self.b.ty(v).dtype
    }

    /// Rank of a value.
    pub fn rank(&self, v: ValueId) -> usize {
        self.b.ty(v).rank()
    }

    /// Shape of a value.
    pub fn shape(&self, v: ValueId) -> Vec<Poly> {
        self.b.ty(v).shape.clone()
    }

    /// Shape of a value whose sizes must all be numbers.
    pub fn static_shape(&self, v: ValueId, what: &str) -> Res<Vec<i64>> {
        self.b.ty(v).static_shape().ok_or_else(|| {
            let ty = self.b.ty(v);
            Diagnostic::error("TC0209", format!("{what} must have a static shape, it is {ty}"))
                .with_help("give the symbols values with --set")
        })
    }

    /// The value, if it does not depend on run-time data.
    pub fn known(&mut self, v: ValueId) -> Option<Rc<Known>> {
        let view = Evaluator {
            function: self.b.function,
            constants: self.b.constants,
            symbols: self.symbols,
            memo: &mut self.memo,
        };
        { view }.known(v)
    }

    /// Model inputs a value depends on, for messages and for callers that can fix them.
    fn blame(&self, v: ValueId) -> Vec<String> {
        let (mut seen, mut stack, mut out) = (std::collections::BTreeSet::new(), vec![v.node], vec![]);
        while let Some(id) = stack.pop() {
            if !seen.insert(id) {
                continue;
            }
            let node = self.b.function.node(id);
            if node.op.name == "core.argument" {
                out.extend(node.names.first().cloned());
            }
            stack.extend(node.operands().iter().map(|o| o.node));
        }
        out.sort();
        out
    }

    fn unknown(&self, v: ValueId, what: &str) -> Diagnostic {
        let mut d = Diagnostic::error("TC0209", format!("{what} must be known when the model is imported"));
        for input in self.blame(v) {
            d = d.at_name(input, "it depends on this input");
        }
        d.with_help("make it a constant of the model, or fix the input's value at import")
    }

    /// Integers known at import, sizes included.
    pub fn polys(&mut self, v: ValueId, what: &str) -> Res<Vec<Poly>> {
        match self.known(v).as_deref() {
            Some(Known { data: Data::Ints(p), .. }) => Ok(p.clone()),
            Some(_) => Err(misfit(format!("{what} must be integers"))),
            None => Err(self.unknown(v, what)),
        }
    }

    /// One integer known at import, a size included.
    pub fn poly(&mut self, v: ValueId, what: &str) -> Res<Poly> {
        match self.polys(v, what)?.as_slice() {
            [one] => Ok(one.clone()),
            many => Err(misfit(format!("{what} must be one number, not {}", many.len()))),
        }
    }

    /// Numbers known at import.
    pub fn ints(&mut self, v: ValueId, what: &str) -> Res<Vec<i64>> {
        let polys = self.polys(v, what)?;
        let number = |p: &Poly| {
            p.as_constant().ok_or_else(|| {
                Diagnostic::error("TC0209", format!("{what} is {p}, which is known only at run time"))
                    .with_help("give the symbols values with --set")
            })
        };
        polys.iter().map(number).collect()
    }

    /// One number known at import.
    pub fn int(&mut self, v: ValueId, what: &str) -> Res<i64> {
        match self.ints(v, what)?.as_slice() {
            [one] => Ok(*one),
            many => Err(misfit(format!("{what} must be one number, not {}", many.len()))),
        }
    }

    /// Numbers known at import, as floats.
    pub fn floats(&mut self, v: ValueId, what: &str) -> Res<Vec<f64>> {
        match self.known(v).as_deref() {
            Some(Known { data: Data::Floats(f), .. }) => Ok(f.clone()),
            Some(_) => Ok(self.ints(v, what)?.into_iter().map(|i| i as f64).collect()),
            None => Err(self.unknown(v, what)),
        }
    }

    /// One number known at import, as a float.
    pub fn float(&mut self, v: ValueId, what: &str) -> Res<f64> {
        match self.floats(v, what)?.as_slice() {
            [one] => Ok(*one),
            many => Err(misfit(format!("{what} must be one number, not {}", many.len()))),
        }
    }

    /// Axes from input `i`, or attribute `axes` of older opsets; normalised.
    pub fn axes(&mut self, call: &Call, i: usize, rank: usize) -> Res<Option<Vec<i64>>> {
        let axes = match call.maybe(i) {
            Some(v) => Some(self.ints(v, "axes")?),
            None => call.ints("axes")?,
        };
        axes.map(|a| super::call::normal_axes(&a, rank)).transpose()
    }

    /// Refuses shapes that no memory holds, before arithmetic on them can overflow.
    pub fn check_shape(&self, shape: &[Poly]) -> Res<()> {
        let mut count = 1i64;
        for d in shape {
            let size = d.as_constant().unwrap_or(1);
            let next = count.checked_mul(size.max(1)).filter(|c| *c <= MAX_ELEMENTS);
            count = match next {
                Some(c) if size >= 0 && d.weight() < 1024 => c,
                _ => {
                    let text: Vec<String> = shape.iter().map(ToString::to_string).collect();
                    return Err(misfit(format!("the shape [{}] is negative or too large", text.join(", "))));
                }
            };
        }
        Ok(())
    }

    /// Reshape with a checked target.
    pub fn reshape(&mut self, v: ValueId, shape: &[Poly]) -> Res<ValueId> {
        self.check_shape(shape)?;
        self.b.reshape(v, shape)
    }

    /// A constant i64 vector.
    pub fn vector(&mut self, values: &[i64]) -> Res<ValueId> {
        self.b.constant(Constant::from_i64(DType::I64, vec![values.len() as u64], values))
    }

    /// A constant of `dtype` with static shape.
    pub fn table(&mut self, dtype: DType, shape: &[usize], values: &[f64]) -> Res<ValueId> {
        self.b.constant(Constant::from_f64(dtype, shape.iter().map(|d| *d as u64).collect(), values))
    }

    /// An i64 scalar that holds a size.
    pub fn size(&mut self, p: &Poly) -> Res<ValueId> {
        match p.as_constant() {
            Some(c) => self.b.scalar_int(DType::I64, c),
            None => self.b.size(p),
        }
    }

    /// An i64 vector of sizes.
    pub fn size_vector(&mut self, dims: &[Poly]) -> Res<ValueId> {
        if let Some(values) = dims.iter().map(Poly::as_constant).collect::<Option<Vec<_>>>() {
            return self.vector(&values);
        }
        let mut parts = vec![];
        for d in dims {
            let scalar = self.size(d)?;
            parts.push(self.b.reshape(scalar, &[Poly::constant(1)])?);
        }
        self.b.concat(&parts, 0)
    }

    /// A value filled with `value`, of the type of `v`.
    pub fn fill_like(&mut self, v: ValueId, value: f64) -> Res<ValueId> {
        let ty = self.ty(v);
        self.b.full(ty.dtype, value, &ty.shape)
    }

    /// An elementwise function after broadcasting.
    pub fn map(&mut self, function: &str, operands: &[ValueId]) -> Res<ValueId> {
        self.b.map_broadcast(function, operands)
    }

    /// `function(v, value)` with a scalar; integers exactly.
    pub fn with(&mut self, function: &str, v: ValueId, value: f64) -> Res<ValueId> {
        self.b.map_scalar(function, v, value)
    }

    /// The value in the type its arithmetic is carried out in: narrow floats in f32.
    pub fn up(&mut self, v: ValueId) -> Res<ValueId> {
        match self.dtype(v) {
            d if d.is_float() => self.b.cast(v, d.compute()),
            _ => Ok(v),
        }
    }

    /// Transposes so that `axis` comes last; the permutation that undoes it comes along.
    pub fn to_last(&mut self, v: ValueId, axis: i64) -> Res<(ValueId, Vec<i64>)> {
        let rank = self.rank(v) as i64;
        let perm: Vec<i64> = (0..rank).filter(|a| *a != axis).chain([axis]).collect();
        let mut back = vec![0; rank as usize];
        perm.iter().enumerate().for_each(|(i, p)| back[*p as usize] = i as i64);
        Ok((self.b.transpose(v, &perm)?, back))
    }

    /// One slice of `size` elements from `start` along `axis`.
    pub fn slice_axis(&mut self, v: ValueId, axis: usize, start: Poly, size: Poly) -> Res<ValueId> {
        let shape = self.shape(v);
        let mut starts = vec![Poly::default(); shape.len()];
        let mut sizes = shape.clone();
        (starts[axis], sizes[axis]) = (start, size);
        if sizes == shape {
            return Ok(v);
        }
        self.b.slice(v, &starts, &sizes, &vec![1; shape.len()])
    }

    /// Element `i` of `axis`, the axis removed.
    pub fn pick(&mut self, v: ValueId, axis: usize, i: i64) -> Res<ValueId> {
        let part = self.slice_axis(v, axis, Poly::constant(i), Poly::constant(1))?;
        let mut shape = self.shape(part);
        shape.remove(axis);
        self.b.reshape(part, &shape)
    }

    /// `core.gather` along an axis; positions must be in range.
    pub fn gather(&mut self, data: ValueId, indices: ValueId, axis: i64) -> Res<ValueId> {
        self.b.one("core.gather", &[data, indices], Attrs::new().with("axis", axis))
    }

    /// Positions with negative ones counted from the end of an axis of `size` elements.
    pub fn wrap_indices(&mut self, indices: ValueId, size: &Poly) -> Res<ValueId> {
        let indices = match self.dtype(indices) {
            DType::I64 => indices,
            _ => self.b.cast(indices, DType::I64)?,
        };
        if let Some(Known { data: Data::Ints(v), .. }) = self.known(indices).as_deref()
            && v.iter().all(|p| p.bounds(self.symbols).0 >= 0)
        {
            return Ok(indices);
        }
        let n = self.size(size)?;
        let shifted = self.map("add", &[indices, n])?;
        let negative = self.with("lt", indices, 0.0)?;
        self.b.select(negative, shifted, indices)
    }

    /// Reshape to one axis.
    pub fn flatten(&mut self, v: ValueId) -> Res<ValueId> {
        let count = self.b.ty(v).elements();
        self.b.reshape(v, &[count])
    }

    /// Whether `a >= b` for every legal binding. Where only one symbol decides, its promise is narrowed so that it holds.
    pub fn assume_at_least(&mut self, a: &Poly, b: &Poly) -> bool {
        let negated = b.checked_neg().and_then(|n| a.checked_add(&n));
        let Some(difference) = negated else { return false };
        let (lo, hi) = difference.bounds(self.symbols);
        if lo >= 0 {
            return true;
        }
        if hi < 0 {
            return false;
        }
        // c * s + k >= 0 with a single symbol.
        let terms: Vec<_> = difference.terms().collect();
        let mut offset = 0i64;
        let mut linear = None;
        for (monomial, c) in terms {
            match monomial {
                [] => offset = c,
                [(tricot_types::Atom::Symbol(s), 1)] if linear.is_none() => linear = Some((s.clone(), c)),
                _ => return false,
            }
        }
        let Some((symbol, c)) = linear else { return false };
        let Some(info) = self.symbols.get_mut(&symbol) else { return false };
        if c > 0 {
            info.min = info.min.max((-offset).div_euclid(c) + i64::from((-offset).rem_euclid(c) != 0));
        } else {
            info.max = info.max.min(offset.div_euclid(-c));
        }
        info.hint = info.hint.clamp(info.min, info.max);
        info.min <= info.max
    }

    /// Smaller of two sizes, if it can be told or promised.
    pub fn min_size(&mut self, a: &Poly, b: &Poly) -> Res<Poly> {
        if a == b || b.bounds(self.symbols).0 >= a.bounds(self.symbols).1 {
            return Ok(a.clone());
        }
        if self.assume_at_least(b, a) {
            return Ok(a.clone());
        }
        match self.assume_at_least(a, b) {
            true => Ok(b.clone()),
            false => Err(variant(format!("which of {a} and {b} is smaller is known only at run time"))
                .with_help("give the symbols values with --set")),
        }
    }

    /// Attributes of an op with a function name.
    pub fn op1(&mut self, name: &str, operands: &[ValueId], attrs: &[(&'static str, Attr)]) -> Res<ValueId> {
        let mut all = Attrs::new();
        attrs.iter().for_each(|(k, v)| all.set(k, v.clone()));
        self.b.one(name, operands, all)
    }
}
