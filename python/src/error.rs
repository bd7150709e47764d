//! From [`Diagnostic`]s to `tricot.Error`, and from panics to internal errors: nothing else leaves the native code.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tricot_types::{Diagnostic, Severity};

/// Fails with `tricot.Error` or with what Python itself raised.
pub type Outcome<T> = Result<T, Failure>;

/// Why a call fails.
pub enum Failure {
    Problems(Vec<Diagnostic>),
    Python(PyErr),
}

impl From<Vec<Diagnostic>> for Failure {
    fn from(problems: Vec<Diagnostic>) -> Failure {
        Failure::Problems(problems)
    }
}

impl From<Diagnostic> for Failure {
    fn from(problem: Diagnostic) -> Failure {
        Failure::Problems(vec![problem])
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Failure {
        Failure::Python(error)
    }
}

/// Runs native code on behalf of Python: its failure becomes an exception, a panic inside it TC1000.
pub fn entry<T>(py: Python<'_>, run: impl FnOnce() -> Outcome<T>) -> PyResult<T> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(Failure::Python(error))) => Err(error),
        Ok(Err(Failure::Problems(problems))) => Err(exception(py, &problems)),
        Err(payload) => {
            let text = payload.downcast_ref::<&str>().map(|s| s.to_string());
            let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
            let problem = Diagnostic::error("TC1000", format!("internal error: {text}"))
                .with_help("this is a bug in Tricot; please report it together with the model");
            Err(exception(py, &[problem]))
        }
    }
}

/// `tricot.Error` of these problems.
fn exception(py: Python<'_>, problems: &[Diagnostic]) -> PyErr {
    let raise = || -> PyResult<PyErr> {
        static CLASSES: PyOnceLock<(Py<PyAny>, Py<PyAny>)> = PyOnceLock::new();
        let (error, diagnostic) = CLASSES.get_or_try_init(py, || {
            let module = py.import("tricot._error")?;
            Ok::<_, PyErr>((module.getattr("Error")?.unbind(), module.getattr("Diagnostic")?.unbind()))
        })?;
        let list = problems.iter().map(|d| {
            let severity = match d.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "note",
            };
            let parts = (d.code, severity, &d.message, PyTuple::new(py, &d.notes)?, &d.help, d.to_string());
            diagnostic.bind(py).call1(parts)
        });
        let list = list.collect::<PyResult<Vec<_>>>()?;
        Ok(PyErr::from_value(error.bind(py).call1((PyTuple::new(py, list)?,))?))
    };
    raise().unwrap_or_else(|error| error)
}
