//! How one run is carried out, and what it reports: streams, timing, cancellation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tricot_types::Diagnostic;

/// Options of one run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// `cuda`: the caller's `CUstream`; `None` for the instance's own. Work is only queued on a caller's stream
    /// unless `synchronize` is set or times are asked for.
    pub stream: Option<u64>,
    /// Wait until the outputs are complete. Always so on `cpu` and with host tensors.
    pub synchronize: bool,
    /// `cuda`: replay CUDA graphs when the same sizes run again. Never on a stream that is being captured.
    pub graphs: bool,
    /// `cuda`: synchronise after every step, so that a failure names its kernel. The environment variable
    /// `TRICOT_CUDA_BLOCKING=1` does the same.
    pub blocking: bool,
    pub timing: Timing,
    /// Looked at between steps.
    pub cancel: Option<Cancel>,
}

impl Default for RunOptions {
    fn default() -> Self {
        RunOptions { stream: None, synchronize: true, graphs: true, blocking: false, timing: Timing::Off, cancel: None }
    }
}

impl RunOptions {
    /// TC0812 once the run is cancelled.
    pub(crate) fn check_cancel(&self) -> Result<(), Diagnostic> {
        match &self.cancel {
            Some(cancel) if cancel.is_cancelled() => {
                Err(Diagnostic::error("TC0812", "the run was cancelled; its outputs are incomplete"))
            }
            _ => Ok(()),
        }
    }
}

/// What is timed. Times on `cuda` are between events on the stream and force a wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Timing {
    #[default]
    Off,
    /// The whole run.
    Run,
    /// Every step; on `cuda` launched one by one, without a graph.
    Steps,
}

/// What a run tells about itself.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RunReport {
    /// Time of the whole run, if asked for.
    pub total: Option<Duration>,
    /// Time of every step, if asked for.
    pub steps: Vec<StepTime>,
    /// Whether a CUDA graph was replayed.
    pub replayed: bool,
}

/// Time of one step.
#[derive(Clone, PartialEq, Debug)]
pub struct StepTime {
    /// Kernel name, `copy` or `zero`.
    pub name: String,
    pub time: Duration,
}

/// A flag that stops a run between two steps. Clones share the flag; any thread may set it.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub fn new() -> Cancel {
        Cancel::default()
    }

    /// Asks the runs that hold this flag to stop. What is already queued on a GPU still finishes.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
