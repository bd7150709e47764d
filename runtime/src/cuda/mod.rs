//! The `cuda` device: the NVIDIA driver, loaded when first asked for.
//!
//! The central type is [`CudaProgram`]. The driver is reached through cudarc's bindings by `dlopen` only; a
//! machine without one gets a coded error. Uses each device's primary context, so pointers and streams of
//! other CUDA libraries in the process are valid here.

mod assemble;
mod context;
mod driver;
mod exec;
mod graph;
mod launch;
mod program;

pub use assemble::{Assembler, Version, assemblers};
pub use context::{Context, CudaMemory, Event, Stream};
pub(crate) use graph::CudaBinding;
pub(crate) use program::CudaProgram;

use serde::Serialize;
use tricot_types::Diagnostic;

/// What is known about a CUDA device.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DeviceInfo {
    pub ordinal: u32,
    pub name: String,
    /// Compute capability (major, minor).
    pub capability: (u32, u32),
    pub memory_bytes: u64,
    pub multiprocessors: u32,
}

/// The devices there are. TC0820 no driver, TC0821 too old, TC0822 no device.
pub fn probe() -> Result<Vec<DeviceInfo>, Diagnostic> {
    context::devices(driver::driver()?)
}

/// Highest clocks of a device and the width of its memory bus, from which its ceilings follow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Clocks {
    pub core_khz: u32,
    pub memory_khz: u32,
    pub bus_bits: u32,
}

/// See [`Clocks`]. Errors as [`probe`].
pub fn clocks(ordinal: u32) -> Result<Clocks, Diagnostic> {
    context::clocks(driver::driver()?, ordinal)
}

/// CUDA version the driver supports, as (major, minor).
pub fn driver_version() -> Result<(u32, u32), Diagnostic> {
    let version = driver::driver()?.version;
    Ok((version / 1000, version % 1000 / 10))
}

/// Compute capability of one device.
pub(crate) fn capability(ordinal: u32) -> Result<(u32, u32), Diagnostic> {
    Ok(context::device(driver::driver()?, ordinal)?.capability)
}

/// Whether code of a target such as `sm_90a` runs on a device: an `a` target on exactly its capability, a plain one
/// on the same major version with an equal or later minor one.
pub(crate) fn target_fits(target: &str, major: u32, minor: u32) -> bool {
    let Some(version) = target.strip_prefix("sm_") else { return false };
    let (digits, exact) = version.strip_suffix('a').map_or((version, false), |d| (d, true));
    match digits.parse::<u32>() {
        Ok(v) if exact => v == major * 10 + minor,
        Ok(v) => v / 10 == major && v % 10 <= minor,
        Err(_) => false,
    }
}
