//! Instructions that are more than a function of registers: what they leave in memory and in other threads' registers.

use tricot_ptxsim::{Class, Device, Launch, Report, pack};

const START: &str = "{ .reg .pred %p<8>; .reg .b16 %h<8>; .reg .b32 %a, %r<16>; .reg .b64 %o, %d<16>; .reg .b128 %q<4>;
    .shared .align 16 .b8 sm[1024];
    mov.u32 %a, %tid.x; ld.param.u64 %d0, [out]; mul.wide.u32 %d1, %a, 8; add.s64 %o, %d0, %d1;\n";

fn source(body: &str, more: &str) -> String {
    format!(
        ".version 9.0\n.target sm_90a\n.address_size 64\n{more}\n.visible .entry k(.param .u64 out)\n{START}{body}\nret;\n}}"
    )
}

/// Runs `body` with a word of 8 bytes for each of 64 threads, all zero; returns the words.
fn run(body: &str, change: impl Fn(&mut Launch)) -> (Report, Vec<u64>) {
    let mut device = Device::new();
    let module = device.load(&source(body, "")).expect("the text loads");
    let program = module.kernel("k").unwrap_or_else(|e| panic!("{e}"));
    let base = device.memory.add("out", Some(vec![0; 1024]), 0);
    let params = pack(&program, &[base.to_le_bytes().to_vec()]).expect("one pointer");
    let mut launch = Launch { block: [64, 1, 1], params, ..Launch::default() };
    change(&mut launch);
    let report = device.run(&module, &program, &launch);
    let words = device.memory.region(base).expect("the buffer").data.as_chunks().0.iter();
    (report, words.map(|w| u64::from_le_bytes(*w)).collect())
}

fn words(body: &str) -> Vec<u64> {
    let (report, words) = run(body, |_| {});
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    words
}

fn refused(body: &str) -> String {
    let mut device = Device::new();
    let module = device.load(&source(body, "")).expect("the text loads");
    module.kernel("k").err().unwrap_or_else(|| panic!("{body} is decoded")).to_string()
}

#[test]
fn wide_registers_move_and_compare_as_a_whole() {
    let out = words(
        "mul.wide.u32 %d1, %a, 8; add.s64 %d1, %d0, %d1; cvt.u64.u32 %d2, %a; add.s64 %d3, %d2, 1000;
        mov.b128 %q0, {%d2, %d3}; mov.b128 %q1, %q0; setp.eq.u32 %p0, %a, 0;
        @%p0 st.global.b128 [%d0], %q1; add.s64 %d4, %d0, 16;
        @%p0 ld.global.b128 %q2, [%d0]; @%p0 mov.b128 {%d5, %d6}, %q2; @%p0 add.s64 %d5, %d5, 7;
        @%p0 st.global.v2.b64 [%d4], {%d6, %d5};",
    );
    assert_eq!(out[..4], [0, 1000, 1000, 7]);
}

#[test]
fn wide_atomics_exchange_and_compare() {
    // One thread: memory holds 0; a cas that fails, one that succeeds, an exchange.
    let out = words(
        "setp.ne.u32 %p0, %a, 0; @%p0 bra END; mov.u64 %d2, 0; mov.u64 %d3, 5; mov.u64 %d4, 9;
        mov.b128 %q0, {%d2, %d3}; mov.b128 %q1, {%d4, %d4}; mov.b128 %q2, {%d2, %d2};
        atom.global.cas.b128 %q3, [%d0], %q0, %q1; mov.b128 {%d5, %d6}, %q3; st.global.v2.b64 [%d0+16], {%d5, %d6};
        atom.acq_rel.gpu.global.cas.b128 %q3, [%d0], %q2, %q0; mov.b128 {%d5, %d6}, %q3; st.global.v2.b64 [%d0+32], {%d5, %d6};
        atom.exch.b128 %q3, [%d0], %q1; mov.b128 {%d5, %d6}, %q3; st.global.v2.b64 [%d0+48], {%d5, %d6};
        END:",
    );
    assert_eq!(out[..8], [9, 9, 0, 0, 0, 0, 0, 5]);
    let (report, _) = run("atom.global.exch.b128 %q0, [%d0+8], %q1;", |_| {});
    assert!(report.findings.iter().any(|f| f.class == Class::Misaligned), "{:?}", report.findings);
    assert!(refused("atom.global.add.b128 %q0, [%d0], %q1;").contains("line"));
    assert!(refused("add.u64 %d2, %q0, %d1;").contains("%q0"));
    assert!(refused("mov.b128 %d2, %q0;").contains("128"));
    assert!(refused("ld.global.b64 %q0, [%d0];").contains("128"));
}

