//! Orders that hold and orders that are missing: lanes, warps, blocks, proxies and phases.

use crate::support::{body, classes, run};
use tricot_ptxsim::{Class, Launch, Report};

/// Findings of a body on two blocks of 64 threads under the latest schedule and eight random ones, all of them together.
pub fn everywhere(text: &str, change: impl Fn(&mut Launch)) -> Vec<Class> {
    let mut all: Vec<Class> = vec![];
    for seed in [None].into_iter().chain((0..8).map(Some)) {
        let (report, _) = run(&body(text), 4096, |l| {
            l.seed = seed;
            change(l);
        });
        all.extend(classes(&report));
    }
    all.sort();
    all.dedup();
    all
}

fn blocks(n: u32) -> impl Fn(&mut Launch) {
    move |l| {
        l.grid = [n, 1, 1];
        l.block = [32, 1, 1];
    }
}

/// Each lane reads the word of lane 31 - n of its warp.
fn neighbours(between: &str) -> String {
    format!(
        "st.shared.u32 [%r1], %a; {between} and.b32 %r2, %a, 31; sub.u32 %r2, 31, %r2; and.b32 %r3, %a, 32; or.b32 %r2, %r2, %r3;
        shl.b32 %r2, %r2, 2; add.u32 %r2, %r0, %r2; ld.shared.u32 %r4, [%r2]; st.global.u32 [%o], %r4;"
    )
}

#[test]
fn lanes_of_a_warp_need_a_warp_barrier() {
    assert_eq!(everywhere(&neighbours("bar.warp.sync -1;"), |_| {}), []);
    assert_eq!(everywhere(&neighbours("bar.sync 0;"), |_| {}), []);
    assert_eq!(everywhere(&neighbours(""), |_| {}), [Class::Race]);
    // A shuffle orders no memory.
    assert_eq!(everywhere(&neighbours("shfl.sync.idx.b32 %r5, %a, 0, 31, -1;"), |_| {}), [Class::Race]);
    // Reading before another lane overwrites.
    let after = |between: &str| {
        format!(
            "st.shared.u32 [%r1], %a; bar.warp.sync -1; ld.shared.u32 %r4, [%r0]; add.u32 %r4, %r4, 1; {between} st.shared.u32 [%r1], %r4;"
        )
    };
    let one_warp = |l: &mut Launch| l.block = [32, 1, 1];
    assert_eq!(everywhere(&after("bar.warp.sync -1;"), one_warp), []);
    assert_eq!(everywhere(&after(""), one_warp), [Class::Race]);
}

/// Lanes write one word in one instruction: different values are a race, one value is none.
#[test]
fn lanes_that_write_one_word_at_once_race_unless_they_agree() {
    let one = |value: &str| format!("st.shared.u32 [%r0], {value};");
    let one_warp = |l: &mut Launch| l.block = [32, 1, 1];
    assert_eq!(everywhere(&one("%a"), one_warp), [Class::Race]);
    assert_eq!(everywhere(&one("7"), one_warp), []);
}

/// Halves of a word belong to different lanes.
#[test]
fn bytes_of_a_word_are_told_apart() {
    let text = |back: &str| {
        format!(
            "shl.b32 %r2, %a, 1; add.u32 %r2, %r0, %r2; cvt.u16.u32 %h, %a; st.shared.u16 [%r2], %h; {back}
            ld.shared.u16 %h, [%r2]; cvt.u32.u16 %r4, %h; st.global.u32 [%o], %r4;"
        )
    };
    let with = |back: &str| format!(".reg .b16 %h; {}", text(back));
    assert_eq!(everywhere(&with(""), |_| {}), []);
    assert_eq!(
        everywhere(&with("xor.b32 %r3, %a, 1; shl.b32 %r3, %r3, 1; add.u32 %r2, %r0, %r3;"), |_| {}),
        [Class::Race]
    );
}

