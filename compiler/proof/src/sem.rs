//! Meaning in index form: what one element of a term is, as a sum of products of elements of other terms ([`Prod`]).
//!
//! [`Sem::element`] walks through data movement, products, Einstein sums, softmax in its spellings and the attention ops, and stops
//! at everything else. Two terms with the same normal form are equal in exact arithmetic; [`crate::same`] decides that. The axioms
//! used, beyond the ops' own definitions, are: products and sums of reals commute, associate and distribute; `exp(x) / sum exp(x)`
//! is the softmax of `x`, and adding to `x` what is constant along the reduced axes changes nothing; a logit that is -inf, or below
//! [`NEVER`] in a row that keeps an entry, has weight 0; softmax and attention of a narrow type are computed in its wide type and
//! rounded by one cast, as their definitions say.

use crate::lin::{Atom, Atoms, Lin};
pub use crate::prod::{Body, Factor, Prod, Soft};
use crate::prod::{has_weight, leaf_terms, multiply, summed};
use crate::region::Formula;
use crate::term::{Bank, Head, TermId};
use std::collections::{BTreeMap, BTreeSet};
use tricot_dialects::core::Einsum;
use tricot_dialects::{Attr, Attrs};
use tricot_types::Poly;

/// Logits at most this weigh nothing beside any kept one: `exp` of the difference is 0 in every float type.
pub const NEVER: f64 = -3.0e4;

/// How far to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// Data movement only.
    Views,
    /// And products and sums.
    Products,
    /// And softmax, whose logits are not looked into.
    Weights,
    /// And logits with their masks, and attention.
    Full,
}

/// The evaluator; holds the atoms of the forms it made.
pub struct Sem<'b> {
    pub bank: &'b mut Bank,
    pub atoms: Atoms,
    pub depth: Depth,
    soft: BTreeMap<TermId, bool>,
    pub(crate) fits: BTreeMap<(TermId, u64), Option<Formula>>,
}

/// Depth of nesting beyond which a term is taken as opaque.
const NESTING: usize = 200;

