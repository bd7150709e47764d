//! Which lanes of a warp run: groups at one place each, which split at branches and meet where their paths do.
//!
//! Central function: [`Machine::advance`]. The order of groups is that of [`super::flow::Flow`].

use super::flow::NONE;
use super::op::*;
use super::order::Post;
use super::run::{At, Flow, Machine, Stop};
use super::state::*;
use crate::report::Class;

/// Back edges of a warp before others run.
const SLICE: u32 = 4096;

impl Machine<'_> {
    /// Returns whether the slice ended rather than the work.
    pub(super) fn run_groups(&mut self, c: usize, b: usize, warp: &mut Warp) -> Result<bool, Stop> {
        let mut slice = if self.launch.seed.is_some() { 1 + self.random(64) as u32 } else { SLICE };
        loop {
            // Waits that are over.
            for n in 0..warp.groups.len() {
                if warp.groups[n].wait != Wait::Ready && self.is_over(c, b, &warp.groups[n].wait) {
                    let wait = std::mem::replace(&mut warp.groups[n].wait, Wait::Ready);
                    let mask = warp.groups[n].mask;
                    let line = self.program.code[warp.groups[n].pc as usize].line;
                    let at = At { cluster: c, block: b, line, pc: warp.groups[n].pc };
                    match wait {
                        Wait::Bar { id, generation } => {
                            self.pass(at, warp, |cluster| Post::Bar(cluster, b, id, generation), false);
                        }
                        Wait::Cluster { generation } => {
                            self.pass(at, warp, |cluster| Post::Cluster(cluster, generation), false);
                        }
                        _ => {}
                    }
                    if let Some(cluster) = &self.clusters[c] {
                        match wait {
                            Wait::Bar { id, .. } => warp.acquire(&cluster.blocks[b].bars[id as usize].released, mask),
                            Wait::Cluster { .. } => warp.acquire(&cluster.released, mask),
                            _ => {}
                        }
                    }
                }
            }
            let Some(g) = self.pick(warp) else {
                if warp.groups.is_empty() {
                    return Ok(false);
                }
                // Lanes that wait for lanes that cannot come run as they are.
                let stuck = warp.groups.iter().all(|g| g.wait == Wait::Lanes || !matches!(g.wait, Wait::Ready));
                let lanes = warp.groups.iter().position(|g| g.wait == Wait::Lanes);
                match lanes {
                    Some(n) if stuck && warp.groups.iter().all(|g| g.wait == Wait::Lanes) => {
                        let at = At {
                            cluster: c,
                            block: b,
                            line: self.program.code[warp.groups[n].pc as usize].line,
                            pc: warp.groups[n].pc,
                        };
                        let thread = warp.index * 32 + warp.groups[n].mask.trailing_zeros();
                        let message = format!(
                            "lanes {:#010x} of the warp reach an operation that all its lanes must execute together",
                            warp.groups[n].mask
                        );
                        self.finding(at, Class::Divergence, Some(thread), message);
                        warp.groups[n].wait = Wait::Ready;
                        warp.groups[n].yielded = false;
                        if self.advance(c, b, warp, n, &mut slice, true)? {
                            return Ok(true);
                        }
                        continue;
                    }
                    _ => return Ok(false),
                }
            };
            if self.advance(c, b, warp, g, &mut slice, false)? {
                return Ok(true);
            }
        }
    }

    /// The ready group whose place comes first; those that have yielded only when all have.
    fn pick(&self, warp: &mut Warp) -> Option<usize> {
        if warp.groups.len() == 1 {
            let g = &mut warp.groups[0];
            g.yielded = false;
            return (g.wait == Wait::Ready).then_some(0);
        }
        for again in [false, true] {
            let place = |g: &Group| self.place(g.pc);
            let best = (0..warp.groups.len())
                .filter(|n| warp.groups[*n].wait == Wait::Ready && !warp.groups[*n].yielded)
                .min_by_key(|n| place(&warp.groups[*n]));
            if best.is_some() || again {
                return best;
            }
            warp.groups.iter_mut().for_each(|g| g.yielded = false);
        }
        None
    }

    /// Place of a pc in the running order.
    fn place(&self, pc: u32) -> u32 {
        self.program.flow.places[pc as usize]
    }

    /// Runs one group until it waits, ends, meets others or must yield. Returns whether the slice ended.
    fn advance(
        &mut self,
        c: usize,
        b: usize,
        warp: &mut Warp,
        n: usize,
        slice: &mut u32,
        alone: bool,
    ) -> Result<bool, Stop> {
        let program = self.program;
        let mut alone = alone;
        let (mut pc, mut mask) = (warp.groups[n].pc, warp.groups[n].mask);
        loop {
            let inst = &program.code[pc as usize];
            let mut active = mask;
            if let Some((p, negated)) = inst.guard {
                let value = warp.p[p as usize];
                active &= if negated { !value } else { value };
                if mask & !warp.def_p[p as usize] != 0 {
                    let at = At { cluster: c, block: b, line: inst.line, pc };
                    let lane = (mask & !warp.def_p[p as usize]).trailing_zeros();
                    let what = "control depends on a value that was never written".to_string();
                    self.finding(at, Class::Uninitialised, Some(warp.index * 32 + lane), what);
                    warp.def_p[p as usize] |= mask;
                }
            }
            self.steps += 1;
            self.lane_steps += u64::from(active.count_ones());
            let next = match &inst.op {
                Op::Bra { target } => {
                    if active == 0 {
                        pc + 1
                    } else if active == mask {
                        *target
                    } else {
                        self.split(warp, n, active, *target);
                        mask &= !active;
                        warp.groups[n].mask = mask;
                        pc + 1
                    }
                }
                _ if active == 0 => pc + 1,
                Op::Brx { targets, index } => {
                    let mut left = active;
                    let mut first = None;
                    while left != 0 {
                        let lane = left.trailing_zeros() as usize;
                        let value = warp.r[*index as usize][lane];
                        let same = (0..32)
                            .filter(|i| left >> i & 1 != 0 && warp.r[*index as usize][*i] == value)
                            .fold(0, |m, i| m | 1 << i);
                        let Some(target) = targets.get(value as usize) else {
                            let at = At { cluster: c, block: b, line: inst.line, pc };
                            let what = format!("branch index {value}; the list has {} targets", targets.len());
                            self.finding(at, Class::Trap, Some(warp.index * 32 + lane as u32), what);
                            return Err(Stop);
                        };
                        if first.is_none() {
                            first = Some((*target, same));
                        } else {
                            self.split(warp, n, same, *target);
                        }
                        left &= !same;
                    }
                    let (target, same) = first.unwrap_or((pc + 1, mask));
                    if mask & !active != 0 {
                        self.split(warp, n, mask & !active, pc + 1);
                    }
                    mask = same;
                    warp.groups[n].mask = mask;
                    target
                }
                Op::Exit => {
                    warp.exited |= active;
                    mask &= !active;
                    warp.groups[n].mask = mask;
                    if warp.exited & warp.lanes == warp.lanes {
                        warp.groups.clear();
                        self.end_warp(At { cluster: c, block: b, line: inst.line, pc }, warp)?;
                        return Ok(false);
                    }
                    self.lanes_end(At { cluster: c, block: b, line: inst.line, pc }, warp);
                    if mask == 0 {
                        warp.groups.remove(n);
                        return Ok(false);
                    }
                    pc + 1
                }
                op => {
                    let at = At { cluster: c, block: b, line: inst.line, pc };
                    match self.step(at, warp, op, active, mask, alone)? {
                        Flow::Next => pc + 1,
                        Flow::Again(wait) => {
                            let g = &mut warp.groups[n];
                            (g.pc, g.wait) = (pc, wait);
                            return Ok(false);
                        }
                        Flow::Then(wait) => {
                            let g = &mut warp.groups[n];
                            (g.pc, g.wait) = (pc + 1, wait);
                            return Ok(false);
                        }
                    }
                }
            };
            alone = false;
            let back = next <= pc;
            pc = next;
            let block = program.flow.block_at[pc as usize];
            if block != NONE {
                warp.groups[n].pc = pc;
                if back {
                    if self.steps > self.launch.step_limit {
                        let at = At { cluster: c, block: b, line: inst.line, pc };
                        let what = format!("more than {} warp instructions", self.launch.step_limit);
                        self.finding(at, Class::StepLimit, None, what);
                        return Err(Stop);
                    }
                    *slice -= 1;
                    if *slice == 0 {
                        return Ok(true);
                    }
                }
                if warp.groups.len() > 1 && self.meet(warp, n, block, back) {
                    return Ok(false);
                }
            }
        }
    }

    /// Lanes leave the running group `from` for `pc`.
    fn split(&self, warp: &mut Warp, from: usize, mask: u32, pc: u32) {
        let there =
            |(n, g): &(usize, &mut Group)| *n != from && g.pc == pc && matches!(g.wait, Wait::Ready | Wait::Lanes);
        if let Some((_, same)) = warp.groups.iter_mut().enumerate().find(there) {
            same.mask |= mask;
            same.wait = Wait::Ready;
            return;
        }
        warp.groups.push(Group { pc, mask, wait: Wait::Ready, yielded: false, spins: 0 });
    }

    /// A group enters a block while there are others: joins one that is there, or lets one run that comes first.
    fn meet(&self, warp: &mut Warp, n: usize, block: u32, back: bool) -> bool {
        let pc = warp.groups[n].pc;
        let other = (0..warp.groups.len())
            .find(|m| *m != n && warp.groups[*m].pc == pc && matches!(warp.groups[*m].wait, Wait::Ready | Wait::Lanes));
        if let Some(m) = other {
            let mask = warp.groups[n].mask;
            let g = &mut warp.groups[m];
            g.mask |= mask;
            g.wait = Wait::Ready;
            g.yielded = false;
            warp.groups.remove(n);
            return true;
        }
        let flow = &self.program.flow;
        let here = flow.order[block as usize];
        if back {
            let end = flow.loop_end[block as usize];
            let behind = warp.groups.iter().enumerate().any(|(m, g)| {
                m != n && g.wait == Wait::Ready && !g.yielded && (here..=end).contains(&self.place(g.pc))
            });
            let g = &mut warp.groups[n];
            g.spins += 1;
            if behind || g.spins % 64 == 0 {
                g.yielded = true;
                return true;
            }
            return false;
        }
        // Some other group is earlier in the order.
        warp.groups
            .iter()
            .enumerate()
            .any(|(m, g)| m != n && g.wait == Wait::Ready && !g.yielded && self.place(g.pc) < here)
    }
}
