//! The normal form of an element: sums of products of elements and softmax weights.
//!
//! The central type is [`Prod`]. Knows how to multiply; [`crate::sem`] makes them.

use crate::lin::{Atom, Lin};
use crate::region::Formula;
use crate::term::TermId;

/// A product of elements, summed over some atoms.
#[derive(Clone, PartialEq, Debug)]
pub struct Prod {
    pub coefficient: f64,
    pub sums: Vec<Atom>,
    pub factors: Vec<Factor>,
}

/// A factor of a product.
#[derive(Clone, PartialEq, Debug)]
pub enum Factor {
    /// An element of a term that is not looked into.
    Element { term: TermId, index: Vec<Lin> },
    /// A softmax weight.
    Soft(Box<Soft>),
}

/// A weight: `exp(logit at) / sum over bound of exp(logit)`.
#[derive(Clone, PartialEq, Debug)]
pub struct Soft {
    /// The reduced index, and where the weight is taken: pairs of equal range.
    pub bound: Vec<(Lin, Lin)>,
    pub body: Body,
}

/// Logits: a sum of products where the mask holds, negligible elsewhere.
#[derive(Clone, PartialEq, Debug)]
pub struct Body {
    pub terms: Vec<Prod>,
    pub mask: Formula,
    /// The largest value masked entries may have; -inf where there are none.
    pub fill: f64,
}

/// Every term a product reads elements of.
pub(crate) fn leaf_terms(p: &Prod, out: &mut Vec<TermId>) {
    for f in &p.factors {
        match f {
            Factor::Element { term, .. } => out.push(*term),
            Factor::Soft(soft) => soft.body.terms.iter().for_each(|t| leaf_terms(t, out)),
        }
    }
}

/// Whether a softmax weight is among the factors.
pub(crate) fn has_weight(p: &Prod) -> bool {
    p.factors.iter().any(|f| matches!(f, Factor::Soft(_)))
}

/// `by` times the product of `parts`, summed over the atoms of `over`.
pub(crate) fn summed(by: f64, over: &[&Lin], parts: Vec<Prod>) -> Prod {
    let mut out = multiply(parts);
    out.coefficient *= by;
    out.sums.extend(over.iter().filter_map(|l| l.single()));
    out
}

/// The product of products.
pub(crate) fn multiply(parts: Vec<Prod>) -> Prod {
    let mut out = Prod { coefficient: 1.0, sums: vec![], factors: vec![] };
    for p in parts {
        out.coefficient *= p.coefficient;
        out.sums.extend(p.sums);
        out.factors.extend(p.factors);
    }
    out
}
