//! Tests of the dialects crate, one binary.

mod text;
