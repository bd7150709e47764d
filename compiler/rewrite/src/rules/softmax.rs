//! Spelled softmax becomes `nn.softmax`.

use crate::lang::Found;
use crate::views::{axis_atoms, rearrange, term_atoms};
use tricot_dialects::Attrs;
use tricot_proof::lin::Lin;
use tricot_proof::sem::{Depth, Factor, Sem};
use tricot_proof::{Bank, TermId};
use tricot_types::Poly;

pub fn find(bank: &mut Bank, term: TermId, out: &mut Vec<Found>) {
    if (bank.is_map(term, "div") || bank.is_map(term, "mul"))
        && let Some(to) = raise(bank, term)
    {
        out.push(Found::new("softmax", term, to));
    }
}

fn raise(bank: &mut Bank, term: TermId) -> Option<TermId> {
    let mut sem = Sem::new(bank, Depth::Weights);
    let index = sem.free_index(term);
    let p = sem.element(term, &index);
    let [Factor::Soft(soft)] = p.factors.as_slice() else { return None };
    let [body] = soft.body.terms.as_slice() else { return None };
    let [Factor::Element { term: x, index: inner }] = body.factors.as_slice() else { return None };
    if p.coefficient != 1.0 || !p.sums.is_empty() || body.coefficient != 1.0 || !body.sums.is_empty() {
        return None;
    }
    let atoms = std::mem::take(&mut sem.atoms);
    let x = *x;
    let ty = bank.ty(x).clone();
    let bound: Vec<u32> = soft.bound.iter().flat_map(|(b, _)| b.terms.keys().copied()).collect();
    // Axes that are reduced, and where the weight is taken along them.
    let mut reduced = vec![];
    let mut at: Vec<Lin> = vec![];
    for (position, l) in inner.iter().enumerate() {
        let touched = l.terms.keys().any(|a| bound.contains(a));
        if touched {
            let mut image = Lin::default();
            for (a, c) in &l.terms {
                let (_, to) = soft.bound.iter().find(|(b, _)| b.single() == Some(*a))?;
                image = image.add(&to.scale(c)?)?;
            }
            reduced.push(position);
            at.push(image);
        }
    }
    let kept: Vec<usize> = (0..inner.len()).filter(|p| !reduced.contains(p)).collect();
    let want: Option<Vec<_>> =
        index.iter().zip(&bank.ty(term).shape.clone()).map(|(l, d)| axis_atoms(&atoms, l, d)).collect();
    let (weights, have) = match reduced.as_slice() {
        [] => return None,
        [axis] => {
            let s = bank.op("nn.softmax", Attrs::new().with("axis", *axis as i64), &[x]).ok()?;
            let mut places = inner.clone();
            places[*axis] = at[0].clone();
            (s, term_atoms(bank, &atoms, s, &places)?)
        }
        many => {
            let perm: Vec<i64> = kept.iter().chain(many).map(|p| *p as i64).collect();
            let turned = bank.transpose(x, &perm).ok()?;
            let mut shape: Vec<Poly> = kept.iter().map(|p| ty.shape[*p].clone()).collect();
            shape.push(many.iter().map(|p| ty.shape[*p].clone()).product());
            let flat = bank.reshape(turned, &shape).ok()?;
            let s = bank.op("nn.softmax", Attrs::new().with("axis", kept.len() as i64), &[flat]).ok()?;
            let mut together = Lin::default();
            for (l, p) in at.iter().zip(many) {
                together = together.scale(&ty.shape[*p])?.add(l)?;
            }
            let mut places: Vec<Lin> = kept.iter().map(|p| inner[*p].clone()).collect();
            places.push(together);
            (s, term_atoms(bank, &atoms, s, &places)?)
        }
    };
    rearrange(bank, &atoms, weights, &have, &want?)
}
