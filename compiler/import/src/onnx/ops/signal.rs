//! Windows, Fourier transforms as products with constant matrices, mel weights.

use crate::onnx::call::{Call, Res, misfit, normal_axis, variant};
use crate::onnx::ctx::Ctx;
use crate::onnx::tensor::{dtype, unsupported_dtype};
use std::f64::consts::PI;
use tricot_dialects::{Attr, ValueId};
use tricot_types::{DType, Poly};

/// Largest transform matrix.
const MAX_ENTRIES: i64 = 1 << 26;

fn output_type(call: &Call) -> Res<DType> {
    let number = call.int("output_datatype", 1)?;
    dtype(i32::try_from(number).unwrap_or(-1)).map_err(|n| unsupported_dtype(&n))
}

/// HannWindow, HammingWindow, BlackmanWindow.
pub fn window(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let size = c.int(call.input(0)?, "the window's size")?;
    if !(0..=1 << 24).contains(&size) {
        return Err(misfit(format!("a window of {size} elements")));
    }
    let n = if call.flag("periodic", true)? { size } else { size - 1 } as f64;
    let wave = |i: i64, k: f64| (2.0 * PI * k * i as f64 / n).cos();
    let value = |i: i64| match call.op() {
        "HannWindow" => 0.5 - 0.5 * wave(i, 1.0),
        "HammingWindow" => 25.0 / 46.0 - 21.0 / 46.0 * wave(i, 1.0),
        _ => 0.42 - 0.5 * wave(i, 1.0) + 0.08 * wave(i, 2.0),
    };
    let values: Vec<f64> = (0..size).map(value).collect();
    Ok(vec![c.table(output_type(call)?, &[size as usize], &values)?])
}

/// `[bins, length]` matrices of cosines and sines of `2 pi k m / length`.
fn waves(
    c: &mut Ctx,
    dtype: DType,
    bins: i64,
    columns: i64,
    length: i64,
    weight: impl Fn(i64, i64) -> f64,
) -> Res<(ValueId, ValueId)> {
    if bins.checked_mul(columns).is_none_or(|n| n > MAX_ENTRIES) {
        return Err(misfit(format!("a transform matrix of {bins} by {columns}")));
    }
    let table = |f: fn(f64) -> f64| -> Vec<f64> {
        let entry = |k: i64, m: i64| f(2.0 * PI * ((k * m) % length) as f64 / length as f64) * weight(k, m);
        (0..bins).flat_map(|k| (0..columns).map(move |m| (k, m))).map(|(k, m)| entry(k, m)).collect()
    };
    let (cos, sin) = (table(f64::cos), table(f64::sin));
    let shape = [bins as usize, columns as usize];
    Ok((c.table(dtype, &shape, &cos)?, c.table(dtype, &shape, &sin)?))
}

/// The transform of `x` (`[…, n, 1 | 2]`, `axis` counting n) of the given length; `[…, bins, 2]`, or `[…, length, 1]` for the
/// inverse of a one-sided spectrum.
fn transform(c: &mut Ctx, x: ValueId, axis: usize, length: i64, inverse: bool, onesided: bool) -> Res<ValueId> {
    let rank = c.rank(x);
    let dtype = c.dtype(x);
    let parts = c.shape(x)[rank - 1].as_constant();
    let (Some(parts @ (1 | 2)), true) = (parts, axis + 1 < rank && length > 0) else {
        return Err(misfit(format!("a transform of {} along axis {axis} with length {length}", c.ty(x))));
    };
    // In f64, as numpy does it: what cancels in a spectrum leaves values far below the rounding of f32 sums.
    let compute = DType::F64;
    let mut x = c.b.cast(x, compute)?;
    // The input is cut or padded with zeros to the length, one-sided spectra to their half.
    let real_result = inverse && onesided;
    let wanted = if real_result { length / 2 + 1 } else { length };
    let have = c.shape(x)[axis].as_constant().ok_or_else(|| variant("a transform along a symbolic axis"))?;
    if have > wanted {
        x = c.slice_axis(x, axis, Poly::default(), Poly::constant(wanted))?;
    } else if have < wanted {
        let (low, mut high) = (vec![Poly::default(); rank], vec![Poly::default(); rank]);
        high[axis] = Poly::constant(wanted - have);
        x = c.b.pad(x, &low, &high, 0.0)?;
    }
    let bins = if onesided && !inverse { length / 2 + 1 } else { length };
    let scale = if inverse { 1.0 / length as f64 } else { 1.0 };
    let (cos, sin) = waves(c, compute, bins, wanted, length, |_, m| {
        // A one-sided spectrum stands for its mirror image too.
        let twice = real_result && m != 0 && 2 * m != length;
        if twice { 2.0 * scale } else { scale }
    })?;
    let letters: Vec<char> = ('a'..='z').take(rank - 1).collect();
    let spec = |at: char| letters.iter().enumerate().map(|(i, l)| if i == axis { at } else { *l }).collect::<String>();
    let spec = format!("{},KM->{}", spec('M'), spec('K'));
    let product = |c: &mut Ctx, v: ValueId, m: ValueId| c.b.contract(&spec, &[v, m], compute);
    let re = c.pick(x, rank - 1, 0)?;
    let im = if parts == 2 { Some(c.pick(x, rank - 1, 1)?) } else { None };
    // (a + ib)(cos -+ i sin): minus forwards, plus backwards.
    let (mut out_re, mut out_im) = (product(c, re, cos)?, product(c, re, sin)?);
    if !inverse {
        out_im = c.b.map("neg", &[out_im])?;
    }
    if let Some(im) = im {
        let (bc, bs) = (product(c, im, cos)?, product(c, im, sin)?);
        out_re = c.b.map(if inverse { "sub" } else { "add" }, &[out_re, bs])?;
        out_im = c.b.map("add", &[out_im, bc])?;
    }
    let mut shape = c.shape(out_re);
    shape.push(Poly::constant(1));
    let re = c.b.reshape(out_re, &shape)?;
    let y = if real_result {
        re
    } else {
        let im = c.b.reshape(out_im, &shape)?;
        c.b.concat(&[re, im], rank as i64 - 1)?
    };
    c.b.cast(y, dtype)
}

