//! The machine: decoded kernels and what runs them.

mod access;
mod agents;
pub mod arith;
mod atomic;
mod call;
mod carry;
mod compare;
pub mod convert;
mod decode;
mod family;
mod family_matrix;
pub mod flow;
mod hints;
mod matrix;
pub mod op;
mod order;
mod printf;
mod run;
mod scalar;
mod state;
mod step;
pub mod tensormap;
mod uses;
mod video;
mod wide;

pub use decode::{Symbols, decode};
pub use run::{Launch, run};
