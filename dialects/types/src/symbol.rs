//! Symbols (`b`, `s`): sizes bound when a bundle runs, with what is known about them before.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The name of a size that is bound at run time: an identifier such as `batch`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Symbol(Arc<str>);

impl Symbol {
    /// Names a symbol. Accepts `[A-Za-z_][A-Za-z0-9_]*`; `None` otherwise.
    pub fn new(name: &str) -> Option<Symbol> {
        let mut bytes = name.bytes();
        let head = bytes.next()?;
        let ok = (head.is_ascii_alphabetic() || head == b'_')
            && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !matches!(name, "floordiv" | "ceildiv");
        ok.then(|| Symbol(name.into()))
    }

    /// The identifier.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is promised about a symbol's value; a run that breaks the promise is refused.
#[derive(Clone, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub struct SymbolInfo {
    /// Smallest legal value, at least 0.
    pub min: i64,
    /// Largest legal value; `i64::MAX` when nothing is promised.
    pub max: i64,
    /// The value is a multiple of this, at least 1.
    pub multiple: i64,
    /// The value cost models assume.
    pub hint: i64,
}

impl Default for SymbolInfo {
    fn default() -> Self {
        SymbolInfo { min: 1, max: i64::MAX, multiple: 1, hint: 16 }
    }
}

impl SymbolInfo {
    /// Whether `value` keeps the promises; the message names the broken one.
    pub fn check(&self, value: i64) -> Result<(), String> {
        if value < self.min {
            Err(format!("{value} is below the minimum {}", self.min))
        } else if value > self.max {
            Err(format!("{value} is above the maximum {}", self.max))
        } else if value % self.multiple != 0 {
            Err(format!("{value} is not a multiple of {}", self.multiple))
        } else {
            Ok(())
        }
    }
}

/// Every symbol of a module, in name order.
pub type SymbolTable = BTreeMap<Symbol, SymbolInfo>;
