//! Ops that move elements without arithmetic: broadcast, reshape, transpose, pad, slice, concat, window.

use super::{check_axes, check_axis};
use crate::attr::{AttrKind, Attrs};
use crate::check::{add, ceil_div, multiply, subtract};
use crate::op::{Meaning, OpDef, OpView, no_work, one, required, result, variadic};
use crate::ty::TensorType;
use tricot_types::Poly;

fn infer_broadcast(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let (t, shape) = (&view.operands[0], view.attrs.dims("shape"));
    let axes = check_axes(view.attrs.ints("axes"), shape.len())?;
    if axes.len() != t.rank() {
        return Err(format!("axes has {} entries, the operand rank {}", axes.len(), t.rank()));
    }
    for (i, a) in axes.iter().enumerate() {
        if t.shape[i] != shape[*a] && !t.shape[i].is_one() {
            return Err(format!(
                "operand axis {i} of size {} cannot become result axis {a} of size {}",
                t.shape[i], shape[*a]
            ));
        }
    }
    Ok(vec![t.with_shape(shape.to_vec())])
}

pub static BROADCAST: OpDef = OpDef {
    name: "core.broadcast",
    summary: "Repeats a tensor along new or size-1 axes.",
    doc: "Operand axis `i` becomes result axis `axes[i]`; an operand axis of size 1 stretches; result axes not named are new.",
    operands: &[one("operand", "any type")],
    attrs: &[
        required("shape", AttrKind::Dims, "the result's shape"),
        required("axes", AttrKind::Ints, "result axis of each operand axis, distinct"),
    ],
    results: &[result("result", "the operand's dtype")],
    infer: infer_broadcast,
    meaning: Meaning::Primitive,
    work: no_work,
    vjp: Some(|b, attrs, ops, _, grads| {
        let Some(g) = grads[0] else { return Ok(vec![None]) };
        let ty = b.ty(ops[0]).clone();
        let shape = attrs.dims("shape");
        let axes = attrs.ints("axes");
        let folded: Vec<i64> = (0..shape.len() as i64)
            .filter(|a| match axes.iter().position(|x| x == a) {
                Some(i) => ty.shape[i] != shape[*a as usize],
                None => true,
            })
            .collect();
        let reduced = b.reduce("sum", g, &folded)?;
        // What is left is the operand's axes in result order; bring them back to operand order.
        let left: Vec<i64> = (0..shape.len() as i64).filter(|a| !folded.contains(a)).collect();
        let perm: Vec<i64> = axes.iter().filter_map(|a| left.iter().position(|l| l == a).map(|p| p as i64)).collect();
        let turned = b.transpose(reduced, &perm)?;
        Ok(vec![Some(b.reshape(turned, &ty.shape)?)])
    }),
};

fn infer_reshape(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let t = &view.operands[0];
    let to = t.with_shape(view.attrs.dims("shape").to_vec());
    let (have, want) = (t.count()?, to.count()?);
    match have == want {
        true => Ok(vec![to]),
        false => Err(format!("{t} has {have} elements, {to} has {want}")),
    }
}

pub static RESHAPE: OpDef = OpDef {
    name: "core.reshape",
    summary: "The same elements in row-major order under another shape.",
    doc: "The element counts must be equal as polynomials.",
    operands: &[one("operand", "any type")],
    attrs: &[required("shape", AttrKind::Dims, "the new shape")],
    results: &[result("result", "the operand's dtype")],
    infer: infer_reshape,
    meaning: Meaning::Primitive,
    work: no_work,
    vjp: Some(|b, _, ops, _, grads| {
        let shape = b.ty(ops[0]).shape.clone();
        Ok(vec![grads[0].map(|g| b.reshape(g, &shape)).transpose()?])
    }),
};

fn infer_transpose(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let t = &view.operands[0];
    let perm = check_axes(view.attrs.ints("perm"), t.rank())?;
    match perm.len() == t.rank() {
        true => Ok(vec![t.with_shape(perm.iter().map(|p| t.shape[*p].clone()).collect())]),
        false => Err(format!("perm has {} entries, the operand rank {}", perm.len(), t.rank())),
    }
}

