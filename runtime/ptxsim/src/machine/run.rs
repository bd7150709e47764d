//! One launch: what it is asked for and what it is made of.
//!
//! Central type: [`Machine`]. Its blocks begin in `start`, `schedule` says which warp runs, `groups` which of its lanes, and `step` what
//! an operation does.

use super::op::*;
use super::order::{Flags, Maps, Shadow, Trail};
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
    /// The clusters to run, by their number in the grid (x fastest); all without it.
    pub only: Option<std::ops::Range<u64>>,
    pub dynamic_shared: u32,
    /// Parameters as the program lays them out.
    pub params: Vec<u8>,
    /// Registers of a thread at launch, for `setmaxnreg`; `None` for the kernel's `.maxnreg`, or what ptxas would choose.
    pub registers: Option<u32>,
    /// Order of warps and moments of asynchronous operations; `None` for first come and as late as possible.
    pub seed: Option<u64>,
    /// Warp instructions after which the run ends with a finding.
    pub step_limit: u64,
    /// Count bytes, sectors and bank conflicts.
    pub counters: bool,
    /// Check the order of accesses to shared and global memory.
    pub order: bool,
    /// PTX lines of two accesses: the report says what orders the second after the first.
    pub explain: Option<(u32, u32)>,
    /// Matrix products bit for bit as the tensor core (arXiv 2511.10909) rather than in host floats.
    pub exact: bool,
}

impl Default for Launch {
    fn default() -> Launch {
        Launch {
            grid: [1; 3],
            block: [1; 3],
            cluster: [1; 3],
            only: None,
            dynamic_shared: 0,
            params: vec![],
            registers: None,
            seed: None,
            step_limit: 20_000_000_000,
            counters: false,
            order: true,
            explain: None,
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
    /// Operations queued so far.
    pub(super) queued: u64,
    pub(super) report: Report,
    /// Counts changes that waiting warps may be waiting for.
    pub(super) activity: u64,
    /// The running warp looked at memory that others write.
    pub(super) polled: bool,
    /// The running access is volatile, relaxed, acquire or release.
    pub(super) strong: bool,
    /// Last accesses of every word of global memory, by buffer.
    pub(super) shadows: Vec<Shadow>,
    pub(super) flags: Flags,
    pub(super) maps: Maps,
    /// For `--explain-order`.
    pub(super) trail: Option<Trail>,
    pub(super) steps: u64,
    pub(super) lane_steps: u64,
    pub(super) next_cluster: u64,
    random: u64,
}

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
        queued: 0,
        report: Report::default(),
        activity: 0,
        polled: false,
        strong: false,
        shadows: vec![],
        flags: Flags::default(),
        maps: Maps::default(),
        trail: launch.explain.map(Trail::new),
        steps: 0,
        lane_steps: 0,
        next_cluster: 0,
        random: launch.seed.unwrap_or(0) ^ 0x9e37_79b9_7f4a_7c15,
    };
    if machine.check_launch().is_ok() {
        let _ = machine.schedule();
    }
    if let Some(trail) = &machine.trail {
        machine.report.order = trail.explain(|who| machine.name(who), |index| machine.global.name(index).to_string());
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
        let threads = l.block.iter().fold(1u64, |all, n| all.saturating_mul(u64::from(*n)));
        let cluster = l.cluster.iter().fold(1u64, |all, n| all.saturating_mul(u64::from(*n)));
        let shared = self.program.static_shared + u64::from(l.dynamic_shared);
        let bounds = &self.program.bounds;
        let product = |b: [u32; 3]| b.iter().fold(1u64, |all, n| all.saturating_mul(u64::from(*n)));
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

    /// Registers of a thread at launch. A kernel with `setmaxnreg` says them as `.maxnreg` (PTX ISA 9.7.19.5); else ptxas 13.0
    /// gives it as many as its largest `setmaxnreg.inc` asks for, as far as the multiprocessor's 65,536 reach for the threads
    /// of `.maxntid`.
    pub(super) fn registers(&self) -> Option<u32> {
        let program = &self.program;
        let chosen = || {
            let threads = program.bounds.maxntid?.iter().fold(1u32, |n, side| n.saturating_mul(*side));
            Some(program.setmaxnreg?.min(65_536 / threads.max(1) / 8 * 8))
        };
        self.launch.registers.or(program.bounds.maxnreg).or_else(chosen)
    }

    pub(super) fn random(&mut self, below: u64) -> u64 {
        // splitmix64
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % below.max(1)
    }
}
