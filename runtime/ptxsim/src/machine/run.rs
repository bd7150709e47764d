//! The scheduler: which warp runs, which lanes of it, and when nothing can.
//!
//! Central type: [`Machine`], one launch. Warps run until they wait; asynchronous copies happen when nothing else can go on,
//! which is the latest moment the program allows. Groups of lanes follow [`super::flow::Flow`].

use super::flow::NONE;
use super::op::*;
use super::order::{Clocks, Word};
use super::state::*;
use crate::memory::{Global, Region};
use crate::report::{Class, Finding, Report};
use std::collections::VecDeque;

/// How a kernel is launched.
#[derive(Clone, Debug)]
pub struct Launch {
    pub grid: [u32; 3],
    pub block: [u32; 3],
    /// Blocks of a cluster.
    pub cluster: [u32; 3],
    pub dynamic_shared: u32,
    /// Parameters as the program lays them out.
    pub params: Vec<u8>,
    /// Registers of a thread at launch, for `setmaxnreg`; `None` for the kernel's `.maxnreg`.
    pub registers: Option<u32>,
    /// Order of warps and moments of asynchronous operations; `None` for first come and as late as possible.
    pub seed: Option<u64>,
    /// Warp instructions after which the run ends with a finding.
    pub step_limit: u64,
    /// Count bytes, sectors and bank conflicts.
    pub counters: bool,
    /// Check the order of accesses to shared memory.
    pub order: bool,
    /// Matrix products bit for bit as the tensor core (arXiv 2511.10909) rather than in host floats.
    pub exact: bool,
}

impl Default for Launch {
    fn default() -> Launch {
        Launch {
            grid: [1; 3],
            block: [1; 3],
            cluster: [1; 3],
            dynamic_shared: 0,
            params: vec![],
            registers: None,
            seed: None,
            step_limit: 20_000_000_000,
            counters: false,
            order: true,
            exact: true,
        }
    }
}

/// A fatal finding ended the run.
#[derive(Clone, Copy, Debug)]
pub struct Stop;

/// Where something happens.
#[derive(Clone, Copy, Debug)]
pub struct At {
    pub cluster: usize,
    pub block: usize,
    pub line: u32,
    pub pc: u32,
}

/// What an operation does to its group.
pub(super) enum Flow {
    Next,
    /// Stay at the operation and wait.
    Again(Wait),
    /// Go on behind the operation when the wait is over.
    Then(Wait),
}

pub struct Machine<'a> {
    pub(super) program: &'a Program,
    pub(super) launch: &'a Launch,
    pub(super) global: &'a mut Global,
    pub(super) params: Region,
    pub(super) constants: Region,
    pub(super) clusters: Vec<Option<Cluster>>,
    pub(super) pending: VecDeque<PendingOperation>,
    pub(super) report: Report,
    /// Counts changes that waiting warps may be waiting for.
    pub(super) activity: u64,
    /// The running warp looked at memory that others write.
    pub(super) polled: bool,
    /// The running access is volatile, relaxed, acquire or release.
    pub(super) strong: bool,
    pub(super) steps: u64,
    pub(super) lane_steps: u64,
    next_cluster: u64,
    random: u64,
}

/// Back edges of a warp before others run.
const SLICE: u32 = 4096;

/// Runs a kernel to its end.
pub fn run(program: &Program, launch: &Launch, global: &mut Global, constants: Region) -> Report {
    let params = Region::filled("parameters", 0, launch.params.clone());
    let mut machine = Machine {
        program,
        launch,
        global,
        params,
        constants,
        clusters: vec![],
        pending: VecDeque::new(),
        report: Report::default(),
        activity: 0,
        polled: false,
        strong: false,
        steps: 0,
        lane_steps: 0,
        next_cluster: 0,
        random: launch.seed.unwrap_or(0) ^ 0x9e37_79b9_7f4a_7c15,
    };
    if machine.check_launch().is_ok() {
        let _ = machine.schedule();
    }
    machine.report.instructions = machine.steps;
    machine.report.lane_instructions = machine.lane_steps;
    machine.report
}

