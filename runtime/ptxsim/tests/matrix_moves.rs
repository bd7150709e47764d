//! `ldmatrix` and `stmatrix` against the figures of PTX ISA 9.7.14.5.15: 8 x 8 matrices of 16 bits.
//!
//! ```text
//! lane 8 m + r names row r of matrix m; lane 4 g + t holds elements (g, 2t) and (g, 2t + 1), or with .trans (2t, g) and (2t + 1, g)
//! ```

use tricot_ptxsim::{Device, Launch, pack};

/// Rows lie 80 bytes apart in a scattered order, so that no two of them share an address.
fn row(matrix: u32, row: u32) -> u32 {
    (matrix * 8 + (row * 5 + matrix) % 8) * 80
}

/// Every lane reads or writes its registers at `%r20`, the address of its row; `out` holds shared memory, then registers.
fn run(count: u32, trans: &str, load: bool, sm: &[u8], registers: &[u32]) -> Vec<u8> {
    let list = (0..count).map(|n| format!("%r{n}")).collect::<Vec<_>>().join(", ");
    let mut addresses = String::new();
    for lane in 0..32 {
        let at = if lane < 8 * count { row(lane / 8, lane % 8) } else { 3 };
        addresses += &format!("setp.eq.u32 %p1, %r30, {lane}; @%p1 mov.u32 %r20, {at};\n");
    }
    let own = |what: &str| {
        (0..count)
            .map(|n| format!("{what};").replace("REG", &format!("%r{n}")).replace("AT", &(4 * n).to_string()))
            .collect::<String>()
    };
    let (before, middle, after) = if load {
        (
            String::new(),
            format!("ldmatrix.sync.aligned.m8n8.x{count}{trans}.shared.b16 {{{list}}}, [%r20];"),
            own("st.global.b32 [%d2+AT], REG"),
        )
    } else {
        (
            own("ld.global.b32 REG, [%d2+AT]"),
            format!("stmatrix.sync.aligned.m8n8.x{count}{trans}.shared.b16 [%r20], {{{list}}};"),
            String::new(),
        )
    };
    let copy = |first: &str, second: &str| {
        format!(
            "mov.u32 %r21, %r30; L{first}: mul.wide.u32 %d3, %r21, 4; add.s64 %d3, %d3, %d0; shl.b32 %r22, %r21, 2; add.u32 %r22, %r22, %r23; {second} add.u32 %r21, %r21, 32; setp.lt.u32 %p2, %r21, 640; @%p2 bra L{first};"
        )
    };
    let text = format!(
        ".version 8.7\n.target sm_90a\n.address_size 64\n.visible .entry k(.param .u64 out) {{ .reg .pred %p<4>; .reg .b32 %r<40>; .reg .b64 %d<9>;
        .shared .align 16 .b8 sm[2560]; mov.u32 %r30, %tid.x; mov.u32 %r23, sm; ld.param.u64 %d0, [out];
        mul.wide.u32 %d2, %r30, 16; add.s64 %d2, %d2, %d0; add.s64 %d2, %d2, 2560; {addresses} add.u32 %r20, %r20, %r23;
        {} bar.sync 0; {before} {middle} {after} bar.sync 0; {} ret; }}",
        copy("A", "ld.global.b32 %r24, [%d3]; st.shared.b32 [%r22], %r24;"),
        copy("B", "ld.shared.b32 %r24, [%r22]; st.global.b32 [%d3], %r24;"),
    );
    let mut device = Device::new();
    let module = device.load(&text).unwrap_or_else(|e| panic!("{e}"));
    let program = module.kernel("k").unwrap_or_else(|e| panic!("{e}"));
    let mut out = sm.to_vec();
    out.extend(registers.iter().flat_map(|r| r.to_le_bytes()));
    let base = device.memory.add("out", Some(out), 0);
    let params = pack(&program, &[base.to_le_bytes().to_vec()]).expect("one pointer");
    let report = device.run(&module, &program, &Launch { block: [32, 1, 1], params, ..Launch::default() });
    assert_eq!(report.findings, []);
    device.memory.region(base).expect("the buffer").data.clone()
}

/// Matrix, row and column of half `e` of register `n` of a lane.
fn element(lane: u32, n: u32, e: u32, trans: bool) -> (u32, u32, u32) {
    let (g, t) = (lane / 4, lane % 4);
    if trans { (n, 2 * t + e, g) } else { (n, g, 2 * t + e) }
}

#[test]
fn matrices_move_between_shared_memory_and_registers() {
    let half = |data: &[u8], at: u32| u16::from_le_bytes([data[at as usize], data[at as usize + 1]]);
    for count in [1, 2, 4] {
        for trans in ["", ".trans"] {
            let sm: Vec<u8> = (0..1280u16).flat_map(|v| (v * 7 + 1).to_le_bytes()).collect();
            let registers: Vec<u32> = (0..128).map(|v| 0x8000_4000 + v * 0x0001_0003).collect();
            let loaded = run(count, trans, true, &sm, &registers);
            let stored = run(count, trans, false, &sm, &registers);
            let mut expected = sm.clone();
            for lane in 0..32 {
                for (n, e) in (0..count).flat_map(|n| [(n, 0), (n, 1)]) {
                    let (m, r, c) = element(lane, n, e, !trans.is_empty());
                    let place = row(m, r) + 2 * c;
                    assert_eq!(
                        half(&loaded, 2560 + 16 * lane + 4 * n + 2 * e),
                        half(&sm, place),
                        "x{count}{trans} lane {lane}"
                    );
                    let value = (registers[(4 * lane + n) as usize] >> (16 * e)) as u16;
                    expected[place as usize..place as usize + 2].copy_from_slice(&value.to_le_bytes());
                }
            }
            assert_eq!(stored[..2560], expected, "x{count}{trans}");
        }
    }
}
