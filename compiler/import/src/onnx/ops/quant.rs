//! Quantisation, and products of quantised tensors.

use super::conv::conv_of;
use super::elementwise::convert;
use super::linear::matmul_of;
use crate::onnx::call::{Call, Res, misfit, normal_axis};
use crate::onnx::ctx::Ctx;
use crate::onnx::tensor::{dtype, unsupported_dtype};
use tricot_dialects::ValueId;
use tricot_types::{DType, Poly};

/// A scale or zero point spread to the shape of `x`: a scalar, one entry a position of `axis`, or one a block of it.
fn spread(c: &mut Ctx, v: ValueId, x: ValueId, axis: i64, block: i64) -> Res<ValueId> {
    let shape = c.shape(x);
    let own = c.shape(v);
    if own.is_empty() || own == [Poly::constant(1)] {
        let v = c.reshape(v, &[])?;
        return c.b.broadcast(v, &shape, &[]);
    }
    let axis = normal_axis(axis, shape.len())? as usize;
    if own.len() == 1 {
        return c.b.broadcast(v, &shape, &[axis as i64]);
    }
    if own.len() != shape.len() || block < 1 {
        return Err(misfit(format!("{} for {} in blocks of {block}", c.ty(v), c.ty(x))));
    }
    let mut wide = own.clone();
    wide.insert(axis + 1, Poly::constant(block));
    let axes: Vec<i64> = (0..wide.len() as i64).filter(|a| *a != axis as i64 + 1).collect();
    let repeated = c.b.broadcast(v, &wide, &axes)?;
    let mut joined = own;
    joined[axis] = joined[axis].clone() * Poly::constant(block);
    let joined = c.reshape(repeated, &joined)?;
    c.slice_axis(joined, axis, Poly::default(), shape[axis].clone())
}

fn output_type(call: &Call) -> Res<Option<DType>> {
    match call.int("output_dtype", 0)? {
        0 => Ok(None),
        n => dtype(i32::try_from(n).unwrap_or(-1)).map(Some).map_err(|n| unsupported_dtype(&n)),
    }
}

/// QuantizeLinear: `saturate(round(x / scale) + zero point)`.
pub fn quantize(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (x, scale) = (call.input(0)?, call.input(1)?);
    let (axis, block) = (call.int("axis", 1)?, call.int("block_size", 0)?);
    let zero = call.maybe(2);
    let to = match zero {
        Some(z) => c.dtype(z),
        None => output_type(call)?.unwrap_or(DType::U8),
    };
    let wide = match call.int("precision", 0)? {
        0 => c.dtype(scale).compute(),
        n => dtype(i32::try_from(n).unwrap_or(-1)).map_err(|n| unsupported_dtype(&n))?.compute(),
    };
    let scale = spread(c, scale, x, axis, block)?;
    let (top, scale) = (c.b.cast(x, wide)?, c.b.cast(scale, wide)?);
    let q = c.b.map("div", &[top, scale])?;
    if to.is_float() {
        return Ok(vec![convert(c, q, to, call.flag("saturate", true)?)?]);
    }
    let mut q = c.b.map("round", &[q])?;
    if let Some(z) = zero {
        let z = spread(c, z, x, axis, block)?;
        let z = c.b.cast(z, wide)?;
        q = c.b.map("add", &[q, z])?;
    }
    Ok(vec![c.b.cast(q, to)?])
}

/// DequantizeLinear: `(x - zero point) * scale`.
pub fn dequantize(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (x, scale) = (call.input(0)?, call.input(1)?);
    let (axis, block) = (call.int("axis", 1)?, call.int("block_size", 0)?);
    let to = output_type(call)?.unwrap_or(c.dtype(scale));
    let wide = c.dtype(scale).compute();
    let mut y = c.b.cast(x, wide)?;
    if let Some(z) = call.maybe(2) {
        let z = spread(c, z, x, axis, block)?;
        let z = c.b.cast(z, wide)?;
        y = c.b.map("sub", &[y, z])?;
    }
    let scale = spread(c, scale, x, axis, block)?;
    let scale = c.b.cast(scale, wide)?;
    let y = c.b.map("mul", &[y, scale])?;
    Ok(vec![c.b.cast(y, to)?])
}

/// DynamicQuantizeLinear: to u8 with scale and zero point from the extremes.
pub fn dynamic_quantize(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let axes: Vec<i64> = (0..c.rank(x) as i64).collect();
    let extreme = |c: &mut Ctx, kind: &str| -> Res<ValueId> {
        let all = c.b.reduce(kind, x, &axes)?;
        c.with(kind, all, 0.0)
    };
    let (high, low) = (extreme(c, "max")?, extreme(c, "min")?);
    let range = c.b.map("sub", &[high, low])?;
    let flat = c.with("eq", range, 0.0)?;
    let one = c.fill_like(range, 1.0)?;
    let range = c.b.select(flat, one, range)?;
    let scale = c.with("div", range, 255.0)?;
    let ratio = c.b.map("div", &[low, scale])?;
    let start = c.b.map("neg", &[ratio])?;
    let start = c.with("max", start, 0.0)?;
    let start = c.with("min", start, 255.0)?;
    let zero = c.b.map("round", &[start])?;
    let q = c.map("div", &[x, scale])?;
    let q = c.b.map("round", &[q])?;
    let q = c.map("add", &[q, zero])?;
    Ok(vec![c.b.cast(q, DType::U8)?, scale, c.b.cast(zero, DType::U8)?])
}

