//! Elementwise arithmetic, comparisons, logic, bits and casts.

use crate::onnx::call::{Call, Res, bad_attribute, misfit};
use crate::onnx::ctx::Ctx;
use crate::onnx::eval::Data;
use crate::onnx::tensor::{dtype, unsupported_dtype};
use tricot_dialects::{Attr, ValueId};
use tricot_types::{DType, Diagnostic};

/// The scalar function of an op that is exactly one.
fn scalar_name(op: &str) -> &'static str {
    match op {
        "Abs" => "abs",
        "Neg" => "neg",
        "Sign" => "sign",
        "Floor" => "floor",
        "Ceil" => "ceil",
        "Round" => "round",
        "Sqrt" => "sqrt",
        "Reciprocal" => "recip",
        "Exp" => "exp",
        "Log" => "log",
        "Sin" => "sin",
        "Cos" => "cos",
        "Tan" => "tan",
        "Asin" => "asin",
        "Acos" => "acos",
        "Atan" => "atan",
        "Sinh" => "sinh",
        "Cosh" => "cosh",
        "Tanh" => "tanh",
        "Asinh" => "asinh",
        "Acosh" => "acosh",
        "Atanh" => "atanh",
        "Erf" => "erf",
        "Relu" => "relu",
        "Sigmoid" => "sigmoid",
        "Not" => "not",
        "BitwiseNot" => "bit_not",
        "IsNaN" => "is_nan",
        "Add" | "Sum" => "add",
        "Sub" => "sub",
        "Mul" => "mul",
        "Div" => "div",
        "Min" => "min",
        "Max" => "max",
        "And" | "BitwiseAnd" => "and",
        "Or" | "BitwiseOr" => "or",
        "Xor" | "BitwiseXor" => "xor",
        "Equal" => "eq",
        "Greater" => "gt",
        "GreaterOrEqual" => "ge",
        "Less" => "lt",
        "LessOrEqual" => "le",
        other => unreachable!("the table gives {other} another function"),
    }
}

/// One-operand functions.
pub fn unary(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    Ok(vec![c.b.map(scalar_name(call.op()), &[x])?])
}

/// Two-operand functions with broadcasting.
pub fn binary(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    Ok(vec![c.map(scalar_name(call.op()), &[a, b])?])
}

/// Sum, Min, Max of any number of operands.
pub fn variadic(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let all = call.all()?;
    let mut out = all[0];
    for v in &all[1..] {
        out = c.map(scalar_name(call.op()), &[out, *v])?;
    }
    Ok(vec![out])
}

/// Mean of any number of operands.
pub fn mean(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let all = call.all()?;
    let dtype = c.dtype(all[0]);
    let mut sum = c.up(all[0])?;
    for v in &all[1..] {
        let v = c.up(*v)?;
        sum = c.map("add", &[sum, v])?;
    }
    let mean = c.with("div", sum, all.len() as f64)?;
    Ok(vec![c.b.cast(mean, dtype)?])
}

/// Mod: the sign of the divisor, or of the dividend with `fmod`.
pub fn modulo(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    Ok(vec![c.map(if call.flag("fmod", false)? { "rem" } else { "mod" }, &[a, b])?])
}

/// Pow: the result has the base's type, the exponent may have another.
pub fn pow(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (a, mut b) = (call.input(0)?, call.input(1)?);
    let (base, exponent) = (c.dtype(a), c.dtype(b));
    // Exporters write squares as powers.
    let two = |data: &Data| match data {
        Data::Floats(v) => v[..] == [2.0],
        Data::Ints(v) => v.len() == 1 && v[0].as_constant() == Some(2),
    };
    if c.rank(b) <= c.rank(a) && c.known(b).is_some_and(|k| two(&k.data)) {
        return Ok(vec![c.b.map("square", &[a])?]);
    }
    if base.is_int() && exponent.is_float() {
        let (a, b) = (c.b.cast(a, DType::F64)?, c.b.cast(b, DType::F64)?);
        let p = c.map("pow", &[a, b])?;
        return Ok(vec![c.b.cast(p, base)?]);
    }
    b = c.b.cast(b, base)?;
    Ok(vec![c.map("pow", &[a, b])?])
}

/// BitShift.
pub fn bit_shift(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let function = match call.text("direction", "")?.as_str() {
        "LEFT" => "shl",
        "RIGHT" => "shr",
        other => return Err(bad_attribute(format!("`direction` is `{other}`, not LEFT or RIGHT"))),
    };
    Ok(vec![c.map(function, &[a, b])?])
}

