//! `st.async`, `red.async` and bulk copies and reductions between the blocks of a cluster.

use tricot_ptxsim::{Class, Device, Launch, Report, pack};

const HEAD: &str = ".version 8.7\n.target sm_90a\n.address_size 64\n";

/// A kernel of two blocks: `%rank` the block, `%rsm`, `%rbar` the addresses of `sm` and `bar` in the other block; `%a` the
/// thread, `%r1` the thread's word of the own `sm`, `%o` its word of `out`. Block 0 expects `bytes` on its `bar`.
fn text(bytes: u32, sender: &str) -> String {
    format!(
        "{HEAD}.visible .entry k(.param .u64 out)
{{ .reg .pred %p<8>; .reg .b32 %a, %rank, %rsm, %rbar, %r<32>; .reg .b64 %o, %d<32>; .reg .f64 %f<4>; .reg .b16 %h<4>;
 .shared .align 16 .b8 sm[1024]; .shared .align 16 .b8 src[1024]; .shared .align 8 .b64 bar;
 mov.u32 %a, %tid.x; mov.u32 %rank, %cluster_ctarank; ld.param.u64 %d0, [out];
 shl.b32 %r2, %a, 3; cvt.u64.u32 %d1, %r2; add.s64 %o, %d0, %d1;
 mov.u32 %r3, sm; add.u32 %r1, %r3, %r2; mov.u32 %r4, src; mov.u32 %r5, bar; add.u32 %r6, %r4, %r2;
 mapa.shared::cluster.u32 %rsm, %r3, 0; mapa.shared::cluster.u32 %rbar, %r5, 0;
 mov.b64 %d2, 100; st.shared.b64 [%r1], %d2; cvt.u64.u32 %d3, %a; st.shared.b64 [%r6], %d3;
 setp.ne.u32 %p0, %a, 0; @%p0 bra GO;
 mbarrier.init.shared.b64 [%r5], 1; mbarrier.arrive.expect_tx.shared.b64 _, [%r5], {bytes};
 GO: fence.proxy.async; barrier.cluster.arrive.release; barrier.cluster.wait.acquire;
 setp.eq.u32 %p1, %rank, 0; @%p1 bra RECEIVE;
 {sender}
 bra DONE;
 RECEIVE: W: mbarrier.try_wait.parity.shared.b64 %p2, [%r5], 0; @!%p2 bra W;
 ld.shared.b64 %d5, [%r1]; st.global.b64 [%o], %d5;
 DONE: barrier.cluster.arrive; barrier.cluster.wait; ret; }}"
    )
}

fn run(text: &str, change: impl Fn(&mut Launch)) -> (Report, Vec<u64>) {
    let mut device = Device::new();
    let module = device.load(text).expect("the text loads");
    let program = module.kernel("k").unwrap_or_else(|e| panic!("{e}"));
    let base = device.memory.add("out", Some(vec![0; 512]), 0);
    let params = pack(&program, &[base.to_le_bytes().to_vec()]).expect("one pointer");
    let mut launch = Launch {
        grid: [2, 1, 1],
        cluster: [2, 1, 1],
        block: [64, 1, 1],
        params,
        step_limit: 10_000_000,
        ..Launch::default()
    };
    change(&mut launch);
    let report = device.run(&module, &program, &launch);
    let data = device.memory.region(base).expect("the buffer").data.clone();
    (report, data.chunks(8).map(|b| u64::from_le_bytes(b.try_into().expect("eight bytes"))).collect())
}

/// Runs at the latest moments and under random schedules; no findings, and the same result.
fn clean(text: &str) -> Vec<u64> {
    let (report, out) = run(text, |_| {});
    assert_eq!(report.findings, []);
    for seed in 0..6 {
        let (report, other) = run(text, |l| l.seed = Some(seed));
        assert_eq!((report.findings, other), (vec![], out.clone()), "seed {seed}");
    }
    out
}

fn classes(report: &Report) -> Vec<Class> {
    report.findings.iter().map(|f| f.class).collect()
}

const ST: &str = "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes";
const RED: &str = "red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes";

