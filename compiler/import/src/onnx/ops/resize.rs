//! Resize and Upsample: one axis at a time, as a gather or as a product with a constant matrix of weights.

use crate::onnx::call::{Call, Res, bad_attribute, misfit, normal_axes};
use crate::onnx::ctx::Ctx;
use tricot_dialects::ValueId;
use tricot_types::{DType, Poly};

/// How positions and weights are computed.
struct Rule {
    mode: String,
    nearest: String,
    transform: String,
    cubic: f64,
    antialias: bool,
    exclude_outside: bool,
    extrapolation: f64,
}

/// One axis: input and output size, scale, region of interest.
struct Axis {
    input: usize,
    output: usize,
    scale: f64,
    roi: (f64, f64),
}

impl Rule {
    /// Where output position `i` lies in the input; `None` when it is to be extrapolated.
    fn source(&self, axis: &Axis, i: usize) -> Res<Option<f64>> {
        let (n, y) = (axis.input as f64, i as f64);
        let wide = axis.scale * n;
        let half = |y: f64| (y + 0.5) / axis.scale - 0.5;
        Ok(Some(match self.transform.as_str() {
            "align_corners" if wide == 1.0 => 0.0,
            "align_corners" => y * (n - 1.0) / (wide - 1.0),
            "asymmetric" => y / axis.scale,
            "half_pixel" => half(y),
            "pytorch_half_pixel" if wide == 1.0 => -0.5,
            "pytorch_half_pixel" => half(y),
            "half_pixel_symmetric" => n / 2.0 * (1.0 - axis.output as f64 / wide) + half(y),
            "tf_half_pixel_for_nn" => (y + 0.5) / axis.scale,
            "tf_crop_and_resize" => {
                let (a, b) = axis.roi;
                let step = if wide == 1.0 { (b - a) * (n - 1.0) / 2.0 } else { y * (b - a) * (n - 1.0) / (wide - 1.0) };
                let at = step + a * (n - 1.0);
                return Ok((0.0..=n - 1.0).contains(&at).then_some(at));
            }
            other => return Err(bad_attribute(format!("`coordinate_transformation_mode` is `{other}`"))),
        }))
    }

    /// Weights of the elements around a position whose fractional part is `ratio`, in (0, 1].
    fn weights(&self, ratio: f64, scale: f64) -> Res<Vec<f64>> {
        let a = self.cubic;
        let shrink = scale.min(1.0);
        Ok(match (self.mode.as_str(), self.antialias) {
            ("nearest", _) => {
                let upper = match self.nearest.as_str() {
                    _ if ratio == 1.0 => true,
                    "round_prefer_floor" => ratio > 0.5,
                    "round_prefer_ceil" => ratio >= 0.5,
                    "floor" => false,
                    "ceil" => true,
                    other => return Err(bad_attribute(format!("`nearest_mode` is `{other}`"))),
                };
                if upper { vec![0.0, 1.0] } else { vec![1.0, 0.0] }
            }
            ("linear", false) => vec![1.0 - ratio, ratio],
            ("linear", true) => {
                let start = (-1.0 / shrink).floor() + 1.0;
                let count = (2.0 - 2.0 * start) as usize;
                let raw = (0..count).map(|i| (1.0 - ((start + i as f64 - ratio) * shrink).abs()).clamp(0.0, 1.0));
                normalised(raw.collect())
            }
            ("cubic", false) => {
                let outer = |x: f64| ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a;
                let inner = |x: f64| ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
                vec![outer(ratio + 1.0), inner(ratio), inner(1.0 - ratio), outer(2.0 - ratio)]
            }
            ("cubic", true) => {
                let kernel = |x: f64| match x.abs() {
                    x if x <= 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
                    x if x < 2.0 => ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a,
                    _ => 0.0,
                };
                let start = (-2.0 / shrink).floor() + 1.0;
                let end = 2.0 - start;
                normalised((0..(end - start) as usize).map(|i| kernel(shrink * (start + i as f64 - ratio))).collect())
            }
            (other, _) => return Err(bad_attribute(format!("`mode` is `{other}`"))),
        })
    }

