//! What is ordered before what in shared memory: vector clocks per warp, and a record of the last accesses to every word.
//!
//! Central type: [`Clocks`], what an agent knows of the others. Two clocks are kept: `seen`, everything that happened before,
//! and `fenced`, the part of it that a proxy fence on the way has made visible to the async proxy. A barrier, an mbarrier and
//! a cluster barrier carry both along. A copy into shared memory is an agent of its own: it starts with its issuer's clocks
//! and is joined by whoever waits on its mbarrier.
//!
//! Granularity is four bytes with a mask of the bytes written. Lanes of one warp are not checked against each other, and
//! atomics and strong accesses are not checked.

use super::access::shared_target;
use super::run::{At, Machine};
use super::state::Warp;
use crate::report::Class;
use crate::syntax::Space;

/// Vector clocks, by agent.
#[derive(Clone, Debug, Default)]
pub struct Clocks {
    pub seen: Vec<u32>,
    pub fenced: Vec<u32>,
}

fn join(to: &mut Vec<u32>, from: &[u32]) {
    if to.len() < from.len() {
        to.resize(from.len(), 0);
    }
    for (t, f) in to.iter_mut().zip(from) {
        *t = (*t).max(*f);
    }
}

fn at_least(clock: &[u32], agent: u16, time: u32) -> bool {
    clock.get(agent as usize).copied().unwrap_or(0) >= time
}

impl Clocks {
    pub fn join(&mut self, other: &Clocks) {
        join(&mut self.seen, &other.seen);
        join(&mut self.fenced, &other.fenced);
    }

    /// The agent's own time.
    pub fn time(&self, agent: u16) -> u32 {
        self.seen.get(agent as usize).copied().unwrap_or(0)
    }

    /// Begins a new time of an agent: what it does next is not known to those who joined before.
    pub fn tick(&mut self, agent: u16) {
        if self.seen.len() <= agent as usize {
            self.seen.resize(agent as usize + 1, 0);
        }
        self.seen[agent as usize] += 1;
    }

    /// `fence.proxy.async`.
    pub fn fence(&mut self) {
        let seen = std::mem::take(&mut self.seen);
        join(&mut self.fenced, &seen);
        self.seen = seen;
    }
}

/// One access to a word; time 0 is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epoch {
    time: u32,
    line: u32,
    agent: u16,
    /// Bytes of the word.
    mask: u8,
    /// Through the async proxy.
    asynchronous: bool,
}

/// The last write of a word and the last reads by two agents.
#[derive(Clone, Copy, Debug, Default)]
pub struct Word {
    write: Epoch,
    reads: [Epoch; 2],
}

/// Who accesses, with what knowledge.
#[derive(Clone, Copy)]
pub(super) struct Actor<'a> {
    pub agent: u16,
    pub time: u32,
    pub clocks: &'a Clocks,
    pub write: bool,
    pub asynchronous: bool,
    pub line: u32,
}

/// What is wrong between an earlier access and this one.
#[derive(Clone, Copy)]
enum Problem {
    Race(Epoch, bool),
    Proxy(Epoch),
}

fn check(word: &mut Word, actor: &Actor, mask: u8) -> Option<Problem> {
    let mut problem = None;
    let ordered = |e: &Epoch| e.time == 0 || e.agent == actor.agent || at_least(&actor.clocks.seen, e.agent, e.time);
    let w = word.write;
    if w.mask & mask != 0 {
        if !ordered(&w) {
            problem = Some(Problem::Race(w, true));
        } else if actor.asynchronous
            && !w.asynchronous
            && w.time != 0
            && !at_least(&actor.clocks.fenced, w.agent, w.time)
        {
            problem = Some(Problem::Proxy(w));
        }
    }
    let now = Epoch { time: actor.time, line: actor.line, agent: actor.agent, mask, asynchronous: actor.asynchronous };
    if actor.write {
        for r in word.reads {
            if problem.is_none() && r.mask & mask != 0 && !ordered(&r) {
                problem = Some(Problem::Race(r, false));
            }
        }
        word.write = now;
        word.reads = [Epoch::default(); 2];
    } else {
        let slot = word.reads.iter().position(|r| r.agent == actor.agent || ordered(r)).unwrap_or(1);
        word.reads[slot] = now;
    }
    problem
}

