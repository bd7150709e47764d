//! The registry as IRDL, so that stock `mlir-opt` reads our graphs.
//!
//! One file a dialect lies in `dialects/irdl/`; `mlir-opt` takes a single one: `cat dialects/irdl/*.mlir > all.mlir`, then `mlir-opt
//! --irdl-file=all.mlir graph.mlir`. Inputs and calls are MLIR's own (block arguments, `func.call`). IRDL checks names, arity, and the kind of every attribute; shapes are checked by our own
//! verifier. Every value gets a constraint of its own: one shared by two would force them to be equal. A variadic
//! operand list shares one as well, so ops that take any number of operands appear once for each number up to [`MOST`], as
//! `core.concat_3`.

use crate::attr::AttrKind;
use crate::op::{Arity, OpDef};
use crate::registry;
use std::collections::BTreeSet;
use std::fmt::Write;

/// The dialect that holds what is not an op: the encodings of tensor types.
pub const TYPES: &str = "tricot";

/// Ops that take any number of operands are declared for up to so many.
pub const MOST: usize = 16;

/// No scalar function takes more than two.
fn most(op: &OpDef) -> usize {
    if op.name == "core.map" { 2 } else { MOST }
}

/// The name of an op in MLIR when it is called with `operands` operands.
pub fn mlir_name(op: &OpDef, operands: usize) -> String {
    match op.operands.last().is_some_and(|o| o.arity == Arity::Variadic) {
        true => format!("{}_{operands}", op.name),
        false => op.name.into(),
    }
}

/// All dialects with a file, in name order.
pub fn dialects() -> Vec<&'static str> {
    let names: BTreeSet<&str> = registry::all().map(OpDef::dialect).chain([TYPES]).collect();
    names.into_iter().collect()
}

/// The IRDL of a dialect; `None` when it has no ops.
pub fn irdl(dialect: &str) -> Option<String> {
    let mut out =
        String::from("// Generated from the op registry; `UPDATE=1 cargo test -p tricot-dialects` writes it anew.\n");
    if dialect == TYPES {
        out.push_str(ENCODINGS);
        return Some(out);
    }
    let foreign = ["core.argument", "core.call"];
    let ops: Vec<_> = registry::all().filter(|d| d.dialect() == dialect && !foreign.contains(&d.name)).collect();
    if ops.is_empty() {
        return None;
    }
    let _ = writeln!(out, "irdl.dialect @{dialect} {{");
    for (i, op) in ops.iter().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        match op.operands.last().is_some_and(|o| o.arity == Arity::Variadic) {
            true => (1..=most(op)).for_each(|n| operation(op, n, &mut out)),
            false => operation(op, op.operands.len(), &mut out),
        }
    }
    out.push_str("}\n");
    Some(out)
}

const ENCODINGS: &str = r##"irdl.dialect @tricot {
  // Sizes of the dynamic axes, in order.
  irdl.attribute @sym {
    %0 = irdl.base "#builtin.array"
    irdl.parameters(dims: %0)
  }

  // The same for compressed or transformed values.
  irdl.attribute @enc {
    %0 = irdl.base "#builtin.array"
    %1 = irdl.base "#builtin.string"
    irdl.parameters(dims: %0, encoding: %1)
  }
}
"##;

fn operation(op: &OpDef, operands: usize, out: &mut String) {
    let name = mlir_name(op, operands);
    let mut next = 0;
    let mut lines: Vec<String> = vec![];
    let mut constrain = |lines: &mut Vec<String>, text: String| {
        lines.push(format!("%{next} = irdl.{text}"));
        next += 1;
        format!("%{}", next - 1)
    };
    let _ = writeln!(out, "  // {}", op.summary);
    let _ = writeln!(out, "  irdl.operation @{} {{", name.split_once('.').map_or(name.as_str(), |(_, n)| n));
    let mut values = vec![];
    for i in 0..operands {
        let o = &op.operands[i.min(op.operands.len() - 1)];
        let c = constrain(&mut lines, "base \"!builtin.tensor\"".into());
        values.push(match o.arity {
            Arity::One => format!("{}: {c}", o.name),
            Arity::Optional => format!("{}: optional {c}", o.name),
            Arity::Variadic => format!("{}{i}: {c}", o.name),
        });
    }
    if !values.is_empty() {
        lines.push(format!("irdl.operands({})", values.join(", ")));
    }
    let mut values = vec![];
    for r in op.results {
        let c = constrain(&mut lines, "base \"!builtin.tensor\"".into());
        values.push(format!("{}: {c}", r.name));
    }
    if !values.is_empty() {
        lines.push(format!("irdl.results({})", values.join(", ")));
    }
    let mut attrs = vec![];
    for a in op.attrs {
        let c = match a.kind {
            AttrKind::Int | AttrKind::Bool => constrain(&mut lines, "base \"#builtin.integer\"".into()),
            AttrKind::Float => constrain(&mut lines, "base \"#builtin.float\"".into()),
            AttrKind::Str | AttrKind::Dim => constrain(&mut lines, "base \"#builtin.string\"".into()),
            AttrKind::DType => constrain(&mut lines, "base \"#builtin.type\"".into()),
            AttrKind::Dims => constrain(&mut lines, "base \"#builtin.array\"".into()),
            AttrKind::Ints => constrain(&mut lines, "base \"#builtin.dense_array\"".into()),
            AttrKind::Function => constrain(&mut lines, "base \"#builtin.symbol_ref\"".into()),
            AttrKind::Constant => constrain(&mut lines, "any".into()),
            AttrKind::Word(words) => {
                let each: Vec<_> = words.iter().map(|w| constrain(&mut lines, format!("is {w:?}"))).collect();
                constrain(&mut lines, format!("any_of({})", each.join(", ")))
            }
        };
        attrs.push(format!("{:?} = {c}", a.name));
    }
    if !attrs.is_empty() {
        lines.push(format!("irdl.attributes {{ {} }}", attrs.join(", ")));
    }
    for line in lines {
        let _ = writeln!(out, "    {line}");
    }
    out.push_str("  }\n");
}
