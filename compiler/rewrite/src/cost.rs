//! What an op costs on a target: a roofline with measured rates, a launch per anchor, nothing for data movement that fuses.
//!
//! Anchors run as kernels of their own; maps, casts and views ride on one. Symbols count at their hints.

use crate::budget::Offer;
use tricot_dialects::op::OpView;
use tricot_dialects::{Attr, OpDef};
use tricot_proof::{Bank, Head, TermId};
use tricot_rates::Rates;
use tricot_types::{DType, SymbolTable};

/// Cost of data movement and leaves: above 0, so that fewer are better.
const TINY: f64 = 1.0e-10;

/// Seconds one call takes, its operands being there.
pub fn seconds(bank: &Bank, term: TermId, constant: bool, target: &Rates) -> f64 {
    let def = match &bank.term(term).head {
        Head::Op(op) => op.0,
        _ => return 0.0,
    };
    if constant {
        return TINY;
    }
    let symbols = &bank.symbols;
    let elements = |t: TermId| bank.types(t).first().map_or(0.0, |ty| ty.elements().hint(symbols));
    match def.name {
        "core.constant" | "core.iota" | "core.size" | "core.reshape" => TINY,
        "core.broadcast" | "core.slice" => 2.0 * TINY,
        "core.transpose" => 4.0 * TINY + 0.02 * elements(term) / target.bandwidth,
        "core.map" | "core.cast" | "core.select" => {
            let operands = bank.operands(term).len() as f64;
            4.0 * TINY * operands + elements(term) / target.scalar
        }
        "core.call" => target.launch,
        _ if def.declaration().is_some() => declared(bank, term, def, target),
        _ => anchor(bank, term, def, target, symbols),
    }
}

/// Far more than anything else costs, so that the body is taken.
const NEVER: f64 = 1e6;

/// A declared op is worth its own kernel, where there is one for the target.
fn declared(bank: &Bank, term: TermId, def: &'static OpDef, target: &Rates) -> f64 {
    let operands: Vec<_> = bank.operands(term).iter().map(|o| bank.types(*o)[0].clone()).collect();
    let Some(op) = def.declaration() else { return NEVER };
    match op.kernel(target.name, &operands, &bank.attrs(term), &bank.symbols) {
        Ok(call) => match call.kernel.microseconds {
            Some(microseconds) => microseconds * 1e-6,
            None => anchor(bank, term, def, target, &bank.symbols),
        },
        Err(_) => NEVER,
    }
}

fn anchor(bank: &Bank, term: TermId, def: &'static OpDef, target: &Rates, symbols: &SymbolTable) -> f64 {
    let operands: Vec<_> = bank.operands(term).iter().map(|o| bank.types(*o)[0].clone()).collect();
    let attrs = bank.attrs(term);
    let bytes: f64 = operands.iter().chain(bank.types(term)).map(|t| t.bytes().hint(symbols)).sum();
    let flops = (def.work)(OpView { def, operands: &operands, attrs: &attrs, constant: None, callee: None });
    let flops = flops.flops.hint(symbols);
    let dtype = operands.first().map_or(DType::F32, |t| t.dtype);
    let product = target.product(dtype);
    let rate = match def.name {
        "core.contract" => match attrs.get("spec") {
            // Work counts all operands in one nest; a chain of pairs needs less, which schedule decides.
            Some(Attr::Str(s)) if !is_matrix_product(s) => target.scalar,
            _ => product,
        },
        "nn.conv2d" | "nn.attention" | "trilinear.attention" => product,
        // Its work counts the stored half.
        "sparse24.matmul" => product * target.sparse / 2.0,
        _ => target.scalar,
    };
    // A product of more than two is a chain: each link but the last writes its result and reads it back.
    let links = if def.name == "core.contract" { operands.len().saturating_sub(2) as f64 } else { 0.0 };
    let largest = operands.iter().map(|t| t.bytes().hint(symbols)).fold(0.0, f64::max);
    let chain = links * (target.launch + 2.0 * largest / target.bandwidth);
    target.launch + (flops / rate).max(bytes / target.bandwidth) + chain
}

/// Whether two operands each have a result axis of their own: only then is there a matrix product to speed up.
fn is_matrix_product(spec: &str) -> bool {
    let Ok(e) = tricot_dialects::core::Einsum::parse(spec) else { return false };
    let own = |at: usize| {
        let elsewhere = |c: &char| e.operands.iter().enumerate().any(|(o, letters)| o != at && letters.contains(c));
        e.operands[at].iter().any(|c| e.result.contains(c) && !elsewhere(c))
    };
    (0..e.operands.len()).filter(|at| own(*at)).count() >= 2
}

/// What `winograd.output` costs in error beyond direct convolution, and saves in work.
pub fn winograd_offer(bank: &Bank, output: TermId) -> Option<Offer> {
    let attrs = bank.attrs(output);
    let product = bank.operands(output)[0];
    let channels = bank.ty(*bank.operands(product).first()?).shape.last()?.as_constant()? as f64;
    let (m, r) = (attrs.int("m"), attrs.int("r"));
    let ty = bank.ty(output);
    let dtype = ty.dtype;
    // Measured relative RMS errors (operand type rounded, f32 accumulation), the upper ends.
    let eps = match (dtype, m) {
        (DType::F64, 2) => 1.0e-15,
        (DType::F64, 4) => 6.0e-15,
        (DType::F32, 2) => 4.9e-7,
        (DType::F32, 4) => 3.2e-6,
        (DType::F32, _) => 6.1e-6,
        (DType::F16, 2) => 4.8e-4,
        (DType::F16, 4) => 3.1e-3,
        (DType::BF16, 2) => 3.8e-3,
        (DType::BF16, 4) => 2.5e-2,
        _ => 1.0,
    };
    let direct = 2.0 * ty.elements().hint(&bank.symbols) * channels * (r * r) as f64;
    let kept = ((m + r - 1) * (m + r - 1)) as f64 / (m * m * r * r) as f64;
    Some(Offer { term: output, dtype, eps, gain: direct * (1.0 - kept) })
}
