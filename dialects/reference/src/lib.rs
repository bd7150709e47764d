//! The reference evaluator: what a module means, computed in float64 with care for memory and none for speed tricks.
//!
//! [`evaluate`] runs a module on [`Tensor`]s. Core ops run directly, everything else through its decomposition; attention has a
//! direct form. Values too large for the memory cap are never stored: whatever reads them computes them slice by slice. The crate
//! knows no compiler, no schedule and no device.

mod array;
mod boxes;
mod exec;
mod lower;
mod plan;
mod random;
mod tensor;

pub use exec::evaluate;
pub use random::{Hint, random_inputs, splitmix64};
pub use tensor::{Data, Tensor, relative_l2};

use tricot_types::Bindings;

/// How numbers are held.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// Floats of every type are float64 and never rounded; integers are exact.
    #[default]
    Exact,
    /// Every op's result is rounded to its declared type; sums and products of f32 and narrower floats accumulate in f32.
    Typed,
}

/// How to evaluate.
#[derive(Clone, Debug)]
pub struct Options {
    pub mode: Mode,
    /// Bytes the evaluator tries to stay below, beyond inputs, constants and outputs. Intermediate values above an eighth of
    /// it are computed slice by slice.
    pub memory_cap: u64,
    /// Symbols that no input shape determines.
    pub symbols: Bindings,
}

impl Default for Options {
    fn default() -> Options {
        Options { mode: Mode::Exact, memory_cap: 4 << 30, symbols: Bindings::new() }
    }
}
