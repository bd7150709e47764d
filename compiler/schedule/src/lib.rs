//! tricot-schedule
