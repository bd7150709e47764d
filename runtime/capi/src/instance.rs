//! Instances for C: a module with memory. The central type is [`TricotInstance`].

use crate::allocator::{self, TricotAllocator};
use crate::arguments::{Out, TRICOT_MAX_RANK, TricotBinding, bindings, fill, item, reference, slice, wrong};
use crate::dtype::{TricotDType, from_c};
use crate::error::{TricotError, guard};
use crate::module::TricotModule;
use crate::options::{self, TricotRunOptions};
use std::ffi::c_void;
use std::sync::{Mutex, TryLockError};
use tricot_runtime::{BoundPort, Device, HostTensor, Instance, TensorRef};
use tricot_types::Diagnostic;

/// A module with memory. One thread at a time may use it; it may move between threads. Use by two threads at once is an
/// error (`TC0894`), not a crash, as long as none of them frees it.
pub struct TricotInstance {
    device: Device,
    instance: Mutex<Instance>,
}

/// A dense row-major tensor in the caller's memory. Tricot reads inputs, writes outputs, and keeps no pointer to either
/// after the work is complete.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TricotTensor {
    /// Address of the first element, aligned to the element's size on `cpu` and to 16 bytes on `cuda`; may be null where
    /// there are no elements.
    pub data: *mut c_void,
    /// Element type.
    pub dtype: TricotDType,
    /// Number of dimensions, at most 64.
    pub rank: usize,
    /// Sizes of the dimensions; may be null where there are none.
    pub shape: *const u64,
}

impl TricotInstance {
    /// The instance, if no other thread is at it.
    fn lock(&self) -> Result<std::sync::MutexGuard<'_, Instance>, Diagnostic> {
        match self.instance.try_lock() {
            Ok(guard) => Ok(guard),
            Err(TryLockError::WouldBlock) => Err(Diagnostic::error("TC0894", "another thread is using this instance")
                .with_help("make an instance for each thread; the module may be shared")),
            Err(TryLockError::Poisoned(_)) => {
                Err(Diagnostic::error("TC0895", "an internal error has left this instance unusable")
                    .with_help("free it and make another; please report the first error"))
            }
        }
    }
}

/// # Safety
/// As [`slice`], and every tensor's shape is null, misaligned or valid for its rank.
unsafe fn tensors(pointer: *const TricotTensor, count: usize, what: &str) -> Result<Vec<TensorRef>, Vec<Diagnostic>> {
    // SAFETY: as the caller promises.
    let tensors = unsafe { slice(pointer, count, what) }?;
    let read = |(i, t): (usize, &TricotTensor)| {
        let what = format!("{what}[{i}]");
        if t.rank > TRICOT_MAX_RANK {
            return Err(wrong(format!("`{what}.rank` is {}, at most {TRICOT_MAX_RANK} is possible", t.rank)));
        }
        // SAFETY: as the caller promises.
        let shape = unsafe { slice(t.shape, t.rank, &format!("{what}.shape")) }?;
        let dtype = from_c(t.dtype, &format!("`{what}.dtype`"))?;
        Ok(TensorRef { pointer: t.data as u64, dtype, shape: shape.to_vec() })
    };
    let (good, bad): (Vec<_>, Vec<_>) = tensors.iter().enumerate().map(read).partition(Result::is_ok);
    match bad.is_empty() {
        true => Ok(good.into_iter().flatten().collect()),
        false => Err(bad.into_iter().filter_map(Result::err).collect()),
    }
}

/// Makes an instance of a module. `allocator` gives its workspace; null for Tricot's own. `*instance` is the caller's, to be
/// freed by `tricot_instance_free`; null after an error. The module may be freed at once. Any thread.
///
/// # Safety
/// `module` is null or a live module; `allocator` is null or valid for reading; `instance` is null or valid for writing.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn tricot_instance_create(
    module: *const TricotModule,
    allocator: *const TricotAllocator,
    instance: *mut *mut TricotInstance,
) -> *mut TricotError {
    guard(|| {
        // SAFETY: as the caller promises.
        let (out, module, allocator) =
            unsafe { (Out::handle(instance, "instance")?, reference(module, "module")?, allocator::read(allocator)?) };
        let mut made = module.module.instance();
        if let Some(allocator) = allocator {
            made.set_allocator(allocator);
        }
        out.give(TricotInstance { device: module.module.device(), instance: Mutex::new(made) });
        Ok(())
    })
}

