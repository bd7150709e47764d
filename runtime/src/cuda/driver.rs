//! Loading libcuda, and the driver's errors as diagnostics.
//!
//! cudarc panics on a missing library or function, so [`driver`] looks for both first; nothing else in the
//! runtime may call the bindings before it has succeeded.

use cudarc::driver::sys::{self, CUresult};
use std::ffi::CStr;
use std::sync::OnceLock;
use tricot_types::Diagnostic;

/// Oldest driver: CUDA 12.0 has tensor maps and cluster launches.
const MIN_VERSION: u32 = 12_000;

/// Every function the runtime calls.
const NEEDED: &[&str] = &[
    "cuInit",
    "cuDriverGetVersion",
    "cuGetErrorName",
    "cuGetErrorString",
    "cuDeviceGetCount",
    "cuDeviceGet",
    "cuDeviceGetName",
    "cuDeviceGetAttribute",
    "cuDeviceTotalMem_v2",
    "cuDevicePrimaryCtxRetain",
    "cuDevicePrimaryCtxRelease_v2",
    "cuCtxPushCurrent_v2",
    "cuCtxPopCurrent_v2",
    "cuMemAlloc_v2",
    "cuMemFree_v2",
    "cuMemGetInfo_v2",
    "cuMemcpyHtoDAsync_v2",
    "cuMemcpyDtoHAsync_v2",
    "cuMemcpyDtoDAsync_v2",
    "cuMemsetD8Async",
    "cuStreamCreate",
    "cuStreamDestroy_v2",
    "cuStreamSynchronize",
    "cuStreamIsCapturing",
    "cuStreamBeginCapture_v2",
    "cuStreamEndCapture",
    "cuStreamGetCaptureInfo_v2",
    "cuEventCreate",
    "cuEventDestroy_v2",
    "cuEventRecord",
    "cuEventSynchronize",
    "cuEventElapsedTime",
    "cuModuleLoadDataEx",
    "cuModuleUnload",
    "cuModuleGetFunction",
    "cuFuncSetAttribute",
    "cuLaunchKernelEx",
    "cuTensorMapEncodeTiled",
    "cuGraphInstantiateWithFlags",
    "cuGraphLaunch",
    "cuGraphDestroy",
    "cuGraphExecDestroy",
    "cuGraphExecKernelNodeSetParams_v2",
];

/// A loaded and initialised driver.
#[derive(Debug)]
pub struct Driver {
    /// Highest CUDA version it supports: 1000 * major + 10 * minor.
    pub version: u32,
    /// Whether kernel signatures can be asked for (CUDA 12.4).
    pub has_param_info: bool,
}

/// The driver, loaded at the first call. TC0820 no driver, TC0821 a driver too old, TC0822 no device.
pub fn driver() -> Result<&'static Driver, Diagnostic> {
    static DRIVER: OnceLock<Result<Driver, Diagnostic>> = OnceLock::new();
    DRIVER.get_or_init(load).as_ref().map_err(Clone::clone)
}

