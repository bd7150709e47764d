//! Which device: `cpu`, `cuda`, `cuda:1`. Knows nothing of what a device does.

use std::fmt;
use std::str::FromStr;
use tricot_types::Diagnostic;

/// Where a module runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Device {
    /// The host's processor.
    Cpu,
    /// A CUDA device by its ordinal, as `CUDA_VISIBLE_DEVICES` orders them.
    Cuda(u32),
    /// A simulated Hopper GPU in host memory: executes the PTX of `sm_90a` and reports what is wrong with it. Only where the crate
    /// is built with the feature `sim`.
    Sim,
}

impl Device {
    /// Reads `cpu`, `cuda` (device 0), `cuda:N` or `sim`. TC0829 otherwise.
    pub fn parse(text: &str) -> Result<Device, Diagnostic> {
        let ordinal = |n: &str| n.parse().ok().filter(|_| n.bytes().all(|b| b.is_ascii_digit()));
        match text.split_once(':') {
            None if text == "cpu" => Some(Device::Cpu),
            None if text == "cuda" => Some(Device::Cuda(0)),
            None if text == "sim" => Some(Device::Sim),
            Some(("cuda", n)) => ordinal(n).map(Device::Cuda),
            _ => None,
        }
        .ok_or_else(|| {
            Diagnostic::error("TC0829", format!("`{text}` is no device"))
                .with_help("use `cpu`, `cuda`, `cuda:N` or `sim`")
        })
    }

    /// Whether its memory is the host's.
    pub fn in_host_memory(self) -> bool {
        matches!(self, Device::Cpu | Device::Sim)
    }

    /// A CUDA device if the driver is there and has one, else the CPU.
    pub fn best() -> Device {
        match crate::cuda::probe() {
            Ok(devices) if !devices.is_empty() => Device::Cuda(0),
            _ => Device::Cpu,
        }
    }
}

impl FromStr for Device {
    type Err = Diagnostic;
    fn from_str(text: &str) -> Result<Device, Diagnostic> {
        Device::parse(text)
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(n) => write!(f, "cuda:{n}"),
            Device::Sim => f.write_str("sim"),
        }
    }
}
