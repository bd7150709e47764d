//! Canonical integer polynomials over symbols: the sizes, strides and offsets of everything.
//!
//! A [`Poly`] is a sum of monomials with integer coefficients, kept sorted and merged, so equality
//! of values is equality of structure. Division enters only as an opaque atom
//! `(p floordiv c)`, reduced when `c` divides `p` exactly. The operators panic when a coefficient
//! overflows; readers of user data use the `checked_*` forms, and evaluation is always checked.

use crate::symbol::{Symbol, SymbolTable};
use std::collections::BTreeMap;

/// Values for symbols, given per run.
pub type Bindings = BTreeMap<Symbol, i64>;

/// An indivisible factor of a monomial.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Atom {
    Symbol(Symbol),
    /// `floor(numerator / divisor)`, divisor > 1.
    FloorDiv(Box<Poly>, i64),
}

/// A product of atoms with positive exponents, sorted by atom; empty for the constant term.
type Monomial = Vec<(Atom, u32)>;

/// A canonical integer polynomial. See the module page.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Poly {
    /// Sorted by monomial, no zero coefficient.
    terms: Vec<(Monomial, i64)>,
}

/// Why a polynomial has no value.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EvalError {
    #[error("symbol `{0}` is not bound")]
    Unbound(Symbol),
    #[error("the value of `{0}` does not fit in 64 bits")]
    Overflow(String),
}

impl Poly {
    /// The constant `value`.
    pub fn constant(value: i64) -> Poly {
        Poly { terms: if value == 0 { vec![] } else { vec![(vec![], value)] } }
    }

    /// The polynomial that is just `symbol`.
    pub fn symbol(symbol: Symbol) -> Poly {
        Poly { terms: vec![(vec![(Atom::Symbol(symbol), 1)], 1)] }
    }

    /// Its value if it mentions no symbol.
    pub fn as_constant(&self) -> Option<i64> {
        match self.terms.as_slice() {
            [] => Some(0),
            [(m, c)] if m.is_empty() => Some(*c),
            _ => None,
        }
    }

