//! The verifier: re-infers every node and reports all disagreements at once, each at the user's own place.

use crate::attr::Attr;
use crate::graph::{Function, Module, Node};
use crate::op::OpView;
use std::collections::BTreeSet;
use tricot_types::Diagnostic;

/// Checks a whole module: attributes, operand counts, result types, symbols, constants, calls and outputs.
pub fn verify(module: &Module) -> Result<(), Vec<Diagnostic>> {
    let mut problems = vec![];
    if module.main().is_none() {
        problems.push(
            Diagnostic::error("TC0120", "the module has no function @main").with_help("name the entry function @main"),
        );
    }
    for function in module.functions.values() {
        verify_function(module, function, &mut problems);
    }
    find_recursion(module, &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn at(problem: Diagnostic, node: &Node) -> Diagnostic {
    match &node.origin {
        Some(o) => problem.at_node(&o.file, &o.node, &o.op, ""),
        None => problem.at_name(node.op.name, ""),
    }
}

fn verify_function(module: &Module, function: &Function, problems: &mut Vec<Diagnostic>) {
    let mut unknown = BTreeSet::new();
    for id in function.order() {
        let node = function.node(id);
        for ty in &node.results {
            for d in &ty.shape {
                d.visit_symbols(&mut |s| {
                    if !module.symbols.contains_key(s) {
                        unknown.insert(s.clone());
                    }
                });
            }
        }
        if node.op.name == "core.argument" {
            continue;
        }
        let operands: Vec<_> = node.operands().iter().map(|v| function.ty(*v).clone()).collect();
        let constant = match node.attrs.get("value") {
            Some(Attr::Constant(h)) => module.constants.get(*h),
            _ => None,
        };
        let callee = match node.attrs.get("callee") {
            Some(Attr::Str(name)) => module.functions.get(name).map(|f| (f.input_types(), f.output_types())),
            _ => None,
        };
        let inferred = node.op.complete(node.attrs.clone()).and_then(|attrs| {
            let callee = callee.as_ref().map(|(a, b)| (a.as_slice(), b.as_slice()));
            node.op.infer(OpView { def: node.op, operands: &operands, attrs: &attrs, constant, callee })
        });
        match inferred {
            Err(message) => {
                problems.push(at(Diagnostic::error("TC0110", format!("`{}`: {message}", node.op.name)), node))
            }
            Ok(types) if types != node.results => {
                let text = |ts: &[crate::TensorType]| ts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let message =
                    format!("`{}` gives {}, the graph says {}", node.op.name, text(&types), text(&node.results));
                problems.push(at(Diagnostic::error("TC0112", message), node));
            }
            Ok(_) => {}
        }
    }
    for symbol in unknown {
        problems.push(
            Diagnostic::error("TC0113", format!("symbol `{symbol}` of @{} is not declared", function.name))
                .with_help(format!("add `symbol {symbol}` before the first function")),
        );
    }
    let mut names = BTreeSet::new();
    for name in function.input_names().chain(function.outputs.iter().map(|o| o.name.as_str())) {
        if name.is_empty() {
            problems
                .push(Diagnostic::error("TC0114", format!("@{} has an input or output without a name", function.name)));
        }
    }
    for output in &function.outputs {
        if !names.insert(&output.name) {
            problems.push(Diagnostic::error(
                "TC0114",
                format!("@{} has two outputs named `{}`", function.name, output.name),
            ));
        }
        if let Some(alias) = &output.alias {
            let input = function.inputs().zip(function.input_names()).find(|(_, n)| n == alias);
            match input {
                Some((v, _)) if function.ty(v) == function.ty(output.value) => {}
                Some((v, _)) => problems.push(Diagnostic::error(
                    "TC0115",
                    format!(
                        "output `{}` is {}, its alias `{alias}` is {}",
                        output.name,
                        function.ty(output.value),
                        function.ty(v)
                    ),
                )),
                None => problems.push(Diagnostic::error(
                    "TC0115",
                    format!("output `{}` aliases `{alias}`, which is no input", output.name),
                )),
            }
        }
    }
}

fn find_recursion(module: &Module, problems: &mut Vec<Diagnostic>) {
    // A function is done once all it calls is done; whatever never gets done lies on or behind a cycle.
    let callees = |f: &Function| -> BTreeSet<String> {
        let names = f.order().into_iter().filter_map(|id| match f.node(id).attrs.get("callee") {
            Some(Attr::Str(name)) => Some(name.clone()),
            _ => None,
        });
        names.filter(|n| module.functions.contains_key(n)).collect()
    };
    let mut waiting: Vec<(&str, BTreeSet<String>)> =
        module.functions.values().map(|f| (f.name.as_str(), callees(f))).collect();
    let mut done: BTreeSet<String> = BTreeSet::new();
    loop {
        let before = waiting.len();
        waiting.retain(|(name, calls)| match calls.is_subset(&done) {
            true => {
                done.insert(name.to_string());
                false
            }
            false => true,
        });
        if waiting.len() == before {
            break;
        }
    }
    if let Some((name, _)) = waiting.first() {
        problems.push(Diagnostic::error("TC0116", format!("@{name} calls itself, directly or through others")));
    }
}
