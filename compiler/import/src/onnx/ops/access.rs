//! Slices, pads, gathers and scatters.

use crate::onnx::call::{Call, Res, bad_attribute, misfit, normal_axes, normal_axis, variant};
use crate::onnx::ctx::Ctx;
use tricot_dialects::{Attr, ValueId};
use tricot_types::{DType, Poly};

/// Values from here on mean "to the end".
const FAR: i64 = i32::MAX as i64;

/// One end of a slice as a position in `low..=high` counted from the front, `high` being `n` plus `slack`.
fn position(c: &mut Ctx, p: &Poly, n: &Poly, low: i64, slack: i64) -> Res<Poly> {
    let high = n.clone() + Poly::constant(slack);
    let from_front = match p.as_constant() {
        Some(v) if v >= FAR => return Ok(high),
        Some(v) if v <= -FAR => return Ok(Poly::constant(low)),
        Some(v) if v < 0 => {
            let at = n.clone() + Poly::constant(v);
            return Ok(match c.assume_at_least(&at, &Poly::constant(low)) {
                true => at,
                false => Poly::constant(low),
            });
        }
        Some(_) => p.clone(),
        None if p.bounds(c.symbols).1 < 0 => n.clone() + p.clone(),
        None if c.assume_at_least(p, &Poly::default()) => p.clone(),
        None => return Err(variant(format!("a slice at {p}, whose sign is known only at run time"))),
    };
    c.min_size(&from_front, &high)
}

/// Slice: bounds are attributes before opset 10, inputs since.
pub fn slice(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let shape = c.shape(x);
    let bounds = |c: &mut Ctx, i: usize, name: &str| -> Res<Vec<Poly>> {
        match call.maybe(i) {
            Some(v) => c.polys(v, name),
            None => match call.ints(name)? {
                Some(list) => Ok(list.into_iter().map(Poly::constant).collect()),
                None => Err(bad_attribute(format!("`{name}` is missing"))),
            },
        }
    };
    let (starts, ends) = (bounds(c, 1, "starts")?, bounds(c, 2, "ends")?);
    let axes = match c.axes(call, 3, shape.len())? {
        Some(a) => a,
        None => (0..starts.len() as i64).collect(),
    };
    let steps = match call.maybe(4) {
        Some(v) => c.ints(v, "steps")?,
        None => vec![1; starts.len()],
    };
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] || starts.len() > shape.len() {
        return Err(misfit(format!(
            "{} starts, {} ends, {} axes, {} steps",
            starts.len(),
            ends.len(),
            axes.len(),
            steps.len()
        )));
    }
    let (mut start, mut size, mut step) = (vec![Poly::default(); shape.len()], shape.clone(), vec![1; shape.len()]);
    for (i, a) in axes.iter().enumerate() {
        let a = *a as usize;
        let n = &shape[a];
        let (from, to) = match steps[i] {
            0 => return Err(misfit(format!("the step of axis {a} is 0"))),
            s if s > 0 => (position(c, &starts[i], n, 0, 0)?, position(c, &ends[i], n, 0, 0)?),
            _ => (position(c, &starts[i], n, 0, -1)?, position(c, &ends[i], n, -1, -1)?),
        };
        // Steps beyond any axis take one element.
        let s = steps[i].clamp(-(1 << 40), 1 << 40);
        let span = if s > 0 { to.clone() - from.clone() } else { from.clone() - to.clone() };
        let empty = match span.as_constant() {
            Some(v) => v <= 0,
            None => {
                let (long, short) = if s > 0 { (&to, &from) } else { (&from, &to) };
                if !c.assume_at_least(long, short) {
                    return Err(variant(format!("a slice from {from} to {to}, whose order is known only at run time")));
                }
                false
            }
        };
        if empty {
            (start[a], size[a], step[a]) = (Poly::default(), Poly::default(), 1);
        } else {
            (start[a], size[a], step[a]) = (from, span.ceil_div(s.abs()), s);
        }
    }
    if size == shape && step.iter().all(|s| *s == 1) {
        return Ok(vec![x]);
    }
    Ok(vec![c.b.slice(x, &start, &size, &step)?])
}

