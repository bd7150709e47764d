//! The runtime's tests that need whole bundles: binding, running on both devices, hostile input.
//!
//! One binary, so that it can be carried to a machine with a GPU and run there: every fixture is embedded.

mod binding;
mod cpu;
mod cuda;
mod fake_cuda;
mod hostile;
mod model;
mod support;

/// Refuses any single allocation above 1 GiB: a hostile size that reached an allocator aborts the test, where the
/// runtime promises a coded error.
struct Limited;

#[global_allocator]
static ALLOCATOR: Limited = Limited;

const LIMIT: usize = 1 << 30;

// SAFETY: the system allocator, which may always return null.
unsafe impl std::alloc::GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: std::alloc::Layout) -> *mut u8 {
        match layout.size() > LIMIT {
            true => std::ptr::null_mut(),
            // SAFETY: passed on.
            false => unsafe { std::alloc::System.alloc(layout) },
        }
    }
    unsafe fn alloc_zeroed(&self, layout: std::alloc::Layout) -> *mut u8 {
        match layout.size() > LIMIT {
            true => std::ptr::null_mut(),
            // SAFETY: passed on.
            false => unsafe { std::alloc::System.alloc_zeroed(layout) },
        }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: std::alloc::Layout) {
        // SAFETY: passed on.
        unsafe { std::alloc::System.dealloc(pointer, layout) }
    }
}
