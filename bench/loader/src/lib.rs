//! Runs bundles inside the benchmark's process: load, bind, run on the caller's pointers and stream, as five C functions.
//!
//! The central type is [`Loaded`], behind an opaque pointer. Every function returns null or non-zero on failure and leaves the reason for
//! [`tricot_bench_error`]. It knows no benchmark; it is as much of a C interface as `bench/native.py` needs.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tricot_runtime::{
    Bindings, BoundPort, Bundle, Device, Diagnostic, Instance, Module, RunOptions, Symbol, TensorRef,
};

/// A bundle bound to sizes.
pub struct Loaded {
    instance: Instance,
    inputs: Vec<BoundPort>,
    outputs: Vec<BoundPort>,
    /// Ports as JSON, for the caller to allocate by.
    description: CString,
}

thread_local! {
    static ERROR: RefCell<CString> = RefCell::default();
}

type Outcome<T> = Result<T, Vec<Diagnostic>>;

/// Runs `work`; a problem or panic becomes the thread's error text and `failed`.
fn guarded<T>(failed: T, work: impl FnOnce() -> Outcome<T>) -> T {
    let text = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => return value,
        Ok(Err(problems)) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        Err(_) => "the runtime panicked".into(),
    };
    ERROR.set(CString::new(text.replace('\0', " ")).unwrap_or_default());
    failed
}

/// Why the last call on this thread failed; valid until the next failure.
#[unsafe(no_mangle)]
pub extern "C" fn tricot_bench_error() -> *const c_char {
    ERROR.with_borrow(|text| text.as_ptr())
}

/// Loads the bundle at `path` on `device` (`cpu`, `cuda:0`) and binds `sizes` (`batch=4,seq=128`, or empty). Null on failure.
///
/// # Safety
/// All three are C strings. The bundle is trusted: its code runs in this process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tricot_bench_load(
    path: *const c_char,
    device: *const c_char,
    sizes: *const c_char,
) -> *mut Loaded {
    // SAFETY: the caller vouches for the strings.
    let [path, device, sizes] = [path, device, sizes].map(|s| unsafe { CStr::from_ptr(s) }.to_string_lossy());
    guarded(std::ptr::null_mut(), || {
        let device = Device::parse(&device)?;
        // SAFETY: the caller trusts the bundle.
        let module = unsafe { Module::load_trusted(Bundle::open(path.as_ref())?, device)? };
        let instance = module.bind(&bindings(&sizes)?)?;
        let (inputs, outputs) = (instance.inputs().to_vec(), instance.outputs().to_vec());
        let ports = |list: &[BoundPort]| -> Vec<_> {
            let port =
                |p: &BoundPort| serde_json::json!({"name": p.name, "dtype": p.dtype.to_string(), "shape": p.shape});
            list.iter().map(port).collect()
        };
        let text = serde_json::json!({"inputs": ports(&inputs), "outputs": ports(&outputs)}).to_string();
        let description = CString::new(text).unwrap_or_default();
        Ok(Box::into_raw(Box::new(Loaded { instance, inputs, outputs, description })))
    })
}

fn bindings(text: &str) -> Outcome<Bindings> {
    let pair = |pair: &str| {
        let read = pair.split_once('=').and_then(|(s, n)| Some((Symbol::new(s)?, n.parse().ok()?)));
        read.ok_or_else(|| vec![Diagnostic::error("TC0912", format!("`{pair}` is no binding"))])
    };
    text.split(',').filter(|p| !p.is_empty()).map(pair).collect()
}

/// Inputs and outputs as JSON; valid while the bundle is loaded.
///
/// # Safety
/// `loaded` came from [`tricot_bench_load`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tricot_bench_describe(loaded: *const Loaded) -> *const c_char {
    // SAFETY: passed on.
    unsafe { (*loaded).description.as_ptr() }
}

/// Queues a run on a `CUstream`, which may be capturing; on `cpu` it runs now. `pointers` are those of all inputs, then all outputs.
/// 0 on success.
///
/// # Safety
/// `loaded` came from [`tricot_bench_load`]; `pointers` holds `count` addresses of dense tensors of the described sizes on the device.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tricot_bench_run(
    loaded: *mut Loaded,
    pointers: *const u64,
    count: usize,
    stream: u64,
) -> c_int {
    // SAFETY: the caller vouches for both.
    let (loaded, pointers) = unsafe { (&mut *loaded, std::slice::from_raw_parts(pointers, count)) };
    guarded(1, || {
        let ports = loaded.inputs.iter().chain(&loaded.outputs);
        let tensor =
            |(p, pointer): (&BoundPort, &u64)| TensorRef { pointer: *pointer, dtype: p.dtype, shape: p.shape.clone() };
        let tensors: Vec<TensorRef> = ports.zip(pointers).map(tensor).collect();
        let (inputs, outputs) = tensors.split_at(loaded.inputs.len().min(tensors.len()));
        // The caller owns the graph that is replayed; a second one inside would only hide what is measured.
        let options = RunOptions { stream: Some(stream), synchronize: false, graphs: false, ..RunOptions::default() };
        // SAFETY: the caller vouches for the addresses.
        unsafe { loaded.instance.run_at(inputs, outputs, &options)? };
        Ok(0)
    })
}

/// Frees a loaded bundle; null is fine.
///
/// # Safety
/// `loaded` came from [`tricot_bench_load`] and its runs are complete.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tricot_bench_free(loaded: *mut Loaded) {
    if !loaded.is_null() {
        // SAFETY: made by `Box::into_raw`.
        drop(unsafe { Box::from_raw(loaded) });
    }
}