/// Pad in all modes; negative pads cut.
pub fn pad(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let mut x = call.input(0)?;
    let rank = c.rank(x);
    let pads = match call.maybe(1) {
        Some(v) => c.polys(v, "the pads")?,
        None => call
            .ints("pads")?
            .ok_or_else(|| bad_attribute("`pads` is missing"))?
            .into_iter()
            .map(Poly::constant)
            .collect(),
    };
    let axes = match call.maybe(3) {
        Some(v) => {
            let list = c.ints(v, "axes")?;
            normal_axes(&list, rank)?
        }
        None => (0..rank as i64).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(misfit(format!("{} pads for {} axes", pads.len(), axes.len())));
    }
    let (mut low, mut high) = (vec![Poly::default(); rank], vec![Poly::default(); rank]);
    for (i, a) in axes.iter().enumerate() {
        let a = *a as usize;
        (low[a], high[a]) = (pads[i].clone(), pads[axes.len() + i].clone());
        let cut = |p: &Poly| p.as_constant().filter(|v| *v < 0).map_or(0, i64::saturating_neg);
        let (front, back) = (cut(&low[a]), cut(&high[a]));
        if front > 0 || back > 0 {
            let n = c.shape(x)[a].clone();
            x = c.slice_axis(x, a, Poly::constant(front), n - Poly::constant(front) - Poly::constant(back))?;
            if front > 0 {
                low[a] = Poly::default();
            }
            if back > 0 {
                high[a] = Poly::default();
            }
        }
    }
    let out: Vec<Poly> = (0..rank).map(|i| c.shape(x)[i].clone() + low[i].clone() + high[i].clone()).collect();
    c.check_shape(&out)?;
    let mode = call.text("mode", "constant")?;
    if mode == "constant" {
        let dtype = c.dtype(x);
        let value = match call.maybe(2) {
            Some(v) => c.reshape(v, &[])?,
            None => c.b.scalar(dtype, call.float("value", 0.0)?)?,
        };
        let attrs = [("low", Attr::Dims(low)), ("high", Attr::Dims(high)), ("interior", Attr::Ints(vec![0; rank]))];
        return Ok(vec![c.op1("core.pad", &[x, value], &attrs)?]);
    }
    for a in 0..rank {
        if low[a].is_zero() && high[a].is_zero() {
            continue;
        }
        let numbers = (c.shape(x)[a].as_constant(), low[a].as_constant(), high[a].as_constant());
        let (Some(n), Some(l), Some(h)) = numbers else {
            return Err(variant(format!("`{mode}` padding with symbolic sizes")));
        };
        if n < 1 || l + h > 1 << 24 {
            return Err(misfit(format!("`{mode}` padding of an axis of size {n} by {l} and {h}")));
        }
        let source = |i: i64| match mode.as_str() {
            "edge" => Some(i.clamp(0, n - 1)),
            "wrap" => Some(i.rem_euclid(n)),
            "reflect" if n == 1 => Some(0),
            "reflect" => {
                let at = i.rem_euclid(2 * (n - 1));
                Some(at.min(2 * (n - 1) - at))
            }
            _ => None,
        };
        let indices: Option<Vec<i64>> = (-l..n + h).map(source).collect();
        let indices = indices.ok_or_else(|| bad_attribute(format!("`mode` is `{mode}`")))?;
        let indices = c.vector(&indices)?;
        x = c.gather(x, indices, a as i64)?;
    }
    Ok(vec![x])
}

/// Gather.
pub fn gather(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (x, indices) = (call.input(0)?, call.input(1)?);
    let axis = call.axis("axis", 0, c.rank(x))?;
    let n = c.shape(x)[axis as usize].clone();
    let indices = c.wrap_indices(indices, &n)?;
    Ok(vec![c.gather(x, indices, axis)?])
}

/// Row-major position in `shape` of (own position, but `indices` along `axis`), flattened. `indices` has the shape of the
/// positions; where its sizes are smaller than `shape`'s only its corner is meant.
pub fn linear(c: &mut Ctx, indices: ValueId, shape: &[Poly], axis: usize) -> Res<ValueId> {
    let own = c.shape(indices);
    let n = shape[axis].clone();
    let indices = c.wrap_indices(indices, &n)?;
    let mut sum = None;
    let mut step = Poly::constant(1);
    for i in (0..shape.len()).rev() {
        let at = if i == axis { indices } else { c.b.iota(DType::I64, &own, i as i64)? };
        let s = c.size(&step)?;
        let offset = if step.is_one() { at } else { c.map("mul", &[at, s])? };
        sum = Some(match sum {
            Some(v) => c.b.map("add", &[v, offset])?,
            None => offset,
        });
        step = step * shape[i].clone();
    }
    let sum = sum.ok_or_else(|| misfit("a scalar has no axis"))?;
    c.flatten(sum)
}

