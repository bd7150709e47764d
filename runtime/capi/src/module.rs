//! Modules for C: a bundle's code on a device. The central type is [`TricotModule`].

use crate::arguments::{Out, TricotBinding, bindings, reference, text};
use crate::bundle::TricotBundle;
use crate::error::{TricotError, c_string, guard};
use std::ffi::{CString, c_char};
use tricot_runtime::{Device, Module};
use tricot_types::Diagnostic;

/// Code on a device. Immutable; any number of threads may use it at once, on any number of streams, each with an instance
/// of its own.
pub struct TricotModule {
    pub(crate) module: Module,
    target: CString,
}

impl TricotModule {
    fn new(module: Module) -> TricotModule {
        TricotModule { target: c_string(module.target()), module }
    }
}

/// Reads a device's name; null stands for the best device there is.
///
/// # Safety
/// `name` is null or NUL-terminated.
unsafe fn device(name: *const c_char) -> Result<Device, Diagnostic> {
    match name.is_null() {
        true => Ok(Device::best()),
        // SAFETY: as the caller promises.
        false => Device::parse(unsafe { text(name, "device") }?),
    }
}

/// Loads a bundle that has this digest (32 bytes, see `tricot_bundle_digest`), which you got from a source you trust:
/// running a bundle runs the machine code in it. `TC0709` when it is another bundle. `device` is `cpu`, `cuda`, `cuda:N`,
/// or null for a GPU where there is one. `*module` is the caller's, to be freed by `tricot_module_free`; null after an
/// error. The bundle may be freed at once. Any thread.
///
/// # Safety
/// `bundle` is null or a live bundle; `device` is null or NUL-terminated; `digest` is null or valid for 32 bytes; `module`
/// is null or valid for writing.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn tricot_module_load(
    bundle: *const TricotBundle,
    device: *const c_char,
    digest: *const u8,
    module: *mut *mut TricotModule,
) -> *mut TricotError {
    guard(|| {
        // SAFETY: as the caller promises.
        let (out, bundle, digest, device) = unsafe {
            (
                Out::handle(module, "module")?,
                reference(bundle, "bundle")?,
                reference(digest.cast::<[u8; 32]>(), "digest")?,
                self::device(device)?,
            )
        };
        out.give(TricotModule::new(Module::load(bundle.bundle.clone(), device, digest)?));
        Ok(())
    })
}

/// Loads a bundle without a digest. Call it only for bundles you made yourself or trust like a program you would start:
/// running a bundle runs the machine code in it with the rights of this process, and nothing verifies that code. Otherwise
/// as `tricot_module_load`. Any thread.
///
/// # Safety
/// As `tricot_module_load`, and the bundle's author is trusted.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn tricot_module_load_trusted(
    bundle: *const TricotBundle,
    device: *const c_char,
    module: *mut *mut TricotModule,
) -> *mut TricotError {
    guard(|| {
        // SAFETY: as the caller promises.
        let (out, bundle, device) =
            unsafe { (Out::handle(module, "module")?, reference(bundle, "bundle")?, self::device(device)?) };
        // SAFETY: the caller trusts the bundle.
        out.give(TricotModule::new(unsafe { Module::load_trusted(bundle.bundle.clone(), device) }?));
        Ok(())
    })
}

/// Frees a module; null is fine. Its instances live on. Once, from any thread.
///
/// # Safety
/// `module` is null or a module not yet freed, which no other thread uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tricot_module_free(module: *mut TricotModule) {
    if !module.is_null() {
        // SAFETY: made by `Out::give`.
        drop(unsafe { Box::from_raw(module) });
    }
}

/// Name of the target in use, `cpu` or `sm_90a`. Belongs to the module; null when `module` is null. Any thread.
///
/// # Safety
/// `module` is null or a live module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tricot_module_target(module: *const TricotModule) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { module.as_ref() }.map_or(std::ptr::null(), |m| m.target.as_ptr())
}

/// Bytes of workspace that runs with these symbol values need; every symbol must have one. Any thread.
///
/// # Safety
/// `module` is null or a live module; `symbols` is null or valid for `count` bindings with NUL-terminated names; `bytes` is
/// null or valid for writing.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn tricot_module_workspace_bytes(
    module: *const TricotModule,
    symbols: *const TricotBinding,
    count: usize,
    bytes: *mut u64,
) -> *mut TricotError {
    guard(|| {
        // SAFETY: as the caller promises.
        let (out, module, values) =
            unsafe { (Out::new(bytes, "bytes")?, reference(module, "module")?, bindings(symbols, count)?) };
        out.set(module.module.workspace_bytes(&values)?);
        Ok(())
    })
}

/// Number of CUDA devices of this machine. `TC082x` says why there is no driver. Any thread.
///
/// # Safety
/// `count` is null or valid for writing.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn tricot_cuda_device_count(count: *mut usize) -> *mut TricotError {
    guard(|| {
        // SAFETY: as the caller promises.
        let out = unsafe { Out::new(count, "count") }?;
        out.set(tricot_runtime::cuda::probe()?.len());
        Ok(())
    })
}
