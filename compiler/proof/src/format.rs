//! Attributes as text, and back: the same text in proofs and explanations.

use std::str::FromStr;
use tricot_dialects::{Attr, Hash};
use tricot_types::{DType, Poly};

/// One line, for people.
pub fn attr_text(value: &Attr) -> String {
    let list = |items: Vec<String>| format!("[{}]", items.join(", "));
    match value {
        Attr::Int(v) => v.to_string(),
        Attr::Float(bits) => format!("{:?}", f64::from_bits(*bits)),
        Attr::Bool(v) => v.to_string(),
        Attr::Str(s) => format!("{s:?}"),
        Attr::DType(d) => d.to_string(),
        Attr::Dim(p) => p.to_string(),
        Attr::Dims(ps) => list(ps.iter().map(ToString::to_string).collect()),
        Attr::Ints(vs) => list(vs.iter().map(ToString::to_string).collect()),
        Attr::Constant(hash) => format!("blake3<{hash}>"),
    }
}

/// The exact form: a letter for the kind, then the value.
pub fn attr_exact(value: &Attr) -> String {
    let join = |items: Vec<String>| items.join(";");
    match value {
        Attr::Int(v) => format!("i{v}"),
        Attr::Float(bits) => format!("f{bits:016x}"),
        Attr::Bool(v) => format!("b{}", u8::from(*v)),
        Attr::Str(s) => format!("s{s}"),
        Attr::DType(d) => format!("t{d}"),
        Attr::Dim(p) => format!("p{p}"),
        Attr::Dims(ps) => format!("P{}", join(ps.iter().map(ToString::to_string).collect())),
        Attr::Ints(vs) => format!("I{}", join(vs.iter().map(ToString::to_string).collect())),
        Attr::Constant(hash) => format!("c{hash}"),
    }
}

/// Reads [`attr_exact`].
pub fn parse_attr(text: &str) -> Result<Attr, String> {
    let bad = || format!("`{text}` is no attribute");
    let mut chars = text.chars();
    let kind = chars.next().ok_or_else(bad)?;
    let rest = chars.as_str();
    let poly = |s: &str| Poly::from_str(s).map_err(|_| bad());
    let items = || rest.split(';').filter(|s| !s.is_empty());
    Ok(match kind {
        'i' => Attr::Int(rest.parse().map_err(|_| bad())?),
        'f' => Attr::Float(u64::from_str_radix(rest, 16).map_err(|_| bad())?),
        'b' => Attr::Bool(rest == "1"),
        's' => Attr::Str(rest.into()),
        't' => Attr::DType(rest.parse::<DType>().map_err(|_| bad())?),
        'p' => Attr::Dim(poly(rest)?),
        'P' => Attr::Dims(items().map(poly).collect::<Result<_, _>>()?),
        'I' => Attr::Ints(items().map(|s| s.parse().map_err(|_| bad())).collect::<Result<_, _>>()?),
        'c' => Attr::Constant(rest.parse::<Hash>().map_err(|_| bad())?),
        _ => return Err(bad()),
    })
}
