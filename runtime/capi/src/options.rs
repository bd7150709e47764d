//! How C wants a run to go: flags, stream, cancellation.

use crate::arguments::{Out, reference, wrong};
use crate::error::{TricotError, guard};
use std::ffi::c_void;
use tricot_runtime::{Cancel, RunOptions};
use tricot_types::Diagnostic;

/// Queue on `TricotRunOptions.stream` and do not wait: the outputs are complete when the stream has got there.
pub const TRICOT_RUN_ASYNC: u32 = 1;
/// Use `TricotRunOptions.stream` (which may be 0, the legacy default stream), not the instance's own stream.
pub const TRICOT_RUN_STREAM: u32 = 2;
/// Launch every kernel by itself instead of replaying CUDA graphs.
pub const TRICOT_RUN_NO_GRAPHS: u32 = 4;
/// Wait after every step, so that a failure names its kernel.
pub const TRICOT_RUN_BLOCKING: u32 = 8;

/// How a run is carried out. Set all of it to zero first, then `struct_size`. On `cpu` only `cancel` matters: a run there
/// is complete when the call returns.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TricotRunOptions {
    /// `sizeof(TricotRunOptions)`.
    pub struct_size: usize,
    /// `TRICOT_RUN_` flags, or 0.
    pub flags: u32,
    /// A `CUstream` or `cudaStream_t` of the module's device. It may be capturing. Stays the caller's.
    pub stream: *mut c_void,
    /// Stops the run between two steps when it is set; null for none. May be freed as soon as the run is under way.
    pub cancel: *const TricotCancel,
}

/// A flag that stops work. Any thread may set it, at any time; one flag may serve many runs and compilations.
pub struct TricotCancel {
    pub cancel: Cancel,
}

/// Makes a flag that is not set. `*cancel` is the caller's, to be freed by `tricot_cancel_free`; null after an error. Any
/// thread.
///
/// # Safety
/// `cancel` is null or valid for writing.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn tricot_cancel_create(cancel: *mut *mut TricotCancel) -> *mut TricotError {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { Out::handle(cancel, "cancel") }?.give(TricotCancel { cancel: Cancel::new() });
        Ok(())
    })
}

/// Sets the flag, for good; null is fine. Work that holds it ends with `TC0812` (a run) or `TC0931` (a compilation). What
/// is queued on a GPU already still finishes. Any thread.
///
/// # Safety
/// `cancel` is null or a live flag.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tricot_cancel_set(cancel: *const TricotCancel) {
    // SAFETY: as the caller promises.
    if let Some(cancel) = unsafe { cancel.as_ref() } {
        cancel.cancel.cancel();
    }
}

/// Frees a flag; null is fine. Work that holds it goes on. Once, from any thread.
///
/// # Safety
/// `cancel` is null or a flag not yet freed, which no other thread uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tricot_cancel_free(cancel: *mut TricotCancel) {
    if !cancel.is_null() {
        // SAFETY: made by `Out::give`.
        drop(unsafe { Box::from_raw(cancel) });
    }
}

/// TC0892 when a structure is not of the size this library knows.
pub fn check_size<T>(given: usize, what: &str) -> Result<(), Diagnostic> {
    match given == size_of::<T>() {
        true => Ok(()),
        false => Err(wrong(format!("`{what}.struct_size` is {given}, this library expects {}", size_of::<T>()))
            .with_help("set it to the size of the structure; compile with the header of this library")),
    }
}

/// The options as the runtime wants them; defaults for null.
///
/// # Safety
/// `options` is null or valid for reading, with a `cancel` that is null or live.
pub(crate) unsafe fn read(options: *const TricotRunOptions) -> Result<RunOptions, Diagnostic> {
    let mut out = RunOptions::default();
    if options.is_null() {
        return Ok(out);
    }
    // SAFETY: as the caller promises.
    let given = unsafe { reference(options, "options") }?;
    check_size::<TricotRunOptions>(given.struct_size, "options")?;
    let known = TRICOT_RUN_ASYNC | TRICOT_RUN_STREAM | TRICOT_RUN_NO_GRAPHS | TRICOT_RUN_BLOCKING;
    if given.flags & !known != 0 {
        return Err(wrong(format!("`options.flags` is {:#x}, flags are {known:#x}", given.flags)));
    }
    if given.flags & TRICOT_RUN_ASYNC != 0 && given.flags & TRICOT_RUN_STREAM == 0 {
        return Err(wrong("TRICOT_RUN_ASYNC is given without TRICOT_RUN_STREAM")
            .with_help("name the stream to wait for, or leave out TRICOT_RUN_ASYNC"));
    }
    if given.flags & TRICOT_RUN_STREAM == 0 && !given.stream.is_null() {
        return Err(wrong("`options.stream` is given without TRICOT_RUN_STREAM").with_help("set the flag"));
    }
    out.stream = (given.flags & TRICOT_RUN_STREAM != 0).then_some(given.stream as u64);
    out.synchronize = given.flags & TRICOT_RUN_ASYNC == 0;
    out.graphs = given.flags & TRICOT_RUN_NO_GRAPHS == 0;
    out.blocking = given.flags & TRICOT_RUN_BLOCKING != 0;
    if !given.cancel.is_null() {
        // SAFETY: as the caller promises.
        out.cancel = Some(unsafe { reference(given.cancel, "options.cancel") }?.cancel.clone());
    }
    Ok(out)
}
