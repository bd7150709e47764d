//! Steps between spellings of one Einstein sum.

use super::under_views;
use crate::rules::Ground;
use crate::same::equal;
use crate::sem::Depth;
use crate::term::Bank;

/// Both sides are the same sum of the same products.
pub fn contract(bank: &mut Bank, g: &Ground<'_>) -> Result<(), String> {
    g.conditions(&[])?;
    let sums = ["core.contract", "core.reduce"];
    if !sums.contains(&bank.name(g.from)) {
        return Err(format!("`{}` is no sum of products", bank.name(g.from)));
    }
    let inner = under_views(bank, g.to);
    let scaled = bank.is_map(inner, "mul")
        && bank.operands(inner).iter().any(|o| bank.is(under_views(bank, *o), "core.contract"));
    if !bank.is(inner, "core.contract") && !scaled {
        return Err("the right side is no contraction".into());
    }
    match equal(bank, g.from, g.to, Depth::Products) {
        true => Ok(()),
        false => Err("the two sides are different sums".into()),
    }
}