/// Block 0 writes a word of global memory, block 1 waits for a flag and reads it.
fn handover(publish: &str, observe: &str) -> String {
    format!(
        "mov.u32 %r2, %ctaid.x; setp.ne.u32 %p0, %a, 0; @%p0 bra END; setp.ne.u32 %p1, %r2, 0; @%p1 bra READ;
        st.global.u32 [%d0], 5; {publish} bra END;
        READ: {observe} setp.eq.u32 %p2, %r3, 0; @%p2 bra READ; ACQ
        ld.global.u32 %r4, [%d0]; st.global.u32 [%d0+8], %r4; END:"
    )
}

#[test]
fn blocks_need_a_release_and_an_acquire_of_gpu_scope() {
    let case = |publish: &str, observe: &str, after: &str| {
        everywhere(&handover(publish, observe).replace("ACQ", after), blocks(2))
    };
    let release = "st.release.gpu.global.u32 [%d0+4], 1;";
    let acquire = "ld.acquire.gpu.global.u32 %r3, [%d0+4];";
    assert_eq!(case(release, acquire, ""), []);
    assert_eq!(case("red.release.gpu.global.add.u32 [%d0+4], 1;", acquire, ""), []);
    // The pattern of fences.
    let relaxed = ("st.relaxed.gpu.global.u32 [%d0+4], 1;", "ld.relaxed.gpu.global.u32 %r3, [%d0+4];");
    let volatile = ("st.volatile.global.u32 [%d0+4], 1;", "ld.volatile.global.u32 %r3, [%d0+4];");
    for (store, load) in [relaxed, volatile] {
        assert_eq!(case(&format!("membar.gl; {store}"), load, "fence.acq_rel.gpu;"), []);
        assert_eq!(case(store, load, "fence.acq_rel.gpu;"), [Class::Race]);
        assert_eq!(case(&format!("membar.gl; {store}"), load, ""), [Class::Race]);
        assert_eq!(case(&format!("membar.cta; {store}"), load, "membar.gl;"), [Class::Race]);
    }
    assert_eq!(case("st.release.cta.global.u32 [%d0+4], 1;", acquire, ""), [Class::Race]);
    assert_eq!(case(release, "ld.acquire.cta.global.u32 %r3, [%d0+4];", ""), [Class::Race]);
}

#[test]
fn blocks_that_add_to_one_word_must_be_atomic() {
    let plain = "ld.global.u32 %r2, [%d0]; add.u32 %r2, %r2, 1; st.global.u32 [%d0], %r2;";
    let one = |l: &mut Launch| {
        l.grid = [3, 1, 1];
        l.block = [1, 1, 1];
    };
    assert_eq!(everywhere(plain, one), [Class::Race]);
    assert_eq!(everywhere("red.global.add.u32 [%d0], 1;", one), []);
    // Reading the sum without an order is a race too.
    assert_eq!(everywhere("red.global.add.u32 [%d0], 1; ld.global.u32 %r2, [%d0];", one), [Class::Race]);
}

/// The lock of a block's warps in shared memory.
#[test]
fn a_lock_orders_what_it_guards() {
    let text = |fence: &str| {
        format!(
            "setp.ne.u32 %p0, %a, 0; @!%p0 st.shared.u32 [%r0], 0; @!%p0 st.shared.u32 [%r0+4], 0; bar.sync 0;
            and.b32 %r2, %a, 31; setp.ne.u32 %p1, %r2, 0; @%p1 bra END;
            TRY: atom.shared.cas.b32 %r3, [%r0], 0, 1; setp.ne.u32 %p2, %r3, 0; @%p2 bra TRY; {fence}
            ld.shared.u32 %r4, [%r0+4]; add.u32 %r4, %r4, 1; st.shared.u32 [%r0+4], %r4;
            {fence} atom.shared.exch.b32 %r3, [%r0], 0; END:"
        )
    };
    assert_eq!(everywhere(&text("membar.cta;"), |_| {}), []);
    assert_eq!(everywhere(&text(""), |_| {}), [Class::Race]);
}

