//! Ops that compute, change or join shapes.

use crate::onnx::call::{Call, Res, bad_attribute, misfit, normal_axes, normal_axis, variant};
use crate::onnx::ctx::Ctx;
use crate::onnx::tensor::{dtype, unsupported_dtype};
use tricot_dialects::{Constant, ValueId};
use tricot_types::{DType, Poly};

/// Constant, in all its spellings but text and sparse.
pub fn constant(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    if let Some(t) = call.tensor("value")? {
        return Ok(vec![c.tensor(t, "")?]);
    }
    let one = |v: Vec<f64>, shape: Vec<u64>| Constant::from_f64(DType::F32, shape, &v);
    let value = if let Some(f) = call.get_float("value_float")? {
        one(vec![f], vec![])
    } else if let Some(f) = call.floats("value_floats")? {
        let n = f.len() as u64;
        one(f, vec![n])
    } else if let Some(i) = call.get_int("value_int")? {
        Constant::from_i64(DType::I64, vec![], &[i])
    } else if let Some(i) = call.ints("value_ints")? {
        Constant::from_i64(DType::I64, vec![i.len() as u64], &i)
    } else if ["value_string", "value_strings"].iter().any(|a| call.has(a)) {
        return Err(unsupported_dtype("string"));
    } else {
        return Err(variant("a constant without a dense numeric value"));
    };
    Ok(vec![c.b.constant(value)?])
}

/// ConstantOfShape.
pub fn constant_of_shape(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let shape = c.polys(call.input(0)?, "the shape")?;
    c.check_shape(&shape)?;
    let value = match call.tensor("value")? {
        Some(t) => c.tensor(t, "")?,
        None => c.b.scalar(DType::F32, 0.0)?,
    };
    let value = c.reshape(value, &[])?;
    Ok(vec![c.b.broadcast(value, &shape, &[])?])
}

/// Shape, with `start` and `end` since opset 15.
pub fn shape(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let dims = c.shape(call.input(0)?);
    let rank = dims.len() as i64;
    let at = |v: i64| (if v < 0 { v.saturating_add(rank) } else { v }).clamp(0, rank) as usize;
    let (start, end) = (at(call.int("start", 0)?), at(call.int("end", rank)?));
    Ok(vec![c.size_vector(if start < end { &dims[start..end] } else { &[] })?])
}

/// Size.
pub fn size(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let count = c.ty(call.input(0)?).elements();
    Ok(vec![c.size(&count)?])
}

/// Reshape: 0 copies a size (unless `allowzero`), -1 is what is left.
pub fn reshape(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let target = match call.maybe(1) {
        Some(v) => c.polys(v, "the shape")?,
        None => {
            let ints = call.ints("shape")?.ok_or_else(|| bad_attribute("no shape is given"))?;
            ints.into_iter().map(Poly::constant).collect()
        }
    };
    let from = c.shape(x);
    let allow_zero = call.flag("allowzero", false)?;
    let (mut out, mut open) = (vec![], None);
    for (i, d) in target.into_iter().enumerate() {
        out.push(match d.as_constant() {
            Some(0) if !allow_zero => {
                from.get(i).cloned().ok_or_else(|| misfit(format!("size {i} copies an axis the input lacks")))?
            }
            Some(-1) if open.is_none() => {
                open = Some(i);
                Poly::constant(1)
            }
            Some(v) if v < 0 => return Err(misfit(format!("size {i} of the shape is {v}"))),
            _ => d,
        });
    }
    c.check_shape(&out)?;
    if let Some(i) = open {
        let have = c.ty(x).elements();
        let rest: Poly = out.iter().cloned().product();
        out[i] = if rest.is_zero() { None } else { quotient(&have, &from, &out, i, &rest) }
            .ok_or_else(|| misfit(format!("{} elements are no multiple of {rest}", have)))?;
    }
    Ok(vec![c.reshape(x, &out)?])
}