fn load() -> Result<Driver, Diagnostic> {
    let none = |note: String| {
        Diagnostic::error("TC0820", "no NVIDIA driver: libcuda.so.1 cannot be loaded")
            .with_note(note)
            .with_help("install the NVIDIA driver, or use `--device cpu`")
    };
    // SAFETY: loading libcuda runs its initialisers, as every CUDA program does.
    if !unsafe { sys::is_culib_present() } {
        return Err(none("no library of that name is on the loader's path".into()));
    }
    // SAFETY: the library is present, so this does not panic; the symbol is only looked up, never called.
    let has = |name: &str| unsafe { sys::culib().get::<unsafe extern "C" fn()>(name.as_bytes()).is_ok() };
    let missing: Vec<_> = NEEDED.iter().filter(|name| !has(name)).copied().collect();
    if !missing.is_empty() {
        return Err(too_old(None).with_note(format!("it lacks {}", missing.join(", "))));
    }
    let mut version = 0;
    // SAFETY: plain calls with valid pointers; both functions exist.
    let result = unsafe {
        let _ = sys::cuDriverGetVersion(&mut version);
        sys::cuInit(0)
    };
    let version = version.max(0) as u32;
    tracing::debug!(version, "loaded libcuda");
    match result {
        CUresult::CUDA_SUCCESS if version < MIN_VERSION => Err(too_old(Some(version))),
        CUresult::CUDA_SUCCESS => Ok(Driver { version, has_param_info: has("cuFuncGetParamInfo") }),
        CUresult::CUDA_ERROR_NO_DEVICE => Err(no_device("the driver finds no CUDA device")),
        CUresult::CUDA_ERROR_STUB_LIBRARY => Err(none("the libcuda found is the toolkit's stub".into())),
        CUresult::CUDA_ERROR_SYSTEM_DRIVER_MISMATCH | CUresult::CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE => {
            Err(too_old(Some(version)).with_note(describe(result)))
        }
        other => Err(none(format!("its initialisation failed: {}", describe(other)))),
    }
}

fn too_old(version: Option<u32>) -> Diagnostic {
    let have = version.map_or(String::new(), |v| format!(": it supports CUDA {}.{}", v / 1000, v % 1000 / 10));
    Diagnostic::error("TC0821", format!("the NVIDIA driver is too old{have}"))
        .with_help("install driver 580 (CUDA 13.0) or later, or use `--device cpu`")
}

/// TC0822.
pub fn no_device(what: &str) -> Diagnostic {
    Diagnostic::error("TC0822", what).with_help("check `nvidia-smi` and CUDA_VISIBLE_DEVICES, or use `--device cpu`")
}

/// The driver's name and sentence for a result.
pub fn describe(result: CUresult) -> String {
    let text = |f: unsafe fn(CUresult, *mut *const std::ffi::c_char) -> CUresult| {
        let mut pointer = std::ptr::null();
        // SAFETY: the driver returns a static string or leaves the pointer null.
        unsafe {
            let _ = f(result, &mut pointer);
            (!pointer.is_null()).then(|| CStr::from_ptr(pointer).to_string_lossy().into_owned())
        }
    };
    let name = text(sys::cuGetErrorName).unwrap_or_else(|| format!("CUresult {}", result as u32));
    match text(sys::cuGetErrorString) {
        Some(sentence) => format!("{name} ({sentence})"),
        None => name,
    }
}

/// Fails with TC0827, or TC0824 for what a kernel did wrong, unless the result is success.
pub fn check(result: CUresult, what: &str) -> Result<(), Diagnostic> {
    use CUresult::*;
    match result {
        CUDA_SUCCESS => Ok(()),
        CUDA_ERROR_ILLEGAL_ADDRESS
        | CUDA_ERROR_LAUNCH_FAILED
        | CUDA_ERROR_ILLEGAL_INSTRUCTION
        | CUDA_ERROR_MISALIGNED_ADDRESS
        | CUDA_ERROR_INVALID_ADDRESS_SPACE
        | CUDA_ERROR_INVALID_PC
        | CUDA_ERROR_HARDWARE_STACK_ERROR
        | CUDA_ERROR_LAUNCH_TIMEOUT
        | CUDA_ERROR_ASSERT => {
            Err(Diagnostic::error("TC0824", format!("{what}: a kernel failed: {}", describe(result)))
                .with_note("the CUDA context of this process is unusable now")
                .with_help("run again with TRICOT_CUDA_BLOCKING=1 to learn which kernel, and under compute-sanitizer"))
        }
        CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES => Err(Diagnostic::error("TC0824", format!("{what}: {}", describe(result)))
            .with_note("the kernel wants more registers or shared memory than the device has")),
        _ => Err(Diagnostic::error("TC0827", format!("{what}: {}", describe(result)))),
    }
}
