//! Constant folding: small constants during saturation, large ones once, after extraction.

use crate::lang::{Found, Graph};
use std::collections::BTreeMap;
use tricot_proof::checker::fold::{LARGEST, fixed_terms, of_scalars, value};
use tricot_proof::{Bank, Head, TermId};

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
    fixed.retain(|t| !matches!(graph.egraph.analysis.bank.term(*t).head, Head::Attr(_)));
    fixed.retain(|t| graph.egraph.analysis.bank.types(*t).len() == 1);
    let mut image: BTreeMap<TermId, TermId> = BTreeMap::new();
    let mut computes: BTreeMap<TermId, bool> = BTreeMap::new();
    for t in all {
        let bank = graph.bank();
        let term = bank.term(t).clone();
        let moves = matches!(
            bank.name(t),
            "" | "core.constant" | "core.iota" | "core.transpose" | "core.reshape" | "core.broadcast" | "core.slice"
        );
        computes.insert(t, !moves || term.children.iter().any(|c| computes[c]));
        if fixed.contains(&t) {
            // Looked at where something that is not fixed uses it.
            image.insert(t, t);
            continue;
        }
        let mut children = vec![];
        let mut encoded = vec![];
        for c in &term.children {
            let mut child = image[c];
            if computes[c]
                && fixed.contains(c)
                && let Some(constant) = folded(graph, *c)?
            {
                match same_type(graph, *c, constant) {
                    true => {
                        graph.log.push(Found::new("fold", *c, constant));
                        child = constant;
                    }
                    false => encoded.push((children.len(), constant)),
                }
            }
            children.push(child);
        }
        let before = graph.bank().add(term.head.clone(), children.clone())?;
        let mut after = before;
        if !encoded.is_empty() {
            for (at, constant) in encoded {
                children[at] = constant;
            }
            after = graph.bank().add(term.head, children)?;
            graph.log.push(Found::new("fold", before, after));
        }
        image.insert(t, after);
    }
    let mut out = vec![];
    for o in outputs {
        let mut to = image[o];
        if computes[o]
            && fixed.contains(o)
            && let Some(constant) = folded(graph, *o)?
            && same_type(graph, *o, constant)
        {
            graph.log.push(Found::new("fold", *o, constant));
            to = constant;
        }
        out.push(to);
    }
    Ok(out)
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
