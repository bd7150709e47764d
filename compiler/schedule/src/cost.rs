//! What a schedule costs on a target: a roofline per launch, added up.
//!
//! The central function is [`seconds`]. A launch takes its overhead and the longer of its arithmetic and its memory traffic; both
//! are read off the kernel's description, symbols at their hints. It knows rates, no graph node and no instruction.

use crate::work::{Count, operands};
use crate::{Schedule, ScheduledStep};
use std::collections::BTreeMap;
use tricot_kernel::{Body, Expr, ExprId, KernelDesc};
use tricot_rates::Rates;
use tricot_types::{DType, SymbolTable};

/// Seconds one run of a schedule takes.
pub fn seconds(schedule: &Schedule, rates: &Rates) -> f64 {
    let costs: BTreeMap<&str, f64> =
        schedule.kernels.iter().map(|k| (k.name.as_str(), launch(k, &schedule.symbols, rates))).collect();
    let step = |s: &ScheduledStep| match s {
        ScheduledStep::Launch { kernel, .. } => costs.get(kernel.as_str()).copied().unwrap_or(rates.launch),
        ScheduledStep::Copy { bytes, .. } => rates.launch + 2.0 * bytes.hint(&schedule.symbols) / rates.bandwidth,
    };
    schedule.steps.iter().map(step).sum()
}

/// Seconds one launch of a kernel takes.
pub fn launch(desc: &KernelDesc, symbols: &SymbolTable, rates: &Rates) -> f64 {
    // Its author knows better than a model.
    if let Body::Custom(c) = &desc.body
        && c.nanoseconds > 0
    {
        return c.nanoseconds as f64 * 1e-9;
    }
    let count: Count<f64> = Count::new(desc, symbols);
    let products = count.products().map_or(0.0, |(flops, dtype)| flops / product_rate(desc, dtype, rates));
    let arithmetic = count.operations() / rates.scalar + products;
    rates.launch + arithmetic.max(count.bytes() / rates.bandwidth)
}

/// Operations a second of a kernel's matrix products.
fn product_rate(desc: &KernelDesc, dtype: DType, rates: &Rates) -> f64 {
    let rate = rates.product(dtype);
    // Operands that are computed on the way do not reach the units that make narrow products fast.
    let plain = |e: ExprId| match &desc.exprs[e].expr {
        Expr::Load { index, guard: None, .. } => index.is_affine(),
        _ => false,
    };
    match (&desc.body, operands(&desc.body)) {
        (Body::SparseContraction(_), _) => rate * rates.sparse,
        (_, Some((a, b))) if !(plain(a) && plain(b)) => rates.product(DType::F32).min(rate),
        _ => rate,
    }
}
