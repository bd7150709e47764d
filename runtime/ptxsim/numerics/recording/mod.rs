//! What is recorded on hardware: the programs, their inputs, and in which order the outputs lie in the recording.
//!
//! Shared by the example that writes the programs and by the test that replays the outputs. Central types:
//! [`scalar::Row`], [`matrix::Form`], [`maps::Case`], [`copies::Copy`] and
//! [`timings::Pattern`].
#![allow(dead_code, reason = "the example and the test each use their half")]

pub mod copies;
pub mod forms;
pub mod inputs;
pub mod maps;
pub mod matrix;
pub mod outputs;
pub mod scalar;
pub mod timings;

/// The PTX header of every program.
pub const HEADER: &str = ".version 8.7\n.target sm_90a\n.address_size 64\n\n";
