//! Fused attention on tensor cores: dot-product and trilinear, forward. Nothing the size of the scores is ever stored.
//!
//! The central types are [`dot::Dot`] and [`trilinear::Trilinear`], one [`Family`] each; [`flash`] is the block step they share, [`views`]
//! the tensors. Both run a producer that streams keys and values by TMA and two consumer warpgroups of 64 rows each.
//! Declines what TMA cannot fetch, element types other than f16 and bf16, and feature sizes that are no multiple of 16.

pub mod dot;
pub mod flash;
pub mod rows;
pub mod trilinear;
pub mod views;

use crate::select::Family;
use tricot_kernel::{Attention, AttentionKind, Body, KernelDesc};
use tricot_types::{DType, SymbolTable};

/// The fused families' answer to a description.
pub fn try_fused(desc: &KernelDesc, symbols: &SymbolTable) -> Option<Box<dyn Family>> {
    let Body::Attention(a) = &desc.body else { return None };
    let scale = f64::from_bits(a.scale_bits);
    if !matches!(a.dtype, DType::F16 | DType::BF16) || !scale.is_finite() || scale <= 0.0 {
        return None;
    }
    match &a.kind {
        AttentionKind::Dot { .. } => Some(Box::new(dot::Dot::new(desc, a, symbols)?)),
        AttentionKind::Trilinear { .. } => Some(Box::new(trilinear::Trilinear::new(desc, a, symbols)?)),
    }
}

/// Query heads that share a key head, if that is a constant.
fn group(a: &Attention) -> Option<u32> {
    let ratio = a.heads_q.exact_div(&a.heads_kv)?.as_constant()?;
    u32::try_from(ratio).ok().filter(|g| *g > 0)
}

/// Whether a feature size suits wgmma and the register budget.
fn feature_size(dim: u32, most: u32) -> bool {
    dim % 16 == 0 && (16..=most).contains(&dim)
}

/// log2(e): base-2 logits are natural ones times this.
const LOG2_E: f64 = std::f64::consts::LOG2_E;

#[cfg(test)]
mod tests;
