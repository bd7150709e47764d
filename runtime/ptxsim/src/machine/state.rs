//! What a running grid consists of: warps with their registers, blocks, clusters, barriers and pending copies.

use super::op::{Inst, Op, Reduce, Slot, VoteMode};
use super::order::{Clocks, Fences, Issuer, Shadow};
use crate::isa::{L32, L64};
use crate::memory::Region;
use std::collections::{BTreeMap, VecDeque};

/// Why lanes do not run.
#[derive(Clone, Debug, PartialEq)]
pub enum Wait {
    Ready,
    /// Lanes of the warp that must come to the same operation first.
    Lanes,
    /// Named barrier and the generation that ends the wait.
    Bar {
        id: u32,
        generation: u64,
    },
    /// Phase of an mbarrier: block of the cluster and address.
    Phase {
        block: usize,
        address: u64,
        phase: u64,
    },
    Cluster {
        generation: u64,
    },
    /// More registers for `setmaxnreg.inc`.
    /// `need` registers of the pool for `count` a thread.
    Registers {
        count: u32,
        need: i64,
    },
}

/// Lanes at one place.
#[derive(Clone, Debug)]
pub struct Group {
    pub pc: u32,
    pub mask: u32,
    pub wait: Wait,
    /// Took a back edge while others are behind; runs again when all have.
    pub yielded: bool,
    /// Back edges since the last change.
    pub spins: u32,
}

/// Mark of a register that was last written by a `mov`.
pub const MOVED: u32 = 1 << 31;

/// Mark of a register that a wgmma in flight reads.
pub const IN_FLIGHT: u32 = 1 << 30;

/// An accumulator that a wgmma has not written yet: operation and element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub operation: u64,
    pub element: u32,
}

/// Where a wgmma's accumulator comes from.
#[derive(Clone, Debug)]
pub enum Source {
    Value(Box<L32>),
    Token(Token),
}

/// An issued wgmma of one warp.
pub struct PendingWgmma {
    pub operation: u64,
    pub pc: u32,
    pub scale_d: bool,
    pub sources: Vec<Source>,
    /// A fragment registers at issue.
    pub a: Vec<L32>,
    pub a_desc: u64,
    pub b_desc: u64,
    pub meta: L32,
    /// What the warp knew at issue.
    pub clocks: Clocks,
}

/// A copy of `cp.async` one lane issued.
pub struct PendingCopy {
    pub lane: u32,
    pub dst: u64,
    pub src: u64,
    pub size: u32,
    pub bytes: u32,
    pub line: u32,
}

/// A bulk store one lane issued.
pub enum BulkStore {
    Linear { dst: u64, src: u64, size: u32, reduce: Option<(super::op::AtomOp, super::op::Scalar)> },
    Tensor { map: [u8; 128], coordinates: Vec<i32>, src: u64, reduce: Option<super::op::AtomOp> },
}

pub struct PendingStore {
    pub lane: u32,
    pub line: u32,
    /// What the issuer knew.
    pub clocks: Clocks,
    pub issuer: Issuer,
    pub store: BulkStore,
}

#[derive(Default)]
pub struct Warp {
    pub index: u32,
    /// Lanes that exist.
    pub lanes: u32,
    pub exited: u32,
    pub r: Vec<L32>,
    pub d: Vec<L64>,
    pub p: Vec<u32>,
    /// Lanes whose value is defined.
    pub def_r: Vec<u32>,
    pub def_d: Vec<u32>,
    pub def_p: Vec<u32>,
    pub carry: u32,
    pub local: Option<Region>,
    pub groups: Vec<Group>,
    /// `setmaxnreg` of this warp; `None` before one.
    pub registers: Option<u32>,
    pub tokens: BTreeMap<u32, Token>,
    pub wgmmas: VecDeque<PendingWgmma>,
    /// Operations of each committed wgmma group.
    pub wgmma_groups: VecDeque<u64>,
    pub wgmma_open: u64,
    /// `wgmma.fence`s so far.
    pub wgmma_fences: u32,
    /// How many of them came before the last write of each 32-bit register; [`MOVED`] where it was a `mov`.
    pub written: Vec<u32>,
    pub next_operation: u64,
    pub copies: Vec<PendingCopy>,
    /// Committed groups of `cp.async`.
    pub copy_groups: VecDeque<Vec<PendingCopy>>,
    pub stores: Vec<PendingStore>,
    /// Committed groups: lane, and its stores.
    pub store_groups: VecDeque<(u32, Vec<PendingStore>)>,
    /// Bulk stores that have happened.
    pub stored: u32,
    /// `barrier.cluster.arrive`s executed.
    pub cluster_arrivals: u64,
    /// `barrier.cluster.wait`s passed.
    pub cluster_phase: u64,
    pub clocks: Clocks,
    /// Number among the agents of the cluster.
    pub agent: u16,
    /// Time of the warp up to which each lane knows the others.
    pub lane_seen: [u32; 32],
    pub fences: Fences,
    pub done: bool,
}