#[test]
fn asynchronous_stores_arrive_with_their_barrier() {
    let send = format!("add.u32 %r9, %rsm, %r2; mul.lo.u32 %r10, %a, 3; {ST}.v2.b32 [%r9], {{%r10, %a}}, [%rbar];");
    let out = clean(&text(512, &send));
    assert!((0..64).all(|t| out[t as usize] == 3 * t + (t << 32)), "{out:?}");
    // 64 bits; sixteen bytes by every other thread.
    let send = format!("add.u32 %r9, %rsm, %r2; {ST}.b64 [%r9], %d3, [%rbar];");
    assert_eq!(clean(&text(512, &send)), (0..64).collect::<Vec<_>>());
    let send = format!(
        "and.b32 %r9, %a, 1; setp.eq.u32 %p3, %r9, 1; @%p3 bra DONE; add.u32 %r9, %rsm, %r2; {ST}.v2.u64 [%r9], {{%d3, %d3}}, [%rbar];"
    );
    assert_eq!(clean(&text(512, &send)), (0..64).map(|t| t / 2 * 2).collect::<Vec<_>>());
    let send = send.replace(".v2.u64 [%r9], {%d3, %d3}", ".v4.f32 [%r9], {%a, %a, %r2, %r2}");
    let twice = |v: u64| v + (v << 32);
    let pair = |t: u64| twice(if t & 1 == 0 { t } else { (t - 1) * 8 });
    assert_eq!(clean(&text(512, &send)), (0..64).map(pair).collect::<Vec<_>>());
}

#[test]
fn asynchronous_reductions_combine() {
    // All 64 threads reduce the first word, whose bits are 100, with their number.
    type Fold = fn(u64, u64) -> u64;
    let rows: [(&str, &str, Fold); 12] = [
        ("add.u32", "%a", |x, y| x + y),
        ("add.s32", "%a", |x, y| x + y),
        ("add.u64", "%d3", |x, y| x + y),
        ("add.s64", "%d3", |x, y| x + y),
        ("min.u32", "%a", u64::min),
        ("min.s32", "%a", u64::min),
        ("max.u32", "%a", u64::max),
        ("max.s32", "%a", u64::max),
        ("and.b32", "%a", |x, y| x & y),
        ("or.b32", "%a", |x, y| x | y),
        ("xor.b32", "%a", |x, y| x ^ y),
        ("inc.u32", "1000", |x, _| x + 1),
    ];
    for (op, source, fold) in rows {
        let bytes = if op.ends_with("64") { 512 } else { 256 };
        let out = clean(&text(bytes, &format!("{RED}.{op} [%rsm], {source}, [%rbar];")));
        assert_eq!(out[0], (0..64).fold(100, fold), "{op}");
        assert!(out[1..].iter().all(|v| *v == 100));
    }
    assert_eq!(clean(&text(256, &format!("{RED}.dec.u32 [%rsm], 1000, [%rbar];")))[0], 36);
}

#[test]
fn bulk_copies_and_reductions_reach_the_other_block() {
    let one = |copy: &str| format!("setp.ne.u32 %p3, %a, 0; @%p3 bra DONE; {copy}");
    let to = "shared::cluster.shared::cta.mbarrier::complete_tx::bytes";
    let out = clean(&text(512, &one(&format!("cp.async.bulk.{to} [%rsm], [%r4], 512, [%rbar];"))));
    assert_eq!(out, (0..64).collect::<Vec<_>>());
    // The words of `src` are t, 0; those of `sm` are 100, 0.
    type Fold = fn(u64) -> u64;
    let rows: [(&str, Fold); 8] = [
        ("add.u32", |t| 100 + t),
        ("add.u64", |t| 100 + t),
        ("min.s32", |t| t.min(100)),
        ("max.u32", |t| t.max(100)),
        ("and.b32", |t| t & 100),
        ("or.b32", |t| t | 100),
        ("xor.b32", |t| t ^ 100),
        // 100 where the limit is smaller wraps to 0; 0 with limit 0 stays.
        ("inc.u32", |t| if 100 >= t { 0 } else { 101 }),
    ];
    for (op, fold) in rows {
        let out = clean(&text(512, &one(&format!("cp.reduce.async.bulk.{to}.{op} [%rsm], [%r4], 512, [%rbar];"))));
        assert_eq!(out, (0..64).map(fold).collect::<Vec<_>>(), "{op}");
    }
    // A prefetch changes nothing.
    let (report, _) = run(&text(0, "cp.async.bulk.prefetch.L2.global [%d0], 64;"), |_| {});
    assert_eq!(classes(&report), []);
    let (report, _) = run(&text(0, "cp.async.bulk.prefetch.L2.global [%d0], 60;"), |_| {});
    assert_eq!(classes(&report), [Class::Misaligned]);
}

