//! Graphs as generic MLIR in the dialects of [`crate::irdl`]. One way only: the graph text is what reads back.

use super::print::{is_word, value_names};
use crate::attr::{Attr, AttrKind};
use crate::constant::Constant;
use crate::graph::{Function, Module, NodeId, ValueId};
use crate::irdl::mlir_name;
use crate::ty::TensorType;
use std::collections::BTreeMap;
use std::fmt::Write;
use tricot_types::DType;

/// Constants of at most this many elements are written out, others by hash.
const DENSE_LIMIT: u64 = 32;

/// Prints a module as MLIR: `func.func` around generic ops, every attribute present, symbolic sizes as the tensor encoding
/// `#tricot.sym<["b", "2*s"]>` (one entry for each `?`), encodings as `#tricot.enc<[…], "sparse24<1>">`.
pub fn print_mlir(module: &Module) -> String {
    let mut out = format!("module @{} {{\n", symbol(&module.name));
    for function in module.functions.values() {
        print_function(module, function, &mut out);
    }
    out.push_str("}\n");
    out
}

fn print_function(module: &Module, function: &Function, out: &mut String) {
    let order = function.order();
    let names = value_names(function, &order);
    let list = |values: &mut dyn Iterator<Item = String>| values.collect::<Vec<_>>().join(", ");
    let params = list(&mut function.inputs().map(|v| format!("%{}: {}", names[&v], type_text(function.ty(v)))));
    let results = list(&mut function.outputs.iter().map(|o| type_text(function.ty(o.value))));
    let _ = writeln!(out, "  func.func @{}({params}) -> ({results}) {{", symbol(&function.name));
    for id in order {
        if function.node(id).op.name != "core.argument" {
            print_node(module, function, id, &names, out);
        }
    }
    let values = list(&mut function.outputs.iter().map(|o| format!("%{}", names[&o.value])));
    match function.outputs.is_empty() {
        true => out.push_str("    return\n  }\n"),
        false => {
            let _ = writeln!(out, "    return {values} : {results}\n  }}");
        }
    }
}

fn print_node(module: &Module, function: &Function, id: NodeId, names: &BTreeMap<ValueId, String>, out: &mut String) {
    let node = function.node(id);
    let count = node.results.len() as u32;
    let results: Vec<String> = (0..count).map(|result| format!("%{}", names[&ValueId { node: id, result }])).collect();
    let operands: Vec<String> = node.operands().iter().map(|v| format!("%{}", names[v])).collect();
    let attrs: Vec<String> = node
        .attrs
        .iter()
        .map(|(name, value)| format!("{name} = {}", attr_text(module, value, node.op.attr(name).map(|d| d.kind))))
        .collect();
    let attrs = if attrs.is_empty() { String::new() } else { format!(" {{{}}}", attrs.join(", ")) };
    let from: Vec<String> = node.operands().iter().map(|v| type_text(function.ty(*v))).collect();
    let to: Vec<String> = node.results.iter().map(type_text).collect();
    let left = if results.is_empty() { String::new() } else { format!("{} = ", results.join(", ")) };
    let (name, attrs) = match node.attrs.get("callee") {
        Some(Attr::Str(callee)) => (format!("func.call @{}", symbol(callee)), String::new()),
        _ => (format!("\"{}\"", mlir_name(node.op, operands.len())), attrs),
    };
    let _ = writeln!(
        out,
        "    {left}{name}({}){attrs} : ({}) -> ({})",
        operands.join(", "),
        from.join(", "),
        to.join(", ")
    );
}

fn symbol(name: &str) -> String {
    if is_word(name) { name.into() } else { string(name) }
}

/// A string literal of MLIR: other than printable ASCII as two hex digits a byte.
fn string(s: &str) -> String {
    let mut out = String::from("\"");
    for b in s.bytes() {
        match b {
            b'"' | b'\\' => {
                let _ = write!(out, "\\{}", char::from(b));
            }
            0x20..=0x7e => out.push(char::from(b)),
            _ => {
                let _ = write!(out, "\\{b:02X}");
            }
        }
    }
    out + "\""
}

