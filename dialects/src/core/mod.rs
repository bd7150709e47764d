//! `core`: the few primitives everything else decomposes into.
//!
//! The reference evaluator and schedule implement exactly these; every other op is a graph of them.

mod access;
mod contract;
mod elementwise;
mod order;
mod reduce;
mod shape;
mod source;

pub use contract::Einsum;

use crate::op::OpDef;

/// All ops of the dialect.
pub const OPS: &[&OpDef] = &[
    &access::GATHER,
    &access::SCATTER,
    &access::UPDATE_SLICE,
    &contract::CONTRACT,
    &elementwise::CAST,
    &elementwise::MAP,
    &elementwise::SELECT,
    &order::TOP_K,
    &reduce::ARG_REDUCE,
    &reduce::REDUCE,
    &reduce::SCAN,
    &shape::BROADCAST,
    &shape::CONCAT,
    &shape::PAD,
    &shape::RESHAPE,
    &shape::SLICE,
    &shape::TRANSPOSE,
    &shape::WINDOW,
    &source::ARGUMENT,
    &source::CALL,
    &source::CONSTANT,
    &source::IOTA,
    &source::RANDOM,
    &source::SIZE,
];

/// Checks a non-negative axis.
pub(crate) fn check_axis(axis: i64, rank: usize) -> Result<usize, String> {
    usize::try_from(axis).ok().filter(|a| *a < rank).ok_or_else(|| format!("axis {axis} is outside 0..{rank}"))
}

/// Checks a list of distinct axes.
pub(crate) fn check_axes(axes: &[i64], rank: usize) -> Result<Vec<usize>, String> {
    let out = axes.iter().map(|a| check_axis(*a, rank)).collect::<Result<Vec<_>, _>>()?;
    let mut sorted = out.clone();
    sorted.sort_unstable();
    match sorted.windows(2).find(|w| w[0] == w[1]) {
        Some(w) => Err(format!("axis {} is named twice", w[0])),
        None => Ok(out),
    }
}