    /// The symbol, if the polynomial is exactly one symbol.
    pub fn as_symbol(&self) -> Option<&Symbol> {
        match self.terms.as_slice() {
            [(m, 1)] => match m.as_slice() {
                [(Atom::Symbol(s), 1)] => Some(s),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether it is the constant 1.
    pub fn is_one(&self) -> bool {
        self.as_constant() == Some(1)
    }

    /// Whether it is the constant 0.
    pub fn is_zero(&self) -> bool {
        self.terms.is_empty()
    }

    /// Terms as (monomial, coefficient), in canonical order.
    pub fn terms(&self) -> impl Iterator<Item = (&[(Atom, u32)], i64)> {
        self.terms.iter().map(|(m, c)| (m.as_slice(), *c))
    }

    /// Terms and atoms, nested ones included: what a copy costs. Readers bound it before they multiply.
    pub fn weight(&self) -> usize {
        let atom = |(a, _): &(Atom, u32)| match a {
            Atom::Symbol(_) => 1,
            Atom::FloorDiv(p, _) => 1 + p.weight(),
        };
        self.terms.iter().map(|(m, _)| 1 + m.iter().map(atom).sum::<usize>()).sum()
    }

    fn from_map(map: BTreeMap<Monomial, i64>) -> Poly {
        Poly { terms: map.into_iter().filter(|(_, c)| *c != 0).collect() }
    }

    /// Sum; `None` when a coefficient overflows.
    pub fn checked_add(&self, other: &Poly) -> Option<Poly> {
        let mut map: BTreeMap<Monomial, i64> = self.terms.iter().cloned().collect();
        for (m, c) in &other.terms {
            let slot = map.entry(m.clone()).or_insert(0);
            *slot = slot.checked_add(*c)?;
        }
        Some(Poly::from_map(map))
    }

    /// Product; `None` when a coefficient overflows.
    pub fn checked_mul(&self, other: &Poly) -> Option<Poly> {
        let mut map: BTreeMap<Monomial, i64> = BTreeMap::new();
        for (ma, ca) in &self.terms {
            for (mb, cb) in &other.terms {
                let mut powers: BTreeMap<Atom, u32> = ma.iter().cloned().collect();
                for (a, e) in mb {
                    let slot = powers.entry(a.clone()).or_insert(0);
                    *slot = slot.checked_add(*e)?;
                }
                let slot = map.entry(powers.into_iter().collect()).or_insert(0);
                *slot = slot.checked_add(ca.checked_mul(*cb)?)?;
            }
        }
        Some(Poly::from_map(map))
    }

    /// Negation; `None` on overflow.
    pub fn checked_neg(&self) -> Option<Poly> {
        self.checked_mul(&Poly::constant(-1))
    }

    /// `floor(self / divisor)` for a positive divisor. Terms that `divisor` divides leave the
    /// quotient atom, so `(4*s + 3) floordiv 4` is `s`.
    pub fn floor_div(&self, divisor: i64) -> Poly {
        assert!(divisor > 0, "floor_div needs a positive divisor");
        if divisor == 1 {
            return self.clone();
        }
        let (mut whole, mut rest) = (BTreeMap::new(), BTreeMap::new());
        for (m, c) in &self.terms {
            let (q, r) = (c.div_euclid(divisor), c.rem_euclid(divisor));
            if r == 0 || m.is_empty() {
                whole.insert(m.clone(), q);
                rest.insert(m.clone(), r);
            } else {
                rest.insert(m.clone(), *c);
            }
        }
        let (whole, rest) = (Poly::from_map(whole), Poly::from_map(rest));
        match rest.as_constant() {
            Some(c) => whole + Poly::constant(c.div_euclid(divisor)),
            None => whole + Poly { terms: vec![(vec![(Atom::FloorDiv(Box::new(rest), divisor), 1)], 1)] },
        }
    }

    /// `ceil(self / divisor)` for a positive divisor.
    pub fn ceil_div(&self, divisor: i64) -> Poly {
        (self.clone() + Poly::constant(divisor - 1)).floor_div(divisor)
    }

    /// `self / other` when the division is exact as polynomials (by a constant, a single term, or
    /// an equal factor); `None` otherwise.
    pub fn exact_div(&self, other: &Poly) -> Option<Poly> {
        if self == other && !other.is_zero() {
            return Some(Poly::constant(1));
        }
        let [(divisor, dc)] = other.terms.as_slice() else { return None };
        let mut out = BTreeMap::new();
        for (m, c) in &self.terms {
            if c % dc != 0 {
                return None;
            }
            let mut powers: BTreeMap<Atom, u32> = m.iter().cloned().collect();
            for (a, e) in divisor {
                let have = powers.get_mut(a)?;
                *have = have.checked_sub(*e)?;
                if *have == 0 {
                    powers.remove(a);
                }
            }
            out.insert(powers.into_iter().collect::<Monomial>(), c / dc);
        }
        Some(Poly::from_map(out))
    }

    /// The value under `bindings`, all arithmetic checked.
    pub fn eval(&self, bindings: &Bindings) -> Result<i64, EvalError> {
        let overflow = || EvalError::Overflow(self.to_string());
        let mut sum = 0i64;
        for (m, c) in &self.terms {
            let mut product = *c;
            for (atom, exponent) in m {
                let base = match atom {
                    Atom::Symbol(s) => *bindings.get(s).ok_or_else(|| EvalError::Unbound(s.clone()))?,
                    Atom::FloorDiv(p, d) => p.eval(bindings)?.div_euclid(*d),
                };
                let power = base.checked_pow(*exponent).ok_or_else(overflow)?;
                product = product.checked_mul(power).ok_or_else(overflow)?;
            }
            sum = sum.checked_add(product).ok_or_else(overflow)?;
        }
        Ok(sum)
    }

    /// The value at every symbol's hint, for cost models; symbols missing from the table count 16.
    pub fn hint(&self, table: &SymbolTable) -> f64 {
        let value = |m: &Monomial, c: i64| {
            m.iter().fold(c as f64, |acc, (atom, e)| {
                let base = match atom {
                    Atom::Symbol(s) => table.get(s).map_or(16.0, |i| i.hint as f64),
                    Atom::FloorDiv(p, d) => (p.hint(table) / *d as f64).floor(),
                };
                acc * base.powi(*e as i32)
            })
        };
        self.terms.iter().map(|(m, c)| value(m, *c)).sum()
    }

    /// Interval that contains every legal value, each end saturating at the i64 range.
    pub fn bounds(&self, table: &SymbolTable) -> (i64, i64) {
        let clamp = |v: i128| v.clamp(i64::MIN as i128, i64::MAX as i128);
        let (mut lo, mut hi) = (0i128, 0i128);
        for (m, c) in &self.terms {
            let (mut tlo, mut thi) = (1i128, 1i128);
            for (atom, e) in m {
                let (a, b) = match atom {
                    Atom::Symbol(s) => table.get(s).map_or((0, i64::MAX), |i| (i.min, i.max)),
                    Atom::FloorDiv(p, d) => {
                        let (a, b) = p.bounds(table);
                        (a.div_euclid(*d), b.div_euclid(*d))
                    }
                };
                for _ in 0..*e {
                    let corners = [tlo * a as i128, tlo * b as i128, thi * a as i128, thi * b as i128];
                    tlo = clamp(*corners.iter().min().unwrap());
                    thi = clamp(*corners.iter().max().unwrap());
                }
            }
            let (a, b) = (tlo * *c as i128, thi * *c as i128);
            lo = clamp(lo + a.min(b));
            hi = clamp(hi + a.max(b));
        }
        (lo as i64, hi as i64)
    }

    /// The largest number known to divide every value (0 for the zero polynomial).
    pub fn known_multiple(&self, table: &SymbolTable) -> i64 {
        self.terms.iter().fold(0, |acc, (m, c)| {
            let factor = m.iter().fold(c.unsigned_abs(), |f, (atom, e)| match atom {
                Atom::Symbol(s) => {
                    let k = table.get(s).map_or(1, |i| i.multiple).unsigned_abs();
                    (0..*e).fold(f, |f, _| f.saturating_mul(k))
                }
                Atom::FloorDiv(..) => f,
            });
            gcd(acc, factor.min(i64::MAX as u64) as i64)
        })
    }

    /// Replaces symbols by polynomials; symbols without an entry stay.
    pub fn substitute(&self, with: &BTreeMap<Symbol, Poly>) -> Poly {
        let mut sum = Poly::default();
        for (m, c) in &self.terms {
            let mut product = Poly::constant(*c);
            for (atom, e) in m {
                let factor = match atom {
                    Atom::Symbol(s) => with.get(s).cloned().unwrap_or_else(|| Poly::symbol(s.clone())),
                    Atom::FloorDiv(p, d) => p.substitute(with).floor_div(*d),
                };
                for _ in 0..*e {
                    product = product * factor.clone();
                }
            }
            sum = sum + product;
        }
        sum
    }

    /// Calls `visit` with every symbol mentioned, in canonical order, repeats included.
    pub fn visit_symbols(&self, visit: &mut impl FnMut(&Symbol)) {
        for (m, _) in &self.terms {
            for (atom, _) in m {
                match atom {
                    Atom::Symbol(s) => visit(s),
                    Atom::FloorDiv(p, _) => p.visit_symbols(visit),
                }
            }
        }
    }
}

/// Greatest common divisor; `gcd(0, x)` is `|x|`.
pub fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a.abs() } else { gcd(b, a % b) }
}

impl std::ops::Add for Poly {
    type Output = Poly;
    /// Panics when a coefficient overflows; readers of user data use [`Poly::checked_add`].
    fn add(self, other: Poly) -> Poly {
        self.checked_add(&other).expect("polynomial coefficient overflow")
    }
}

impl std::ops::Sub for Poly {
    type Output = Poly;
    /// Panics when a coefficient overflows.
    fn sub(self, other: Poly) -> Poly {
        self + other.checked_neg().expect("polynomial coefficient overflow")
    }
}

impl std::ops::Mul for Poly {
    type Output = Poly;
    /// Panics when a coefficient overflows; readers of user data use [`Poly::checked_mul`].
    fn mul(self, other: Poly) -> Poly {
        self.checked_mul(&other).expect("polynomial coefficient overflow")
    }
}

impl std::iter::Product for Poly {
    fn product<I: Iterator<Item = Poly>>(iter: I) -> Poly {
        iter.fold(Poly::constant(1), |a, b| a * b)
    }
}

impl std::iter::Sum for Poly {
    fn sum<I: Iterator<Item = Poly>>(iter: I) -> Poly {
        iter.fold(Poly::default(), |a, b| a + b)
    }
}

impl From<i64> for Poly {
    fn from(value: i64) -> Poly {
        Poly::constant(value)
    }
}

impl From<Symbol> for Poly {
    fn from(symbol: Symbol) -> Poly {
        Poly::symbol(symbol)
    }
}
