//! Ops without tensor operands, and calls: argument, constant, iota, size, random, call.

use super::check_axis;
use crate::attr::{Attr, AttrKind};
use crate::op::{Meaning, OpDef, OpView, defaulted, no_work, required, result, variadic};
use crate::ty::TensorType;
use tricot_types::{DType, Poly};

pub static ARGUMENT: OpDef = OpDef {
    name: "core.argument",
    summary: "An input of the function.",
    doc: "Written in the function's parameter list; never as a statement.",
    operands: &[],
    attrs: &[],
    results: &[result("value", "the declared type")],
    infer: |_| Err("an argument is declared in the function's parameter list".into()),
    meaning: Meaning::Primitive,
    work: no_work,
    vjp: None,
};

pub static CONSTANT: OpDef = OpDef {
    name: "core.constant",
    summary: "A constant tensor of the module's store.",
    doc: "In text: `dense<[1, 2]>` for small values, `weight<\"name\">` or `blake3<hash>` for weights \
          held in a safetensors file beside the text.",
    operands: &[],
    attrs: &[required("value", AttrKind::Constant, "the tensor")],
    results: &[result("value", "dtype and shape of the constant")],
    infer: |view| match view.constant {
        Some(c) => Ok(vec![TensorType::new(c.dtype, c.shape.iter().map(|d| Poly::constant(*d as i64)))]),
        None => Err("the module holds no constant of this hash".into()),
    },
    meaning: Meaning::Primitive,
    work: no_work,
    vjp: None,
};

pub static IOTA: OpDef = OpDef {
    name: "core.iota",
    summary: "Positions along an axis.",
    doc: "`result[i0, …] = i_axis`.",
    operands: &[],
    attrs: &[
        required("dtype", AttrKind::DType, "element type"),
        required("shape", AttrKind::Dims, "shape"),
        required("axis", AttrKind::Int, "the axis that counts"),
    ],
    results: &[result("value", "as declared")],
    infer: |view| {
        let shape = view.attrs.dims("shape");
        check_axis(view.attrs.int("axis"), shape.len())?;
        match view.attrs.dtype("dtype") {
            DType::Bool => Err("bool cannot count".into()),
            dtype => Ok(vec![TensorType::new(dtype, shape.to_vec())]),
        }
    },
    meaning: Meaning::Primitive,
    work: no_work,
    vjp: None,
};

pub static SIZE: OpDef = OpDef {
    name: "core.size",
    summary: "A size as a value.",
    doc: "The polynomial's value at the bound symbols, i64, rank 0.",
    operands: &[],
    attrs: &[required("value", AttrKind::Dim, "the polynomial")],
    results: &[result("value", "i64[]")],
    infer: |_| Ok(vec![TensorType::scalar(DType::I64)]),
    meaning: Meaning::Primitive,
    work: no_work,
    vjp: None,
};

pub static RANDOM: OpDef = OpDef {
    name: "core.random",
    summary: "Random numbers that depend only on seed and position.",
    doc: "Element `i` (row-major) takes the 64-bit words `splitmix64(seed + 2i * C)` and `splitmix64(seed + (2i + 1) * C)`, C = \
          0x9E3779B97F4A7C15. `uniform`: the upper 24 bits (52 for f64) of the first as a fraction in [0, 1). `normal`: Box-Muller of \
          both, `sqrt(-2 ln(1 - u1)) cos(2 pi u2)`, computed in f32 (f64 for f64).",
    operands: &[],
    attrs: &[
        required("dtype", AttrKind::DType, "a float type"),
        required("shape", AttrKind::Dims, "shape"),
        required("kind", AttrKind::Word(&["uniform", "normal"]), "distribution"),
        defaulted("seed", AttrKind::Int, || Attr::Int(0), "the seed"),
    ],
    results: &[result("value", "as declared")],
    infer: |view| match view.attrs.dtype("dtype") {
        d if d.is_float() => Ok(vec![TensorType::new(d, view.attrs.dims("shape").to_vec())]),
        d => Err(format!("random numbers are floats, not {d}")),
    },
    meaning: Meaning::Primitive,
    work: no_work,
    vjp: None,
};

fn infer_call(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let name = view.attrs.str("callee");
    let Some((inputs, outputs)) = view.callee else { return Err(format!("there is no function @{name}")) };
    if inputs.len() != view.operands.len() {
        return Err(format!("@{name} takes {} arguments, not {}", inputs.len(), view.operands.len()));
    }
    match inputs.iter().zip(view.operands).enumerate().find(|(_, (a, b))| a != b) {
        Some((i, (want, have))) => Err(format!("argument {i} of @{name} is {want}, not {have}")),
        None => Ok(outputs.to_vec()),
    }
}

pub static CALL: OpDef = OpDef {
    name: "core.call",
    summary: "Calls another function of the module.",
    doc: "Types must match exactly; symbols are the module's. Functions may not call themselves.",
    operands: &[variadic("arguments", "the callee's inputs")],
    attrs: &[required("callee", AttrKind::Function, "name of the function")],
    results: &[result("results", "the callee's outputs")],
    infer: infer_call,
    meaning: Meaning::Primitive,
    work: no_work,
    vjp: None,
};
