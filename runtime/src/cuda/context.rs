//! Devices, primary contexts, and what lives in them: memory, streams, events.
//!
//! The central type is [`Context`]. Each owner keeps its context alive; each call makes the context current on
//! the calling thread and restores what was current before, so a host with its own CUDA state is not disturbed.

use super::driver::{self, Driver, check, describe};
use super::{Clocks, DeviceInfo};
use cudarc::driver::sys::{self, CUdevice_attribute, CUresult};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tricot_types::Diagnostic;

/// Everything about each device.
pub(super) fn devices(driver: &Driver) -> Result<Vec<DeviceInfo>, Diagnostic> {
    let mut count = 0;
    // SAFETY: the pointer is valid.
    check(unsafe { sys::cuDeviceGetCount(&mut count) }, "counting devices")?;
    (0..count.max(0) as u32).map(|n| device(driver, n)).collect()
}

/// One device; TC0822 when there is none with this ordinal.
pub(super) fn device(driver: &Driver, ordinal: u32) -> Result<DeviceInfo, Diagnostic> {
    let handle = handle(driver, ordinal)?;
    let attribute = |which| attribute(handle, which);
    let mut name = [0u8; 128];
    let mut memory = 0usize;
    // SAFETY: the buffer has the length given; the driver ends the name with a zero byte.
    unsafe {
        check(sys::cuDeviceGetName(name.as_mut_ptr().cast(), name.len() as i32, handle), "asking a device name")?;
        check(sys::cuDeviceTotalMem_v2(&mut memory, handle), "asking a device's memory")?;
    }
    let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
    Ok(DeviceInfo {
        ordinal,
        name: String::from_utf8_lossy(&name[..end]).into_owned(),
        capability: (
            attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
            attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
        ),
        memory_bytes: memory as u64,
        multiprocessors: attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
    })
}

/// Its highest clocks; TC0822 when there is none with this ordinal.
pub(super) fn clocks(driver: &Driver, ordinal: u32) -> Result<Clocks, Diagnostic> {
    let handle = handle(driver, ordinal)?;
    Ok(Clocks {
        core_khz: attribute(handle, CUdevice_attribute::CU_DEVICE_ATTRIBUTE_CLOCK_RATE)?,
        memory_khz: attribute(handle, CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE)?,
        bus_bits: attribute(handle, CUdevice_attribute::CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH)?,
    })
}

fn attribute(handle: sys::CUdevice, which: CUdevice_attribute) -> Result<u32, Diagnostic> {
    let mut value = 0;
    // SAFETY: the device is valid and so is the pointer.
    check(unsafe { sys::cuDeviceGetAttribute(&mut value, which, handle) }, "asking a device attribute")?;
    Ok(value.max(0) as u32)
}

fn handle(_: &Driver, ordinal: u32) -> Result<sys::CUdevice, Diagnostic> {
    let (mut count, mut handle) = (0, 0);
    // SAFETY: the pointers are valid.
    check(unsafe { sys::cuDeviceGetCount(&mut count) }, "counting devices")?;
    if i64::from(ordinal) >= i64::from(count) {
        return Err(driver::no_device(&format!("there is no CUDA device {ordinal}: the driver finds {count}")));
    }
    // SAFETY: the ordinal is in range.
    check(unsafe { sys::cuDeviceGet(&mut handle, ordinal as i32) }, "opening a device")?;
    Ok(handle)
}

/// A device's primary context, retained.
pub struct Context {
    pub(super) driver: &'static Driver,
    handle: sys::CUcontext,
    device: sys::CUdevice,
}

// SAFETY: driver handles may be used from any thread.
unsafe impl Send for Context {}
// SAFETY: the driver locks internally.
unsafe impl Sync for Context {}

