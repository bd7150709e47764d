//! What this machine can run: processor features, the CUDA driver and its devices, assemblers.
//!
//! The central type is [`Doctor`]; `tricot doctor` prints it. Looking changes nothing.

use crate::cuda::{self, Assembler, DeviceInfo};
use serde::Serialize;

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Doctor {
    pub cpu: Cpu,
    pub cuda: Cuda,
    /// Assemblers for PTX, in the order they are tried.
    pub assemblers: Vec<Assembler>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Cpu {
    /// Such as `x86_64`.
    pub architecture: &'static str,
    /// Features as bundles name them.
    pub features: Vec<&'static str>,
    /// Whether bundles built for the default cpu target (x86-64-v3) run here.
    pub runs_default_target: bool,
    pub threads: usize,
}

#[derive(Clone, Debug, Serialize)]
pub struct Cuda {
    /// CUDA version the driver supports.
    pub driver: Option<(u32, u32)>,
    pub devices: Vec<DeviceInfo>,
    /// Why there is no device, as a coded message.
    pub problem: Option<String>,
}

/// Looks around.
pub fn doctor() -> Doctor {
    let (devices, problem) = match cuda::probe() {
        Ok(devices) => (devices, None),
        Err(d) => (vec![], Some(d.to_string())),
    };
    let features = features();
    let default = ["sse3", "ssse3", "sse4.1", "sse4.2", "popcnt", "avx", "avx2", "bmi1", "bmi2", "fma", "lzcnt"];
    Doctor {
        cpu: Cpu {
            architecture: std::env::consts::ARCH,
            runs_default_target: cfg!(target_arch = "x86_64") && default.iter().all(|f| features.contains(f)),
            features,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        },
        cuda: Cuda { driver: cuda::driver_version().ok(), devices, problem },
        assemblers: cuda::assemblers(),
    }
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<&'static str> {
    macro_rules! present {
        ($($name:tt),*) => { [$(($name, std::arch::is_x86_feature_detected!($name))),*] };
    }
    let all = present!(
        "sse3", "ssse3", "sse4.1", "sse4.2", "popcnt", "avx", "avx2", "bmi1", "bmi2", "fma", "lzcnt", "avx512f",
        "avx512vl", "avx512dq", "avx512bw"
    );
    all.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> Vec<&'static str> {
    vec![]
}
