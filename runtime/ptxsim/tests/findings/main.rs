//! Small kernels, each with one mistake or one hard case, and what the simulator says of them.

mod order;
mod public_bugs;
mod support;

use support::{HEAD, START, body, classes, run};
use tricot_ptxsim::{Class, Device};

#[test]
fn an_access_behind_a_buffer_names_it() {
    let (report, _) = run(&body("st.global.u32 [%o], %a;"), 63 * 4, |_| {});
    assert_eq!(classes(&report), [Class::OutOfBounds]);
    let text = report.findings[0].to_string();
    assert!(text.contains("thread 63") && text.contains("`out` (252 bytes)"), "{text}");
}

#[test]
fn a_misaligned_access_is_named() {
    let (report, _) = run(&body("st.global.u32 [%o+2], %a;"), 1024, |_| {});
    assert_eq!(classes(&report), [Class::Misaligned]);
}

#[test]
fn a_value_never_written_is_reported_where_it_leaves() {
    let (report, _) = run(&body("add.u32 %r3, %r2, 1; st.global.u32 [%o], %r3;"), 1024, |_| {});
    assert_eq!(classes(&report), [Class::Uninitialised]);
    let (report, _) =
        run(&body("ld.shared.u32 %r3, [%r1]; setp.eq.u32 %p0, %r3, 0; @%p0 st.global.u32 [%o], %a;"), 1024, |_| {});
    assert_eq!(classes(&report), [Class::Uninitialised]);
}

/// Each thread reads its neighbour's word in the other warp.
fn exchange(between: &str) -> String {
    body(&format!(
        "st.shared.u32 [%r1], %a; {between} xor.b32 %r2, %a, 32; shl.b32 %r2, %r2, 2; add.u32 %r2, %r0, %r2;
        ld.shared.u32 %r3, [%r2]; st.global.u32 [%o], %r3;"
    ))
}

#[test]
fn a_missing_barrier_is_a_race() {
    let (report, data) = run(&exchange("bar.sync 0;"), 1024, |_| {});
    assert_eq!(classes(&report), []);
    assert_eq!(u32::from_le_bytes([data[0], data[1], data[2], data[3]]), 32);
    for seed in 0..8 {
        let (report, _) = run(&exchange(""), 1024, |l| l.seed = Some(seed));
        assert!(classes(&report).contains(&Class::Race), "seed {seed}: {:?}", report.findings);
    }
}

/// Shared memory written by threads, then stored by a bulk copy.
fn bulk_store(fence: &str, wait: &str) -> String {
    body(&format!(
        "st.shared.u32 [%r1], %a; {fence} bar.sync 0; setp.ne.u32 %p0, %a, 0; @%p0 bra END;
        cp.async.bulk.global.shared::cta.bulk_group [%d0], [%r0], 256; cp.async.bulk.commit_group; {wait}
        END:"
    ))
}

#[test]
fn a_missing_proxy_fence_is_an_error_even_though_the_result_is_right() {
    let wait = "cp.async.bulk.wait_group.read 0;";
    let (report, data) = run(&bulk_store("fence.proxy.async.shared::cta;", wait), 256, |_| {});
    assert_eq!(classes(&report), []);
    assert!((0..64u8).all(|n| data[4 * usize::from(n)] == n));
    let (report, data) = run(&bulk_store("", wait), 256, |_| {});
    assert_eq!(classes(&report), [Class::ProxyOrder]);
    assert!((0..64u8).all(|n| data[4 * usize::from(n)] == n));
    let (report, _) = run(&bulk_store("fence.proxy.async.shared::cta;", ""), 256, |_| {});
    assert_eq!(classes(&report), [Class::PtxContract]);
}

