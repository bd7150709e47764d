//! Steps that restate an op by its decomposition, or an input by what callers give.

use crate::rules::Ground;
use crate::term::{Bank, Head, TermId};
use tricot_dialects::op::Meaning;
use tricot_dialects::{Builder, Function};

/// The terms an op call decomposes into; none for primitives.
pub fn decompose(bank: &mut Bank, call: TermId) -> Result<Vec<TermId>, String> {
    let Some(def) = bank.def(call) else { return Err("only op calls decompose".into()) };
    let Meaning::Decompose(meaning) = def.meaning else { return Err(format!("`{}` is a primitive", def.name)) };
    let operands = bank.operands(call).to_vec();
    let attrs = bank.attrs(call);
    let mut function = Function::new("meaning");
    let inputs: Vec<_> =
        operands.iter().enumerate().map(|(i, t)| function.add_input(i.to_string(), bank.ty(*t).clone())).collect();
    let mut constants = std::mem::take(&mut bank.constants);
    let results = meaning(&mut Builder::new(&mut function, &mut constants), &attrs, &inputs);
    bank.constants = constants;
    let results = results.map_err(|d| d.message)?;
    let mut image: std::collections::BTreeMap<_, TermId> = inputs.into_iter().zip(operands).collect();
    for id in function.order() {
        let node = function.node(id);
        if node.op.name == "core.argument" {
            continue;
        }
        let operands: Vec<TermId> = node.operands().iter().map(|v| image[v]).collect();
        let term = bank.op(node.op.name, node.attrs.clone(), &operands)?;
        for result in 0..node.results.len() as u32 {
            let value = bank.get(term, result)?;
            image.insert(tricot_dialects::ValueId { node: id, result }, value);
        }
    }
    Ok(results.iter().map(|v| image[v]).collect())
}

/// One side is an op call (or a result of one), the other its decomposition.
pub fn definition(bank: &mut Bank, g: &Ground<'_>) -> Result<(), String> {
    g.conditions(&[])?;
    for (call, meaning) in [(g.from, g.to), (g.to, g.from)] {
        let (call, result) = match bank.term(call).head {
            Head::Get(at) => (bank.term(call).children[0], at as usize),
            _ => (call, 0),
        };
        if let Ok(parts) = decompose(bank, call)
            && parts.get(result) == Some(&meaning)
        {
            return Ok(());
        }
    }
    Err("neither side is what the other decomposes into".into())
}

/// `Input(n) = c` in a function that all calls of the proof give `c`; the caller of the checker looks at the calls.
pub fn argument_constant(bank: &mut Bank, g: &Ground<'_>) -> Result<(), String> {
    g.conditions(&[])?;
    match (&bank.term(g.from).head, bank.is(g.to, "core.constant")) {
        (Head::Input(..), true) => Ok(()),
        _ => Err("the sides are no input and no constant".into()),
    }
}
