//! Steps that move data: all bitwise.

use crate::dtypes::widens;
use crate::rules::Ground;
use crate::same::equal;
use crate::sem::Depth;
use crate::term::Bank;
use tricot_dialects::Attr;
use tricot_types::Poly;

/// Both sides take each element from the same place of the same term.
pub fn move_data(bank: &mut Bank, g: &Ground<'_>) -> Result<(), String> {
    g.conditions(&[])?;
    let moves = ["core.transpose", "core.reshape", "core.broadcast", "core.gather", "core.concat"];
    if !moves.contains(&bank.name(g.from)) {
        return Err(format!("`{}` computes", bank.name(g.from)));
    }
    match equal(bank, g.from, g.to, Depth::Views) {
        true => Ok(()),
        false => Err("the two sides take elements from different places".into()),
    }
}

/// `cast(x)` to its own type is `x`; `cast(cast(x))` is `cast(x)` where the inner one keeps every value.
pub fn cast_exact(bank: &mut Bank, g: &Ground<'_>) -> Result<(), String> {
    g.conditions(&[])?;
    if !bank.is(g.from, "core.cast") {
        return Err("the left side is no cast".into());
    }
    let round = |b: &Bank, t| matches!(b.attr(t, "mode"), Some(Attr::Str(m)) if m == "round");
    let inner = bank.operands(g.from)[0];
    if !round(bank, g.from) {
        return Err("only rounding casts compose".into());
    }
    if inner == g.to && bank.ty(inner) == bank.ty(g.from) {
        return Ok(());
    }
    if !bank.is(inner, "core.cast") || !round(bank, inner) {
        return Err("there is no second cast".into());
    }
    let x = bank.operands(inner)[0];
    if !widens(bank.ty(x).dtype, bank.ty(inner).dtype) {
        return Err(format!("{} does not hold every {}", bank.ty(inner).dtype, bank.ty(x).dtype));
    }
    let direct = bank.is(g.to, "core.cast") && round(bank, g.to) && bank.operands(g.to)[0] == x;
    // Through an integer or bool the result of a direct cast is another.
    let same_kind = bank.ty(x).dtype.is_float() == bank.ty(inner).dtype.is_float()
        || (bank.ty(x).dtype.is_int() && bank.ty(g.from).dtype.is_float());
    match (direct || x == g.to) && same_kind {
        true => Ok(()),
        false => Err("the right side is no cast of the same tensor".into()),
    }
}

struct Box3 {
    start: Vec<Poly>,
    size: Vec<Poly>,
    step: Vec<i64>,
}

fn slice(bank: &Bank, t: crate::TermId) -> Result<Box3, String> {
    if !bank.is(t, "core.slice") {
        return Err(format!("`{}` is no slice", bank.name(t)));
    }
    let a = bank.attrs(t);
    Ok(Box3 { start: a.dims("start").to_vec(), size: a.dims("size").to_vec(), step: a.ints("step").to_vec() })
}

/// A slice from 0 by 1 of the whole size.
pub fn slice_whole(bank: &mut Bank, g: &Ground<'_>) -> Result<(), String> {
    g.conditions(&[])?;
    let s = slice(bank, g.from)?;
    let x = bank.operands(g.from)[0];
    let whole = s.start.iter().all(Poly::is_zero) && s.step.iter().all(|d| *d == 1) && s.size == bank.ty(x).shape;
    match whole && x == g.to {
        true => Ok(()),
        false => Err("the slice leaves something out".into()),
    }
}

/// `slice(slice(x))`: starts and steps compose.
pub fn slice_slice(bank: &mut Bank, g: &Ground<'_>) -> Result<(), String> {
    g.conditions(&[])?;
    let outer = slice(bank, g.from)?;
    let inner_term = bank.operands(g.from)[0];
    let inner = slice(bank, inner_term)?;
    let to = slice(bank, g.to)?;
    let fits = (0..outer.start.len()).all(|i| {
        let start = inner.start[i].clone() + outer.start[i].clone() * Poly::constant(inner.step[i]);
        to.start[i] == start
            && to.size[i] == outer.size[i]
            && Some(to.step[i]) == inner.step[i].checked_mul(outer.step[i])
    });
    match fits && bank.operands(g.to)[0] == bank.operands(inner_term)[0] {
        true => Ok(()),
        false => Err("the slices do not compose to the right side".into()),
    }
}

/// A slice of a concatenation that lies within one operand.
pub fn slice_concat(bank: &mut Bank, g: &Ground<'_>) -> Result<(), String> {
    let outer = slice(bank, g.from)?;
    let concat = bank.operands(g.from)[0];
    if !bank.is(concat, "core.concat") {
        return Err("there is no concatenation".into());
    }
    let axis = bank.attrs(concat).int("axis") as usize;
    if outer.step[axis] < 1 {
        return Err("the slice runs backwards".into());
    }
    let last = outer.start[axis].clone() + (outer.size[axis].clone() - 1.into()) * outer.step[axis].into();
    let mut before = Poly::default();
    for (part, operand) in bank.operands(concat).to_vec().into_iter().enumerate() {
        let after = before.clone() + bank.ty(operand).shape[axis].clone();
        let starts = non_negative(bank, &(outer.start[axis].clone() - before.clone()));
        let ends = non_negative(bank, &(after.clone() - last.clone() - 1.into()));
        if starts && ends {
            g.conditions(&[("part", part.to_string())])?;
            let to = slice(bank, g.to)?;
            let mut start = outer.start.clone();
            start[axis] = start[axis].clone() - before;
            let same = to.start == start && to.size == outer.size && to.step == outer.step;
            return match same && bank.operands(g.to)[0] == operand {
                true => Ok(()),
                false => Err("the right side is another slice".into()),
            };
        }
        before = after;
    }
    Err("the slice lies in no single part".into())
}

fn non_negative(bank: &Bank, p: &Poly) -> bool {
    p.bounds(&bank.symbols).0 >= 0
}

/// `concat(x)` is `x`.
pub fn concat_one(bank: &mut Bank, g: &Ground<'_>) -> Result<(), String> {
    g.conditions(&[])?;
    match bank.is(g.from, "core.concat") && bank.operands(g.from) == [g.to] {
        true => Ok(()),
        false => Err("there is more than one part".into()),
    }
}
