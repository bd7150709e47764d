//! `core.map`, `core.select`, `core.cast`: one scalar function at every point.

use crate::attr::{Attr, AttrKind};
use crate::op::{Meaning, OpDef, OpView, Work, defaulted, one, required, result, variadic};
use crate::scalar::ScalarFn;
use crate::ty::TensorType;
use tricot_types::DType;

fn same_shape(view: &OpView<'_>, from: usize) -> Result<(), String> {
    let first = &view.operands[from];
    match view.operands.iter().enumerate().skip(from).find(|(_, t)| t.shape != first.shape) {
        Some((i, t)) => {
            Err(format!("operand {i} is {t}, operand {from} is {first}; shapes must be equal (use core.broadcast)"))
        }
        None => Ok(()),
    }
}

fn infer_map(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let f: ScalarFn = view.attrs.str("fn").parse()?;
    if view.operands.len() != f.arity() {
        return Err(format!("`{}` takes {} operands, not {}", f.name(), f.arity(), view.operands.len()));
    }
    same_shape(&view, 0)?;
    let dtype = view.operands[0].dtype;
    if let Some(other) = view.operands.iter().find(|t| t.dtype != dtype) {
        return Err(format!("operands have element types {dtype} and {}", other.dtype));
    }
    Ok(vec![view.operands[0].with_dtype(f.result_dtype(dtype)?)])
}

pub static MAP: OpDef = OpDef {
    name: "core.map",
    summary: "A scalar function at every point.",
    doc: "`result[i] = fn(operands[i]…)`, operands of equal shape and element type. 16- and 8-bit floats are computed in f32 and \
          rounded once. The functions and their exact meaning are listed with `ScalarFn`.",
    operands: &[variadic("operands", "as many as `fn` takes, of equal type")],
    attrs: &[required("fn", AttrKind::Word(ScalarFn::NAMES), "the scalar function")],
    results: &[result("result", "the operands' shape; bool for predicates")],
    infer: infer_map,
    meaning: Meaning::Primitive,
    work: crate::op::work_per_input,
    vjp: Some(vjp_map),
};

fn infer_select(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    same_shape(&view, 0)?;
    let [cond, then, other] = view.operands else { unreachable!("operand count is checked") };
    if cond.dtype != DType::Bool {
        return Err(format!("the condition is {}, not bool", cond.dtype));
    }
    if then.dtype != other.dtype {
        return Err(format!("the branches have element types {} and {}", then.dtype, other.dtype));
    }
    Ok(vec![then.clone()])
}

pub static SELECT: OpDef = OpDef {
    name: "core.select",
    summary: "Takes from one of two tensors at every point.",
    doc: "`result[i] = cond[i] ? then[i] : other[i]`. A value not taken does not matter, not even a NaN.",
    operands: &[one("cond", "bool"), one("then", "taken where true"), one("other", "taken where false")],
    attrs: &[],
    results: &[result("result", "type of `then`")],
    infer: infer_select,
    meaning: Meaning::Primitive,
    work: crate::op::work_per_input,
    vjp: Some(|b, _, ops, _, grads| {
        let Some(g) = grads[0] else { return Ok(vec![None; 3]) };
        let ty = b.ty(ops[1]).clone();
        let zero = b.full(ty.dtype, 0.0, &ty.shape)?;
        Ok(vec![None, Some(b.select(ops[0], g, zero)?), Some(b.select(ops[0], zero, g)?)])
    }),
};

fn infer_cast(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let (from, to) = (view.operands[0].dtype, view.attrs.dtype("to"));
    if view.attrs.str("mode") == "bits" && from.bits() != to.bits() {
        return Err(format!("bits of {from} cannot be read as {to}: the widths differ"));
    }
    Ok(vec![view.operands[0].with_dtype(to)])
}