impl<'b> Sem<'b> {
    /// An evaluator over a bank.
    pub fn new(bank: &'b mut Bank, depth: Depth) -> Sem<'b> {
        let atoms = Atoms::new(&bank.symbols);
        Sem { bank, atoms, depth, soft: BTreeMap::new(), fits: BTreeMap::new() }
    }

    /// A free index into every axis of a term.
    pub fn free_index(&mut self, term: TermId) -> Vec<Lin> {
        let shape = self.bank.ty(term).shape.clone();
        shape.iter().map(|d| self.atoms.index(d)).collect()
    }

    /// The element of `term` at `index`, resolved.
    pub fn element(&mut self, term: TermId, index: &[Lin]) -> Prod {
        let mut out = self.walk(term, index, true, 0);
        self.settle(&mut out);
        out
    }

    fn sees_softmax(&self) -> bool {
        matches!(self.depth, Depth::Weights | Depth::Full)
    }

    fn opaque(&self, term: TermId, index: &[Lin]) -> Prod {
        Prod { coefficient: 1.0, sums: vec![], factors: vec![Factor::Element { term, index: index.to_vec() }] }
    }

    fn walk(&mut self, term: TermId, index: &[Lin], root: bool, nesting: usize) -> Prod {
        match self.try_walk(term, index, root, nesting) {
            Some(p) if nesting < NESTING => p,
            _ => self.opaque(term, index),
        }
    }

    /// Where data movement takes an element from: one step.
    pub fn view_step(&mut self, term: TermId, index: &[Lin]) -> Option<(TermId, Vec<Lin>)> {
        let def = self.bank.def(term)?;
        let operands = self.bank.operands(term).to_vec();
        match def.name {
            "core.transpose" => {
                let attrs = self.bank.attrs(term);
                let mut out = vec![Lin::default(); index.len()];
                for (l, p) in index.iter().zip(attrs.ints("perm")) {
                    out[*p as usize] = l.clone();
                }
                Some((operands[0], out))
            }
            "core.broadcast" => {
                let attrs = self.bank.attrs(term);
                let shape = self.bank.ty(operands[0]).shape.clone();
                let pick = |(a, d): (&i64, &Poly)| if d.is_one() { Lin::default() } else { index[*a as usize].clone() };
                Some((operands[0], attrs.ints("axes").iter().zip(&shape).map(pick).collect()))
            }
            "core.reshape" => {
                let (from, to) = (self.bank.ty(operands[0]).shape.clone(), self.bank.ty(term).shape.clone());
                let out = self.reindex(index, &to, &from)?;
                Some((operands[0], out))
            }
            "core.gather" => {
                let (data, indices) = (operands[0], operands[1]);
                let attrs = self.bank.attrs(term);
                let axis = attrs.int("axis") as usize;
                if attrs.int("batch_dims") != 0 || self.bank.ty(indices).rank() != 1 {
                    return None;
                }
                let table = self.bank.constant(indices)?.to_i64();
                let mut out = index.to_vec();
                out[axis] = self.look_up(&table, self.bank.ty(data).shape[axis].clone(), &index[axis])?;
                Some((data, out))
            }
            "core.concat" => self.concat_step(term, &operands, index),
            _ => None,
        }
    }

    /// `concat` of slices of size 1 of one tensor, or of one tensor of size 1 again and again, reads a table of positions.
    fn concat_step(&mut self, term: TermId, operands: &[TermId], index: &[Lin]) -> Option<(TermId, Vec<Lin>)> {
        let Some(Attr::Int(axis)) = self.bank.attr(term, "axis") else { return None };
        let axis = *axis as usize;
        let mut source = None;
        let mut table = vec![];
        for o in operands {
            if !self.bank.ty(*o).shape[axis].is_one() {
                return None;
            }
            let (from, at) = match self.bank.is(*o, "core.slice") {
                true => {
                    let from = self.bank.operands(*o)[0];
                    let attrs = self.bank.attrs(*o);
                    let whole = self.bank.ty(from).shape.clone();
                    let rest = (0..whole.len()).filter(|a| *a != axis);
                    for a in rest {
                        if attrs.dims("size")[a] != whole[a]
                            || !attrs.dims("start")[a].is_zero()
                            || attrs.ints("step")[a] != 1
                        {
                            return None;
                        }
                    }
                    (from, attrs.dims("start")[axis].as_constant()?)
                }
                false => (*o, 0),
            };
            if *source.get_or_insert(from) != from {
                return None;
            }
            table.push(at);
        }
        let source = source?;
        let mut out = index.to_vec();
        out[axis] = self.look_up(&table, self.bank.ty(source).shape[axis].clone(), &index[axis])?;
        Some((source, out))
    }

    /// `table[at]` as a form: constant, affine, or `at div r`.
    fn look_up(&mut self, table: &[i64], size: Poly, at: &Lin) -> Option<Lin> {
        let size = size.as_constant()?;
        if table.is_empty() || table.iter().any(|v| !(0..size).contains(v)) {
            return None;
        }
        if table.iter().all(|v| *v == table[0]) {
            return Some(Lin::constant(Poly::constant(table[0])));
        }
        let step = table[1] - table[0];
        if table.iter().enumerate().all(|(i, v)| *v == table[0] + step * i as i64) {
            return at.scale(&Poly::constant(step))?.add(&Lin::constant(Poly::constant(table[0])));
        }
        let run = table.iter().take_while(|v| **v == table[0]).count() as i64;
        if table.len() as i64 % run == 0 && table.iter().enumerate().all(|(i, v)| *v == i as i64 / run) {
            return Some(self.atoms.divide(at, &Poly::constant(run))?.0);
        }
        None
    }

    /// An index of shape `to` as the index of the same element in shape `from`.
    fn reindex(&mut self, index: &[Lin], to: &[Poly], from: &[Poly]) -> Option<Vec<Lin>> {
        let mut flat = Lin::default();
        for (l, d) in index.iter().zip(to) {
            flat = flat.scale(d)?.add(l)?;
        }
        let mut strides = vec![Poly::constant(1); from.len()];
        for i in (1..from.len()).rev() {
            strides[i - 1] = strides[i].checked_mul(&from[i])?;
        }
        let mut out = vec![];
        for (d, stride) in from.iter().zip(&strides) {
            if d.is_one() {
                out.push(Lin::default());
                continue;
            }
            let (q, r) = self.atoms.divide(&flat, stride)?;
            out.push(q);
            flat = r;
        }
        let rest = self.atoms.resolve(&flat);
        (rest == Lin::default()).then_some(out)
    }

    fn try_walk(&mut self, term: TermId, index: &[Lin], root: bool, nesting: usize) -> Option<Prod> {
        if nesting >= NESTING {
            return None;
        }
        if let Some((inner, at)) = self.view_step(term, index) {
            return Some(self.walk(inner, &at, root, nesting + 1));
        }
        if self.depth == Depth::Views {
            return None;
        }
        let operands = self.bank.operands(term).to_vec();
        if let Head::Get(0) = self.bank.term(term).head {
            return match self.bank.name(operands[0]) {
                "sparse24.matmul" => None,
                "nn.attention" if self.depth == Depth::Full => self.dot_attention(operands[0], index),
                "trilinear.attention" if self.depth == Depth::Full => self.trilinear(operands[0], index),
                _ => None,
            };
        }
        match self.bank.name(term) {
            "core.map" => {
                let Some(Attr::Str(f)) = self.bank.attr(term, "fn").cloned() else { return None };
                if !self.bank.ty(term).dtype.is_float() {
                    return None;
                }
                match f.as_str() {
                    "neg" => {
                        let mut p = self.walk(operands[0], index, root, nesting + 1);
                        p.coefficient = -p.coefficient;
                        Some(p)
                    }
                    "mul" => {
                        for (x, c) in [(operands[0], operands[1]), (operands[1], operands[0])] {
                            if let Some(c) = self.splat(c) {
                                let mut p = self.walk(x, index, root, nesting + 1);
                                p.coefficient *= c;
                                return Some(p);
                            }
                        }
                        for (x, r) in [(operands[0], operands[1]), (operands[1], operands[0])] {
                            if self.bank.is_map(r, "recip")
                                && let Some(p) = self.spelled_softmax(x, self.bank.operands(r)[0], index, nesting)
                            {
                                return Some(p);
                            }
                        }
                        let a = self.walk(operands[0], index, false, nesting + 1);
                        let b = self.walk(operands[1], index, false, nesting + 1);
                        Some(multiply(vec![a, b]))
                    }
                    "div" => match self.splat(operands[1]) {
                        Some(c) if c != 0.0 => {
                            let mut p = self.walk(operands[0], index, root, nesting + 1);
                            p.coefficient /= c;
                            Some(p)
                        }
                        _ => self.spelled_softmax(operands[0], operands[1], index, nesting),
                    },
                    _ => None,
                }
            }
            "core.contract" => {
                let attrs = self.bank.attrs(term);
                let dtype = self.bank.ty(operands[0]).dtype;
                if !dtype.is_float() || (!root && attrs.dtype("dtype") != dtype) {
                    return None;
                }
                let spec = Einsum::parse(attrs.str("spec")).ok()?;
                if !root && !spec.summed().is_empty() && !self.has_soft(term) {
                    return None;
                }
                let shapes: Vec<Vec<Poly>> = operands.iter().map(|o| self.bank.ty(*o).shape.clone()).collect();
                let sizes = spec.sizes(shapes.iter().map(Vec::as_slice)).ok()?;
                let mut letters: BTreeMap<char, Lin> = spec.result.iter().copied().zip(index.iter().cloned()).collect();
                let mut sums = vec![];
                for c in spec.summed() {
                    let l = self.atoms.index(&sizes[&c]);
                    sums.extend(l.single());
                    letters.insert(c, l);
                }
                let mut parts = vec![];
                for (o, names) in operands.iter().zip(&spec.operands) {
                    let at: Vec<Lin> = names.iter().map(|c| letters[c].clone()).collect();
                    parts.push(self.walk(*o, &at, false, nesting + 1));
                }
                let mut out = multiply(parts);
                out.sums.extend(sums);
                Some(out)
            }
            "core.reduce" => {
                let attrs = self.bank.attrs(term);
                if attrs.str("kind") != "sum" || !self.bank.ty(term).dtype.is_float() || (!root && !self.has_soft(term))
                {
                    return None;
                }
                let (at, bound) = self.reduced_index(operands[0], attrs.ints("axes"), index);
                let mut out = self.walk(operands[0], &at, false, nesting + 1);
                out.sums.extend(bound.iter().filter_map(Lin::single));
                Some(out)
            }
            "core.cast" if self.depth == Depth::Full => {
                let (from, to) = (self.bank.ty(operands[0]).dtype, self.bank.ty(term).dtype);
                if !matches!(self.bank.attr(term, "mode"), Some(Attr::Str(m)) if m == "round") || !to.is_float() {
                    return None;
                }
                if crate::dtypes::widens(from, to) && from.is_float() {
                    return Some(self.walk(operands[0], index, root, nesting + 1));
                }
                // Attention and softmax of a narrow type hold everything in its wide one and round once: that is this cast.
                if to.compute() != from || !self.has_soft(operands[0]) {
                    return None;
                }
                let p = self.walk(operands[0], index, root, nesting + 1);
                let mut leaves = vec![];
                leaf_terms(&p, &mut leaves);
                let narrow = has_weight(&p) && leaves.iter().all(|t| self.bank.ty(*t).dtype == to);
                narrow.then_some(p)
            }
            "nn.softmax" if self.sees_softmax() => {
                let Some(Attr::Int(axis)) = self.bank.attr(term, "axis") else { return None };
                let axis = *axis as usize;
                let bound = self.atoms.index(&self.bank.ty(term).shape[axis].clone());
                let mut inner = index.to_vec();
                inner[axis] = bound.clone();
                let body = self.body(operands[0], &inner, nesting + 1)?;
                Some(self.weight(vec![(bound, index[axis].clone())], body))
            }
            "sparse24.matmul" => self.sparse_product(term, index, nesting),
            _ => None,
        }
    }

    /// `index` with a new atom at each reduced axis of the operand.
    fn reduced_index(&mut self, operand: TermId, axes: &[i64], index: &[Lin]) -> (Vec<Lin>, Vec<Lin>) {
        let shape = self.bank.ty(operand).shape.clone();
        let (mut at, mut bound) = (vec![], vec![]);
        let mut kept = index.iter();
        for (a, d) in shape.iter().enumerate() {
            if axes.contains(&(a as i64)) {
                let l = self.atoms.index(d);
                bound.push(l.clone());
                at.push(l);
            } else {
                at.push(kept.next().cloned().unwrap_or_default());
            }
        }
        (at, bound)
    }

    fn weight(&self, bound: Vec<(Lin, Lin)>, body: Body) -> Prod {
        Prod { coefficient: 1.0, sums: vec![], factors: vec![Factor::Soft(Box::new(Soft { bound, body }))] }
    }

    /// The value all elements share: a constant under data movement.
    pub fn splat(&self, term: TermId) -> Option<f64> {
        let mut at = term;
        while matches!(self.bank.name(at), "core.broadcast" | "core.reshape" | "core.transpose") {
            at = self.bank.operands(at)[0];
        }
        let c = self.bank.constant(at)?;
        match c.elements() {
            1 => Some(c.to_f64()[0]),
            _ => Some(c.splat()?.to_f64()[0]),
        }
    }

    /// Whether a softmax lies under products and data movement.
    fn has_soft(&mut self, term: TermId) -> bool {
        if !self.sees_softmax() {
            return false;
        }
        if let Some(known) = self.soft.get(&term) {
            return *known;
        }
        let walkable = matches!(
            self.bank.name(term),
            "core.transpose"
                | "core.broadcast"
                | "core.reshape"
                | "core.contract"
                | "core.reduce"
                | "core.map"
                | "core.cast"
        );
        let operands = self.bank.operands(term).to_vec();
        let here = match self.bank.name(term) {
            "nn.softmax" => true,
            "core.map" if self.bank.is_map(term, "div") => self.under_views(operands[0]).is_some(),
            "core.map" if self.bank.is_map(term, "mul") => {
                let recip = |t: &TermId| self.bank.is_map(*t, "recip");
                operands.iter().any(recip) && operands.iter().any(|t| self.under_views(*t).is_some())
            }
            _ => false,
        };
        let walkable =
            walkable && !matches!(self.bank.attr(term, "fn"), Some(Attr::Str(f)) if f != "mul" && f != "div");
        let result = here || (walkable && operands.into_iter().any(|o| self.has_soft(o)));
        self.soft.insert(term, result);
        result
    }

    /// The `exp` under data movement.
    fn under_views(&self, term: TermId) -> Option<TermId> {
        let mut at = term;
        while matches!(self.bank.name(at), "core.broadcast" | "core.reshape" | "core.transpose") {
            at = self.bank.operands(at)[0];
        }
        self.bank.is_map(at, "exp").then_some(at)
    }

    /// `a / b` where `a` is a view of `exp(y)` and `b` the sum of the same over some axes.
    fn spelled_softmax(&mut self, a: TermId, b: TermId, index: &[Lin], nesting: usize) -> Option<Prod> {
        if !self.sees_softmax() {
            return None;
        }
        let (mut top, mut at) = (a, index.to_vec());
        while let Some((inner, inner_at)) = self.view_step(top, &at) {
            (top, at) = (inner, inner_at);
        }
        if !self.bank.is_map(top, "exp") {
            return None;
        }
        let below = self.walk(b, index, true, nesting + 1);
        let [Factor::Element { term, index: other }] = below.factors.as_slice() else { return None };
        if *term != top || below.coefficient != 1.0 || below.sums.is_empty() {
            return None;
        }
        let sums: BTreeSet<Atom> = below.sums.iter().flat_map(|s| self.atoms.parts(*s)).collect();
        let mut bound = vec![];
        let mut used = BTreeSet::new();
        for (x, y) in at.iter().zip(other) {
            let (x, y) = (self.atoms.resolve(x), self.atoms.resolve(y));
            if x == y {
                continue;
            }
            if !y.constant.is_zero() || y.terms.keys().any(|k| !sums.contains(k) || !used.insert(*k)) {
                return None;
            }
            bound.push((y, x));
        }
        if used != sums {
            return None;
        }
        // The reduced index must sweep whole axes.
        for (y, _) in &bound {
            let position = other.iter().position(|l| self.atoms.resolve(l) == *y)?;
            let whole = self.bank.ty(top).shape[position].clone();
            let parts = y.components()?;
            let mut stride = Poly::constant(1);
            for (atom, c) in parts.iter().rev() {
                if *c != stride {
                    return None;
                }
                stride = stride.checked_mul(self.atoms.size(*atom))?;
            }
            if stride != whole {
                return None;
            }
        }
        let inner: Vec<Lin> = other.iter().map(|l| self.atoms.resolve(l)).collect();
        let reduced: Vec<usize> = (0..inner.len()).filter(|p| bound.iter().any(|(y, _)| *y == inner[*p])).collect();
        let mut logits = self.bank.operands(top)[0];
        if self.bank.is_map(logits, "sub") {
            let [x, m] = self.bank.operands(logits)[..] else { return None };
            if self.is_row_maximum(m, x, &reduced) {
                logits = x;
            }
        }
        let body = self.body(logits, &inner, nesting + 1)?;
        Some(self.weight(bound, body))
    }

    /// Whether `m` is the maximum of `x` over at least the reduced positions, broadcast back.
    fn is_row_maximum(&mut self, m: TermId, x: TermId, reduced: &[usize]) -> bool {
        let index = self.free_index(x);
        let (mut top, mut at) = (m, index.clone());
        while let Some((inner, inner_at)) = self.view_step(top, &at) {
            (top, at) = (inner, inner_at);
        }
        if !self.bank.is(top, "core.reduce") {
            return false;
        }
        let attrs = self.bank.attrs(top);
        let of = self.bank.operands(top)[0];
        if attrs.str("kind") != "max" || of != x {
            return false;
        }
        let axes: BTreeSet<usize> = attrs.ints("axes").iter().map(|a| *a as usize).collect();
        let kept: Vec<Lin> = (0..index.len()).filter(|p| !axes.contains(p)).map(|p| index[p].clone()).collect();
        let same =
            kept.len() == at.len() && kept.iter().zip(&at).all(|(a, b)| self.atoms.resolve(a) == self.atoms.resolve(b));
        let shape = self.bank.ty(x).shape.clone();
        same && reduced.iter().all(|p| axes.contains(p) || shape[*p].is_one())
    }

    /// Logits at an index: masks, biases and products.
    fn body(&mut self, term: TermId, index: &[Lin], nesting: usize) -> Option<Body> {
        if nesting >= NESTING {
            return None;
        }
        if let Some((inner, at)) = self.view_step(term, index) {
            return self.body(inner, &at, nesting + 1);
        }
        if self.depth == Depth::Weights {
            let whole = self.opaque(term, index);
            return Some(Body { terms: vec![whole], mask: Formula::True, fill: f64::NEG_INFINITY });
        }
        let operands = self.bank.operands(term).to_vec();
        let masked = |body: Body, keep: Formula, fill: f64| Body {
            mask: body.mask.and(keep),
            fill: body.fill.max(fill),
            ..body
        };
        if self.bank.is(term, "core.select") {
            for (value, fill, flip) in [(operands[1], operands[2], false), (operands[2], operands[1], true)] {
                if let Some(f) = self.splat(fill).filter(|f| *f <= NEVER) {
                    // A mask that says nothing about positions makes the logits opaque.
                    let Some(keep) = self.holds(operands[0], index) else { continue };
                    let body = self.body(value, index, nesting + 1)?;
                    return Some(masked(body, if flip { keep.not() } else { keep }, f));
                }
            }
        }
        if self.bank.is(term, "core.cast") {
            // A widening cast keeps every value.
            let (from, to) = (self.bank.ty(operands[0]).dtype, self.bank.ty(term).dtype);
            if crate::dtypes::widens(from, to) {
                return self.body(operands[0], index, nesting + 1);
            }
        }
        if self.bank.is(term, "core.map") {
            let f = match self.bank.attr(term, "fn") {
                Some(Attr::Str(f)) => f.clone(),
                _ => String::new(),
            };
            match f.as_str() {
                "add" => {
                    for (x, y) in [(operands[0], operands[1]), (operands[1], operands[0])] {
                        if let Some((keep, fill)) = self.additive(y, index, 1.0) {
                            let body = self.body(x, index, nesting + 1)?;
                            return Some(masked(body, keep, fill));
                        }
                    }
                    let a = self.body(operands[0], index, nesting + 1)?;
                    let b = self.body(operands[1], index, nesting + 1)?;
                    return Some(Body {
                        terms: [a.terms, b.terms].concat(),
                        mask: a.mask.and(b.mask),
                        fill: a.fill.max(b.fill),
                    });
                }
                "sub" => {
                    if let Some((keep, fill)) = self.additive(operands[1], index, -1.0) {
                        let body = self.body(operands[0], index, nesting + 1)?;
                        return Some(masked(body, keep, fill));
                    }
                }
                "mul" | "div" => {
                    let pairs = [(operands[0], operands[1]), (operands[1], operands[0])];
                    let pairs = if f == "mul" { &pairs[..] } else { &pairs[..1] };
                    for (x, c) in pairs {
                        if let Some(c) = self.splat(*c) {
                            let c = if f == "div" { 1.0 / c } else { c };
                            let mut body = self.body(*x, index, nesting + 1)?;
                            if body.mask != Formula::True {
                                if c.is_nan() || c <= 0.0 || body.fill * c > NEVER {
                                    break;
                                }
                                body.fill *= c;
                            }
                            body.terms.iter_mut().for_each(|p| p.coefficient *= c);
                            return Some(body);
                        }
                    }
                }
                _ => {}
            }
        }
        let p = self.walk(term, index, true, nesting + 1);
        Some(Body { terms: vec![p], mask: Formula::True, fill: f64::NEG_INFINITY })
    }

    /// A term that is `0` on a set and negligible (times `sign`) elsewhere: the set and the largest value elsewhere.
    fn additive(&mut self, term: TermId, index: &[Lin], sign: f64) -> Option<(Formula, f64)> {
        let cases = self.cases(term, index)?;
        let mut keep = Formula::False;
        let mut fill = f64::NEG_INFINITY;
        for (set, value) in cases {
            match value * sign {
                0.0 => keep = keep.or(set),
                v if v <= NEVER => fill = fill.max(v),
                _ => return None,
            }
        }
        Some((keep, fill))
    }

    /// `sum_j softmax_j(scale q k + bias) v` by the definition of `nn.attention`.
    fn dot_attention(&mut self, op: TermId, index: &[Lin]) -> Option<Prod> {
        let v = self.bank.operands(op).to_vec();
        let attrs = self.bank.attrs(op);
        let (q_shape, k_shape) = (self.bank.ty(v[0]).shape.clone(), self.bank.ty(v[1]).shape.clone());
        let [b, i, h, e] = index else { return None };
        let g = self.group(h, &q_shape[2], &k_shape[2])?;
        let (at, bound, d) =
            (self.atoms.index(&k_shape[1]), self.atoms.index(&k_shape[1]), self.atoms.index(&q_shape[3]));
        let parts = vec![
            self.walk(v[0], &[b.clone(), i.clone(), h.clone(), d.clone()], false, 1),
            self.walk(v[1], &[b.clone(), bound.clone(), g.clone(), d.clone()], false, 1),
        ];
        let mut terms = vec![summed(attrs.float("scale"), &[&d], parts)];
        if let Some(bias) = v.get(3) {
            let shape = self.bank.ty(*bias).shape.clone();
            let full = [b, h, i, &bound];
            let at = full.iter().zip(&shape).map(|(l, d)| if d.is_one() { Lin::default() } else { (*l).clone() });
            let at: Vec<Lin> = at.collect();
            terms.push(self.walk(*bias, &at, true, 1));
        }
        let mut mask = Formula::True;
        if attrs.bool("causal") {
            let last = i.add(&Lin::constant(attrs.dim("offset").clone()))?;
            mask = mask.and(Formula::ge(&last, &bound)?);
            if attrs.int("window") > 0 {
                let reach = bound.add(&Lin::constant(Poly::constant(attrs.int("window"))))?;
                mask = mask.and(Formula::gt(&reach, &last)?);
            }
        }
        let body = Body { terms, mask, fill: f64::NEG_INFINITY };
        let weight = self.weight(vec![(bound, at.clone())], body);
        let value = self.walk(v[2], &[b.clone(), at.clone(), g, e.clone()], false, 1);
        Some(summed(1.0, &[&at], vec![weight, value]))
    }

    /// The definition of `trilinear.attention` without biases.
    fn trilinear(&mut self, op: TermId, index: &[Lin]) -> Option<Prod> {
        let v = self.bank.operands(op).to_vec();
        let attrs = self.bank.attrs(op);
        if attrs.float("k2_bias") != 0.0 || attrs.float("v2_bias") != 0.0 {
            return None;
        }
        let (q_shape, k_shape) = (self.bank.ty(v[0]).shape.clone(), self.bank.ty(v[1]).shape.clone());
        let [b, i, h, e] = index else { return None };
        let g = self.group(h, &q_shape[2], &k_shape[2])?;
        let d = self.atoms.index(&q_shape[3]);
        let mut axes = vec![];
        let mut mask = Formula::True;
        for w in ["w1", "w2"] {
            let (at, bound) = (self.atoms.index(&k_shape[1]), self.atoms.index(&k_shape[1]));
            let reach = bound.add(&Lin::constant(Poly::constant(attrs.int(w))))?;
            mask = mask.and(Formula::ge(i, &bound)?).and(Formula::gt(&reach, i)?);
            axes.push((bound, at));
        }
        let key = |at: &Lin, last: &Lin| [b.clone(), at.clone(), g.clone(), last.clone()];
        let parts = vec![
            self.walk(v[0], &[b.clone(), i.clone(), h.clone(), d.clone()], false, 1),
            self.walk(v[1], &key(&axes[0].0, &d), false, 1),
            self.walk(v[2], &key(&axes[1].0, &d), false, 1),
        ];
        let logit = summed(attrs.float("scale"), &[&d], parts);
        let body = Body { terms: vec![logit], mask, fill: f64::NEG_INFINITY };
        let mut parts = vec![self.weight(axes.clone(), body)];
        for ((_, at), value) in axes.iter().zip(&v[3..]) {
            parts.push(self.walk(*value, &key(at, e), false, 1));
        }
        Some(summed(1.0, &[&axes[0].1, &axes[1].1], parts))
    }

    /// The key head that query head `h` reads.
    fn group(&mut self, h: &Lin, heads: &Poly, groups: &Poly) -> Option<Lin> {
        let each = heads.exact_div(groups)?;
        match groups.is_one() {
            true => Some(Lin::default()),
            false => Some(self.atoms.divide(h, &each)?.0),
        }
    }

    /// `sparse24.matmul` of what `sparse24.compress` made of `x`: the dense product with `sparse24.select` of `x`.
    fn sparse_product(&mut self, term: TermId, index: &[Lin], nesting: usize) -> Option<Prod> {
        let [values, meta, b] = self.bank.operands(term)[..] else { return None };
        let part = |bank: &Bank, t: TermId, at: u32| {
            // Leading axes may be merged; the last one is what is compressed.
            let mut inner = t;
            while bank.is(inner, "core.reshape")
                && bank.ty(bank.operands(inner)[0]).shape.last() == bank.ty(inner).shape.last()
            {
                inner = bank.operands(inner)[0];
            }
            match bank.term(inner).head {
                Head::Get(n) if n == at => Some(bank.term(inner).children[0]),
                _ => None,
            }
        };
        let packed = part(self.bank, values, 0)?;
        if part(self.bank, meta, 1)? != packed || !self.bank.is(packed, "sparse24.compress") {
            return None;
        }
        let x = self.bank.operands(packed)[0];
        let attrs = self.bank.attrs(packed);
        let whole = self.bank.ty(x).shape.clone();
        let (last, lead) = whole.split_last()?;
        if attrs.int("axis") as usize != lead.len() {
            return None;
        }
        let select = Attrs::new().with("axis", attrs.int("axis")).with("by", attrs.str("by"));
        let dense = self.bank.op("sparse24.select", select, &[x]).ok()?;
        let rank = index.len();
        let merged = self.bank.ty(values).shape[..rank - 1].to_vec();
        let k = self.atoms.index(&last.clone());
        let mut left = self.reindex(&index[..rank - 1], &merged, lead)?;
        left.push(k.clone());
        let mut right = index[..rank - 2].to_vec();
        right.extend([k.clone(), index[rank - 1].clone()]);
        let right = self.walk(b, &right, false, nesting + 1);
        let mut out = multiply(vec![self.opaque(dense, &left), right]);
        out.sums.extend(k.single());
        Some(out)
    }

    /// Rewrites every form to unsplit atoms, and makes each reduced index and the place it is taken at agree in structure.
    pub fn settle(&mut self, p: &mut Prod) {
        for _ in 0..64 {
            if !self.settle_once(p) {
                return;
            }
        }
    }

    fn settle_once(&mut self, p: &mut Prod) -> bool {
        p.sums = p.sums.iter().flat_map(|s| self.atoms.parts(*s)).collect();
        let mut changed = false;
        for f in &mut p.factors {
            match f {
                Factor::Element { index, .. } => index.iter_mut().for_each(|l| *l = self.atoms.resolve(l)),
                Factor::Soft(soft) => {
                    let mut pairs = vec![];
                    for (bound, at) in std::mem::take(&mut soft.bound) {
                        changed |= self.atoms.refine(&bound, &at).unwrap_or(false);
                        let (bound, at) = (self.atoms.resolve(&bound), self.atoms.resolve(&at));
                        let whole = (bound.clone(), at.clone());
                        match (bound.components(), at.components()) {
                            (Some(x), Some(y))
                                if x.len() == y.len()
                                    && x.len() > 1
                                    && bound.constant.is_zero()
                                    && at.constant.is_zero()
                                    && x.iter().zip(&y).all(|(p, q)| p.1 == q.1) =>
                            {
                                pairs.extend(x.iter().zip(&y).map(|(p, q)| (Lin::atom(p.0), Lin::atom(q.0))));
                            }
                            _ => pairs.push(whole),
                        }
                    }
                    pairs.retain(|(b, a)| *b != Lin::default() || *a != Lin::default());
                    soft.bound = pairs;
                    soft.body.mask = soft.body.mask.map(&mut |l| self.atoms.resolve(l));
                    for t in &mut soft.body.terms {
                        changed |= self.settle_once(t);
                    }
                }
            }
        }
        changed
    }
}
