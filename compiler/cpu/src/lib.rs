//! tricot-cpu
