//! Pooling: windows along the spatial axes, folded.

use super::conv::Sliding;
use super::reduce::mean_keep;
use crate::onnx::call::{Call, Res, bad_attribute, misfit, variant};
use crate::onnx::ctx::Ctx;
use tricot_dialects::{Attr, ValueId};
use tricot_types::{DType, Poly};

/// A pool's window and the padding that `ceil_mode` adds at the upper end.
struct Pool {
    slide: Sliding,
    extra: Vec<Poly>,
}

impl Pool {
    fn read(c: &mut Ctx, call: &Call, x: ValueId) -> Res<Pool> {
        let shape = c.shape(x);
        if shape.len() < 3 {
            return Err(misfit(format!("a pool of {}", c.ty(x))));
        }
        let kernel = call.ints("kernel_shape")?.ok_or_else(|| bad_attribute("`kernel_shape` is missing"))?;
        let slide = Sliding::read(call, &shape[2..], kernel)?;
        let ceil = call.flag("ceil_mode", false)? && call.text("auto_pad", "NOTSET")? == "NOTSET";
        let mut extra = vec![Poly::default(); slide.kernel.len()];
        for (i, slot) in extra.iter_mut().enumerate().filter(|_| ceil) {
            let reach = (slide.kernel[i] - 1) * slide.dilation[i] + 1;
            let room = shape[2 + i].clone() + slide.low[i].clone() + slide.high[i].clone() - Poly::constant(reach);
            let s = slide.stride[i];
            if s == 1 {
                continue;
            }
            let room = room.as_constant().ok_or_else(|| variant("`ceil_mode` with a symbolic size"))?;
            let start = shape[2 + i].as_constant().unwrap_or(0) + slide.low[i].as_constant().unwrap_or(0);
            let mut steps = (room + s - 1).div_euclid(s);
            // The last window must begin inside the image or the padding before it.
            if steps * s >= start {
                steps -= 1;
            }
            *slot = Poly::constant((steps * s - room).max(0));
        }
        Ok(Pool { slide, extra })
    }

    fn plain(&self) -> bool {
        self.extra.iter().all(Poly::is_zero)
    }

    fn grown(&self) -> Sliding {
        let s = &self.slide;
        Sliding {
            kernel: s.kernel.clone(),
            stride: s.stride.clone(),
            dilation: s.dilation.clone(),
            low: s.low.clone(),
            high: s.high.iter().zip(&self.extra).map(|(a, b)| a.clone() + b.clone()).collect(),
        }
    }

    fn windows(&self, c: &mut Ctx, x: ValueId, fill: f64) -> Res<ValueId> {
        let slide = self.grown();
        let padded = slide.padded(c, x, fill)?;
        slide.windows(c, padded)
    }

    /// Axes of the window in the view of a tensor of rank `rank`.
    fn taps(&self, rank: usize) -> Vec<i64> {
        (rank as i64..(rank + self.slide.kernel.len()) as i64).collect()
    }

    /// Attributes of the two-dimensional nn pools, where they mean the same.
    fn two_dimensional(&self, dtype: DType) -> Option<Vec<(&'static str, Attr)>> {
        let s = &self.slide;
        let pads = s.pads()?;
        let n = s.kernel.len();
        let fits = (0..pads.len()).all(|i| pads[i] <= (s.kernel[i % n] - 1) * s.dilation[i % n]);
        (n == 2 && self.plain() && dtype.is_float() && fits).then(|| {
            vec![
                ("size", Attr::Ints(s.kernel.clone())),
                ("stride", Attr::Ints(s.stride.clone())),
                ("pad", Attr::Ints(pads)),
                ("dilation", Attr::Ints(s.dilation.clone())),
            ]
        })
    }
}

