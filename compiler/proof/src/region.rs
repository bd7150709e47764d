//! Sets of index points: [`Formula`], a boolean combination of `linear form >= 0`, and a decision procedure for their equality.
//!
//! Equality is decided exactly for difference constraints (`x - y + c >= 0`, `x + c >= 0`), which is what windows, causal masks and
//! bounds are made of; other constraints are kept as opaque facts, so "equal" stays sound and "not equal" may be a "do not know".

use crate::lin::{Atom, Atoms, Lin};
use std::collections::{BTreeMap, BTreeSet};
use tricot_dialects::Constant;
use tricot_types::Poly;

/// A set of index points.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Formula {
    True,
    False,
    /// The form is at least 0.
    Ge(Lin),
    And(Vec<Formula>),
    Or(Vec<Formula>),
    Not(Box<Formula>),
}

/// More literals or disjuncts than this and the procedure gives up.
const LIMIT: usize = 256;

impl Formula {
    /// `a >= b`.
    pub fn ge(a: &Lin, b: &Lin) -> Option<Formula> {
        Some(Formula::Ge(a.sub(b)?))
    }

    /// `a > b`.
    pub fn gt(a: &Lin, b: &Lin) -> Option<Formula> {
        let mut d = a.sub(b)?;
        d.constant = d.constant.checked_add(&Poly::constant(-1))?;
        Some(Formula::Ge(d))
    }

    /// Both.
    pub fn and(self, other: Formula) -> Formula {
        match (self, other) {
            (Formula::True, f) | (f, Formula::True) => f,
            (Formula::False, _) | (_, Formula::False) => Formula::False,
            (Formula::And(mut a), f) => {
                a.push(f);
                Formula::And(a)
            }
            (a, b) => Formula::And(vec![a, b]),
        }
    }

    /// Either.
    pub fn or(self, other: Formula) -> Formula {
        match (self, other) {
            (Formula::False, f) | (f, Formula::False) => f,
            (Formula::True, _) | (_, Formula::True) => Formula::True,
            (a, b) => Formula::Or(vec![a, b]),
        }
    }

    /// The complement.
    #[allow(clippy::should_implement_trait)]
    pub fn not(self) -> Formula {
        match self {
            Formula::True => Formula::False,
            Formula::False => Formula::True,
            Formula::Not(f) => *f,
            f => Formula::Not(Box::new(f)),
        }
    }

    /// Every linear form in it.
    pub fn visit(&self, f: &mut impl FnMut(&Lin)) {
        match self {
            Formula::True | Formula::False => {}
            Formula::Ge(l) => f(l),
            Formula::And(fs) | Formula::Or(fs) => fs.iter().for_each(|x| x.visit(f)),
            Formula::Not(x) => x.visit(f),
        }
    }

    /// The same with every form replaced.
    pub fn map(&self, f: &mut impl FnMut(&Lin) -> Lin) -> Formula {
        match self {
            Formula::True => Formula::True,
            Formula::False => Formula::False,
            Formula::Ge(l) => Formula::Ge(f(l)),
            Formula::And(fs) => Formula::And(fs.iter().map(|x| x.map(f)).collect()),
            Formula::Or(fs) => Formula::Or(fs.iter().map(|x| x.map(f)).collect()),
            Formula::Not(x) => Formula::Not(Box::new(x.map(f))),
        }
    }

    /// Disjunctive normal form: a list of conjunctions of forms that are all at least 0. `None` above the limit.
    fn dnf(&self, positive: bool) -> Option<Vec<Vec<Lin>>> {
        let all = match (self, positive) {
            (Formula::True, true) | (Formula::False, false) => vec![vec![]],
            (Formula::False, true) | (Formula::True, false) => vec![],
            (Formula::Ge(l), true) => vec![vec![l.clone()]],
            (Formula::Ge(l), false) => {
                // not (l >= 0) is -l - 1 >= 0: everything is an integer.
                let mut n = l.scale(&Poly::constant(-1))?;
                n.constant = n.constant.checked_add(&Poly::constant(-1))?;
                vec![vec![n]]
            }
            (Formula::Not(f), _) => f.dnf(!positive)?,
            (Formula::And(fs), true) | (Formula::Or(fs), false) => {
                let mut out: Vec<Vec<Lin>> = vec![vec![]];
                for f in fs {
                    let part = f.dnf(positive)?;
                    let mut next = vec![];
                    for a in &out {
                        for b in &part {
                            next.push([a.clone(), b.clone()].concat());
                        }
                    }
                    out = next;
                    if out.len() > LIMIT {
                        return None;
                    }
                }
                out
            }
            (Formula::Or(fs), true) | (Formula::And(fs), false) => {
                let mut out = vec![];
                for f in fs {
                    out.extend(f.dnf(positive)?);
                }
                out
            }
        };
        (all.len() <= LIMIT).then_some(all)
    }

