//! tricot-proof
