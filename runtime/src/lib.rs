//! tricot-runtime