    /// Whether the set is proved empty.
    pub fn is_empty(&self, atoms: &Atoms) -> bool {
        self.dnf(true).is_some_and(|d| d.iter().all(|c| System::new(c, atoms).is_none_or(|s| s.contradicts())))
    }

    /// Whether the two sets are proved equal.
    pub fn equals(&self, other: &Formula, atoms: &Atoms) -> bool {
        self == other || (self.within(other, atoms) && other.within(self, atoms))
    }

    /// Whether every point of this set is proved to lie in the other.
    pub fn within(&self, other: &Formula, atoms: &Atoms) -> bool {
        self.clone().and(other.clone().not()).is_empty(atoms)
    }

    /// Whether for every value of the other atoms some value of `bound` lies in the set: each row keeps an entry.
    pub fn covers(&self, bound: &BTreeSet<Atom>, atoms: &Atoms) -> bool {
        let Some(disjuncts) = self.dnf(true) else { return false };
        disjuncts.iter().any(|c| match System::new(c, atoms) {
            Some(system) => system.projection_is_full(bound),
            None => false,
        })
    }
}

/// A variable of a difference system.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Var {
    Zero,
    Atom(Atom),
    /// A symbolic size.
    Size(Poly),
}

/// `x - y <= bound` for pairs of variables, closed under shortest paths.
struct System {
    vars: Vec<Var>,
    dist: Vec<Vec<i64>>,
    /// The same without the conjunction's own constraints: what the ranges alone say.
    ranges: Vec<Vec<i64>>,
    /// Constraints that are no differences.
    opaque: Vec<Lin>,
}

const FAR: i64 = i64::MAX / 4;

impl System {
    /// The constraints of a conjunction with the ranges of its atoms. `None`: a constraint on constants alone is false.
    fn new(conjunction: &[Lin], atoms: &Atoms) -> Option<System> {
        let mut vars: BTreeSet<Var> = [Var::Zero].into();
        let conjunction: Vec<Lin> = conjunction.iter().map(|l| atoms.resolve(l)).collect();
        let mut edges = vec![];
        let mut opaque = vec![];
        for l in &conjunction {
            match difference(l) {
                Some((None, None, c)) if c < 0 => return None,
                Some((None, None, _)) => {}
                // x - y + c >= 0 is y - x <= c
                Some((x, y, c)) => {
                    let (x, y) = (x.unwrap_or(Var::Zero), y.unwrap_or(Var::Zero));
                    vars.extend([x.clone(), y.clone()]);
                    edges.push((y, x, c));
                }
                None => opaque.push(l.clone()),
            }
        }
        // Atoms that occur only in opaque constraints matter to the projection.
        for l in &opaque {
            vars.extend(l.terms.keys().map(|a| Var::Atom(*a)));
        }
        let mut ranges = vec![];
        for v in vars.clone() {
            let Var::Atom(a) = v else { continue };
            ranges.push((Var::Zero, v.clone(), 0));
            let size = atoms.size(a);
            match size.as_constant() {
                Some(n) => ranges.push((v, Var::Zero, n - 1)),
                None => {
                    vars.insert(Var::Size(size.clone()));
                    ranges.push((v, Var::Size(size.clone()), -1));
                }
            }
        }
        for v in &vars {
            if let Var::Size(p) = v {
                let (lo, hi) = p.bounds(atoms.symbols());
                ranges.push((Var::Zero, v.clone(), -lo.max(0)));
                if hi < FAR {
                    ranges.push((v.clone(), Var::Zero, hi));
                }
            }
        }
        let vars: Vec<Var> = vars.into_iter().collect();
        let at = |v: &Var| vars.binary_search(v).expect("collected above");
        let mut dist = vec![vec![FAR; vars.len()]; vars.len()];
        for (i, row) in dist.iter_mut().enumerate() {
            row[i] = 0;
        }
        for (x, y, c) in &ranges {
            let cell = &mut dist[at(x)][at(y)];
            *cell = (*cell).min(*c);
        }
        let mut bare = dist.clone();
        close(&mut bare);
        for (x, y, c) in &edges {
            let cell = &mut dist[at(x)][at(y)];
            *cell = (*cell).min(*c);
        }
        close(&mut dist);
        Some(System { vars, dist, ranges: bare, opaque })
    }

