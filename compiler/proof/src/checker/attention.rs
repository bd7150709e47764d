//! Steps that find softmax and attention.

use super::under_views;
use crate::rules::Ground;
use crate::same::equal;
use crate::sem::Depth;
use crate::term::{Bank, Head, TermId};

/// `exp(x) / sum exp(x)` in any spelling is `nn.softmax`.
pub fn softmax(bank: &mut Bank, g: &Ground<'_>) -> Result<(), String> {
    g.conditions(&[])?;
    if !bank.is(under_views(bank, g.to), "nn.softmax") {
        return Err("the right side is no softmax".into());
    }
    if !bank.is(g.from, "core.map") {
        return Err("the left side is no quotient".into());
    }
    match equal(bank, g.from, g.to, Depth::Weights) {
        true => Ok(()),
        false => Err("the left side is not that softmax".into()),
    }
}

fn op_below(bank: &Bank, to: TermId, name: &str) -> Result<TermId, String> {
    let inner = under_views(bank, to);
    let op = match bank.term(inner).head {
        Head::Get(0) => bank.term(inner).children[0],
        _ => return Err(format!("the right side is no `{name}`")),
    };
    match bank.is(op, name) {
        true => Ok(op),
        false => Err(format!("the right side is no `{name}`")),
    }
}

fn same_meaning(bank: &mut Bank, g: &Ground<'_>) -> Result<(), String> {
    if !["core.contract", "core.reduce", "core.cast"].contains(&bank.name(g.from)) {
        return Err("the left side is no sum of products".into());
    }
    match equal(bank, g.from, g.to, Depth::Full) {
        true => Ok(()),
        false => Err("the left side computes something else, or a row may keep no entry".into()),
    }
}

/// Masked softmax of `q k` times `v` is `nn.attention`.
pub fn attention(bank: &mut Bank, g: &Ground<'_>) -> Result<(), String> {
    let op = op_below(bank, g.to, "nn.attention")?;
    let attrs = bank.attrs(op);
    g.conditions(&[
        ("causal", attrs.bool("causal").to_string()),
        ("offset", attrs.dim("offset").to_string()),
        ("window", attrs.int("window").to_string()),
        ("rows keep an entry", "true".into()),
    ])?;
    same_meaning(bank, g)
}

/// Jointly masked softmax of `q k1 k2` times `v1 v2` is `trilinear.attention`.
pub fn trilinear(bank: &mut Bank, g: &Ground<'_>) -> Result<(), String> {
    let op = op_below(bank, g.to, "trilinear.attention")?;
    let attrs = bank.attrs(op);
    g.conditions(&[
        ("rows keep an entry", "true".into()),
        ("w1", attrs.int("w1").to_string()),
        ("w2", attrs.int("w2").to_string()),
    ])?;
    same_meaning(bank, g)
}
