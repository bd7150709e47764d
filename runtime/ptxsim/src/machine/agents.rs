//! Operations that complete by themselves, and the barriers they complete on: which file runs which.

use super::op::*;
use super::run::{At, Flow, Machine, Stop};
use super::state::*;
use crate::report::Class;

impl Machine<'_> {
    pub(super) fn asynchronous(&mut self, at: At, warp: &mut Warp, op: &Op, mask: u32) -> Result<Flow, Stop> {
        match op {
            Op::MbarInit { .. }
            | Op::MbarInval { .. }
            | Op::MbarArrive { .. }
            | Op::MbarTx { .. }
            | Op::MbarWait { .. } => return self.mbarrier_operation(at, warp, op, mask),
            Op::CpAsync { .. }
            | Op::CpAsyncCommit
            | Op::CpAsyncWait { .. }
            | Op::CpAsyncArrive { .. }
            | Op::BulkLoad { .. } => self.copy_operation(at, warp, op, mask)?,
            Op::BulkStore { .. } | Op::BulkCommit | Op::BulkWait { .. } => self.store_operation(at, warp, op, mask)?,
            Op::BulkPrefetch { src, size } => self.prefetch(at, warp, *src, *size, mask)?,
            Op::AsyncStore(store) => self.async_store(at, warp, store, mask)?,
            Op::Tensor(t) => self.tensor(at, warp, t, mask)?,
            Op::TensormapReplace { .. } | Op::TensormapCopy { .. } => self.change_map(at, warp, op, mask)?,
            _ => {
                self.finding(at, Class::Trap, None, "this operation is decoded but the machine does not run it".into());
                return Err(Stop);
            }
        }
        Ok(Flow::Next)
    }
}

pub(super) fn lanes(mask: u32) -> impl Iterator<Item = u32> {
    (0..32).filter(move |l| mask >> l & 1 != 0)
}