impl Machine<'_> {
    pub(super) fn finding(&mut self, at: At, class: Class, thread: Option<u32>, message: String) {
        let block = self
            .clusters
            .get(at.cluster)
            .and_then(|c| c.as_ref())
            .and_then(|c| c.blocks.get(at.block))
            .map_or([0; 3], |b| b.id);
        let source = self.program.locations.range(..=at.line).next_back().map(|(_, l)| {
            let file = self.program.files_named.get(&l.file).map_or("?", String::as_str);
            format!("{file}:{}", l.line)
        });
        self.report.add(Finding {
            class,
            kernel: self.program.name.clone(),
            block,
            thread,
            line: at.line,
            source,
            message,
            count: 1,
        });
    }

    fn check_launch(&mut self) -> Result<(), Stop> {
        let l = self.launch;
        let at = At { cluster: 0, block: 0, line: 0, pc: 0 };
        let threads = l.block.iter().map(|n| u64::from(*n)).product::<u64>();
        let cluster = l.cluster.iter().map(|n| u64::from(*n)).product::<u64>();
        let shared = self.program.static_shared + u64::from(l.dynamic_shared);
        let bounds = &self.program.bounds;
        let product = |b: [u32; 3]| b.iter().map(|n| u64::from(*n)).product::<u64>();
        let problem = if !(1..=1024).contains(&threads) {
            Some((Class::Trap, format!("a block of {threads} threads; 1 to 1024 are possible")))
        } else if !(1..=16).contains(&cluster) {
            Some((Class::Trap, format!("a cluster of {cluster} blocks; 1 to 16 are possible")))
        } else if (0..3).any(|n| l.cluster[n] == 0 || l.grid[n] % l.cluster[n] != 0) {
            Some((Class::Trap, format!("a grid of {:?} blocks in clusters of {:?}", l.grid, l.cluster)))
        } else if l.grid[1] > 65535 || l.grid[2] > 65535 || l.grid[0] > 0x7fff_ffff {
            Some((Class::Trap, format!("a grid of {:?} blocks; 2147483647 x 65535 x 65535 are possible", l.grid)))
        } else if shared > 232_448 {
            Some((Class::SharedMemory, format!("{shared} bytes of shared memory; 232448 are possible")))
        } else if bounds.reqntid.is_some_and(|b| b != l.block && product(b) != threads)
            || bounds.maxntid.is_some_and(|b| product(b) < threads)
        {
            Some((Class::Trap, format!("a block of {:?} threads against the kernel's launch bounds", l.block)))
        } else if (self.program.param_bytes as usize) != l.params.len() {
            Some((Class::Trap, format!("{} bytes of parameters, not {}", l.params.len(), self.program.param_bytes)))
        } else {
            None
        };
        match problem {
            Some((class, message)) => {
                self.finding(at, class, None, message);
                Err(Stop)
            }
            None => Ok(()),
        }
    }

    /// Registers of a thread at launch: a kernel with `setmaxnreg` says them as `.maxnreg` (PTX ISA 9.7.19.5).
    pub(super) fn registers(&self) -> Option<u32> {
        self.launch.registers.or(self.program.bounds.maxnreg)
    }

    pub(super) fn random(&mut self, below: u64) -> u64 {
        // splitmix64
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % below.max(1)
    }

    fn cluster_count(&self) -> u64 {
        (0..3).map(|n| u64::from(self.launch.grid[n] / self.launch.cluster[n])).product()
    }

    /// Clusters that fit 132 multiprocessors.
    fn resident(&self) -> usize {
        let threads: u32 = self.launch.block.iter().product();
        let shared = (self.program.static_shared + u64::from(self.launch.dynamic_shared) + 1024).max(1024);
        let by_shared = (233_472 / shared).max(1);
        let by_threads = u64::from(2048 / threads.next_multiple_of(32)).max(1);
        let registers = self.registers().unwrap_or(32);
        let by_registers = u64::from(65536 / (registers.max(1) * threads.next_multiple_of(32))).max(1);
        let blocks = by_shared.min(by_threads).min(by_registers).min(32) * 132;
        let size: u64 = self.launch.cluster.iter().map(|n| u64::from(*n)).product();
        (blocks / size).max(1) as usize
    }

    fn start_cluster(&mut self) {
        let l = self.launch;
        let n = self.next_cluster;
        self.next_cluster += 1;
        let counts: [u64; 3] = std::array::from_fn(|i| u64::from(l.grid[i] / l.cluster[i]));
        let id = [n % counts[0], n / counts[0] % counts[1], n / counts[0] / counts[1]];
        let size: u32 = l.cluster.iter().product();
        let blocks = (0..size)
            .map(|rank| {
                let inner =
                    [rank % l.cluster[0], rank / l.cluster[0] % l.cluster[1], rank / l.cluster[0] / l.cluster[1]];
                let block: [u32; 3] = std::array::from_fn(|i| id[i] as u32 * l.cluster[i] + inner[i]);
                self.start_block(block, id, inner, rank)
            })
            .collect();
        self.report.blocks += u64::from(size);
        let cluster =
            Cluster { blocks, arrived: 0, generation: 0, clocks: Clocks::default(), released: Clocks::default() };
        match self.clusters.iter().position(Option::is_none) {
            Some(free) => self.clusters[free] = Some(cluster),
            None => self.clusters.push(Some(cluster)),
        }
    }

    fn start_block(&self, id: [u32; 3], cluster: [u64; 3], inner: [u32; 3], rank: u32) -> Block {
        let (l, p) = (self.launch, self.program);
        let threads: u32 = l.block.iter().product();
        let bytes = (p.static_shared + u64::from(l.dynamic_shared)) as usize;
        let linear =
            u64::from(id[0]) + u64::from(l.grid[0]) * (u64::from(id[1]) + u64::from(l.grid[1]) * u64::from(id[2]));
        let warps = (0..threads.div_ceil(32))
            .map(|w| {
                let here = threads - 32 * w;
                let lanes = if here >= 32 { u32::MAX } else { (1 << here) - 1 };
                let mut warp = Warp {
                    index: w,
                    lanes,
                    r: vec![[0; 32]; p.files[0] as usize],
                    d: vec![[0; 32]; p.files[1] as usize],
                    p: vec![0; p.files[2] as usize],
                    def_r: vec![0; p.files[0] as usize],
                    def_d: vec![0; p.files[1] as usize],
                    def_p: vec![0; p.files[2] as usize],
                    local: (p.local > 0).then(|| Region::new("local memory", 0, p.local as usize * 32)),
                    groups: vec![Group { pc: 0, mask: lanes, wait: Wait::Ready, yielded: false, spins: 0 }],
                    ..Warp::default()
                };
                warp.clocks.tick((rank * threads.div_ceil(32) + w) as u16);
                for (slot, value) in &p.const32 {
                    warp.set_r(*slot, u32::MAX, &[*value; 32], u32::MAX);
                }
                for (slot, value) in &p.const64 {
                    warp.set_d(*slot, u32::MAX, &[*value; 32], u32::MAX);
                }
                for (slot, value) in &p.const_p {
                    warp.set_p(*slot, u32::MAX, *value, u32::MAX);
                }
                for (slot, special) in &p.specials {
                    let value: [u32; 32] = std::array::from_fn(|lane| {
                        let t = 32 * w + lane as u32;
                        let tid = [t % l.block[0], t / l.block[0] % l.block[1], t / l.block[0] / l.block[1]];
                        let lane = lane as u32;
                        use Special::*;
                        match *special {
                            Tid(a) => tid[a as usize],
                            Ntid(a) => l.block[a as usize],
                            Ctaid(a) => id[a as usize],
                            Nctaid(a) => l.grid[a as usize],
                            ClusterId(a) => cluster[a as usize] as u32,
                            NclusterId(a) => l.grid[a as usize] / l.cluster[a as usize],
                            ClusterCtaid(a) => inner[a as usize],
                            ClusterNctaid(a) => l.cluster[a as usize],
                            ClusterCtarank => rank,
                            ClusterNctarank => l.cluster.iter().product(),
                            Lane => lane,
                            Special::Warp => w,
                            Nwarp => threads.div_ceil(32),
                            Sm => (linear % 132) as u32,
                            Nsm => 132,
                            MaskEq => 1 << lane,
                            MaskLt => (1 << lane) - 1,
                            MaskLe => u32::MAX >> (31 - lane),
                            MaskGt => !(u32::MAX >> (31 - lane)),
                            MaskGe => !((1 << lane) - 1),
                            DynamicShared => l.dynamic_shared,
                            TotalShared => bytes as u32,
                            Explicit => u32::from(p.bounds.cluster.is_some() || l.cluster != [1; 3]),
                            Zero => 0,
                        }
                    });
                    match *slot {
                        Slot::R(n) => warp.set_r(n, u32::MAX, &value, u32::MAX),
                        Slot::D(n) => warp.set_d(n, u32::MAX, &value.map(u64::from), u32::MAX),
                        Slot::P(n) => warp.set_p(n, u32::MAX, 0u32.wrapping_sub(value[0]), u32::MAX),
                        _ => {}
                    }
                }
                warp
            })
            .collect();
        let pool = self.registers().map_or(i64::MAX, |r| i64::from(r) * i64::from(threads.next_multiple_of(32)));
        let taken = self.registers().map_or(0, |r| i64::from(r) * i64::from(threads.next_multiple_of(32)));
        Block {
            id,
            shared: Region::new("shared memory", 0, bytes),
            warps,
            bars: vec![NamedBarrier::default(); 16],
            mbarriers: Default::default(),
            words: if l.order { vec![Word::default(); bytes.div_ceil(4)] } else { vec![] },
            pool: pool.saturating_sub(taken),
            done: false,
        }
    }

    fn schedule(&mut self) -> Result<(), Stop> {
        let total = self.cluster_count();
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
    fn is_over(&self, c: usize, b: usize, wait: &Wait) -> bool {
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

    /// Returns whether the slice ended rather than the work.
    fn run_groups(&mut self, c: usize, b: usize, warp: &mut Warp) -> Result<bool, Stop> {
        let mut slice = if self.launch.seed.is_some() { 1 + self.random(64) as u32 } else { SLICE };
        loop {
            // Waits that are over.
            for n in 0..warp.groups.len() {
                if warp.groups[n].wait != Wait::Ready && self.is_over(c, b, &warp.groups[n].wait) {
                    let wait = std::mem::replace(&mut warp.groups[n].wait, Wait::Ready);
                    if let Some(cluster) = &self.clusters[c] {
                        match wait {
                            Wait::Bar { id, .. } => warp.clocks.join(&cluster.blocks[b].bars[id as usize].released),
                            Wait::Cluster { .. } => warp.clocks.join(&cluster.released),
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
