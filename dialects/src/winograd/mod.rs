//! `winograd`: convolution F(m, r) as transforms around products tap by tap.
//!
//! `winograd.input` and `winograd.filter` go to the tap domain, `core.contract` with `abnhwc,abfc->abnhwf` multiplies there,
//! `winograd.output` comes back.

mod matrices;
mod transform;

pub use matrices::{MAX_TILE, Matrices, Matrix, dyadic};

use crate::op::OpDef;

/// All ops of the dialect.
pub const OPS: &[&OpDef] = &[&transform::FILTER, &transform::INPUT, &transform::OUTPUT];
