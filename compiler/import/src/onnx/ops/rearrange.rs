//! Ops that move elements in ways of their own: CenterCropPad, Col2Im, TensorScatter, Det.

use super::access::linear;
use crate::onnx::call::{Call, Res, bad_attribute, misfit, normal_axes, variant};
use crate::onnx::ctx::Ctx;
use tricot_dialects::{Attr, ValueId};
use tricot_types::{DType, Poly};

/// CenterCropPad to known sizes.
pub fn center_crop_pad(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let mut x = call.input(0)?;
    let target = c.ints(call.input(1)?, "the shape")?;
    let rank = c.rank(x);
    let axes = match call.ints("axes")? {
        Some(a) => normal_axes(&a, rank)?,
        None => (0..rank as i64).collect(),
    };
    if target.len() != axes.len() || target.iter().any(|t| *t < 0) {
        return Err(misfit(format!("the shape {target:?} for axes {axes:?}")));
    }
    for (a, want) in axes.into_iter().zip(target) {
        let a = a as usize;
        let have = c.shape(x)[a].as_constant().ok_or_else(|| variant("cropping an axis of symbolic size"))?;
        let half = (have - want).abs() / 2;
        if want < have {
            x = c.slice_axis(x, a, Poly::constant(half), Poly::constant(want))?;
        } else if want > have {
            let (mut low, mut high) = (vec![Poly::default(); rank], vec![Poly::default(); rank]);
            low[a] = Poly::constant(half);
            high[a] = Poly::constant(want - have - half);
            x = c.b.pad(x, &low, &high, 0.0)?;
        }
    }
    let shape = c.shape(x);
    c.check_shape(&shape)?;
    Ok(vec![x])
}

/// Col2Im: columns of image blocks added up where they overlap.
pub fn col2im(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let (image, block) = (c.ints(call.input(1)?, "the image shape")?, c.ints(call.input(2)?, "the block shape")?);
    let n = image.len();
    let stride = super::conv::per_axis(call, "strides", n)?;
    let dilation = super::conv::per_axis(call, "dilations", n)?;
    let pads = call.ints("pads")?.unwrap_or_else(|| vec![0; 2 * n]);
    let size = |l: &[i64]| l.iter().try_fold(1i64, |a, d| a.checked_mul(*d)).filter(|t| (1..=1 << 26).contains(t));
    let (Some(area), Some(taps)) = (size(&image), size(&block)) else {
        return Err(misfit(format!("an image of {image:?} from blocks of {block:?}")));
    };
    let shape = c.shape(x);
    let channels = shape.get(1).and_then(|s| s.exact_div(&Poly::constant(taps))).filter(|_| shape.len() == 3);
    let (Some(channels), true, true) = (channels, block.len() == n, pads.len() == 2 * n) else {
        return Err(misfit(format!("{} as blocks of {block:?}", c.ty(x))));
    };
    let counts: Vec<i64> = (0..n)
        .map(|i| (image[i] + pads[i] + pads[n + i] - dilation[i] * (block[i] - 1) - 1).div_euclid(stride[i]) + 1)
        .collect();
    let columns = size(&counts).ok_or_else(|| misfit(format!("blocks of {block:?} do not fit into {image:?}")))?;
    if shape[2] != Poly::constant(columns) || taps.checked_mul(columns).is_none_or(|p| p > 1 << 26) {
        return Err(misfit(format!("{} has {} columns, {columns} are needed", c.ty(x), shape[2])));
    }
    // Where element (tap, column) goes; outside the image is past its end, where scattering skips it.
    let mut places = vec![];
    for tap in 0..taps {
        for column in 0..columns {
            let (mut t, mut o, mut place, mut step, mut inside) = (tap, column, 0, 1, true);
            for i in (0..n).rev() {
                let at = (o % counts[i]) * stride[i] + (t % block[i]) * dilation[i] - pads[i];
                (t, o) = (t / block[i], o / counts[i]);
                inside &= (0..image[i]).contains(&at);
                place += at * step;
                step *= image[i];
            }
            places.push(if inside { place } else { area });
        }
    }
    let places = c.vector(&places)?;
    let (batch, points) = (shape[0].clone(), Poly::constant(taps * columns));
    let flat = c.b.reshape(x, &[batch.clone() * channels.clone(), points])?;
    let turned = c.b.transpose(flat, &[1, 0])?;
    let dtype = c.dtype(x);
    let empty = c.b.full(dtype, 0.0, &[Poly::constant(area), batch.clone() * channels.clone()])?;
    let filled = c.op1("core.scatter", &[empty, places, turned], &[("combine", Attr::from("add"))])?;
    let back = c.b.transpose(filled, &[1, 0])?;
    let out: Vec<Poly> = [batch, channels].into_iter().chain(image.into_iter().map(Poly::constant)).collect();
    Ok(vec![c.reshape(back, &out)?])
}