/// A word that thread 0 writes, and a bulk store of it by the same thread.
#[test]
fn a_proxy_fence_counts_only_after_the_write() {
    let text = |before: &str, after: &str| {
        format!(
            "setp.ne.u32 %p0, %a, 0; @%p0 bra END; st.shared.v4.u32 [%r0], {{%a, %a, %a, %a}}; {before} st.shared.u32 [%r0+4], 3; {after}
            cp.async.bulk.global.shared::cta.bulk_group [%d0], [%r0], 16; cp.async.bulk.commit_group;
            cp.async.bulk.wait_group.read 0; END:"
        )
    };
    let fence = "fence.proxy.async.shared::cta;";
    assert_eq!(everywhere(&text("", fence), |_| {}), []);
    assert_eq!(everywhere(&text(fence, ""), |_| {}), [Class::ProxyOrder]);
}

/// Thread 0 stores shared memory in bulk and reads the result back.
#[test]
fn a_bulk_store_is_visible_after_the_whole_wait() {
    let text = |wait: &str| {
        format!(
            "setp.ne.u32 %p0, %a, 0; @%p0 bra END; st.shared.v4.u32 [%r0], {{7, 7, 7, 7}}; fence.proxy.async.shared::cta;
            cp.async.bulk.global.shared::cta.bulk_group [%d0], [%r0], 16; cp.async.bulk.commit_group;
            {wait} ld.global.u32 %r3, [%d0]; st.global.u32 [%d0+64], %r3; END:"
        )
    };
    assert_eq!(everywhere(&text("cp.async.bulk.wait_group 0;"), |_| {}), []);
    assert_eq!(everywhere(&text("cp.async.bulk.wait_group.read 0;"), |_| {}), [Class::Race]);
}

/// Warp 1 arrives, waits for warp 0's answer, writes, and arrives again; warp 0 reads after the phases it waits for.
#[test]
fn a_phase_orders_only_what_came_before_its_arrivals() {
    let wait = |label: &str, bar: &str, parity: u32| {
        format!("{label}: mbarrier.try_wait.parity.shared.b64 %p3, [{bar}], {parity}; @!%p3 bra {label};")
    };
    let text = |second: &str| {
        format!(
            "add.u32 %r5, %r0, 512; add.u32 %r8, %r0, 520; setp.ne.u32 %p0, %a, 0; @%p0 bra GO;
            mbarrier.init.shared.b64 [%r5], 1; mbarrier.init.shared.b64 [%r8], 1; st.shared.u32 [%r0], 4;
            GO: bar.sync 0; setp.ge.u32 %p1, %a, 32; and.b32 %r6, %a, 31; setp.ne.u32 %p2, %r6, 0; @%p2 bra END; @!%p1 bra READ;
            mbarrier.arrive.shared.b64 _, [%r5]; {} st.shared.u32 [%r0], 5; mbarrier.arrive.shared.b64 _, [%r5]; bra END;
            READ: {} mbarrier.arrive.shared.b64 _, [%r8]; {second} ld.shared.u32 %r7, [%r0]; st.global.u32 [%o], %r7; END:",
            wait("W0", "%r8", 0),
            wait("W1", "%r5", 0)
        )
    };
    assert_eq!(everywhere(&text(&wait("W2", "%r5", 1)), |_| {}), []);
    assert_eq!(everywhere(&text(""), |_| {}), [Class::Race]);
}

#[test]
fn a_copy_wants_a_fence_after_its_barriers_initialisation() {
    let text = |fence: &str| {
        format!(
            "add.u32 %r5, %r0, 512; setp.ne.u32 %p0, %a, 0; @%p0 bra GO; mbarrier.init.shared.b64 [%r5], 1; {fence}
            mbarrier.arrive.expect_tx.shared.b64 _, [%r5], 256;
            cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r0], [%d0], 256, [%r5];
            GO: bar.sync 0; WAIT: mbarrier.try_wait.parity.shared.b64 %p1, [%r5], 0; @!%p1 bra WAIT;"
        )
    };
    assert_eq!(everywhere(&text("fence.proxy.async;"), |_| {}), []);
    assert_eq!(everywhere(&text("fence.mbarrier_init.release.cluster;"), |_| {}), []);
    assert_eq!(everywhere(&text(""), |_| {}), [Class::MbarrierInit]);
}

