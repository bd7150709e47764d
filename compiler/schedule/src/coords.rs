//! Coordinates of tensor elements as [`Index`] expressions: sums, scaling, and the change of shape.

use tricot_kernel::{Index, LoopVar};
use tricot_types::Poly;

/// A constant coordinate.
pub fn constant(p: impl Into<Poly>) -> Index {
    Index::zero().shifted(p)
}

/// The coordinate that is a loop variable.
pub fn var(v: LoopVar) -> Index {
    Index::zero().plus(v, 1)
}

/// Sum of two coordinates.
pub fn add(a: &Index, b: &Index) -> Index {
    let mut out = a.clone().shifted(b.offset.clone());
    for (v, s) in &b.affine {
        out = out.plus(*v, s.clone());
    }
    for (e, s) in &b.dynamic {
        match out.dynamic.iter_mut().find(|(x, _)| x == e) {
            Some((_, old)) => *old = old.clone() + s.clone(),
            None => out.dynamic.push((*e, s.clone())),
        }
    }
    out.dynamic.retain(|(_, s)| !s.is_zero());
    out
}

/// A coordinate times a size.
pub fn scale(a: &Index, by: &Poly) -> Index {
    if by.is_zero() {
        return Index::zero();
    }
    Index {
        offset: a.offset.clone() * by.clone(),
        affine: a.affine.iter().map(|(v, s)| (*v, s.clone() * by.clone())).collect(),
        dynamic: a.dynamic.iter().map(|(e, s)| (*e, s.clone() * by.clone())).collect(),
    }
}

/// Row-major strides in elements.
pub fn strides(shape: &[Poly]) -> Vec<Poly> {
    let mut out = vec![Poly::constant(1); shape.len()];
    for i in (1..shape.len()).rev() {
        out[i - 1] = out[i].clone() * shape[i].clone();
    }
    out
}

/// Row-major element number.
pub fn linear(at: &[Index], shape: &[Poly]) -> Index {
    let strides = strides(shape);
    at.iter().zip(&strides).fold(Index::zero(), |sum, (c, s)| add(&sum, &scale(c, s)))
}

/// Runs of axes of two shapes of equal size that hold the same elements: (axes of `from`, axes of `to`). Axes of size 1 are
/// left out.
pub fn groups(from: &[Poly], to: &[Poly]) -> Vec<(Vec<usize>, Vec<usize>)> {
    let real = |s: &[Poly]| s.iter().enumerate().filter(|(_, d)| !d.is_one()).map(|(i, _)| i).collect::<Vec<_>>();
    let (f, t) = (real(from), real(to));
    let (mut i, mut j, mut out) = (0, 0, vec![]);
    while i < f.len() || j < t.len() {
        let (mut fs, mut ts) = (vec![], vec![]);
        let (mut pf, mut pt) = (Poly::constant(1), Poly::constant(1));
        loop {
            // Extend the side that is behind: the one whose product divides the other's, else whichever has axes left.
            let from_behind = match (pf.as_constant(), pt.as_constant()) {
                (Some(a), Some(b)) => a <= b,
                _ => pt.exact_div(&pf).is_some() || pf.exact_div(&pt).is_none() && fs.len() <= ts.len(),
            };
            if (from_behind || j >= t.len()) && i < f.len() {
                pf = pf * from[f[i]].clone();
                fs.push(f[i]);
                i += 1;
            } else if j < t.len() {
                pt = pt * to[t[j]].clone();
                ts.push(t[j]);
                j += 1;
            } else {
                break;
            }
            if pf == pt {
                break;
            }
        }
        out.push((fs, ts));
    }
    out
}
