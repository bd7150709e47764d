//! Tests of the reference evaluator, one binary.

#[path = "../../tests/samples.rs"]
mod samples;

mod core;
mod families;
mod gradients;
mod slicing;
mod support;
