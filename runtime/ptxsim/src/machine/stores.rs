//! Bulk stores: copies from shared to global memory that their issuer waits for in groups (PTX ISA 9.7.9.25).
//!
//! A store reads its source and writes its target when its group is waited for, which is the latest legal moment.

use super::access::{combine, shared_target};
use super::agents::lanes;
use super::im2col::Map;
use super::op::*;
use super::order::{Actor, Post, Spot};
use super::run::{At, Machine, Stop};
use super::state::*;
use super::tensor::Runs;
use crate::memory::DEFINED;
use crate::report::Class;
use crate::syntax::Space;

impl Machine<'_> {
    /// `cp.async.bulk` from shared to global memory and its groups, for the lanes of `mask`.
    pub(super) fn store_operation(&mut self, at: At, warp: &mut Warp, op: &Op, mask: u32) -> Result<(), Stop> {
        let index = warp.index;
        let thread = move |lane: u32| index * 32 + lane;
        match op {
            Op::BulkStore { dst, src, size, reduce } => {
                let (to, from) = (self.addresses(at, warp, *dst, mask), self.addresses(at, warp, *src, mask));
                for lane in lanes(mask) {
                    let l = lane as usize;
                    let size = warp.r[*size as usize][l];
                    let s = from[l] & 0xffff_ffff;
                    if size % 16 != 0 || to[l] % 16 != 0 || s % 16 != 0 {
                        let what = format!(
                            "a bulk copy of {size} bytes from shared address {s} to {:#x}: all must be multiples of 16",
                            to[l]
                        );
                        self.finding(at, Class::Misaligned, Some(thread(lane)), what);
                        return Err(Stop);
                    }
                    if self.global.find(to[l], size as usize).is_none() {
                        return Err(self.bad_access(at, warp, Space::Global, to[l], size as usize, lane));
                    }
                    if self.bytes_at(at.cluster, Ok(shared_target(at, s)), size as usize).is_none() {
                        return Err(self.bad_access(at, warp, Space::Shared, s, size as usize, lane));
                    }
                    let store = BulkStore::Linear { dst: to[l], src: s, size, reduce: *reduce };
                    warp.store(lane, at.line, store);
                }
            }
            Op::BulkCommit => {
                for lane in lanes(mask) {
                    let (mine, rest) = std::mem::take(&mut warp.stores).into_iter().partition(|s| s.lane == lane);
                    warp.stores = rest;
                    warp.store_groups.push_back((lane, mine));
                }
            }
            Op::BulkWait { pending, read } => {
                for lane in lanes(mask) {
                    loop {
                        let open = warp.store_groups.iter().filter(|g| g.0 == lane).count();
                        if open <= *pending as usize {
                            break;
                        }
                        let Some(first) = warp.store_groups.iter().position(|g| g.0 == lane) else { break };
                        if let Some((_, group)) = warp.store_groups.remove(first) {
                            for s in group {
                                self.read_by_store(at, warp, &s);
                                self.perform_store(at, warp, s)?;
                            }
                        }
                    }
                }
                // Without `.read` what they wrote is visible to the threads that wait.
                if !read {
                    let agent = self.store_agent(warp);
                    for n in 1..=if self.trail.is_some() { warp.stored } else { 0 } {
                        self.pass(at, warp, |cluster| Post::Stores((cluster, agent), n), false);
                    }
                    warp.clocks.advance(agent, warp.stored);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Records what a bulk store reads of shared memory.
    fn read_by_store(&mut self, at: At, warp: &Warp, s: &PendingStore) {
        let (src, pieces) = match &s.store {
            BulkStore::Linear { src, size, .. } => (*src, vec![(0, u64::from(*size))]),
            BulkStore::Tensor { map, src, .. } => {
                let start = shared_target(at, *src).1;
                (*src, Map::decode(map).map_or(vec![], |m| m.tensor().pieces(start, u64::from(m.bytes()))))
            }
        };
        let (block, start) = shared_target(at, src);
        let at = At { line: s.line, ..at };
        for (offset, len) in pieces {
            self.read_async(at, warp, &s.clocks, s.issuer, Spot::Shared(block, start + offset), len);
        }
    }

    /// Records what a bulk store writes of global memory.
    fn write_by_store(&mut self, at: At, warp: &Warp, s: &PendingStore, spots: impl Iterator<Item = (Spot, u64)>) {
        if !self.launch.order {
            return;
        }
        let reduces = match &s.store {
            BulkStore::Linear { reduce, .. } => reduce.is_some(),
            BulkStore::Tensor { reduce, .. } => reduce.is_some(),
        };
        let actor = Actor {
            agent: self.store_agent(warp),
            time: warp.stored,
            cluster: self.cluster_number(at),
            issuer: s.issuer,
            clocks: &s.clocks,
            write: true,
            asynchronous: true,
            strong: reduces,
            line: s.line,
        };
        let (issuer, own) = ((actor.cluster, warp.agent), (actor.cluster, actor.agent));
        self.pass_as(At { line: s.line, ..at }, issuer, Post::Stores(issuer, actor.time), true);
        self.pass_as(At { line: s.line, ..at }, own, Post::Stores(issuer, actor.time), false);
        for (spot, len) in spots {
            self.touch(at, spot, len, actor, Some(warp.index * 32 + s.lane));
        }
        self.pass_as(At { line: s.line, ..at }, own, Post::Stores(own, actor.time), true);
    }

    fn perform_store(&mut self, at: At, warp: &mut Warp, store: PendingStore) -> Result<(), Stop> {
        let at = At { line: store.line, ..at };
        let thread = warp.index * 32 + store.lane;
        warp.stored += 1;
        self.activity += 1;
        match &store.store {
            BulkStore::Linear { dst, src, size, reduce } => {
                let (dst, src, size) = (*dst, *src, *size);
                let written = self.spot(at, Space::Global, dst).map(|spot| (spot, u64::from(size)));
                self.write_by_store(at, warp, &store, written.into_iter());
                let place = Ok(shared_target(at, src));
                let Some((region, offset)) = self.bytes_at(at.cluster, place, size as usize) else { return Err(Stop) };
                let data = region.data[offset..offset + size as usize].to_vec();
                let undefined = region.state[offset..offset + size as usize].contains(&0);
                if undefined {
                    self.finding(
                        at,
                        Class::Uninitialised,
                        Some(thread),
                        "a bulk store reads shared memory that was never written".into(),
                    );
                }
                let Some((region, offset)) = self.global.find(dst, size as usize) else { return Err(Stop) };
                match reduce {
                    None => region.data[offset..offset + size as usize].copy_from_slice(&data),
                    Some((op, ty)) => {
                        let step = ty.bytes() as usize;
                        for e in (0..size as usize).step_by(step) {
                            let mut value = [0; 8];
                            value[..step].copy_from_slice(&data[e..e + step]);
                            let old = region.load(offset + e, step).0;
                            region.store(offset + e, step, combine(*op, *ty, old, u64::from_le_bytes(value), 0), true);
                        }
                    }
                }
                region.state[offset..offset + size as usize].fill(DEFINED);
            }
            BulkStore::Tensor { map, coordinates, src, reduce } => {
                let map = Map::decode(map).map_err(|_| Stop)?;
                let (tensor, count, window) = (map.tensor(), map.bytes() as usize, map.window());
                let mut runs = Runs::default();
                let (block, start) = shared_target(at, *src);
                let Some((region, offset)) = self.bytes_at(at.cluster, Ok((block, start)), window) else {
                    return Err(Stop);
                };
                let data = region.data[offset..offset + window].to_vec();
                let state = region.state[offset..offset + window].to_vec();
                let size = tensor.element as usize;
                let (mut bad, mut undefined) = (None, false);
                map.each_element(coordinates, |offset, address| {
                    let from = (tensor.swizzled(start, offset) - start) as usize;
                    let Some(address) = address else { return };
                    runs.add(address, size as u64);
                    undefined |= state[from..from + size].contains(&0);
                    match self.global.find(address, size) {
                        Some((region, to)) => {
                            let mut value = [0; 8];
                            value[..size].copy_from_slice(&data[from..from + size]);
                            let mut value = u64::from_le_bytes(value);
                            if let Some(op) = reduce {
                                value = tensor.reduced(*op, region.load(to, size).0, value);
                            }
                            region.store(to, size, value, true);
                        }
                        None => bad = Some(address),
                    }
                });
                let spots: Vec<_> = runs.spots(self, at).collect();
                self.write_by_store(at, warp, &store, spots.into_iter());
                *self.report.bytes.entry("tensor store").or_insert(0) += count as u64;
                if undefined {
                    self.finding(
                        at,
                        Class::Uninitialised,
                        Some(thread),
                        "a tensor store reads shared memory that was never written".into(),
                    );
                }
                if let Some(address) = bad {
                    let place = self.global.describe(address);
                    self.finding(at, Class::OutOfBounds, Some(thread), format!("a tensor store writes {place}"));
                    return Err(Stop);
                }
            }
        }
        Ok(())
    }

    /// Stores that are still open when their warp ends.
    pub(super) fn drain_stores(&mut self, at: At, warp: &mut Warp) -> Result<(), Stop> {
        let groups = std::mem::take(&mut warp.store_groups);
        let open = std::mem::take(&mut warp.stores);
        if !groups.is_empty() || !open.is_empty() {
            let lane = groups.front().map_or_else(|| open[0].lane, |g| g.0);
            let what = "a thread ends before its bulk stores have read shared memory".to_string();
            self.finding(at, Class::PtxContract, Some(warp.index * 32 + lane), what);
        }
        for s in groups.into_iter().flat_map(|g| g.1).chain(open) {
            self.read_by_store(at, warp, &s);
            self.perform_store(at, warp, s)?;
        }
        Ok(())
    }
}

impl Warp {
    /// Queues a bulk store of a lane.
    pub(super) fn store(&mut self, lane: u32, line: u32, store: BulkStore) {
        let (clocks, issuer) = (self.clocks.clone(), self.issuer(lane as u8));
        self.stores.push(PendingStore { lane, line, clocks, issuer, store });
        self.tick();
    }
}
