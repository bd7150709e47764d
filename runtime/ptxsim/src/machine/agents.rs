//! Barriers in shared memory and the copies that complete on them (PTX ISA 9.7.9.25, 9.7.13.15).
//!
//! A copy into shared memory is queued when it is issued and happens when the scheduler says so ([`Machine::complete`]): as
//! late as the program allows, or at a random moment. Bulk stores read their source when their group is waited for.

use super::access::{combine, shared_target, window};
use super::im2col::Map;
use super::op::*;
use super::order::{Actor, Clocks, Issuer, Post, Spot, WHOLE};
use super::run::{At, Flow, Machine, Stop};
use super::state::*;
use super::step::{barrier_address, read};
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
    pub(super) fn barrier_of(
        &mut self,
        at: At,
        warp: &Warp,
        space: Space,
        address: u64,
        lane: u32,
    ) -> Result<(usize, u64), Stop> {
        let found = barrier_address(at, space, address);
        let exists = found.is_some_and(|(b, a)| {
            a % 8 == 0
                && self.clusters[at.cluster]
                    .as_ref()
                    .and_then(|c| c.blocks.get(b))
                    .is_some_and(|b| a + 8 <= b.shared.data.len() as u64)
        });
        match found {
            Some(found) if exists => Ok(found),
            _ => Err(self.bad_access(at, warp, space, address, 8, lane)),
        }
    }

    pub(super) fn mbarrier(&mut self, cluster: usize, place: (usize, u64)) -> Option<&mut Mbarrier> {
        self.clusters[cluster].as_mut()?.blocks.get_mut(place.0)?.mbarriers.get_mut(&place.1)
    }

    /// A finding if there is no initialised barrier at a place.
    pub(super) fn live_barrier(&mut self, at: At, thread: u32, place: (usize, u64)) -> Result<(), Stop> {
        if self.mbarrier(at.cluster, place).is_some() {
            return Ok(());
        }
        let what = format!(
            "there is no initialised mbarrier at shared address {} of block {} of the cluster",
            place.1, place.0
        );
        self.finding(at, Class::Mbarrier, Some(thread), what);
        Err(Stop)
    }

    /// A finding if the barrier's initialisation is not ordered before its use.
    pub(super) fn after_birth(&mut self, at: At, warp: &Warp, place: (usize, u64), thread: u32) {
        if !self.launch.order {
            return;
        }
        let Some(bar) = self.mbarrier(at.cluster, place) else { return };
        let (agent, time) = bar.born;
        if agent != warp.agent && warp.clocks.time(agent) < time {
            let what = format!(
                "the mbarrier at shared address {} is used with no barrier between its initialisation at PTX line {} and here",
                place.1, bar.line
            );
            self.finding(at, Class::Race, Some(thread), what);
        }
    }

    /// A finding if a copy completes on a barrier whose initialisation the async proxy may not see.
    pub(super) fn visible_barrier(&mut self, at: At, warp: &Warp, place: (usize, u64), thread: u32) {
        self.after_birth(at, warp, place, thread);
        let home = self.cluster_number(at);
        let Some(bar) = self.mbarrier(at.cluster, place) else { return };
        let (agent, time) = bar.born;
        if bar.published || warp.clocks.fenced(home, home, agent) >= time {
            return;
        }
        let what = format!(
            "a copy completes on the mbarrier at shared address {}, with neither `fence.mbarrier_init` nor `fence.proxy.async` after its initialisation at PTX line {}",
            place.1, bar.line
        );
        if self.launch.order {
            self.finding(at, Class::MbarrierInit, Some(thread), what);
        }
    }

    pub(super) fn change(
        &mut self,
        at: At,
        thread: u32,
        place: (usize, u64),
        arrivals: i64,
        bytes: i64,
    ) -> Result<u64, Stop> {
        self.live_barrier(at, thread, place)?;
        let Some(bar) = self.mbarrier(at.cluster, place) else { return Err(Stop) };
        let phase = bar.phase;
        bar.transactions += bytes;
        bar.pending -= arrivals;
        if bar.pending < 0 {
            let what = format!("more arrivals than the {} that the mbarrier expects in phase {phase}", bar.expected);
            self.finding(at, Class::Mbarrier, Some(thread), what);
            return Err(Stop);
        }
        bar.settle();
        self.activity += 1;
        Ok(phase)
    }

    #[allow(clippy::too_many_lines)]
    pub(super) fn asynchronous(&mut self, at: At, warp: &mut Warp, op: &Op, mask: u32) -> Result<Flow, Stop> {
        let index = warp.index;
        let thread = move |lane: u32| index * 32 + lane;
        match op {
            Op::MbarInit { space, addr, count } => {
                let addresses = self.addresses(at, warp, *addr, mask);
                for lane in lanes(mask) {
                    let place = self.barrier_of(at, warp, *space, addresses[lane as usize], lane)?;
                    let count = warp.r[*count as usize][lane as usize];
                    if count == 0 || count >= 1 << 20 {
                        self.finding(
                            at,
                            Class::Mbarrier,
                            Some(thread(lane)),
                            format!("an mbarrier of {count} arrivals; 1 to 1048575 are possible"),
                        );
                        return Err(Stop);
                    }
                    let born = (warp.agent, warp.clocks.time(warp.agent));
                    let Some(cluster) = &mut self.clusters[at.cluster] else { return Err(Stop) };
                    let number = cluster.copiers.len();
                    cluster.copiers.entry(place).or_insert((number, 0));
                    let bar = Mbarrier {
                        expected: count,
                        pending: i64::from(count),
                        transactions: 0,
                        phase: 0,
                        line: at.line,
                        released: warp.clocks.clone(),
                        clocks: Clocks::default(),
                        published: false,
                        born,
                    };
                    let block = &mut cluster.blocks[place.0];
                    let old = block.mbarriers.insert(place.1, bar);
                    let offset = place.1 as usize;
                    block.shared.state[offset..offset + 8].fill(DEFINED);
                    if let Some(old) = old {
                        let what = format!(
                            "the mbarrier at {} is initialised again without `mbarrier.inval` (first at line {})",
                            place.1, old.line
                        );
                        self.finding(at, Class::Mbarrier, Some(thread(lane)), what);
                    }
                }
                self.activity += 1;
            }
            Op::MbarInval { space, addr } => {
                let addresses = self.addresses(at, warp, *addr, mask);
                for lane in lanes(mask) {
                    let place = self.barrier_of(at, warp, *space, addresses[lane as usize], lane)?;
                    self.live_barrier(at, thread(lane), place)?;
                    if let Some(c) = &mut self.clusters[at.cluster] {
                        c.blocks[place.0].mbarriers.remove(&place.1);
                    }
                }
            }
            Op::MbarArrive { space, addr, state, count, expect, drop, complete } => {
                let addresses = self.addresses(at, warp, *addr, mask);
                let _ = complete;
                let mut phases = [0u64; 32];
                for lane in lanes(mask) {
                    let place = self.barrier_of(at, warp, *space, addresses[lane as usize], lane)?;
                    let n = count.map_or(1, |c| warp.r[c as usize][lane as usize]);
                    let bytes = expect.map_or(0, |e| warp.r[e as usize][lane as usize]);
                    self.live_barrier(at, thread(lane), place)?;
                    self.after_birth(at, warp, place, thread(lane));
                    if *drop && let Some(bar) = self.mbarrier(at.cluster, place) {
                        bar.expected = bar.expected.saturating_sub(n);
                    }
                    if let Some(bar) = self.mbarrier(at.cluster, place) {
                        let same = lanes(mask).filter(|l| addresses[*l as usize] == addresses[lane as usize]);
                        bar.clocks.join(&warp.arriving(same.fold(0, |m, l| m | 1 << l)));
                    }
                    let phase = self.change(at, thread(lane), place, i64::from(n), i64::from(bytes))?;
                    phases[lane as usize] = phase;
                    self.pass(at, warp, |cluster| Post::Phase(cluster, place.0, place.1, phase), true);
                }
                warp.tick();
                super::step::write(warp, *state, mask, &phases, u32::MAX);
            }
            Op::MbarTx { space, addr, bytes, complete } => {
                let addresses = self.addresses(at, warp, *addr, mask);
                for lane in lanes(mask) {
                    let place = self.barrier_of(at, warp, *space, addresses[lane as usize], lane)?;
                    let bytes = i64::from(warp.r[*bytes as usize][lane as usize]);
                    self.change(at, thread(lane), place, 0, if *complete { -bytes } else { bytes })?;
                }
            }
            Op::MbarWait { space, addr, p, token, parity, blocking } => {
                let addresses = self.addresses(at, warp, *addr, mask);
                let (tokens, known) = read(warp, *token);
                if mask & !known != 0 {
                    let lane = (mask & !known).trailing_zeros();
                    self.finding(
                        at,
                        Class::Uninitialised,
                        Some(thread(lane)),
                        "the phase of an mbarrier wait was never written".into(),
                    );
                }
                let mut result = 0u32;
                let mut waiting = None;
                for lane in lanes(mask) {
                    let place = self.barrier_of(at, warp, *space, addresses[lane as usize], lane)?;
                    self.live_barrier(at, thread(lane), place)?;
                    self.after_birth(at, warp, place, thread(lane));
                    let Some(bar) = self.mbarrier(at.cluster, place) else { return Err(Stop) };
                    let token = tokens[lane as usize];
                    let over = if *parity { bar.phase & 1 != token & 1 } else { bar.phase != token };
                    result |= u32::from(over) << lane;
                    if over {
                        warp.acquire(&bar.released, 1 << lane);
                        let before = bar.phase.saturating_sub(1);
                        self.pass(at, warp, |cluster| Post::Phase(cluster, place.0, place.1, before), false);
                    } else {
                        waiting = Some(Wait::Phase { block: place.0, address: place.1, phase: bar.phase });
                    }
                }
                self.report.barrier_waits += 1;
                if let Some(wait) = waiting {
                    if *blocking {
                        return Ok(Flow::Again(wait));
                    }
                    self.polled = true;
                }
                warp.set_p(*p, mask, result, u32::MAX);
            }
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

    /// Blocks a copy goes to: `None` for what the address says.
    fn targets(&self, _at: At, multicast: Option<u32>, warp: &Warp, lane: usize) -> Vec<Option<usize>> {
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

    fn tensor(&mut self, at: At, warp: &mut Warp, t: &Tensor, mask: u32) -> Result<(), Stop> {
        let maps = self.addresses(at, warp, t.map, mask);
        let shared = self.addresses(at, warp, t.shared, mask);
        let bars = t.barrier.map(|b| self.addresses(at, warp, b, mask));
        for lane in lanes(mask) {
            let l = lane as usize;
            let thread = warp.index * 32 + lane;
            let mut bytes = [0u8; 128];
            let space = if maps[l] < 1 << 32 { Space::Param } else { Space::Generic };
            self.each_lane(at, warp, space, &maps, 128, 1 << lane, |region, offset, _| {
                bytes.copy_from_slice(&region.data[offset..offset + 128]);
            })?;
            let mut coordinates: Vec<i32> = t.coordinates.iter().map(|c| warp.r[*c as usize][l] as i32).collect();
            // im2col offsets, 16 bits each, lie behind them.
            coordinates.extend(t.offsets.iter().map(|o| (warp.r[*o as usize][l] & 0xffff) as i32));
            let rank = t.coordinates.len();
            let usable = Map::decode(&bytes).and_then(|map| {
                map.check_use(t.mode, rank, &coordinates)?;
                map.check_reduction(t.kind)?;
                Ok(map)
            });
            let map = match usable {
                Ok(map) => map,
                Err(e) => {
                    self.finding(at, Class::TensorMap, Some(thread), e);
                    return Err(Stop);
                }
            };
            let address = shared[l] & 0xffff_ffff;
            let align = map.tensor().shared_alignment();
            if (address & 0xff_ffff) % align != 0 {
                let what = format!("shared address {address} of a tensor copy; multiples of {align} are needed");
                self.finding(at, Class::Misaligned, Some(thread), what);
                return Err(Stop);
            }
            let count = map.bytes();
            match t.kind {
                TensorKind::Load => {
                    let Some(bars) = bars else { return Err(Stop) };
                    let b = bars[l] & 0xffff_ffff;
                    for rank in self.targets(at, t.multicast, warp, l) {
                        let (dst_block, dst) =
                            rank.map_or_else(|| shared_target(at, address), |r| (r, address & 0xff_ffff));
                        let barrier = rank.map_or_else(|| shared_target(at, b), |r| (r, b & 0xff_ffff));
                        self.live_barrier(at, thread, barrier)?;
                        self.visible_barrier(at, warp, barrier, thread);
                        if self.bytes_at(at.cluster, Ok((dst_block, dst)), count as usize).is_none() {
                            return Err(self.bad_access(at, warp, Space::Shared, address, count as usize, lane));
                        }
                        self.poison(at.cluster, (dst_block, dst), count as usize);
                        let what = Pending::Tensor {
                            map: bytes,
                            coordinates: coordinates.clone(),
                            dst_block,
                            dst,
                            barrier,
                            count,
                        };
                        self.queue(at, warp, lane as u8, what);
                    }
                    self.activity += 1;
                }
                TensorKind::Store | TensorKind::Reduce(_) => {
                    if self.bytes_at(at.cluster, Ok(shared_target(at, address)), count as usize).is_none() {
                        return Err(self.bad_access(at, warp, Space::Shared, address, count as usize, lane));
                    }
                    let reduce = if let TensorKind::Reduce(op) = t.kind { Some(op) } else { None };
                    let store = BulkStore::Tensor { map: bytes, coordinates, src: address, reduce };
                    warp.store(lane, at.line, store);
                }
                TensorKind::Prefetch => {}
            }
        }
        Ok(())
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
                self.landed(at, &operation, barrier, reads, (Spot::Shared(dst_block, dst), u64::from(size)));
                self.change(at, 0, barrier, 0, -i64::from(size))?;
            }
            Pending::Tensor { map, coordinates, dst_block, dst, barrier, count } => {
                let (dst_block, dst, count, barrier) = (*dst_block, *dst, *count, *barrier);
                let map = Map::decode(map).map_err(|_| Stop)?;
                let tensor = map.tensor();
                let mut runs = Runs::default();
                let mut data = vec![tensor.fill(); count as usize];
                let mut state = vec![DEFINED; count as usize];
                let size = tensor.element as usize;
                let mut bad = None;
                map.each_element(coordinates, |offset, address| {
                    let to = tensor.swizzled(dst, offset) as usize - dst as usize;
                    let Some(address) = address else { return };
                    runs.add(address, size as u64);
                    match self.global.find(address, size) {
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
                if let Some((region, offset)) = self.bytes_at(at.cluster, Ok((dst_block, dst)), count as usize) {
                    region.data[offset..offset + count as usize].copy_from_slice(&data);
                    region.state[offset..offset + count as usize].copy_from_slice(&state);
                }
                *self.report.bytes.entry("tensor load").or_insert(0) += u64::from(count);
                let reads: Vec<_> = runs.spots(self, at).collect();
                self.landed(at, &operation, barrier, reads, (Spot::Shared(dst_block, dst), u64::from(count)));
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
        target: (Spot, u64),
    ) {
        self.landed_by(at, operation, barrier, reads, target, Way { asynchronous: true, strong: false });
    }

    /// The same for what goes through the generic proxy, and for atomic operations.
    pub(super) fn landed_by(
        &mut self,
        at: At,
        operation: &PendingOperation,
        barrier: (usize, u64),
        reads: impl IntoIterator<Item = (Spot, u64)>,
        (target, len): (Spot, u64),
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
        self.touch(at, target, len, write, None);
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

    /// Records what a bulk store reads of shared memory.
    fn read_by_store(&mut self, at: At, warp: &Warp, s: &PendingStore) {
        let (src, len) = match &s.store {
            BulkStore::Linear { src, size, .. } => (*src, u64::from(*size)),
            BulkStore::Tensor { map, src, .. } => (*src, Map::decode(map).map_or(0, |m| u64::from(m.bytes()))),
        };
        let (block, offset) = shared_target(at, src);
        let at = At { line: s.line, ..at };
        self.read_async(at, warp, &s.clocks, s.issuer, Spot::Shared(block, offset), len);
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
                let (tensor, count) = (map.tensor(), map.bytes() as usize);
                let mut runs = Runs::default();
                let (block, start) = shared_target(at, *src);
                let Some((region, offset)) = self.bytes_at(at.cluster, Ok((block, start)), count) else {
                    return Err(Stop);
                };
                let data = region.data[offset..offset + count].to_vec();
                let state = region.state[offset..offset + count].to_vec();
                let size = tensor.element as usize;
                let (mut bad, mut undefined) = (None, false);
                let ty = tensor.scalar();
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
                                value = combine(*op, ty, region.load(to, size).0, value, 0);
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

/// Who a `cp.async` comes from, with what knowledge.
struct Copier<'a> {
    agent: u16,
    time: u32,
    issuer: Issuer,
    clocks: &'a Clocks,
}

/// Bytes of global memory that a tensor copy touches, as runs.
#[derive(Default)]
struct Runs(Vec<(u64, u64)>);

impl Runs {
    fn add(&mut self, address: u64, len: u64) {
        match self.0.last_mut() {
            Some((start, n)) if *start + *n == address => *n += len,
            _ => self.0.push((address, len)),
        }
    }

    fn spots<'a>(&'a self, machine: &'a Machine, at: At) -> impl Iterator<Item = (Spot, u64)> + 'a {
        self.0.iter().filter_map(move |(address, len)| Some((machine.spot(at, Space::Global, *address)?, *len)))
    }
}

impl Warp {
    /// Queues a bulk store of a lane.
    fn store(&mut self, lane: u32, line: u32, store: BulkStore) {
        let (clocks, issuer) = (self.clocks.clone(), self.issuer(lane as u8));
        self.stores.push(PendingStore { lane, line, clocks, issuer, store });
        self.tick();
    }
}

pub(super) fn lanes(mask: u32) -> impl Iterator<Item = u32> {
    (0..32).filter(move |l| mask >> l & 1 != 0)
}
