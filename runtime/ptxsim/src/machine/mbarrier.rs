//! Barriers in shared memory (PTX ISA 9.7.13.15).
//!
//! Central type: [`Mbarrier`]. Knows that copies complete here, not what they copy.

use super::agents::lanes;
use super::op::*;
use super::order::{Clocks, Post};
use super::run::{At, Flow, Machine, Stop};
use super::state::*;
use super::step::{barrier_address, read};
use crate::memory::DEFINED;
use crate::report::Class;
use crate::syntax::Space;

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
        // `fence.mbarrier_init` orders it before a relaxed arrival at the cluster's barrier.
        if !bar.published && agent != warp.agent && warp.clocks.time_of(0, 0, agent, super::order::WHOLE) < time {
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

    /// `mbarrier.*`, for the lanes of `mask`.
    pub(super) fn mbarrier_operation(&mut self, at: At, warp: &mut Warp, op: &Op, mask: u32) -> Result<Flow, Stop> {
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
                    // Agents are numbered in 16 bits.
                    if number >= 1 << 15 {
                        let what = "more than 32768 mbarriers in a cluster are not modelled".to_string();
                        self.finding(at, Class::Trap, Some(thread(lane)), what);
                        return Err(Stop);
                    }
                    let Some(cluster) = &mut self.clusters[at.cluster] else { return Err(Stop) };
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
            _ => {}
        }
        Ok(Flow::Next)
    }
}
