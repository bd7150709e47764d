//! Copies into shared memory: `cp.async` and bulk copies (PTX ISA 9.7.9.25).
//!
//! A copy is queued when it is issued and happens when the scheduler says so ([`Machine::complete`]): as late as the program allows, or at
//! a random moment.

use super::access::{shared_target, window};
use super::agents::lanes;
use super::im2col::Map;
use super::op::*;
use super::order::{Actor, Clocks, Issuer, Post, Spot, WHOLE};
use super::run::{At, Machine, Stop};
use super::state::*;
use super::step::read;
use super::tensor::Runs;
use crate::memory::DEFINED;
use crate::report::Class;
use crate::syntax::Space;

/// How a write that completes on an mbarrier reaches shared memory.
#[derive(Clone, Copy)]
pub(super) struct Way {
    /// Through the async proxy.
    pub asynchronous: bool,
    /// Atomic.
    pub strong: bool,
}

impl Machine<'_> {
    /// `cp.async` and `cp.async.bulk` into shared memory, for the lanes of `mask`.
    pub(super) fn copy_operation(&mut self, at: At, warp: &mut Warp, op: &Op, mask: u32) -> Result<(), Stop> {
        let index = warp.index;
        let thread = move |lane: u32| index * 32 + lane;
        match op {
            Op::CpAsync { dst, src, size, bytes } => {
                let (to, from) = (self.addresses(at, warp, *dst, mask), self.addresses(at, warp, *src, mask));
                let count = match bytes {
                    None => [u64::from(*size); 32],
                    Some(Slot::P(p)) => {
                        let p = warp.p[*p as usize];
                        std::array::from_fn(|i| if p >> i & 1 != 0 { 0 } else { u64::from(*size) })
                    }
                    Some(slot) => read(warp, *slot).0,
                };
                for lane in lanes(mask) {
                    let (d, s, n) =
                        (to[lane as usize], from[lane as usize], count[lane as usize].min(u64::from(*size)) as u32);
                    if d % u64::from(*size) != 0 || s % u64::from(*size) != 0 {
                        let (space, bad) =
                            if d % u64::from(*size) != 0 { (Space::Shared, d) } else { (Space::Global, s) };
                        return Err(self.bad_access(at, warp, space, bad, *size as usize, lane));
                    }
                    if n > 0 && self.global.find(s, n as usize).is_none() {
                        return Err(self.bad_access(at, warp, Space::Global, s, n as usize, lane));
                    }
                    if self.bytes_at(at.cluster, Ok(shared_target(at, d)), *size as usize).is_none() {
                        return Err(self.bad_access(at, warp, Space::Shared, d, *size as usize, lane));
                    }
                    self.poison(at.cluster, shared_target(at, d), *size as usize);
                    warp.copies.push(PendingCopy { lane, dst: d, src: s, size: *size, bytes: n, line: at.line });
                }
            }
            Op::CpAsyncCommit => {
                let group = std::mem::take(&mut warp.copies);
                warp.copy_groups.push_back(group);
            }
            Op::CpAsyncWait { pending } => {
                let keep = pending.unwrap_or(0) as usize;
                while warp.copy_groups.len() > keep {
                    let group = warp.copy_groups.pop_front().unwrap_or_default();
                    self.perform_own(at, warp, &group);
                }
                if pending.is_none() {
                    let open = std::mem::take(&mut warp.copies);
                    self.perform_own(at, warp, &open);
                }
            }
            Op::CpAsyncArrive { space, addr, noinc } => {
                let addresses = self.addresses(at, warp, *addr, mask);
                let mut copies: Vec<PendingCopy> = vec![];
                for group in warp.copy_groups.iter_mut().chain([&mut warp.copies]) {
                    let (mine, rest) =
                        std::mem::take(group).into_iter().partition(|c: &PendingCopy| mask >> c.lane & 1 != 0);
                    copies.extend::<Vec<_>>(mine);
                    *group = rest;
                }
                let mut left = mask;
                while left != 0 {
                    let first = left.trailing_zeros();
                    let address = addresses[first as usize];
                    let place = self.barrier_of(at, warp, *space, address, first)?;
                    self.live_barrier(at, thread(first), place)?;
                    let same = lanes(left).filter(|l| addresses[*l as usize] == address).fold(0u32, |m, l| m | 1 << l);
                    if !noinc && let Some(bar) = self.mbarrier(at.cluster, place) {
                        bar.pending += i64::from(same.count_ones());
                    }
                    let (mine, rest) = copies.into_iter().partition(|c| same >> c.lane & 1 != 0);
                    copies = rest;
                    let what = Pending::Arrive { block: place.0, copies: mine, barrier: place.1, lanes: same };
                    let lane = if same.is_power_of_two() { first as u8 } else { WHOLE };
                    self.queue(at, warp, lane, what);
                    left &= !same;
                }
            }
            Op::BulkLoad { dst, src, size, barrier, multicast, from_shared, reduce } => {
                if *from_shared {
                    self.wants_cluster(at, thread(mask.trailing_zeros()), "a bulk copy between blocks")?;
                }
                let (to, from) = (self.addresses(at, warp, *dst, mask), self.addresses(at, warp, *src, mask));
                let bars = self.addresses(at, warp, *barrier, mask);
                for lane in lanes(mask) {
                    let l = lane as usize;
                    let size = warp.r[*size as usize][l];
                    let space = |a: u64| if window(a).0 == Space::Shared { a & 0xffff_ffff } else { a };
                    let (d, b) = (space(to[l]), space(bars[l]));
                    if size % 16 != 0 || d % 16 != 0 || from[l] % 16 != 0 {
                        let what = format!(
                            "a bulk copy of {size} bytes from {:#x} to shared address {d}: all must be multiples of 16",
                            from[l]
                        );
                        self.finding(at, Class::Misaligned, Some(thread(lane)), what);
                        return Err(Stop);
                    }
                    let source = if *from_shared { Ok(shared_target(at, from[l])) } else { Err(from[l]) };
                    if self.bytes_at(at.cluster, source, size as usize).is_none() {
                        let space = if *from_shared { Space::Shared } else { Space::Global };
                        return Err(self.bad_access(at, warp, space, from[l], size as usize, lane));
                    }
                    for rank in self.targets(at, *multicast, warp, l) {
                        let (dst_block, offset) = rank.map_or_else(|| shared_target(at, d), |r| (r, d & 0xff_ffff));
                        let place = rank.map_or_else(|| shared_target(at, b), |r| (r, b & 0xff_ffff));
                        self.live_barrier(at, thread(lane), place)?;
                        self.visible_barrier(at, warp, place, thread(lane));
                        if self.bytes_at(at.cluster, Ok((dst_block, offset)), size as usize).is_none() {
                            return Err(self.bad_access(at, warp, Space::Shared, d, size as usize, lane));
                        }
                        if reduce.is_none() {
                            self.poison(at.cluster, (dst_block, offset), size as usize);
                        }
                        let src = match source {
                            Ok((block, a)) => Ok((block as u64) << 32 | a),
                            Err(a) => Err(a),
                        };
                        let what =
                            Pending::Linear { dst_block, dst: offset, src, size, barrier: place, reduce: *reduce };
                        self.queue(at, warp, lane as u8, what);
                    }
                }
                self.activity += 1;
            }
            _ => {}
        }
        Ok(())
    }

    /// Blocks a copy goes to: `None` for what the address says.
    pub(super) fn targets(&self, _at: At, multicast: Option<u32>, warp: &Warp, lane: usize) -> Vec<Option<usize>> {
        match multicast {
            None => vec![None],
            Some(m) => {
                let mask = warp.r[m as usize][lane];
                (0..16).filter(|r| mask >> r & 1 != 0).map(|r| Some(r as usize)).collect()
            }
        }
    }

    /// Marks bytes that a copy will write: what reads them before its completion sees undefined bytes.
    pub(super) fn poison(&mut self, cluster: usize, place: (usize, u64), len: usize) {
        if let Some((region, offset)) = self.bytes_at(cluster, Ok(place), len) {
            region.state[offset..offset + len].fill(0);
        }
    }

    /// Makes a queued operation happen.
    pub(super) fn complete(&mut self, which: usize) -> Result<(), Stop> {
        let Some(operation) = self.pending.remove(which) else { return Ok(()) };
        let at = At { cluster: operation.cluster, block: operation.issuer, line: operation.line, pc: 0 };
        self.activity += 1;
        match &operation.what {
            Pending::Write(write) => self.finish_write(at, &operation, write)?,
            Pending::Linear { dst_block, dst, src, size, barrier, reduce: Some(how) } => {
                let place = src.map(|s| ((s >> 32) as usize, s & 0xffff_ffff));
                self.reduce_shared(at, &operation, *barrier, place, (*dst_block, *dst), *size as usize, *how);
                self.change(at, 0, *barrier, 0, -i64::from(*size))?;
            }
            Pending::Linear { dst_block, dst, src, size, barrier, reduce: None } => {
                let (dst_block, dst, size, barrier) = (*dst_block, *dst, *size, *barrier);
                let place = src.map(|s| ((s >> 32) as usize, s & 0xffff_ffff));
                let copied = self.bytes_at(at.cluster, place, size as usize).map(|(region, offset)| {
                    let range = offset..offset + size as usize;
                    (region.data[range.clone()].to_vec(), region.state[range].to_vec())
                });
                if let (Some((data, state)), Some((region, offset))) =
                    (copied, self.bytes_at(at.cluster, Ok((dst_block, dst)), size as usize))
                {
                    region.data[offset..offset + size as usize].copy_from_slice(&data);
                    region.state[offset..offset + size as usize].copy_from_slice(&state);
                }
                let from = match place {
                    Ok((block, offset)) => Some(Spot::Shared(block, offset)),
                    Err(address) => self.spot(at, Space::Global, address),
                };
                let reads = from.map(|spot| (spot, u64::from(size)));
                self.landed(at, &operation, barrier, reads, [(Spot::Shared(dst_block, dst), u64::from(size))]);
                self.change(at, 0, barrier, 0, -i64::from(size))?;
            }
            Pending::Tensor { map, coordinates, dst_block, dst, barrier, count } => {
                let (dst_block, dst, count, barrier) = (*dst_block, *dst, *count, *barrier);
                let map = Map::decode(map).map_err(|_| Stop)?;
                let tensor = map.tensor();
                let mut runs = Runs::default();
                let window = map.window();
                let size = tensor.element as usize;
                let Some((region, offset)) = self.bytes_at(at.cluster, Ok((dst_block, dst)), window) else {
                    return Err(Stop);
                };
                // Gaps stay as they are.
                let mut data = region.data[offset..offset + window].to_vec();
                let mut state = region.state[offset..offset + window].to_vec();
                let fill = tensor.fill();
                let mut bad = None;
                map.each_element(coordinates, |offset, address| {
                    let to = tensor.swizzled(dst, offset) as usize - dst as usize;
                    state[to..to + size].fill(DEFINED);
                    let Some(address) = address else {
                        data[to..to + size].copy_from_slice(&fill[..size]);
                        return;
                    };
                    runs.add(address, size as u64);
                    match self.global.find(address, size) {
                        Some((region, from)) if tensor.converts() => {
                            let bits = tensor.loaded(region.load(from, size).0);
                            data[to..to + size].copy_from_slice(&bits.to_le_bytes()[..size]);
                            state[to..to + size].copy_from_slice(&region.state[from..from + size]);
                        }
                        Some((region, from)) => {
                            data[to..to + size].copy_from_slice(&region.data[from..from + size]);
                            state[to..to + size].copy_from_slice(&region.state[from..from + size]);
                        }
                        None => bad = Some(address),
                    }
                });
                if let Some(address) = bad {
                    let place = self.global.describe(address);
                    self.finding(at, Class::OutOfBounds, None, format!("a tensor copy reads {place}"));
                    return Err(Stop);
                }
                if let Some((region, offset)) = self.bytes_at(at.cluster, Ok((dst_block, dst)), window) {
                    region.data[offset..offset + window].copy_from_slice(&data);
                    region.state[offset..offset + window].copy_from_slice(&state);
                }
                *self.report.bytes.entry("tensor load").or_insert(0) += u64::from(count);
                let reads: Vec<_> = runs.spots(self, at).collect();
                let spot = |(offset, len)| (Spot::Shared(dst_block, dst + offset), len);
                let targets = tensor.pieces(dst, u64::from(count)).into_iter().map(spot);
                self.landed(at, &operation, barrier, reads, targets);
                self.change(at, 0, barrier, 0, -i64::from(count))?;
            }
            Pending::Arrive { block, copies, barrier, lanes } => {
                let barrier = (*block, *barrier);
                if self.launch.order
                    && let Some((agent, time)) = self.next_copy(at, barrier)
                {
                    if let Some(bar) = self.mbarrier(at.cluster, barrier) {
                        // The lanes' arrival carries what they knew.
                        bar.clocks.join(&operation.clocks);
                        bar.clocks.advance(agent, time);
                    }
                    let cluster = self.cluster_number(at);
                    let phase = self.mbarrier(at.cluster, barrier).map_or(0, |b| b.phase);
                    self.pass_as(at, (cluster, agent), Post::Copy(operation.number), false);
                    for c in copies {
                        let issuer = Issuer { lane: c.lane as u8, ..operation.origin };
                        self.touch_copy(at, c, Copier { agent, time, issuer, clocks: &operation.clocks });
                    }
                    self.pass_as(at, (cluster, agent), Post::Phase(cluster, barrier.0, barrier.1, phase), true);
                }
                self.perform(at, copies);
                self.change(at, 0, barrier, i64::from(lanes.count_ones()), 0)?;
            }
        }
        Ok(())
    }

    /// Queues an asynchronous operation of a lane.
    pub(super) fn queue(&mut self, at: At, warp: &mut Warp, lane: u8, what: Pending) {
        let number = self.queued;
        self.queued += 1;
        self.pass(at, warp, |_| Post::Copy(number), true);
        self.pending.push_back(PendingOperation {
            number,
            cluster: at.cluster,
            issuer: at.block,
            line: at.line,
            clocks: warp.clocks.clone(),
            origin: warp.issuer(lane),
            what,
        });
        warp.tick();
    }

    /// Agent and time of the next copy that completes on a barrier.
    fn next_copy(&mut self, at: At, barrier: (usize, u64)) -> Option<(u16, u32)> {
        let copier = self.clusters[at.cluster].as_mut()?.copiers.get_mut(&barrier)?;
        copier.1 += 1;
        let (number, time) = *copier;
        Some((self.copy_agent(number), time))
    }

    /// A copy into shared memory has happened: an agent that its mbarrier's waiters join.
    fn landed(
        &mut self,
        at: At,
        operation: &PendingOperation,
        barrier: (usize, u64),
        reads: impl IntoIterator<Item = (Spot, u64)>,
        targets: impl IntoIterator<Item = (Spot, u64)>,
    ) {
        self.landed_by(at, operation, barrier, reads, targets, Way { asynchronous: true, strong: false });
    }

    /// The same for what goes through the generic proxy, and for atomic operations.
    pub(super) fn landed_by(
        &mut self,
        at: At,
        operation: &PendingOperation,
        barrier: (usize, u64),
        reads: impl IntoIterator<Item = (Spot, u64)>,
        targets: impl IntoIterator<Item = (Spot, u64)>,
        way: Way,
    ) {
        if !self.launch.order {
            return;
        }
        let Some((agent, time)) = self.next_copy(at, barrier) else { return };
        let Some(bar) = self.mbarrier(at.cluster, barrier) else { return };
        bar.clocks.advance(agent, time);
        let phase = bar.phase;
        let cluster = self.cluster_number(at);
        self.pass_as(at, (cluster, agent), Post::Copy(operation.number), false);
        let write = Actor {
            agent,
            time,
            cluster: self.cluster_number(at),
            issuer: operation.origin,
            clocks: &operation.clocks,
            write: true,
            asynchronous: way.asynchronous,
            strong: way.strong,
            line: at.line,
        };
        for (spot, len) in reads {
            self.touch(at, spot, len, Actor { write: false, strong: false, ..write }, None);
        }
        for (spot, len) in targets {
            self.touch(at, spot, len, write, None);
        }
        self.pass_as(at, (cluster, agent), Post::Phase(cluster, barrier.0, barrier.1, phase), true);
    }

    /// Records what a `cp.async` reads and writes; it belongs to the generic proxy.
    fn touch_copy(&mut self, at: At, c: &PendingCopy, by: Copier) {
        let write = Actor {
            agent: by.agent,
            time: by.time,
            cluster: self.cluster_number(at),
            issuer: by.issuer,
            clocks: by.clocks,
            write: true,
            asynchronous: false,
            strong: false,
            line: c.line,
        };
        if c.bytes > 0
            && let Some(spot) = self.spot(at, Space::Global, c.src)
        {
            self.touch(at, spot, u64::from(c.bytes), Actor { write: false, ..write }, None);
        }
        let (block, offset) = shared_target(at, c.dst);
        self.touch(at, Spot::Shared(block, offset), u64::from(c.size), write, None);
    }

    /// `cp.async` copies of a warp that it waits for itself.
    fn perform_own(&mut self, at: At, warp: &Warp, copies: &[PendingCopy]) {
        if self.launch.order {
            let (agent, time) = (warp.agent, warp.clocks.time(warp.agent));
            for c in copies {
                self.touch_copy(at, c, Copier { agent, time, issuer: warp.issuer(c.lane as u8), clocks: &warp.clocks });
            }
        }
        self.perform(at, copies);
    }

    /// `cp.async` copies, whose addresses were checked at issue.
    fn perform(&mut self, at: At, copies: &[PendingCopy]) {
        for c in copies {
            let mut data = [0u8; 16];
            let mut state = [DEFINED; 16];
            let n = c.bytes as usize;
            if n > 0
                && let Some((region, offset)) = self.global.find(c.src, n)
            {
                data[..n].copy_from_slice(&region.data[offset..offset + n]);
                state[..n].copy_from_slice(&region.state[offset..offset + n]);
            }
            let size = c.size as usize;
            if let Some((region, offset)) = self.bytes_at(at.cluster, Ok(shared_target(at, c.dst)), size) {
                region.data[offset..offset + size].copy_from_slice(&data[..size]);
                region.state[offset..offset + size].copy_from_slice(&state[..size]);
            }
        }
        self.activity += 1;
    }
}

/// Who a `cp.async` comes from, with what knowledge.
struct Copier<'a> {
    agent: u16,
    time: u32,
    issuer: Issuer,
    clocks: &'a Clocks,
}
