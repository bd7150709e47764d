//! A simulator of Hopper kernels (sm_90a): it executes PTX on a CPU and reports what the hardware hides.

mod device;
pub mod isa;
pub mod machine;
pub mod memory;
pub mod report;
pub mod syntax;

pub use device::{Device, LoadError, Module, pack};
pub use machine::{Launch, im2col::Im2colMap, tensormap::TensorMap};
pub use report::{Class, Finding, Report};
