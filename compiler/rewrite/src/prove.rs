//! The proof of an extraction: the equations of the log that connect each output before and after.

use crate::lang::{Found, Graph};
use std::collections::{BTreeMap, BTreeSet};
use tricot_dialects::{Attr, ConstantStore, Function, Hash};
use tricot_proof::closure::Closure;
use tricot_proof::proof::{ConstantText, FunctionProof, OutputProof, Step, TermText, TypeText, Writer};
use tricot_proof::{Bank, TermId};

/// Above this number of steps, steps that others imply stay in.
const MINIMISE: usize = 150;

/// The proof, and the numbers of the log entries it uses.
pub fn function(
    graph: &mut Graph,
    source: &Function,
    before: &[TermId],
    after: &[TermId],
) -> Result<(FunctionProof, Vec<usize>), String> {
    let log = std::mem::take(&mut graph.log);
    let result = build(graph.bank(), &log, source, before, after);
    graph.log = log;
    result
}

fn close<'b>(bank: &'b Bank, log: &[Found], which: &[usize], before: &[TermId], after: &[TermId]) -> Closure<'b> {
    let mut roots: Vec<TermId> = before.iter().chain(after).copied().collect();
    roots.extend(which.iter().flat_map(|n| [log[*n].from, log[*n].to]));
    let mut closure = Closure::new(bank, &bank.reachable(&roots));
    for n in which {
        closure.merge(log[*n].from, log[*n].to, *n as u32);
    }
    closure
}

fn build(
    bank: &Bank,
    log: &[Found],
    source: &Function,
    before: &[TermId],
    after: &[TermId],
) -> Result<(FunctionProof, Vec<usize>), String> {
    let all: Vec<usize> = (0..log.len()).collect();
    let closure = close(bank, log, &all, before, after);
    let mut used = BTreeSet::new();
    for (a, b) in before.iter().zip(after) {
        used.extend(closure.explain(*a, *b).ok_or("an extracted output is not equal to its source")?);
    }
    let mut used: Vec<usize> = used.into_iter().map(|n| n as usize).collect();
    if used.len() <= MINIMISE {
        for at in (0..used.len()).rev() {
            let mut fewer = used.clone();
            fewer.remove(at);
            let closure = close(bank, log, &fewer, before, after);
            if before.iter().zip(after).all(|(a, b)| closure.equal(*a, *b)) {
                used = fewer;
            }
        }
    }
    let mut roots: Vec<TermId> = before.iter().chain(after).copied().collect();
    for n in &used {
        roots.extend([log[*n].from, log[*n].to]);
        roots.extend(log[*n].substitution.values());
    }
    let writer = Writer::new(bank, &roots);
    let steps = used
        .iter()
        .map(|n| {
            let f = &log[*n];
            Step {
                rule: f.rule.into(),
                from: writer.number(f.from),
                to: writer.number(f.to),
                substitution: f.substitution.iter().map(|(k, t)| (k.clone(), writer.number(*t))).collect(),
                conditions: f.conditions.clone(),
            }
        })
        .collect();
    let inputs = source.input_names().map(str::to_string).zip(source.input_types().iter().map(TypeText::new)).collect();
    let outputs = source
        .outputs
        .iter()
        .zip(before.iter().zip(after))
        .map(|(o, (a, b))| OutputProof {
            name: o.name.clone(),
            alias: o.alias.clone(),
            ty: TypeText::new(bank.ty(*a)),
            from: writer.number(*a),
            to: writer.number(*b),
        })
        .collect();
    Ok((FunctionProof { function: source.name.clone(), inputs, outputs, terms: writer.terms, steps }, used))
}

/// The constants that the functions' terms mention, in hash order. `written` keeps their texts for the next candidate's proof.
pub fn constants<'a>(
    functions: &[FunctionProof],
    known: impl Iterator<Item = &'a ConstantStore> + Clone,
    written: &mut BTreeMap<Hash, ConstantText>,
) -> Vec<ConstantText> {
    let mut wanted: BTreeSet<Hash> = BTreeSet::new();
    for TermText(head, _) in functions.iter().flat_map(|f| &f.terms) {
        if let Some(Ok(Attr::Constant(hash))) = head.strip_prefix('\'').map(tricot_proof::format::parse_attr) {
            wanted.insert(hash);
        }
    }
    for hash in &wanted {
        if let (false, Some(constant)) = (written.contains_key(hash), known.clone().find_map(|k| k.get(*hash))) {
            written.insert(*hash, ConstantText::new(*hash, constant));
        }
    }
    wanted.iter().filter_map(|hash| written.get(hash).cloned()).collect()
}