/// IsInf, of either sign or of one.
pub fn is_inf(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let infinite = c.b.map("is_inf", &[x])?;
    let (negative, positive) = (call.flag("detect_negative", true)?, call.flag("detect_positive", true)?);
    let side = match (negative, positive) {
        (true, true) => return Ok(vec![infinite]),
        (true, false) => c.with("lt", x, 0.0)?,
        (false, true) => c.with("gt", x, 0.0)?,
        (false, false) => c.b.map("ne", &[infinite, infinite])?,
    };
    Ok(vec![c.b.map("and", &[infinite, side])?])
}

/// Clip: bounds are attributes up to opset 10, inputs since.
pub fn clip(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let mut x = call.input(0)?;
    for (i, name, function) in [(1, "min", "max"), (2, "max", "min")] {
        if let Some(bound) = call.maybe(i) {
            if c.rank(bound) != 0 && c.ty(bound).elements().as_constant() != Some(1) {
                return Err(misfit(format!("`{name}` is {}, it must be a scalar", c.ty(bound))));
            }
            let bound = c.reshape(bound, &[])?;
            x = c.map(function, &[x, bound])?;
        } else if let Some(bound) = call.get_float(name)? {
            x = c.with(function, x, bound)?;
        }
    }
    Ok(vec![x])
}

/// Where.
pub fn where_(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let parts = [call.input(0)?, call.input(1)?, call.input(2)?];
    let parts = c.b.broadcast_together(&parts)?;
    Ok(vec![c.b.select(parts[0], parts[1], parts[2])?])
}

/// Identity, and Dropout in inference.
pub fn identity(_: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    Ok(vec![call.input(0)?])
}

/// Dropout as inference sees it: the identity, with a mask that keeps everything.
pub fn dropout(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    if let Some(training) = call.maybe(2)
        && c.int(training, "training_mode")? != 0
    {
        let ratio = match call.maybe(1) {
            Some(r) => c.float(r, "ratio")?,
            None => 0.5,
        };
        if ratio != 0.0 {
            return Err(Diagnostic::error(
                "TC0203",
                "Dropout in training is not supported: ONNX does not fix its random numbers",
            )
            .with_help("export the model for inference"));
        }
    }
    let shape = c.shape(x);
    // The mask was of the input's type before it became bool.
    let kind = if call.version < 10 { c.dtype(x) } else { DType::Bool };
    let mask = c.b.full(kind, 1.0, &shape)?;
    Ok(vec![x, mask])
}

/// Conversion with ONNX's rules for the 8-bit floats, whose saturation includes the infinities.
pub fn convert(c: &mut Ctx, x: ValueId, to: DType, saturate: bool) -> Res<ValueId> {
    let largest = match to {
        DType::F8E4M3 => 448.0,
        DType::F8E5M2 => 57344.0,
        // ONNX drops the upper bits of what does not fit into four.
        DType::I4 | DType::U4 if c.dtype(x).is_float() => {
            let whole = c.b.cast(x, DType::I32)?;
            return c.b.cast(whole, to);
        }
        _ => return c.b.cast(x, to),
    };
    if c.dtype(x) == to || !saturate {
        return c.b.cast(x, to);
    }
    let wide = if c.dtype(x).is_float() { c.up(x)? } else { c.b.cast(x, DType::F32)? };
    let low = c.with("max", wide, -largest)?;
    let inside = c.with("min", low, largest)?;
    c.b.cast(inside, to)
}

/// Cast.
pub fn cast(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let number = call.get_int("to")?.ok_or_else(|| bad_attribute("attribute `to` is missing"))?;
    let to = dtype(i32::try_from(number).unwrap_or(-1)).map_err(|name| unsupported_dtype(&name))?;
    Ok(vec![convert(c, x, to, call.flag("saturate", true)?)?])
}

/// CastLike.
pub fn cast_like(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let to = c.dtype(call.input(1)?);
    Ok(vec![convert(c, call.input(0)?, to, call.flag("saturate", true)?)?])
}

/// BitCast between types of equal width.
pub fn bit_cast(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let number = call.get_int("to")?.ok_or_else(|| bad_attribute("attribute `to` is missing"))?;
    let to = dtype(i32::try_from(number).unwrap_or(-1)).map_err(|name| unsupported_dtype(&name))?;
    Ok(vec![c.op1("core.cast", &[x], &[("to", Attr::DType(to)), ("mode", Attr::Str("bits".into()))])?])
}