pub static CAST: OpDef = OpDef {
    name: "core.cast",
    summary: "Converts the element type.",
    doc: "`round`: float to float rounds to nearest, ties to even, overflow gives infinity (NaN in f8e4m3); float to integer \
          truncates toward zero, saturates, NaN gives 0; integer to integer wraps; anything to bool is `!= 0`. `saturate`: as `round`, \
          but finite overflow gives the largest finite value and integer to integer saturates. `bits`: reinterprets equal widths. \
          Casts are never removed or moved across arithmetic unless they are exact.",
    operands: &[one("operand", "any type")],
    attrs: &[
        required("to", AttrKind::DType, "the new element type"),
        defaulted(
            "mode",
            AttrKind::Word(&["round", "saturate", "bits"]),
            || Attr::Str("round".into()),
            "treatment of range and precision",
        ),
    ],
    results: &[result("result", "the operand's shape")],
    infer: infer_cast,
    meaning: Meaning::Primitive,
    work: |_| Work::default(),
    vjp: Some(|b, _, ops, _, grads| {
        let dtype = b.ty(ops[0]).dtype;
        match grads[0].filter(|_| dtype.is_float()) {
            Some(g) => Ok(vec![Some(b.cast(g, dtype)?)]),
            None => Ok(vec![None]),
        }
    }),
};