/// `bar` resources (PTX ISA 9.7.13.1).
#[derive(Clone, Debug, Default)]
pub struct NamedBarrier {
    /// Threads arrived.
    pub arrived: u32,
    /// 0 while nobody is here.
    pub expected: u32,
    /// Came without a thread count: all threads that have not ended.
    pub whole: bool,
    pub generation: u64,
    /// Lanes of each warp that have arrived in part.
    pub partial: BTreeMap<u32, u32>,
    /// What the predicates of `bar.red` give so far: some are true, all are, how many are.
    pub any: bool,
    pub all: bool,
    pub count: u32,
    /// What those who have arrived know, and what the last generation knew.
    pub clocks: Clocks,
    pub released: Clocks,
}

impl NamedBarrier {
    /// Writes the result of `bar.red` to the lanes of a warp that wait for the generation which has just ended.
    pub fn give(&self, number: u32, warp: &mut Warp, code: &[Inst]) {
        let over = Wait::Bar { id: number, generation: self.generation };
        for n in 0..warp.groups.len() {
            let (pc, mask) = (warp.groups[n].pc as usize, warp.groups[n].mask);
            // Lanes that wait stand behind their barrier.
            if warp.groups[n].wait == over
                && let Some(Op::Bar { reduce: Some(reduce), .. }) = code.get(pc.wrapping_sub(1)).map(|i| &i.op)
            {
                self.write(reduce, warp, mask);
            }
        }
    }

    /// Writes the result of `bar.red`.
    pub fn write(&self, reduce: &Reduce, warp: &mut Warp, mask: u32) {
        let truth = if reduce.mode == VoteMode::All { self.all } else { self.any };
        match reduce.d {
            Slot::R(d) => warp.set_r(d, mask, &[self.count; 32], u32::MAX),
            Slot::P(d) => warp.set_p(d, mask, if truth { u32::MAX } else { 0 }, u32::MAX),
            _ => {}
        }
    }
}

/// An mbarrier object (PTX ISA 9.7.13.15).
#[derive(Clone, Debug)]
pub struct Mbarrier {
    pub expected: u32,
    pub pending: i64,
    pub transactions: i64,
    pub phase: u64,
    pub line: u32,
    /// What those knew who arrived in the phases that are over, and in the one that runs.
    pub released: Clocks,
    pub clocks: Clocks,
    /// Agent and time of its initialisation.
    pub born: (u16, u32),
    /// A `fence.mbarrier_init` has followed its initialisation.
    pub published: bool,
}

impl Mbarrier {
    /// Completes the phase if nothing is outstanding.
    pub fn settle(&mut self) -> bool {
        let complete = self.pending == 0 && self.transactions == 0;
        if complete {
            self.phase += 1;
            self.pending = i64::from(self.expected);
            let arrived = std::mem::take(&mut self.clocks);
            self.released.join(&arrived);
        }
        complete
    }
}

pub struct Block {
    pub id: [u32; 3],
    pub shared: Region,
    pub warps: Vec<Warp>,
    pub bars: Vec<NamedBarrier>,
    pub mbarriers: BTreeMap<u64, Mbarrier>,
    /// Last accesses of every word of shared memory.
    pub shadow: Shadow,
    /// Free registers of the launch pool.
    pub pool: i64,
    pub done: bool,
}

/// Blocks that run together; one block where there are no clusters.
pub struct Cluster {
    /// In the order of the grid.
    pub number: u32,
    /// Number and count of the copies that complete on the mbarrier at a place.
    pub copiers: BTreeMap<(usize, u64), (usize, u32)>,
    pub blocks: Vec<Block>,
    /// Threads arrived at `barrier.cluster`.
    pub arrived: u64,
    pub generation: u64,
    pub clocks: Clocks,
    pub released: Clocks,
}

/// A copy between a global buffer and shared memory that has not happened yet.
pub enum Pending {
    Linear {
        dst_block: usize,
        dst: u64,
        src: Result<u64, u64>,
        size: u32,
        barrier: (usize, u64),
        reduce: Option<(super::op::AtomOp, super::op::Scalar)>,
    },
    /// A lane's `st.async` or `red.async`.
    Write(super::async_store::Write),
    Tensor {
        map: [u8; 128],
        coordinates: Vec<i32>,
        dst_block: usize,
        dst: u64,
        barrier: (usize, u64),
        count: u32,
    },
    /// Arrival of `cp.async.mbarrier.arrive`: copies of the lanes, then the arrivals.
    Arrive {
        block: usize,
        copies: Vec<PendingCopy>,
        barrier: u64,
        lanes: u32,
    },
}

pub struct PendingOperation {
    /// In the order of issue.
    pub number: u64,
    pub cluster: usize,
    pub issuer: usize,
    pub line: u32,
    /// What the issuer knew.
    pub clocks: Clocks,
    pub origin: Issuer,
    pub what: Pending,
}
