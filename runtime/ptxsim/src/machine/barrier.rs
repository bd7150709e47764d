//! Named barriers, the cluster's barrier, the end of a warp and the pool of registers.
//!
//! Central function: [`Machine::barrier`] (PTX ISA 9.7.13.1, 9.7.13.3, 9.7.19.5).

use super::op::*;
use super::order::Post;
use super::run::{At, Flow, Machine, Stop};
use super::state::*;
use crate::report::Class;

const ALL: u32 = u32::MAX;

impl Machine<'_> {
    pub(super) fn barrier(
        &mut self,
        at: At,
        warp: &mut Warp,
        op: &Op,
        mask: u32,
        group: u32,
        alone: bool,
    ) -> Result<Flow, Stop> {
        self.activity += 1;
        match op {
            Op::Bar { id, count, arrive, aligned, reduce } => {
                if *aligned && let Some(wait) = self.gather(warp, ALL, group, alone) {
                    return Ok(Flow::Again(wait));
                }
                let lane = mask.trailing_zeros() as usize;
                let thread = warp.index * 32 + lane as u32;
                let number = warp.r[*id as usize][lane];
                if number > 15 {
                    self.finding(at, Class::Barrier, Some(thread), format!("barrier {number}; 0 to 15 exist"));
                    return Err(Stop);
                }
                let asked = count.map(|c| warp.r[c as usize][lane]);
                if asked.is_some_and(|c| c == 0 || c % 32 != 0) {
                    let what =
                        format!("{} threads at barrier {number}; a multiple of 32 is needed", asked.unwrap_or(0));
                    self.finding(at, Class::Barrier, Some(thread), what);
                    return Err(Stop);
                }
                if let Some(Reduce { p, .. }) = *reduce
                    && mask & !warp.def_p[p as usize] != 0
                {
                    let what = "a barrier reduces a predicate that was never written".to_string();
                    self.finding(at, Class::Uninitialised, Some(thread), what);
                }
                let live = warp.lanes & !warp.exited;
                let program = self.program;
                let Some(cluster) = &mut self.clusters[at.cluster] else { return Err(Stop) };
                let block = &mut cluster.blocks[at.block];
                // The running warp is out of the block's list and counts as one that has not ended.
                let ended = block.warps.iter().filter(|w| w.done).count() as u32;
                let expected = asked.unwrap_or(32 * (block.warps.len() as u32 - ended));
                let bar = &mut block.bars[number as usize];
                let mismatch =
                    (bar.expected != 0 && asked.is_some() && bar.expected != expected).then_some(bar.expected);
                if bar.expected == 0 {
                    (bar.any, bar.all, bar.count) = (false, true, 0);
                }
                bar.expected = expected;
                bar.whole = asked.is_none();
                if let Some(Reduce { p, negated, .. }) = *reduce {
                    let value = if negated { !warp.p[p as usize] } else { warp.p[p as usize] } & mask;
                    bar.any |= value != 0;
                    bar.all &= value == mask;
                    bar.count += value.count_ones();
                }
                bar.clocks.join(&warp.arriving(mask));
                let seen = bar.partial.entry(warp.index).or_insert(0);
                *seen |= mask;
                if *seen & live == live || *aligned {
                    bar.partial.remove(&warp.index);
                    bar.arrived += 32;
                }
                let generation = bar.generation + 1;
                let post = move |cluster| Post::Bar(cluster, at.block, number, generation);
                let full = bar.arrived >= bar.expected;
                let over = bar.arrived > bar.expected;
                warp.tick();
                if full {
                    end_generation(block, warp, number, program);
                    if let Some(reduce) = reduce {
                        block.bars[number as usize].write(reduce, warp, mask);
                    }
                }
                self.pass(at, warp, post, true);
                self.report.barrier_waits += u64::from(!arrive);
                if let Some(before) = mismatch {
                    let what = format!("barrier {number} with {expected} threads; others came with {before}");
                    self.finding(at, Class::Barrier, Some(thread), what);
                }
                if over {
                    self.finding(
                        at,
                        Class::Barrier,
                        Some(thread),
                        format!("more than {expected} threads arrive at barrier {number}"),
                    );
                }
                if *arrive {
                    return Ok(Flow::Next);
                }
                if full {
                    self.pass(at, warp, post, false);
                }
                if full && let Some(cluster) = &self.clusters[at.cluster] {
                    warp.acquire(&cluster.blocks[at.block].bars[number as usize].released, mask);
                }
                Ok(if full { Flow::Next } else { Flow::Then(Wait::Bar { id: number, generation }) })
            }
            Op::ClusterArrive { relaxed } => {
                if let Some(wait) = self.gather(warp, ALL, group, alone) {
                    return Ok(Flow::Again(wait));
                }
                let Some(cluster) = &mut self.clusters[at.cluster] else { return Err(Stop) };
                cluster.arrived += u64::from(warp.lanes.count_ones());
                warp.cluster_arrivals += 1;
                if !relaxed {
                    cluster.clocks.join(&warp.clocks);
                    warp.tick();
                }
                let generation = cluster.generation + 1;
                self.pass(at, warp, |cluster| Post::Cluster(cluster, generation), true);
                self.settle_cluster(at);
                Ok(Flow::Next)
            }
            _ => {
                let Some(cluster) = &self.clusters[at.cluster] else { return Err(Stop) };
                // The arrival of this warp belongs to the generation that runs or has just ended.
                let generation = warp.cluster_phase + 1;
                warp.cluster_phase = generation;
                if cluster.generation < generation {
                    return Ok(Flow::Then(Wait::Cluster { generation }));
                }
                warp.acquire(&cluster.released, mask);
                self.pass(at, warp, |cluster| Post::Cluster(cluster, generation), false);
                Ok(Flow::Next)
            }
        }
    }

    fn settle_cluster(&mut self, at: At) {
        let Some(cluster) = &mut self.clusters[at.cluster] else { return };
        let threads = u64::from(self.launch.block.iter().product::<u32>()) * cluster.blocks.len() as u64;
        let ended: u64 = cluster
            .blocks
            .iter()
            .flat_map(|b| &b.warps)
            // Those who arrived before they ended are counted already.
            .filter(|w| w.done && w.cluster_arrivals <= cluster.generation)
            .map(|w| u64::from(w.lanes.count_ones()))
            .sum();
        if cluster.arrived + ended >= threads {
            cluster.generation += 1;
            cluster.arrived = 0;
            cluster.released = std::mem::take(&mut cluster.clocks);
        }
    }

    /// Some lanes of a warp end: those who wait for them wait no longer.
    pub(super) fn lanes_end(&mut self, at: At, warp: &mut Warp) {
        for group in &mut warp.groups {
            if group.wait == Wait::Lanes {
                group.wait = Wait::Ready;
            }
        }
        let live = warp.lanes & !warp.exited;
        let program = self.program;
        let Some(cluster) = &mut self.clusters[at.cluster] else { return };
        let block = &mut cluster.blocks[at.block];
        for number in 0..16 {
            let bar = &mut block.bars[number as usize];
            if bar.partial.get(&warp.index).is_some_and(|seen| seen & live == live) {
                bar.partial.remove(&warp.index);
                bar.arrived += 32;
                if bar.arrived >= bar.expected {
                    self.activity += 1;
                    end_generation(block, warp, number, program);
                }
            }
        }
    }

    /// Bookkeeping when a warp's last lane ends.
    pub(super) fn end_warp(&mut self, at: At, warp: &mut Warp) -> Result<(), Stop> {
        warp.done = true;
        self.activity += 1;
        if !warp.wgmmas.is_empty() {
            self.finding(
                at,
                Class::Wgmma,
                Some(warp.index * 32),
                "the warp ends with matrix products in flight".into(),
            );
        }
        self.drain_stores(at, warp)?;
        let (launched, program) = (self.registers(), self.program);
        let Some(cluster) = &mut self.clusters[at.cluster] else { return Err(Stop) };
        let block = &mut cluster.blocks[at.block];
        if let Some(own) = warp.registers.or(launched) {
            block.pool = block.pool.saturating_add(i64::from(own) * 32);
        }
        // Barriers without a count do not wait for warps that have ended.
        let ended = block.warps.iter().filter(|w| w.done).count() as u32 + 1;
        let left = 32 * (block.warps.len() as u32 - ended.min(block.warps.len() as u32));
        let all = 32 * block.warps.len() as u32;
        for number in 0..16 {
            let bar = &block.bars[number as usize];
            if bar.expected > left
                && bar.expected <= all
                && bar.arrived > 0
                && bar.arrived >= left
                && bar.expected % 32 == 0
                && bar.whole
            {
                end_generation(block, warp, number, program);
            }
        }
        // This warp is out of its list; count it by hand, unless it arrived before.
        let mut lanes = 0;
        if let Some(cluster) = &mut self.clusters[at.cluster]
            && warp.cluster_arrivals <= cluster.generation
        {
            lanes = u64::from(warp.lanes.count_ones());
            cluster.arrived += lanes;
        }
        self.settle_cluster(at);
        if let Some(cluster) = &mut self.clusters[at.cluster] {
            cluster.arrived = cluster.arrived.saturating_sub(lanes);
        }
        Ok(())
    }

    pub(super) fn set_registers(&mut self, at: At, warp: &mut Warp, count: u32, increase: bool) -> Flow {
        // Without a launch bound the assembler ignores the instruction.
        let Some(launch) =
            self.registers().filter(|_| self.program.bounds.maxntid.is_some() || self.program.bounds.reqntid.is_some())
        else {
            return Flow::Next;
        };
        let own = warp.registers.unwrap_or(launch);
        if increase && count < own || !increase && count > own {
            let what = format!("setmaxnreg from {own} to {count} registers goes the wrong way");
            self.finding(at, Class::RegisterPool, Some(warp.index * 32), what);
            return Flow::Next;
        }
        let Some(cluster) = &mut self.clusters[at.cluster] else { return Flow::Next };
        let block = &mut cluster.blocks[at.block];
        let change = i64::from(own) * 32 - i64::from(count) * 32;
        if block.pool + change < 0 {
            return Flow::Again(Wait::Registers { count, need: -change });
        }
        block.pool += change;
        warp.registers = Some(count);
        self.activity += 1;
        Flow::Next
    }
}

/// All have arrived at a named barrier: who waits may go on, with the results of `barrier.red`.
fn end_generation(block: &mut Block, warp: &mut Warp, number: u32, program: &Program) {
    let bar = &mut block.bars[number as usize];
    bar.generation += 1;
    bar.arrived = 0;
    bar.expected = 0;
    bar.released = std::mem::take(&mut bar.clocks);
    block.warps.iter_mut().chain([warp]).for_each(|w| bar.give(number, w, &program.code));
}
