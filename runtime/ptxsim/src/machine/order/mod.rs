//! What is ordered before what in memory: vector clocks of the agents, and a record of the last accesses to every word.
//!
//! Central types: [`Clocks`], what an agent knows of the others, and [`Actor`], one access with that knowledge. Two clocks are kept: what
//! happened before, and the part of it that a proxy fence on the way has made visible to the async proxy. A barrier, an mbarrier, a
//! cluster barrier and a release that an acquire reads ([`memory`]) carry both along. A copy into shared memory is an agent of its own: it
//! starts with its issuer's clocks and is joined by whoever waits on its mbarrier; so is a bulk store, joined by its issuer's wait.
//!
//! Lanes of a warp share its clocks. Each has a time of its own up to which it knows the other lanes ([`Warp::lane_seen`]).

mod clocks;
mod maps;
mod memory;
mod shadow;
mod trail;
mod word;

pub use clocks::Clocks;
pub use maps::Maps;
pub use memory::{Fences, Flags};
pub use shadow::Shadow;
pub use trail::{Post, Trail, Who};
pub use word::{Actor, Issuer, WHOLE};

use super::agents::lanes;
use super::run::{At, Machine};
use super::state::Warp;
use crate::report::Class;
use crate::syntax::Space;
use shadow::Span;
use word::{Epoch, MANY, Problem};

/// How the accesses of a warp's lanes lie.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// All at one place.
    One,
    /// One behind the other.
    Run,
}

/// Memory that more than one lane can access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spot {
    /// Block of the cluster, and offset.
    Shared(usize, u64),
    /// Number of the buffer, and offset.
    Global(usize, u64),
}

impl Warp {
    /// Begins a new time of the warp.
    pub(super) fn tick(&mut self) {
        self.clocks.tick(self.agent);
    }

    /// Lanes learn what others have released.
    pub(super) fn acquire(&mut self, released: &Clocks, mask: u32) {
        self.clocks.join(released);
        self.lanes_know(mask, released.time(self.agent));
        self.clocks.know_lanes(released.lanes_of(self.agent).into_iter());
    }

    /// Lanes know of each other what happened up to a time.
    pub(super) fn lanes_know(&mut self, mask: u32, time: u32) {
        for lane in lanes(mask) {
            let own = &mut self.lane_seen[lane as usize];
            *own = (*own).max(time);
        }
    }

    /// `bar.warp.sync`: lanes know all of each other up to here.
    pub(super) fn meet(&mut self, mask: u32) {
        let now = self.clocks.time(self.agent);
        if mask == self.lanes & !self.exited {
            self.lanes_know(mask, now);
        } else {
            self.clocks.know_lanes(lanes(mask).map(|l| (l as u8, now)));
        }
        self.tick();
    }

    /// What lanes that arrive somewhere pass on.
    pub(super) fn arriving(&self, mask: u32) -> Clocks {
        if mask == self.lanes & !self.exited {
            return self.clocks.clone();
        }
        self.clocks.of_lanes(self.agent, lanes(mask).map(|l| (l as u8, self.lane_seen[l as usize])))
    }

    /// A lane as the origin of an access; [`WHOLE`] for all of them together.
    pub(super) fn issuer(&self, lane: u8) -> Issuer {
        let seen = self.lane_seen.get(lane as usize).copied().unwrap_or(u32::MAX);
        Issuer { agent: self.agent, lane, seen }
    }
}