/// Bytes of a live mbarrier are no memory of the program's own.
#[test]
fn a_barrier_must_be_invalidated_before_its_bytes_are_used() {
    let text = |end: &str| {
        format!(
            "setp.ne.u32 %p0, %a, 0; @%p0 bra END; mbarrier.init.shared.b64 [%r0], 1; {end} st.shared.u32 [%r0], 5; END:"
        )
    };
    assert_eq!(everywhere(&text("mbarrier.inval.shared.b64 [%r0];"), |_| {}), []);
    assert_eq!(everywhere(&text(""), |_| {}), [Class::Mbarrier]);
}

/// The message names both accesses, who made them, and what is missing.
#[test]
fn a_race_names_both_ends() {
    let message = |r: &Report| r.findings.iter().find(|f| f.class == Class::Race).expect("a race").message.clone();
    let (report, _) = run(&body(&neighbours("")), 4096, |_| {});
    let text = message(&report);
    assert!(text.contains("of the same warp") && text.contains("`bar.warp.sync` is missing"), "{text}");
    let (report, _) = run(
        &body("st.global.u32 [%d0], %r2;").replace("st.global.u32 [%d0]", "mov.u32 %r2, %ctaid.x; st.global.u32 [%d0]"),
        64,
        |l| {
            l.grid = [3, 1, 1];
            l.block = [1, 1, 1];
        },
    );
    let text = message(&report);
    assert!(text.contains("byte 0 of `out`") && text.contains("warp 0 of block (1, 0, 0)"), "{text}");
    assert!(text.contains("release of gpu scope"), "{text}");
}

/// The chain that orders a write and a read by two warps: over a barrier, over a copy's mbarrier, over a flag.
#[test]
fn the_chain_between_two_accesses_is_shown() {
    let line_of = |text: &str, part: &str| text.lines().position(|l| l.contains(part)).expect("a line") as u32 + 5;
    let explain = |text: &str, from: &str, to: &str, blocks: u32| {
        let text = body(&text.replace("; ", ";\n"));
        let lines = (line_of(&text, from), line_of(&text, to));
        let (report, _) = run(&text, 4096, |l| {
            l.explain = Some(lines);
            l.grid = [blocks, 1, 1];
        });
        assert_eq!(classes(&report), []);
        report.order
    };
    let text = "st.shared.u32 [%r1], %a; bar.sync 0; xor.b32 %r2, %r1, 128; ld.shared.u32 %r3, [%r2]; st.global.u32 [%o], %r3;";
    let order = explain(text, "st.shared", "ld.shared", 1);
    assert_eq!(order.len(), 4, "{order:#?}");
    assert!(
        order[0].contains("warp 1 of block (0, 0, 0) accesses") || order[0].contains("warp 0 of block"),
        "{order:#?}"
    );
    assert!(order[1].contains("arrives at barrier 0, its 1. time"), "{order:#?}");
    assert!(order[2].contains("passes barrier 0, its 1. time"), "{order:#?}");
    let copy = "add.u32 %r5, %r0, 512; setp.ne.u32 %p0, %a, 0; @%p0 bra GO; mbarrier.init.shared.b64 [%r5], 1; fence.proxy.async;
        mbarrier.arrive.expect_tx.shared.b64 _, [%r5], 256;
        cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r0], [%d0], 256, [%r5]; GO: bar.sync 0;
        W: mbarrier.try_wait.parity.shared.b64 %p1, [%r5], 0; @!%p1 bra W; ld.shared.u32 %r6, [%r1]; st.global.u32 [%o+1024], %r6;";
    let order = explain(copy, "cp.async.bulk", "ld.shared", 1);
    assert!(order.len() == 4 && order[0].contains("a copy accesses"), "{order:#?}");
    assert!(order[1].contains("a copy arrives at phase 0 of the mbarrier at shared address 512"), "{order:#?}");
    assert!(order[2].contains("passes phase 0"), "{order:#?}");
    let order = explain(text, "ld.shared", "st.shared", 1);
    assert!(order.len() == 1 && order[0].contains("no access"), "{order:#?}");
    let flag = "setp.ne.u32 %p0, %a, 0; @%p0 bra END; mov.u32 %r7, %ctaid.x; setp.ne.u32 %p1, %r7, 0; @%p1 bra READ;
        st.global.u32 [%d0+64], 7; st.release.gpu.global.u32 [%d0], 1; bra END;
        READ: ld.acquire.gpu.global.u32 %r3, [%d0]; setp.eq.u32 %p2, %r3, 0; @%p2 bra READ; ld.global.u32 %r4, [%d0+64];
        st.global.u32 [%d0+128], %r4; END:";
    let order = explain(flag, "[%d0+64], 7", "%r4, [%d0+64]", 2);
    assert!(order.len() == 4 && order[0].contains("warp 0 of block (0, 0, 0) accesses byte 64 of `out`"), "{order:#?}");
    assert!(
        order[1].contains("arrives at byte 0 of `out`") && order[2].contains("block (1, 0, 0) passes"),
        "{order:#?}"
    );
}

