//! Steps that restate an op by its decomposition, or an input by what callers give.

use crate::rules::Ground;
use crate::term::{Bank, Head, TermId};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use tricot_dialects::{Attr, Attrs, Builder, Constant, Function, Module, Output, ValueId};
use tricot_reference::{Mode, Options, evaluate};

/// Largest constant that folding makes, in elements.
pub const LARGEST: i64 = 1 << 28;

/// Of everything reachable from `roots`, the terms that depend on nothing known only when running.
pub fn fixed_terms(bank: &Bank, roots: &[TermId]) -> HashSet<TermId> {
    let mut out = HashSet::new();
    for t in bank.reachable(roots) {
        let here = match &bank.term(t).head {
            Head::Input(..) => false,
            Head::Op(op) => {
                !matches!(op.0.name, "core.call" | "core.random" | "core.size")
                    && bank.types(t).iter().all(|ty| ty.static_shape().is_some())
            }
            _ => true,
        };
        if here && bank.term(t).children.iter().all(|c| out.contains(c)) {
            out.insert(t);
        }
    }
    out
}

/// The value of a term that depends on constants alone: exact and rounded once, unless a cast asks for rounding on the way. The
/// result has no encoding.
pub fn value(bank: &Bank, term: TermId) -> Result<Constant, String> {
    if !fixed_terms(bank, &[term]).contains(&term) || bank.types(term).len() != 1 {
        return Err("the term depends on an input or a symbol".into());
    }
    let ty = bank.ty(term).clone();
    let shape = ty.static_shape().ok_or("the shape is symbolic")?;
    let size = shape.iter().try_fold(1i64, |a, d| a.checked_mul(*d)).filter(|n| *n <= LARGEST);
    size.ok_or("the constant would be too large")?;
    let mut module = Module::new("fold");
    let mut function = Function::new(Module::MAIN);
    let mut image: BTreeMap<TermId, Vec<ValueId>> = BTreeMap::new();
    let mut mode = Mode::Exact;
    for t in bank.reachable(&[term]) {
        let values = match &bank.term(t).head {
            Head::Attr(Attr::Constant(hash)) => {
                let c = bank
                    .constants
                    .get(*hash)
                    .ok_or("the values of a constant are not at hand; give the source model")?;
                module.constants.add(c.clone());
                continue;
            }
            Head::Attr(_) => continue,
            Head::Input(..) => return Err("an input is no constant".into()),
            Head::Get(at) => vec![image[&bank.term(t).children[0]][*at as usize]],
            Head::Op(op) => {
                if op.0.name == "core.cast" {
                    mode = Mode::Typed;
                }
                let operands = bank.operands(t).iter().map(|o| image[o][0]).collect();
                let node = function.add_node(op.0, bank.attrs(t), operands, bank.types(t).to_vec(), None);
                (0..bank.types(t).len() as u32).map(|result| ValueId { node, result }).collect()
            }
        };
        image.insert(t, values);
    }
    function.outputs.push(Output { name: "y".into(), value: image[&term][0], alias: None });
    module.add_function(function);
    let out = evaluate(&module, &[], &Options { mode, ..Options::default() }).map_err(|d| d.message)?;
    let tensor = out.first().ok_or("nothing came out")?;
    let dims = shape.iter().map(|d| *d as u64).collect();
    Constant::new(ty.dtype, dims, Arc::new(tensor.to_bytes())).ok_or_else(|| "the value has another size".into())
}

/// Whether `to` is the constant that `from` computes.
fn folds(bank: &Bank, from: TermId, to: TermId) -> Result<(), String> {
    let Some(Attr::Constant(hash)) = bank.attr(to, "value") else { return Err("the right side is no constant".into()) };
    match value(bank, from)?.hash() == *hash {
        true => Ok(()),
        false => Err("the left side has another value".into()),
    }
}

/// A constant expression is its value; or the same op takes values for constant operands. (The second form is for compressed and
/// transformed operands, whose constants carry no encoding.)
pub fn fold(bank: &mut Bank, g: &Ground<'_>) -> Result<(), String> {
    g.conditions(&[])?;
    if bank.is(g.to, "core.constant") {
        return folds(bank, g.from, g.to);
    }
    let same_op =
        bank.def(g.from).is_some() && bank.def(g.from) == bank.def(g.to) && bank.attrs(g.from) == bank.attrs(g.to);
    let (a, b) = (bank.operands(g.from).to_vec(), bank.operands(g.to).to_vec());
    if !same_op || a.len() != b.len() {
        return Err("the two sides are different ops".into());
    }
    for (x, y) in a.into_iter().zip(b) {
        let alike = bank.types(x).len() == 1
            && bank.types(y).len() == 1
            && bank.ty(x).dtype == bank.ty(y).dtype
            && bank.ty(x).shape == bank.ty(y).shape;
        if x != y && !alike {
            return Err("an operand changes its type".into());
        }
        if x != y {
            folds(bank, x, y)?;
        }
    }
    Ok(())
}

/// A scalar function of broadcast scalars is the broadcast of the function of the scalars.
pub fn of_scalars(bank: &mut Bank, call: TermId) -> Result<TermId, String> {
    let moves = ["core.map", "core.cast", "core.select"];
    if !moves.contains(&bank.name(call)) {
        return Err("no scalar function".into());
    }
    let mut scalars = vec![];
    for o in bank.operands(call).to_vec() {
        let inner = bank.operands(o).first().copied();
        match inner {
            Some(x) if bank.is(o, "core.broadcast") && bank.ty(x).rank() == 0 => scalars.push(x),
            _ => return Err("an operand is no broadcast scalar".into()),
        }
    }
    let name = bank.name(call);
    let attrs: Attrs = bank.attrs(call);
    let shape = bank.ty(call).shape.clone();
    let y = bank.op(name, attrs, &scalars)?;
    bank.broadcast(y, &shape, &[])
}

/// See [`of_scalars`].
pub fn map_broadcast(bank: &mut Bank, g: &Ground<'_>) -> Result<(), String> {
    g.conditions(&[])?;
    match of_scalars(bank, g.from)? == g.to {
        true => Ok(()),
        false => Err("the right side is another broadcast".into()),
    }
}

/// The terms an op call decomposes into; none for primitives.
pub fn decompose(bank: &mut Bank, call: TermId) -> Result<Vec<TermId>, String> {
    let Some(def) = bank.def(call) else { return Err("only op calls decompose".into()) };
    if !def.meaning.is_graph() {
        return Err(format!("`{}` is a primitive", def.name));
    }
    let operands = bank.operands(call).to_vec();
    let attrs = bank.attrs(call);
    let mut function = Function::new("meaning");
    let inputs: Vec<_> =
        operands.iter().enumerate().map(|(i, t)| function.add_input(i.to_string(), bank.ty(*t).clone())).collect();
    let mut constants = std::mem::take(&mut bank.constants);
    let results = def.decompose(&mut Builder::new(&mut function, &mut constants), &attrs, &inputs);
    bank.constants = constants;
    let results = results.transpose().map_err(|d| d.message)?.unwrap_or_default();
    let mut image: BTreeMap<_, TermId> = inputs.into_iter().zip(operands).collect();
    for id in function.order() {
        let node = function.node(id);
        if node.op.name == "core.argument" {
            continue;
        }
        let operands: Vec<TermId> = node.operands().iter().map(|v| image[v]).collect();
        let term = bank.op(node.op.name, node.attrs.clone(), &operands)?;
        for result in 0..node.results.len() as u32 {
            let value = bank.get(term, result)?;
            image.insert(ValueId { node: id, result }, value);
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
