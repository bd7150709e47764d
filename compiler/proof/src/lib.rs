//! Proofs of rewriting: terms, the rules' statements, the proof format and an independent checker.
//!
//! [`check`] accepts a [`Proof`] that two graphs compute the same, or says which step fails. Nothing here searches: the rewriter
//! finds results, this crate judges them. It knows no e-graph, no target and no cost.

pub mod checker;
pub mod closure;
pub mod dtypes;
pub mod format;
pub mod lin;
mod masks;
pub mod pattern;
pub mod prod;
pub mod proof;
pub mod region;
pub mod rules;
pub mod same;
pub mod sem;
pub mod term;

pub use checker::{verify as check, verify_against as check_against};
pub use proof::{Proof, Step};
pub use rules::{Mode, RULES, Rule};
pub use term::{Bank, Head, TermId};
