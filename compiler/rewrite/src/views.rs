//! Building data movement from index forms: the shortest chain that takes an element from where a form says.

use tricot_proof::lin::{Atom, Atoms, Lin};
use tricot_proof::{Bank, TermId};
use tricot_types::Poly;

/// The atoms of an index form that sweeps a whole axis, outermost first. `None` for offsets, gaps and overlaps.
pub fn axis_atoms(atoms: &Atoms, lin: &Lin, size: &Poly) -> Option<Vec<Atom>> {
    let lin = atoms.resolve(lin);
    if !lin.constant.is_zero() {
        return None;
    }
    let parts = lin.components()?;
    let mut stride = Poly::constant(1);
    for (atom, c) in parts.iter().rev() {
        if *c != stride {
            return None;
        }
        stride = stride.checked_mul(atoms.size(*atom))?;
    }
    (stride == *size).then(|| parts.into_iter().map(|(a, _)| a).collect())
}

/// The atoms of every axis of a term read at `index`.
pub fn term_atoms(bank: &Bank, atoms: &Atoms, term: TermId, index: &[Lin]) -> Option<Vec<Vec<Atom>>> {
    let shape = &bank.ty(term).shape;
    index.iter().zip(shape).map(|(l, d)| axis_atoms(atoms, l, d)).collect()
}

fn sizes(atoms: &Atoms, list: &[Atom]) -> Poly {
    list.iter().map(|a| atoms.size(*a).clone()).product()
}

/// `term`, whose axes are `have`, as a tensor with axes `want`; an atom `want` has and `have` lacks is broadcast. `None` where `have`
/// has an atom twice or one that `want` lacks.
pub fn rearrange(
    bank: &mut Bank,
    atoms: &Atoms,
    term: TermId,
    have: &[Vec<Atom>],
    want: &[Vec<Atom>],
) -> Option<TermId> {
    let target: Vec<Poly> = want.iter().map(|w| sizes(atoms, w)).collect();
    let flat_have: Vec<Atom> = have.iter().flatten().copied().collect();
    let flat_want: Vec<Atom> = want.iter().flatten().copied().collect();
    let distinct = |list: &[Atom]| (0..list.len()).all(|i| !list[..i].contains(&list[i]));
    if !distinct(&flat_have) || !distinct(&flat_want) || flat_have.iter().any(|a| !flat_want.contains(a)) {
        return None;
    }
    // A single broadcast where every axis moves as a whole and the target needs no merging.
    let whole = |axis: &Vec<Atom>| want.iter().position(|w| w == axis && !w.is_empty());
    let missing = flat_want.iter().any(|a| !flat_have.contains(a));
    if missing {
        let kept: Vec<&Vec<Atom>> = have.iter().filter(|h| !h.is_empty()).collect();
        let places: Option<Vec<i64>> = kept.iter().map(|h| whole(h).map(|p| p as i64)).collect();
        let shape: Vec<Poly> = kept.iter().map(|h| sizes(atoms, h)).collect();
        if let Some(places) = places {
            let x = bank.reshape(term, &shape).ok()?;
            return bank.broadcast(x, &target, &places).ok();
        }
    } else if want.len() == have.len() && have.iter().all(|h| h.is_empty() || whole(h).is_some()) {
        // A single transpose; axes of size 1 fill the places left in order.
        let mut unit = (0..have.len()).filter(|h| have[*h].is_empty());
        let perm: Option<Vec<i64>> = want
            .iter()
            .map(|w| match w.is_empty() {
                true => unit.next().map(|p| p as i64),
                false => have.iter().position(|h| h == w).map(|p| p as i64),
            })
            .collect();
        if let Some(perm) = perm
            && unit.next().is_none()
        {
            return bank.transpose(term, &perm).ok();
        }
    }
    let fine: Vec<Poly> = flat_have.iter().map(|a| atoms.size(*a).clone()).collect();
    let order: Vec<Atom> = flat_want.iter().copied().filter(|a| flat_have.contains(a)).collect();
    let moved = if order == flat_have {
        term
    } else {
        let x = bank.reshape(term, &fine).ok()?;
        let at = |a: &Atom| flat_have.iter().position(|h| h == a);
        let perm: Option<Vec<i64>> = order.iter().map(|a| at(a).map(|p| p as i64)).collect();
        bank.transpose(x, &perm?).ok()?
    };
    if !missing {
        return bank.reshape(moved, &target).ok();
    }
    let shape: Vec<Poly> = order.iter().map(|a| atoms.size(*a).clone()).collect();
    let x = bank.reshape(moved, &shape).ok()?;
    let full: Vec<Poly> = flat_want.iter().map(|a| atoms.size(*a).clone()).collect();
    let places: Option<Vec<i64>> =
        order.iter().map(|a| flat_want.iter().position(|w| w == a).map(|p| p as i64)).collect();
    let x = bank.broadcast(x, &full, &places?).ok()?;
    bank.reshape(x, &target).ok()
}