/// `have / rest`; factors common to both shapes are cancelled where the plain division does not come out.
fn quotient(have: &Poly, from: &[Poly], to: &[Poly], open: usize, rest: &Poly) -> Option<Poly> {
    if let Some(q) = have.exact_div(rest) {
        return Some(q);
    }
    let mut left: Vec<Poly> = from.to_vec();
    let mut divisor = Poly::constant(1);
    for (i, d) in to.iter().enumerate().filter(|(i, _)| *i != open) {
        match left.iter().position(|l| l == d) {
            Some(at) => drop(left.remove(at)),
            None => divisor = divisor.checked_mul(&to[i])?,
        }
    }
    left.into_iter().product::<Poly>().exact_div(&divisor)
}

/// Flatten to two axes.
pub fn flatten(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let shape = c.shape(x);
    let axis = call.int("axis", 1)?;
    let axis = if axis == shape.len() as i64 { axis } else { normal_axis(axis, shape.len())? } as usize;
    let product = |part: &[Poly]| part.iter().cloned().product::<Poly>();
    Ok(vec![c.b.reshape(x, &[product(&shape[..axis]), product(&shape[axis..])])?])
}

/// Squeeze.
pub fn squeeze(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let shape = c.shape(x);
    let axes = match c.axes(call, 1, shape.len())? {
        Some(a) => a,
        None => (0..shape.len() as i64).filter(|i| shape[*i as usize].is_one()).collect(),
    };
    if let Some(a) = axes.iter().find(|a| !shape[**a as usize].is_one()) {
        return Err(misfit(format!("axis {a} has size {}, not 1", shape[*a as usize])));
    }
    let kept: Vec<Poly> = (0..shape.len()).filter(|i| !axes.contains(&(*i as i64))).map(|i| shape[i].clone()).collect();
    Ok(vec![c.b.reshape(x, &kept)?])
}

/// Unsqueeze.
pub fn unsqueeze(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let mut shape = c.shape(x);
    let axes = match call.maybe(1) {
        Some(v) => c.ints(v, "axes")?,
        None => call.ints("axes")?.ok_or_else(|| bad_attribute("no axes are given"))?,
    };
    if axes.len() > 64 {
        return Err(misfit(format!("{} axes are too many", axes.len())));
    }
    let mut axes = normal_axes(&axes, shape.len() + axes.len())?;
    axes.sort_unstable();
    axes.iter().for_each(|a| shape.insert(*a as usize, Poly::constant(1)));
    Ok(vec![c.b.reshape(x, &shape)?])
}

/// Transpose; reverses the axes when no permutation is given.
pub fn transpose(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let rank = c.rank(x);
    let perm = call.ints("perm")?.unwrap_or_else(|| (0..rank as i64).rev().collect());
    let perm = normal_axes(&perm, rank)?;
    if perm.len() != rank {
        return Err(misfit(format!("perm has {} entries, the input rank {rank}", perm.len())));
    }
    Ok(vec![c.b.transpose(x, &perm)?])
}

/// Concat.
pub fn concat(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let all = call.all()?;
    let axis = call.axis("axis", 1, c.rank(all[0]))?;
    // Broadcast constants of size 0 come from exporters; they add nothing.
    Ok(vec![if all.len() == 1 { all[0] } else { c.b.concat(&all, axis)? }])
}

/// Split into given sizes, or into equal parts with a smaller last one.
pub fn split(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let axis = call.axis("axis", 0, c.rank(x))? as usize;
    let total = c.shape(x)[axis].clone();
    let sizes = match call.maybe(1) {
        Some(v) => Some(c.polys(v, "the split sizes")?),
        None => call.ints("split")?.map(|s| s.into_iter().map(Poly::constant).collect()),
    };
    let count = call.int("num_outputs", call.node.output.len() as i64)?;
    let sizes = match sizes {
        Some(s) => s,
        None => equal_parts(&total, count)?,
    };
    let sum: Poly = sizes.iter().cloned().sum();
    if sum != total || sizes.len() < call.node.output.len() {
        return Err(misfit(format!("the split sizes add up to {sum}, the axis has {total}")));
    }
    let (mut out, mut start) = (vec![], Poly::default());
    for s in sizes {
        out.push(c.slice_axis(x, axis, start.clone(), s.clone())?);
        start = start + s;
    }
    Ok(out)
}