impl Context {
    /// The context of a device; one per process and device while anybody holds it.
    pub fn of(ordinal: u32) -> Result<Arc<Context>, Diagnostic> {
        static OPEN: Mutex<BTreeMap<u32, Weak<Context>>> = Mutex::new(BTreeMap::new());
        let driver = driver::driver()?;
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(context) = open.get(&ordinal).and_then(Weak::upgrade) {
            return Ok(context);
        }
        let device = handle(driver, ordinal)?;
        let mut context = std::ptr::null_mut();
        // SAFETY: the device is valid.
        check(unsafe { sys::cuDevicePrimaryCtxRetain(&mut context, device) }, "opening the primary context")?;
        let context = Arc::new(Context { driver, handle: context, device });
        open.insert(ordinal, Arc::downgrade(&context));
        Ok(context)
    }

    /// Makes it current until the guard is dropped.
    pub(super) fn enter(&self) -> Result<Entered, Diagnostic> {
        // SAFETY: the context is retained.
        check(unsafe { sys::cuCtxPushCurrent_v2(self.handle) }, "entering the context")?;
        Ok(Entered(std::marker::PhantomData))
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: retained once when opened.
        let _ = unsafe { sys::cuDevicePrimaryCtxRelease_v2(self.device) };
    }
}

/// The context is current on this thread while this lives; it cannot leave the thread.
pub(super) struct Entered(std::marker::PhantomData<*const ()>);

impl Drop for Entered {
    fn drop(&mut self) {
        let mut old = std::ptr::null_mut();
        // SAFETY: pushed by `enter`.
        let _ = unsafe { sys::cuCtxPopCurrent_v2(&mut old) };
    }
}

/// Device memory; freed when dropped (the driver waits for work that uses it).
pub struct CudaMemory {
    context: Arc<Context>,
    pointer: u64,
    bytes: u64,
}

impl CudaMemory {
    /// Uninitialised memory, 256-byte aligned. `what` is for the message of TC0823.
    pub fn allocate(context: &Arc<Context>, bytes: u64, what: &str) -> Result<CudaMemory, Diagnostic> {
        let _entered = context.enter()?;
        let mut pointer = 0;
        let size = usize::try_from(bytes.max(1)).unwrap_or(usize::MAX);
        // SAFETY: the context is current.
        match unsafe { sys::cuMemAlloc_v2(&mut pointer, size) } {
            CUresult::CUDA_SUCCESS => Ok(CudaMemory { context: context.clone(), pointer, bytes }),
            CUresult::CUDA_ERROR_OUT_OF_MEMORY => {
                let (mut free, mut total) = (0, 0);
                // SAFETY: the context is current and the pointers are valid.
                let known = unsafe { sys::cuMemGetInfo_v2(&mut free, &mut total) } == CUresult::CUDA_SUCCESS;
                let d = Diagnostic::error("TC0823", format!("out of device memory: {bytes} bytes wanted for {what}"));
                let d = if known { d.with_note(format!("{free} of {total} bytes are free")) } else { d };
                Err(d.with_help("bind smaller sizes, free device memory, or use `--device cpu`"))
            }
            other => {
                Err(Diagnostic::error("TC0827", format!("allocating {bytes} bytes for {what}: {}", describe(other))))
            }
        }
    }

