//! Sampling at computed positions: GridSample, RoiAlign, AffineGrid.

use crate::onnx::call::{Call, Res, bad_attribute, misfit, variant};
use crate::onnx::ctx::Ctx;
use tricot_dialects::{Attr, ValueId};
use tricot_types::{DType, Poly};

/// What lies outside the image.
#[derive(Clone, Copy, PartialEq)]
pub enum Outside {
    Zeros,
    Border,
    /// Mirrored at the centres of the outermost elements, or at their edges.
    Reflection {
        corners: bool,
    },
}

/// Which elements around a position count.
#[derive(Clone, Copy, PartialEq)]
pub enum Mode {
    Nearest,
    Linear,
    Cubic,
}

/// Mirrors positions into an axis of `d` elements.
fn reflect(c: &mut Ctx, x: ValueId, d: i64, corners: bool) -> Res<ValueId> {
    let (low, range) = if corners { (0.0f64, (d - 1) as f64) } else { (-0.5, d as f64) };
    if range <= 0.0 {
        return c.fill_like(x, low.max(0.0));
    }
    let moved = c.with("sub", x, low)?;
    let distance = c.b.map("abs", &[moved])?;
    let turns = c.with("div", distance, range)?;
    let turns = c.b.map("floor", &[turns])?;
    let whole = c.with("mul", turns, range)?;
    let rest = c.b.map("sub", &[distance, whole])?;
    let parity = c.with("rem", turns, 2.0)?;
    let odd = c.with("gt", parity, 0.5)?;
    let full = c.fill_like(rest, range)?;
    let mirrored = c.b.map("sub", &[full, rest])?;
    let at = c.b.select(odd, mirrored, rest)?;
    c.with("add", at, low)
}

/// Taps along one axis: positions of elements (whole floats) and their weights.
fn taps(c: &mut Ctx, x: ValueId, mode: Mode) -> Res<Vec<(ValueId, Option<ValueId>)>> {
    if mode == Mode::Nearest {
        return Ok(vec![(c.b.map("round", &[x])?, None)]);
    }
    let floor = c.b.map("floor", &[x])?;
    let t = c.b.map("sub", &[x, floor])?;
    let one = c.fill_like(t, 1.0)?;
    let rest = c.b.map("sub", &[one, t])?;
    if mode == Mode::Linear {
        return Ok(vec![(floor, Some(rest)), (c.with("add", floor, 1.0)?, Some(t))]);
    }
    // Keys' cubic convolution with a = -0.75.
    let a = -0.75;
    let near = |c: &mut Ctx, t: ValueId| -> Res<ValueId> {
        let s = c.with("mul", t, a + 2.0)?;
        let s = c.with("sub", s, a + 3.0)?;
        let s = c.b.map("mul", &[s, t])?;
        let s = c.b.map("mul", &[s, t])?;
        c.with("add", s, 1.0)
    };
    let far = |c: &mut Ctx, t: ValueId| -> Res<ValueId> {
        let x = c.with("add", t, 1.0)?;
        let s = c.with("mul", x, a)?;
        let s = c.with("sub", s, 5.0 * a)?;
        let s = c.b.map("mul", &[s, x])?;
        let s = c.with("add", s, 8.0 * a)?;
        let s = c.b.map("mul", &[s, x])?;
        c.with("sub", s, 4.0 * a)
    };
    let weights = [far(c, t)?, near(c, t)?, near(c, rest)?, far(c, rest)?];
    let mut out = vec![];
    for (i, w) in weights.into_iter().enumerate() {
        out.push((c.with("add", floor, i as f64 - 1.0)?, Some(w)));
    }
    Ok(out)
}