    /// Per output position: input positions with weights, or `None` where the value is extrapolated.
    fn rows(&self, axis: &Axis) -> Res<Vec<Option<Vec<(usize, f64)>>>> {
        let mut out = vec![];
        for i in 0..axis.output {
            let Some(x) = self.source(axis, i)? else {
                out.push(None);
                continue;
            };
            let ratio = if x == x.floor() { 1.0 } else { x - x.floor() };
            let mut weights = self.weights(ratio, axis.scale)?;
            let n = weights.len() as i64;
            // The n elements closest to x, ties to the left.
            let (floor, fraction) = (x.floor() as i64, x - x.floor());
            let first = match n % 2 {
                0 if fraction == 0.0 => floor - n / 2,
                0 => floor - n / 2 + 1,
                _ if fraction <= 0.5 => floor - (n - 1) / 2,
                _ => floor - (n - 1) / 2 + 1,
            };
            let inside = |k: i64| (0..axis.input as i64).contains(&(first + k));
            if self.exclude_outside {
                for k in (0..n).filter(|k| !inside(*k)) {
                    weights[k as usize] = 0.0;
                }
                weights = normalised(weights);
            }
            let last = axis.input as i64 - 1;
            out.push(Some((0..n).map(|k| ((first + k).clamp(0, last) as usize, weights[k as usize])).collect()));
        }
        Ok(out)
    }
}

fn normalised(weights: Vec<f64>) -> Vec<f64> {
    let sum: f64 = weights.iter().sum();
    if sum == 0.0 { weights } else { weights.into_iter().map(|w| w / sum).collect() }
}

/// Resize since opset 10, Upsample before it.
pub fn resize(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let rank = c.rank(x);
    let old = call.version < 11;
    let rule = Rule {
        mode: call.text("mode", "nearest")?,
        nearest: if old { "floor".into() } else { call.text("nearest_mode", "round_prefer_floor")? },
        transform: if old { "asymmetric".into() } else { call.text("coordinate_transformation_mode", "half_pixel")? },
        cubic: call.float("cubic_coeff_a", -0.75)?,
        antialias: call.flag("antialias", false)?,
        exclude_outside: call.flag("exclude_outside", false)?,
        extrapolation: call.float("extrapolation_value", 0.0)?,
    };
    let axes = match call.ints("axes")? {
        Some(a) => normal_axes(&a, rank)?,
        None => (0..rank as i64).collect(),
    };
    let (roi_at, scales_at) = if old { (usize::MAX, 1) } else { (1, 2) };
    let roi = match call.maybe(roi_at) {
        Some(v) => c.floats(v, "the region of interest")?,
        None => vec![],
    };
    let scales = match call.maybe(scales_at) {
        Some(v) => c.floats(v, "the scales")?,
        None => call.floats("scales")?.unwrap_or_default(),
    };
    let sizes = match call.maybe(3) {
        Some(v) => c.polys(v, "the sizes")?,
        None => vec![],
    };
    let given = scales.len().max(sizes.len());
    if given != axes.len() || (!scales.is_empty() && !sizes.is_empty()) {
        return Err(misfit(format!("{} scales and {} sizes for {} axes", scales.len(), sizes.len(), axes.len())));
    }
    let shape = c.shape(x);
    // Axes that keep their size need no number for it.
    let changed: Vec<usize> = (0..axes.len())
        .filter(|i| match sizes.get(*i) {
            Some(s) => *s != shape[axes[*i] as usize],
            None => scales[*i] != 1.0,
        } || !roi.is_empty() && rule.transform == "tf_crop_and_resize")
        .collect();
    let number = |p: &Poly| {
        let n = p.as_constant().filter(|n| (0..1 << 24).contains(n));
        n.ok_or_else(|| {
            misfit(format!("an axis of size {p}; resizing needs numbers"))
                .with_help("give the symbols values with --set")
        })
    };
    let mut plan = vec![];
    for i in changed {
        let a = axes[i] as usize;
        let input = number(&shape[a])? as usize;
        let (output, scale) = match sizes.get(i) {
            Some(s) => (number(s)? as usize, number(s)? as f64 / input as f64),
            None => ((scales[i] * input as f64).floor() as usize, scales[i]),
        };
        let bounds = (roi.get(i).copied().unwrap_or(0.0), roi.get(axes.len() + i).copied().unwrap_or(1.0));
        if input == 0 || output > 1 << 24 || scale.is_nan() || scale <= 0.0 {
            return Err(misfit(format!("axis {a} from {input} to {output}")));
        }
        plan.push((a, Axis { input, output, scale, roi: bounds }));
    }
    let policy = call.text("keep_aspect_ratio_policy", "stretch")?;
    if policy != "stretch" && !sizes.is_empty() && !plan.is_empty() {
        let all = plan.iter().map(|(_, p)| p.scale);
        let scale = if policy == "not_larger" { all.fold(f64::MAX, f64::min) } else { all.fold(0.0, f64::max) };
        for (_, p) in &mut plan {
            (p.scale, p.output) = (scale, (scale * p.input as f64 + 0.5).floor() as usize);
        }
    }
    apply(c, x, &rule, plan)
}

