//! DeformConv: a convolution that samples where an input says.

use super::conv::{add_channel, kernel_of, per_axis};
use super::sampling::{Mode, Outside, sample};
use crate::onnx::call::{Call, Res, misfit, variant};
use crate::onnx::ctx::Ctx;
use tricot_dialects::ValueId;
use tricot_types::Poly;

/// DeformConv on images: a convolution whose taps are moved by `offset` and weighted by `mask`.
pub fn deform_conv(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (x, w, offset) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let (xs, ws) = (c.static_shape(x, "the image")?, c.static_shape(w, "the filter")?);
    let ([n, channels, ..], [filters, each, kh, kw]) = (&xs[..], &ws[..]) else {
        return Err(misfit(format!("a deformable convolution of {} with {}", c.ty(x), c.ty(w))));
    };
    let (n, channels, filters, each, kh, kw) = (*n, *channels, *filters, *each, *kh, *kw);
    if xs.len() != 4 {
        return Err(variant("a deformable convolution that is not two-dimensional"));
    }
    kernel_of(c, call, w)?;
    let (stride, dilation) = (per_axis(call, "strides", 2)?, per_axis(call, "dilations", 2)?);
    let pads = call.ints("pads")?.unwrap_or_else(|| vec![0; 4]);
    let (groups, by) = (call.int("group", 1)?, call.int("offset_group", 1)?);
    let os = c.static_shape(offset, "the offsets")?;
    let taps = kh * kw;
    if pads.len() != 4
        || os.len() != 4
        || by < 1
        || groups < 1
        || os[1] != by * taps * 2
        || channels % by != 0
        || channels != each * groups
        || filters % groups != 0
    {
        return Err(misfit(format!("{} with {} and offsets {}", c.ty(x), c.ty(w), c.ty(offset))));
    }
    let (oh, ow) = (os[2], os[3]);
    let points = taps * oh * ow;
    if points > 1 << 26 {
        return Err(misfit(format!("{points} sampling points")));
    }
    let dtype = c.dtype(x);
    let wide = c.up(offset)?;
    let dims: Vec<Poly> = [n, by, taps, 2, oh * ow].into_iter().map(Poly::constant).collect();
    let moved = c.b.reshape(wide, &dims)?;
    let compute = c.dtype(moved);
    let mut at = vec![];
    for axis in 0..2i64 {
        let part = c.pick(moved, 3, axis)?;
        let mut base = vec![];
        for tap in 0..taps {
            let k = if axis == 0 { tap / kw } else { tap % kw };
            for o in 0..oh * ow {
                let step = if axis == 0 { o / ow } else { o % ow };
                let a = axis as usize;
                base.push((step * stride[a] + k * dilation[a] - pads[a]) as f64);
            }
        }
        let base = c.table(compute, &[taps as usize, (oh * ow) as usize], &base)?;
        let here = c.map("add", &[part, base])?;
        at.push(c.b.reshape(here, &[Poly::constant(n * by), Poly::constant(points)])?);
    }
    let split: Vec<Poly> = [n * by, channels / by, xs[2], xs[3]].into_iter().map(Poly::constant).collect();
    let image = c.b.reshape(x, &split)?;
    let mut values = sample(c, image, &at, Mode::Linear, Outside::Zeros)?;
    if let Some(mask) = call.maybe(4) {
        let mask = c.up(mask)?;
        let mask = c.reshape(mask, &[Poly::constant(n * by), Poly::constant(points)])?;
        let shape = c.shape(values);
        let mask = c.b.broadcast(mask, &shape, &[0, 2])?;
        values = c.b.map("mul", &[values, mask])?;
    }
    let grouped: Vec<Poly> = [n, groups, each, taps, oh * ow].into_iter().map(Poly::constant).collect();
    let values = c.b.reshape(values, &grouped)?;
    let w = c.up(w)?;
    let by_group: Vec<Poly> = [groups, filters / groups, each, taps].into_iter().map(Poly::constant).collect();
    let w = c.b.reshape(w, &by_group)?;
    let y = c.b.contract("ngctp,gfct->ngfp", &[values, w], compute)?;
    let out: Vec<Poly> = [n, filters, oh, ow].into_iter().map(Poly::constant).collect();
    let mut y = c.b.reshape(y, &out)?;
    if let Some(bias) = call.maybe(3) {
        let bias = c.up(bias)?;
        y = add_channel(c, y, bias)?;
    }
    Ok(vec![c.b.cast(y, dtype)?])
}