/// `x - zero` in i32; a vector zero point runs along `axis`.
fn centred(c: &mut Ctx, x: ValueId, zero: Option<ValueId>, axis: i64) -> Res<ValueId> {
    let wide = c.b.cast(x, DType::I32)?;
    let Some(z) = zero else { return Ok(wide) };
    let z = c.b.cast(z, DType::I32)?;
    let shape = c.shape(x);
    let z = match c.rank(z) {
        1 if !c.shape(z)[0].is_one() => c.b.broadcast(z, &shape, &[axis])?,
        0 | 1 => {
            let z = c.reshape(z, &[])?;
            c.b.broadcast(z, &shape, &[])?
        }
        _ => c.b.broadcast_to(z, &shape)?,
    };
    c.b.map("sub", &[wide, z])
}

/// MatMulInteger.
pub fn matmul_integer(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let (ra, rb) = (c.rank(a) as i64, c.rank(b) as i64);
    let a = centred(c, a, call.maybe(2), (ra - 2).max(0))?;
    let b = centred(c, b, call.maybe(3), (rb - 1).max(0))?;
    Ok(vec![matmul_of(c, a, b, DType::I32)?])
}

/// ConvInteger.
pub fn conv_integer(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (x, w) = (call.input(0)?, call.input(1)?);
    let x = centred(c, x, call.maybe(2), 1)?;
    let w = centred(c, w, call.maybe(3), 0)?;
    Ok(vec![conv_of(c, call, x, w, DType::I32)?])
}

/// `saturate(round(product * a_scale * b_scale / y_scale) + zero)`, the factor running along `axis` if it is a vector.
fn requantise(
    c: &mut Ctx,
    product: ValueId,
    scales: [ValueId; 3],
    zero: Option<ValueId>,
    to: DType,
    axes: [i64; 2],
) -> Res<ValueId> {
    let shape = c.shape(product);
    // f64 holds every i32 and the product of the scales exactly enough for the one rounding to be the right one.
    let mut parts = vec![];
    for (s, axis) in scales.into_iter().zip([axes[0], axes[1], 0]) {
        let s = c.b.cast(s, DType::F64)?;
        parts.push(match c.rank(s) {
            1 if !c.shape(s)[0].is_one() => c.b.broadcast(s, &shape, &[axis])?,
            0 | 1 => {
                let s = c.reshape(s, &[])?;
                c.b.broadcast(s, &shape, &[])?
            }
            _ => c.b.broadcast_to(s, &shape)?,
        });
    }
    let up = c.b.map("mul", &[parts[0], parts[1]])?;
    let factor = c.b.map("div", &[up, parts[2]])?;
    let wide = c.b.cast(product, DType::F64)?;
    let mut y = c.b.map("mul", &[wide, factor])?;
    if let Some(z) = zero {
        let z = c.b.cast(z, DType::F64)?;
        let z = if c.rank(z) <= 1 { c.reshape(z, &[])? } else { z };
        y = c.map("add", &[y, z])?;
    }
    let y = c.b.map("round", &[y])?;
    c.b.cast(y, to)
}

/// QLinearMatMul.
pub fn qlinear_matmul(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (a, b) = (call.input(0)?, call.input(3)?);
    let (ra, rb) = (c.rank(a) as i64, c.rank(b) as i64);
    let left = centred(c, a, call.maybe(2), (ra - 2).max(0))?;
    let right = centred(c, b, call.maybe(5), (rb - 1).max(0))?;
    let product = matmul_of(c, left, right, DType::I32)?;
    let rank = c.rank(product) as i64;
    let zero = call.maybe(7);
    let to = c.dtype(zero.unwrap_or(a));
    let scales = [call.input(1)?, call.input(4)?, call.input(6)?];
    Ok(vec![requantise(c, product, scales, zero, to, [(rank - 2).max(0), (rank - 1).max(0)])?])
}

/// QLinearConv.
pub fn qlinear_conv(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (x, w) = (call.input(0)?, call.input(3)?);
    let left = centred(c, x, call.maybe(2), 1)?;
    let right = centred(c, w, call.maybe(5), 0)?;
    let mut product = conv_of(c, call, left, right, DType::I32)?;
    if let Some(bias) = call.maybe(8) {
        product = super::conv::add_channel(c, product, bias)?;
    }
    let zero = call.maybe(7);
    let to = c.dtype(zero.unwrap_or(x));
    let scales = [call.input(1)?, call.input(4)?, call.input(6)?];
    Ok(vec![requantise(c, product, scales, zero, to, [1, 1])?])
}