fn equal_parts(total: &Poly, count: i64) -> Res<Vec<Poly>> {
    if !(1..=1 << 16).contains(&count) {
        return Err(misfit(format!("a split into {count} parts")));
    }
    if let Some(part) = total.exact_div(&Poly::constant(count)) {
        return Ok(vec![part; count as usize]);
    }
    let total =
        total.as_constant().ok_or_else(|| misfit(format!("{total} does not split into {count} equal parts")))?;
    let part = (total + count - 1) / count;
    let sizes: Vec<i64> = (0..count).map(|i| part.min(total - i * part)).collect();
    match sizes.iter().all(|s| *s >= 0) {
        true => Ok(sizes.into_iter().map(Poly::constant).collect()),
        false => Err(misfit(format!("{total} does not split into {count} parts"))),
    }
}

/// Expand: numpy broadcasting with a target shape.
pub fn expand(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let target = c.polys(call.input(1)?, "the shape")?;
    let from = c.shape(x);
    let shape = tricot_dialects::builder::broadcast_shapes(&from, &target).map_err(misfit)?;
    c.check_shape(&shape)?;
    Ok(vec![c.b.broadcast_to(x, &shape)?])
}

/// Tile: each axis repeated.
pub fn tile(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let repeats = c.polys(call.input(1)?, "the repeats")?;
    let shape = c.shape(x);
    if repeats.len() != shape.len() {
        return Err(misfit(format!("{} repeats for a tensor of rank {}", repeats.len(), shape.len())));
    }
    // [a, b] -> [ra, a, rb, b] -> [ra * a, rb * b].
    let wide: Vec<Poly> = repeats.iter().zip(&shape).flat_map(|(r, d)| [r.clone(), d.clone()]).collect();
    c.check_shape(&wide)?;
    let axes: Vec<i64> = (0..shape.len() as i64).map(|i| 2 * i + 1).collect();
    let spread = c.b.broadcast(x, &wide, &axes)?;
    let out: Vec<Poly> = repeats.into_iter().zip(shape).map(|(r, d)| r * d).collect();
    Ok(vec![c.reshape(spread, &out)?])
}

/// Range: `start + i * delta`.
pub fn range(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (start, limit, delta) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let dtype = c.dtype(start);
    let count = if dtype.is_float() {
        let values = [c.float(start, "start")?, c.float(limit, "limit")?, c.float(delta, "delta")?];
        let n = ((values[1] - values[0]) / values[2]).ceil();
        if values[2] == 0.0 || !n.is_finite() || n > 1e9 {
            return Err(misfit(format!("a range from {} to {} by {}", values[0], values[1], values[2])));
        }
        Poly::constant(n.max(0.0) as i64)
    } else {
        let (s, l, d) = (c.poly(start, "start")?, c.poly(limit, "limit")?, c.int(delta, "delta")?);
        let span = match d {
            0 => return Err(misfit("a range with delta 0")),
            d if d > 0 => l.checked_add(&s.checked_neg().unwrap_or_default()),
            _ => s.checked_add(&l.checked_neg().unwrap_or_default()),
        };
        let span = span.ok_or_else(|| misfit("the range is too long"))?;
        match span.as_constant() {
            Some(v) if v <= 0 => Poly::default(),
            _ => span.ceil_div(d.checked_abs().ok_or_else(|| misfit("delta is too large"))?),
        }
    };
    let shape = [count];
    c.check_shape(&shape)?;
    let steps = c.b.iota(dtype, &shape, 0)?;
    let (start, delta) = (c.reshape(start, &[])?, c.reshape(delta, &[])?);
    let scaled = c.map("mul", &[steps, delta])?;
    Ok(vec![c.map("add", &[scaled, start])?])
}

