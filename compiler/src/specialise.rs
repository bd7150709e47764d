//! Binding symbols at build time (`--set batch=4`): the size is written into every type and attribute.

use std::collections::BTreeMap;
use tricot_dialects::{Function, Module, ValueId};
use tricot_types::{Bindings, Diagnostic, Poly, Symbol};

/// Replaces symbols by their values. Unknown symbols and values that break a promise are errors, all listed.
pub fn specialise(module: &mut Module, bindings: &Bindings) -> Result<(), Vec<Diagnostic>> {
    let mut problems = vec![];
    for (symbol, value) in bindings {
        match module.symbols.get(symbol) {
            None => {
                let known: Vec<_> = module.symbols.keys().map(|s| s.name()).collect();
                let known = if known.is_empty() { "the model has none".into() } else { known.join(", ") };
                problems.push(
                    Diagnostic::error("TC0910", format!("the model has no symbol `{symbol}`"))
                        .with_help(format!("symbols: {known}")),
                );
            }
            Some(info) => {
                if let Err(message) = info.check(*value) {
                    let max = if info.max == i64::MAX { String::new() } else { format!(" and at most {}", info.max) };
                    problems.push(Diagnostic::error("TC0911", format!("{symbol}={value}: {message}")).with_help(
                        format!(
                            "the model wants `{symbol}` to be a multiple of {}, at least {}{max}",
                            info.multiple, info.min
                        ),
                    ));
                }
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    if bindings.is_empty() {
        return Ok(());
    }
    let with: BTreeMap<Symbol, Poly> = bindings.iter().map(|(s, v)| (s.clone(), Poly::constant(*v))).collect();
    let functions: Vec<Function> = module.functions.values().map(|f| substitute(f, &with)).collect();
    for function in functions {
        module.add_function(function);
    }
    module.symbols.retain(|s, _| !bindings.contains_key(s));
    tricot_dialects::verify::verify(module)
}

fn substitute(function: &Function, with: &BTreeMap<Symbol, Poly>) -> Function {
    let mut out = Function::new(function.name.clone());
    let mut image: BTreeMap<ValueId, ValueId> = BTreeMap::new();
    for (input, name) in function.inputs().zip(function.input_names()) {
        let mut ty = function.ty(input).clone();
        ty.shape.iter_mut().for_each(|d| *d = d.substitute(with));
        image.insert(input, out.add_input(name, ty));
    }
    for id in function.live_order() {
        let node = function.node(id);
        if node.op.name == "core.argument" {
            continue;
        }
        let mut attrs = node.attrs.clone();
        attrs.map_dims(|d| d.substitute(with));
        let mut results = node.results.clone();
        results.iter_mut().flat_map(|t| &mut t.shape).for_each(|d| *d = d.substitute(with));
        let operands = node.operands().iter().map(|v| image[v]).collect();
        let new = out.add_node(node.op, attrs, operands, results, node.origin.clone());
        out.node_mut(new).names = node.names.clone();
        for result in 0..node.results.len() as u32 {
            image.insert(ValueId { node: id, result }, ValueId { node: new, result });
        }
    }
    out.outputs = function.outputs.clone();
    out.outputs.iter_mut().for_each(|o| o.value = image[&o.value]);
    out
}
