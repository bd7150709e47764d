//! The `cpu` device: runs bound steps on the host through a target's one code blob.
//!
//! The central type is [`CpuProgram`]. Weights are used where the bundle maps them.

use crate::bound::{Bound, BoundStep, Place};
use crate::bundle::{Bundle, CPU_CODE, target_entry};
use crate::options::{RunOptions, RunReport, StepTime, Timing};
use std::time::Instant;
use tricot_types::Diagnostic;

/// Mapped code of the cpu target.
pub(crate) struct CpuProgram {
    #[cfg(target_arch = "x86_64")]
    code: crate::cpu::CpuCode,
}

impl CpuProgram {
    /// Checks the machine's features, then maps the code.
    #[cfg(target_arch = "x86_64")]
    pub fn load(bundle: &Bundle, features: &[String]) -> Result<CpuProgram, Diagnostic> {
        let name = target_entry("cpu", CPU_CODE);
        let bytes = if bundle.manifest().entries.contains_key(&name) { bundle.entry(&name)? } else { &[] };
        Ok(CpuProgram { code: crate::cpu::CpuCode::map(bytes, features)? })
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub fn load(_: &Bundle, _: &[String]) -> Result<CpuProgram, Diagnostic> {
        Err(Diagnostic::error("TC0850", "the cpu target is x86-64 code, this is another architecture")
            .with_help("run the bundle on an x86-64 machine"))
    }

    /// Address of every buffer that is a weight; 0 for the others.
    pub fn weights(&self, bundle: &Bundle, bound: &Bound) -> Result<Vec<u64>, Vec<Diagnostic>> {
        bundle.verify_entries(&bound.weights().collect::<Vec<_>>())?;
        let address = |place: &Place| match place {
            Place::Weight(name) => bundle.entry(name).map(|bytes| bytes.as_ptr() as u64),
            _ => Ok::<u64, Diagnostic>(0),
        };
        Ok(bound.buffers.iter().map(|b| address(&b.place)).collect::<Result<_, _>>()?)
    }

    /// Runs all steps.
    ///
    /// # Safety
    /// `pointers` holds one address per buffer of `bound`, valid for its bytes and disjoint as the plan assumes;
    /// `workspace` is valid for `workspace_bytes`. The code is trusted.
    pub unsafe fn run(
        &self,
        bound: &Bound,
        pointers: &[u64],
        workspace: u64,
        options: &RunOptions,
    ) -> Result<RunReport, Diagnostic> {
        let mut report = RunReport::default();
        let start = Instant::now();
        let at = |buffer: usize| pointers[buffer] as *mut u8;
        for step in &bound.steps {
            options.check_cancel()?;
            let step_start = Instant::now();
            match step {
                // An aliased pair is the same memory: nothing to move.
                BoundStep::Copy { from, to, .. } if pointers[*from] == pointers[*to] => {}
                // SAFETY: `bytes` is within both buffers (checked when bound); `copy` allows overlap.
                BoundStep::Copy { from, to, bytes } => unsafe { at(*from).copy_to(at(*to), *bytes as usize) },
                // SAFETY: `bytes` is within the buffer.
                BoundStep::Zero { buffer, bytes } => unsafe { at(*buffer).write_bytes(0, *bytes as usize) },
                BoundStep::Cpu { kernel, launch, buffers, symbols, scratch } => {
                    let mut list: Vec<*mut u8> = buffers.iter().map(|b| at(*b)).collect();
                    if *scratch > 0 {
                        list.push((workspace + bound.scratch_offset) as *mut u8);
                    }
                    // SAFETY: the plan is trusted and its sizes were checked when bound.
                    unsafe { self.call(launch, &list, symbols) }
                        .map_err(|d| d.at_name(format!("kernel `{kernel}`"), ""))?;
                }
                BoundStep::Gpu(gpu) => {
                    return Err(Diagnostic::error("TC0813", format!("kernel `{}` is no cpu kernel", gpu.kernel)));
                }
            }
            if options.timing == Timing::Steps {
                report.steps.push(StepTime { name: step.name().into(), time: step_start.elapsed() });
            }
        }
        report.total = (options.timing != Timing::Off).then(|| start.elapsed());
        Ok(report)
    }

    #[cfg(target_arch = "x86_64")]
    unsafe fn call(
        &self,
        launch: &tricot_plan::CpuLaunch,
        buffers: &[*mut u8],
        symbols: &[i64],
    ) -> Result<(), Diagnostic> {
        // SAFETY: passed on.
        unsafe { self.code.call(launch, buffers, symbols) }
    }

    #[cfg(not(target_arch = "x86_64"))]
    unsafe fn call(&self, _: &tricot_plan::CpuLaunch, _: &[*mut u8], _: &[i64]) -> Result<(), Diagnostic> {
        Err(Diagnostic::error("TC0850", "no cpu code runs on this architecture"))
    }
}
