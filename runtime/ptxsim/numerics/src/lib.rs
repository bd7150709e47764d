//! What one PTX arithmetic instruction computes on Hopper (sm_90a): pure functions on bits.
//!
//! | module | subject |
//! |---|---|
//! | [`mod@format`] | binary formats (f64 … e4m3) and rounding |
//! | [`arith`] | correctly rounded arithmetic in any format and mode |
//! | [`convert`] | `cvt` between any two types |
//! | [`minmax`] | `min` and `max` of floats |
//! | [`nan`] | which NaN an operation returns |
//! | [`integer`] | integer and bit-field instructions that hosts lack |
//! | [`matrix`] | the matrix unit: arithmetic, fragments, descriptors, metadata |
//!
//! It knows no PTX text, no warps and no memory: callers hand over bits and get bits.

pub mod arith;
pub mod convert;
pub mod format;
pub mod integer;
pub mod matrix;
pub mod minmax;
pub mod nan;
