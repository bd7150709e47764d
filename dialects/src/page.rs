//! The op reference: one Markdown page, generated from the registry.

use crate::attr::Attr;
use crate::irdl;
use crate::op::{Arity, Meaning, OpDef, kind_text};
use crate::registry;
use crate::scalar::ScalarFn;
use std::fmt::Write;
use tricot_types::DType;

/// The page `docs/reference/ops.md`.
pub fn op_reference() -> String {
    let mut out = String::from(
        "# Op reference\n\nGenerated from the op registry by `UPDATE=1 cargo test -p tricot-dialects`; do not edit. A call in graph text reads\n`%result = dialect.op %operand {attribute = value} : type`. Attributes with a default may be left out. Every op outside `core` means a\ngraph of `core` ops.\n",
    );
    let dialects: Vec<_> = irdl::dialects().into_iter().filter(|d| *d != irdl::TYPES).collect();
    for dialect in &dialects {
        let names: Vec<String> = ops(dialect).map(|d| format!("[`{}`](#{})", d.name, anchor(d.name))).collect();
        let _ = write!(out, "\n- **{dialect}**: {}", names.join(", "));
    }
    out.push('\n');
    for dialect in dialects {
        let _ = write!(out, "\n## {dialect}\n");
        ops(dialect).for_each(|d| op(d, &mut out));
    }
    out.push_str("\n## Element types\n\n| name | bits | computes in |\n| --- | --- | --- |\n");
    for d in DType::ALL {
        let _ = writeln!(out, "| `{d}` | {} | `{}` |", d.bits(), d.compute());
    }
    out.push_str(
        "\n## Scalar functions\n\nThe functions of `core.map`.\n\n| name | operands | meaning |\n| --- | --- | --- |\n",
    );
    for f in ScalarFn::ALL {
        let _ = writeln!(out, "| `{}` | {} | {} |", f.name(), f.arity(), f.doc().replace('|', "\\|"));
    }
    out
}

fn ops(dialect: &str) -> impl Iterator<Item = &'static OpDef> {
    registry::all().filter(move |d| d.dialect() == dialect)
}

/// GitHub's anchor of a heading.
fn anchor(name: &str) -> String {
    name.replace('.', "")
}

fn op(d: &OpDef, out: &mut String) {
    let _ = write!(out, "\n### {}\n\n{} {}\n", d.name, d.summary, d.doc);
    let arity = |a: Arity| match a {
        Arity::One => "",
        Arity::Optional => " (optional)",
        Arity::Variadic => " (any number)",
    };
    if !d.operands.is_empty() || !d.results.is_empty() {
        out.push_str("\n| value | |\n| --- | --- |\n");
    }
    for o in d.operands {
        let _ = writeln!(out, "| operand `{}`{} | {} |", o.name, arity(o.arity), cell(o.doc));
    }
    for r in d.results {
        let _ = writeln!(out, "| result `{}` | {} |", r.name, cell(r.doc));
    }
    if !d.attrs.is_empty() {
        out.push_str("\n| attribute | kind | default | |\n| --- | --- | --- | --- |\n");
    }
    for a in d.attrs {
        // The scalar functions have a table of their own.
        let kind = if d.name == "core.map" { "a scalar function".into() } else { kind_text(a.kind) };
        let default = a.default.map(|f| format!("`{}`", default_text(&f.value()))).unwrap_or_else(|| "required".into());
        let _ = writeln!(out, "| `{}` | {} | {default} | {} |", a.name, cell(&kind), cell(a.doc));
    }
    let meaning = match d.meaning {
        Meaning::Primitive => "a primitive",
        Meaning::Decompose(_) | Meaning::Declared(_) => "a graph of core ops",
    };
    let gradient = if d.vjp.is_some() { "has a gradient" } else { "no gradient" };
    let _ = write!(out, "\nMeaning: {meaning}; {gradient}.\n");
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn default_text(a: &Attr) -> String {
    match a {
        Attr::Int(v) => v.to_string(),
        Attr::Float(bits) => format!("{:?}", f64::from_bits(*bits)),
        Attr::Bool(v) => v.to_string(),
        Attr::Str(s) => format!("{s:?}"),
        Attr::DType(d) => d.to_string(),
        Attr::Dim(p) => p.to_string(),
        Attr::Ints(v) => format!("{v:?}"),
        Attr::Dims(v) => format!("[{}]", v.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        Attr::Constant(h) => h.to_string(),
    }
}
