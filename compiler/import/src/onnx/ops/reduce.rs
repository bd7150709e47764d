//! Reductions, arg reductions, running sums, softmax.

use crate::onnx::call::{Call, Res, misfit};
use crate::onnx::ctx::Ctx;
use tricot_dialects::{Attr, ValueId};
use tricot_types::{DType, Poly};

/// All Reduce* ops: axes from the attribute or the second input, everything when absent.
pub fn reduce(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let rank = c.rank(x);
    let given = c.axes(call, 1, rank)?.filter(|a| !a.is_empty());
    let axes = match given {
        Some(a) => a,
        None if call.flag("noop_with_empty_axes", false)? => vec![],
        None => (0..rank as i64).collect(),
    };
    let dtype = c.dtype(x);
    let op = call.op();
    let x = if matches!(op, "ReduceMax" | "ReduceMin" | "ReduceSum" | "ReduceProd") { x } else { c.up(x)? };
    let keep = call.flag("keepdims", true)?;
    let fold = |c: &mut Ctx, kind: &str, v: ValueId| match keep {
        true => c.b.reduce_keep(kind, v, &axes),
        false => c.b.reduce(kind, v, &axes),
    };
    let out = match op {
        "ReduceSum" => fold(c, "sum", x)?,
        "ReduceProd" => fold(c, "prod", x)?,
        "ReduceMax" | "ReduceMin" => {
            let largest = op == "ReduceMax";
            match dtype {
                DType::Bool => fold(c, if largest { "or" } else { "and" }, x)?,
                _ => fold(c, if largest { "max" } else { "min" }, x)?,
            }
        }
        "ReduceMean" => {
            let sum = fold(c, "sum", x)?;
            divide_by_count(c, sum, x, &axes)?
        }
        "ReduceL1" => {
            let a = c.b.map("abs", &[x])?;
            fold(c, "sum", a)?
        }
        "ReduceSumSquare" => {
            let a = c.b.map("square", &[x])?;
            fold(c, "sum", a)?
        }
        "ReduceL2" => {
            // Integers take the root in floats.
            let wide = if dtype.is_float() { x } else { c.b.cast(x, DType::F64)? };
            let a = c.b.map("square", &[wide])?;
            let sum = fold(c, "sum", a)?;
            c.b.map("sqrt", &[sum])?
        }
        "ReduceLogSum" => {
            let wide = if dtype.is_float() { x } else { c.b.cast(x, DType::F64)? };
            let sum = fold(c, "sum", wide)?;
            c.b.map("log", &[sum])?
        }
        _ => {
            let wide = if dtype.is_float() { x } else { c.b.cast(x, DType::F64)? };
            log_sum_exp(c, wide, &axes, keep)?
        }
    };
    Ok(vec![c.b.cast(out, dtype)?])
}

/// `log(sum(exp(x)))` with the largest element taken out.
fn log_sum_exp(c: &mut Ctx, x: ValueId, axes: &[i64], keep: bool) -> Res<ValueId> {
    let shape = c.shape(x);
    let largest = c.b.reduce_keep("max", x, axes)?;
    // An all -inf row must not become NaN.
    let infinite = c.b.map("is_inf", &[largest])?;
    let zero = c.fill_like(largest, 0.0)?;
    let shift = c.b.select(infinite, zero, largest)?;
    let wide = c.b.broadcast_to(shift, &shape)?;
    let moved = c.b.map("sub", &[x, wide])?;
    let exp = c.b.map("exp", &[moved])?;
    let sum = c.b.reduce_keep("sum", exp, axes)?;
    let log = c.b.map("log", &[sum])?;
    let out = c.b.map("add", &[log, shift])?;
    if keep {
        return Ok(out);
    }
    let kept = (0..shape.len()).filter(|i| !axes.contains(&(*i as i64))).map(|i| shape[i].clone()).collect::<Vec<_>>();
    c.b.reshape(out, &kept)
}

