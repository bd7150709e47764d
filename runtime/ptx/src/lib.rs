//! PTX text to a tree and back (PTX ISA 8.0 to 9.0, chapters 4 to 6 and 11).
//!
//! Central type: [`Module`], what [`parse`] makes of a text; [`print()`] gives the text back, every item on the line it came
//! from. Names borrow from the text. The crate knows the grammar only: names are not resolved, opcodes and their
//! modifiers are words, and nothing is checked against the instruction set.

pub mod ast;
mod error;
mod lexer;
mod limits;
mod number;
mod parser;
mod printer;
mod token;

pub use ast::*;
pub use error::{Code, SyntaxError};
pub use limits::Limits;
pub use printer::{print, print_all};

/// Reads the one translation unit that `text` is, within the default [`Limits`].
pub fn parse(text: &str) -> Result<Module<'_>, SyntaxError> {
    parse_within(text, &Limits::default())
}

/// Reads the one translation unit that `text` is.
pub fn parse_within<'t>(text: &'t str, limits: &Limits) -> Result<Module<'t>, SyntaxError> {
    parser::module(text, limits)
}

/// Reads the translation units that stand in `text` one after the other, each from its `.version` on.
pub fn parse_all<'t>(text: &'t str, limits: &Limits) -> Result<Vec<Module<'t>>, SyntaxError> {
    parser::modules(text, limits)
}