/// `st.async` and `red.async` belong to the generic proxy: they need no proxy fence after plain writes, bulk copies do.
#[test]
fn asynchronous_stores_belong_to_the_generic_proxy() {
    let unfenced = |send: &str| {
        let whole = text(512, send).replace("GO: fence.proxy.async;", "GO: fence.mbarrier_init.release.cluster;");
        classes(&run(&whole, |_| {}).0)
    };
    assert_eq!(unfenced(&format!("add.u32 %r9, %rsm, %r2; {ST}.b64 [%r9], %d3, [%rbar];")), []);
    assert_eq!(unfenced(&format!("{RED}.add.u64 [%rsm], %d3, [%rbar];")), []);
    let one = "setp.ne.u32 %p3, %a, 0; @%p3 bra DONE;";
    let to = "shared::cluster.shared::cta.mbarrier::complete_tx::bytes";
    let copy = format!("{one} cp.async.bulk.{to} [%rsm], [%r4], 512, [%rbar];");
    assert!(unfenced(&copy).contains(&Class::ProxyOrder), "{:?}", unfenced(&copy));
    let reduce = format!("{one} cp.reduce.async.bulk.{to}.add.u32 [%rsm], [%r4], 512, [%rbar];");
    assert!(unfenced(&reduce).contains(&Class::ProxyOrder), "{:?}", unfenced(&reduce));
}

#[test]
fn mistakes_with_asynchronous_stores_are_named() {
    // Too few bytes: the barrier never completes.
    let send = format!("add.u32 %r9, %rsm, %r2; {ST}.b32 [%r9], %a, [%rbar];");
    let (report, _) = run(&text(512, &send), |_| {});
    assert_eq!(classes(&report)[0], Class::Deadlock);
    assert!(report.findings[0].message.contains("256 bytes are missing"), "{}", report.findings[0]);
    // The sender's own barrier, the receiver's memory.
    let own = format!("setp.ne.u32 %p3, %a, 0; @%p3 bra DONE; {ST}.b32 [%rsm], %a, [%r5];");
    let (report, _) = run(&text(4, &own), |_| {});
    assert!(classes(&report).contains(&Class::Mbarrier), "{:?}", report.findings);
    // Eight bytes at a multiple of four, and an address behind the memory.
    let (report, _) = run(&text(512, &format!("{ST}.b64 [%rsm+4], %d3, [%rbar];")), |_| {});
    assert_eq!(classes(&report), [Class::Misaligned]);
    let (report, _) = run(&text(512, &format!("{ST}.b32 [%rsm+65536], %a, [%rbar];")), |_| {});
    assert_eq!(classes(&report), [Class::OutOfBounds]);
    // What a store is still to write counts as unwritten: the own block reads before the wait.
    let early = format!(
        "mapa.shared::cluster.u32 %r11, %r3, 1; mapa.shared::cluster.u32 %r12, %r5, 1; setp.ne.u32 %p3, %a, 0;
        @%p3 bra DONE; {ST}.b32 [%r11], %a, [%r12]; ld.shared.b32 %r13, [%r3]; st.global.b32 [%o], %r13;"
    );
    let (report, _) = run(&text(0, &early), |_| {});
    assert!(classes(&report).contains(&Class::Uninitialised), "{:?}", report.findings);
    assert!(classes(&report).contains(&Class::Mbarrier), "the block ends with a store in flight");
    // The second warp of the receiver reads without a wait.
    let send = format!("add.u32 %r9, %rsm, %r2; {ST}.b64 [%r9], %d3, [%rbar];");
    let early = text(512, &send)
        .replace("RECEIVE: W:", "RECEIVE: setp.ge.u32 %p5, %a, 32; @%p5 bra READ; W:")
        .replace("ld.shared.b64 %d5", "READ: ld.shared.b64 %d5");
    let (report, _) = run(&early, |_| {});
    assert!(classes(&report).contains(&Class::Race), "{:?}", report.findings);
}

