//! What a compilation did, for `--json` and the demo's table.

use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Instant;

/// Times, kernels and sizes. Times are wall-clock seconds and the only part that differs between equal runs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub model: String,
    /// Seconds by stage: `import`, `rewrite`, `schedule`, `codegen`, `bundle`, `total`.
    pub seconds: BTreeMap<String, f64>,
    pub targets: BTreeMap<String, TargetReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle_bytes: Option<u64>,
}

/// One target's part.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TargetReport {
    /// Kernels in launch order, repeats included.
    pub launches: Vec<LaunchReport>,
    /// Distinct kernels.
    pub kernels: usize,
    /// Bytes of the arena at the symbols' hints.
    pub arena_bytes: f64,
    /// Lossy choices taken within the budget, in words.
    pub lossy: Vec<String>,
}

/// One launch.
#[derive(Clone, Debug, Serialize)]
pub struct LaunchReport {
    pub kernel: String,
    /// The family and configuration chosen.
    pub choice: String,
}

impl Report {
    /// Runs `work` and books its time under `stage`.
    pub fn time<T>(&mut self, stage: &str, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let out = work();
        *self.seconds.entry(stage.into()).or_default() += start.elapsed().as_secs_f64();
        out
    }
}