pub static TRANSPOSE: OpDef = OpDef {
    name: "core.transpose",
    summary: "Permutes axes.",
    doc: "Result axis `i` is operand axis `perm[i]`.",
    operands: &[one("operand", "any type")],
    attrs: &[required("perm", AttrKind::Ints, "a permutation of the axes")],
    results: &[result("result", "the operand's dtype")],
    infer: infer_transpose,
    meaning: Meaning::Primitive,
    work: no_work,
    vjp: Some(|b, attrs, _, _, grads| {
        let perm = attrs.ints("perm");
        let mut inverse = vec![0; perm.len()];
        perm.iter().enumerate().for_each(|(i, p)| inverse[*p as usize] = i as i64);
        Ok(vec![grads[0].map(|g| b.transpose(g, &inverse)).transpose()?])
    }),
};

fn infer_pad(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let (t, fill) = (&view.operands[0], &view.operands[1]);
    if fill.rank() != 0 || fill.dtype != t.dtype {
        return Err(format!("the fill value must be {}[], not {fill}", t.dtype));
    }
    let (low, high, interior) = (view.attrs.dims("low"), view.attrs.dims("high"), view.attrs.ints("interior"));
    if [low.len(), high.len(), interior.len()] != [t.rank(); 3] {
        return Err(format!("low, high and interior need {} entries each", t.rank()));
    }
    if let Some(p) = low.iter().chain(high).find(|p| p.as_constant().is_some_and(|c| c < 0)) {
        return Err(format!("a padding of {p} is negative; use core.slice"));
    }
    if let Some(p) = interior.iter().find(|p| **p < 0) {
        return Err(format!("an interior padding of {p} is negative"));
    }
    let mut shape = vec![];
    for (i, n) in t.shape.iter().enumerate() {
        // n + max(n - 1, 0) * interior: empty axes with interior padding are refused at run time.
        let between = match interior[i] {
            0 => Poly::constant(0),
            each => multiply(&subtract(n, &1.into())?, &each.into())?,
        };
        shape.push(add(&add(&add(n, &between)?, &low[i])?, &high[i])?);
    }
    Ok(vec![t.with_shape(shape)])
}

pub static PAD: OpDef = OpDef {
    name: "core.pad",
    summary: "Surrounds a tensor with a value, and spreads its elements apart.",
    doc: "Along each axis: `low` fill elements, the operand's with `interior` fill elements between neighbours, `high` fill elements.",
    operands: &[one("operand", "any type"), one("value", "the fill, rank 0")],
    attrs: &[
        required("low", AttrKind::Dims, "elements before, at least 0"),
        required("high", AttrKind::Dims, "elements after, at least 0"),
        required("interior", AttrKind::Ints, "elements between neighbours, at least 0"),
    ],
    results: &[result("result", "the operand's dtype")],
    infer: infer_pad,
    meaning: Meaning::Primitive,
    work: no_work,
    vjp: Some(|b, attrs, ops, _, grads| {
        let shape = b.ty(ops[0]).shape.clone();
        let step: Vec<i64> = attrs.ints("interior").iter().map(|i| i + 1).collect();
        let low = attrs.dims("low").to_vec();
        Ok(vec![grads[0].map(|g| b.slice(g, &low, &shape, &step)).transpose()?, None])
    }),
};

