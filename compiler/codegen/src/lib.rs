//! tricot-codegen
