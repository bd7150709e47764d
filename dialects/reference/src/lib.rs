//! tricot-reference
