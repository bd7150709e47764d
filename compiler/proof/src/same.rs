//! Equality of normal forms: [`equal`] decides whether two terms are the same product of the same elements.
//!
//! Summed and reduced atoms may be renamed, factors may be reordered, merged axes may be split; everything else must agree.

use crate::lin::{Atom, Atoms, Lin};
use crate::region::{self, atoms_of};
use crate::sem::{Body, Depth, Factor, Prod, Sem, Soft};
use crate::term::{Bank, TermId};
use std::collections::{BTreeMap, BTreeSet};

/// Whether two terms of one type have the same meaning, looking as far as `depth`.
pub fn equal(bank: &mut Bank, a: TermId, b: TermId, depth: Depth) -> bool {
    if a == b {
        return true;
    }
    if bank.types(a) != bank.types(b) || bank.types(a).len() != 1 {
        return false;
    }
    let mut sem = Sem::new(bank, depth);
    let index = sem.free_index(a);
    let mut x = sem.element(a, &index);
    let mut y = sem.element(b, &index);
    if depth == Depth::Full && !(kept(&x, &sem.atoms) && kept(&y, &sem.atoms)) {
        return false;
    }
    for _ in 0..64 {
        sem.settle(&mut x);
        sem.settle(&mut y);
        let mut matcher = Matcher { atoms: &mut sem.atoms, wanted: None };
        if matcher.products(&x, &y, &Renaming::default()).is_some() {
            return true;
        }
        let Some((left, right)) = matcher.wanted else { return false };
        if !matches!(sem.atoms.refine(&left, &right), Some(true)) {
            return false;
        }
    }
    false
}

/// Whether all softmaxes of a product keep an entry in each row.
fn kept(p: &Prod, atoms: &Atoms) -> bool {
    p.factors.iter().all(|f| match f {
        Factor::Soft(soft) => rows_keep_an_entry(soft, atoms) && soft.body.terms.iter().all(|t| kept(t, atoms)),
        Factor::Element { .. } => true,
    })
}

/// Whether each row of a softmax keeps an entry, so that masked entries weigh nothing.
pub fn rows_keep_an_entry(soft: &Soft, atoms: &Atoms) -> bool {
    let bound: BTreeSet<Atom> = soft.bound.iter().flat_map(|(b, _)| b.terms.keys().copied()).collect();
    soft.body.mask == region::Formula::True || soft.body.mask.covers(&bound, atoms)
}

/// Bound atoms of the left form and what they are called on the right.
#[derive(Clone, Default)]
struct Renaming {
    map: BTreeMap<Atom, Atom>,
    left: BTreeSet<Atom>,
    right: BTreeSet<Atom>,
}

struct Matcher<'a> {
    atoms: &'a mut Atoms,
    /// The first two forms that differ in structure only: splitting atoms might help.
    wanted: Option<(Lin, Lin)>,
}

