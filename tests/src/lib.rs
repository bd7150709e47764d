//! What the tests of several rooms share: [`oracle`], an interpreter of kernel descriptions, and [`conformance`], the ONNX
//! backend cases.

pub mod conformance;
pub mod oracle;
