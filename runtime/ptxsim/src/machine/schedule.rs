//! Which warp runs, and when nothing can.
//!
//! Central function: [`Machine::schedule`]. Warps run until they wait; asynchronous copies happen when nothing else can go on, which is
//! the latest moment the program allows, or at random moments under a seed.

use super::run::{At, Machine, Stop};
use super::state::*;
use crate::report::Class;

impl Machine<'_> {
    pub(super) fn schedule(&mut self) -> Result<(), Stop> {
        let total = self.cluster_count();
        let (first, total) = self.launch.only.as_ref().map_or((0, total), |r| (r.start, r.end.min(total)));
        self.next_cluster = first;
        let resident = self.resident();
        let mut idle_rounds = 0;
        loop {
            let before = self.activity;
            let (mut ran, mut moved) = (false, false);
            let count = self.clusters.len();
            let start = if self.launch.seed.is_some() && count > 0 { self.random(count as u64) as usize } else { 0 };
            for n in 0..count {
                let c = (start + n) % count;
                let blocks = self.clusters[c].as_ref().map_or(0, |c| c.blocks.len());
                for b in 0..blocks {
                    let warps = self.clusters[c].as_ref().map_or(0, |c| c.blocks[b].warps.len());
                    let first = if self.launch.seed.is_some() { self.random(warps as u64) as usize } else { 0 };
                    for k in 0..warps {
                        let w = (first + k) % warps;
                        if self.launch.seed.is_some() && self.random(8) == 0 {
                            self.complete_some()?;
                        }
                        let (r, m) = self.run_warp(c, b, w)?;
                        ran |= r;
                        moved |= m;
                    }
                }
                self.retire(c)?;
            }
            moved |= self.activity != before;
            if moved {
                idle_rounds = 0;
                continue;
            }
            let active = self.clusters.iter().filter(|c| c.is_some()).count();
            if self.next_cluster < total && active < resident {
                self.start_cluster();
                continue;
            }
            if active == 0 {
                return Ok(());
            }
            if ran && idle_rounds < 3 {
                idle_rounds += 1;
                continue;
            }
            idle_rounds = 0;
            if !self.pending.is_empty() {
                let which =
                    if self.launch.seed.is_some() { self.random(self.pending.len() as u64) as usize } else { 0 };
                self.complete(which)?;
                continue;
            }
            return Err(self.deadlock());
        }
    }

    fn complete_some(&mut self) -> Result<(), Stop> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let which = self.random(self.pending.len() as u64) as usize;
        self.complete(which)
    }

    /// Ends blocks and clusters whose warps have ended.
    fn retire(&mut self, c: usize) -> Result<(), Stop> {
        let Some(cluster) = &mut self.clusters[c] else { return Ok(()) };
        let mut all = true;
        for block in &mut cluster.blocks {
            block.done = block.warps.iter().all(|w| w.done);
            all &= block.done;
        }
        if !all {
            return Ok(());
        }
        // What is still in flight lands now: its target is gone, which is a mistake of the kernel.
        if let Some(at) = self.pending.iter().position(|p| p.cluster == c) {
            let line = self.pending[at].line;
            let place = At { cluster: c, block: self.pending[at].issuer, line, pc: 0 };
            self.finding(
                place,
                Class::Mbarrier,
                None,
                "the block ends while a copy into shared memory is in flight".into(),
            );
            self.pending.retain(|p| p.cluster != c);
        }
        self.clusters[c] = None;
        self.activity += 1;
        Ok(())
    }

    fn deadlock(&mut self) -> Stop {
        let mut found = vec![];
        for (c, cluster) in self.clusters.iter().enumerate() {
            let Some(cluster) = cluster else { continue };
            for (b, block) in cluster.blocks.iter().enumerate() {
                for warp in &block.warps {
                    for g in &warp.groups {
                        let line = self.program.code[g.pc as usize].line;
                        let what = match &g.wait {
                            Wait::Phase { block: target, address, phase } => {
                                let bar = cluster.blocks.get(*target).and_then(|b| b.mbarriers.get(address));
                                let state = bar.map_or("it is not initialised".into(), |m| {
                                    format!(
                                        "{} arrivals of {} and {} bytes are missing",
                                        m.pending, m.expected, m.transactions
                                    )
                                });
                                format!("phase {phase} of the mbarrier at shared address {address}: {state}")
                            }
                            Wait::Bar { id, .. } => {
                                let bar = &block.bars[*id as usize];
                                format!("barrier {id}: {} of {} threads have arrived", bar.arrived, bar.expected)
                            }
                            Wait::Cluster { .. } => "the cluster barrier".into(),
                            Wait::Registers { count, .. } => {
                                format!("{count} registers a thread: {} registers of the pool are free", block.pool)
                            }
                            Wait::Lanes => "other lanes of its warp".into(),
                            Wait::Ready => "a change of memory".into(),
                        };
                        found.push((
                            At { cluster: c, block: b, line, pc: g.pc },
                            warp.index * 32 + g.mask.trailing_zeros(),
                            what,
                        ));
                    }
                }
            }
        }
        let total = found.len();
        for (at, thread, what) in found.into_iter().take(64) {
            self.finding(
                at,
                Class::Deadlock,
                Some(thread),
                format!("nothing can go on ({total} groups of lanes wait); this one waits for {what}"),
            );
        }
        Stop
    }

    /// Whether a wait is over.
    pub(super) fn is_over(&self, c: usize, b: usize, wait: &Wait) -> bool {
        let Some(cluster) = &self.clusters[c] else { return false };
        match wait {
            Wait::Ready => true,
            Wait::Lanes => false,
            Wait::Bar { id, generation } => cluster.blocks[b].bars[*id as usize].generation >= *generation,
            Wait::Phase { block, address, phase } => {
                cluster.blocks.get(*block).and_then(|b| b.mbarriers.get(address)).is_none_or(|m| m.phase > *phase)
            }
            Wait::Cluster { generation } => cluster.generation >= *generation,
            Wait::Registers { need, .. } => cluster.blocks[b].pool >= *need,
        }
    }

    /// Runs a warp until it waits or its slice ends. Returns whether it ran, and whether it got on.
    fn run_warp(&mut self, c: usize, b: usize, w: usize) -> Result<(bool, bool), Stop> {
        {
            let Some(cluster) = &self.clusters[c] else { return Ok((false, false)) };
            let warp = &cluster.blocks[b].warps[w];
            if warp.done || !warp.groups.iter().any(|g| self.is_over(c, b, &g.wait)) {
                return Ok((false, false));
            }
        }
        let Some(cluster) = &mut self.clusters[c] else { return Ok((false, false)) };
        let mut warp = std::mem::take(&mut cluster.blocks[b].warps[w]);
        self.polled = false;
        let start = (self.steps, self.activity);
        let out = self.run_groups(c, b, &mut warp);
        let spinning = matches!(out, Ok(true)) && self.polled;
        let moved = self.steps != start.0
            && (!spinning || self.activity != start.1)
            && !matches!(out, Ok(false) if self.steps == start.0 + 1 && self.activity == start.1);
        if let Some(cluster) = &mut self.clusters[c] {
            cluster.blocks[b].warps[w] = warp;
        }
        out?;
        Ok((true, moved))
    }
}