/// Each thread adds its number to two floats: what it gets back is a sum of other threads' numbers, and all differ.
#[test]
fn vector_atomics_return_what_was_there() {
    let out = words(
        "cvt.rn.f32.u32 %r1, %a; mov.f32 %r2, 0f3f800000; atom.global.add.v2.f32 {%r3, %r4}, [%d0], {%r1, %r2};
        cvt.rzi.u32.f32 %r4, %r4; mul.wide.u32 %d2, %r4, 8; add.s64 %d2, %d0, %d2; st.global.f32 [%d2+512], %r3;",
    );
    assert_eq!(f32::from_bits(out[0] as u32), (0..64).sum::<u32>() as f32);
    assert_eq!(f32::from_bits((out[0] >> 32) as u32), 64.0);
    // The n-th thread to come finds n in the second element, and in the first the sum of n numbers.
    let sums: Vec<f32> = out[64..].iter().map(|w| f32::from_bits(*w as u32)).collect();
    assert!(sums.windows(2).all(|w| w[1] >= w[0]), "{sums:?}");
    let mut steps: Vec<u32> = sums.windows(2).map(|w| (w[1] - w[0]) as u32).collect();
    steps.push(2016 - sums[63] as u32);
    steps.sort_unstable();
    assert_eq!(steps, (0..64).collect::<Vec<_>>());
    let out = words(
        "setp.ne.u32 %p0, %a, 0; @%p0 bra END; mov.u16 %h0, 0x3c00; mov.u16 %h1, 0xc000;
        red.global.v2.f16.add.noftz [%d0], {%h0, %h1}; atom.global.max.noftz.v2.f16 {%h2, %h3}, [%d0], {%h1, %h0};
        st.global.v2.b16 [%d0+8], {%h2, %h3}; END:",
    );
    assert_eq!(out[..2], [0x3c00_3c00, 0xc000_3c00]);
    for wrong in [
        "atom.shared.add.v2.f32 {%r1, %r2}, [sm], {%r3, %r4};",
        "atom.global.add.v8.f32 {%r1, %r2, %r1, %r2, %r1, %r2, %r1, %r2}, [%d0], {%r1, %r2, %r1, %r2, %r1, %r2, %r1, %r2};",
        "atom.global.max.v2.f32 {%r1, %r2}, [%d0], {%r3, %r4};",
        "atom.global.add.v2.f16 {%h1, %h2}, [%d0], {%h3, %h4};",
        "atom.global.and.u32 %r1, [%d0], %r2;",
        "atom.global.add.s64 %d1, [%d0], %d2;",
        "atom.global.inc.u64 %d1, [%d0], %d2;",
        "red.global.exch.b32 [%d0], %r2;",
    ] {
        assert!(refused(wrong).contains("line"), "{wrong}");
    }
}

#[test]
fn a_barrier_reduces_predicates_of_all_its_threads() {
    // Digits of the result: the count, and one for each predicate.
    let text = "setp.lt.u32 %p0, %a, 19; setp.lt.u32 %p1, %a, 64;
        barrier.red.popc.u32 %r1, 0, %p0; bar.red.and.pred %p2, 1, 64, %p1; barrier.cta.red.and.pred %p3, 0, %p0;
        bar.red.or.pred %p4, 0, !%p1; barrier.red.or.pred %p5, 0, %p0;
        selp.u32 %r2, 100, 0, %p2; add.u32 %r1, %r1, %r2; selp.u32 %r2, 1000, 0, %p3; add.u32 %r1, %r1, %r2;
        selp.u32 %r2, 10000, 0, %p4; add.u32 %r1, %r1, %r2; selp.u32 %r2, 100000, 0, %p5; add.u32 %r1, %r1, %r2;
        st.global.u32 [%o], %r1;";
    for seed in [None, Some(1), Some(2), Some(3)] {
        let (report, out) = run(text, |l| l.seed = seed);
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        assert!(out[..64].iter().all(|w| *w == 100_119), "{out:?}");
    }
}

