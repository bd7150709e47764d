//! Running bound steps on a stream: plain launches, times, host tensors.
//!
//! Adds the running half of [`CudaProgram`]; graphs are in [`super::graph`].

use super::context::{CudaMemory, Event, Stream};
use super::driver::check;
use super::graph::CudaBinding;
use super::launch::Encoded;
use super::program::CudaProgram;
use crate::bound::{ARENA_ALIGN, Bound, BoundStep};
use crate::options::{RunOptions, RunReport, StepTime, Timing};
use crate::tensor::HostTensor;
use cudarc::driver::sys;
use tricot_types::Diagnostic;

impl CudaProgram {
    /// Queues all steps on `options.stream` or the binding's own stream.
    ///
    /// # Safety
    /// `pointers` holds one device address per buffer of `bound`, valid for its bytes until the work is complete;
    /// `workspace` is valid for `workspace_bytes`. The code is trusted.
    pub unsafe fn run(
        &self,
        bound: &Bound,
        binding: &mut CudaBinding,
        pointers: &[u64],
        workspace: u64,
        options: &RunOptions,
    ) -> Result<RunReport, Diagnostic> {
        let _entered = self.context.enter()?;
        let stream = match options.stream {
            Some(raw) => raw as sys::CUstream,
            None => self.own_stream(binding)?,
        };
        let scratch = workspace + bound.scratch_offset;
        let mut report = RunReport::default();
        options.check_cancel()?;
        // SAFETY: passed on from the caller, here and below.
        unsafe {
            if is_capturing(stream)? {
                for step in &bound.steps {
                    self.step(bound, step, pointers, scratch, stream)?;
                }
                return Ok(report);
            }
            let blocking = options.blocking || std::env::var_os("TRICOT_CUDA_BLOCKING").is_some_and(|v| v == "1");
            let first = match options.timing {
                Timing::Off => None,
                _ => Some(Event::record(&self.context, stream as u64)?),
            };
            let try_graph = options.graphs && !blocking && options.timing != Timing::Steps;
            report.replayed = try_graph && self.replay(bound, binding, pointers, scratch, stream)?;
            let mut marks = vec![];
            if !report.replayed {
                for step in &bound.steps {
                    if let Err(cancelled) = options.check_cancel() {
                        // What is queued still uses the caller's memory.
                        check(sys::cuStreamSynchronize(stream), "waiting after a cancellation")?;
                        return Err(cancelled);
                    }
                    self.step(bound, step, pointers, scratch, stream)?;
                    if blocking {
                        check(sys::cuStreamSynchronize(stream), &format!("step `{}`", step.name()))?;
                    }
                    if options.timing == Timing::Steps {
                        marks.push((step.name(), Event::record(&self.context, stream as u64)?));
                    }
                }
            }
            if let Some(first) = first {
                let last = Event::record(&self.context, stream as u64)?;
                report.total = Some(first.until(&last)?);
                let mut before = &first;
                for (name, mark) in &marks {
                    report.steps.push(StepTime { name: (*name).into(), time: before.until(mark)? });
                    before = mark;
                }
            }
            if options.synchronize {
                check(sys::cuStreamSynchronize(stream), "running the bundle")?;
            }
        }
        Ok(report)
    }

