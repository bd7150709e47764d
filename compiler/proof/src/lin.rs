//! Index arithmetic: [`Lin`], a linear form over index atoms with polynomial coefficients, and [`Atoms`], the table of atoms.
//!
//! An atom ranges over `0..size`. Reshapes may split an atom into an outer and an inner one; the table remembers, and
//! [`Atoms::resolve`] rewrites a form to unsplit atoms. Knows nothing of tensors.

use std::collections::BTreeMap;
use tricot_types::{Poly, SymbolTable};

/// Names an atom.
pub type Atom = u32;

/// `sum of coefficient * atom + constant`, no zero coefficient.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Lin {
    pub terms: BTreeMap<Atom, Poly>,
    pub constant: Poly,
}

impl Lin {
    /// A constant.
    pub fn constant(value: Poly) -> Lin {
        Lin { terms: BTreeMap::new(), constant: value }
    }

    /// An atom.
    pub fn atom(atom: Atom) -> Lin {
        Lin { terms: [(atom, Poly::constant(1))].into(), constant: Poly::default() }
    }

    /// The atom, if the form is just one.
    pub fn single(&self) -> Option<Atom> {
        match self.terms.iter().next() {
            Some((a, c)) if self.terms.len() == 1 && c.is_one() && self.constant.is_zero() => Some(*a),
            _ => None,
        }
    }

    /// Sum; `None` on overflow.
    pub fn add(&self, other: &Lin) -> Option<Lin> {
        let mut out = self.clone();
        for (a, c) in &other.terms {
            let sum = match out.terms.get(a) {
                Some(old) => old.checked_add(c)?,
                None => c.clone(),
            };
            match sum.is_zero() {
                true => out.terms.remove(a),
                false => out.terms.insert(*a, sum),
            };
        }
        out.constant = out.constant.checked_add(&other.constant)?;
        Some(out)
    }

    /// Product with a size; `None` on overflow.
    pub fn scale(&self, by: &Poly) -> Option<Lin> {
        if by.is_zero() {
            return Some(Lin::default());
        }
        let mut terms = BTreeMap::new();
        for (a, c) in &self.terms {
            terms.insert(*a, c.checked_mul(by)?);
        }
        Some(Lin { terms, constant: self.constant.checked_mul(by)? })
    }

    /// Difference; `None` on overflow.
    pub fn sub(&self, other: &Lin) -> Option<Lin> {
        self.add(&other.scale(&Poly::constant(-1))?)
    }

    /// Atoms in mixed-radix order, outermost (largest coefficient) first; `None` where the coefficients have no such order.
    pub fn components(&self) -> Option<Vec<(Atom, Poly)>> {
        let mut out: Vec<(Atom, Poly)> = self.terms.iter().map(|(a, c)| (*a, c.clone())).collect();
        // Insertion by divisibility: a coefficient comes before those that divide it.
        let mut sorted: Vec<(Atom, Poly)> = vec![];
        out.reverse();
        for (a, c) in out {
            let at = sorted.iter().position(|(_, s)| c != *s && c.exact_div(s).is_some()).unwrap_or(sorted.len());
            sorted.insert(at, (a, c));
        }
        sorted.windows(2).all(|w| w[0].1 == w[1].1 || w[0].1.exact_div(&w[1].1).is_some()).then_some(sorted)
    }
}

struct Info {
    size: Poly,
    split: Option<(Atom, Atom)>,
}

/// The table of atoms.
#[derive(Default)]
pub struct Atoms {
    infos: Vec<Info>,
    symbols: SymbolTable,
}

impl Atoms {
    /// An empty table; `symbols` bounds the sizes.
    pub fn new(symbols: &SymbolTable) -> Atoms {
        Atoms { infos: vec![], symbols: symbols.clone() }
    }

    /// Promises about the symbols in sizes.
    pub fn symbols(&self) -> &SymbolTable {
        &self.symbols
    }

    /// A new atom of this size.
    pub fn fresh(&mut self, size: Poly) -> Atom {
        self.infos.push(Info { size, split: None });
        self.infos.len() as Atom - 1
    }

    /// A new index into an axis of this size: 0 where the axis has one element.
    pub fn index(&mut self, size: &Poly) -> Lin {
        if size.is_one() { Lin::default() } else { Lin::atom(self.fresh(size.clone())) }
    }

    /// Size of an atom.
    pub fn size(&self, atom: Atom) -> &Poly {
        &self.infos[atom as usize].size
    }

    /// Number of atoms made so far.
    pub fn len(&self) -> usize {
        self.infos.len()
    }

    /// Whether none was made.
    pub fn is_empty(&self) -> bool {
        self.infos.is_empty()
    }

    /// Splits an atom so that the inner part has size `inner`, which must divide its size properly.
    pub fn split(&mut self, atom: Atom, inner: &Poly) -> bool {
        if self.infos[atom as usize].split.is_some() {
            return false;
        }
        match self.size(atom).exact_div(inner) {
            Some(outer) if !outer.is_one() && !inner.is_one() => {
                let parts = (self.fresh(outer), self.fresh(inner.clone()));
                self.infos[atom as usize].split = Some(parts);
                true
            }
            _ => false,
        }
    }

