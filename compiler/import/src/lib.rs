//! From model files to Tricot's graphs: ONNX in, weights in and out as safetensors, repeated blocks made functions.
//!
//! The ways in are [`import_onnx`] and [`import_onnx_bytes`]. This crate knows file formats and the dialects, and neither
//! rewriting nor any target.

pub mod onnx;
mod outline;
pub mod weights;

use std::collections::BTreeMap;
use std::path::Path;
use tricot_dialects::{Constant, Module, OpSet};
use tricot_types::Diagnostic;

pub use onnx::table::{Supported, supported_ops};
pub use outline::outline;
pub use weights::{constants_bytes, load_constants};

/// Choices of an import.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// Values for symbolic sizes, by symbol or by the model's own name for the size.
    pub set: BTreeMap<String, i64>,
    /// Values that replace an input, a weight or a node's output of the outermost graph, by name.
    pub bind: BTreeMap<String, Constant>,
    /// Nodes a model may unroll to.
    pub max_nodes: usize,
    /// Declared ops: a node `Op` of the domain `dialect` is a call of `dialect.Op`.
    pub library: OpSet,
}

impl Default for ImportOptions {
    fn default() -> Self {
        ImportOptions { set: BTreeMap::new(), bind: BTreeMap::new(), max_nodes: 1_000_000, library: OpSet::default() }
    }
}

/// Reads an ONNX file, external data beside it included. All problems found are returned together.
pub fn import_onnx(path: &Path, options: &ImportOptions) -> Result<Module, Vec<Diagnostic>> {
    onnx::import_path(path, options)
}

/// Reads an ONNX model from memory; `name` stands for the file in messages.
pub fn import_onnx_bytes(bytes: Vec<u8>, name: &str, options: &ImportOptions) -> Result<Module, Vec<Diagnostic>> {
    onnx::import_bytes(bytes, name, options)
}
