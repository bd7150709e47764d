//! The native half of the Python package `tricot`: graphs, compiled modules and their calls on DLPack tensors.
//!
//! The central types are [`graph::Graph`] and [`module::Module`]. What is convenient in Python (reading models of other
//! packages, allocating outputs, `torch`) is written in Python beside it, in `python/tricot`. This crate links no LLVM: code for
//! `sm_90a` comes from the program `tricot-sm90` that the wheel ships.

mod attrs;
mod call;
mod dlpack;
mod error;
mod exchange;
mod graph;
mod module;
mod ops;
mod stages;

use pyo3::prelude::*;

/// The extension module; `tricot/__init__.py` is the public face.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<graph::Graph>()?;
    module.add_class::<graph::Value>()?;
    module.add_class::<module::Module>()?;
    module.add_function(wrap_pyfunction!(module::open, module)?)?;
    module.add_function(wrap_pyfunction!(dlpack::address, module)?)?;
    module.add_function(wrap_pyfunction!(ops::register, module)?)?;
    Ok(())
}