fn dtype_text(dtype: DType) -> &'static str {
    match dtype {
        DType::F8E4M3 => "f8E4M3FN",
        DType::F8E5M2 => "f8E5M2",
        // Signless, as MLIR's own arithmetic has them; unsigned ones say so.
        DType::U64 => "ui64",
        DType::U32 => "ui32",
        DType::U16 => "ui16",
        DType::U8 => "ui8",
        DType::U4 => "ui4",
        DType::Bool => "i1",
        other => other.name(),
    }
}

fn type_text(ty: &TensorType) -> String {
    let mut out = String::from("tensor<");
    let mut symbolic = vec![];
    for d in &ty.shape {
        match d.as_constant() {
            Some(n) => {
                let _ = write!(out, "{n}x");
            }
            None => {
                out.push_str("?x");
                symbolic.push(string(&d.to_string()));
            }
        }
    }
    out.push_str(dtype_text(ty.dtype));
    let dims = symbolic.join(", ");
    match ty.encoding {
        Some(e) => {
            let _ = write!(out, ", #tricot.enc<[{dims}], {}>", string(&e.to_string()));
        }
        None if !symbolic.is_empty() => {
            let _ = write!(out, ", #tricot.sym<[{dims}]>");
        }
        None => {}
    }
    out + ">"
}

/// A float that MLIR reads back exactly: its shortest decimal with a point, or the bits.
fn float_text(v: f64) -> String {
    if !v.is_finite() {
        return format!("0x{:016X}", v.to_bits());
    }
    let text = format!("{v:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0e{exponent}"),
        _ => text,
    }
}

fn attr_text(module: &Module, value: &Attr, kind: Option<AttrKind>) -> String {
    match value {
        Attr::Int(v) => format!("{v} : i64"),
        Attr::Float(bits) => format!("{} : f64", float_text(f64::from_bits(*bits))),
        Attr::Bool(v) => v.to_string(),
        Attr::Str(s) if kind == Some(AttrKind::Function) => format!("@{}", symbol(s)),
        Attr::Str(s) => string(s),
        Attr::DType(d) => dtype_text(*d).into(),
        Attr::Dim(p) => string(&p.to_string()),
        Attr::Dims(ps) => format!("[{}]", ps.iter().map(|p| string(&p.to_string())).collect::<Vec<_>>().join(", ")),
        Attr::Ints(vs) if vs.is_empty() => "array<i64>".into(),
        Attr::Ints(vs) => format!("array<i64: {}>", vs.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")),
        Attr::Constant(hash) => {
            let dense = module.constants.get(*hash).and_then(dense_text);
            dense.unwrap_or_else(|| string(&format!("blake3<{hash}>")))
        }
    }
}

/// `dense<…> : tensor<…>` of a small constant, floats by their bits.
fn dense_text(c: &Constant) -> Option<String> {
    if c.elements() > DENSE_LIMIT {
        return None;
    }
    let width = c.dtype.bits() as usize / 8;
    let element = |i: usize| match c.dtype {
        d if d.is_float() => {
            let bytes = &c.bytes()[i * width..][..width];
            format!("0x{}", bytes.iter().rev().map(|b| format!("{b:02X}")).collect::<String>())
        }
        DType::Bool => (c.to_i64()[i] != 0).to_string(),
        DType::U64 => (c.to_i64()[i] as u64).to_string(),
        _ => c.to_i64()[i].to_string(),
    };
    fn nested(shape: &[u64], at: &mut usize, element: &dyn Fn(usize) -> String) -> String {
        match shape {
            [] => {
                *at += 1;
                element(*at - 1)
            }
            [n, rest @ ..] => {
                let parts: Vec<String> = (0..*n).map(|_| nested(rest, at, element)).collect();
                format!("[{}]", parts.join(", "))
            }
        }
    }
    let body = if c.elements() == 0 { String::new() } else { nested(&c.shape, &mut 0, &element) };
    let shape: String = c.shape.iter().map(|n| format!("{n}x")).collect();
    Some(format!("dense<{body}> : tensor<{shape}{}>", dtype_text(c.dtype)))
}