/// Frees an instance and its workspace; null is fine. Waits for work that still uses them. Once, from any thread.
///
/// # Safety
/// `instance` is null or an instance not yet freed, which no other thread uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tricot_instance_free(instance: *mut TricotInstance) {
    if !instance.is_null() {
        // SAFETY: made by `Out::give`.
        drop(unsafe { Box::from_raw(instance) });
    }
}

/// Uses the caller's memory as workspace: on the module's device, 256-byte aligned (`TC0810`). It stays the caller's, is used
/// by this instance alone while runs are under way, and must outlive the instance or be replaced by another call.
/// `tricot_module_workspace_bytes` tells how much is needed. One thread at a time.
///
/// # Safety
/// `instance` is null or a live instance; the workspace is valid as said.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn tricot_instance_set_workspace(
    instance: *mut TricotInstance,
    workspace: *mut c_void,
    bytes: u64,
) -> *mut TricotError {
    guard(|| {
        // SAFETY: as the caller promises.
        let instance = unsafe { reference(instance, "instance") }?;
        if workspace.is_null() && bytes > 0 {
            return Err(vec![Diagnostic::error("TC0890", "`workspace` is null")]);
        }
        // SAFETY: as the caller promises.
        Ok(unsafe { instance.lock()?.set_workspace(workspace as u64, bytes) }?)
    })
}

/// Gives symbols their values and makes memory ready. The values stay in force for symbols that no input's shape
/// determines; a run takes the others from its inputs. One thread at a time.
///
/// # Safety
/// `instance` is null or a live instance; `symbols` is null or valid for `count` bindings with NUL-terminated names.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn tricot_instance_bind(
    instance: *mut TricotInstance,
    symbols: *const TricotBinding,
    count: usize,
) -> *mut TricotError {
    guard(|| {
        // SAFETY: as the caller promises.
        let (instance, values) = unsafe { (reference(instance, "instance")?, bindings(symbols, count)?) };
        instance.lock()?.bind(&values)
    })
}

/// The same with values taken from the inputs' shapes; `data` is not looked at. One thread at a time.
///
/// # Safety
/// `instance` is null or a live instance; `inputs` is null or valid for `count` tensors with valid shapes.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn tricot_instance_bind_shapes(
    instance: *mut TricotInstance,
    inputs: *const TricotTensor,
    count: usize,
) -> *mut TricotError {
    guard(|| {
        // SAFETY: as the caller promises.
        let (instance, inputs) = unsafe { (reference(instance, "instance")?, tensors(inputs, count, "inputs")?) };
        let shapes: Vec<_> = inputs.iter().map(|t| (t.dtype, t.shape.as_slice())).collect();
        instance.lock()?.bind_shapes(&shapes)
    })
}

/// The shape an input has under the last binding. `shape` has room for `capacity` sizes; `*count` becomes their number,
/// also when they do not fit (`TC0893`). One thread at a time.
///
/// # Safety
/// `instance` is null or a live instance; `shape` is null or valid for `capacity` values; `count` is null or valid for
/// writing.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn tricot_instance_input_shape(
    instance: *const TricotInstance,
    index: usize,
    shape: *mut u64,
    capacity: usize,
    count: *mut usize,
) -> *mut TricotError {
    // SAFETY: as the caller promises.
    guard(|| unsafe { bound_shape(instance, Instance::inputs, "input", index, (shape, capacity, count)) })
}

/// The shape an output has under the last binding; otherwise as `tricot_instance_input_shape`. One thread at a time.
///
/// # Safety
/// As `tricot_instance_input_shape`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn tricot_instance_output_shape(
    instance: *const TricotInstance,
    index: usize,
    shape: *mut u64,
    capacity: usize,
    count: *mut usize,
) -> *mut TricotError {
    // SAFETY: as the caller promises.
    guard(|| unsafe { bound_shape(instance, Instance::outputs, "output", index, (shape, capacity, count)) })
}

/// # Safety
/// As `tricot_instance_input_shape`.
unsafe fn bound_shape(
    instance: *const TricotInstance,
    ports: fn(&Instance) -> &[BoundPort],
    what: &str,
    index: usize,
    (shape, capacity, count): (*mut u64, usize, *mut usize),
) -> Result<(), Vec<Diagnostic>> {
    // SAFETY: as the caller promises.
    let instance = unsafe { reference(instance, "instance") }?.lock()?;
    if instance.bound_symbols().is_none() {
        return Err(vec![
            Diagnostic::error("TC0805", "the instance is not bound, so no shape is known")
                .with_help("call tricot_instance_bind or tricot_instance_bind_shapes first"),
        ]);
    }
    let port = item(ports(&instance), index, what)?;
    // SAFETY: as the caller promises.
    Ok(unsafe { fill(&port.shape, shape, capacity, count) }?)
}