/// `data [n, ch, d…]` at positions (one `[n, p]` float tensor an axis), `[n, ch, p]`.
pub fn sample(c: &mut Ctx, data: ValueId, at: &[ValueId], mode: Mode, outside: Outside) -> Res<ValueId> {
    let shape = c.shape(data);
    let dims = c.static_shape(data, "the image")?[2..].to_vec();
    let points = c.shape(at[0])[1].clone();
    let compute = c.dtype(at[0]);
    let flat = c.reshape(data, &[shape[0].clone(), shape[1].clone(), shape[2..].iter().cloned().product()])?;
    let flat = c.b.cast(flat, compute)?;
    // All combinations of taps: position so far, weight so far, whether inside so far.
    let mut partial: Vec<(Option<ValueId>, Option<ValueId>, Option<ValueId>)> = vec![(None, None, None)];
    for (i, x) in at.iter().enumerate() {
        let d = dims[i];
        let x = match outside {
            Outside::Reflection { corners } => {
                // Nearest rounds before it mirrors.
                let x = if mode == Mode::Nearest { c.b.map("round", &[*x])? } else { *x };
                reflect(c, x, d, corners)?
            }
            _ => *x,
        };
        let mut options = vec![];
        let list = match (mode, outside) {
            (Mode::Nearest, Outside::Reflection { .. }) => vec![(c.b.map("trunc", &[x])?, None)],
            _ => taps(c, x, mode)?,
        };
        for (tap, weight) in list {
            let inside = match outside {
                Outside::Zeros => {
                    let (above, below) = (c.with("ge", tap, 0.0)?, c.with("lt", tap, d as f64)?);
                    Some(c.b.map("and", &[above, below])?)
                }
                _ => None,
            };
            let tap = match outside {
                Outside::Reflection { corners } => {
                    let mirrored = reflect(c, tap, d, corners)?;
                    c.b.map("trunc", &[mirrored])?
                }
                _ => tap,
            };
            let low = c.with("max", tap, 0.0)?;
            let tap = c.with("min", low, (d - 1).max(0) as f64)?;
            options.push((c.b.cast(tap, DType::I64)?, weight, inside));
        }
        let mut next = vec![];
        for (position, weight, inside) in &partial {
            for (tap, w, within) in &options {
                let position = match position {
                    Some(p) => {
                        let up = c.with("mul", *p, d as f64)?;
                        c.b.map("add", &[up, *tap])?
                    }
                    None => *tap,
                };
                let weight = both(c, "mul", *weight, *w)?;
                let inside = both(c, "and", *inside, *within)?;
                next.push((Some(position), weight, inside));
            }
        }
        partial = next;
    }
    let out_shape = [shape[0].clone(), shape[1].clone(), points];
    let mut sum = None;
    for (position, weight, inside) in partial {
        let position = position.ok_or_else(|| misfit("an image without spatial axes"))?;
        let attrs = [("axis", Attr::Int(2)), ("batch_dims", Attr::Int(1))];
        let mut pixel = c.op1("core.gather", &[flat, position], &attrs)?;
        if let Some(inside) = inside {
            let inside = c.b.broadcast(inside, &out_shape, &[0, 2])?;
            let zero = c.fill_like(pixel, 0.0)?;
            pixel = c.b.select(inside, pixel, zero)?;
        }
        if let Some(w) = weight {
            let w = c.b.broadcast(w, &out_shape, &[0, 2])?;
            pixel = c.b.map("mul", &[pixel, w])?;
        }
        sum = both(c, "add", sum, Some(pixel))?;
    }
    sum.ok_or_else(|| misfit("nothing to sample"))
}

fn both(c: &mut Ctx, f: &str, a: Option<ValueId>, b: Option<ValueId>) -> Res<Option<ValueId>> {
    Ok(match (a, b) {
        (Some(a), Some(b)) => Some(c.b.map(f, &[a, b])?),
        (a, b) => a.or(b),
    })
}

/// GridSample.
pub fn grid_sample(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (x, grid) = (call.input(0)?, call.input(1)?);
    let (xs, gs) = (c.shape(x), c.shape(grid));
    let axes = xs.len().saturating_sub(2);
    if axes == 0 || gs.len() != xs.len() || gs.last() != Some(&Poly::constant(axes as i64)) {
        return Err(misfit(format!("{} sampled by {}", c.ty(x), c.ty(grid))));
    }
    let mode = match call.text("mode", "linear")?.as_str() {
        "linear" | "bilinear" => Mode::Linear,
        "nearest" => Mode::Nearest,
        "cubic" | "bicubic" => Mode::Cubic,
        other => return Err(bad_attribute(format!("`mode` is `{other}`"))),
    };
    let corners = call.flag("align_corners", false)?;
    let outside = match call.text("padding_mode", "zeros")?.as_str() {
        "zeros" => Outside::Zeros,
        "border" => Outside::Border,
        "reflection" => Outside::Reflection { corners },
        other => return Err(bad_attribute(format!("`padding_mode` is `{other}`"))),
    };
    let dims = c.static_shape(x, "the image")?[2..].to_vec();
    let dtype = c.dtype(x);
    let compute = dtype.compute();
    let points: Poly = gs[1..gs.len() - 1].iter().cloned().product();
    let flat = c.b.reshape(grid, &[gs[0].clone(), points, Poly::constant(axes as i64)])?;
    let flat = c.b.cast(flat, compute)?;
    let mut at = vec![];
    for (i, d) in dims.iter().enumerate() {
        // The grid names the last axis first.
        let n = c.pick(flat, 2, (axes - 1 - i) as i64)?;
        let n = c.with("add", n, 1.0)?;
        at.push(match corners {
            true => c.with("mul", n, (*d - 1) as f64 / 2.0)?,
            false => {
                let wide = c.with("mul", n, *d as f64)?;
                let less = c.with("sub", wide, 1.0)?;
                c.with("mul", less, 0.5)?
            }
        });
    }
    let y = sample(c, x, &at, mode, outside)?;
    let out: Vec<Poly> = xs[..2].iter().chain(&gs[1..gs.len() - 1]).cloned().collect();
    let y = c.reshape(y, &out)?;
    Ok(vec![c.b.cast(y, dtype)?])
}

