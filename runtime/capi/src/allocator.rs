//! Workspace memory from the caller's own allocator.

use crate::arguments::reference;
use std::ffi::c_void;
use std::sync::Arc;
use tricot_runtime::Allocator;
use tricot_types::Diagnostic;

/// Where an instance takes its workspace from. The functions are called on the thread that binds, runs or frees the
/// instance, never by two threads at once for one instance; an allocator shared by several instances must stand calls
/// from all their threads. They must not call Tricot, and must not throw or jump out.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TricotAllocator {
    /// Handed to both functions; Tricot never looks at it. It must live until the last instance with it is freed.
    pub user: *mut c_void,
    /// Memory on the module's device: its address, aligned to `align` bytes (a power of two, 256 at present), or null when
    /// there is none.
    pub allocate: Option<unsafe extern "C" fn(user: *mut c_void, bytes: u64, align: u64) -> *mut c_void>,
    /// Takes back what `allocate` gave. No work uses it any more.
    pub free: Option<unsafe extern "C" fn(user: *mut c_void, pointer: *mut c_void, bytes: u64)>,
}

/// Both functions are there.
struct Callbacks {
    user: *mut c_void,
    allocate: unsafe extern "C" fn(*mut c_void, u64, u64) -> *mut c_void,
    free: unsafe extern "C" fn(*mut c_void, *mut c_void, u64),
}

// SAFETY: the header says which threads call the functions.
unsafe impl Send for Callbacks {}
// SAFETY: as above.
unsafe impl Sync for Callbacks {}

impl Allocator for Callbacks {
    fn allocate(&self, bytes: u64, align: u64) -> Option<u64> {
        // SAFETY: the caller gave this function for this purpose.
        let pointer = unsafe { (self.allocate)(self.user, bytes, align) };
        (!pointer.is_null()).then_some(pointer as u64)
    }

    fn free(&self, pointer: u64, bytes: u64) {
        // SAFETY: as above.
        unsafe { (self.free)(self.user, pointer as *mut c_void, bytes) }
    }
}

/// The allocator as the runtime wants it; `None` for null.
///
/// # Safety
/// `allocator` is null or valid for reading.
pub(crate) unsafe fn read(allocator: *const TricotAllocator) -> Result<Option<Arc<dyn Allocator>>, Diagnostic> {
    if allocator.is_null() {
        return Ok(None);
    }
    // SAFETY: as the caller promises.
    let TricotAllocator { user, allocate, free } = *unsafe { reference(allocator, "allocator") }?;
    match (allocate, free) {
        (Some(allocate), Some(free)) => Ok(Some(Arc::new(Callbacks { user, allocate, free }))),
        _ => Err(Diagnostic::error("TC0890", "`allocator` lacks a function").with_help("set `allocate` and `free`")),
    }
}
