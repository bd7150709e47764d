//! `st.async`, `red.async` (PTX ISA 9.7.9.12, 9.7.13.7), bulk reductions into shared memory and bulk prefetches.
//!
//! ```text
//! thread: st.async [a], v, [mbar] ──queued──▶ the bytes appear at a, mbar's transaction count falls ──▶ waiters go on
//! ```
//! The write is weak and goes through the generic proxy; it happens when the scheduler says so ([`Machine::complete`]), as
//! the copies of [`super::agents`] do. Reductions are atomic.

use super::access::combine;
use super::agents::lanes;
use super::copies::Way;
use super::op::*;
use super::order::Spot;
use super::run::{At, Machine, Stop};
use super::state::*;
use super::step::{barrier_address, read};
use crate::report::Class;

/// What one lane's asynchronous store will write: values and whether they are defined.
pub struct Write {
    /// Block of the cluster and address.
    place: (usize, u64),
    barrier: (usize, u64),
    values: Vec<(u64, bool)>,
    /// Bytes of a value.
    size: usize,
    reduce: Option<(AtomOp, Scalar)>,
}

impl Machine<'_> {
    /// What hands data from block to block wants a launch of clusters, be they of one block: an H100 ends it otherwise with an
    /// illegal instruction, also within a block, which neither the ISA nor ptxas says.
    pub(super) fn wants_cluster(&mut self, at: At, thread: u32, what: &str) -> Result<(), Stop> {
        if self.program.bounds.cluster.is_some() || self.launch.cluster != [1; 3] {
            return Ok(());
        }
        let what = format!("{what} in a launch without clusters is an illegal instruction");
        self.finding(at, Class::Trap, Some(thread), what);
        Err(Stop)
    }

    pub(super) fn async_store(&mut self, at: At, warp: &mut Warp, s: &AsyncStore, mask: u32) -> Result<(), Stop> {
        let name = if s.reduce.is_some() { "`red.async`" } else { "`st.async`" };
        self.wants_cluster(at, warp.index * 32 + mask.trailing_zeros(), name)?;
        let (to, bars) = (self.addresses(at, warp, s.addr, mask), self.addresses(at, warp, s.barrier, mask));
        let (size, bytes) = (s.size as usize, s.size as usize * s.src.len());
        let sources: Vec<_> = s.src.iter().map(|slot| read(warp, *slot)).collect();
        for slot in &s.src {
            if let Slot::R(r) = slot {
                self.check_tokens(at, warp, *r);
            }
        }
        for lane in lanes(mask) {
            let (l, thread) = (lane as usize, warp.index * 32 + lane);
            let place = barrier_address(at, s.space, to[l])
                .filter(|p| p.1 % bytes as u64 == 0 && self.bytes_at(at.cluster, Ok(*p), bytes).is_some());
            let Some(place) = place else { return Err(self.bad_access(at, warp, s.space, to[l], bytes, lane)) };
            let barrier = self.barrier_of(at, warp, s.space, bars[l], lane)?;
            self.live_barrier(at, thread, barrier)?;
            self.after_birth(at, warp, barrier, thread);
            if barrier.0 != place.0 {
                let what = format!(
                    "the destination is in block {} of the cluster and the mbarrier in block {}; they must be in one",
                    place.0, barrier.0
                );
                self.finding(at, Class::Mbarrier, Some(thread), what);
            }
            if s.reduce.is_none() {
                self.poison(at.cluster, place, bytes);
            }
            let values = sources.iter().map(|(v, known)| (v[l], known >> lane & 1 != 0)).collect();
            let what = Pending::Write(Write { place, barrier, values, size, reduce: s.reduce });
            self.queue(at, warp, lane as u8, what);
        }
        self.activity += 1;
        Ok(())
    }

    /// The write happens, and its bytes leave the barrier's transaction count.
    pub(super) fn finish_write(&mut self, at: At, operation: &PendingOperation, w: &Write) -> Result<(), Stop> {
        let bytes = w.size * w.values.len();
        let mut unknown = false;
        if let Some((region, offset)) = self.bytes_at(at.cluster, Ok(w.place), bytes) {
            for (n, (value, known)) in w.values.iter().enumerate() {
                let to = offset + n * w.size;
                let (mut value, mut known) = (*value, *known);
                if let Some((op, ty)) = w.reduce {
                    let (before, defined) = region.load(to, w.size);
                    unknown |= !(defined && known);
                    (value, known) = (combine(op, ty, before, value, 0), defined && known);
                }
                region.store(to, w.size, value, known);
            }
        }
        if unknown {
            let what = "an asynchronous reduction takes a value that was never written".to_string();
            self.finding(at, Class::Uninitialised, None, what);
        }
        let target = [(Spot::Shared(w.place.0, w.place.1), bytes as u64)];
        let way = Way { asynchronous: false, strong: w.reduce.is_some() };
        self.landed_by(at, operation, w.barrier, None, target, way);
        self.change(at, 0, w.barrier, 0, -(bytes as i64)).map(|_| ())
    }

    /// `cp.reduce.async.bulk` into shared memory.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn reduce_shared(
        &mut self,
        at: At,
        operation: &PendingOperation,
        barrier: (usize, u64),
        from: Result<(usize, u64), u64>,
        to: (usize, u64),
        bytes: usize,
        (op, ty): (AtomOp, Scalar),
    ) {
        let size = ty.bytes() as usize;
        let values: Vec<_> = match self.bytes_at(at.cluster, from, bytes) {
            Some((region, offset)) => (0..bytes / size).map(|n| region.load(offset + n * size, size)).collect(),
            None => return,
        };
        let Some((region, offset)) = self.bytes_at(at.cluster, Ok(to), bytes) else { return };
        let mut unknown = false;
        for (n, (value, known)) in values.into_iter().enumerate() {
            let (before, defined) = region.load(offset + n * size, size);
            unknown |= !(known && defined);
            region.store(offset + n * size, size, combine(op, ty, before, value, 0), known && defined);
        }
        if unknown {
            let what = "a bulk reduction takes a value that was never written".to_string();
            self.finding(at, Class::Uninitialised, None, what);
        }
        let reads = from.ok().map(|(block, offset)| (Spot::Shared(block, offset), bytes as u64));
        let target = [(Spot::Shared(to.0, to.1), bytes as u64)];
        self.landed_by(at, operation, barrier, reads, target, Way { asynchronous: true, strong: true });
    }

    /// `cp.async.bulk.prefetch` changes nothing; its operands must be as those of a copy.
    pub(super) fn prefetch(&mut self, at: At, warp: &Warp, src: Addr, size: u32, mask: u32) -> Result<(), Stop> {
        let from = self.addresses(at, warp, src, mask);
        for lane in lanes(mask) {
            let (address, size) = (from[lane as usize], warp.r[size as usize][lane as usize]);
            if address % 16 != 0 || size % 16 != 0 {
                let what = format!("a prefetch of {size} bytes at {address:#x}: both must be multiples of 16");
                self.finding(at, Class::Misaligned, Some(warp.index * 32 + lane), what);
                return Err(Stop);
            }
        }
        Ok(())
    }
}