/// RoiAlign with a fixed sampling ratio.
pub fn roi_align(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (x, rois, batch) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let xs = c.static_shape(x, "the image")?;
    let [_, channels, height, width] = xs[..] else { return Err(misfit(format!("RoiAlign of {}", c.ty(x)))) };
    let (oh, ow) = (call.int("output_height", 1)?, call.int("output_width", 1)?);
    let ratio = call.int("sampling_ratio", 0)?;
    if ratio < 1 {
        return Err(variant("a sampling ratio that adapts to each region").with_help("set `sampling_ratio`"));
    }
    let grid = [oh, ow, ratio, ratio];
    if grid.iter().any(|g| !(1..=1 << 12).contains(g)) || c.rank(rois) != 2 {
        return Err(misfit(format!("an output of {oh} by {ow} with {ratio} samples from {}", c.ty(rois))));
    }
    let half = call
        .text("coordinate_transformation_mode", if call.version < 16 { "output_half_pixel" } else { "half_pixel" })?
        == "half_pixel";
    let scale = call.float("spatial_scale", 1.0)?;
    let count = c.shape(rois)[0].clone();
    let dtype = c.dtype(x);
    let wide = c.up(rois)?;
    let scaled = c.with("mul", wide, scale)?;
    let moved = if half { c.with("sub", scaled, 0.5)? } else { scaled };
    let axis = |c: &mut Ctx, first: i64, cells: i64| -> Res<ValueId> {
        let (start, end) = (c.pick(moved, 1, first)?, c.pick(moved, 1, first + 2)?);
        let mut size = c.b.map("sub", &[end, start])?;
        if !half {
            size = c.with("max", size, 1.0)?;
        }
        // Sample `k` of cell `i` lies (i + (k + 1/2) / ratio) cells from the start.
        let steps: Vec<f64> = (0..cells * ratio).map(|k| (k as f64 + 0.5) / ratio as f64 / cells as f64).collect();
        let compute = c.dtype(size);
        let steps = c.table(compute, &[steps.len()], &steps)?;
        let full = [count.clone(), Poly::constant(cells * ratio)];
        let (size, start, steps) =
            (c.b.broadcast(size, &full, &[0])?, c.b.broadcast(start, &full, &[0])?, c.b.broadcast(steps, &full, &[1])?);
        let offset = c.b.map("mul", &[size, steps])?;
        c.b.map("add", &[start, offset])
    };
    let (ys, xs_) = (axis(c, 1, oh)?, axis(c, 0, ow)?);
    let (rows, columns) = (oh * ratio, ow * ratio);
    let full = [count.clone(), Poly::constant(rows), Poly::constant(columns)];
    let points = [count.clone(), Poly::constant(rows * columns)];
    let mut positions = vec![];
    let mut seen = None;
    for (v, keep, d) in [(ys, 1i64, height), (xs_, 2, width)] {
        let v = c.b.broadcast(v, &full, &[0, keep])?;
        let v = c.b.reshape(v, &points)?;
        let (above, below) = (c.with("ge", v, -1.0)?, c.with("le", v, d as f64)?);
        let within = c.b.map("and", &[above, below])?;
        seen = both(c, "and", seen, Some(within))?;
        let v = c.with("max", v, 0.0)?;
        positions.push(c.with("min", v, (d - 1) as f64)?);
    }
    let batch = c.b.cast(batch, DType::I64)?;
    let images = c.gather(x, batch, 0)?;
    let maximum = call.text("mode", "avg")?.eq_ignore_ascii_case("max");
    let values = if maximum {
        corner_maximum(c, images, &positions, [height, width])?
    } else {
        sample(c, images, &positions, Mode::Linear, Outside::Border)?
    };
    let all = [count.clone(), Poly::constant(channels), Poly::constant(rows * columns)];
    let seen = seen.ok_or_else(|| misfit("no axes"))?;
    let seen = c.b.broadcast(seen, &all, &[0, 2])?;
    let zero = c.fill_like(values, 0.0)?;
    let values = c.b.select(seen, values, zero)?;
    let split = [count.clone(), Poly::constant(channels), oh.into(), ratio.into(), ow.into(), ratio.into()];
    let values = c.b.reshape(values, &split)?;
    let y = match maximum {
        true => c.b.reduce("max", values, &[3, 5])?,
        false => {
            let sum = c.b.reduce("sum", values, &[3, 5])?;
            c.with("div", sum, (ratio * ratio) as f64)?
        }
    };
    Ok(vec![c.b.cast(y, dtype)?])
}

