//! Python values as attributes and types of ops: which kind is wanted, the op's definition says.

use crate::error::Outcome;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tricot_dialects::attr::AttrKind;
use tricot_dialects::op::OpDef;
use tricot_dialects::{Attr, attr::Attrs};
use tricot_types::{DType, Diagnostic, Poly};

/// The attributes in `given` for `def`. TC0110 for names the op does not have and values of another kind.
pub fn attributes(def: &'static OpDef, given: Option<&Bound<'_, PyDict>>) -> Outcome<Attrs> {
    let mut attrs = Attrs::new();
    for (name, value) in given.into_iter().flat_map(|d| d.iter()) {
        let name: String = name.extract()?;
        let Some(declared) = def.attr(&name) else {
            let known: Vec<_> = def.attrs.iter().map(|a| a.name).collect();
            let known = if known.is_empty() { "it has none".into() } else { format!("it has {}", known.join(", ")) };
            return Err(Diagnostic::error("TC0110", format!("`{}` has no attribute `{name}`", def.name))
                .with_help(known)
                .into());
        };
        attrs.set(declared.name, attribute(def, declared.name, declared.kind, &value)?);
    }
    Ok(attrs)
}

fn attribute(def: &OpDef, name: &str, kind: AttrKind, value: &Bound<'_, PyAny>) -> Outcome<Attr> {
    let wrong = |what: &str| {
        let given = value.repr().map(|r| r.to_string()).unwrap_or_default();
        Diagnostic::error("TC0110", format!("attribute `{name}` of `{}` must be {what}, not {given}", def.name))
    };
    Ok(match kind {
        AttrKind::Int => Attr::Int(value.extract().map_err(|_| wrong("an integer"))?),
        AttrKind::Float => Attr::float(value.extract().map_err(|_| wrong("a number"))?),
        AttrKind::Bool => Attr::Bool(value.extract().map_err(|_| wrong("true or false"))?),
        AttrKind::Str | AttrKind::Word(_) => Attr::Str(value.extract().map_err(|_| wrong("text"))?),
        AttrKind::DType => Attr::DType(dtype(value)?),
        AttrKind::Dim => Attr::Dim(size(value)?),
        AttrKind::Dims => Attr::Dims(sizes(value)?),
        AttrKind::Ints => Attr::Ints(value.extract().map_err(|_| wrong("a list of integers"))?),
        AttrKind::Constant | AttrKind::Function => {
            return Err(wrong("a constant or function of the graph; use `constant`").into());
        }
    })
}

/// An element type by Tricot's name (`f32`). TC0103 for others.
pub fn dtype(value: &Bound<'_, PyAny>) -> Outcome<DType> {
    let text = value.str()?.to_string();
    text.parse().map_err(|_| {
        let all: Vec<_> = DType::ALL.iter().map(|d| d.name()).collect();
        Diagnostic::error("TC0103", format!("`{text}` is no element type"))
            .with_help(format!("element types: {}", all.join(", ")))
            .into()
    })
}

/// Sizes of a shape.
pub fn sizes(value: &Bound<'_, PyAny>) -> Outcome<Vec<Poly>> {
    value.try_iter()?.map(|item| size(&item?)).collect()
}

/// A size: an integer, or a polynomial over symbols as text (`"2*rows + 1"`). TC0102 for what is neither.
pub fn size(value: &Bound<'_, PyAny>) -> Outcome<Poly> {
    if let Ok(number) = value.extract::<i64>() {
        return Ok(Poly::constant(number));
    }
    let text = value.str()?.to_string();
    text.parse().map_err(|e| {
        Diagnostic::error("TC0102", format!("`{text}` is no size: {e}"))
            .with_help("write an integer, or text over symbols such as \"2*rows + 1\"")
            .into()
    })
}