/// Two pairs of warps have a barrier each, and half of every warp comes to it on a way of its own.
#[test]
fn barrier_results_reach_lanes_that_came_before_the_rest_of_their_warp() {
    let text = "shr.u32 %r1, %a, 6; add.u32 %r2, %r1, 1; setp.lt.u32 %p0, %a, 8; setp.ge.u32 %p1, %a, 70;
        or.pred %p0, %p0, %p1; and.b32 %r3, %a, 16; setp.eq.u32 %p2, %r3, 0; @%p2 bra OTHER;
        barrier.red.popc.u32 %r4, %r2, 64, %p0; bra JOIN; OTHER: barrier.red.popc.u32 %r4, %r2, 64, %p0; JOIN:
        mul.wide.u32 %d1, %a, 4; add.s64 %o, %d0, %d1; st.global.u32 [%o], %r4;";
    for seed in [None, Some(1), Some(2)] {
        let (report, out) = run(text, |l| (l.block, l.seed) = ([128, 1, 1], seed));
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        let counts: Vec<u32> = out[..64].iter().flat_map(|w| [*w as u32, (*w >> 32) as u32]).collect();
        assert!(counts[..64].iter().all(|c| *c == 8) && counts[64..].iter().all(|c| *c == 58), "{counts:?}");
    }
}

#[test]
fn a_barrier_with_an_unwritten_predicate_is_reported() {
    let (report, _) = run("barrier.red.popc.u32 %r1, 0, %p0;", |_| {});
    assert_eq!(report.findings[0].class, Class::Uninitialised);
    assert!(refused("barrier.red.popc.pred %p1, 0, %p0;").contains("line"));
}

#[test]
fn lop3_combines_its_predicate_even_with_the_guard() {
    // a & 1, or-ed with a predicate that says 4 and up; the guard is its own destination.
    let out = words(
        "setp.ge.u32 %p1, %a, 4; setp.lt.u32 %p0, %a, 8; mov.u32 %r1, 77; and.b32 %r2, %a, 1; mov.u32 %r3, 0;
        @%p0 lop3.or.b32 %r1|%p0, %r2, %r3, %r3, 0xf0, %p1; selp.u32 %r4, 1000, 0, %p0; add.u32 %r1, %r1, %r4;
        st.global.u32 [%o], %r1;",
    );
    assert_eq!(out[..10], [0, 1001, 0, 1001, 1000, 1001, 1000, 1001, 77, 77]);
    let out = words(
        "setp.ge.u32 %p1, %a, 4; and.b32 %r2, %a, 1; lop3.and.b32 _|%p0, %r2, %r2, %r2, 0x80, !%p1; selp.u32 %r1, 1, 0, %p0;
        st.global.u32 [%o], %r1;",
    );
    assert_eq!(out[..6], [0, 1, 0, 1, 0, 0]);
}

#[test]
fn ranks_are_those_of_the_block_an_address_is_in() {
    let text =
        "mov.u32 %r1, %cluster_ctarank; xor.b32 %r2, %r1, 1; mov.u32 %r3, sm; mapa.shared::cluster.u32 %r4, %r3, %r2;
        getctarank.shared::cluster.u32 %r5, %r4; getctarank.shared::cluster.u32 %r6, %r3;
        cvta.shared.u64 %d2, sm; mapa.u64 %d3, %d2, %r2; getctarank.u64 %r7, %d3;
        mad.lo.u32 %r5, %r5, 10, %r6; mad.lo.u32 %r5, %r7, 100, %r5; shl.b32 %r1, %r1, 3; cvt.u64.u32 %d1, %r1;
        add.s64 %o, %d0, %d1; st.global.u32 [%o], %r5;";
    let (report, out) = run(text, |l| (l.grid, l.cluster, l.block) = ([2, 1, 1], [2, 1, 1], [1, 1, 1]));
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(out[..2], [110, 1]);
}