/// The largest of the four weighted corners of each position, as ONNX defines the maximum of a region.
fn corner_maximum(c: &mut Ctx, images: ValueId, at: &[ValueId], dims: [i64; 2]) -> Res<ValueId> {
    let shape = c.shape(images);
    let points = c.shape(at[0])[1].clone();
    let compute = c.dtype(at[0]);
    let flat = c.reshape(images, &[shape[0].clone(), shape[1].clone(), shape[2].clone() * shape[3].clone()])?;
    let flat = c.b.cast(flat, compute)?;
    let full = [shape[0].clone(), shape[1].clone(), points];
    let (ys, xs) = (taps(c, at[0], Mode::Linear)?, taps(c, at[1], Mode::Linear)?);
    let mut best = None;
    for (y, wy) in &ys {
        for (x, wx) in &xs {
            let y = c.with("min", *y, (dims[0] - 1) as f64)?;
            let x = c.with("min", *x, (dims[1] - 1) as f64)?;
            let row = c.with("mul", y, dims[1] as f64)?;
            let position = c.b.map("add", &[row, x])?;
            let position = c.b.cast(position, DType::I64)?;
            let pixel =
                c.op1("core.gather", &[flat, position], &[("axis", Attr::Int(2)), ("batch_dims", Attr::Int(1))])?;
            let w = both(c, "mul", *wy, *wx)?.ok_or_else(|| misfit("no weights"))?;
            let w = c.b.broadcast(w, &full, &[0, 2])?;
            let term = c.b.map("mul", &[pixel, w])?;
            best = both(c, "max", best, Some(term))?;
        }
    }
    best.ok_or_else(|| misfit("nothing to sample"))
}

/// AffineGrid: `theta` applied to the regular grid of an output of known size.
pub fn affine_grid(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let theta = call.input(0)?;
    let size = c.ints(call.input(1)?, "the size")?;
    let dims = size.get(2..).unwrap_or(&[]).to_vec();
    let total = dims.iter().try_fold(1i64, |a, d| a.checked_mul(*d)).filter(|t| (1..=1 << 26).contains(t));
    let (Some(total), 2 | 3) = (total, dims.len()) else { return Err(misfit(format!("a grid of size {size:?}"))) };
    let corners = call.flag("align_corners", false)?;
    let place = |i: i64, d: i64| match corners {
        true => -1.0 + 2.0 * i as f64 / (d - 1) as f64,
        false => -1.0 + (2 * i + 1) as f64 / d as f64,
    };
    // Homogeneous coordinates, the last axis first.
    let mut points = vec![];
    for p in 0..total {
        let mut rest = p;
        for d in dims.iter().rev() {
            points.push(place(rest % d, *d));
            rest /= d;
        }
        points.push(1.0);
    }
    let dtype = c.dtype(theta);
    let wide = c.up(theta)?;
    let compute = c.dtype(wide);
    let k = dims.len();
    let points = c.table(compute, &[total as usize, k + 1], &points)?;
    let y = c.b.contract("nij,pj->npi", &[wide, points], compute)?;
    let n = c.shape(theta)[0].clone();
    let shape: Vec<Poly> =
        [n].into_iter().chain(dims.iter().map(|d| Poly::constant(*d))).chain([Poly::constant(k as i64)]).collect();
    let y = c.b.reshape(y, &shape)?;
    Ok(vec![c.b.cast(y, dtype)?])
}
