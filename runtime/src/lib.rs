//! Reads bundles, binds them and launches kernels.

pub mod cpu;