/// `init` threads arrive at the mbarrier at `%r5`; `%p0` says that a thread is not the first.
fn with_barrier(arrivals: u32, text: &str) -> String {
    format!(
        "add.u32 %r5, %r0, 512; setp.ne.u32 %p0, %a, 0; @!%p0 mbarrier.init.shared.b64 [%r5], {arrivals}; bar.sync 0; {text}"
    )
}

const WAIT: &str = "W: mbarrier.try_wait.parity.shared.b64 %p1, [%r5], 0; @!%p1 bra W;";

/// What one lane passes on by itself reaches the other lanes of its warp, and nothing that other lanes did.
#[test]
fn one_lane_arrives_for_itself() {
    let threads = |n: u32| move |l: &mut Launch| l.block = [n, 1, 1];
    let own = format!(
        "@%p0 bra W; st.shared.u32 [%r0], 5; mbarrier.arrive.shared.b64 _, [%r5]; {WAIT} ld.shared.u32 %r4, [%r0]; st.global.u32 [%o], %r4;"
    );
    assert_eq!(everywhere(&with_barrier(1, &own), threads(32)), []);
    // Lane 1 writes, lane 0 arrives.
    let other = format!(
        "setp.eq.u32 %p2, %a, 1; @%p2 st.shared.u32 [%r0], 5; @!%p0 mbarrier.arrive.shared.b64 _, [%r5]; {WAIT} ld.shared.u32 %r4, [%r0]; st.global.u32 [%o], %r4;"
    );
    let found = everywhere(&with_barrier(1, &other), threads(32));
    assert!(found.contains(&Class::Race), "{found:?}");
    // A proxy fence of the reader counts as well.
    let fence = format!(
        "setp.ge.u32 %p2, %a, 32; @%p2 bra C; @%p0 bra END; st.shared.v4.u32 [%r0], {{7, 7, 7, 7}}; mbarrier.arrive.shared.b64 _, [%r5];
        bra END; C: setp.ne.u32 %p3, %a, 32; @%p3 bra END; {WAIT} fence.proxy.async;
        cp.async.bulk.global.shared::cta.bulk_group [%d0], [%r0], 16; cp.async.bulk.commit_group; cp.async.bulk.wait_group 0; END:"
    );
    assert_eq!(everywhere(&with_barrier(1, &fence), threads(64)), []);
    // The halves of a warp meet at a barrier.
    let halves = "setp.lt.u32 %p0, %a, 16; @%p0 bra A; barrier.sync 0; ld.shared.u32 %r4, [%r0]; st.global.u32 [%o], %r4; bra END;
        A: st.shared.u32 [%r1], %a; barrier.sync 0; END:";
    assert_eq!(everywhere(halves, threads(32)), []);
}

#[test]
fn a_warp_barrier_of_some_lanes_says_nothing_of_others() {
    let text = |writer: u32| {
        format!(
            "setp.eq.u32 %p0, %a, {writer}; @%p0 st.shared.u32 [%r0], 5; setp.gt.u32 %p1, %a, 1; @%p1 bra END; bar.warp.sync 3;
            ld.shared.u32 %r4, [%r0]; st.global.u32 [%o], %r4; END:"
        )
    };
    let one_warp = |l: &mut Launch| l.block = [32, 1, 1];
    assert_eq!(everywhere(&text(1), one_warp), []);
    assert_eq!(everywhere(&text(5), one_warp), [Class::Race]);
}