    fn contradicts(&self) -> bool {
        let negative = (0..self.vars.len()).any(|i| self.dist[i][i] < 0);
        // l >= 0 and -l - 1 >= 0 together are impossible whatever l is.
        negative
            || self.opaque.iter().any(|l| {
                let other = l.scale(&Poly::constant(-1)).map(|mut n| {
                    n.constant = n.constant - Poly::constant(1);
                    n
                });
                other.is_some_and(|n| self.opaque.contains(&n))
            })
    }

    /// Whether the projection onto the variables outside `bound` says no more than their ranges do. Shortest paths make the
    /// projection of a difference system exact over the integers.
    fn projection_is_full(&self, bound: &BTreeSet<Atom>) -> bool {
        let n = self.vars.len();
        let kept: Vec<usize> =
            (0..n).filter(|i| !matches!(&self.vars[*i], Var::Atom(a) if bound.contains(a))).collect();
        // Ranges may be empty only if they are empty by themselves.
        self.opaque.is_empty()
            && (0..n).all(|i| self.dist[i][i] >= 0)
            && kept.iter().all(|i| kept.iter().all(|j| self.dist[*i][*j] >= self.ranges[*i][*j]))
            && self.bound_sizes_positive(bound)
    }

    fn bound_sizes_positive(&self, bound: &BTreeSet<Atom>) -> bool {
        // A bound atom over an empty axis keeps nothing.
        let zero = self.vars.iter().position(|v| *v == Var::Zero).expect("always there");
        bound.iter().all(|a| match self.vars.iter().position(|v| *v == Var::Atom(*a)) {
            Some(i) => self.ranges[i][zero] >= 0,
            None => true,
        })
    }
}

fn close(dist: &mut [Vec<i64>]) {
    let n = dist.len();
    for k in 0..n {
        for i in 0..n {
            for j in 0..n {
                let through = dist[i][k].saturating_add(dist[k][j]);
                if dist[i][k] < FAR && dist[k][j] < FAR && through < dist[i][j] {
                    dist[i][j] = through;
                }
            }
        }
    }
}

/// Reads `x - y + c` with at most one variable of each sign and coefficients of one; a symbolic constant is a variable too.
fn difference(l: &Lin) -> Option<(Option<Var>, Option<Var>, i64)> {
    let (mut plus, mut minus) = (None, None);
    let mut place = |v: Var, coefficient: i64| -> Option<()> {
        let slot = match coefficient {
            1 => &mut plus,
            -1 => &mut minus,
            _ => return None,
        };
        slot.is_none().then(|| *slot = Some(v))
    };
    for (a, c) in &l.terms {
        place(Var::Atom(*a), c.as_constant()?)?;
    }
    let mut constant = 0i64;
    for (monomial, c) in l.constant.terms() {
        match monomial {
            [] => constant = c,
            [(tricot_types::Atom::Symbol(s), 1)] => place(Var::Size(Poly::symbol(s.clone())), c)?,
            _ => return None,
        }
    }
    Some((plus, minus, constant))
}

