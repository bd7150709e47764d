//! Ops of the classical machine learning domain.

use crate::onnx::call::{Call, Res};
use crate::onnx::ctx::Ctx;
use tricot_dialects::{Attr, ValueId};
use tricot_types::Poly;

/// Binarizer of the classical domain: 1 above the threshold, else 0.
pub fn binarizer(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let above = c.with("gt", x, call.float("threshold", 0.0)?)?;
    let dtype = c.dtype(x);
    Ok(vec![c.b.cast(above, dtype)?])
}

/// ArrayFeatureExtractor of the classical domain: entries of the last axis.
pub fn array_feature_extractor(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (x, at) = (call.input(0)?, call.input(1)?);
    let flat = c.flatten(at)?;
    let last = (c.rank(x) as i64 - 1).max(0);
    let y = c.op1("core.gather", &[x, flat], &[("axis", Attr::Int(last))])?;
    if c.rank(x) > 1 {
        return Ok(vec![y]);
    }
    let n = c.shape(y)[0].clone();
    Ok(vec![c.b.reshape(y, &[Poly::constant(1), n])?])
}
