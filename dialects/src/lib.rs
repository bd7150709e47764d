//! tricot-dialects