/// A bulk load of 256 bytes that expects `bytes`; every thread waits for it if `wait`.
fn bulk_load(bytes: u32, wait: bool) -> String {
    let wait = if wait { "W: mbarrier.try_wait.parity.shared.b64 %p1, [%r5], 0; @!%p1 bra W;" } else { "" };
    body(&format!(
        "add.u32 %r5, %r0, 512; setp.ne.u32 %p0, %a, 0; @%p0 bra GO;
        mbarrier.init.shared.b64 [%r5], 1; fence.proxy.async; mbarrier.arrive.expect_tx.shared.b64 _, [%r5], {bytes};
        cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r0], [%d0], 256, [%r5];
        GO: bar.sync 0; {wait} ld.shared.u32 %r6, [%r1]; st.global.u32 [%o+1024], %r6;"
    ))
}

#[test]
fn copies_land_at_their_barrier_and_not_before() {
    let (report, _) = run(&bulk_load(256, true), 2048, |_| {});
    assert_eq!(classes(&report), []);
    let (report, _) = run(&bulk_load(256, false), 2048, |_| {});
    // The copy that comes too late is the mistake; that the value is missing follows from it.
    let listed: Vec<_> = report.by_cause().into_iter().map(|(follows, f)| (follows, f.class)).collect();
    assert_eq!(listed, [(false, Class::Mbarrier), (true, Class::Uninitialised)]);
    let json = report.json();
    let causes: Vec<_> = json["findings"].as_array().expect("a list").iter().map(|f| &f["may_follow_from"]).collect();
    let copy = report.findings.iter().position(|f| f.class == Class::Mbarrier);
    assert!(
        causes.iter().all(|c| c.is_null() || c.as_u64().map(|c| c as usize) == copy)
            && causes.iter().any(|c| !c.is_null())
    );
    let (report, _) = run(&bulk_load(272, true), 2048, |_| {});
    assert_eq!(classes(&report)[0], Class::Deadlock);
    assert!(report.findings[0].message.contains("16 bytes are missing"), "{}", report.findings[0]);
}

#[test]
fn too_many_arrivals_are_reported() {
    let text = body(
        "add.u32 %r5, %r0, 512; setp.ne.u32 %p0, %a, 0; @!%p0 mbarrier.init.shared.b64 [%r5], 3; bar.sync 0; mbarrier.arrive.shared.b64 _, [%r5], 2;",
    );
    let (report, _) = run(&text, 1024, |_| {});
    assert_eq!(classes(&report), [Class::Mbarrier]);
}

#[test]
fn a_spin_lock_inside_a_warp_makes_progress() {
    let text = body(
        "setp.ne.u32 %p0, %a, 99999;
        TRY: atom.global.cas.b32 %r2, [%d0], 0, 1; setp.ne.u32 %p1, %r2, 0; @%p1 bra TRY;
        ld.volatile.global.u32 %r3, [%d0+4]; add.u32 %r3, %r3, 1; st.volatile.global.u32 [%d0+4], %r3;
        atom.global.exch.b32 %r2, [%d0], 0;",
    );
    let (report, data) = run(&text, 1024, |l| l.grid = [3, 1, 1]);
    assert_eq!(classes(&report), []);
    assert_eq!(u32::from_le_bytes([data[4], data[5], data[6], data[7]]), 192);
}

#[test]
fn a_lock_nobody_releases_is_a_deadlock_and_an_endless_loop_ends_at_the_limit() {
    let (report, _) =
        run(&body("TRY: ld.acquire.gpu.global.u32 %r2, [%d0]; setp.eq.u32 %p1, %r2, 0; @%p1 bra TRY;"), 1024, |_| {});
    assert_eq!(classes(&report)[0], Class::Deadlock);
    let (report, _) = run(&body("mov.u32 %r2, 0; L: add.u32 %r2, %r2, 1; bra L;"), 1024, |_| {});
    assert_eq!(classes(&report), [Class::StepLimit]);
}

#[test]
fn a_divergent_aligned_barrier_is_reported() {
    let text = body("setp.lt.u32 %p0, %a, 7; @%p0 bra A; bar.sync 0; bra END; A: bar.sync 0; END:");
    let (report, _) = run(&text, 1024, |_| {});
    assert!(classes(&report).contains(&Class::Divergence), "{:?}", report.findings);
}