/// DFT; the axis is an attribute up to opset 19, an input since.
pub fn dft(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let rank = c.rank(x);
    let axis = match call.maybe(2) {
        Some(a) => c.int(a, "the axis")?,
        None => call.int("axis", if call.version < 20 { 1 } else { -2 })?,
    };
    let axis = normal_axis(axis, rank)? as usize;
    let (inverse, onesided) = (call.flag("inverse", false)?, call.flag("onesided", false)?);
    let length = match call.maybe(1) {
        Some(l) => c.int(l, "the length")?,
        None => {
            let n = c.shape(x)[axis].as_constant().ok_or_else(|| variant("a transform along a symbolic axis"))?;
            if inverse && onesided { 2 * (n - 1) } else { n }
        }
    };
    Ok(vec![transform(c, x, axis, length, inverse, onesided)?])
}

/// STFT: transforms of windowed frames.
pub fn stft(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let step = c.int(call.input(1)?, "the frame step")?;
    let shape = c.shape(x);
    let window = call.maybe(2);
    let length = match (call.maybe(3), window) {
        (Some(l), _) => c.int(l, "the frame length")?,
        (None, Some(w)) => c.static_shape(w, "the window")?.first().copied().unwrap_or(0),
        (None, None) => shape.get(1).and_then(Poly::as_constant).unwrap_or(0),
    };
    if shape.len() != 3 || step < 1 || length < 1 {
        return Err(misfit(format!("frames of {length} every {step} of {}", c.ty(x))));
    }
    let attrs = [
        ("axes", Attr::Ints(vec![1])),
        ("size", Attr::Ints(vec![length])),
        ("stride", Attr::Ints(vec![step])),
        ("dilation", Attr::Ints(vec![1])),
    ];
    let frames = c.op1("core.window", &[x], &attrs)?;
    // [b, frames, parts, length] -> [b, frames, length, parts].
    let mut frames = c.b.transpose(frames, &[0, 1, 3, 2])?;
    if let Some(w) = window {
        let full = c.shape(frames);
        let mut w = w;
        let n = c.static_shape(w, "the window")?.first().copied().unwrap_or(0);
        if n < length {
            w = c.b.pad(w, &[Poly::default()], &[Poly::constant(length - n)], 0.0)?;
        }
        let w = c.b.broadcast(w, &full, &[2])?;
        frames = c.b.map("mul", &[frames, w])?;
    }
    Ok(vec![transform(c, frames, 2, length, false, call.flag("onesided", true)?)?])
}

/// MelWeightMatrix of known parameters.
pub fn mel_weights(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let bins = c.int(call.input(0)?, "the number of bins")?;
    let length = c.int(call.input(1)?, "the transform length")?;
    let rate = c.int(call.input(2)?, "the sample rate")?;
    let (low, high) = (c.float(call.input(3)?, "the lower edge")?, c.float(call.input(4)?, "the upper edge")?);
    let rows = length / 2 + 1;
    if bins < 1 || length < 1 || rate < 1 || rows.checked_mul(bins).is_none_or(|n| n > MAX_ENTRIES) {
        return Err(misfit(format!("{bins} mel bins of a transform of length {length} at rate {rate}")));
    }
    let mel = |hertz: f64| 2595.0 * (1.0 + hertz / 700.0).log10();
    let step = (mel(high) - mel(low)) / (bins + 2) as f64;
    let edge = |i: i64| {
        let hertz = 700.0 * (10f64.powf((i as f64 * step + mel(low)) / 2595.0) - 1.0);
        ((length + 1) as f64 * hertz / rate as f64).floor() as i64
    };
    let mut out = vec![0.0; (rows * bins) as usize];
    let mut put = |j: i64, i: i64, v: f64| {
        if (0..rows).contains(&j) {
            out[(j * bins + i) as usize] = v;
        }
    };
    for i in 0..bins {
        let (left, centre, right) = (edge(i), edge(i + 1), edge(i + 2));
        if centre == left {
            put(centre, i, 1.0);
        } else {
            (left..=centre.min(rows)).for_each(|j| put(j, i, (j - left) as f64 / (centre - left) as f64));
        }
        if right > centre {
            (centre..right.min(rows)).for_each(|j| put(j, i, (right - j) as f64 / (right - centre) as f64));
        }
    }
    Ok(vec![c.table(output_type(call)?, &[rows as usize, bins as usize], &out)?])
}
