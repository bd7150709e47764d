//! The memory an instance computes in: arena and scratch.
//!
//! The central type is [`Workspace`]. Its memory is the instance's own, the caller's, or comes from an [`Allocator`] of
//! the caller's. Knows no plan.

use crate::bound::ARENA_ALIGN;
use crate::cuda::CudaMemory;
use crate::module::{Inner, Program};
use crate::tensor::AlignedBytes;
use std::sync::Arc;
use tricot_types::Diagnostic;

/// Where workspaces come from, if not from Tricot itself: memory pools, accounting, pinned pages.
///
/// Called on the thread that binds, runs or drops the instance.
pub trait Allocator: Send + Sync {
    /// The address of `bytes` bytes on the module's device, aligned to `align` (a power of two); `None` when there is
    /// no memory. The bytes need not be zero. A wrong address cannot be noticed before the device faults.
    fn allocate(&self, bytes: u64, align: u64) -> Option<u64>;

    /// Takes back what `allocate` gave. No work uses it any more.
    fn free(&self, pointer: u64, bytes: u64);
}

/// Arena and scratch.
pub(crate) enum Workspace {
    None,
    Host(AlignedBytes),
    Device(CudaMemory),
    Lent(Lent),
    Caller { pointer: u64, bytes: u64 },
}

/// Memory of an [`Allocator`]; given back when dropped.
pub(crate) struct Lent {
    pointer: u64,
    bytes: u64,
    allocator: Arc<dyn Allocator>,
    module: Arc<Inner>,
}

impl Workspace {
    /// New memory on the module's device. TC0811 or TC0823 when there is not enough, TC0810 for a misaligned address.
    pub fn allocate(
        module: &Arc<Inner>,
        allocator: Option<&Arc<dyn Allocator>>,
        bytes: u64,
    ) -> Result<Workspace, Diagnostic> {
        let Some(allocator) = allocator else {
            return Ok(match &module.program {
                Program::Cuda(cuda) => Workspace::Device(cuda.allocate(bytes, "arena and scratch")?),
                _ => Workspace::Host(AlignedBytes::zeroed(bytes, ARENA_ALIGN as usize)?),
            });
        };
        let pointer = allocator.allocate(bytes, ARENA_ALIGN).filter(|p| *p != 0).ok_or_else(|| {
            Diagnostic::error("TC0811", format!("the caller's allocator has no {bytes} bytes of workspace"))
                .with_help("bind smaller sizes, or let the allocator give more")
        })?;
        let lent = Lent { pointer, bytes, allocator: allocator.clone(), module: module.clone() };
        check_alignment(pointer)?;
        Ok(Workspace::Lent(lent))
    }

    pub fn pointer(&self) -> u64 {
        match self {
            Workspace::None => ARENA_ALIGN,
            Workspace::Host(bytes) => bytes.as_ptr() as u64,
            Workspace::Device(memory) => memory.pointer(),
            Workspace::Lent(lent) => lent.pointer,
            Workspace::Caller { pointer, .. } => *pointer,
        }
    }

    pub fn bytes(&self) -> u64 {
        match self {
            Workspace::None => 0,
            Workspace::Host(bytes) => bytes.len() as u64,
            Workspace::Device(memory) => memory.bytes(),
            Workspace::Lent(lent) => lent.bytes,
            Workspace::Caller { bytes, .. } => *bytes,
        }
    }
}

/// TC0810 for an address that kernels cannot work at.
pub(crate) fn check_alignment(pointer: u64) -> Result<(), Diagnostic> {
    match pointer.is_multiple_of(ARENA_ALIGN) {
        true => Ok(()),
        false => {
            let message = format!("workspace at {pointer:#x} is not {ARENA_ALIGN}-byte aligned");
            Err(Diagnostic::error("TC0810", message))
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // Work queued on a caller's stream may still use it; unlike the driver, the allocator does not wait for that.
        if let Program::Cuda(cuda) = &self.module.program {
            cuda.wait();
        }
        self.allocator.free(self.pointer, self.bytes);
    }
}
