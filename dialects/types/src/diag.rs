//! Coded diagnostics: the one form in which anything that goes wrong reaches a user.
//!
//! A [`Diagnostic`] has a code, says what happened with the offending value, points at the user's own
//! line, node or byte, and names the way out. It is data; the command line renders it (with
//! annotate-snippets) and the language bindings carry code and message.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A text a diagnostic can point into.
#[derive(PartialEq, Eq, Debug)]
pub struct Source {
    /// Path as the user gave it, or a description such as `<stdin>`.
    pub name: String,
    pub text: String,
}

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    Error,
    Warning,
    Note,
}

/// The place a label points at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// A byte range of a text.
    Text { source: Arc<Source>, span: Range<usize> },
    /// A node of a model, by its own name and operator, in the file it came from.
    Node { file: String, node: String, op: String },
    /// A byte of a binary file.
    Byte { file: String, offset: u64 },
    /// A named thing: an input, a symbol, a flag, a kernel.
    Named(String),
}

/// A place with a remark.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label {
    pub place: Place,
    pub message: String,
}

/// One problem. Codes: TC01xx graph text and verifier, TC02xx import, TC03xx rewriting and proofs,
/// TC04xx schedule, TC05xx sm_90a code generation, TC06xx cpu code generation, TC07xx bundles,
/// TC08xx running, TC09xx command line and files, TC10xx internal errors.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    pub code: &'static str,
    pub severity: Severity,
    pub message: String,
    /// The first label is the primary one.
    pub labels: Vec<Label>,
    pub notes: Vec<String>,
    /// What the user can do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error with nothing but a code and a sentence; add the rest with the `with_*` methods.
    pub fn error(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code,
            severity: Severity::Error,
            message: message.into(),
            labels: vec![],
            notes: vec![],
            help: None,
        }
    }

    /// A warning.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, message) }
    }

    /// Points at a byte range of a text.
    pub fn at_text(self, source: &Arc<Source>, span: Range<usize>, message: impl Into<String>) -> Diagnostic {
        self.at(Place::Text { source: source.clone(), span }, message)
    }

    /// Points at a node of a model file.
    pub fn at_node(self, file: &str, node: &str, op: &str, message: impl Into<String>) -> Diagnostic {
        self.at(Place::Node { file: file.into(), node: node.into(), op: op.into() }, message)
    }

    /// Points at a byte of a binary file.
    pub fn at_byte(self, file: &str, offset: u64, message: impl Into<String>) -> Diagnostic {
        self.at(Place::Byte { file: file.into(), offset }, message)
    }

    /// Points at a named thing.
    pub fn at_name(self, name: impl Into<String>, message: impl Into<String>) -> Diagnostic {
        self.at(Place::Named(name.into()), message)
    }

    /// Adds a label.
    pub fn at(mut self, place: Place, message: impl Into<String>) -> Diagnostic {
        self.labels.push(Label { place, message: message.into() });
        self
    }

    /// Adds a line of background.
    pub fn with_note(mut self, note: impl Into<String>) -> Diagnostic {
        self.notes.push(note.into());
        self
    }

    /// Says the way out.
    pub fn with_help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    /// The plain form, for logs and language bindings: `error[TC0102]: message (place: remark); help`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        write!(f, "{severity}[{}]: {}", self.code, self.message)?;
        for label in &self.labels {
            match &label.place {
                Place::Text { source, span } => {
                    let before = &source.text.as_bytes()[..span.start.min(source.text.len())];
                    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
                    let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
                    write!(f, "\n  at {}:{line}:{column}", source.name)?;
                }
                Place::Node { file, node, op } => write!(f, "\n  at node `{node}` ({op}) of {file}")?,
                Place::Byte { file, offset } => write!(f, "\n  at byte {offset} of {file}")?,
                Place::Named(name) => write!(f, "\n  at {name}")?,
            }
            if !label.message.is_empty() {
                write!(f, ": {}", label.message)?;
            }
        }
        for note in &self.notes {
            write!(f, "\n  note: {note}")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}

impl From<Diagnostic> for Vec<Diagnostic> {
    /// For `?` in functions that report several problems at once.
    fn from(one: Diagnostic) -> Self {
        vec![one]
    }
}