#[test]
fn discarded_bytes_are_lost() {
    let text = "discard.global.L2 [%d0+128], 128; ld.global.u32 %r1, [%d0+124]; st.global.u32 [%d0], %r1;";
    assert_eq!(run(text, |_| {}).0.findings, []);
    let (report, _) = run(&text.replace("%d0+124", "%d0+128"), |_| {});
    assert_eq!(report.findings[0].class, Class::Uninitialised);
}

#[test]
fn hints_are_taken_in_their_legal_forms_only() {
    words(
        "nanosleep.u32 100; pmevent 7; pmevent.mask 0x81; griddepcontrol.wait; griddepcontrol.launch_dependents;
        prefetch.global.L2 [%d0]; prefetch.L1 [%d0]; prefetchu.L1 [%d0]; prefetch.global.L2::evict_last [%d0];
        applypriority.global.L2::evict_normal [%d0], 128; createpolicy.fractional.L2::evict_last.b64 %d1, 0.5;
        createpolicy.fractional.L2::evict_first.b64 %d1; createpolicy.fractional.L2::evict_last.L2::evict_unchanged.b64 %d1, 1.0;
        createpolicy.range.global.L2::evict_last.b64 %d1, [%d0], 1024, 4096; createpolicy.cvt.L2.b64 %d2, %d1;
        ld.global.L2::cache_hint.u32 %r1, [%d0], %d1;",
    );
    for wrong in [
        "nanosleep.u64 100;",
        "pmevent 16;",
        "griddepcontrol.sleep;",
        "prefetch.shared.L1 [sm];",
        "prefetchu.L2 [%d0];",
        "applypriority.global.L2::evict_last [%d0], 128;",
        "discard.global.L2 [%d0], 64;",
        "createpolicy.fractional.L1::evict_last.b64 %d1, 0.5;",
        "createpolicy.range.L2::evict_last.b64 %d1, [%d0], 1024;",
    ] {
        assert!(refused(wrong).contains("line 9"), "{wrong}: {}", refused(wrong));
    }
}

#[test]
fn additions_of_subnormals_are_flushed_in_global_memory_only() {
    let out = words(
        "setp.ne.u32 %p0, %a, 0; @%p0 bra END; mov.u32 %r1, 3; mov.u32 %r2, sm; st.shared.u32 [%r2], %r1; st.global.u32 [%d0], %r1;
        red.global.add.f32 [%d0], %r1; red.shared.add.f32 [%r2], %r1; red.global.add.u32 [%d0+16], %r1;
        ld.shared.u32 %r3, [%r2]; st.global.u32 [%d0+8], %r3; cvta.shared.u64 %d2, sm; red.add.f32 [%d2], %r1; 
        ld.shared.u32 %r3, [%r2]; st.global.u32 [%d0+24], %r3; END:",
    );
    assert_eq!(out[..4], [0, 6, 3, 9]);
}

#[test]
fn special_registers_have_their_widths() {
    let text = "selp.u32 %r1, 1, 0, %is_explicit_cluster; mov.u32 %r2, %envreg3; mov.u64 %d2, %pm1_64; mov.u32 %r3, %aggr_smem_size;
        mov.u32 %r4, %clock_hi; cvt.u32.u64 %r5, %d2; add.u32 %r2, %r2, %r5; add.u32 %r2, %r2, %r4; mad.lo.u32 %r2, %r2, 10, %r1;
        setp.eq.u32 %p0, %a, 0; @%p0 st.global.v2.u32 [%d0], {%r2, %r3};";
    assert_eq!(words(text)[0], 1024 << 32);
    let (report, out) = run(text, |l| (l.grid, l.cluster) = ([2, 1, 1], [2, 1, 1]));
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(out[0], 1024 << 32 | 1);
    assert!(refused("mov.u32 %r1, %envreg32;").contains("%envreg32"));
}

#[test]
fn clocks_run_forward() {
    let out = words(
        "mov.u64 %d2, %clock64; mov.u64 %d3, %globaltimer; mov.u32 %r1, %clock; add.u32 %r3, %a, 1; mul.lo.u32 %r3, %r3, %r3;
        mov.u64 %d4, %clock64; mov.u64 %d5, %globaltimer; setp.lt.u64 %p0, %d2, %d4; setp.lt.u64 %p1, %d3, %d5;
        and.pred %p0, %p0, %p1; selp.u32 %r4, 1, 0, %p0; st.global.u32 [%o], %r4;",
    );
    assert!(out[..64].iter().all(|w| *w == 1));
}

