//! Losses.

use crate::onnx::call::{Call, Res, bad_attribute, misfit};
use crate::onnx::ctx::Ctx;
use tricot_dialects::{Attr, ValueId};
use tricot_types::{DType, Poly};

/// NegativeLogLikelihoodLoss.
pub fn negative_log_likelihood(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let dtype = c.dtype(x);
    let wide = c.up(x)?;
    let loss = pick(c, call, wide)?;
    Ok(vec![c.b.cast(loss, dtype)?])
}

/// SoftmaxCrossEntropyLoss, with the log probabilities.
pub fn softmax_cross_entropy(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let x = call.input(0)?;
    let dtype = c.dtype(x);
    if c.rank(x) < 2 {
        return Err(misfit(format!("scores of type {}", c.ty(x))));
    }
    let wide = c.up(x)?;
    let log = c.op1("nn.log_softmax", &[wide], &[("axis", Attr::Int(1))])?;
    let loss = pick(c, call, log)?;
    Ok(vec![c.b.cast(loss, dtype)?, c.b.cast(log, dtype)?])
}

/// Minus the log probability of each target, weighted and reduced. Classes lie along axis 1.
fn pick(c: &mut Ctx, call: &Call, log: ValueId) -> Res<ValueId> {
    let (target, weight) = (call.input(1)?, call.maybe(2));
    let (rank, dtype) = (c.rank(log), c.dtype(log));
    if rank < 2 || c.rank(target) + 1 != rank {
        return Err(misfit(format!("scores {} with targets {}", c.ty(log), c.ty(target))));
    }
    let target = c.b.cast(target, DType::I64)?;
    let shape = c.shape(target);
    let ignored = match call.get_int("ignore_index")? {
        Some(i) => Some(c.with("ne", target, i as f64)?),
        None => None,
    };
    // A target that is ignored may lie outside the classes.
    let safe = match ignored {
        Some(keep) => {
            let zero = c.fill_like(target, 0.0)?;
            c.b.select(keep, target, zero)?
        }
        None => target,
    };
    let (last, _) = c.to_last(log, 1)?;
    let axis = rank as i64 - 1;
    let attrs = [("axis", Attr::Int(axis)), ("batch_dims", Attr::Int(axis))];
    let taken = c.op1("core.gather", &[last, safe], &attrs)?;
    let mut loss = c.b.map("neg", &[taken])?;
    let mut weights = match weight {
        Some(w) => {
            let w = c.b.cast(w, dtype)?;
            Some(c.gather(w, safe, 0)?)
        }
        None => None,
    };
    if let Some(keep) = ignored {
        let zero = c.fill_like(loss, 0.0)?;
        loss = c.b.select(keep, loss, zero)?;
        weights = Some(match weights {
            Some(w) => c.b.select(keep, w, zero)?,
            None => c.b.cast(keep, dtype)?,
        });
    }
    if let Some(w) = weights {
        loss = c.b.map("mul", &[loss, w])?;
    }
    let axes: Vec<i64> = (0..shape.len() as i64).collect();
    match call.text("reduction", "mean")?.as_str() {
        "none" => Ok(loss),
        "sum" => c.b.reduce("sum", loss, &axes),
        "mean" => {
            let sum = c.b.reduce("sum", loss, &axes)?;
            match weights {
                Some(w) => {
                    let total = c.b.reduce("sum", w, &axes)?;
                    c.b.map("div", &[sum, total])
                }
                None => {
                    let count = c.size(&shape.iter().cloned().product::<Poly>())?;
                    let count = c.b.cast(count, dtype)?;
                    c.b.map("div", &[sum, count])
                }
            }
        }
        other => Err(bad_attribute(format!("`reduction` is `{other}`"))),
    }
}
