//! What a bundle says about itself: the manifest, the launch plan of each target, and the launches
//! in it. Written by the compiler, read by the runtime; plain data with a stable JSON form.
//!
//! The central type is [`Plan`]. This crate knows no graph, no device and no archive format.

pub mod helpers;
pub mod launch;
pub mod manifest;
pub mod memory;

pub use launch::{CpuLaunch, GpuLaunch, How, Launch, Param, Step, Swizzle, TensorMap, Units, Work};
pub use manifest::{Entry, FORMAT_VERSION, Manifest, Plan, Port, TargetPlan};
pub use memory::{BufferId, PlanBuffer, Storage};