/// Three warpgroups: two ask for `more` registers, one gives back down to `fewer`. The kernel, its launch or ptxas says how
/// many registers a thread starts with.
fn register_budget(fewer: u32, more: u32, launch: Option<u32>, bound: &str) -> Vec<Class> {
    let text = format!(
        ".maxntid 384 {bound}\n{START} setp.lt.u32 %p0, %a, 128; @%p0 bra LESS; setmaxnreg.inc.sync.aligned.u32 {more}; bra END;
        LESS: setmaxnreg.dec.sync.aligned.u32 {fewer}; END: bar.sync 0; ret; }}"
    );
    let (report, _) = run(&text, 1024, |l| (l.block, l.registers) = ([384, 1, 1], launch));
    classes(&report)
}

#[test]
fn the_register_pool_decides() {
    for (launch, bound) in [(Some(168), ""), (None, ".maxnreg 168"), (None, "")] {
        assert_eq!(register_budget(24, 240, launch, bound), []);
        assert!(register_budget(40, 240, launch, bound).iter().all(|c| *c == Class::Deadlock));
        assert!(!register_budget(40, 240, launch, bound).is_empty());
    }
}

#[test]
fn unknown_instructions_are_refused_with_their_lines_all_at_once() {
    let text = format!(
        "{HEAD}.visible .entry k()\n{{\n.reg .b32 %r<4>;\nadd.s32.wild %r1, %r2, %r3;\nmov.u32 %r1, 0;\ntcgen05.alloc %r1;\nret;\n}}"
    );
    let mut device = Device::new();
    let error = device.load(&text).expect("the text loads").kernel("k").err().expect("refused");
    assert_eq!(error.0.iter().map(|e| e.line).collect::<Vec<_>>(), [7, 9], "{error}");
}

#[test]
fn hostile_texts_are_errors() {
    let load = |text: &str| Device::new().load(&format!("{HEAD}{text}")).map(|m| m.kernel("k").map(|_| ()).is_err());
    assert!(load(".visible .entry k() { .reg .b32 %r<4000000000>; add.u32 %r1, %r2").is_err());
    assert_eq!(load(".func f() { call f, (); ret; } .visible .entry k() { call f, (); ret; }").ok(), Some(true));
    assert!(load(".global .b8 x[1099511627776];").is_err());
    assert_eq!(load(".visible .entry k() { .local .b8 x[1000000000]; ret; }").ok(), Some(true));
    assert!(load(&format!(".visible .entry k() {{ {} ", "{".repeat(100_000))).is_err());
    let (report, _) = run("{ ret; }", 4, |l| l.grid = [u32::MAX, 1, 1]);
    assert_eq!(classes(&report), [Class::Trap]);
    let (report, _) = run(".maxnreg 4000000000 { ret; }", 4, |_| {});
    assert_eq!(classes(&report), []);
    let (report, _) = run(".maxntid 4000000, 4000, 4000 { setmaxnreg.dec.sync.aligned.u32 24; ret; }", 4, |_| {});
    assert!(classes(&report).iter().all(|c| *c == Class::RegisterPool), "{:?}", report.findings);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let text = exchange("");
    let one = run(&text, 1024, |l| l.seed = Some(5));
    let two = run(&text, 1024, |l| l.seed = Some(5));
    assert_eq!((one.0.findings, one.1), (two.0.findings, two.1));
}

#[test]
fn an_mbarrier_used_without_a_barrier_after_its_initialisation_is_a_race() {
    let text = |between: &str| {
        body(&format!(
            "add.u32 %r5, %r0, 512; setp.ne.u32 %p0, %a, 0; @!%p0 mbarrier.init.shared.b64 [%r5], 64; {between}
            mbarrier.arrive.shared.b64 _, [%r5]; W: mbarrier.try_wait.parity.shared.b64 %p1, [%r5], 0; @!%p1 bra W;"
        ))
    };
    assert_eq!(classes(&run(&text("bar.sync 0;"), 1024, |_| {}).0), []);
    assert!(classes(&run(&text(""), 1024, |_| {}).0).contains(&Class::Race));
}