/// The set where `hit` holds over a static box, as a conjunction of difference constraints over `index`, or the complement of one.
/// Checked at every entry; `None` where there is no such set.
pub fn fit(shape: &[u64], hit: &[bool], index: &[Lin]) -> Option<Formula> {
    let hits = hit.iter().filter(|h| **h).count();
    match hits {
        0 => return Some(Formula::False),
        n if n == hit.len() => return Some(Formula::True),
        _ => {}
    }
    hull(shape, hit, true, index).or_else(|| hull(shape, hit, false, index).map(Formula::not))
}

fn hull(shape: &[u64], hit: &[bool], wanted: bool, index: &[Lin]) -> Option<Formula> {
    let axes: Vec<usize> = (0..shape.len()).filter(|a| shape[*a] > 1).collect();
    // Axis -1 is the constant 0, so bounds of single positions are differences too.
    let n = axes.len();
    let position = |p: &[i64], a: usize| if a == n { 0 } else { p[axes[a]] };
    let mut least = vec![vec![i64::MAX; n + 1]; n + 1];
    walk(shape, |at, p| {
        if hit[at] == wanted {
            for a in 0..=n {
                for b in 0..=n {
                    let d = position(p, a) - position(p, b);
                    least[a][b] = least[a][b].min(d);
                }
            }
        }
        true
    });
    let inside = |p: &[i64]| (0..=n).all(|a| (0..=n).all(|b| position(p, a) - position(p, b) >= least[a][b]));
    if !walk(shape, |at, p| (hit[at] == wanted) == inside(p)) {
        return None;
    }
    let mut out = Formula::True;
    let lin = |a: usize| if a == n { Lin::default() } else { index[axes[a]].clone() };
    for a in 0..=n {
        for b in 0..=n {
            // What the axes' ranges say anyway is left out.
            let range = |x: usize| if x == n { (0, 0) } else { (0, shape[axes[x]] as i64 - 1) };
            if a == b || least[a][b] <= range(a).0 - range(b).1 {
                continue;
            }
            let mut form = lin(a).sub(&lin(b))?;
            form.constant = form.constant - Poly::constant(least[a][b]);
            out = out.and(Formula::Ge(form));
        }
    }
    Some(out)
}

/// Visits every position of a box in row-major order while `visit` says true; whether all were visited.
fn walk(shape: &[u64], mut visit: impl FnMut(usize, &[i64]) -> bool) -> bool {
    let total: u64 = shape.iter().product();
    let mut p = vec![0i64; shape.len()];
    for at in 0..total as usize {
        if !visit(at, &p) {
            return false;
        }
        for a in (0..shape.len()).rev() {
            p[a] += 1;
            if p[a] < shape[a] as i64 {
                break;
            }
            p[a] = 0;
        }
    }
    true
}

/// The linear form a constant of whole numbers is of its index, checked at every entry.
pub fn fit_linear(constant: &Constant, index: &[Lin]) -> Option<Lin> {
    let values: Vec<i64> = match constant.dtype.is_float() {
        true => {
            let floats = constant.to_f64();
            floats.iter().map(|v| (v.fract() == 0.0 && v.abs() < 1e15).then_some(*v as i64)).collect::<Option<_>>()?
        }
        false => constant.to_i64(),
    };
    let shape = &constant.shape;
    let first = *values.first()?;
    let mut stride = 1usize;
    let mut slopes = vec![0i64; shape.len()];
    for a in (0..shape.len()).rev() {
        if shape[a] > 1 {
            slopes[a] = values[stride].checked_sub(first)?;
        }
        stride *= shape[a] as usize;
    }
    let value = |p: &[i64]| p.iter().zip(&slopes).try_fold(first, |s, (x, m)| s.checked_add(x.checked_mul(*m)?));
    if !walk(shape, |at, p| value(p) == Some(values[at])) {
        return None;
    }
    let mut out = Lin::constant(Poly::constant(first));
    for (l, m) in index.iter().zip(&slopes) {
        out = out.add(&l.scale(&Poly::constant(*m))?)?;
    }
    Some(out)
}

