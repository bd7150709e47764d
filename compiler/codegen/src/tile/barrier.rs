//! mbarriers, and the ring of stages between a producer and its consumers.
//!
//! The central types are [`Ring`] (two barriers a stage) and [`Cursor`] (a place in it). They know no data.

use super::smem::plus;
use crate::emit::{Builder, Cmp, Val};

/// Bytes of one mbarrier (PTX ISA 9.7.13.15, "mbarrier object": 64 bits, 8-byte aligned).
pub const MBARRIER: u32 = 8;

/// Initialises the mbarrier at `addr` for `arrivals` arrivals a phase. One thread.
pub fn init(b: &Builder, addr: Val, arrivals: u32) {
    b.asm_effect("mbarrier.init.shared::cta.b64 [$0], $1;", "r,r", &[addr, b.i32(arrivals as i32)]);
}

/// Publishes initialised barriers to the async proxy; the initialising thread, before the block's barrier.
pub fn publish_init(b: &Builder) {
    b.asm_effect("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;", "", &[]);
}

/// Arrives once and announces `bytes` of TMA traffic for this phase. One thread.
pub fn expect(b: &Builder, addr: Val, bytes: u32) {
    b.asm_effect("mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], $1;", "r,r", &[addr, b.i32(bytes as i32)]);
}

/// Arrives once.
pub fn arrive(b: &Builder, addr: Val) {
    b.asm_effect("mbarrier.arrive.shared::cta.b64 _, [$0];", "r", &[addr]);
}

/// Waits until the phase of the given parity (i32, 0 or 1) has completed.
///
/// ```text
/// phase        0          1          2
/// barrier  --------|----------|----------|
/// wait(0)  ........ok ok ok ok            (waits again for phase 2)
/// wait(1)  ok ok ok ..........ok ok ok ok (the phase before the first counts as complete)
/// ```
pub fn wait(b: &Builder, addr: Val, parity: Val) {
    let text =
        "{\n.reg .pred done;\nWAIT:\nmbarrier.try_wait.parity.shared::cta.b64 done, [$0], $1;\n@!done bra WAIT;\n}";
    b.asm_effect(text, "r,r", &[addr, parity]);
}

/// A ring of `stages` buffers: a `full` barrier the producer arms, an `empty` barrier the consumers arrive at.
#[derive(Clone, Copy, Debug)]
pub struct Ring {
    /// Shared address of the barriers: `full[stages]`, then `empty[stages]`.
    pub base: Val,
    pub stages: u32,
}

/// A place in a ring: the stage, and the parity of the round.
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    pub stage: Val,
    pub parity: Val,
}

impl Ring {
    /// Bytes of the barriers of a ring.
    pub fn bytes(stages: u32) -> u32 {
        2 * stages * MBARRIER
    }

    /// Initialises all barriers for `consumers` arrivals per release. One thread, before [`publish_init`].
    pub fn init(&self, b: &Builder, consumers: u32) {
        for stage in 0..self.stages {
            init(b, plus(b, self.base, stage * MBARRIER), 1);
            init(b, plus(b, self.base, (self.stages + stage) * MBARRIER), consumers);
        }
    }

    /// The barrier that completes when the stage is filled.
    pub fn full(&self, b: &Builder, stage: Val) -> Val {
        b.add(self.base, b.mul(stage, b.i32(MBARRIER as i32)))
    }

    /// The barrier that completes when all consumers have released the stage.
    pub fn empty(&self, b: &Builder, stage: Val) -> Val {
        plus(b, self.full(b, stage), self.stages * MBARRIER)
    }

    /// The first stage of the first round.
    pub fn start(&self, b: &Builder) -> Cursor {
        Cursor { stage: b.i32(0), parity: b.i32(0) }
    }

    /// The next stage.
    pub fn next(&self, b: &Builder, at: Cursor) -> Cursor {
        let stage = b.add(at.stage, b.i32(1));
        let wrap = b.cmp(Cmp::Eq, stage, b.i32(self.stages as i32));
        Cursor { stage: b.select(wrap, b.i32(0), stage), parity: b.select(wrap, b.xor(at.parity, b.i32(1)), at.parity) }
    }

    /// The stage before this one, whatever the round.
    pub fn previous(&self, b: &Builder, stage: Val) -> Val {
        let first = b.cmp(Cmp::Eq, stage, b.i32(0));
        b.select(first, b.i32(self.stages as i32 - 1), b.sub(stage, b.i32(1)))
    }

    /// Producer: waits until the stage may be overwritten, then arms it for `bytes`. Returns its full barrier.
    pub fn acquire(&self, b: &Builder, at: Cursor, bytes: u32) -> Val {
        wait(b, self.empty(b, at.stage), b.xor(at.parity, b.i32(1)));
        let full = self.full(b, at.stage);
        expect(b, full, bytes);
        full
    }

    /// Consumer: waits until the stage is filled.
    pub fn await_full(&self, b: &Builder, at: Cursor) {
        wait(b, self.full(b, at.stage), at.parity);
    }
}
