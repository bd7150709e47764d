//! Data movement: chains of views become the shortest view; slices, concatenations and casts that cancel.

use crate::lang::Found;
use crate::views::{axis_atoms, rearrange, term_atoms};
use tricot_dialects::{Attr, Attrs};
use tricot_proof::dtypes::widens;
use tricot_proof::sem::{Depth, Factor, Sem};
use tricot_proof::{Bank, TermId};
use tricot_types::Poly;

pub fn find(bank: &mut Bank, term: TermId, out: &mut Vec<Found>) {
    match bank.name(term) {
        "core.transpose" | "core.reshape" | "core.broadcast" | "core.gather" | "core.concat" => {
            out.extend(shorter(bank, term).map(|to| Found::new("move-data", term, to)));
            if bank.is(term, "core.concat") && bank.operands(term).len() == 1 {
                out.push(Found::new("concat-one", term, bank.operands(term)[0]));
            }
        }
        "core.slice" => slices(bank, term, out),
        "core.cast" => out.extend(casts(bank, term)),
        _ => {}
    }
}

/// Number of views down to what is no view.
fn length(bank: &Bank, term: TermId) -> usize {
    let (mut at, mut n) = (term, 0);
    while matches!(bank.name(at), "core.transpose" | "core.reshape" | "core.broadcast" | "core.gather") {
        (at, n) = (bank.operands(at)[0], n + 1);
    }
    n
}

/// A shorter chain of views with the same meaning.
fn shorter(bank: &mut Bank, term: TermId) -> Option<TermId> {
    let mut sem = Sem::new(bank, Depth::Views);
    let index = sem.free_index(term);
    let element = sem.element(term, &index);
    let [Factor::Element { term: leaf, index: from }] = element.factors.as_slice() else { return None };
    if *leaf == term {
        return None;
    }
    let atoms = std::mem::take(&mut sem.atoms);
    let shape = bank.ty(term).shape.clone();
    let want: Option<Vec<_>> = index.iter().zip(&shape).map(|(l, d)| axis_atoms(&atoms, l, d)).collect();
    let have = term_atoms(bank, &atoms, *leaf, from)?;
    let to = rearrange(bank, &atoms, *leaf, &have, &want?)?;
    let tables = matches!(bank.name(term), "core.gather" | "core.concat");
    (tables || length(bank, to) < length(bank, term)).then_some(to)
}

fn slices(bank: &mut Bank, term: TermId, out: &mut Vec<Found>) {
    let x = bank.operands(term)[0];
    let attrs = bank.attrs(term);
    let (start, size, step) = (attrs.dims("start"), attrs.dims("size"), attrs.ints("step"));
    if start.iter().all(Poly::is_zero) && step.iter().all(|s| *s == 1) && size == bank.ty(x).shape {
        out.push(Found::new("slice-whole", term, x));
        return;
    }
    let rebuilt = |start: Vec<Poly>, step: Vec<i64>| {
        Attrs::new().with("start", start).with("size", size.to_vec()).with("step", step)
    };
    if bank.is(x, "core.slice") {
        let inner = bank.attrs(x);
        let moved = (0..start.len())
            .map(|i| inner.dims("start")[i].clone() + start[i].clone() * Poly::constant(inner.ints("step")[i]))
            .collect();
        let steps: Option<Vec<i64>> = step.iter().zip(inner.ints("step")).map(|(a, b)| a.checked_mul(*b)).collect();
        let source = bank.operands(x)[0];
        if let Some(steps) = steps
            && let Ok(to) = bank.op("core.slice", rebuilt(moved, steps), &[source])
        {
            out.push(Found::new("slice-slice", term, to));
        }
    }
    if bank.is(x, "core.concat") {
        let axis = bank.attrs(x).int("axis") as usize;
        if step[axis] < 1 {
            return;
        }
        let last = start[axis].clone() + (size[axis].clone() - 1.into()) * step[axis].into();
        let mut before = Poly::default();
        for (part, operand) in bank.operands(x).to_vec().into_iter().enumerate() {
            let after = before.clone() + bank.ty(operand).shape[axis].clone();
            let inside = |p: Poly| p.bounds(&bank.symbols).0 >= 0;
            if inside(start[axis].clone() - before.clone()) && inside(after.clone() - last.clone() - 1.into()) {
                let mut moved = start.to_vec();
                moved[axis] = moved[axis].clone() - before;
                if let Ok(to) = bank.op("core.slice", rebuilt(moved, step.to_vec()), &[operand]) {
                    out.push(Found::new("slice-concat", term, to).when("part", part));
                }
                return;
            }
            before = after;
        }
    }
}

fn casts(bank: &mut Bank, term: TermId) -> Option<Found> {
    let round = |b: &Bank, t| matches!(b.attr(t, "mode"), Some(Attr::Str(m)) if m == "round");
    if !round(bank, term) {
        return None;
    }
    let inner = bank.operands(term)[0];
    let (from, to) = (bank.ty(inner).dtype, bank.ty(term).dtype);
    if from == to {
        return Some(Found::new("cast-exact", term, inner));
    }
    if !bank.is(inner, "core.cast") || !round(bank, inner) {
        return None;
    }
    let x = bank.operands(inner)[0];
    let first = bank.ty(x).dtype;
    let same_kind = first.is_float() == from.is_float() || (first.is_int() && to.is_float());
    if !widens(first, from) || !same_kind {
        return None;
    }
    let direct = match first == to {
        true => x,
        false => bank.op("core.cast", Attrs::new().with("to", to), &[x]).ok()?,
    };
    Some(Found::new("cast-exact", term, direct))
}