fn apply(c: &mut Ctx, x: ValueId, rule: &Rule, plan: Vec<(usize, Axis)>) -> Res<Vec<ValueId>> {
    let dtype = c.dtype(x);
    let mut y = x;
    let mut outside = vec![];
    for (a, axis) in plan {
        let rows = rule.rows(&axis)?;
        let single = |row: &Option<Vec<(usize, f64)>>| {
            let Some(list) = row else { return Some(0) };
            let mut used = list.iter().filter(|(_, w)| *w != 0.0);
            match (used.next(), used.next()) {
                (Some((at, 1.0)), None) => Some(*at as i64),
                _ => None,
            }
        };
        if rows.iter().any(Option::is_none) {
            outside.push((a, rows.iter().map(|r| f64::from(u8::from(r.is_none()))).collect::<Vec<_>>()));
        }
        if let Some(indices) = rows.iter().map(single).collect::<Option<Vec<i64>>>() {
            let indices = c.vector(&indices)?;
            y = c.gather(y, indices, a as i64)?;
            continue;
        }
        if axis.input.saturating_mul(axis.output) > 1 << 26 {
            return Err(misfit(format!("a resize matrix of {} by {}", axis.output, axis.input)));
        }
        let mut matrix = vec![0.0; axis.input * axis.output];
        for (i, row) in rows.iter().enumerate() {
            for (at, w) in row.iter().flatten() {
                matrix[i * axis.input + at] += w;
            }
        }
        let wide = if dtype.is_float() { dtype.compute() } else { DType::F32 };
        y = c.b.cast(y, wide)?;
        let matrix = c.table(wide, &[axis.output, axis.input], &matrix)?;
        let letters: Vec<char> = ('a'..='z').take(c.rank(y)).collect();
        let spec = |at: char| letters.iter().enumerate().map(|(i, l)| if i == a { at } else { *l }).collect::<String>();
        y = c.b.contract(&format!("{},ZX->{}", spec('X'), spec('Z')), &[y, matrix], wide)?;
    }
    if c.dtype(y) != dtype && !dtype.is_float() {
        // numpy rounds toward zero here and saturates.
        y = c.b.cast(y, dtype)?;
    }
    y = c.b.cast(y, dtype)?;
    for (a, flags) in outside {
        let shape = c.shape(y);
        let flags = c.table(DType::Bool, &[flags.len()], &flags)?;
        let flags = c.b.broadcast(flags, &shape, &[a as i64])?;
        let fill = c.fill_like(y, rule.extrapolation)?;
        y = c.b.select(flags, fill, y)?;
    }
    Ok(vec![y])
}