impl Machine<'_> {
    fn warps_of_cluster(&self) -> u16 {
        let warps = self.launch.block.iter().product::<u32>().div_ceil(32);
        (warps * self.launch.cluster.iter().product::<u32>()) as u16
    }

    /// The agent of a warp's bulk stores.
    pub(super) fn store_agent(&self, warp: &Warp) -> u16 {
        self.warps_of_cluster() + warp.agent
    }

    /// The agent of the copies that complete on an mbarrier, by the order of initialisation in the cluster.
    pub(super) fn copy_agent(&self, number: usize) -> u16 {
        2 * self.warps_of_cluster() + number as u16
    }

    /// Number of the cluster in a slot, in the order of the grid.
    pub(super) fn cluster_number(&self, at: At) -> u32 {
        self.clusters.get(at.cluster).and_then(Option::as_ref).map_or(0, |c| c.number)
    }

    /// Where a generic or other address lies, if others can access it.
    pub(super) fn spot(&self, at: At, space: Space, address: u64) -> Option<Spot> {
        let (space, inner) =
            if space == Space::Generic { super::access::window(address) } else { (space, address & 0xffff_ffff) };
        match space {
            Space::Shared => {
                let (block, offset) = super::access::shared_target(at, inner);
                Some(Spot::Shared(block, offset))
            }
            Space::Global => self.global.offset(address).map(|(index, offset)| Spot::Global(index, offset)),
            _ => None,
        }
    }

    /// Records an access of one issuer, and reports what is not ordered.
    pub(super) fn touch(&mut self, at: At, spot: Spot, len: u64, actor: Actor, thread: Option<u32>) {
        let seen = actor.issuer.seen;
        self.touch_span(at, spot, (len, 0), actor, |_| seen, |_| thread);
    }

    /// Records an access to so many bytes, with so many for each lane; `seen` and `thread` are of a lane.
    fn touch_span(
        &mut self,
        at: At,
        spot: Spot,
        (len, each): (u64, u64),
        actor: Actor,
        seen: impl Fn(u8) -> u32,
        thread: impl Fn(u64) -> Option<u32>,
    ) {
        let (shadow, start) = match spot {
            Spot::Shared(block, offset) => {
                let Some(b) = self.clusters[at.cluster].as_mut().and_then(|c| c.blocks.get_mut(block)) else { return };
                if offset + len > b.shared.data.len() as u64 {
                    return;
                }
                let live = b.mbarriers.range(..offset + len).next_back().filter(|(at, _)| **at + 8 > offset);
                if let Some((place, bar)) = live {
                    let what = format!(
                        "a plain access to the mbarrier at shared address {place}, initialised at PTX line {} and not invalidated",
                        bar.line
                    );
                    self.finding(At { line: actor.line, ..at }, Class::Mbarrier, thread(offset), what);
                    return;
                }
                (&mut b.shadow, offset)
            }
            Spot::Global(index, offset) => {
                if self.shadows.len() <= index {
                    self.shadows.resize(index + 1, Shadow::default());
                }
                (&mut self.shadows[index], offset)
            }
        };
        let span = Span { start, len, each, lane: actor.issuer.lane };
        let problem = shadow.access(span, &actor, seen);
        if let Some(trail) = &mut self.trail {
            for word in start / 4..(start + len).div_ceil(4) {
                let (cluster, at) = match spot {
                    Spot::Shared(block, _) => (Some(actor.cluster), Spot::Shared(block, 4 * word)),
                    Spot::Global(index, _) => (None, Spot::Global(index, 4 * word)),
                };
                trail.access(cluster, at, (actor.cluster, actor.agent), actor.line, problem.is_none());
            }
        }
        if let Some((offset, problem)) = problem {
            self.report_order(at, spot, offset, problem, actor, thread(offset.max(start)));
        }
    }

    /// Keeps for `--explain-order` that a warp leaves what it knows somewhere, or picks up what is there.
    pub(super) fn pass(&mut self, at: At, warp: &Warp, post: impl FnOnce(u32) -> Post, leaves: bool) {
        if self.trail.is_some() {
            let cluster = self.cluster_number(at);
            self.pass_as(at, (cluster, warp.agent), post(cluster), leaves);
        }
    }

    /// The same for any agent.
    pub(super) fn pass_as(&mut self, at: At, who: Who, post: Post, leaves: bool) {
        if let Some(trail) = &mut self.trail {
            trail.pass(who, at.line, post, leaves);
        }
    }

    fn report_order(&mut self, at: At, spot: Spot, offset: u64, problem: Problem, actor: Actor, thread: Option<u32>) {
        let place = match spot {
            Spot::Shared(..) => format!("shared address {offset}"),
            Spot::Global(index, _) => format!("byte {offset} of `{}`", self.global.name(index)),
        };
        let kind = |write: bool, asynchronous: bool| {
            let how = if asynchronous { "async proxy" } else { "generic proxy" };
            format!("{} ({how})", if write { "write" } else { "read" })
        };
        let this = format!("this {} of {place}", kind(actor.write, actor.asynchronous));
        let other = |e: &Epoch, write: bool, machine: &Self| {
            format!(
                "the {} at PTX line {} by {}",
                kind(write, e.asynchronous()),
                e.line,
                machine.who(e, actor.cluster, actor.issuer)
            )
        };
        let (class, what) = match problem {
            Problem::Race(e, write) => {
                let same = e.agent == actor.issuer.agent && e.cluster == actor.cluster;
                let missing = if same {
                    "`bar.warp.sync`"
                } else if e.cluster == actor.cluster {
                    "a barrier"
                } else {
                    "a release of gpu scope and its acquire"
                };
                let other = other(&e, write, self);
                (Class::Race, format!("{this} and {other} are not ordered: {missing} is missing between them"))
            }
            Problem::Proxy(e) => {
                let other = other(&e, true, self);
                (Class::ProxyOrder, format!("{this} comes after {other} with no `fence.proxy.async` between them"))
            }
            Problem::ProxyRead(e) => {
                let other = other(&e, false, self);
                (Class::ProxyRead, format!("{this} comes after {other} with no `fence.proxy.async` between them"))
            }
        };
        self.finding(At { line: actor.line, ..at }, class, thread, what);
    }

    /// An agent's name in a message.
    fn who(&self, e: &Epoch, home: u32, issuer: Issuer) -> String {
        if e.agent < self.warps_of_cluster() && e.cluster == home && e.agent == issuer.agent && e.lane < 32 {
            return format!("lane {} of the same warp", e.lane);
        }
        self.name((e.cluster, e.agent))
    }

    /// An agent's name.
    pub(super) fn name(&self, (cluster, agent): Who) -> String {
        let warps = self.warps_of_cluster().max(1);
        if agent >= 2 * warps {
            return "a copy".into();
        }
        let per_block = self.launch.block.iter().product::<u32>().div_ceil(32) as u16;
        let (warp, block) = (agent % warps % per_block, u32::from(agent % warps / per_block));
        let [x, y, z] = self.block_id(cluster, block);
        let stores = if agent >= warps { "a bulk store of " } else { "" };
        format!("{stores}warp {warp} of block ({x}, {y}, {z})")
    }

    /// An access by the lanes of a warp through the generic proxy.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn touch_lanes(
        &mut self,
        at: At,
        warp: &Warp,
        space: Space,
        addresses: &[u64; 32],
        bytes: usize,
        mask: u32,
        write: bool,
        strong: bool,
    ) {
        if !self.launch.order || mask == 0 {
            return;
        }
        let actor = Actor {
            agent: warp.agent,
            time: warp.clocks.time(warp.agent),
            cluster: self.cluster_number(at),
            issuer: warp.issuer(WHOLE),
            clocks: &warp.clocks,
            write,
            asynchronous: false,
            strong,
            line: at.line,
        };
        let (seen, first) = (warp.lane_seen, mask.trailing_zeros());
        let thread = |lane: u32| Some(warp.index * 32 + lane);
        let each = bytes as u64;
        // Lanes that write one place at once are held against each other.
        let together =
            self.together(at, space, addresses, each, mask).filter(|(_, s)| *s == Shape::Run || !write || strong);
        if let Some((spot, shape)) = together {
            if shape == Shape::One {
                let least = lanes(mask).map(|l| seen[l as usize]).min().unwrap_or(0);
                let actor = Actor { issuer: Issuer { lane: MANY, seen: least, ..actor.issuer }, ..actor };
                self.touch_span(at, spot, (each, 0), actor, |_| least, |_| thread(first));
            } else {
                let actor = Actor { issuer: warp.issuer(first as u8), ..actor };
                let (Spot::Shared(_, start) | Spot::Global(_, start)) = spot;
                let all = (each * u64::from(mask.count_ones()), each);
                let of = |offset: u64| thread(first + (offset.saturating_sub(start) / each) as u32);
                self.touch_span(at, spot, all, actor, |lane| seen[lane as usize & 31], of);
            }
            return;
        }
        for lane in lanes(mask) {
            let Some(spot) = self.spot(at, space, addresses[lane as usize]) else { continue };
            let actor = Actor { issuer: warp.issuer(lane as u8), ..actor };
            self.touch(at, spot, each, actor, thread(lane));
        }
    }

    /// Where the lanes' accesses begin, if they are to consecutive bytes by consecutive lanes or all to the same.
    fn together(&self, at: At, space: Space, addresses: &[u64; 32], each: u64, mask: u32) -> Option<(Spot, Shape)> {
        let first = mask.trailing_zeros() as usize;
        let count = mask.count_ones() as usize;
        if count < 2 {
            return None;
        }
        let start = addresses[first];
        let spot = self.spot(at, space, start)?;
        let same = |step: u64| {
            lanes(mask).all(|l| addresses[l as usize] == start.wrapping_add(step * (u64::from(l) - first as u64)))
        };
        if same(0) {
            return Some((spot, Shape::One));
        }
        let run = mask >> first == u32::MAX >> (32 - count);
        // All of them in the same place.
        let end = self.spot(at, space, start.wrapping_add(each * (count as u64 - 1)));
        let inside = match (spot, end) {
            (Spot::Shared(a, _), Some(Spot::Shared(b, _))) | (Spot::Global(a, _), Some(Spot::Global(b, _))) => a == b,
            _ => false,
        };
        (run && inside && same(each)).then_some((spot, Shape::Run))
    }

    /// A read of the async proxy that the warp waits for itself: matrix products and bulk stores.
    pub(super) fn read_async(&mut self, at: At, warp: &Warp, clocks: &Clocks, issuer: Issuer, spot: Spot, len: u64) {
        if !self.launch.order {
            return;
        }
        let actor = Actor {
            agent: warp.agent,
            time: warp.clocks.time(warp.agent),
            cluster: self.cluster_number(at),
            issuer,
            clocks,
            write: false,
            asynchronous: true,
            strong: false,
            line: at.line,
        };
        self.touch(at, spot, len, actor, Some(warp.index * 32 + u32::from(issuer.lane & 31)));
    }
}
