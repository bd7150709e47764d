//! tricot-compiler
