//! The machine: decoded kernels and what runs them.

mod access;
mod agents;
pub mod arith;
mod async_store;
pub mod convert;
mod decode;
mod family;
mod family_async;
mod family_matrix;
mod family_mma;
mod family_wmma;
pub mod flow;
pub mod im2col;
mod map_change;
mod matrix;
mod mma;
pub mod op;
mod order;
mod printf;
mod product;
pub mod quads;
mod run;
mod scalar;
mod shapes;
mod state;
mod step;
pub mod tensormap;
mod uses;
mod wmma;

pub use decode::{Symbols, decode};
pub use run::{Launch, run};
