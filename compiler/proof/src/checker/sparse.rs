//! Steps onto 2:4 sparsity.

use super::under_views;
use crate::rules::Ground;
use crate::same::equal;
use crate::sem::{Depth, Sem};
use crate::term::Bank;
use tricot_dialects::Attrs;

/// A sum with a `sparse24.select` operand is `sparse24.matmul` of its compressed form.
pub fn product(bank: &mut Bank, g: &Ground<'_>) -> Result<(), String> {
    g.conditions(&[])?;
    if !bank.is(g.from, "core.contract") || !bank.is(under_views(bank, g.to), "sparse24.matmul") {
        return Err("the sides are no contraction and no 2:4 product".into());
    }
    match equal(bank, g.from, g.to, Depth::Products) {
        true => Ok(()),
        false => Err("the two sides are different sums".into()),
    }
}

/// Whether a constant has at most two non-zeros in each aligned group of four along `axis`. NaN counts as non-zero.
pub fn is_two_four(c: &tricot_dialects::Constant, axis: usize) -> bool {
    let Some(n) = c.shape.get(axis).copied().filter(|n| n % 4 == 0) else { return false };
    let inner: usize = c.shape[axis + 1..].iter().product::<u64>() as usize;
    let values = c.to_f64();
    let n = n as usize;
    if n == 0 || inner == 0 {
        return false;
    }
    (0..values.len() / (n * inner)).all(|o| {
        (0..inner).all(|i| {
            (0..n / 4).all(|group| {
                let at = |lane: usize| values[(o * n + group * 4 + lane) * inner + i];
                (0..4).filter(|lane| at(*lane) != 0.0).count() <= 2
            })
        })
    })
}

/// A 2:4 constant is its own selection by magnitude. Zeros of either sign stay zeros.
pub fn constant(bank: &mut Bank, g: &Ground<'_>) -> Result<(), String> {
    if !bank.is(g.to, "sparse24.select") || bank.operands(g.to) != [g.from] {
        return Err("the right side is no selection of the left".into());
    }
    let attrs = bank.attrs(g.to);
    g.conditions(&[("two_four", attrs.int("axis").to_string())])?;
    let c = bank.constant(g.from).ok_or("the left side is no constant of the module")?;
    match attrs.str("by") == "magnitude" && is_two_four(c, attrs.int("axis") as usize) {
        true => Ok(()),
        false => Err("some group of four has three non-zeros".into()),
    }
}

/// `select(mask(x), x, 0)`.
pub fn mask(bank: &mut Bank, g: &Ground<'_>) -> Result<(), String> {
    g.conditions(&[])?;
    if !bank.is(g.from, "core.select") {
        return Err("the left side selects nothing".into());
    }
    let [m, x, zero] = bank.operands(g.from)[..] else { return Err("a selection has three operands".into()) };
    if !bank.is(m, "sparse24.mask") || bank.operands(m) != [x] || Sem::new(bank, Depth::Views).splat(zero) != Some(0.0)
    {
        return Err("the left side is no masked tensor".into());
    }
    let attrs = bank.attrs(m);
    let attrs = Attrs::new().with("axis", attrs.int("axis")).with("by", attrs.str("by"));
    match bank.op("sparse24.select", attrs, &[x])? == g.to {
        true => Ok(()),
        false => Err("the right side is another selection".into()),
    }
}
