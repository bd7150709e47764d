//! Einstein sums in canonical form: products, sums, scales and views of several tensors become one `core.contract`.

use crate::lang::Found;
use crate::views::{axis_atoms, rearrange, term_atoms};
use std::collections::BTreeMap;
use tricot_dialects::scalar::round_float;
use tricot_proof::lin::{Atom, Lin};
use tricot_proof::sem::{Depth, Factor, Sem};
use tricot_proof::{Bank, TermId};
use tricot_types::{DType, Poly};

pub fn find(bank: &mut Bank, term: TermId, out: &mut Vec<Found>) {
    let sums = bank.is(term, "core.contract") || bank.is(term, "core.reduce");
    if sums && let Some(to) = canonical(bank, term) {
        out.push(Found::new("contract", term, to));
    }
}

/// Letters for axes, in order.
pub fn letter(n: usize) -> Option<char> {
    ('a'..='z').chain('A'..='Z').nth(n)
}

fn canonical(bank: &mut Bank, term: TermId) -> Option<TermId> {
    let ty = bank.ty(term).clone();
    if !ty.dtype.is_float() {
        return None;
    }
    let mut sem = Sem::new(bank, Depth::Products);
    let index = sem.free_index(term);
    let element = sem.element(term, &index);
    let atoms = std::mem::take(&mut sem.atoms);
    let want: Option<Vec<Vec<Atom>>> = index.iter().zip(&ty.shape).map(|(l, d)| axis_atoms(&atoms, l, d)).collect();
    let want = want?;
    let mut coefficient = element.coefficient;
    let mut operands: Vec<(TermId, Vec<Vec<Atom>>)> = vec![];
    for f in &element.factors {
        let Factor::Element { term: leaf, index } = f else { return None };
        if bank.ty(*leaf).encoding.is_some() || *leaf == term {
            return None;
        }
        operands.push((*leaf, leaf_atoms(bank, &atoms, *leaf, index)?));
    }
    let used: Vec<Atom> = operands.iter().flat_map(|(_, axes)| axes.iter().flatten().copied()).collect();
    for s in &element.sums {
        if !used.contains(s) {
            coefficient *= atoms.size(*s).as_constant()? as f64;
        }
    }
    let is_contract = bank.is(term, "core.contract");
    let summed = element.sums.iter().any(|s| used.contains(s));
    if !summed || (operands.len() < 2 && !is_contract) {
        return None;
    }
    operands.sort_by_key(|(t, axes)| (*t, axes.clone()));
    // One axis per atom where an axis is merged of several or has one element.
    let mut values = vec![];
    for (leaf, axes) in &operands {
        let fine: Vec<Poly> = axes.iter().flatten().map(|a| atoms.size(*a).clone()).collect();
        values.push(bank.reshape(*leaf, &fine).ok()?);
    }
    let result: Vec<Atom> = want.iter().flatten().copied().filter(|a| used.contains(a)).collect();
    let mut names: BTreeMap<Atom, char> = BTreeMap::new();
    for a in result.iter().chain(&used) {
        let next = letter(names.len())?;
        names.entry(*a).or_insert(next);
    }
    let text = |list: Vec<Atom>| list.iter().map(|a| names[a]).collect::<String>();
    let parts: Vec<String> = operands.iter().map(|(_, axes)| text(axes.iter().flatten().copied().collect())).collect();
    let spec = format!("{}->{}", parts.join(","), text(result.clone()));
    let y = bank.contract(&spec, &values, ty.dtype).ok()?;
    let have: Vec<Vec<Atom>> = result.iter().map(|a| vec![*a]).collect();
    let mut y = rearrange(bank, &atoms, y, &have, &want)?;
    if coefficient != 1.0 {
        y = scaled(bank, y, coefficient)?;
    }
    Some(y)
}

/// `x` times a number its type holds.
pub fn scaled(bank: &mut Bank, x: TermId, by: f64) -> Option<TermId> {
    let ty = bank.ty(x).clone();
    if ty.dtype != DType::F64 && round_float(ty.dtype, by, false) != by {
        return None;
    }
    let c = bank.full(ty.dtype, by, &ty.shape).ok()?;
    bank.map("mul", &[x, c]).ok()
}

/// As [`term_atoms`], but a diagonal may name an atom twice.
fn leaf_atoms(bank: &Bank, atoms: &tricot_proof::lin::Atoms, leaf: TermId, index: &[Lin]) -> Option<Vec<Vec<Atom>>> {
    term_atoms(bank, atoms, leaf, index)
}