/// Hardware ends what is for clusters with an illegal instruction where there is none, if only one of one block.
#[test]
fn a_launch_without_clusters_is_named() {
    let copy = "cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%r3], [%r3+1024], 16, [%r5];";
    for send in [format!("{ST}.b32 [%r3], %a, [%r5];"), format!("{RED}.add.u32 [%r3], %a, [%r5];"), copy.into()] {
        let text = text(0, &format!("DONE2: {send}")).replace("setp.eq.u32 %p1, %rank, 0", "setp.eq.u32 %p1, %rank, 7");
        let alone = |l: &mut Launch| (l.grid, l.cluster) = ([1; 3], [1; 3]);
        let (report, _) = run(&text, alone);
        assert!(classes(&report).contains(&Class::Trap), "{send}: {:?}", report.findings);
        let one = text.replace(
            ".visible .entry k(.param .u64 out)",
            ".visible .entry k(.param .u64 out) .reqnctapercluster 1, 1, 1",
        );
        assert_ne!(one, text);
        let (report, _) = run(&one, alone);
        assert!(!classes(&report).contains(&Class::Trap), "{send}: {:?}", report.findings);
    }
}

#[test]
fn forms_that_do_not_exist_are_refused_with_their_line() {
    let forms = [
        format!("{ST}.b16 [%rsm], %h1, [%rbar];"),
        format!("{ST}.v4.b64 [%rsm], {{%d1, %d1, %d1, %d1}}, [%rbar];"),
        "st.async.weak.shared::cluster.b32 [%rsm], %a, [%rbar];".into(),
        format!("{RED}.min.u64 [%rsm], %d3, [%rbar];"),
        format!("{RED}.add.f32 [%rsm], %a, [%rbar];"),
        format!("{RED}.and.u32 [%rsm], %a, [%rbar];"),
        format!("{RED}.exch.b32 [%rsm], %a, [%rbar];"),
        "red.async.relaxed.gpu.shared::cluster.mbarrier::complete_tx::bytes.add.u32 [%rsm], %a, [%rbar];".into(),
        "cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes.multicast::cluster [%rsm],[%r4],64,[%rbar],%h1;".into(),
        "cp.async.bulk.shared::cta.shared::cta.mbarrier::complete_tx::bytes [%r3],[%r4],64,[%r5];".into(),
        "cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes.add.f32 [%rsm],[%r4],64,[%rbar];".into(),
        "cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f16 [%d0],[%r4],64;".into(),
        "cp.reduce.async.bulk.global.shared::cta.bulk_group.min.f32 [%d0],[%r4],64;".into(),
        "cp.reduce.async.bulk.global.shared::cta.bulk_group.add.s64 [%d0],[%r4],64;".into(),
        "cp.async.bulk.prefetch.global [%d0], 64;".into(),
        "multimem.ld_reduce.global.add.f32 %a, [%d0];".into(),
    ];
    for form in &forms {
        let whole = text(0, form);
        let line = 1 + whole.lines().position(|l| l.contains(form.as_str())).expect("the line") as u32;
        let Ok(module) = Device::new().load(&whole) else { panic!("{form} does not parse") };
        let error = module.kernel("k").err().unwrap_or_else(|| panic!("{form} is taken"));
        assert_eq!(error.0.iter().map(|e| e.line).collect::<Vec<_>>(), [line], "{form}: {error}");
    }
    let refused = Device::new().load(&text(0, &forms[15])).expect("it parses").kernel("k").err().expect("refused");
    assert!(refused.to_string().contains("multimem"), "{refused}");
}
