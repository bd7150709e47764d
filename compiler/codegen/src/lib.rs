//! The `sm_90a` backend: kernel descriptions to MLIR, LLVM IR, PTX and cubins for Hopper GPUs.
//!
//! The central type is [`Sm90Backend`]. The only crate that uses melior and inkwell. A [`tricot_kernel::KernelDesc`] is given to the
//! first [`select::Family`] that takes it; the family emits MLIR through [`emit::Builder`] into a [`kernel::Kernel`]; [`lower`] makes
//! PTX in a worker process; [`ptxas`] assembles. This crate knows no graph, no bundle and no device.

pub mod attention;
pub mod backend;
pub mod check;
pub mod contraction;
mod custom;
pub mod emit;
pub mod eval;
pub mod kernel;
pub mod lower;
pub mod math;
pub mod nest;
pub mod ptxas;
pub mod samples;
pub mod scalar;
pub mod select;
pub mod simt;
pub mod sparse;
#[cfg(test)]
mod testing;
pub mod tile;
mod worker;

pub use backend::Sm90Backend;
pub use worker::worker_main;
