//! Ops that this process has registered: what graphs made later may call.
//!
//! The central function is [`register`]. A name may be registered again with another meaning; graphs that have used the old one keep it.

use crate::error::entry;
use pyo3::prelude::*;
use std::sync::Mutex;
use tricot_dialects::{OpSet, text};

static REGISTERED: Mutex<Option<OpSet>> = Mutex::new(None);

/// All of them.
pub fn registered() -> OpSet {
    REGISTERED.lock().unwrap_or_else(|e| e.into_inner()).clone().unwrap_or_default()
}

/// Registers declarations; see `tricot.register_op`. Returns their names.
#[pyfunction]
#[pyo3(signature = (declarations, name = "<declaration>"))]
pub fn register(py: Python<'_>, declarations: &str, name: &str) -> PyResult<Vec<String>> {
    entry(py, || {
        let known = registered();
        // What the text declares itself must not clash with an older meaning of the name.
        let declared = |line: &str| {
            line.trim_start().strip_prefix("op @").map(|rest| rest.split('(').next().unwrap_or("").to_string())
        };
        let names: Vec<String> = declarations.lines().filter_map(declared).collect();
        let older = known.without(&names);
        let all = text::parse_ops(name, declarations, &older)?;
        *REGISTERED.lock().unwrap_or_else(|e| e.into_inner()) = Some(all);
        Ok(names)
    })
}