fn infer_slice(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let t = &view.operands[0];
    let (start, size, step) = (view.attrs.dims("start"), view.attrs.dims("size"), view.attrs.ints("step"));
    if [start.len(), size.len(), step.len()] != [t.rank(); 3] {
        return Err(format!("start, size and step need {} entries each", t.rank()));
    }
    for i in 0..t.rank() {
        if step[i] == 0 {
            return Err(format!("the step of axis {i} is 0"));
        }
        // First and last element must lie inside where that can be told.
        let last = add(&start[i], &multiply(&subtract(&size[i], &1.into())?, &step[i].into())?)?;
        let inside = |p: &Poly| {
            p.as_constant().is_none_or(|c| c >= 0)
                && subtract(p, &t.shape[i]).is_ok_and(|d| d.as_constant().is_none_or(|c| c < 0))
        };
        let empty = size[i].is_zero();
        if size[i].as_constant().is_some_and(|c| c < 0) || !empty && !(inside(&start[i]) && inside(&last)) {
            return Err(format!(
                "axis {i}: elements {}..={last} by {} lie outside 0..{}",
                start[i], step[i], t.shape[i]
            ));
        }
    }
    Ok(vec![t.with_shape(size.to_vec())])
}

pub static SLICE: OpDef = OpDef {
    name: "core.slice",
    summary: "Every step-th element of a box.",
    doc: "Along each axis the elements `start + i * step` for `0 <= i < size`; a negative step runs backwards.",
    operands: &[one("operand", "any type")],
    attrs: &[
        required("start", AttrKind::Dims, "first element"),
        required("size", AttrKind::Dims, "number of elements"),
        required("step", AttrKind::Ints, "distance, not 0"),
    ],
    results: &[result("result", "the operand's dtype")],
    infer: infer_slice,
    meaning: Meaning::Primitive,
    work: no_work,
    vjp: Some(|b, attrs, ops, _, grads| {
        let Some(g) = grads[0] else { return Ok(vec![None]) };
        if attrs.ints("step").iter().any(|s| *s != 1) {
            return Ok(vec![None]);
        }
        let ty = b.ty(ops[0]).clone();
        let (low, size) = (attrs.dims("start").to_vec(), attrs.dims("size"));
        let high: Vec<Poly> = (0..ty.rank()).map(|i| ty.shape[i].clone() - low[i].clone() - size[i].clone()).collect();
        Ok(vec![Some(b.pad(g, &low, &high, 0.0)?)])
    }),
};

fn infer_concat(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let Some(first) = view.operands.first() else { return Err("nothing to concatenate".into()) };
    let axis = check_axis(view.attrs.int("axis"), first.rank())?;
    for (i, t) in view.operands.iter().enumerate() {
        let fits = t.dtype == first.dtype
            && t.rank() == first.rank()
            && (0..t.rank()).all(|a| a == axis || t.shape[a] == first.shape[a]);
        if !fits {
            return Err(format!("operand {i} is {t}, operand 0 is {first}; they may differ along axis {axis} only"));
        }
    }
    let mut shape = first.shape.clone();
    shape[axis] = view.operands.iter().map(|t| t.shape[axis].clone()).sum();
    Ok(vec![first.with_shape(shape)])
}

pub static CONCAT: OpDef = OpDef {
    name: "core.concat",
    summary: "Joins tensors along an axis.",
    doc: "The operands follow one another along `axis`; all other sizes are equal.",
    operands: &[variadic("operands", "tensors of one dtype, at least one")],
    attrs: &[required("axis", AttrKind::Int, "the axis that grows")],
    results: &[result("result", "the operands' dtype")],
    infer: infer_concat,
    meaning: Meaning::Primitive,
    work: no_work,
    vjp: Some(|b, attrs, ops, _, grads| {
        let Some(g) = grads[0] else { return Ok(vec![None; ops.len()]) };
        let axis = attrs.int("axis") as usize;
        let rank = b.ty(g).rank();
        let mut start = vec![Poly::constant(0); rank];
        let mut out = vec![];
        for op in ops {
            let size = b.ty(*op).shape.clone();
            out.push(Some(b.slice(g, &start, &size, &vec![1; rank])?));
            start[axis] = start[axis].clone() + size[axis].clone();
        }
        Ok(out)
    }),
};

