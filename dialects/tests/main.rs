//! Tests of the dialects crate, one binary.

mod custom;
mod generated;
mod hostile;
mod ops;
mod samples;
mod shapes;
mod text;
