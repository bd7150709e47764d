//! Finding instances of the rules that `tricot-proof` declares: one file per theme.
//!
//! A finder looks at one ground term and states equations. It knows no target; whether a result is worth having is decided at
//! extraction.

pub mod attention;
mod contract;
mod conv;
pub mod fold;
mod layout;
mod softmax;
mod sparse;
#[cfg(test)]
mod tests;

use crate::RewriteOptions;
use crate::lang::{Found, Graph};
use tricot_dialects::{Attr, Attrs, CustomOp, Function, Hash, Module, TensorType};
use tricot_proof::checker::fold::decompose;
use tricot_proof::pattern::Substitution;
use tricot_proof::rules::{Domain, PATTERNS};
use tricot_proof::{Bank, Head, TermId};

/// All equations that begin at this term.
pub fn find(bank: &mut Bank, term: TermId, options: &RewriteOptions) -> Vec<Found> {
    if let Some(op) = bank.def(term).and_then(|def| def.declaration()) {
        return declared(bank, term, op, &options.target);
    }
    if bank.types(term).len() != 1 {
        return vec![];
    }
    let mut out = patterns(bank, term);
    layout::find(bank, term, &mut out);
    contract::find(bank, term, &mut out);
    softmax::find(bank, term, &mut out);
    attention::find(bank, term, &mut out);
    sparse::find(bank, term, &mut out);
    conv::find(bank, term, options, &mut out);
    fold::find(bank, term, &mut out);
    out.retain(|f| f.from != f.to && bank.types(f.from) == bank.types(f.to));
    out
}

/// A declared op is its body, result by result.
fn declared(bank: &mut Bank, call: TermId, op: &CustomOp, target: &str) -> Vec<Found> {
    let types: Vec<TensorType> = bank.operands(call).iter().map(|o| bank.ty(*o).clone()).collect();
    // Where its author wants the kernel whatever it costs, there is nothing to weigh.
    if op.kernel(target, &types, &bank.attrs(call), &bank.symbols).is_ok_and(|call| call.kernel.always) {
        return vec![];
    }
    let Ok(parts) = decompose(bank, call) else { return vec![] };
    let results =
        (0u32..).zip(parts).filter_map(|(at, part)| Some(Found::new("definition", bank.get(call, at).ok()?, part)));
    results.collect()
}

fn patterns(bank: &mut Bank, term: TermId) -> Vec<Found> {
    let mut out = vec![];
    if !matches!(bank.name(term), "core.map" | "core.select") {
        return out;
    }
    for p in PATTERNS.iter() {
        let mut with = Substitution::new();
        if p.left.matches(bank, term, &mut with)
            && (p.domain == Domain::Any || bank.ty(term).dtype.is_float())
            && let Ok(to) = p.right.instantiate(bank, &with)
        {
            out.push(Found { substitution: with, ..Found::new(p.rule.name, term, to) });
        }
    }
    out
}

/// Inputs of a called function that every call in the module gives the same constant.
pub fn arguments(bank: &mut Bank, module: &Module, function: &Function) -> Vec<Found> {
    let mut given: Option<Vec<Option<Hash>>> = None;
    for caller in module.functions.values() {
        for id in caller.order() {
            let node = caller.node(id);
            if !matches!(node.attrs.get("callee"), Some(Attr::Str(name)) if *name == function.name) {
                continue;
            }
            let here: Vec<Option<Hash>> = node
                .operands()
                .iter()
                .map(|v| match caller.node(v.node).attrs.get("value") {
                    Some(Attr::Constant(hash)) => Some(*hash),
                    _ => None,
                })
                .collect();
            given = Some(match given {
                None => here,
                Some(old) => old.into_iter().zip(here).map(|(a, b)| if a == b { a } else { None }).collect(),
            });
        }
    }
    let mut out = vec![];
    for (at, hash) in given.into_iter().flatten().enumerate() {
        let Some(hash) = hash else { continue };
        let ty = function.input_types()[at].clone();
        let input = bank.add(Head::Input(at as u32, ty), vec![]);
        let value = bank.op("core.constant", Attrs::new().with("value", hash), &[]);
        if let (Ok(from), Ok(to)) = (input, value) {
            out.push(Found::new("argument-constant", from, to));
        }
    }
    out
}

/// Adds an equation that is known before saturation.
pub fn state(graph: &mut Graph, found: Found) {
    let (a, b) = (graph.add(found.from), graph.add(found.to));
    graph.egraph.union_trusted(a, b, found.rule);
    graph.log.push(found);
}
