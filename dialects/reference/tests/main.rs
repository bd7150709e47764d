//! Tests of the reference evaluator, one binary.

#[path = "../../tests/samples.rs"]
mod samples;

mod slicing;
mod support;
