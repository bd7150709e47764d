//! Onto 2:4 sparsity: products with a selected activation or a 2:4 constant weight.

use crate::lang::Found;
use crate::views::{axis_atoms, rearrange, term_atoms};
use tricot_dialects::Attrs;
use tricot_proof::checker::sparse::is_two_four;
use tricot_proof::lin::Atom;
use tricot_proof::sem::{Depth, Factor, Sem};
use tricot_proof::{Bank, TermId};
use tricot_types::Poly;

/// Constants with fewer elements are not worth compressing.
const SMALL: u64 = 256;

pub fn find(bank: &mut Bank, term: TermId, out: &mut Vec<Found>) {
    match bank.name(term) {
        "core.select" => out.extend(masked(bank, term)),
        "core.contract" => product(bank, term, out),
        _ => {}
    }
}

/// `select(mask(x), x, 0)`, or the selection's own decomposition.
fn masked(bank: &mut Bank, term: TermId) -> Option<Found> {
    let [m, x, zero] = bank.operands(term)[..] else { return None };
    if Sem::new(bank, Depth::Views).splat(zero) != Some(0.0) {
        return None;
    }
    if bank.is(m, "sparse24.mask") && bank.operands(m) == [x] {
        let attrs = bank.attrs(m);
        let attrs = Attrs::new().with("axis", attrs.int("axis")).with("by", attrs.str("by"));
        let to = bank.op("sparse24.select", attrs, &[x]).ok()?;
        return Some(Found::new("mask-select", term, to));
    }
    // The mask of the decomposition ends in a reshape of `count of better ones < 2`.
    if !bank.is(m, "core.reshape") || !bank.is_map(bank.operands(m)[0], "lt") {
        return None;
    }
    for axis in 0..bank.ty(x).rank() as i64 {
        for by in ["magnitude", "value"] {
            let attrs = Attrs::new().with("axis", axis).with("by", by);
            if let Ok(call) = bank.op("sparse24.select", attrs, &[x])
                && tricot_proof::checker::fold::decompose(bank, call).is_ok_and(|d| d == [term])
            {
                return Some(Found::new("definition", term, call));
            }
        }
    }
    None
}

fn product(bank: &mut Bank, term: TermId, out: &mut Vec<Found>) {
    let operands = bank.operands(term).to_vec();
    if operands.len() != 2 {
        return;
    }
    for (at, operand) in operands.iter().enumerate() {
        let mut steps = vec![];
        let sparse = match bank.is(*operand, "sparse24.select") {
            true => Some(*operand),
            false => constant(bank, term, at, &mut steps),
        };
        let Some(sparse) = sparse else { continue };
        let mut with = operands.clone();
        with[at] = sparse;
        let attrs = bank.attrs(term);
        let Ok(from) = bank.op("core.contract", attrs, &with) else { continue };
        if let Some(to) = compressed(bank, from) {
            out.extend(steps);
            out.push(Found::new("sparse-product", from, to));
        }
    }
}

/// A 2:4 constant operand as a view of a selection along its last axis, with the equations that make it one.
fn constant(bank: &mut Bank, term: TermId, at: usize, steps: &mut Vec<Found>) -> Option<TermId> {
    let w = bank.operands(term)[at];
    let c = bank.constant(w)?.clone();
    if c.elements() < SMALL || !c.dtype.is_float() || c.shape.len() != 2 {
        return None;
    }
    let attrs = bank.attrs(term);
    let spec = tricot_dialects::core::Einsum::parse(attrs.str("spec")).ok()?;
    let summed = spec.summed();
    let axis =
        (0..2).find(|a| summed.contains(&spec.operands[at][*a]) && c.shape[*a] % 8 == 0 && is_two_four(&c, *a))?;
    let turned = match axis {
        1 => w,
        _ => {
            // The transposed constant, made here: compression wants its groups along the last axis.
            let turned = bank.transpose(w, &[1, 0]).ok()?;
            let back = bank.transpose(turned, &[1, 0]).ok()?;
            steps.push(Found::new("move-data", back, w));
            turned
        }
    };
    let select = Attrs::new().with("axis", 1i64).with("by", "magnitude");
    let selected = bank.op("sparse24.select", select, &[turned]).ok()?;
    steps.push(Found::new("two-four-constant", turned, selected).when("two_four", 1));
    match axis {
        1 => Some(selected),
        _ => bank.transpose(selected, &[1, 0]).ok(),
    }
}

/// The contraction `from`, one of whose factors is a selection along its last axis, as a 2:4 product.
fn compressed(bank: &mut Bank, from: TermId) -> Option<TermId> {
    let ty = bank.ty(from).clone();
    let mut sem = Sem::new(bank, Depth::Products);
    let index = sem.free_index(from);
    let p = sem.element(from, &index);
    let atoms = std::mem::take(&mut sem.atoms);
    if p.coefficient != 1.0 || p.factors.len() != 2 {
        return None;
    }
    let mut leaves = vec![];
    for f in &p.factors {
        let Factor::Element { term, index } = f else { return None };
        leaves.push((*term, term_atoms(bank, &atoms, *term, index)?));
    }
    let last_is_sum = |bank: &Bank, (t, axes): &(TermId, Vec<Vec<Atom>>)| {
        bank.is(*t, "sparse24.select")
            && bank.attrs(*t).int("axis") as usize + 1 == axes.len()
            && axes.last().is_some_and(|a| a.len() == 1 && p.sums == *a)
    };
    let at = (0..2).find(|i| last_is_sum(bank, &leaves[*i]))?;
    let ((select, left), (other, right)) = (leaves[at].clone(), leaves[1 - at].clone());
    let k = p.sums[0];
    let x = bank.operands(select)[0];
    let attrs = bank.attrs(select);
    let attrs = Attrs::new().with("axis", attrs.int("axis")).with("by", attrs.str("by"));
    let packed = bank.op("sparse24.compress", attrs, &[x]).ok()?;
    let (values, meta) = (bank.get(packed, 0).ok()?, bank.get(packed, 1).ok()?);
    let rows: Vec<Atom> = left[..left.len() - 1].iter().flatten().copied().collect();
    let columns: Vec<Atom> = right.iter().flatten().copied().filter(|a| *a != k).collect();
    if rows.iter().any(|a| columns.contains(a)) || !right.iter().flatten().any(|a| *a == k) {
        return None;
    }
    // Rows of all leading axes become one.
    let flat = |bank: &mut Bank, t: TermId| -> Option<TermId> {
        let shape = bank.ty(t).shape.clone();
        let (last, lead) = shape.split_last()?;
        if lead.len() == 1 {
            return Some(t);
        }
        let m: Poly = lead.iter().cloned().product();
        bank.reshape(t, &[m, last.clone()]).ok()
    };
    let (values, meta) = (flat(bank, values)?, flat(bank, meta)?);
    let b = rearrange(bank, &atoms, other, &right, &[vec![k], columns.clone()])?;
    let y = bank.op("sparse24.matmul", Attrs::new().with("dtype", ty.dtype), &[values, meta, b]).ok()?;
    let want: Option<Vec<Vec<Atom>>> = index.iter().zip(&ty.shape).map(|(l, d)| axis_atoms(&atoms, l, d)).collect();
    rearrange(bank, &atoms, y, &[rows, columns], &want?)
}