/// TensorScatter: writes a run of positions of a cache, from an index per batch entry on.
pub fn tensor_scatter(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (cache, update) = (call.input(0)?, call.input(1)?);
    let shape = c.shape(cache);
    let axis = call.axis("axis", -2, shape.len())?;
    let own = c.shape(update);
    if axis == 0 || own.len() != shape.len() {
        return Err(misfit(format!("{} into {} along axis {axis}", c.ty(update), c.ty(cache))));
    }
    let mut at = c.b.iota(DType::I64, &own, axis)?;
    if let Some(start) = call.maybe(2) {
        let start = c.b.cast(start, DType::I64)?;
        let start = c.b.broadcast(start, &own, &[0])?;
        at = c.b.map("add", &[at, start])?;
    }
    match call.text("mode", "linear")?.as_str() {
        "linear" => {}
        "circular" => {
            let n = c.size(&shape[axis as usize])?;
            at = c.map("mod", &[at, n])?;
        }
        other => return Err(bad_attribute(format!("`mode` is `{other}`"))),
    }
    let at = linear(c, at, &shape, axis as usize)?;
    let (flat, values) = (c.flatten(cache)?, c.flatten(update)?);
    let out = c.op1("core.scatter", &[flat, at, values], &[("combine", Attr::from("replace"))])?;
    Ok(vec![c.b.reshape(out, &shape)?])
}

/// Det of small matrices, by expansion along the first row.
pub fn det(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let rank = c.rank(x);
    let sides =
        if rank < 2 { None } else { c.shape(x)[rank - 2..].iter().map(Poly::as_constant).collect::<Option<Vec<_>>>() };
    match sides.as_deref() {
        Some([a, b]) if a == b && (1..=6).contains(a) => {
            let dtype = c.dtype(x);
            let wide = c.up(x)?;
            let columns: Vec<i64> = (0..*a).collect();
            let d = minor(c, wide, 0, &columns)?;
            Ok(vec![c.b.cast(d, dtype)?])
        }
        _ => Err(variant(format!("the determinant of {}; square matrices up to 6 by 6 are supported", c.ty(x)))),
    }
}

/// Determinant of rows `row..` and the given columns.
fn minor(c: &mut Ctx, x: ValueId, row: i64, columns: &[i64]) -> Res<ValueId> {
    let rank = c.rank(x);
    let line = c.pick(x, rank - 2, row)?;
    let mut sum: Option<ValueId> = None;
    for (i, column) in columns.iter().enumerate() {
        let mut term = c.pick(line, rank - 2, *column)?;
        if columns.len() > 1 {
            let rest: Vec<i64> = columns.iter().copied().filter(|k| k != column).collect();
            let inner = minor(c, x, row + 1, &rest)?;
            term = c.b.map("mul", &[term, inner])?;
        }
        sum = Some(match sum {
            None => term,
            Some(s) => c.b.map(if i % 2 == 0 { "add" } else { "sub" }, &[s, term])?,
        });
    }
    sum.ok_or_else(|| misfit("an empty matrix"))
}
