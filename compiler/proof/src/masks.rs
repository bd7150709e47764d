//! Facts about masks: tensors that take few values, each on a known set of index points, and tensors linear in their index.
//!
//! [`Sem::cases`] gives the values with their sets, [`Sem::linear`] the form. Both look through data movement, comparisons, logic and
//! arithmetic, and fit constants, checking every entry.

use crate::lin::Lin;
use crate::region::{self, Formula};
use crate::sem::Sem;
use crate::term::TermId;
use std::collections::BTreeMap;
use tricot_dialects::{Attr, ScalarFn, scalar};
use tricot_types::{DType, Poly};

/// More values than this and a tensor is no mask.
const CASES: usize = 8;

/// Largest constant that is searched for a set.
const ENTRIES: u64 = 1 << 26;

impl Sem<'_> {
    /// Where a bool tensor is true.
    pub fn holds(&mut self, term: TermId, index: &[Lin]) -> Option<Formula> {
        let mut out = Formula::False;
        for (set, value) in self.cases(term, index)? {
            if value != 0.0 {
                out = out.or(set);
            }
        }
        Some(out)
    }

    /// The finitely many values a term takes, each with the set on which it does. The sets cover everything and are disjoint.
    pub fn cases(&mut self, term: TermId, index: &[Lin]) -> Option<Vec<(Formula, f64)>> {
        if let Some(value) = self.splat(term) {
            return Some(vec![(Formula::True, value)]);
        }
        if let Some((inner, at)) = self.view_step(term, index) {
            return self.cases(inner, &at);
        }
        let operands = self.bank.operands(term).to_vec();
        let dtype = self.bank.ty(term).dtype;
        match self.bank.name(term) {
            "core.constant" => self.table(term, index),
            "core.cast" => {
                if !matches!(self.bank.attr(term, "mode"), Some(Attr::Str(m)) if m != "bits") {
                    return None;
                }
                let inner = self.cases(operands[0], index)?;
                let convert = |v: f64| match dtype {
                    DType::Bool => f64::from(u8::from(v != 0.0)),
                    d if d.is_float() => scalar::round_float(d, v, false),
                    d => scalar::float_to_int(d, v) as f64,
                };
                Some(merge(inner.into_iter().map(|(f, v)| (f, convert(v))).collect()))
            }
            "core.select" => {
                let when = self.holds(operands[0], index)?;
                let mut out = vec![];
                for (operand, set) in [(operands[1], when.clone()), (operands[2], when.not())] {
                    for (f, v) in self.cases(operand, index)? {
                        out.push((set.clone().and(f), v));
                    }
                }
                Some(merge(out))
            }
            "core.map" => {
                let Some(Attr::Str(f)) = self.bank.attr(term, "fn") else { return None };
                let f: ScalarFn = f.parse().ok()?;
                if let Some(out) = self.comparison(f, &operands, index) {
                    return Some(out);
                }
                if dtype == DType::Bool
                    && let Some(set) = self.logic(f, &operands, index)
                {
                    return Some(vec![(set.clone(), 1.0), (set.not(), 0.0)]);
                }
                let of = self.bank.ty(operands[0]).dtype;
                let mut rows: Vec<(Formula, Vec<f64>)> = vec![(Formula::True, vec![])];
                for o in &operands {
                    let part = self.cases(*o, index)?;
                    rows = rows
                        .into_iter()
                        .flat_map(|(set, args)| {
                            part.iter()
                                .map(move |(g, v)| (set.clone().and(g.clone()), [args.clone(), vec![*v]].concat()))
                        })
                        .collect();
                    if rows.len() > CASES * CASES {
                        return None;
                    }
                }
                let value = |args: &[f64]| {
                    let (a, b) = (args[0], args.get(1).copied().unwrap_or(0.0));
                    match of.is_float() || of == DType::Bool {
                        true if f.is_predicate() => f.eval(a, b),
                        true if of == DType::Bool => f64::from(u8::from(f.eval(a, b) != 0.0)),
                        true => scalar::round_float(of, f.eval(a, b), false),
                        false => f.eval_int(of, a as i64, b as i64) as f64,
                    }
                };
                Some(merge(rows.into_iter().map(|(set, args)| (set, value(&args))).collect()))
            }
            _ => None,
        }
        .filter(|c| c.len() <= CASES)
    }

    /// Logic on sets.
    fn logic(&mut self, f: ScalarFn, operands: &[TermId], index: &[Lin]) -> Option<Formula> {
        if operands.iter().any(|o| self.bank.ty(*o).dtype != DType::Bool) {
            return None;
        }
        let a = self.holds(operands[0], index)?;
        Some(match f {
            ScalarFn::Not => a.not(),
            ScalarFn::And => a.and(self.holds(operands[1], index)?),
            ScalarFn::Or => a.or(self.holds(operands[1], index)?),
            _ => return None,
        })
    }

    /// A comparison of two forms.
    fn comparison(&mut self, f: ScalarFn, operands: &[TermId], index: &[Lin]) -> Option<Vec<(Formula, f64)>> {
        use ScalarFn::*;
        if !matches!(f, Lt | Le | Gt | Ge | Eq | Ne) {
            return None;
        }
        let (a, b) = (self.linear(operands[0], index)?, self.linear(operands[1], index)?);
        let set = match f {
            Lt => Formula::gt(&b, &a)?,
            Le => Formula::ge(&b, &a)?,
            Gt => Formula::gt(&a, &b)?,
            Ge => Formula::ge(&a, &b)?,
            Eq => Formula::ge(&a, &b)?.and(Formula::ge(&b, &a)?),
            _ => Formula::ge(&a, &b)?.and(Formula::ge(&b, &a)?).not(),
        };
        Some(vec![(set.clone(), 1.0), (set.not(), 0.0)])
    }

    /// A constant tensor of few values.
    fn table(&mut self, term: TermId, index: &[Lin]) -> Option<Vec<(Formula, f64)>> {
        let constant = self.bank.constant(term)?.clone();
        if constant.elements() > ENTRIES || constant.shape.len() > 8 {
            return None;
        }
        // Fitted over placeholder atoms 0.. once, then moved to the index.
        let places: Vec<Lin> = (0..constant.shape.len() as u32).map(Lin::atom).collect();
        let values = constant.to_f64();
        let mut distinct: Vec<f64> = vec![];
        for v in &values {
            if !distinct.iter().any(|d| d.to_bits() == v.to_bits()) {
                distinct.push(*v);
                if distinct.len() > 2 {
                    return None;
                }
            }
        }
        let mut out = vec![];
        for v in &distinct {
            let key = (term, v.to_bits());
            if !self.fits.contains_key(&key) {
                let hit: Vec<bool> = values.iter().map(|x| x.to_bits() == v.to_bits()).collect();
                let fitted = region::fit(&constant.shape, &hit, &places);
                self.fits.insert(key, fitted);
            }
            let fitted = self.fits[&key].clone()?;
            let mut failed = false;
            let moved = fitted.map(&mut |l| {
                substitute(l, index).unwrap_or_else(|| {
                    failed = true;
                    Lin::default()
                })
            });
            if failed {
                return None;
            }
            out.push((moved, *v));
        }
        Some(out)
    }

    /// The form a tensor of whole numbers is of its index.
    pub fn linear(&mut self, term: TermId, index: &[Lin]) -> Option<Lin> {
        if let Some((inner, at)) = self.view_step(term, index) {
            return self.linear(inner, &at);
        }
        let operands = self.bank.operands(term).to_vec();
        let dtype = self.bank.ty(term).dtype;
        // Positions are exact in these types; indices below 2^24 are in f32.
        if !matches!(dtype, DType::I64 | DType::I32 | DType::F64 | DType::F32) {
            return None;
        }
        match self.bank.name(term) {
            "core.iota" => {
                let Some(Attr::Int(axis)) = self.bank.attr(term, "axis") else { return None };
                index.get(*axis as usize).cloned()
            }
            "core.size" => match self.bank.attr(term, "value") {
                Some(Attr::Dim(p)) => Some(Lin::constant(p.clone())),
                _ => None,
            },
            "core.constant" => {
                let constant = self.bank.constant(term)?;
                (constant.elements() <= ENTRIES).then(|| region::fit_linear(constant, index))?
            }
            "core.cast" => self.linear(operands[0], index),
            "core.map" => {
                let Some(Attr::Str(f)) = self.bank.attr(term, "fn").cloned() else { return None };
                match f.as_str() {
                    "neg" => self.linear(operands[0], index)?.scale(&Poly::constant(-1)),
                    "add" => {
                        let (a, b) = (self.linear(operands[0], index)?, self.linear(operands[1], index)?);
                        a.add(&b)
                    }
                    "sub" => {
                        let (a, b) = (self.linear(operands[0], index)?, self.linear(operands[1], index)?);
                        a.sub(&b)
                    }
                    "mul" => {
                        let (a, b) = (self.linear(operands[0], index)?, self.linear(operands[1], index)?);
                        match (a.terms.is_empty(), b.terms.is_empty()) {
                            (true, _) => b.scale(&a.constant),
                            (_, true) => a.scale(&b.constant),
                            _ => None,
                        }
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// Places `0..` replaced by the index.
fn substitute(l: &Lin, index: &[Lin]) -> Option<Lin> {
    let mut out = Lin::constant(l.constant.clone());
    for (a, c) in &l.terms {
        out = out.add(&index[*a as usize].scale(c)?)?;
    }
    Some(out)
}

/// Cases of equal value become one.
fn merge(cases: Vec<(Formula, f64)>) -> Vec<(Formula, f64)> {
    let mut by_value: BTreeMap<u64, Formula> = BTreeMap::new();
    let mut order = vec![];
    for (f, v) in cases {
        // -0 and 0 compare equal everywhere this is used.
        let key = if v == 0.0 { 0 } else { v.to_bits() };
        match by_value.remove(&key) {
            Some(old) => {
                by_value.insert(key, old.or(f));
            }
            None => {
                order.push(key);
                by_value.insert(key, f);
            }
        }
    }
    order.into_iter().map(|k| (by_value[&k].clone(), f64::from_bits(k))).collect()
}
