//! Constant folding: small constants during saturation, large ones once, after extraction.

use crate::lang::{Found, Graph};
use std::collections::BTreeMap;
use tricot_proof::checker::fold::{LARGEST, fixed_terms, of_scalars, value};
use tricot_proof::{Bank, TermId};

/// Constants up to this many bytes are folded in the e-graph.
const SMALL: i64 = 4096;

pub fn find(bank: &mut Bank, term: TermId, out: &mut Vec<Found>) {
    if let Ok(to) = of_scalars(bank, term) {
        out.push(Found::new("map-broadcast", term, to));
    }
    // Broadcasts stay: a splat says more than its elements.
    let foldable = bank.def(term).is_some_and(|d| !matches!(d.name, "core.broadcast" | "core.constant" | "core.iota"));
    let small = |bank: &Bank, t: TermId, limit: i64| {
        bank.types(t).len() == 1 && bank.ty(t).bytes().as_constant().is_some_and(|b| b <= limit)
    };
    let operands = bank.operands(term);
    if foldable
        && !operands.is_empty()
        && bank.ty(term).encoding.is_none()
        && small(bank, term, SMALL)
        && operands.iter().all(|o| bank.is(*o, "core.constant") && small(bank, *o, 16 * SMALL))
        && let Ok(constant) = value(bank, term)
        && let Ok(to) = bank.add_constant(constant)
    {
        out.push(Found::new("fold", term, to));
    }
}

/// Output terms with every computing constant part replaced by its value. The equations used are logged.
pub fn large(graph: &mut Graph, outputs: &[TermId]) -> Result<Vec<TermId>, String> {
    let all = graph.bank().reachable(outputs);
    let mut fixed = fixed_terms(graph.bank(), outputs);
    fixed.retain(|t| graph.egraph.analysis.bank.types(*t).len() == 1);
    let mut computes: BTreeMap<TermId, bool> = BTreeMap::new();
    for t in &all {
        let bank = graph.bank();
        let moves = matches!(
            bank.name(*t),
            "" | "core.constant" | "core.iota" | "core.transpose" | "core.reshape" | "core.broadcast" | "core.slice"
        );
        let below = bank.term(*t).children.iter().any(|c| computes[c]);
        computes.insert(*t, !moves || below);
    }
    // Children come before parents, so whatever is folded further up replaces what was folded below.
    let mut image: BTreeMap<TermId, TermId> = BTreeMap::new();
    let mut equations: BTreeMap<TermId, Found> = BTreeMap::new();
    for t in all {
        if fixed.contains(&t)
            && computes[&t]
            && !graph.bank().is(t, "core.broadcast")
            && let Some(constant) = folded(graph, t)?
            && same_type(graph, t, constant)
        {
            equations.insert(t, Found::new("fold", t, constant));
            image.insert(t, constant);
            continue;
        }
        let term = graph.bank().term(t).clone();
        let mut children: Vec<TermId> = term.children.iter().map(|c| image[c]).collect();
        let before = graph.bank().add(term.head.clone(), children.clone())?;
        let mut after = before;
        // Values whose constants carry no encoding are put in where they are used.
        let mut changed = false;
        if !fixed.contains(&t) {
            for (at, c) in term.children.iter().enumerate() {
                let encoded = fixed.contains(c) && computes[c] && graph.bank().ty(*c).encoding.is_some();
                if encoded && let Some(constant) = folded(graph, *c)? {
                    children[at] = constant;
                    changed = true;
                }
            }
        }
        if changed {
            // The operands as they were, not with what was folded inside them.
            let mut originals: Vec<TermId> = term.children.iter().map(|c| image[c]).collect();
            for (at, c) in term.children.iter().enumerate() {
                if children[at] != image[c] {
                    originals[at] = *c;
                }
            }
            let from = graph.bank().add(term.head.clone(), originals)?;
            after = graph.bank().add(term.head, children)?;
            equations.insert(from, Found::new("fold", from, after));
        }
        image.insert(t, after);
    }
    graph.log.extend(equations.into_values());
    Ok(outputs.iter().map(|o| image[o]).collect())
}

fn same_type(graph: &Graph, a: TermId, b: TermId) -> bool {
    graph.egraph.analysis.bank.types(a) == graph.egraph.analysis.bank.types(b)
}

/// The constant a term is, or nothing where it is larger than a constant should be.
fn folded(graph: &mut Graph, t: TermId) -> Result<Option<TermId>, String> {
    if let Some(known) = graph.folded.get(&t) {
        return Ok(Some(*known));
    }
    let bank = graph.bank();
    if bank.ty(t).elements().as_constant().is_none_or(|n| n > LARGEST) {
        return Ok(None);
    }
    // What takes much more room than what it is made of is better computed when running.
    let inputs: i64 = bank
        .reachable(&[t])
        .into_iter()
        .filter(|x| bank.is(*x, "core.constant"))
        .filter_map(|x| bank.ty(x).bytes().as_constant())
        .sum();
    if bank.ty(t).bytes().as_constant().is_none_or(|b| b > (8 * inputs).max(SMALL)) {
        return Ok(None);
    }
    let constant = value(bank, t)?;
    let to = bank.add_constant(constant)?;
    graph.folded.insert(t, to);
    Ok(Some(to))
}
