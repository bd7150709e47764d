//! `wmma` in shared memory with padded lines, with C and D of different types, and its mistakes.

use tricot_ptxsim::{Class, Device, Launch, Report, pack};

/// A (columns 24 apart) and B (rows, touching) are copied to shared memory, C comes from global memory.
fn text(d: &str, c: &str, stride: &str) -> String {
    let list =
        |reg: &str, n: u32| format!("{{{}}}", (0..n).map(|i| format!("%{reg}{i}")).collect::<Vec<_>>().join(", "));
    let count = |t: &str| if t == "f16" { 4 } else { 8 };
    let (dl, cl) = (list("d", count(d)), list("c", count(c)));
    format!(
        ".version 8.7\n.target sm_90a\n.address_size 64\n.visible .entry k(.param .u64 out) {{ .reg .pred %p; .reg .b32 %t, %u, %v, %w, %a<8>, %b<8>, %c<8>, %d<8>;
        .reg .b64 %o, %q; .shared .align 32 .b8 sm[1280]; ld.param.u64 %o, [out]; mov.u32 %t, %tid.x; mov.u32 %v, sm; shl.b32 %u, %t, 2;
        L: cvt.u64.u32 %q, %u; add.s64 %q, %q, %o; ld.global.b32 %w, [%q]; add.u32 %t, %v, %u; st.shared.b32 [%t], %w; add.u32 %u, %u, 128;
        setp.lt.u32 %p, %u, 1280; @%p bra L; bar.warp.sync 0xffffffff;
        wmma.load.a.sync.aligned.col.m16n16k16.shared.f16 {}, [%v], {stride}; wmma.load.b.sync.aligned.row.m16n16k16.shared.f16 {}, [%v+768];
        wmma.load.c.sync.aligned.row.m16n16k16.global.{c} {cl}, [%o+2048]; wmma.mma.sync.aligned.col.row.m16n16k16.{d}.{c} {dl}, {}, {}, {cl};
        wmma.store.d.sync.aligned.col.m16n16k16.global.{d} [%o+4096], {dl}, 20; ret; }}",
        list("a", 8), list("b", 8), list("a", 8), list("b", 8)
    )
}

fn half(v: i32) -> u16 {
    let sign = if v < 0 { 0x8000 } else { 0 };
    let size = v.unsigned_abs();
    match size {
        0 => 0,
        _ => {
            let exp = 31 - size.leading_zeros();
            sign | ((exp + 15) << 10 | (size << (10 - exp)) & 0x3ff) as u16
        }
    }
}

fn run(text: &str, memory: Vec<u8>) -> (Report, Vec<u8>) {
    let mut device = Device::new();
    let module = device.load(text).unwrap_or_else(|e| panic!("{e}"));
    let program = module.kernel("k").unwrap_or_else(|e| panic!("{e}"));
    let base = device.memory.add("out", Some(memory), 0);
    let params = pack(&program, &[base.to_le_bytes().to_vec()]).expect("one pointer");
    let report = device.run(&module, &program, &Launch { block: [32, 1, 1], params, ..Launch::default() });
    (report, device.memory.region(base).expect("the buffer").data.clone())
}

fn value(row: i32, column: i32, salt: i32) -> i32 {
    (row * 5 + column * 3 + salt) % 7 - 3
}

#[test]
fn padded_lines_and_mixed_accumulators() {
    for d in ["f32", "f16"] {
        for c in ["f32", "f16"] {
            let mut memory = vec![0; 8192];
            let bytes = |t: &str, v: i32| {
                if t == "f16" { half(v).to_le_bytes().to_vec() } else { (v as f32).to_le_bytes().to_vec() }
            };
            for i in 0..256 {
                let (row, column) = (i / 16, i % 16);
                let mut put = |at: usize, bytes: Vec<u8>| memory[at..at + bytes.len()].copy_from_slice(&bytes);
                put(2 * (24 * column + row) as usize, bytes("f16", value(row, column, 0)));
                put(768 + 2 * (16 * row + column) as usize, bytes("f16", value(row, column, 1)));
                let size = if c == "f16" { 2 } else { 4 };
                put(2048 + size * (16 * row + column) as usize, bytes(c, 9 * value(row, column, 2)));
            }
            let (report, out) = run(&text(d, c, "24"), memory);
            assert_eq!(report.findings, []);
            for i in 0..256 {
                let (row, column) = (i / 16, i % 16);
                let sum: i32 = (0..16).map(|k| value(row, k, 0) * value(k, column, 1)).sum();
                let expected = bytes(d, sum + 9 * value(row, column, 2));
                let at = 4096 + expected.len() * (20 * column + row) as usize;
                assert_eq!(out[at..at + expected.len()], expected, "{d} {c} row {row} column {column}");
            }
        }
    }
}

#[test]
fn mistakes_of_a_warp_are_named() {
    let classes = |text: &str| run(text, vec![0; 8192]).0.findings.iter().map(|f| f.class).collect::<Vec<_>>();
    assert_eq!(classes(&text("f32", "f32", "%tid.x")), [Class::PtxContract]);
    assert_eq!(classes(&text("f32", "f32", "4096")), [Class::OutOfBounds]);
    let odd = text("f32", "f32", "24").replace("[%v], 24", "[%v+1], 24");
    assert_eq!(classes(&odd), [Class::Misaligned]);
    // The copy stops before B's last rows.
    let early = text("f32", "f32", "24").replace("%u, 1280", "%u, 1024");
    assert!(classes(&early).contains(&Class::Uninitialised));
}
