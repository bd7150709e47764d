//! Tests of the schedule crate, one binary: schedules run by the kernel interpreter on a real byte arena.

mod anchors;
mod costs;
mod fusion;
mod merging;
mod ops;
mod prepacking;
mod support;
mod work;
