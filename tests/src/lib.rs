//! tricot-tests
