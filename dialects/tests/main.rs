//! Tests of the dialects crate, one binary.

mod ops;
mod samples;
mod text;