/// Runs on memory of the module's device: host memory for `cpu`, device memory for `cuda`. Inputs and outputs are in the
/// bundle's order; symbols are bound from the inputs' shapes. No output may overlap an input or another output, except one
/// at the very address of the input it aliases. `options` may be null. After an error the outputs' contents are undefined.
/// With `TRICOT_RUN_ASYNC` the tensors and the workspace must stay as they are until the stream has got there. One thread at
/// a time.
///
/// # Safety
/// `instance` is null or a live instance; `inputs` and `outputs` are null or valid for their counts, with valid shapes and
/// with data valid for the bytes of dtype and shape; `options` is null or valid for reading.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn tricot_instance_run(
    instance: *mut TricotInstance,
    inputs: *const TricotTensor,
    input_count: usize,
    outputs: *const TricotTensor,
    output_count: usize,
    options: *const TricotRunOptions,
) -> *mut TricotError {
    guard(|| {
        // SAFETY: as the caller promises.
        let (instance, inputs, outputs, options) = unsafe {
            (
                reference(instance, "instance")?,
                tensors(inputs, input_count, "inputs")?,
                tensors(outputs, output_count, "outputs")?,
                options::read(options)?,
            )
        };
        // SAFETY: as the caller promises.
        unsafe { instance.lock()?.run_at(&inputs, &outputs, &options) }?;
        Ok(())
    })
}

/// Runs on host memory, whatever the device: on `cuda` inputs are copied there and outputs back, and the call returns when
/// they are complete (`TRICOT_RUN_ASYNC` is refused). Otherwise as `tricot_instance_run`. One thread at a time.
///
/// # Safety
/// As `tricot_instance_run`, with data in host memory.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn tricot_instance_run_host(
    instance: *mut TricotInstance,
    inputs: *const TricotTensor,
    input_count: usize,
    outputs: *const TricotTensor,
    output_count: usize,
    options: *const TricotRunOptions,
) -> *mut TricotError {
    guard(|| {
        // SAFETY: as the caller promises.
        let (instance, ins, outs, options) = unsafe {
            (
                reference(instance, "instance")?,
                tensors(inputs, input_count, "inputs")?,
                tensors(outputs, output_count, "outputs")?,
                options::read(options)?,
            )
        };
        if !options.synchronize {
            return Err(vec![wrong("TRICOT_RUN_ASYNC has no meaning with host memory").with_help("leave it out")]);
        }
        let mut locked = instance.lock()?;
        if instance.device.in_host_memory() {
            // SAFETY: as the caller promises.
            unsafe { locked.run_at(&ins, &outs, &options) }?;
            return Ok(());
        }
        // Shapes and counts are checked before the caller's memory is read by them.
        locked.bind_shapes(&ins.iter().map(|t| (t.dtype, t.shape.as_slice())).collect::<Vec<_>>())?;
        let names: Vec<String> = locked.inputs().iter().map(|p| p.name.clone()).collect();
        let mut copies = vec![];
        for t in &ins {
            let count = tricot_runtime::tensor::tensor_bytes(t.dtype, &t.shape)?;
            // SAFETY: as the caller promises.
            let bytes = unsafe { slice(t.pointer as *const u8, count as usize, "inputs[].data") }?;
            copies.push(HostTensor::from_bytes(t.dtype, &t.shape, bytes)?);
        }
        let mut results =
            outs.iter().map(|t| HostTensor::zeros(t.dtype, &t.shape)).collect::<Result<Vec<_>, Diagnostic>>()?;
        let named: Vec<_> = names.iter().map(String::as_str).zip(&copies).collect();
        locked.run_into(&named, &mut results.iter_mut().collect::<Vec<_>>(), &options)?;
        for (result, out) in results.iter().zip(&outs) {
            let count = result.bytes().len();
            // SAFETY: as the caller promises; the count is written to a local variable.
            unsafe { fill(result.bytes(), out.pointer as *mut u8, count, &mut { 0 }) }?;
        }
        Ok(())
    })
}