    pub fn pointer(&self) -> u64 {
        self.pointer
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Copies host bytes in at a byte offset and waits. TC0810 when they do not fit.
    pub fn upload(&self, offset: u64, bytes: &[u8]) -> Result<(), Diagnostic> {
        self.check_range(offset, bytes.len())?;
        let _entered = self.context.enter()?;
        // SAFETY: the range was checked; the null stream is synchronised before the borrow ends.
        unsafe {
            let stream = std::ptr::null_mut();
            let from = bytes.as_ptr().cast();
            check(sys::cuMemcpyHtoDAsync_v2(self.pointer + offset, from, bytes.len(), stream), "uploading")?;
            check(sys::cuStreamSynchronize(stream), "uploading")
        }
    }

    /// Copies bytes out from a byte offset and waits. TC0810 when the range is not inside.
    pub fn download(&self, offset: u64, bytes: &mut [u8]) -> Result<(), Diagnostic> {
        self.check_range(offset, bytes.len())?;
        let _entered = self.context.enter()?;
        // SAFETY: as above.
        unsafe {
            let stream = std::ptr::null_mut();
            let to = bytes.as_mut_ptr().cast();
            check(sys::cuMemcpyDtoHAsync_v2(to, self.pointer + offset, bytes.len(), stream), "downloading")?;
            check(sys::cuStreamSynchronize(stream), "downloading")
        }
    }

    fn check_range(&self, offset: u64, length: usize) -> Result<(), Diagnostic> {
        match offset.checked_add(length as u64) {
            Some(end) if end <= self.bytes => Ok(()),
            _ => Err(Diagnostic::error("TC0810", format!("{length} bytes at byte {offset} of {} bytes", self.bytes))),
        }
    }
}

impl Drop for CudaMemory {
    fn drop(&mut self) {
        if let Ok(_entered) = self.context.enter() {
            // SAFETY: allocated in this context.
            let _ = unsafe { sys::cuMemFree_v2(self.pointer) };
        }
    }
}

/// A stream that does not wait for the null stream.
pub struct Stream {
    context: Arc<Context>,
    handle: sys::CUstream,
}

// SAFETY: as for `Context`.
unsafe impl Send for Stream {}

impl Stream {
    pub fn new(context: &Arc<Context>) -> Result<Stream, Diagnostic> {
        let _entered = context.enter()?;
        let mut handle = std::ptr::null_mut();
        let flags = sys::CUstream_flags_enum::CU_STREAM_NON_BLOCKING as u32;
        // SAFETY: the context is current.
        check(unsafe { sys::cuStreamCreate(&mut handle, flags) }, "creating a stream")?;
        Ok(Stream { context: context.clone(), handle })
    }

    /// The `CUstream`, for [`crate::RunOptions::stream`].
    pub fn raw(&self) -> u64 {
        self.handle as u64
    }

    /// Waits until everything queued is done. TC0824 when a kernel failed.
    pub fn synchronize(&self) -> Result<(), Diagnostic> {
        let _entered = self.context.enter()?;
        // SAFETY: the stream is alive.
        check(unsafe { sys::cuStreamSynchronize(self.handle) }, "waiting for the stream")
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Ok(_entered) = self.context.enter() {
            // SAFETY: created in this context. Waiting first keeps memory that is freed next in use no longer.
            unsafe {
                let _ = sys::cuStreamSynchronize(self.handle);
                let _ = sys::cuStreamDestroy_v2(self.handle);
            }
        }
    }
}

/// A point in a stream, for times.
pub struct Event {
    context: Arc<Context>,
    handle: sys::CUevent,
}

// SAFETY: as for `Context`.
unsafe impl Send for Event {}

impl Event {
    /// Records a new event on a stream (a raw `CUstream`, 0 for the null stream).
    ///
    /// # Safety
    /// The stream is alive and belongs to the context.
    pub unsafe fn record(context: &Arc<Context>, stream: u64) -> Result<Event, Diagnostic> {
        let _entered = context.enter()?;
        let mut handle = std::ptr::null_mut();
        // SAFETY: the context is current; the caller vouches for the stream.
        unsafe {
            check(sys::cuEventCreate(&mut handle, 0), "creating an event")?;
            let event = Event { context: context.clone(), handle };
            check(sys::cuEventRecord(handle, stream as sys::CUstream), "recording an event")?;
            Ok(event)
        }
    }

    /// Waits for both and gives the time from `self` to `later`; resolution about half a microsecond.
    pub fn until(&self, later: &Event) -> Result<std::time::Duration, Diagnostic> {
        let _entered = self.context.enter()?;
        let mut milliseconds = 0f32;
        // SAFETY: both events are recorded.
        unsafe {
            check(sys::cuEventSynchronize(later.handle), "waiting for an event")?;
            check(sys::cuEventElapsedTime(&mut milliseconds, self.handle, later.handle), "reading a time")?;
        }
        Ok(std::time::Duration::from_secs_f64(f64::from(milliseconds.max(0.0)) * 1e-3))
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if let Ok(_entered) = self.context.enter() {
            // SAFETY: created in this context.
            let _ = unsafe { sys::cuEventDestroy_v2(self.handle) };
        }
    }
}
