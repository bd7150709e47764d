//! The machine: decoded kernels and what runs them.

mod access;
mod agents;
pub mod arith;
pub mod convert;
mod decode;
mod family;
pub mod flow;
mod matrix;
pub mod op;
mod order;
mod run;
mod state;
mod step;
pub mod tensormap;
mod uses;

pub use decode::{Symbols, decode};
pub use run::{Launch, run};
