//! The mistakes of `mutants` that no run shows, and what makes up for each.

/// Mistakes that no run shows, and what makes up for them.
#[derive(Debug)]
pub struct Covered {
    /// Opening of the kernel's name.
    pub kernel: &'static str,
    /// Opcode and change.
    pub what: &'static str,
    /// Places in the kernel.
    pub sites: usize,
    pub why: &'static str,
}

const fn covered(kernel: &'static str, what: &'static str, sites: usize, why: &'static str) -> Covered {
    Covered { kernel, what, sites, why }
}

const FENCES: &str =
    "each of the two fences makes the initialised barriers visible to the copies; the other is still there";
const LATER_SLOT: &str = "the slot after the right one is freed later, so the wait is longer";

const FIRST_TILE: &str = "the test before a block's first tile; no more blocks are launched than there are tiles";
const SOME_STEPS: &str = "the test whether there is any step of the reduction; there are more than one";
const NO_SUCH_ROW: &str =
    "the first row or column beyond the end is not among those that this store takes; another has it, or no tile";
const WHOLE_TILE: &str =
    "whether a tile needs masks; no tile ends one key beyond the window, and masking a whole tile changes nothing";
const LONGER_WAIT: &str = "waits for the last group too";

pub const COVERED: &[Covered] = &[
    covered("contract_", "fence.mbarrier_init.release.cluster deleted", 1, FENCES),
    covered("contract_", "fence.proxy.async.shared::cta deleted", 1, FENCES),
    covered("contract_", "mbarrier.try_wait.parity.shared::cta.b64 address 1 +8", 1, LATER_SLOT),
    covered("contract_", "wgmma.wait_group.sync.aligned operand 0 -1", 1, LONGER_WAIT),
    covered("contract_", "setp.gt.u32 operand 2 +1", 2, FIRST_TILE),
    covered("contract_", "setp.lt.s32 operand 2 +1", 2, SOME_STEPS),
    covered("contract_bf16", "setp.gt.s32 operand 2 +1", 3, NO_SUCH_ROW),
    covered("contract_f8", "setp.gt.s32 operand 2 +1", 5, NO_SUCH_ROW),
    covered("plain_sparse_", "fence.mbarrier_init.release.cluster deleted", 1, FENCES),
    covered("plain_sparse_", "fence.proxy.async.shared::cta deleted", 1, FENCES),
    covered("plain_sparse_", "setp.gt.u32 operand 2 +1", 2, FIRST_TILE),
    covered("plain_sparse_", "setp.lt.s32 operand 2 +1", 2, SOME_STEPS),
    covered("plain_sparse_", "setp.gt.s32 operand 2 +1", 1, NO_SUCH_ROW),
    covered("attention_", "fence.mbarrier_init.release.cluster deleted", 1, FENCES),
    covered("attention_", "fence.proxy.async.shared::cta deleted", 1, FENCES),
    covered("attention_", "mbarrier.try_wait.parity.shared::cta.b64 address 1 +8", 2, LATER_SLOT),
    covered("attention_", "setp.le.s32 operand 2 +1", 1, WHOLE_TILE),
    covered("attention_causal_", "setp.ge.s32 operand 2 +1", 1, WHOLE_TILE),
    covered(
        "attention_causal_",
        "setp.gt.s32 operand 2 +1",
        2,
        "one asks for any tile of keys, and there are more; the other is of a row that the other store has",
    ),
    covered("attention_", "setp.lt.s32 operand 2 +1", 1, SOME_STEPS),
    covered(
        "attention_trilinear_",
        "ld.shared.v2.b32 address 1 +8",
        32,
        "the loads of the greatest score of all rows, which only scales: the row that one of them skips is not the greatest, or the \
         result is rounded to the same",
    ),
    covered(
        "softmax_",
        "bar.sync deleted",
        1,
        "the barrier after the last reduction; nothing is written to shared memory behind it",
    ),
];