impl Machine<'_> {
    /// Number of a warp of the cluster.
    pub(super) fn agent(&self, at: At, warp: &Warp) -> u16 {
        let warps = self.launch.block.iter().product::<u32>().div_ceil(32);
        (at.block as u32 * warps + warp.index) as u16
    }

    /// Records bytes of shared memory that an agent accesses, and reports what is not ordered.
    pub(super) fn touch(&mut self, at: At, block: usize, offset: u64, len: u64, actor: Actor, thread: Option<u32>) {
        let Some(target) = self.clusters[at.cluster].as_mut().and_then(|c| c.blocks.get_mut(block)) else { return };
        let mut first = None;
        let (start, end) = (offset, offset + len);
        for word in start / 4..end.div_ceil(4) {
            let low = start.saturating_sub(4 * word).min(4);
            let high = (end - 4 * word).min(4);
            let mask = ((1u8 << high) - 1) & !((1u8 << low) - 1);
            if let Some(entry) = target.words.get_mut(word as usize)
                && let Some(problem) = check(entry, &actor, mask)
                && first.is_none()
            {
                first = Some((4 * word, problem));
            }
        }
        let Some((address, problem)) = first else { return };
        let kind = |write: bool, asynchronous: bool| {
            let how = if asynchronous { "async proxy" } else { "generic proxy" };
            format!("{} ({how})", if write { "write" } else { "read" })
        };
        let who = |e: &Epoch| {
            let warps = u32::from(u16::MAX).min(self.launch.block.iter().product::<u32>().div_ceil(32));
            let blocks = self.launch.cluster.iter().product::<u32>();
            let n = u32::from(e.agent);
            if n < warps * blocks {
                format!("warp {} of block {} of the cluster", n % warps, n / warps)
            } else {
                "a copy".into()
            }
        };
        let this = kind(actor.write, actor.asynchronous);
        match problem {
            Problem::Race(e, write) => {
                let what = format!(
                    "this {this} of shared address {address} and the {} at PTX line {} by {} are not ordered: a barrier is missing between them",
                    kind(write, e.asynchronous),
                    e.line,
                    who(&e)
                );
                self.finding(At { line: actor.line, ..at }, Class::Race, thread, what);
            }
            Problem::Proxy(e) => {
                let what = format!(
                    "this {this} of shared address {address} comes after the {} at PTX line {} by {} with no `fence.proxy.async` between them",
                    kind(true, e.asynchronous),
                    e.line,
                    who(&e)
                );
                self.finding(At { line: actor.line, ..at }, Class::ProxyOrder, thread, what);
            }
        }
    }

    /// An access by the lanes of a warp through the generic proxy.
    pub(super) fn touch_lanes(
        &mut self,
        at: At,
        warp: &Warp,
        space: Space,
        addresses: &[u64; 32],
        bytes: usize,
        mask: u32,
        write: bool,
    ) {
        if !self.launch.order || mask == 0 {
            return;
        }
        let first = addresses[mask.trailing_zeros() as usize];
        let shared =
            space == Space::Shared || space == Space::Generic && super::access::window(first).0 == Space::Shared;
        if !shared {
            return;
        }
        let agent = self.agent(at, warp);
        let actor = Actor {
            agent,
            time: warp.clocks.time(agent),
            clocks: &warp.clocks,
            write,
            asynchronous: false,
            line: at.line,
        };
        let mut before = None;
        for lane in super::agents::lanes(mask) {
            let address = addresses[lane as usize] & 0xffff_ffff;
            if before == Some(address) {
                continue;
            }
            before = Some(address);
            let (block, offset) = shared_target(at, address);
            self.touch(at, block, offset, bytes as u64, actor, Some(warp.index * 32 + lane));
        }
    }

    /// An access of the async proxy that the warp waits for itself: matrix products and bulk stores.
    pub(super) fn touch_async(
        &mut self,
        at: At,
        warp: &Warp,
        clocks: &Clocks,
        block: usize,
        offset: u64,
        len: u64,
        line: u32,
    ) {
        if !self.launch.order {
            return;
        }
        let agent = self.agent(at, warp);
        let actor = Actor { agent, time: warp.clocks.time(agent), clocks, write: false, asynchronous: true, line };
        self.touch(at, block, offset, len, actor, Some(warp.index * 32));
    }
}