/// What the assembler takes although the ISA's rules on rounding would not have it.
#[test]
fn formats_of_16_bits_convert_with_and_without_a_mode() {
    let out = words(
        "mov.u16 %h0, 0x3c00; cvt.bf16.f16 %h1, %h0; cvt.f16.bf16 %h2, %h1; cvt.rz.f32.bf16 %r1, %h1; cvt.rm.bf16.f32 %h3, 0fBF800001;
        mov.b32 %r2, {%h1, %h2}; mov.b32 %r3, {%h3, %h3}; setp.eq.u32 %p0, %a, 0; @%p0 st.global.v4.b32 [%d0], {%r1, %r2, %r3, %r3};",
    );
    assert_eq!(out[..2], [0x3c00_3f80_3f80_0000, 0xbf81_bf81_bf81_bf81]);
}

#[test]
fn combinations_that_sm_90_lacks_are_refused() {
    for wrong in [
        "add.rz.f16 %h0, %h1, %h2;",
        "add.rz.sat.f64 %d1, %d2, %d3;",
        "sqrt.f32 %r1, %r2;",
        "div.rz.sat.f32 %r1, %r2, %r3;",
        "fma.f32 %r1, %r2, %r3, %r4;",
        "fma.rn.sat.relu.f16 %h0, %h1, %h2, %h3;",
        "add.rn.bf16.f32 %r1, %r2, %r3;",
        "set.lt.ftz.u32.s32 %r1, %r2, %r3;",
        "set.lt.u16.f32 %h1, %r2, %r3;",
        "setp.lt.b32 %p0, %r1, %r2;",
        "setp.lo.s32 %p0, %r1, %r2;",
        "setp.lt.f16x2 %p0, %r1, %r2;",
        "slct.b32.u32 %r1, %r2, %r3, %r4;",
        "testp.finite.f16 %p0, %h0;",
        "cvt.f16.f32 %h0, %r1;",
        "cvt.rn.f32.f16 %r1, %h0;",
        "cvt.rni.f16.f32 %h0, %r1;",
        "cvt.rn.sat.bf16.f32 %h0, %r1;",
        "cvt.rs.f16x2.f32 %r1, %r2, %r3, %r4;",
        "cvt.rm.relu.f16.f32 %h0, %r1;",
        "cvt.rn.e4m3x2.f32 %h0, %r1, %r2;",
        "cvt.sat.u32.u16 %r1, %h0;",
        "cvt.rn.bf16.u8 %h0, %h1;",
        "cvt.rn.bf16.bf16 %h0, %h1;",
        "cvt.rn.satfinite.tf32.f32 %r1, %r2;",
        "cvt.rn.tf32.f64 %r1, %d2;",
        "cvt.rzi.sat.u16.bf16 %h0, %h1;",
        "set.lt.ftz.bf16.f32 %h0, %r1, %r2;",
        "set.lt.f16.bf16 %h0, %h1, %h2;",
        "mov.f16 %h0, %h1;",
        "selp.f16 %h0, %h1, %h2, %p0;",
        "cvt.pack.sat.u8.s32 %r1, %r2, %r3;",
        "cvt.rn.u32.f32 %r1, %r2;",
        "mad.cc.u32 %r1, %r2, %r3, %r4;",
        "vadd2.u32.u32.u32.sat.add %r1, %r2, %r3, %r4;",
        "vadd2.u32.u32.u32 %r1, %r2, %r3;",
        "vadd4.u32.u32.u32 %r1.b02, %r2, %r3, %r4;",
        "vadd4.u32.u32.u32 %r1, %r2.b0128, %r3, %r4;",
        "vabsdiff.u32.u32.u32 %r1.b3, %r2, %r3;",
        "vshl.u32.u32.s32.clamp %r1, %r2, %r3;",
        "vmad.u32.u32.u32 %r1, %r2, %r3, %r4;",
        "lop3.xor.b32 %r1|%p0, %r2, %r3, %r4, 0x80, %p1;",
    ] {
        let message = refused(wrong);
        let opcode = wrong.split(' ').next().unwrap_or("");
        assert!(message.contains("line 9") && message.contains(opcode), "{wrong}: {message}");
    }
}
