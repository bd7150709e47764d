//! The vocabulary every room of Tricot shares: element types, symbolic dimensions and diagnostics.
//!
//! The central type is [`Poly`], a canonical integer polynomial over symbols that stands wherever a
//! size may be unknown until run time. This crate knows no graph, no kernel, no device and no file
//! format; the runtime depends on it and on nothing else of the compiler.

pub mod diag;
pub mod dtype;
pub mod poly;
mod poly_text;
pub mod stop;
pub mod symbol;

pub use diag::{Diagnostic, Label, Place, Severity, Source};
pub use dtype::DType;
pub use poly::{Atom, Bindings, EvalError, Poly};
pub use poly_text::ParsePolyError;
pub use symbol::{Symbol, SymbolInfo, SymbolTable};
