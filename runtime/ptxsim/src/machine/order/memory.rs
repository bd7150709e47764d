//! Order through memory: a release that an acquire reads (PTX ISA 8.9).
//!
//! Central type: [`Flags`], what has been released at each word. A release publishes what its warp knows; a relaxed write publishes what
//! its warp knew at its last fence. An acquire learns it at once, a relaxed read at the next fence. A word keeps all that was ever
//! released there, so a chain through other writers' values is taken to hold.

use super::clocks::Grid;
use super::{Clocks, Post, Spot};
use crate::machine::agents::lanes;
use crate::machine::op::Order;
use crate::machine::run::{At, Machine};
use crate::machine::state::Warp;
use crate::syntax::Space;
use std::collections::BTreeMap;

/// Cluster (`None` for global memory, which all share) and word.
type Key = (Option<u32>, Spot);

/// What has been released at each word.
#[derive(Default)]
pub struct Flags {
    words: BTreeMap<Key, Flag>,
}

#[derive(Default)]
struct Flag {
    /// At cluster scope or wider.
    wide: Grid,
    /// At block scope, by cluster and block.
    narrow: BTreeMap<(u32, usize), Clocks>,
}

/// A warp's fences.
#[derive(Clone, Debug, Default)]
pub struct Fences {
    made: bool,
    /// What it knew at its last fence of cluster scope or wider, and of any scope.
    wide: Clocks,
    narrow: Clocks,
    /// What relaxed reads have found since.
    found: Found,
}

#[derive(Clone, Debug, Default)]
struct Found {
    wide: Grid,
    narrow: Clocks,
}

impl Machine<'_> {
    /// Lanes and the words they access.
    fn words(&self, at: At, space: Space, addresses: &[u64; 32], mask: u32) -> Vec<(u32, Key)> {
        let key = |spot| match spot {
            Spot::Shared(block, offset) => (Some(self.cluster_number(at)), Spot::Shared(block, offset & !3)),
            Spot::Global(index, offset) => (None, Spot::Global(index, offset & !3)),
        };
        let word = |lane: u32| Some((lane, key(self.spot(at, space, addresses[lane as usize])?)));
        lanes(mask).filter_map(word).collect()
    }

    /// Strong reads of the lanes of a warp.
    pub(in crate::machine) fn observe(
        &mut self,
        at: At,
        warp: &mut Warp,
        space: Space,
        addresses: &[u64; 32],
        mask: u32,
        order: Order,
    ) {
        if !self.launch.order || self.flags.words.is_empty() {
            return;
        }
        let home = self.cluster_number(at);
        for (lane, key) in self.words(at, space, addresses, mask) {
            let Some(flag) = self.flags.words.get(&key) else { continue };
            let mut found = Found::default();
            if order.wide || !order.acquire {
                found.wide = flag.wide.clone();
            }
            if let Some(near) = flag.narrow.get(&(home, at.block)) {
                found.narrow = near.clone();
            }
            self.pass(at, warp, |_| Post::Word(key.0, key.1), false);
            if order.acquire {
                found.learn(warp, home, 1 << lane);
            } else {
                for (cluster, known) in found.wide {
                    warp.fences.found.wide.entry(cluster).or_default().join(&known);
                }
                warp.fences.found.narrow.join(&found.narrow);
            }
        }
    }

    /// Strong writes of the lanes of a warp.
    pub(in crate::machine) fn release(
        &mut self,
        at: At,
        warp: &mut Warp,
        space: Space,
        addresses: &[u64; 32],
        mask: u32,
        order: Order,
    ) {
        // A relaxed write by a warp that has never fenced publishes nothing.
        if !self.launch.order || !order.release && !warp.fences.made {
            return;
        }
        let home = self.cluster_number(at);
        for (lane, key) in self.words(at, space, addresses, mask) {
            self.pass(at, warp, |_| Post::Word(key.0, key.1), true);
            let flag = self.flags.words.entry(key).or_default();
            let near = flag.narrow.entry((home, at.block)).or_default();
            if order.release {
                let own = warp.arriving(1 << lane);
                near.join(&own);
                if order.wide {
                    own.publish(home, &mut flag.wide);
                }
            } else {
                near.join(&warp.fences.narrow);
                warp.fences.wide.publish(home, &mut flag.wide);
            }
        }
        if order.release {
            warp.tick();
        }
    }

    /// `membar`, `fence.acq_rel`, `fence.sc` by lanes of a warp.
    pub(in crate::machine) fn memory_fence(&mut self, at: At, warp: &mut Warp, mask: u32, wide: bool) {
        if !self.launch.order {
            return;
        }
        let home = self.cluster_number(at);
        let mut found = std::mem::take(&mut warp.fences.found);
        if !wide {
            warp.fences.found.wide = std::mem::take(&mut found.wide);
        }
        found.learn(warp, home, mask);
        if wide {
            warp.fences.wide.join(&warp.arriving(mask));
        }
        warp.fences.narrow.join(&warp.arriving(mask));
        warp.fences.made = true;
        warp.tick();
    }
}

impl Found {
    fn learn(&self, warp: &mut Warp, home: u32, mask: u32) {
        warp.clocks.learn(home, &self.wide);
        let own = warp.agent;
        warp.acquire(&self.narrow, mask);
        let time = self.wide.get(&home).map_or(0, |k| k.time(own));
        warp.clocks.know_lanes(self.wide.get(&home).map_or(vec![], |k| k.lanes_of(own)).into_iter());
        warp.lanes_know(mask, time);
    }
}