/// GatherElements.
pub fn gather_elements(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (x, indices) = (call.input(0)?, call.input(1)?);
    let shape = c.shape(x);
    let axis = call.axis("axis", 0, shape.len())? as usize;
    let out = c.shape(indices);
    if out.len() != shape.len() {
        return Err(misfit(format!("indices {} for {}", c.ty(indices), c.ty(x))));
    }
    let at = linear(c, indices, &shape, axis)?;
    let flat = c.flatten(x)?;
    let taken = c.gather(flat, at, 0)?;
    Ok(vec![c.b.reshape(taken, &out)?])
}

fn combine(call: &Call) -> Res<Attr> {
    match call.text("reduction", "none")?.as_str() {
        "none" => Ok(Attr::from("replace")),
        r @ ("add" | "mul" | "max" | "min") => Ok(Attr::from(r)),
        other => Err(bad_attribute(format!("`reduction` is `{other}`"))),
    }
}

/// ScatterElements, and Scatter before it.
pub fn scatter_elements(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (x, indices, updates) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let shape = c.shape(x);
    let axis = call.axis("axis", 0, shape.len())? as usize;
    if c.rank(indices) != shape.len() || c.shape(indices) != c.shape(updates) {
        return Err(misfit(format!("indices {} and updates {} for {}", c.ty(indices), c.ty(updates), c.ty(x))));
    }
    let at = linear(c, indices, &shape, axis)?;
    let (flat, values) = (c.flatten(x)?, c.flatten(updates)?);
    let out = c.op1("core.scatter", &[flat, at, values], &[("combine", combine(call)?)])?;
    Ok(vec![c.b.reshape(out, &shape)?])
}

/// Positions along the first `k` axes of `shape` from index tuples `[…, k]`, flattened to one vector.
fn tuples(c: &mut Ctx, indices: ValueId, shape: &[Poly]) -> Res<ValueId> {
    let s = c.shape(indices);
    let rows: Poly = s[..s.len() - 1].iter().cloned().product();
    let k = shape.len();
    let flat = c.b.reshape(indices, &[rows.clone(), Poly::constant(k as i64)])?;
    let mut sum = c.b.full(DType::I64, 0.0, &[rows])?;
    for (i, n) in shape.iter().enumerate() {
        let column = c.pick(flat, 1, i as i64)?;
        let column = c.wrap_indices(column, n)?;
        let size = c.size(n)?;
        let up = c.map("mul", &[sum, size])?;
        sum = c.b.map("add", &[up, column])?;
    }
    Ok(sum)
}

fn tuple_length(c: &Ctx, indices: ValueId, most: usize) -> Res<usize> {
    let k = c.shape(indices).last().and_then(Poly::as_constant);
    let k = k.and_then(|k| usize::try_from(k).ok()).filter(|k| *k <= most && *k > 0);
    k.ok_or_else(|| misfit(format!("index tuples {} for a tensor of rank {most}", c.ty(indices))))
}

/// GatherND.
pub fn gather_nd(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (x, indices) = (call.input(0)?, call.input(1)?);
    let (shape, own) = (c.shape(x), c.shape(indices));
    let batch = usize::try_from(call.int("batch_dims", 0)?).ok().filter(|b| *b < own.len() && *b < shape.len());
    let batch = batch.ok_or_else(|| misfit("`batch_dims` is outside the inputs"))?;
    if own[..batch] != shape[..batch] {
        return Err(misfit(format!("the leading {batch} axes of {} and {} differ", c.ty(x), c.ty(indices))));
    }
    let k = tuple_length(c, indices, shape.len() - batch)?;
    let mut at = tuples(c, indices, &shape[batch..batch + k])?;
    let product = |part: &[Poly]| part.iter().cloned().product::<Poly>();
    if batch > 0 {
        // Every batch entry looks into its own part.
        let (b, each) = (product(&own[..batch]), product(&own[batch..own.len() - 1]));
        let block = c.size(&product(&shape[batch..batch + k]))?;
        let grid = c.b.iota(DType::I64, &[b.clone(), each.clone()], 0)?;
        let base = c.map("mul", &[grid, block])?;
        let base = c.b.reshape(base, &[b * each])?;
        at = c.b.map("add", &[at, base])?;
    }
    let flat = c.b.reshape(x, &[vec![product(&shape[..batch + k])], shape[batch + k..].to_vec()].concat())?;
    let taken = c.gather(flat, at, 0)?;
    Ok(vec![c.b.reshape(taken, &[own[..own.len() - 1].to_vec(), shape[batch + k..].to_vec()].concat())?])
}