    /// The form over unsplit atoms.
    pub fn resolve(&self, lin: &Lin) -> Lin {
        let mut out = lin.clone();
        while let Some((a, c)) = out.terms.iter().find(|(a, _)| self.infos[**a as usize].split.is_some()) {
            let (a, c) = (*a, c.clone());
            let (outer, inner) = self.infos[a as usize].split.expect("just found");
            out.terms.remove(&a);
            let outer_coefficient = c.clone() * self.size(inner).clone();
            for (atom, coefficient) in [(outer, outer_coefficient), (inner, c)] {
                let sum = out.terms.remove(&atom).unwrap_or_default() + coefficient;
                if !sum.is_zero() {
                    out.terms.insert(atom, sum);
                }
            }
        }
        out
    }

    /// The unsplit parts of an atom, outermost first.
    pub fn parts(&self, atom: Atom) -> Vec<Atom> {
        match self.infos[atom as usize].split {
            None => vec![atom],
            Some((outer, inner)) => [self.parts(outer), self.parts(inner)].concat(),
        }
    }

    /// Whether the value is at least 0 for all legal symbols.
    pub fn non_negative(&self, p: &Poly) -> bool {
        p.terms().all(|(_, c)| c >= 0) || p.bounds(&self.symbols).0 >= 0
    }

    /// Largest value of a form with non-negative coefficients; `None` otherwise.
    fn largest(&self, lin: &Lin) -> Option<Poly> {
        let mut sum = lin.constant.clone();
        for (a, c) in &lin.terms {
            if !self.non_negative(c) {
                return None;
            }
            sum = sum.checked_add(&c.checked_mul(&(self.size(*a).clone() - Poly::constant(1)))?)?;
        }
        Some(sum)
    }

    /// Quotient and remainder by a positive size, splitting atoms where needed. `None` where there is no linear answer.
    pub fn divide(&mut self, lin: &Lin, by: &Poly) -> Option<(Lin, Lin)> {
        for _ in 0..64 {
            let lin = self.resolve(lin);
            let (mut q, mut r) = (Lin::default(), Lin::default());
            match lin.constant.exact_div(by) {
                Some(c) => q.constant = c,
                None => r.constant = lin.constant.clone(),
            }
            for (a, c) in &lin.terms {
                match c.exact_div(by) {
                    Some(part) => q.terms.insert(*a, part),
                    None => r.terms.insert(*a, c.clone()),
                };
            }
            let fits = self.non_negative(&r.constant)
                && self.largest(&r).is_some_and(|top| self.non_negative(&(by.clone() - top - Poly::constant(1))));
            if fits {
                return Some((q, r));
            }
            let step = r.terms.iter().find_map(|(a, c)| {
                let inner = by.exact_div(c)?;
                let outer = self.size(*a).exact_div(&inner)?;
                (!outer.is_one() && !inner.is_one()).then_some((*a, inner))
            });
            let (atom, inner) = step?;
            if !self.split(atom, &inner) {
                return None;
            }
        }
        None
    }

    /// Splits atoms of both forms until they have the same mixed-radix structure. Whether anything was split; `None` where they
    /// cannot be brought together.
    pub fn refine(&mut self, a: &Lin, b: &Lin) -> Option<bool> {
        let mut changed = false;
        for _ in 0..64 {
            let (x, y) = (self.resolve(a).components()?, self.resolve(b).components()?);
            let mut pairs = x.iter().rev().zip(y.iter().rev());
            let odd = pairs.find(|(p, q)| p.1 != q.1 || self.size(p.0) != self.size(q.0));
            let Some((p, q)) = odd else { return (x.len() == y.len()).then_some(changed) };
            if p.1 != q.1 {
                return None;
            }
            let (sp, sq) = (self.size(p.0).clone(), self.size(q.0).clone());
            let done = if sp.exact_div(&sq).is_some() {
                self.split(p.0, &sq)
            } else if sq.exact_div(&sp).is_some() {
                self.split(q.0, &sp)
            } else {
                return None;
            };
            if !done {
                return None;
            }
            changed = true;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn division_splits_a_merged_axis() {
        let mut atoms = Atoms::default();
        let x = Lin::atom(atoms.fresh(Poly::constant(24)));
        let (q, r) = atoms.divide(&x, &Poly::constant(6)).unwrap();
        assert_eq!(atoms.size(q.single().unwrap()), &Poly::constant(4));
        assert_eq!(atoms.size(r.single().unwrap()), &Poly::constant(6));
        assert_eq!(atoms.resolve(&x).components().unwrap().len(), 2);
        assert!(atoms.divide(&x, &Poly::constant(5)).is_none());
    }

    #[test]
    fn merged_symbolic_axes_come_apart() {
        let s = Poly::symbol(tricot_types::Symbol::new("s").unwrap());
        let mut atoms = Atoms::default();
        let (j, k) = (atoms.fresh(s.clone()), atoms.fresh(s.clone()));
        let flat = Lin::atom(j).scale(&s).unwrap().add(&Lin::atom(k)).unwrap();
        assert_eq!(atoms.divide(&flat, &s), Some((Lin::atom(j), Lin::atom(k))));
    }
}