    /// Uploads inputs, runs, downloads outputs, waits. `resolve` gives the address of every buffer from those of
    /// inputs and outputs. Device copies keep their addresses per binding, so graphs are replayed.
    #[allow(clippy::too_many_arguments)] // One call site; a struct would only rename them.
    pub fn run_host(
        &self,
        bound: &Bound,
        binding: &mut CudaBinding,
        resolve: impl Fn(&[u64], &[u64]) -> Vec<u64>,
        workspace: u64,
        inputs: &[&HostTensor],
        outputs: &mut [&mut HostTensor],
        options: &RunOptions,
    ) -> Result<RunReport, Diagnostic> {
        let _entered = self.context.enter()?;
        let mut total = 0u64;
        let mut place = |bytes: u64| {
            let at = total;
            total += bytes.next_multiple_of(ARENA_ALIGN);
            at
        };
        let ins: Vec<u64> = bound.inputs.iter().map(|p| place(p.bytes)).collect();
        let outs: Vec<u64> = bound.outputs.iter().map(|p| place(p.bytes)).collect();
        if binding.staging.is_none() {
            binding.staging = Some(CudaMemory::allocate(&self.context, total, "inputs and outputs")?);
        }
        let base = binding.staging.as_ref().map_or(0, CudaMemory::pointer);
        let stream = match options.stream {
            Some(raw) => raw as sys::CUstream,
            None => self.own_stream(binding)?,
        };
        let address = |offsets: &[u64]| offsets.iter().map(|o| base + o).collect::<Vec<_>>();
        let (ins, outs) = (address(&ins), address(&outs));
        let inner = RunOptions { stream: Some(stream as u64), synchronize: false, ..options.clone() };
        // SAFETY: the staging memory has room for every port; host tensors live until the wait below, which also
        // follows a failed run, so nothing queued outlives the borrows.
        let result = unsafe {
            let upload = || {
                for (to, tensor) in ins.iter().zip(inputs).filter(|(_, t)| !t.bytes().is_empty()) {
                    let from = tensor.bytes();
                    check(
                        sys::cuMemcpyHtoDAsync_v2(*to, from.as_ptr().cast(), from.len(), stream),
                        "uploading inputs",
                    )?;
                }
                Ok(())
            };
            upload().and_then(|()| self.run(bound, binding, &resolve(&ins, &outs), workspace, &inner)).and_then(
                |report| {
                    for (from, tensor) in outs.iter().zip(outputs.iter_mut()).filter(|(_, t)| !t.bytes().is_empty()) {
                        let to = tensor.bytes_mut();
                        let copied = sys::cuMemcpyDtoHAsync_v2(to.as_mut_ptr().cast(), *from, to.len(), stream);
                        check(copied, "downloading outputs")?;
                    }
                    Ok(report)
                },
            )
        };
        // SAFETY: the stream is alive.
        let done = check(unsafe { sys::cuStreamSynchronize(stream) }, "running the bundle");
        let report = result?;
        done.map(|()| report)
    }

    /// Queues one step.
    ///
    /// # Safety
    /// As [`CudaProgram::run`]; the context is current.
    pub(super) unsafe fn step(
        &self,
        bound: &Bound,
        step: &BoundStep,
        pointers: &[u64],
        scratch: u64,
        stream: sys::CUstream,
    ) -> Result<(), Diagnostic> {
        debug_assert_eq!(pointers.len(), bound.buffers.len());
        // SAFETY: passed on; byte counts are within their buffers (checked when bound).
        unsafe {
            match step {
                // An aliased pair is the same memory: nothing to move.
                BoundStep::Copy { from, to, bytes } if *bytes == 0 || pointers[*from] == pointers[*to] => Ok(()),
                BoundStep::Copy { from, to, bytes } => {
                    check(sys::cuMemcpyDtoDAsync_v2(pointers[*to], pointers[*from], *bytes as usize, stream), "copying")
                }
                BoundStep::Zero { bytes: 0, .. } => Ok(()),
                BoundStep::Zero { buffer, bytes } => {
                    check(sys::cuMemsetD8Async(pointers[*buffer], 0, *bytes as usize, stream), "zeroing")
                }
                BoundStep::Gpu(gpu) => {
                    if gpu.zero_scratch > 0 {
                        check(sys::cuMemsetD8Async(scratch, 0, gpu.zero_scratch as usize, stream), "zeroing scratch")?;
                    }
                    Encoded::new(gpu, pointers, scratch)?.launch(gpu, self.function(&gpu.kernel)?, stream)
                }
                BoundStep::Cpu { kernel, .. } => {
                    Err(Diagnostic::error("TC0813", format!("kernel `{kernel}` is no cuda kernel")))
                }
            }
        }
    }

    pub(super) fn own_stream(&self, binding: &mut CudaBinding) -> Result<sys::CUstream, Diagnostic> {
        if binding.stream.is_none() {
            binding.stream = Some(Stream::new(&self.context)?);
        }
        Ok(binding.stream.as_ref().map_or(0, Stream::raw) as sys::CUstream)
    }
}

/// Whether a graph is being captured from the stream.
unsafe fn is_capturing(stream: sys::CUstream) -> Result<bool, Diagnostic> {
    let mut status = sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE;
    // SAFETY: the caller vouches for the stream.
    check(unsafe { sys::cuStreamIsCapturing(stream, &mut status) }, "asking the stream's state")?;
    Ok(status == sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_ACTIVE)
}
