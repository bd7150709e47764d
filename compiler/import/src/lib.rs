//! tricot-import
