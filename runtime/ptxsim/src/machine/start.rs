//! How blocks begin: which run together, and what a warp knows at its first instruction.
//!
//! Central function: [`Machine::start_cluster`]. Knows no instruction.

use super::op::*;
use super::order::{Clocks, Shadow};
use super::run::Machine;
use super::state::*;
use crate::memory::Region;

impl Machine<'_> {
    pub(super) fn cluster_count(&self) -> u64 {
        (0..3).map(|n| u64::from(self.launch.grid[n] / self.launch.cluster[n])).product()
    }

    /// Clusters that fit 132 multiprocessors.
    pub(super) fn resident(&self) -> usize {
        let threads: u32 = self.launch.block.iter().product();
        let shared = (self.program.static_shared + u64::from(self.launch.dynamic_shared) + 1024).max(1024);
        let by_shared = (233_472 / shared).max(1);
        let by_threads = u64::from(2048 / threads.next_multiple_of(32)).max(1);
        let registers = self.registers().unwrap_or(32);
        let by_registers = (65_536 / (u64::from(registers.max(1)) * u64::from(threads.next_multiple_of(32)))).max(1);
        let blocks = by_shared.min(by_threads).min(by_registers).min(32) * 132;
        let size: u64 = self.launch.cluster.iter().map(|n| u64::from(*n)).product();
        (blocks / size).max(1) as usize
    }

    pub(super) fn start_cluster(&mut self) {
        let l = self.launch;
        let n = self.next_cluster;
        self.next_cluster += 1;
        let size: u32 = l.cluster.iter().product();
        let number = n as u32;
        let blocks = (0..size)
            .map(|rank| {
                let (id, inner) = self.cluster_id(number, rank);
                self.start_block(self.block_id(number, rank), id, inner, rank)
            })
            .collect();
        self.report.blocks += u64::from(size);
        let cluster = Cluster {
            number,
            copiers: Default::default(),
            blocks,
            arrived: 0,
            generation: 0,
            clocks: Clocks::default(),
            released: Clocks::default(),
        };
        match self.clusters.iter().position(Option::is_none) {
            Some(free) => self.clusters[free] = Some(cluster),
            None => self.clusters.push(Some(cluster)),
        }
    }

    /// Cluster of a number in the grid, and the place of a block in it.
    fn cluster_id(&self, number: u32, rank: u32) -> ([u64; 3], [u32; 3]) {
        let (l, n) = (self.launch, u64::from(number));
        let counts: [u64; 3] = std::array::from_fn(|i| u64::from(l.grid[i] / l.cluster[i]));
        let inner = [rank % l.cluster[0], rank / l.cluster[0] % l.cluster[1], rank / l.cluster[0] / l.cluster[1]];
        ([n % counts[0], n / counts[0] % counts[1], n / counts[0] / counts[1]], inner)
    }

    /// `%ctaid` of a block of a cluster.
    pub(super) fn block_id(&self, number: u32, rank: u32) -> [u32; 3] {
        let (id, inner) = self.cluster_id(number, rank);
        std::array::from_fn(|i| id[i] as u32 * self.launch.cluster[i] + inner[i])
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
                    written: vec![0; p.files[0] as usize],
                    def_d: vec![0; p.files[1] as usize],
                    def_p: vec![0; p.files[2] as usize],
                    local: (p.local > 0).then(|| Region::new("local memory", 0, p.local as usize * 32)),
                    groups: vec![Group { pc: 0, mask: lanes, wait: Wait::Ready, yielded: false, spins: 0 }],
                    ..Warp::default()
                };
                warp.agent = (rank * threads.div_ceil(32) + w) as u16;
                warp.tick();
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
            shadow: Shadow::default(),
            pool: pool.saturating_sub(taken),
            done: false,
        }
    }
}
