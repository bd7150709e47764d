//! Tests of the dialects crate, one binary.

mod hostile;
mod ops;
mod samples;
mod text;
