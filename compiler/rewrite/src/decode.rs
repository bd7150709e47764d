//! Terms back to functions. Names and origins come from the source node of a value's class.

use crate::lang::Graph;
use std::collections::BTreeMap;
use std::sync::Arc;
use tricot_dialects::{Function, Module, Origin, Output, ValueId};
use tricot_proof::term::Encoded;
use tricot_proof::{Head, TermId};

/// The function with these output terms and the source's inputs, names and aliases.
pub fn function(
    graph: &mut Graph,
    module: &Module,
    source: &Function,
    encoded: &Encoded,
    outputs: &[TermId],
) -> Result<Function, String> {
    let _ = module;
    // The first source value of every class, in node order.
    let mut named: BTreeMap<egg::Id, ValueId> = BTreeMap::new();
    for (value, term) in &encoded.values {
        if let Some(class) = graph.class(*term) {
            named.entry(class).or_insert(*value);
        }
    }
    let mut out = Function::new(source.name.clone());
    let mut image: BTreeMap<TermId, Vec<ValueId>> = BTreeMap::new();
    let mut arguments = vec![];
    for (name, ty) in source.input_names().map(str::to_string).zip(source.input_types()) {
        arguments.push(out.add_input(name, ty));
    }
    for term in graph.bank().reachable(outputs) {
        let head = graph.bank().term(term).head.clone();
        let values = match head {
            Head::Attr(_) => continue,
            Head::Input(at, _) => vec![*arguments.get(at as usize).ok_or("an input is missing")?],
            Head::Get(at) => {
                let of = graph.bank().term(term).children[0];
                vec![image[&of][at as usize]]
            }
            Head::Op(op) => {
                let operands: Vec<ValueId> = graph.bank().operands(term).iter().map(|t| image[t][0]).collect();
                let attrs = graph.bank().attrs(term);
                let types = graph.bank().types(term).to_vec();
                let (name, origin) = provenance(graph, source, &named, term);
                let many = types.len();
                let node = out.add_node(op.0, attrs, operands, types, origin);
                if let Some(names) = name.filter(|n| n.len() == many) {
                    out.node_mut(node).names = names;
                }
                (0..many as u32).map(|result| ValueId { node, result }).collect()
            }
        };
        image.insert(term, values);
    }
    for (o, term) in source.outputs.iter().zip(outputs) {
        out.outputs.push(Output { name: o.name.clone(), value: image[term][0], alias: o.alias.clone() });
    }
    Ok(out)
}

/// Names and origin of the source node whose class the term, or a result of it, belongs to; of an operand's otherwise.
fn provenance(
    graph: &mut Graph,
    source: &Function,
    named: &BTreeMap<egg::Id, ValueId>,
    term: TermId,
) -> (Option<Vec<String>>, Option<Arc<Origin>>) {
    let class = graph.add(term);
    if let Some(value) = named.get(&class) {
        let node = source.node(value.node);
        let names = (node.op.name != "core.argument" && node.results.len() == 1).then(|| node.names.clone());
        return (names, node.origin.clone());
    }
    if graph.bank().types(term).len() > 1 {
        for at in 0..graph.bank().types(term).len() as u32 {
            if let Ok(result) = graph.bank().get(term, at) {
                let class = graph.add(result);
                if let Some(value) = named.get(&class) {
                    return (None, source.node(value.node).origin.clone());
                }
            }
        }
    }
    (None, None)
}