/// ScatterND.
pub fn scatter_nd(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (x, indices, updates) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let (shape, own) = (c.shape(x), c.shape(indices));
    let k = tuple_length(c, indices, shape.len())?;
    let at = tuples(c, indices, &shape[..k])?;
    let product = |part: &[Poly]| part.iter().cloned().product::<Poly>();
    let flat = c.b.reshape(x, &[vec![product(&shape[..k])], shape[k..].to_vec()].concat())?;
    let values = c.b.reshape(updates, &[vec![product(&own[..own.len() - 1])], shape[k..].to_vec()].concat())?;
    let out = c.op1("core.scatter", &[flat, at, values], &[("combine", combine(call)?)])?;
    Ok(vec![c.b.reshape(out, &shape)?])
}

/// OneHot.
pub fn one_hot(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (indices, values) = (call.input(0)?, call.input(2)?);
    let depth = match c.known(call.input(1)?).as_deref() {
        Some(k) if matches!(k.data, crate::onnx::eval::Data::Floats(_)) => {
            Poly::constant(c.float(call.input(1)?, "depth")? as i64)
        }
        _ => c.poly(call.input(1)?, "depth")?,
    };
    let mut shape = c.shape(indices);
    let axis = normal_axis(call.int("axis", -1)?, shape.len() + 1)? as usize;
    let indices = c.b.cast(indices, DType::I64)?;
    let indices = c.wrap_indices(indices, &depth)?;
    shape.insert(axis, Poly::constant(1));
    let spread = c.b.reshape(indices, &shape)?;
    shape[axis] = depth;
    c.check_shape(&shape)?;
    let spread = c.b.broadcast_to(spread, &shape)?;
    let here = c.b.iota(DType::I64, &shape, axis as i64)?;
    let hit = c.b.map("eq", &[here, spread])?;
    let (off, on) = (c.pick(values, 0, 0)?, c.pick(values, 0, 1)?);
    let (on, off) = (c.b.broadcast_to(on, &shape)?, c.b.broadcast_to(off, &shape)?);
    Ok(vec![c.b.select(hit, on, off)?])
}

/// TopK.
pub fn top_k(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let axis = call.axis("axis", -1, c.rank(x))?;
    let k = match call.maybe(1) {
        Some(v) => c.poly(v, "k")?,
        None => Poly::constant(call.int("k", -1)?),
    };
    let largest = call.flag("largest", true)?;
    let attrs = Attr::Bool(largest);
    let mut all = tricot_dialects::Attrs::new().with("k", k).with("axis", axis);
    all.set("largest", attrs);
    c.b.op("core.top_k", &[x], all)
}

/// Compress with a condition known at import.
pub fn compress(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (mut x, condition) = (call.input(0)?, call.input(1)?);
    let keep = c.ints(condition, "the condition")?;
    let axis = match call.has("axis") {
        true => call.axis("axis", 0, c.rank(x))?,
        false => {
            x = c.flatten(x)?;
            0
        }
    };
    let n = c.shape(x)[axis as usize].as_constant().unwrap_or(i64::MAX);
    let kept: Vec<i64> = (0..keep.len() as i64).filter(|i| *i < n && keep[*i as usize] != 0).collect();
    let kept = c.vector(&kept)?;
    Ok(vec![c.gather(x, kept, axis)?])
}

/// ReverseSequence: each batch entry turns round its first `sequence_lens` elements.
pub fn reverse_sequence(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (x, lens) = (call.input(0)?, call.input(1)?);
    let rank = c.rank(x);
    let (batch, time) = (call.axis("batch_axis", 1, rank)?, call.axis("time_axis", 0, rank)?);
    if batch == time {
        return Err(bad_attribute("`batch_axis` and `time_axis` are the same"));
    }
    let perm: Vec<i64> =
        [batch, time].into_iter().chain((0..rank as i64).filter(|a| *a != batch && *a != time)).collect();
    let mut back = vec![0; rank];
    perm.iter().enumerate().for_each(|(i, p)| back[*p as usize] = i as i64);
    let turned = c.b.transpose(x, &perm)?;
    let grid = c.shape(turned)[..2].to_vec();
    let here = c.b.iota(DType::I64, &grid, 1)?;
    let lens = c.b.cast(lens, DType::I64)?;
    let lens = c.b.broadcast(lens, &grid, &[0])?;
    let inside = c.b.map("lt", &[here, lens])?;
    let last = c.with("sub", lens, 1.0)?;
    let mirrored = c.b.map("sub", &[last, here])?;
    let at = c.b.select(inside, mirrored, here)?;
    let out = c.op1("core.gather", &[turned, at], &[("axis", Attr::Int(1)), ("batch_dims", Attr::Int(1))])?;
    Ok(vec![c.b.transpose(out, &back)?])
}
