//! The cpu backend against a float64 interpreter.

mod attentions;
mod contractions;
mod harness;
mod nests;
mod shared;
