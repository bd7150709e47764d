//! What is wrong with a text, and where.

use std::fmt;

/// Kinds of syntax errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// Another token was expected.
    Unexpected,
    /// A number that no literal of PTX ISA 4.5 spells, or that does not fit.
    Number,
    /// A character that starts no token, or a string or comment without end.
    Character,
    /// The text asks for more than [`Limits`](crate::Limits) grants.
    Limit,
    /// A directive, type or state space that is not known here.
    Directive,
    /// A value outside what the directive allows.
    Range,
    /// PTX that this crate does not read.
    Unsupported,
}

impl Code {
    /// The code as users see it.
    pub fn name(self) -> &'static str {
        match self {
            Code::Unexpected => "TC1101",
            Code::Number => "TC1102",
            Code::Character => "TC1103",
            Code::Limit => "TC1104",
            Code::Directive => "TC1105",
            Code::Range => "TC1106",
            Code::Unsupported => "TC1107",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The first thing that is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: line {line}, column {column}: expected {expected}, found {found}")]
pub struct SyntaxError {
    pub code: Code,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// What would have been right, with the limit where there is one.
    pub expected: String,
    /// What is there.
    pub found: String,
}
