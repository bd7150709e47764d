//! tricot-rewrite
