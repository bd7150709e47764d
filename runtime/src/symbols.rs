//! Finding the values of symbols from the shapes of the inputs, and checking them.
//!
//! The central function is [`infer`]. A dimension that is a symbol binds it; one that is linear in a single
//! unknown symbol is solved; every other is checked. All contradictions are reported at once. Knows no memory.

use std::collections::BTreeSet;
use tricot_plan::{Manifest, Port};
use tricot_types::{Bindings, Diagnostic, Poly, Symbol, SymbolTable};

/// An input's name and its actual shape.
pub type NamedShape<'a> = (&'a str, &'a [u64]);

/// Values of all symbols from input shapes and values given beforehand.
///
/// # Errors
/// TC0802 an unknown input, TC0804 a shape that cannot be, TC0805 a symbol no shape determines, TC0806 a value that
/// breaks a promise (minimum, maximum, multiple).
pub fn infer(manifest: &Manifest, shapes: &[NamedShape], given: &Bindings) -> Result<Bindings, Vec<Diagnostic>> {
    let mut problems = vec![];
    let mut values = given.clone();
    // Where each value came from, for messages.
    let mut facts: Vec<(&Port, usize, i64)> = vec![];
    for (name, shape) in shapes {
        let Some(port) = manifest.inputs.iter().find(|p| p.name == *name) else {
            problems.push(unknown_input(manifest, name));
            continue;
        };
        if port.shape.len() != shape.len() {
            problems.push(
                Diagnostic::error(
                    "TC0804",
                    format!("input `{name}` has {} dimensions, {} expected", shape.len(), port.shape.len()),
                )
                .at_name(*name, format!("given {shape:?}, declared {}", shape_text(&port.shape))),
            );
            continue;
        }
        for (axis, extent) in shape.iter().enumerate() {
            facts.push((port, axis, i64::try_from(*extent).unwrap_or(i64::MAX)));
        }
    }
    // Solve until nothing new is found: first plain symbols, then what is linear in one unknown.
    loop {
        let before = values.len();
        for (port, axis, extent) in &facts {
            if let Some((symbol, value)) = solve(&port.shape[*axis], *extent, &values) {
                values.entry(symbol).or_insert(value);
            }
        }
        if values.len() == before {
            break;
        }
    }
    let mut unsolvable = BTreeSet::new();
    for (port, axis, extent) in &facts {
        let poly = &port.shape[*axis];
        let place = |message: String| {
            Diagnostic::error("TC0804", format!("axis {axis} of input `{}` is {extent}, {message}", port.name))
                .at_name(port.name.clone(), format!("declared {}", shape_text(&port.shape)))
        };
        let open: Vec<_> = symbols_of(poly).filter(|s| !values.contains_key(s)).collect();
        match open.as_slice() {
            [] if poly.eval(&values).as_ref() != Ok(extent) => {
                let d = place(format!("it should be {}", expected(poly, &values)));
                let bound: Vec<_> =
                    symbols_of(poly).filter_map(|s| Some(format!("{s} = {}", values.get(&s)?))).collect();
                problems.push(match bound.is_empty() {
                    true => d,
                    false => d.with_note(format!("with {}, taken from other inputs or given values", bound.join(", "))),
                });
            }
            [symbol] if is_linear(poly, symbol, &values) && unsolvable.insert(symbol.clone()) => {
                problems.push(place(format!("no value of `{symbol}` makes `{poly}` that")));
            }
            _ => {}
        }
    }
    // What no shape can satisfy has been said; that the symbol is unbound adds nothing.
    let explained = |d: &Diagnostic| unsolvable.iter().any(|s| *d == unbound(s, &manifest.symbols));
    problems.extend(check(&manifest.symbols, &values).into_iter().filter(|d| !explained(d)));
    if problems.is_empty() { Ok(values) } else { Err(problems) }
}

