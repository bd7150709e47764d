//! The corridor: from a model to a bundle, one stage after the other, each of them open to inspection.
//!
//! The central type is [`Compiler`]; [`Stage`] names the stages wherever a name is needed. This crate knows every room but no
//! kernel: code generators are handed in as [`tricot_kernel::Backend`]s.

pub mod bundle;
pub mod cache;
pub mod choose;
pub mod dump;
pub mod error;
pub mod numerics;
pub mod options;
pub mod pipeline;
pub mod report;
pub mod source;
pub mod specialise;
pub mod stage;

pub use cache::Cache;
pub use options::Options;
pub use pipeline::{Compiled, Compiler, TargetResult};
pub use report::Report;
pub use source::{Source, read_library};
pub use stage::Stage;