impl Matcher<'_> {
    fn products(&mut self, a: &Prod, b: &Prod, outer: &Renaming) -> Option<Renaming> {
        let close = (a.coefficient - b.coefficient).abs() <= 4.0 * f64::EPSILON * a.coefficient.abs();
        if !close || a.factors.len() != b.factors.len() {
            return None;
        }
        let mut names = outer.clone();
        names.left.extend(&a.sums);
        names.right.extend(&b.sums);
        let out = self.factors(&a.factors, &b.factors, &mut vec![false; b.factors.len()], names)?;
        // Summed atoms no factor mentions multiply by their size.
        let unused = |sums: &[Atom], used: &BTreeSet<Atom>, atoms: &Atoms| {
            let mut sizes: Vec<_> = sums.iter().filter(|s| !used.contains(s)).map(|s| atoms.size(*s).clone()).collect();
            sizes.sort();
            sizes
        };
        let left: BTreeSet<Atom> = out.map.keys().copied().collect();
        let right: BTreeSet<Atom> = out.map.values().copied().collect();
        (unused(&a.sums, &left, self.atoms) == unused(&b.sums, &right, self.atoms)).then_some(out)
    }

    fn factors(&mut self, a: &[Factor], b: &[Factor], used: &mut Vec<bool>, names: Renaming) -> Option<Renaming> {
        let Some((first, rest)) = a.split_first() else { return Some(names) };
        for (at, other) in b.iter().enumerate() {
            if used[at] {
                continue;
            }
            if let Some(next) = self.factor(first, other, &names) {
                used[at] = true;
                if let Some(done) = self.factors(rest, b, used, next) {
                    return Some(done);
                }
                used[at] = false;
            }
        }
        None
    }

    fn factor(&mut self, a: &Factor, b: &Factor, names: &Renaming) -> Option<Renaming> {
        match (a, b) {
            (Factor::Element { term: s, index: x }, Factor::Element { term: t, index: y }) if s == t => {
                let mut names = names.clone();
                for (l, m) in x.iter().zip(y) {
                    names = self.form(l, m, names)?;
                }
                Some(names)
            }
            (Factor::Soft(s), Factor::Soft(t)) => self.weights(s, t, names),
            _ => None,
        }
    }

    fn weights(&mut self, a: &Soft, b: &Soft, names: &Renaming) -> Option<Renaming> {
        if a.bound.len() != b.bound.len() {
            // A merged reduced axis against two: ask for the split through any pair of forms of different structure.
            for (x, _) in &a.bound {
                for (y, _) in &b.bound {
                    self.want(x, y);
                }
            }
            return None;
        }
        let mut inner = names.clone();
        inner.left.extend(a.bound.iter().flat_map(|(l, _)| l.terms.keys().copied()));
        inner.right.extend(b.bound.iter().flat_map(|(l, _)| l.terms.keys().copied()));
        let mut inner = self.bodies(&a.body, &b.body, inner)?;
        // Where the weight is taken must correspond as the reduced atoms do.
        for (x, at) in &a.bound {
            let image = Lin {
                terms: x.terms.iter().map(|(k, c)| inner.map.get(k).map(|v| (*v, c.clone()))).collect::<Option<_>>()?,
                constant: x.constant.clone(),
            };
            let (_, other) = b.bound.iter().find(|(y, _)| *y == image)?;
            inner = self.form(at, other, inner)?;
        }
        let mask = region::rename(&a.body.mask, &inner.map);
        let known = atoms_of(&a.body.mask).iter().all(|k| inner.map.contains_key(k) || !inner.left.contains(k));
        (known && mask.equals(&b.body.mask, self.atoms)).then_some(inner)
    }

    fn bodies(&mut self, a: &Body, b: &Body, names: Renaming) -> Option<Renaming> {
        if a.terms.len() != b.terms.len() {
            return None;
        }
        // The products of most factors first: they bind the most names.
        let mut order: Vec<&Prod> = a.terms.iter().collect();
        order.sort_by_key(|p| std::cmp::Reverse(p.factors.len()));
        self.sums(&order, &b.terms, &mut vec![false; b.terms.len()], names)
    }

    fn sums(&mut self, a: &[&Prod], b: &[Prod], used: &mut Vec<bool>, names: Renaming) -> Option<Renaming> {
        let Some((first, rest)) = a.split_first() else { return Some(names) };
        for (at, other) in b.iter().enumerate() {
            if !used[at]
                && let Some(next) = self.products(first, other, &names)
            {
                used[at] = true;
                if let Some(done) = self.sums(rest, b, used, next) {
                    return Some(done);
                }
                used[at] = false;
            }
        }
        None
    }

    fn want(&mut self, a: &Lin, b: &Lin) {
        if self.wanted.is_none() && (a.terms.len() != b.terms.len() || self.sizes(a) != self.sizes(b)) {
            // Only where splitting is possible.
            let (Some(x), Some(y)) = (a.components(), b.components()) else { return };
            let splittable =
                x.iter().rev().zip(y.iter().rev()).find(|(p, q)| self.atoms.size(p.0) != self.atoms.size(q.0));
            if let Some((p, q)) = splittable {
                let (s, t) = (self.atoms.size(p.0), self.atoms.size(q.0));
                if p.1 == q.1 && (s.exact_div(t).is_some() || t.exact_div(s).is_some()) {
                    self.wanted = Some((a.clone(), b.clone()));
                }
            }
        }
    }

    fn sizes(&self, l: &Lin) -> Vec<tricot_types::Poly> {
        l.terms.keys().map(|a| self.atoms.size(*a).clone()).collect()
    }

    /// Equality of forms under the names, extended where a bound atom meets its first counterpart.
    fn form(&mut self, a: &Lin, b: &Lin, mut names: Renaming) -> Option<Renaming> {
        if a.constant != b.constant {
            return None;
        }
        let (x, y) = (a.components()?, b.components()?);
        let structure = x.len() == y.len()
            && x.iter().zip(&y).all(|(p, q)| p.1 == q.1 && self.atoms.size(p.0) == self.atoms.size(q.0));
        if !structure {
            self.want(a, b);
            return None;
        }
        for ((p, _), (q, _)) in x.iter().zip(&y) {
            match (names.left.contains(p), names.right.contains(q)) {
                (false, false) if p == q => {}
                (true, true) => match names.map.get(p) {
                    Some(known) if known == q => {}
                    Some(_) => return None,
                    None if names.map.values().any(|v| v == q) => return None,
                    None => {
                        names.map.insert(*p, *q);
                    }
                },
                _ => return None,
            }
        }
        Some(names)
    }
}