/// `sum / number of elements of `of` along `axes``; integers truncate.
pub fn divide_by_count(c: &mut Ctx, sum: ValueId, of: ValueId, axes: &[i64]) -> Res<ValueId> {
    let shape = c.shape(of);
    let count: Poly = axes.iter().map(|a| shape[*a as usize].clone()).product();
    if let Some(n) = count.as_constant() {
        return c.with("div", sum, n as f64);
    }
    let n = c.size(&count)?;
    let dtype = c.dtype(sum);
    let n = c.b.cast(n, dtype)?;
    c.map("div", &[sum, n])
}

/// Mean over axes that stay with size 1.
pub fn mean_keep(c: &mut Ctx, x: ValueId, axes: &[i64]) -> Res<ValueId> {
    let sum = c.b.reduce_keep("sum", x, axes)?;
    divide_by_count(c, sum, x, axes)
}

/// ArgMax and ArgMin.
pub fn arg_reduce(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let axis = call.axis("axis", 0, c.rank(x))?;
    let kind = if call.op() == "ArgMax" { "max" } else { "min" };
    let last = call.flag("select_last_index", false)?;
    let attrs = [("kind", Attr::from(kind)), ("axis", Attr::Int(axis)), ("last", Attr::Bool(last))];
    let out = c.op1("core.arg_reduce", &[x], &attrs)?;
    if !call.flag("keepdims", true)? {
        return Ok(vec![out]);
    }
    let mut shape = c.shape(x);
    shape[axis as usize] = Poly::constant(1);
    Ok(vec![c.b.reshape(out, &shape)?])
}

/// CumSum and CumProd; the axis is an input that must be known.
pub fn cumulative(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let axis = c.int(call.input(1)?, "axis")?;
    let axis = crate::onnx::call::normal_axis(axis, c.rank(x))?;
    let kind = if call.op() == "CumSum" { "sum" } else { "prod" };
    let attrs = [
        ("kind", Attr::from(kind)),
        ("axis", Attr::Int(axis)),
        ("exclusive", Attr::Bool(call.flag("exclusive", false)?)),
        ("reverse", Attr::Bool(call.flag("reverse", false)?)),
    ];
    Ok(vec![c.op1("core.scan", &[x], &attrs)?])
}

/// Softmax, LogSoftmax and Hardmax. Before opset 13 the axes from `axis` on count as one.
pub fn softmax(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let shape = c.shape(x);
    if shape.is_empty() {
        return Err(misfit("a scalar has no axis"));
    }
    let old = call.version < 13;
    let axis = call.axis("axis", if old { 1 } else { -1 }, shape.len().max(if old { 2 } else { 0 }))?;
    if !old || axis as usize + 1 == shape.len() {
        return Ok(vec![softmax_along(c, x, axis, call.op())?]);
    }
    let rows: Poly = shape[..axis as usize].iter().cloned().product();
    let columns: Poly = shape[axis as usize..].iter().cloned().product();
    let flat = c.b.reshape(x, &[rows, columns])?;
    let out = softmax_along(c, flat, 1, call.op())?;
    Ok(vec![c.b.reshape(out, &shape)?])
}

fn softmax_along(c: &mut Ctx, x: ValueId, axis: i64, op: &str) -> Res<ValueId> {
    match op {
        "Hardmax" => {
            let (ty, mut kept) = (c.ty(x), c.shape(x));
            kept[axis as usize] = Poly::constant(1);
            let attrs = [("kind", Attr::from("max")), ("axis", Attr::Int(axis))];
            let best = c.op1("core.arg_reduce", &[x], &attrs)?;
            let best = c.b.reshape(best, &kept)?;
            let best = c.b.broadcast_to(best, &ty.shape)?;
            let here = c.b.iota(DType::I64, &ty.shape, axis)?;
            let hit = c.b.map("eq", &[here, best])?;
            c.b.cast(hit, ty.dtype)
        }
        "LogSoftmax" => c.op1("nn.log_softmax", &[x], &[("axis", Attr::Int(axis))]),
        _ => c.op1("nn.softmax", &[x], &[("axis", Attr::Int(axis))]),
    }
}
