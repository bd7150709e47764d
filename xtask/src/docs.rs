//! The generated pages of the book, and the C headers.

use crate::run::{Outcome, cargo, check};

/// Writes the op reference and the other pages made from code, and `include/`; a test fails when they are out of date.
pub fn generate() -> Outcome {
    let mut tests = cargo(&["test", "--package", "tricot-dialects", "--quiet", "generated"]);
    tests.env("UPDATE", "1");
    check(tests)?;
    let mut headers = cargo(&["test", "--package", "tricot-capi", "--test", "capi", "--quiet", "header::"]);
    headers.env("UPDATE", "1");
    check(headers)
}
