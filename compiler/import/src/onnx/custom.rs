//! Nodes of a domain of the user's own: calls of declared ops.

use super::call::{Call, Res, bad_attribute, misfit};
use super::ctx::Ctx;
use tricot_dialects::{Attr, AttrKind, Attrs, OpDef, OpSet, ValueId};

/// The declared op that a node of `domain` calls.
pub fn find(library: &OpSet, domain: &str, op: &str) -> Option<&'static OpDef> {
    library.lookup(&format!("{domain}.{op}")).filter(|def| def.declaration().is_some())
}

/// The call. Attributes go by name.
pub fn lower(ctx: &mut Ctx<'_>, def: &'static OpDef, call: &Call<'_>) -> Res<Vec<ValueId>> {
    if let Some(other) = call.node.attribute.iter().find(|a| def.attr(a.name()).is_none()) {
        return Err(bad_attribute(format!("`{}` has no attribute `{}`", def.name, other.name())));
    }
    let mut attrs = Attrs::new();
    for a in def.attrs {
        if !call.has(a.name) {
            continue;
        }
        let value = match a.kind {
            AttrKind::Int => Attr::Int(call.int(a.name, 0)?),
            AttrKind::Bool => Attr::Bool(call.flag(a.name, false)?),
            AttrKind::Float => Attr::float(call.float(a.name, 0.0)?),
            AttrKind::Str => Attr::Str(call.text(a.name, "")?),
            AttrKind::Dim => Attr::Dim(call.int(a.name, 0)?.into()),
            AttrKind::DType => Attr::DType(super::tensor::dtype(call.int(a.name, 0)? as i32).map_err(bad_attribute)?),
            _ => return Err(bad_attribute(format!("attribute `{}` cannot be given by an ONNX node", a.name))),
        };
        attrs.set(a.name, value);
    }
    let operands = (0..call.inputs.len()).map(|i| call.input(i)).collect::<Res<Vec<_>>>()?;
    if call.node.output.len() > def.results.len() {
        return Err(misfit(format!("`{}` has {} results", def.name, def.results.len())));
    }
    ctx.b.call(def, &operands, attrs)
}