/// Every declared symbol must have a value that keeps its promises, every value must be of a declared symbol.
pub fn check(table: &SymbolTable, values: &Bindings) -> Vec<Diagnostic> {
    let mut problems = vec![];
    for (symbol, info) in table {
        match values.get(symbol) {
            None => problems.push(unbound(symbol, table)),
            Some(value) => {
                if let Err(broken) = info.check(*value) {
                    let d = Diagnostic::error("TC0806", format!("symbol `{symbol}`: {broken}"));
                    problems.push(
                        d.at_name(format!("symbol `{symbol}`"), promise(info))
                            .with_help("give inputs of a legal size, or build the model with wider limits"),
                    );
                }
            }
        }
    }
    for symbol in values.keys().filter(|s| !table.contains_key(*s)) {
        problems.push(
            Diagnostic::error("TC0805", format!("there is no symbol `{symbol}`"))
                .with_help(format!("the symbols are: {}", list(table.keys()))),
        );
    }
    problems
}

fn unbound(symbol: &Symbol, table: &SymbolTable) -> Diagnostic {
    let hint = table.get(symbol).map_or(1, |info| info.hint);
    Diagnostic::error("TC0805", format!("symbol `{symbol}` is not bound"))
        .at_name(format!("symbol `{symbol}`"), "no given value and no input shape determines it")
        .with_help(format!("give it a value, such as `--set {symbol}={hint}`"))
}

/// TC0802, with the names there are.
pub fn unknown_input(manifest: &Manifest, name: &str) -> Diagnostic {
    Diagnostic::error("TC0802", format!("there is no input `{name}`"))
        .with_help(format!("the inputs are: {}", list(manifest.inputs.iter().map(|p| &p.name))))
}

fn list<T: std::fmt::Display>(items: impl Iterator<Item = T>) -> String {
    let items: Vec<_> = items.map(|i| i.to_string()).collect();
    if items.is_empty() { "none".into() } else { items.join(", ") }
}

fn promise(info: &tricot_types::SymbolInfo) -> String {
    let max = if info.max == i64::MAX { String::new() } else { format!(" and at most {}", info.max) };
    format!("it must be a multiple of {}, at least {}{max}", info.multiple, info.min)
}

/// `[b, 4*s]`.
pub fn shape_text(shape: &[Poly]) -> String {
    format!("[{}]", list(shape.iter()))
}

fn expected(poly: &Poly, values: &Bindings) -> String {
    match (poly.eval(values), poly.as_constant()) {
        (Ok(v), Some(_)) => v.to_string(),
        (Ok(v), None) => format!("{v} (`{poly}`)"),
        (Err(e), _) => format!("`{poly}`, but {e}"),
    }
}

fn symbols_of(poly: &Poly) -> impl Iterator<Item = Symbol> {
    let mut all = BTreeSet::new();
    poly.visit_symbols(&mut |s| {
        all.insert(s.clone());
    });
    all.into_iter()
}

/// The one unknown symbol of `poly = extent` and its value, when there is just one and the equation is linear in it.
fn solve(poly: &Poly, extent: i64, values: &Bindings) -> Option<(Symbol, i64)> {
    let mut unknown = symbols_of(poly).filter(|s| !values.contains_key(s));
    let symbol = unknown.next().filter(|_| unknown.next().is_none())?;
    let mut trial = values.clone();
    let mut at = |x: i64| {
        trial.insert(symbol.clone(), x);
        poly.eval(&trial).ok()
    };
    // Two values give slope and intercept; the third evaluation proves the guess.
    let (zero, one) = (at(0)?, at(1)?);
    let slope = one.checked_sub(zero).filter(|s| *s != 0)?;
    let rest = extent.checked_sub(zero)?;
    let value = if rest % slope == 0 { rest / slope } else { return None };
    (at(value)? == extent).then_some((symbol, value))
}

/// Whether `poly` grows evenly with `symbol`, as far as some samples show, and grows at all.
fn is_linear(poly: &Poly, symbol: &Symbol, values: &Bindings) -> bool {
    let mut trial = values.clone();
    let mut at = |x: i64| {
        trial.insert(symbol.clone(), x);
        poly.eval(&trial).ok().map(i128::from)
    };
    let (Some(zero), Some(one)) = (at(0), at(1)) else { return false };
    one != zero && [2, 3, 7, 1000].into_iter().all(|x| at(x) == Some(zero + (one - zero) * i128::from(x)))
}