/// MaxPool, with positions where they are asked for.
pub fn max_pool(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let pool = Pool::read(c, call, x)?;
    let (dtype, rank) = (c.dtype(x), c.rank(x));
    let y = match pool.two_dimensional(dtype) {
        Some(attrs) => c.op1("nn.max_pool2d", &[x], &attrs)?,
        None => {
            let w = pool.windows(c, x, f64::NEG_INFINITY)?;
            c.b.reduce("max", w, &pool.taps(rank))?
        }
    };
    if !call.wants(1) {
        return Ok(vec![y]);
    }
    let w = pool.windows(c, x, f64::NEG_INFINITY)?;
    let mut flat = c.shape(w);
    let taps: Poly = flat.drain(rank..).product();
    let out_shape = flat.clone();
    flat.push(taps);
    let w = c.b.reshape(w, &flat)?;
    let which = c.op1("core.arg_reduce", &[w], &[("kind", Attr::from("max")), ("axis", Attr::Int(rank as i64))])?;
    // Position in the whole input: (n, c) in row-major order, then the spatial axes in the order asked for.
    let shape = c.shape(x);
    let column_major = call.flag("storage_order", false)?;
    let n = pool.slide.kernel.len();
    let mut position = {
        let (a, b) = (c.b.iota(DType::I64, &out_shape, 0)?, c.b.iota(DType::I64, &out_shape, 1)?);
        let channels = c.size(&shape[1])?;
        let a = c.map("mul", &[a, channels])?;
        c.b.map("add", &[a, b])?
    };
    let mut coordinates = vec![];
    let mut rest: i64 = pool.slide.kernel.iter().product();
    for i in 0..n {
        rest /= pool.slide.kernel[i];
        let tap = c.with("div", which, rest as f64)?;
        let tap = c.with("rem", tap, pool.slide.kernel[i] as f64)?;
        let tap = c.with("mul", tap, pool.slide.dilation[i] as f64)?;
        let step = c.b.iota(DType::I64, &out_shape, 2 + i as i64)?;
        let step = c.with("mul", step, pool.slide.stride[i] as f64)?;
        let low = c.size(&pool.slide.low[i])?;
        let at = c.b.map("add", &[tap, step])?;
        coordinates.push(c.map("sub", &[at, low])?);
    }
    let order: Vec<usize> = if column_major { (0..n).rev().collect() } else { (0..n).collect() };
    for i in order {
        let size = c.size(&shape[2 + i])?;
        let up = c.map("mul", &[position, size])?;
        position = c.b.map("add", &[up, coordinates[i]])?;
    }
    Ok(vec![y, position])
}

/// AveragePool.
pub fn average_pool(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let pool = Pool::read(c, call, x)?;
    let count_pad = call.flag("count_include_pad", false)?;
    let (dtype, rank) = (c.dtype(x), c.rank(x));
    if let Some(mut attrs) = pool.two_dimensional(dtype) {
        attrs.push(("count_pad", Attr::Bool(count_pad)));
        return Ok(vec![c.op1("nn.avg_pool2d", &[x], &attrs)?]);
    }
    let wide = c.up(x)?;
    let w = pool.windows(c, wide, 0.0)?;
    let sum = c.b.reduce("sum", w, &pool.taps(rank))?;
    // How many elements each window holds: of the image, or of the image and its declared padding.
    let spatial = c.shape(x)[2..].to_vec();
    let compute = c.dtype(wide);
    let ones = c.b.full(compute, 1.0, &spatial)?;
    let padded = pool.slide.padded(c, ones, if count_pad { 1.0 } else { 0.0 })?;
    let beyond = Sliding { low: vec![Poly::default(); spatial.len()], high: pool.extra.clone(), ..pool.grown() };
    let padded = beyond.padded(c, padded, 0.0)?;
    let view = beyond.windows(c, padded)?;
    let count = c.b.reduce("sum", view, &pool.taps(rank - 2))?;
    let mean = c.map("div", &[sum, count])?;
    Ok(vec![c.b.cast(mean, dtype)?])
}

