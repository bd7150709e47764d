//! The printer.

use crate::attr::{Attr, AttrKind};
use crate::constant::Constant;
use crate::graph::{Function, Module, NodeId, ValueId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use tricot_types::SymbolInfo;

/// Constants of at most this many elements are written out.
const DENSE_LIMIT: u64 = 32;

/// Prints a module. Weights appear by hash; keep the module's constants beside the text to parse it back. Declared ops appear as
/// they were written.
pub fn print(module: &Module) -> String {
    let mut out = String::new();
    writeln!(out, "module @{}", quoted_unless_word(&module.name)).expect("writing to a string");
    for (symbol, info) in &module.symbols {
        let default = SymbolInfo::default();
        let mut fields = vec![];
        for (name, value, usual) in [
            ("min", info.min, default.min),
            ("max", info.max, default.max),
            ("multiple", info.multiple, default.multiple),
            ("hint", info.hint, default.hint),
        ] {
            if value != usual {
                fields.push(format!("{name} = {value}"));
            }
        }
        let fields = if fields.is_empty() { String::new() } else { format!(" {{{}}}", fields.join(", ")) };
        writeln!(out, "symbol {symbol}{fields}").expect("writing to a string");
    }
    for op in module.ops.declared() {
        let _ = write!(out, "\n{}\n", op.text);
    }
    for function in module.functions.values() {
        out.push('\n');
        print_function(module, function, &mut out);
    }
    out
}

fn print_function(module: &Module, function: &Function, out: &mut String) {
    let order = function.order();
    let names = value_names(function, &order);
    let params: Vec<String> = function
        .inputs()
        .zip(function.input_names())
        .map(|(v, original)| {
            let name = &names[&v];
            let alias = if name == original { String::new() } else { format!(" {original:?}") };
            format!("%{name}{alias}: {}", function.ty(v))
        })
        .collect();
    let _ = writeln!(out, "func @{}({}) {{", quoted_unless_word(&function.name), params.join(", "));
    for id in order {
        if function.node(id).op.name != "core.argument" {
            print_node(module, function, id, &names, out);
        }
    }
    let outputs: Vec<String> = function
        .outputs
        .iter()
        .map(|o| {
            let alias = o.alias.as_ref().map(|a| format!(" alias {a:?}")).unwrap_or_default();
            format!("{:?} = %{}{alias}", o.name, names[&o.value])
        })
        .collect();
    let _ = writeln!(out, "  return {}\n}}", outputs.join(", "));
}

fn print_node(module: &Module, function: &Function, id: NodeId, names: &BTreeMap<ValueId, String>, out: &mut String) {
    let node = function.node(id);
    let results: Vec<String> =
        (0..node.results.len() as u32).map(|result| format!("%{}", names[&ValueId { node: id, result }])).collect();
    let operands: Vec<String> = node.operands().iter().map(|v| format!("%{}", names[v])).collect();
    let mut attrs = vec![];
    for (name, value) in node.attrs.iter() {
        let def = node.op.attr(name);
        if def.and_then(|d| d.default).is_some_and(|d| d.value() == *value) {
            continue;
        }
        attrs.push(format!("{name} = {}", attr_text(module, value, def.map(|d| d.kind))));
    }
    let space = if operands.is_empty() { "" } else { " " };
    let attrs = if attrs.is_empty() { String::new() } else { format!(" {{{}}}", attrs.join(", ")) };
    let types: Vec<String> = node.results.iter().map(ToString::to_string).collect();
    let left = if results.is_empty() { String::new() } else { format!("{} = ", results.join(", ")) };
    let _ = writeln!(out, "  {left}{}{space}{}{attrs} : {}", node.op.name, operands.join(", "), types.join(", "));
}

fn attr_text(module: &Module, value: &Attr, kind: Option<AttrKind>) -> String {
    match value {
        Attr::Int(v) => v.to_string(),
        Attr::Float(bits) => float_text(f64::from_bits(*bits)),
        Attr::Bool(v) => v.to_string(),
        Attr::Str(s) if kind == Some(AttrKind::Function) => format!("@{}", quoted_unless_word(s)),
        Attr::Str(s) => format!("{s:?}"),
        Attr::DType(d) => d.to_string(),
        Attr::Dim(p) => p.to_string(),
        Attr::Dims(ps) => format!("[{}]", ps.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        Attr::Ints(vs) => format!("[{}]", vs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        Attr::Constant(hash) => match module.constants.get(*hash) {
            Some(c) => constant_text(c).unwrap_or_else(|| format!("blake3<{hash}>")),
            None => format!("blake3<{hash}>"),
        },
    }
}

/// `dense<[…]>` or `splat<x>` for constants that are short that way.
fn constant_text(c: &Constant) -> Option<String> {
    let number = |c: &Constant| -> Vec<String> {
        match c.dtype.is_float() {
            true if c.dtype == tricot_types::DType::F64 => c.to_f64().into_iter().map(float_text).collect(),
            // The shortest decimal that reads back as the same f32 also reads back as the same narrower float.
            true => c
                .to_f64()
                .into_iter()
                .map(|v| if v.is_nan() { "nan".into() } else { format!("{:?}", v as f32) })
                .collect(),
            false if c.dtype == tricot_types::DType::U64 => {
                c.to_i64().into_iter().map(|v| (v as u64).to_string()).collect()
            }
            false => c.to_i64().into_iter().map(|v| v.to_string()).collect(),
        }
    };
    // Text has one NaN; another payload would change the constant's hash.
    let odd_nan = |c: &Constant| {
        c.dtype.is_float() && {
            let canonical = Constant::from_f64(c.dtype, c.shape.clone(), &c.to_f64());
            canonical.bytes() != c.bytes()
        }
    };
    if c.elements() <= DENSE_LIMIT {
        return (!odd_nan(c)).then(|| format!("dense<[{}]>", number(c).join(", ")));
    }
    let splat = c.splat()?;
    (!odd_nan(&splat)).then(|| format!("splat<{}>", number(&splat)[0]))
}

pub(super) fn float_text(v: f64) -> String {
    if v.is_nan() { "nan".into() } else { format!("{v:?}") }
}

pub(super) fn is_word(s: &str) -> bool {
    !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !s.as_bytes()[0].is_ascii_digit()
}

fn quoted_unless_word(s: &str) -> String {
    if is_word(s) { s.into() } else { format!("{s:?}") }
}

/// Unique names: the preferred one made an identifier, a suffix where it is taken, a number where there is none.
pub(super) fn value_names(function: &Function, order: &[NodeId]) -> BTreeMap<ValueId, String> {
    let (mut out, mut taken, mut next) = (BTreeMap::new(), BTreeSet::new(), 0usize);
    for id in order {
        let node = function.node(*id);
        for result in 0..node.results.len() {
            let wanted = node.names.get(result).map(|n| identifier(n)).filter(|n| !n.is_empty());
            let name = match wanted {
                Some(base) => {
                    let mut name = base.clone();
                    let mut suffix = 1;
                    while !taken.insert(name.clone()) {
                        name = format!("{base}_{suffix}");
                        suffix += 1;
                    }
                    name
                }
                None => {
                    next += 1;
                    (next - 1).to_string()
                }
            };
            out.insert(ValueId { node: *id, result: result as u32 }, name);
        }
    }
    out
}

fn identifier(name: &str) -> String {
    let mut out: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    out
}
