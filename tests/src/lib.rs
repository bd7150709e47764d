//! What the tests of several rooms share: [`oracle`], an interpreter of kernel descriptions, [`cases`], descriptions to run,
//! [`conformance`], the ONNX backend cases, and [`table`], whole models compiled, run and checked.

pub mod conformance;
pub mod table;
pub use tricot_kernel_tests::{cases, oracle};
