//! Diagnostics between a code generator in a process of its own and its host.
//!
//! The central type is [`WireDiagnostic`]. Knows neither what the processes are nor what else they say.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Mutex;
use tricot_types::{Diagnostic, Label, Place};

/// A [`Diagnostic`] that can be sent. Code generators point at kernels and tools, so only named places keep their names.
#[derive(Serialize, Deserialize)]
pub struct WireDiagnostic {
    code: String,
    message: String,
    labels: Vec<(String, String)>,
    notes: Vec<String>,
    help: Option<String>,
}

impl WireDiagnostic {
    /// Ready to send.
    pub fn new(d: Diagnostic) -> WireDiagnostic {
        let place = |l: Label| match l.place {
            Place::Named(name) => (name, l.message),
            _ => (String::new(), l.message),
        };
        WireDiagnostic {
            code: d.code.into(),
            message: d.message,
            labels: d.labels.into_iter().map(place).collect(),
            notes: d.notes,
            help: d.help,
        }
    }

    /// What was sent; TC0592 where its code is none.
    pub fn into_diagnostic(self) -> Diagnostic {
        let base =
            Diagnostic { notes: self.notes, help: self.help, ..Diagnostic::error(code(&self.code), self.message) };
        self.labels.into_iter().fold(base, |d, (name, message)| d.at_name(name, message))
    }
}

/// Codes are static, and there are few of them: each is made so once.
fn code(code: &str) -> &'static str {
    static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let shaped = code.len() == 6 && code.starts_with("TC") && code[2..].bytes().all(|b| b.is_ascii_digit());
    let mut known = KNOWN.lock().unwrap_or_else(|e| e.into_inner());
    match (shaped, known.get(code)) {
        (false, _) => "TC0592",
        (true, Some(code)) => code,
        (true, None) => {
            let code: &'static str = Box::leak(code.to_string().into_boxed_str());
            known.insert(code);
            code
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diagnostics_survive_the_wire() {
        let d = Diagnostic::error("TC0503", "rejected").at_name("kernel `k`", "here").with_note("n").with_help("h");
        assert_eq!(WireDiagnostic::new(d.clone()).into_diagnostic(), d);
        assert_eq!(code("nonsense"), "TC0592");
    }
}