/// Derivatives of the scalar functions.
fn vjp_map(
    b: &mut crate::Builder<'_>,
    attrs: &crate::Attrs,
    ops: &[crate::ValueId],
    results: &[crate::ValueId],
    grads: &[Option<crate::ValueId>],
) -> Result<Vec<Option<crate::ValueId>>, tricot_types::Diagnostic> {
    use ScalarFn::*;
    let f: ScalarFn = attrs.str("fn").parse().expect("verified");
    let none = vec![None; ops.len()];
    let Some(g) = grads[0].filter(|_| b.ty(ops[0]).dtype.is_float() && !f.is_predicate()) else { return Ok(none) };
    let (x, y) = (ops[0], results[0]);
    let one = |d: crate::ValueId| Ok(vec![Some(d)]);
    match f {
        Neg => one(b.map("neg", &[g])?),
        Abs => {
            let s = b.map("sign", &[x])?;
            one(b.map("mul", &[g, s])?)
        }
        Exp => one(b.map("mul", &[g, y])?),
        Log => one(b.map("div", &[g, x])?),
        Sqrt => {
            let two = b.map_scalar("mul", y, 2.0)?;
            one(b.map("div", &[g, two])?)
        }
        Square => {
            let two = b.map_scalar("mul", x, 2.0)?;
            one(b.map("mul", &[g, two])?)
        }
        Relu => {
            let ty = b.ty(x).clone();
            let zero = b.full(ty.dtype, 0.0, &ty.shape)?;
            let on = b.map("gt", &[x, zero])?;
            one(b.select(on, g, zero)?)
        }
        Tanh => {
            let y2 = b.map("square", &[y])?;
            let gy = b.map("mul", &[g, y2])?;
            one(b.map("sub", &[g, gy])?)
        }
        Sigmoid => {
            let y2 = b.map("square", &[y])?;
            let d = b.map("sub", &[y, y2])?;
            one(b.map("mul", &[g, d])?)
        }
        Recip => {
            let y2 = b.map("square", &[y])?;
            let d = b.map("mul", &[g, y2])?;
            one(b.map("neg", &[d])?)
        }
        Rsqrt => {
            let y2 = b.map("square", &[y])?;
            let y3 = b.map("mul", &[y2, y])?;
            let d = b.map("mul", &[g, y3])?;
            one(b.map_scalar("mul", d, -0.5)?)
        }
        Sin => {
            let c = b.map("cos", &[x])?;
            one(b.map("mul", &[g, c])?)
        }
        Cos => {
            let s = b.map("sin", &[x])?;
            let d = b.map("mul", &[g, s])?;
            one(b.map("neg", &[d])?)
        }
        Erf => {
            let x2 = b.map("square", &[x])?;
            let n = b.map("neg", &[x2])?;
            let e = b.map("exp", &[n])?;
            let d = b.map("mul", &[g, e])?;
            one(b.map_scalar("mul", d, std::f64::consts::FRAC_2_SQRT_PI)?)
        }
        Add => Ok(vec![Some(g), Some(g)]),
        Sub => Ok(vec![Some(g), Some(b.map("neg", &[g])?)]),
        Mul => Ok(vec![Some(b.map("mul", &[g, ops[1]])?), Some(b.map("mul", &[g, ops[0]])?)]),
        Div => {
            let da = b.map("div", &[g, ops[1]])?;
            let t = b.map("mul", &[da, y])?;
            Ok(vec![Some(da), Some(b.map("neg", &[t])?)])
        }
        Max | Min => {
            let ty = b.ty(x).clone();
            let zero = b.full(ty.dtype, 0.0, &ty.shape)?;
            let first = b.map(if f == Max { "ge" } else { "le" }, &[ops[0], ops[1]])?;
            Ok(vec![Some(b.select(first, g, zero)?), Some(b.select(first, zero, g)?)])
        }
        Exp2 => {
            let d = b.map("mul", &[g, y])?;
            one(b.map_scalar("mul", d, std::f64::consts::LN_2)?)
        }
        Expm1 => {
            let e = b.map_scalar("add", y, 1.0)?;
            one(b.map("mul", &[g, e])?)
        }
        Log2 => {
            let d = b.map("div", &[g, x])?;
            one(b.map_scalar("mul", d, std::f64::consts::LOG2_E)?)
        }
        Log1p => {
            let below = b.map_scalar("add", x, 1.0)?;
            one(b.map("div", &[g, below])?)
        }
        Tan => {
            let y2 = b.map("square", &[y])?;
            let d = b.map_scalar("add", y2, 1.0)?;
            one(b.map("mul", &[g, d])?)
        }
        Sinh | Cosh => {
            let d = b.map(if f == Sinh { "cosh" } else { "sinh" }, &[x])?;
            one(b.map("mul", &[g, d])?)
        }
        Atan | Atanh => {
            let x2 = b.map("square", &[x])?;
            let x2 = if f == Atan { x2 } else { b.map("neg", &[x2])? };
            let below = b.map_scalar("add", x2, 1.0)?;
            one(b.map("div", &[g, below])?)
        }
        Asin | Acos | Asinh | Acosh => {
            // 1 / sqrt(a x^2 + c)
            let x2 = b.map("square", &[x])?;
            let x2 = if matches!(f, Asin | Acos) { b.map("neg", &[x2])? } else { x2 };
            let inner = b.map_scalar("add", x2, if f == Acosh { -1.0 } else { 1.0 })?;
            let r = b.map("rsqrt", &[inner])?;
            let d = b.map("mul", &[g, r])?;
            one(if f == Acos { b.map("neg", &[d])? } else { d })
        }
        Pow => {
            let less = b.map_scalar("sub", ops[1], 1.0)?;
            let power = b.map("pow", &[x, less])?;
            let slope = b.map("mul", &[ops[1], power])?;
            let log = b.map("log", &[x])?;
            let growth = b.map("mul", &[y, log])?;
            Ok(vec![Some(b.map("mul", &[g, slope])?), Some(b.map("mul", &[g, growth])?)])
        }
        Atan2 => {
            let (a2, b2) = (b.map("square", &[ops[0]])?, b.map("square", &[ops[1]])?);
            let r2 = b.map("add", &[a2, b2])?;
            let d = b.map("div", &[g, r2])?;
            let back = b.map("mul", &[d, ops[0]])?;
            Ok(vec![Some(b.map("mul", &[d, ops[1]])?), Some(b.map("neg", &[back])?)])
        }
        Mod | Rem => {
            let q = b.map("div", &[ops[0], ops[1]])?;
            let q = b.map(if f == Mod { "floor" } else { "trunc" }, &[q])?;
            let d = b.map("mul", &[g, q])?;
            Ok(vec![Some(g), Some(b.map("neg", &[d])?)])
        }
        // Constant between jumps, or not defined on floats.
        Sign | Floor | Ceil | Round | Trunc | FloorDiv | Not | BitNot | IsNan | IsInf | And | Or | Xor | Shl | Shr
        | Eq | Ne | Lt | Le | Gt | Ge => Ok(none),
    }
}