/// Index points where the formula holds, for reports: the forms as `a - b + c >= 0`.
pub fn text(f: &Formula, name: &dyn Fn(Atom) -> String) -> String {
    match f {
        Formula::True => "all".into(),
        Formula::False => "none".into(),
        Formula::Ge(l) => {
            let mut out = String::new();
            for (a, c) in &l.terms {
                let c = c.to_string();
                out += &match c.as_str() {
                    "1" => format!(" + {}", name(*a)),
                    "-1" => format!(" - {}", name(*a)),
                    _ => format!(" + {c}*{}", name(*a)),
                };
            }
            let c = if l.constant.is_zero() { String::new() } else { format!(" + {}", l.constant) };
            format!("{}{c} >= 0", out.trim_start_matches(" + ").trim_start())
        }
        Formula::And(fs) => fs.iter().map(|x| text(x, name)).collect::<Vec<_>>().join(" and "),
        Formula::Or(fs) => format!("({})", fs.iter().map(|x| text(x, name)).collect::<Vec<_>>().join(" or ")),
        Formula::Not(x) => format!("not ({})", text(x, name)),
    }
}

/// Variables a formula mentions.
pub fn atoms_of(f: &Formula) -> BTreeSet<Atom> {
    let mut out = BTreeSet::new();
    f.visit(&mut |l| out.extend(l.terms.keys().copied()));
    out
}

/// Renames atoms.
pub fn rename(f: &Formula, map: &BTreeMap<Atom, Atom>) -> Formula {
    f.map(&mut |l| Lin {
        terms: l.terms.iter().map(|(a, c)| (*map.get(a).unwrap_or(a), c.clone())).collect(),
        constant: l.constant.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(i: &Lin, j: &Lin, w: i64) -> Formula {
        let near = i.sub(j).unwrap();
        let mut far = j.sub(i).unwrap();
        far.constant = Poly::constant(w - 1);
        Formula::Ge(near).and(Formula::Ge(far))
    }

    #[test]
    fn windows_are_equal_as_sets_only() {
        let mut atoms = Atoms::default();
        let s = Poly::constant(20);
        let (i, j) = (Lin::atom(atoms.fresh(s.clone())), Lin::atom(atoms.fresh(s)));
        let a = window(&i, &j, 5);
        // The same by complements: not (j > i or j <= i - 5).
        let outside =
            Formula::gt(&j, &i).unwrap().or(Formula::ge(&i, &j.add(&Lin::constant(5.into())).unwrap()).unwrap());
        assert!(a.equals(&outside.not(), &atoms));
        assert!(!a.equals(&window(&i, &j, 6), &atoms));
        // A window as long as the sequence is no window.
        assert!(window(&i, &j, 20).equals(&Formula::ge(&i, &j).unwrap(), &atoms));
        assert!(a.covers(&[1].into(), &atoms));
        // Strictly causal: the first row keeps nothing.
        assert!(!Formula::gt(&i, &j).unwrap().covers(&[1].into(), &atoms));
    }

    #[test]
    fn symbolic_causal_masks_cover() {
        let s = Poly::symbol(tricot_types::Symbol::new("s").unwrap());
        let mut atoms = Atoms::default();
        let (i, j) = (Lin::atom(atoms.fresh(s.clone())), Lin::atom(atoms.fresh(s)));
        assert!(Formula::ge(&i, &j).unwrap().covers(&[1].into(), &atoms));
        assert!(Formula::ge(&i, &j).unwrap().equals(&Formula::gt(&j, &i).unwrap().not(), &atoms));
    }

    #[test]
    fn constants_are_fitted_and_checked() {
        let mut atoms = Atoms::default();
        let index: Vec<Lin> = (0..2).map(|_| Lin::atom(atoms.fresh(Poly::constant(7)))).collect();
        let mut hit: Vec<bool> = (0..49).map(|n| n / 7 >= n % 7 && n / 7 - n % 7 < 3).collect();
        let f = fit(&[7, 7], &hit, &index).unwrap();
        assert!(f.equals(&window(&index[0], &index[1], 3), &atoms));
        let outside: Vec<bool> = hit.iter().map(|h| !h).collect();
        assert!(fit(&[7, 7], &outside, &index).unwrap().not().equals(&f, &atoms));
        hit[24] = false;
        assert!(fit(&[7, 7], &hit, &index).is_none());
    }
}
