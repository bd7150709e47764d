//! Mistakes of other compilers that were found the hard way, in a few lines each: with the repair there is nothing to say.

use super::order::everywhere;
use tricot_ptxsim::{Class, Launch};

/// A tile that threads read through the generic proxy and a bulk copy then overwrites: a warning (triton#7262).
#[test]
fn generic_reads_before_an_asynchronous_write() {
    let text = |fence: &str| {
        format!(
            "add.u32 %r5, %r0, 512; st.shared.u32 [%r1], %a; setp.ne.u32 %p0, %a, 0; @%p0 bra GO;
            mbarrier.init.shared.b64 [%r5], 1; fence.mbarrier_init.release.cluster;
            GO: fence.proxy.async; bar.sync 0; xor.b32 %r2, %r1, 128; ld.shared.u32 %r3, [%r2]; {fence} bar.sync 0; @%p0 bra WAIT;
            mbarrier.arrive.expect_tx.shared.b64 _, [%r5], 256;
            cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r0], [%d0], 256, [%r5];
            WAIT: mbarrier.try_wait.parity.shared.b64 %p1, [%r5], 0; @!%p1 bra WAIT;
            ld.shared.u32 %r4, [%r1]; add.u32 %r4, %r4, %r3; st.global.u32 [%o+1024], %r4;"
        )
    };
    assert_eq!(everywhere(&text("fence.proxy.async.shared::cta;"), |_| {}), []);
    assert_eq!(everywhere(&text(""), |_| {}), [Class::ProxyRead]);
}

/// A tile that threads write and a bulk store reads with a barrier and no proxy fence (triton#9610).
#[test]
fn generic_writes_before_an_asynchronous_read() {
    let text = |fence: &str| {
        format!(
            "st.shared.u32 [%r1], %a; {fence} bar.sync 0; setp.ne.u32 %p0, %a, 0; @%p0 bra END;
            cp.async.bulk.global.shared::cta.bulk_group [%d0], [%r0], 256; cp.async.bulk.commit_group;
            cp.async.bulk.wait_group.read 0; END:"
        )
    };
    assert_eq!(everywhere(&text("fence.proxy.async.shared::cta;"), |_| {}), []);
    assert_eq!(everywhere(&text(""), |_| {}), [Class::ProxyOrder]);
}

/// A product of 64x8 with A in registers: accumulators `%f0..3`, A in `%r10..13`, the tile of B at the start of shared memory.
const PRODUCT: &str = "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%f0, %f1, %f2, %f3}, {%r10, %r11, %r12, %r13}, %d5, 1, 1, 1, 0;";

/// Fills B with zeros, sets A and the accumulators, and computes; `after` follows the commit.
fn product(after: &str) -> String {
    format!(
        ".reg .f32 %f<4>; .reg .b64 %db; setp.lt.u32 %p0, %a, 64; @%p0 st.shared.u32 [%r1], 0; fence.proxy.async.shared::cta; bar.sync 0;
        mov.f32 %f0, 0f00000000; mov.f32 %f1, %f0; mov.f32 %f2, %f0; mov.f32 %f3, %f0;
        mov.u32 %r10, 0; mov.u32 %r11, 0; mov.u32 %r12, 0; mov.u32 %r13, 0;
        shr.u32 %r5, %r0, 4; cvt.u64.u32 %d5, %r5; or.b64 %d5, %d5, {}; wgmma.fence.sync.aligned; {PRODUCT}
        wgmma.commit_group.sync.aligned; {after}",
        // Distances of 128 bytes between the halves of K and of 256 between groups of eight columns, in units of 16.
        (8u64 << 16) | (16u64 << 32)
    )
}

fn threads(n: u32) -> impl Fn(&mut Launch) {
    move |l| l.block = [n, 1, 1]
}

/// The next step's first operand is moved into registers that the product in flight still reads (triton#9433).
#[test]
fn registers_overwritten_in_flight() {
    let wait = "wgmma.wait_group.sync.aligned 0;";
    assert_eq!(everywhere(&product(&format!("{wait} mov.u32 %r10, %a;")), threads(128)), []);
    assert_eq!(everywhere(&product(&format!("mov.u32 %r10, %a; {wait}")), threads(128)), [Class::Wgmma]);
}

/// Each of two warp groups waits for its own product, and one refills the tile that the other may still read (triton#11047).
#[test]
fn one_warp_groups_wait_is_not_anothers() {
    let refill = "setp.lt.u32 %p1, %a, 64; @%p1 st.shared.u32 [%r1], %a;";
    let wait = "wgmma.wait_group.sync.aligned 0;";
    assert_eq!(everywhere(&product(&format!("{wait} bar.sync 0; {refill}")), threads(256)), []);
    assert_eq!(everywhere(&product(&format!("{wait} {refill}")), threads(256)), [Class::Race]);
}

/// Every part of a tile that a product reads is remembered.
#[test]
fn a_product_reads_all_of_its_tile() {
    for byte in (0..256).step_by(32) {
        let refill = format!("setp.eq.u32 %p1, %a, 0; @%p1 st.shared.u32 [%r0+{byte}], 9;");
        let text = product(&format!("wgmma.wait_group.sync.aligned 0; {refill}"));
        assert_eq!(everywhere(&text, threads(256)), [Class::Race], "byte {byte}");
    }
}
