//! The machine: decoded kernels and what runs them.

pub mod arith;
pub mod convert;
mod decode;
mod family;
pub mod flow;
pub mod op;

pub use decode::{Symbols, decode};
