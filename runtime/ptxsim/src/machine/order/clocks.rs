//! Vector clocks: what an agent knows of the others.
//!
//! Central type: [`Clocks`]. Agents are warps, the bulk stores of a warp and the copies that complete on an mbarrier; they are numbered
//! within their cluster. Knows no instruction.

use super::word::{MANY, WHOLE};
use std::collections::BTreeMap;

/// Times of the agents of one cluster, by number.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Up to when an agent's accesses happened before.
    seen: Vec<u32>,
    /// The part of it that a proxy fence on the way has made visible to the async proxy.
    fenced: Vec<u32>,
    /// Later times that hold for one lane of an agent only: a lane arrives for itself, not for its warp.
    lanes: BTreeMap<(u16, u8), u32>,
}

impl Known {
    pub fn time(&self, agent: u16) -> u32 {
        get(&self.seen, agent)
    }

    pub fn join(&mut self, other: &Known) {
        join(&mut self.seen, &other.seen);
        join(&mut self.fenced, &other.fenced);
        for (lane, time) in &other.lanes {
            if get(&self.seen, lane.0) < *time {
                let own = self.lanes.entry(*lane).or_default();
                *own = (*own).max(*time);
            }
        }
    }

    /// Later times that hold for single lanes of an agent.
    pub fn lanes_of(&self, agent: u16) -> Vec<(u8, u32)> {
        self.lanes.range((agent, 0)..=(agent, 31)).map(|((_, lane), time)| (*lane, *time)).collect()
    }

    /// Time of an agent for what its lane, or for [`WHOLE`] any lane, did.
    pub fn time_of(&self, agent: u16, lane: u8) -> u32 {
        if lane == MANY {
            let all = self.lanes.range((agent, 0)..=(agent, 31)).map(|(_, t)| *t);
            let met = if all.clone().count() == 32 { all.min().unwrap_or(0) } else { 0 };
            return met.max(get(&self.seen, agent));
        }
        let lanes = match lane {
            WHOLE => self.lanes.range((agent, 0)..=(agent, u8::MAX)),
            lane => self.lanes.range((agent, lane)..=(agent, lane)),
        };
        lanes.map(|(_, time)| *time).max().unwrap_or(0).max(get(&self.seen, agent))
    }
}

fn join(to: &mut Vec<u32>, from: &[u32]) {
    if to.len() < from.len() {
        to.resize(from.len(), 0);
    }
    for (t, f) in to.iter_mut().zip(from) {
        *t = (*t).max(*f);
    }
}

fn get(times: &[u32], agent: u16) -> u32 {
    times.get(agent as usize).copied().unwrap_or(0)
}

/// What is known of every cluster, by the cluster's number.
pub type Grid = BTreeMap<u32, Known>;

/// Vector clocks of an agent.
#[derive(Clone, Debug, Default)]
pub struct Clocks {
    /// Of its own cluster.
    own: Known,
    /// Of others, after an acquire of cluster scope or wider.
    others: Grid,
    /// Of a warp: time up to which its other lanes know each lane, by way of something that lane has arrived at.
    lanes: [u32; 32],
}

impl Clocks {
    /// Joins what another agent of the same cluster knows.
    pub fn join(&mut self, other: &Clocks) {
        self.own.join(&other.own);
        self.learn_others(&other.others);
    }

    fn learn_others(&mut self, others: &Grid) {
        for (cluster, known) in others {
            self.others.entry(*cluster).or_default().join(known);
        }
    }

    /// What others learn from a release by an agent of cluster `home`.
    pub fn publish(&self, home: u32, to: &mut Grid) {
        to.entry(home).or_default().join(&self.own);
        for (cluster, known) in &self.others {
            to.entry(*cluster).or_default().join(known);
        }
    }

    /// What an agent of cluster `home` learns from an acquire.
    pub fn learn(&mut self, home: u32, from: &Grid) {
        for (cluster, known) in from {
            if *cluster == home {
                self.own.join(known);
            } else {
                self.others.entry(*cluster).or_default().join(known);
            }
        }
    }

    /// Time of an agent of the own cluster.
    pub fn time(&self, agent: u16) -> u32 {
        get(&self.own.seen, agent)
    }

    /// Time up to which what a lane of an agent of cluster `cluster` did is known, for one of cluster `home`.
    pub fn time_of(&self, home: u32, cluster: u32, agent: u16, lane: u8) -> u32 {
        let known = if cluster == home { Some(&self.own) } else { self.others.get(&cluster) };
        known.map_or(0, |k| k.time_of(agent, lane))
    }

    /// What lanes of an agent can pass on: all that it knows, of itself only what they know of the other lanes and what they did.
    pub fn of_lanes(&self, agent: u16, lanes: impl Iterator<Item = (u8, u32)>) -> Clocks {
        let mut out = self.clone();
        let now = self.time(agent);
        out.own.seen[agent as usize] = 0;
        let mut least = now;
        for (lane, seen) in lanes {
            out.own.lanes.insert((agent, lane), now);
            least = least.min(seen);
        }
        out.own.seen[agent as usize] = least;
        out
    }

    /// Time up to which an agent's writes are visible to the async proxy.
    pub fn fenced(&self, home: u32, cluster: u32, agent: u16) -> u32 {
        let known = if cluster == home { Some(&self.own) } else { self.others.get(&cluster) };
        known.map_or(0, |k| get(&k.fenced, agent))
    }

    /// Time up to which the other lanes of the own warp know a lane; of [`MANY`], the least of all.
    pub fn lane(&self, lane: u8) -> u32 {
        self.lanes.get(lane as usize).copied().unwrap_or_else(|| self.lanes.iter().copied().min().unwrap_or(0))
    }

    /// Lanes of the own warp are known up to later times.
    pub fn know_lanes(&mut self, lanes: impl Iterator<Item = (u8, u32)>) {
        for (lane, time) in lanes {
            let own = &mut self.lanes[lane as usize & 31];
            *own = (*own).max(time);
        }
    }

    /// What these clocks say of single lanes of an agent.
    pub fn lanes_of(&self, agent: u16) -> Vec<(u8, u32)> {
        self.own.lanes_of(agent)
    }

    /// Sets an agent's time if it is later.
    pub fn advance(&mut self, agent: u16, time: u32) {
        if self.own.seen.len() <= agent as usize {
            self.own.seen.resize(agent as usize + 1, 0);
        }
        let own = &mut self.own.seen[agent as usize];
        *own = (*own).max(time);
    }

    /// Begins a new time of an agent: what it does next is not known to those who joined before.
    pub fn tick(&mut self, agent: u16) {
        self.advance(agent, self.time(agent) + 1);
    }

    /// `fence.proxy.async` (PTX ISA 9.7.13.4).
    pub fn fence(&mut self) {
        for known in self.others.values_mut().chain([&mut self.own]) {
            let Known { seen, fenced, lanes } = known;
            join(fenced, seen);
            for ((agent, _), time) in lanes.iter() {
                if fenced.len() <= *agent as usize {
                    fenced.resize(*agent as usize + 1, 0);
                }
                let own = &mut fenced[*agent as usize];
                *own = (*own).max(*time);
            }
        }
    }
}
