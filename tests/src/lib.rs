//! What the tests of several rooms share: [`oracle`], an interpreter of kernel descriptions, [`cases`], descriptions to run, and
//! [`conformance`], the ONNX backend cases.

pub mod conformance;
pub use tricot_kernel_tests::{cases, oracle};
