//! tricot-compiler

pub mod bundle;
