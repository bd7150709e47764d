//! A simulator of Hopper kernels (sm_90a): it executes PTX on a CPU and reports what the hardware hides.

pub mod isa;
pub mod machine;
pub mod syntax;