#[test]
fn halves_of_a_warp_fence_for_themselves() {
    let text = "mov.u32 %r2, %ctaid.x; setp.ne.u32 %p0, %r2, 0; @%p0 bra R; setp.lt.u32 %p1, %a, 16; @%p1 bra A; st.global.u32 [%o], 2;
        membar.gl; bra J; A: st.global.u32 [%o], 1; membar.gl; J: st.relaxed.gpu.global.u32 [%o+256], 1; bra END;
        R: ld.relaxed.gpu.global.u32 %r3, [%o+256]; setp.eq.u32 %p2, %r3, 0; @%p2 bra R; membar.gl;
        ld.global.u32 %r4, [%o]; st.global.u32 [%o+512], %r4; END:";
    assert_eq!(everywhere(text, blocks(2)), []);
}

/// Lanes change 16-bit elements in place, after a broadcast read of the same page.
#[test]
fn elements_of_two_bytes_change_in_place() {
    let text = ".reg .b16 %h; shl.b32 %r2, %a, 1; add.u32 %r3, %r0, %r2; st.shared.u32 [%r1+256], %a; bar.warp.sync -1;
        ld.shared.u32 %r4, [%r0+256]; cvt.u16.u32 %h, %a; st.shared.u16 [%r3], %h; ld.shared.u16 %h, [%r3]; add.u16 %h, %h, 1;
        st.shared.u16 [%r3], %h;";
    assert_eq!(everywhere(text, |l| l.block = [32, 1, 1]), []);
}

#[test]
fn the_clusters_barrier_orders_unless_it_is_relaxed() {
    let text = |how: &str, end: &str| {
        format!(
            "mov.u32 %r2, %cluster_ctarank; setp.ne.u32 %p0, %r2, 0; @%p0 bra R; st.global.u32 [%o], 7; barrier.cluster.arrive{how}; {end}
            R: barrier.cluster.arrive; barrier.cluster.wait; ld.global.u32 %r3, [%o]; st.global.u32 [%o+512], %r3;"
        )
    };
    let pair = |l: &mut Launch| (l.grid, l.cluster, l.block) = ([2, 1, 1], [2, 1, 1], [32, 1, 1]);
    assert_eq!(everywhere(&text("", "barrier.cluster.wait; ret;"), pair), []);
    // Who has arrived may end.
    assert_eq!(everywhere(&text("", "ret;"), pair), []);
    assert_eq!(everywhere(&text(".relaxed", "barrier.cluster.wait; ret;"), pair), [Class::Race]);
}

/// Addresses at the end of the address space are out of bounds, with counters too.
#[test]
fn addresses_at_the_end_are_findings() {
    for text in [
        "mov.u64 %d2, 0xffffffffffffffe0; cvt.u64.u32 %d3, %a; shl.b64 %d3, %d3, 4; add.u64 %d2, %d2, %d3;
        stmatrix.sync.aligned.m8n8.x4.shared.b16 [%d2], {%a, %a, %a, %a};",
        "mov.u64 %d2, 0xfffffffffffffff8; ld.global.v2.u32 {%r2, %r3}, [%d2];",
    ] {
        let found = everywhere(text, |l| (l.block, l.counters) = ([32, 1, 1], true));
        assert!(
            found.iter().all(|c| matches!(c, Class::OutOfBounds | Class::Misaligned | Class::Uninitialised)),
            "{found:?}"
        );
        assert!(!found.is_empty());
    }
}

/// Lanes that end are no longer waited for, whichever comes first.
#[test]
fn lanes_may_end_before_a_barrier() {
    for barrier in ["bar.sync 0;", "barrier.sync 0;"] {
        let branch = format!("setp.ge.u32 %p0, %a, 48; @%p0 bra X; {barrier} st.global.u32 [%o], 1; X:");
        assert_eq!(everywhere(&branch, |_| {}), [], "{barrier}");
        let ret = format!("setp.ge.u32 %p0, %a, 48; @%p0 ret; {barrier} st.global.u32 [%o], 1;");
        assert_eq!(everywhere(&ret, |_| {}), [], "{barrier}");
    }
}