/// EyeLike: ones on diagonal `k`.
pub fn eye_like(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let to = match call.get_int("dtype")? {
        Some(n) => dtype(i32::try_from(n).unwrap_or(-1)).map_err(|name| unsupported_dtype(&name))?,
        None => c.dtype(x),
    };
    let shape = c.shape(x);
    if shape.len() != 2 {
        return Err(misfit(format!("the input has rank {}, not 2", shape.len())));
    }
    let (row, column) = (c.b.iota(DType::I64, &shape, 0)?, c.b.iota(DType::I64, &shape, 1)?);
    let k = call.int("k", 0)?;
    let scalar = c.b.scalar_int(DType::I64, k)?;
    let shifted = c.map("add", &[row, scalar])?;
    let hit = c.b.map("eq", &[shifted, column])?;
    Ok(vec![c.b.cast(hit, to)?])
}

/// Trilu: the upper or lower triangle, zero elsewhere.
pub fn trilu(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let ty = c.ty(x);
    let rank = ty.rank();
    if rank < 2 {
        return Err(misfit("the input needs two axes"));
    }
    let k = match call.maybe(1) {
        Some(k) => c.reshape(k, &[])?,
        None => c.b.scalar_int(DType::I64, 0)?,
    };
    let row = c.b.iota(DType::I64, &ty.shape, rank as i64 - 2)?;
    let column = c.b.iota(DType::I64, &ty.shape, rank as i64 - 1)?;
    let shifted = c.map("add", &[row, k])?;
    let keep = c.b.map(if call.flag("upper", true)? { "ge" } else { "le" }, &[column, shifted])?;
    let zero = c.fill_like(x, 0.0)?;
    Ok(vec![c.b.select(keep, x, zero)?])
}

/// DepthToSpace.
pub fn depth_to_space(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let (b, s) = (block(call)?, c.shape(x));
    let [n, d, h, w] = s.as_slice() else { return Err(misfit("the input must have rank 4")) };
    let depth = d.exact_div(&Poly::constant(b * b)).ok_or_else(|| misfit(format!("{d} channels for blocks of {b}")))?;
    let p = Poly::constant(b);
    let (split, perm) = match call.text("mode", "DCR")?.as_str() {
        "DCR" => ([n, &p, &p, &depth, h, w], [0, 3, 4, 1, 5, 2]),
        "CRD" => ([n, &depth, &p, &p, h, w], [0, 1, 4, 2, 5, 3]),
        other => return Err(bad_attribute(format!("`mode` is `{other}`, not DCR or CRD"))),
    };
    let split: Vec<Poly> = split.into_iter().cloned().collect();
    let wide = c.b.reshape(x, &split)?;
    let turned = c.b.transpose(wide, &perm)?;
    let out = [n.clone(), depth, h.clone() * p.clone(), w.clone() * p];
    Ok(vec![c.reshape(turned, &out)?])
}

/// SpaceToDepth.
pub fn space_to_depth(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let (b, s) = (block(call)?, c.shape(x));
    let [n, d, h, w] = s.as_slice() else { return Err(misfit("the input must have rank 4")) };
    let p = Poly::constant(b);
    let part = |v: &Poly| v.exact_div(&p).ok_or_else(|| misfit(format!("size {v} for blocks of {b}")));
    let (ph, pw) = (part(h)?, part(w)?);
    let wide = c.b.reshape(x, &[n.clone(), d.clone(), ph.clone(), p.clone(), pw.clone(), p.clone()])?;
    let perm = match call.text("mode", "DCR")?.as_str() {
        "CRD" => [0, 1, 3, 5, 2, 4],
        _ => [0, 3, 5, 1, 2, 4],
    };
    let turned = c.b.transpose(wide, &perm)?;
    Ok(vec![c.reshape(turned, &[n.clone(), d.clone() * p.clone() * p, ph, pw])?])
}

fn block(call: &Call) -> Res<i64> {
    match call.int("blocksize", 0)? {
        b if (1..=1 << 16).contains(&b) => Ok(b),
        b => Err(bad_attribute(format!("`blocksize` is {b}"))),
    }
}
