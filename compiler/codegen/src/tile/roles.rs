//! Warp specialisation: one producer warpgroup feeds two consumer warpgroups, each with its own register budget.
//!
//! The central type is [`Block`], who the running thread is. It knows no work.

use crate::emit::{Builder, Cmp, Val};

/// Threads of a warpgroup.
pub const WARPGROUP: u32 = 128;

/// Consumer warpgroups of a specialised block.
pub const CONSUMERS: u32 = 2;

/// Threads of a specialised block.
pub const THREADS: u32 = (CONSUMERS + 1) * WARPGROUP;

/// SMs of an H200: the grid of a persistent kernel.
pub const SMS: u32 = 132;

/// Registers per thread after `setmaxnreg` (PTX ISA 9.7.19.5): multiples of 8 that share out what the launch got.
///
/// ```text
/// launch     168 * 384                = 64,512
/// split       40 * 128 + 232 * 256    = 64,512      (40 and 240 would wait for ever; 24 is too few for a producer that walks
///                                                    symbolic sizes)
/// ```
pub const PRODUCER_REGISTERS: u32 = 40;
/// See [`PRODUCER_REGISTERS`].
pub const CONSUMER_REGISTERS: u32 = 232;

/// The running thread's place in its block.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    pub thread: Val,
    /// Warpgroup number, the same for all threads of a warp as far as the compiler can see.
    pub warpgroup: Val,
    /// Warp in the warpgroup, 0..4.
    pub warp: Val,
    pub lane: Val,
}

impl Block {
    /// Reads the special registers.
    pub fn new(b: &Builder) -> Block {
        let thread = b.thread(0);
        let uniform = b.shuffle_from(b.shr_u(thread, b.i32(5)), b.i32(0));
        Block {
            thread,
            warpgroup: b.shr_u(uniform, b.i32(2)),
            warp: b.and(uniform, b.i32(3)),
            lane: b.and(thread, b.i32(31)),
        }
    }

    /// Runs `body` in thread `number` only.
    pub fn single(&self, b: &Builder, number: u32, body: impl FnOnce()) {
        b.when(b.cmp(Cmp::Eq, self.thread, b.i32(number as i32)), body);
    }

    /// Splits the block: `produce` runs in one thread of the last warpgroup, `consume` in all others.
    pub fn specialise(&self, b: &Builder, produce: impl FnOnce(), consume: impl FnOnce()) {
        let producer = b.cmp(Cmp::Eq, self.warpgroup, b.i32(CONSUMERS as i32));
        b.if_else(
            producer,
            || {
                registers(b, "dec", PRODUCER_REGISTERS);
                self.single(b, CONSUMERS * WARPGROUP, produce);
                vec![]
            },
            || {
                registers(b, "inc", CONSUMER_REGISTERS);
                consume();
                vec![]
            },
        );
    }

    /// Runs `body` in the first lane of each warp: how a warp releases a stage.
    pub fn each_warp(&self, b: &Builder, body: impl FnOnce()) {
        b.when(b.cmp(Cmp::Eq, self.lane, b.i32(0)), body);
    }
}

fn registers(b: &Builder, direction: &str, count: u32) {
    b.asm_effect(&format!("setmaxnreg.{direction}.sync.aligned.u32 {count};"), "", &[]);
}