fn infer_window(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let t = &view.operands[0];
    let axes = check_axes(view.attrs.ints("axes"), t.rank())?;
    let (size, stride, dilation) = (view.attrs.ints("size"), view.attrs.ints("stride"), view.attrs.ints("dilation"));
    if [size.len(), stride.len(), dilation.len()] != [axes.len(); 3] {
        return Err(format!("size, stride and dilation need {} entries each", axes.len()));
    }
    let mut shape = t.shape.clone();
    for (i, a) in axes.iter().enumerate() {
        if size[i] < 1 || stride[i] < 1 || dilation[i] < 1 {
            return Err(format!(
                "axis {a}: size {}, stride {} and dilation {} must be at least 1",
                size[i], stride[i], dilation[i]
            ));
        }
        let reach = (size[i] - 1).checked_mul(dilation[i]).ok_or("the window is too large")?;
        let room = subtract(&t.shape[*a], &Poly::constant(reach))?;
        if room.as_constant().is_some_and(|c| c < 1) {
            return Err(format!(
                "axis {a} of size {} is smaller than the window's reach {}",
                t.shape[*a],
                reach.saturating_add(1)
            ));
        }
        shape[*a] = ceil_div(&room, stride[i])?;
    }
    shape.extend(size.iter().map(|s| Poly::constant(*s)));
    Ok(vec![t.with_shape(shape)])
}

pub static WINDOW: OpDef = OpDef {
    name: "core.window",
    summary: "A sliding-window view: the seed of convolutions and pools.",
    doc: "`result[…, o…, …, k…] = operand[…, o * stride + k * dilation, …]`: each axis in `axes` becomes the number of window positions \
          that fit, and the window's own axes are appended at the end in the order of `axes`.",
    operands: &[one("operand", "any type")],
    attrs: &[
        required("axes", AttrKind::Ints, "axes the window slides along, distinct"),
        required("size", AttrKind::Ints, "window size per axis"),
        required("stride", AttrKind::Ints, "distance of neighbouring windows"),
        required("dilation", AttrKind::Ints, "distance of neighbouring window elements"),
    ],
    results: &[result("result", "rank grows by the number of axes")],
    infer: infer_window,
    meaning: Meaning::Primitive,
    work: no_work,
    vjp: Some(|b, attrs, ops, _, grads| {
        let Some(g) = grads[0] else { return Ok(vec![None]) };
        let ty = b.ty(ops[0]).clone();
        let (axes, size) = (attrs.ints("axes"), attrs.ints("size"));
        let (stride, dilation) = (attrs.ints("stride"), attrs.ints("dilation"));
        let windows = b.ty(g).shape.clone();
        let rank = ty.rank();
        let one = Poly::constant(1);
        let mut total = None;
        // One tap of the window at a time: its gradients, spread out by the stride, move by the tap's distance.
        for tap in 0..size.iter().product::<i64>() {
            let (mut start, mut count) = (vec![Poly::constant(0); windows.len()], windows.clone());
            let (mut low, mut interior) = (vec![Poly::constant(0); rank], vec![0i64; rank]);
            let mut rest = tap;
            for i in (0..axes.len()).rev() {
                let k = rest % size[i];
                rest /= size[i];
                start[rank + i] = Poly::constant(k);
                count[rank + i] = one.clone();
                low[axes[i] as usize] = Poly::constant(k * dilation[i]);
                interior[axes[i] as usize] = stride[i] - 1;
            }
            let part = b.slice(g, &start, &count, &vec![1; windows.len()])?;
            let part = b.reshape(part, &windows[..rank])?;
            let high: Vec<Poly> = (0..rank)
                .map(|a| {
                    let spread = (windows[a].clone() - one.clone()) * Poly::constant(interior[a] + 1) + one.clone();
                    ty.shape[a].clone() - low[a].clone() - spread
                })
                .collect();
            let fill = b.scalar(ty.dtype, 0.0)?;
            let attrs = Attrs::new().with("low", low).with("high", high).with("interior", interior);
            let placed = b.one("core.pad", &[part, fill], attrs)?;
            total = Some(match total {
                Some(sum) => b.map("add", &[sum, placed])?,
                None => placed,
            });
        }
        Ok(vec![total])
    }),
};