/// `(sum |x|^p)^(1/p)` over `axes` of `x`.
fn norm(c: &mut Ctx, x: ValueId, p: i64, axes: &[i64], keep: bool) -> Res<ValueId> {
    let magnitude = c.b.map("abs", &[x])?;
    let power = if p == 1 { magnitude } else { c.with("pow", magnitude, p as f64)? };
    let sum = if keep { c.b.reduce_keep("sum", power, axes)? } else { c.b.reduce("sum", power, axes)? };
    if p == 1 { Ok(sum) } else { c.with("pow", sum, 1.0 / p as f64) }
}

/// LpPool.
pub fn lp_pool(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let pool = Pool::read(c, call, x)?;
    let (dtype, rank) = (c.dtype(x), c.rank(x));
    let p = call.int("p", 2)?;
    let wide = c.up(x)?;
    let w = pool.windows(c, wide, 0.0)?;
    let y = norm(c, w, p, &pool.taps(rank), false)?;
    Ok(vec![c.b.cast(y, dtype)?])
}

/// GlobalAveragePool, GlobalMaxPool, GlobalLpPool.
pub fn global_pool(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let (dtype, rank) = (c.dtype(x), c.rank(x));
    let axes: Vec<i64> = (2..rank as i64).collect();
    if axes.is_empty() {
        return Err(misfit(format!("a pool of {}", c.ty(x))));
    }
    let wide = c.up(x)?;
    let y = match call.op() {
        "GlobalMaxPool" => c.b.reduce_keep("max", wide, &axes)?,
        "GlobalAveragePool" => mean_keep(c, wide, &axes)?,
        _ => norm(c, wide, call.int("p", 2)?, &axes, true)?,
    };
    Ok(vec![c.b.cast(y, dtype)?])
}

/// MaxUnpool: puts each value at its position in a tensor of zeros.
pub fn max_unpool(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (x, positions) = (call.input(0)?, call.input(1)?);
    let shape = c.shape(x);
    let kernel = call.ints("kernel_shape")?.ok_or_else(|| bad_attribute("`kernel_shape` is missing"))?;
    if shape.len() < 3 {
        return Err(misfit(format!("an unpooling of {}", c.ty(x))));
    }
    let slide = Sliding::read(call, &shape[2..], kernel)?;
    let mut inferred = shape[..2].to_vec();
    for i in 0..slide.kernel.len() {
        let spread = (shape[2 + i].clone() - 1.into()) * Poly::constant(slide.stride[i]);
        inferred.push(spread + Poly::constant(slide.kernel[i]) - slide.low[i].clone() - slide.high[i].clone());
    }
    let out = match call.maybe(2) {
        Some(v) => c.polys(v, "the output shape")?,
        None => inferred.clone(),
    };
    c.check_shape(&out)?;
    if out.len() != shape.len() {
        return Err(misfit(format!("an output shape of rank {} for an input of rank {}", out.len(), shape.len())));
    }
    // Positions count in the inferred shape; a larger output moves them.
    let flat_positions = c.flatten(positions)?;
    let flat_positions = c.b.cast(flat_positions, DType::I64)?;
    let values = c.flatten(x)?;
    let mut rest = flat_positions;
    let mut moved = c.fill_like(flat_positions, 0.0)?;
    let mut step = Poly::constant(1);
    for i in (0..shape.len()).rev() {
        let size = c.size(&inferred[i])?;
        let at = c.map("rem", &[rest, size])?;
        rest = c.map("div", &[rest, size])?;
        let s = c.size(&step)?;
        let offset = c.map("mul", &[at, s])?;
        moved = c.b.map("add", &[moved, offset])?;
        step = step * out[i].clone();
    }
    let dtype = c.dtype(x);
    let zeros = c.b.full(dtype, 0.0, &[step])?;
    let filled = c.op1("core.scatter", &[zeros, moved, values], &[("combine", Attr::from("replace"))])?;
    Ok(vec![c.b.reshape(filled, &out)?])
}
