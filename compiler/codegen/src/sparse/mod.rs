//! 2:4 contractions on the sparse tensor cores: the pipeline of [`crate::contraction`] with a compressed row operand.
//!
//! The values go to shared memory like any K-major operand, half as deep; the metadata goes from global memory straight to
//! registers, in the order `wgmma.mma_async.sp` wants (see [`crate::contraction::kernel`]). The central function is [`try_sparse`].
//! Declines element types other than f16, bf16 and the 8-bit floats, and depths that are no multiple of 16 (32 for 8-bit types),
//! whose metadata rows the loads cannot reach. Sums of 8-bit types must be rounded to 16 bits next, as for dense products.

use crate::contraction::Contract;
use crate::contraction::axes::Axis;
use crate::contraction::config::Config;
use crate::contraction::kernel::{Metadata, Pipeline};
use crate::contraction::plan::{Factor, Plan, Problem, factor};
use crate::select::Family;
use tricot_kernel::{Body, Extent, Index, KernelDesc, Loop, LoopVar, SparseContraction};
use tricot_types::{DType, Poly, SymbolTable};

/// Logical elements of the reduction that one load of metadata covers: 16 bits of it, 32 for 8-bit elements.
fn meta_unit(dtype: DType) -> i64 {
    if dtype.bits() == 8 { 32 } else { 16 }
}

/// The sparse family's answer to a description.
pub fn try_sparse(desc: &KernelDesc, symbols: &SymbolTable) -> Option<Box<dyn Family>> {
    let Body::SparseContraction(c) = &desc.body else { return None };
    let depth = size(&c.k)?;
    let col = factor(desc, c.b)?;
    let dtype = desc.buffers[c.values as usize].dtype;
    if depth.known_multiple(symbols) % meta_unit(dtype) != 0 || c.acc != DType::F32 {
        return None;
    }
    let narrow = |d| matches!(d, DType::F8E4M3 | DType::F8E5M2);
    let rounded = c.stores.iter().all(|s| desc.buffers[s.buffer as usize].dtype.bits() <= 16);
    let wide = matches!(dtype, DType::F16 | DType::BF16) && dtype == col.dtype;
    if !wide && !(narrow(dtype) && narrow(col.dtype) && rounded) {
        return None;
    }
    let row = Factor { buffer: c.values, dtype, index: row_major(c, &depth.exact_div(&Poly::constant(2))?)? };
    let problem = Problem {
        batch: c.batch.clone(),
        rows: vec![c.m.clone()],
        cols: c.n.clone(),
        depth: vec![c.k.clone()],
        row,
        col,
        packing: 2,
    };
    let plan = Plan::new(&problem, symbols)?;
    let (config, _) = Config::choose(&plan, symbols);
    let metadata = metadata(c, &plan, &depth)?;
    let pipeline = Pipeline { plan, config, metadata: Some(metadata), stores: c.stores.clone() };
    Some(Box::new(Contract::new(desc, pipeline, symbols)?))
}

fn size(l: &Loop) -> Option<Poly> {
    match &l.extent {
        Extent::Size(p) => Some(p.clone()),
        Extent::Dynamic(_) => None,
    }
}

/// Strides of a row-major `[batch…, m, width]` tensor by batch loop, and that of m.
fn strides(c: &SparseContraction, width: &Poly) -> Option<(Vec<(LoopVar, Poly)>, Poly)> {
    let mut stride = size(&c.m)?.checked_mul(width)?;
    let mut batch = vec![];
    for l in c.batch.iter().rev() {
        batch.push((l.var, stride.clone()));
        stride = stride.checked_mul(&size(l)?)?;
    }
    Some((batch, width.clone()))
}

/// The index of the values; the stride along k counts stored elements.
fn row_major(c: &SparseContraction, width: &Poly) -> Option<Index> {
    let (batch, m) = strides(c, width)?;
    let index = Index::zero().plus(c.m.var, m).plus(c.k.var, 1);
    Some(batch.into_iter().fold(index, |index, (var, stride)| index.plus(var, stride)))
}

/// Where the metadata of each batch axis of the plan lies: eight logical elements to a byte.
fn metadata(c: &SparseContraction, plan: &Plan, depth: &Poly) -> Option<Metadata> {
    let (by_loop, row) = strides(c, &depth.exact_div(&Poly::constant(8))?)?;
    // The stride of a fused axis is that of its innermost loop; axes of other operands do not move the metadata.
    let stride = |axis: &Axis| {
        let inner = axis.inner().and_then(|(var, _)| by_loop.iter().find(|(v, _)| v == var));
        inner.map_or(Poly::default(), |(_, stride)| stride.clone())
    };
    Some(Metadata { buffer: c.meta, batch: plan.batch.iter().map(stride).collect(), row })
}

#[cfg(test)]
mod tests;
