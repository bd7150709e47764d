//! Which matrix instructions exist (PTX ISA 9.7.14.5, 9.7.14.6, 9.7.15): what the decoder takes, and what it says of the rest.

use tricot_ptxsim::{Class, Device, Launch, pack};

/// A kernel of one instruction, on line 5; `%r`, `%d` and `%f` are there in plenty.
fn text(instruction: &str) -> String {
    format!(
        ".version 8.7\n.target sm_90a\n.address_size 64\n.visible .entry k(.param .u64 out) {{ .reg .b32 %r<300>; .reg .b64 %d<9>; .reg .f64 %f<64>; .reg .pred %p<4>; .shared .align 16 .b8 sm[1024];
{instruction}\nret; }}"
    )
}

fn taken(instruction: &str) -> bool {
    let module = Device::new().load(&text(instruction)).unwrap_or_else(|e| panic!("{instruction}: {e}"));
    match module.kernel("k") {
        Ok(_) => true,
        Err(e) => {
            assert_eq!(e.0.iter().map(|e| e.line).collect::<Vec<_>>(), [5], "{instruction}: {e}");
            let name = instruction.split(' ').next().expect("an opcode");
            assert!(e.to_string().contains(name.split('.').next().expect("a name")), "{e}");
            false
        }
    }
}

fn list(from: u32, count: u32) -> String {
    let names: Vec<String> = (from..from + count).map(|n| format!("%r{n}")).collect();
    format!("{{{}}}", names.join(", "))
}

#[test]
fn wgmma_has_the_shapes_and_types_of_the_isa() {
    // Accumulator, A, B, K, immediates with A in memory, whether sparse ones exist.
    let rows = [
        ("f32", "f16", "f16", 16, ", 1, -1, 0, 1", true),
        ("f16", "f16", "f16", 16, ", 1, -1, 0, 1", true),
        ("f32", "bf16", "bf16", 16, ", 1, 1, 1, 0", true),
        ("f32", "tf32", "tf32", 8, ", -1, 1", true),
        ("f32", "e4m3", "e5m2", 32, ", 1, 1", true),
        ("f16", "e5m2", "e4m3", 32, ", 1, 1", true),
        ("s32", "s8", "u8", 32, "", true),
        ("s32", "u8", "s8", 32, "", true),
        ("s32", "b1", "b1", 256, "", false),
    ];
    let types = ["f64", "f32", "f16", "bf16", "tf32", "e4m3", "e5m2", "s8", "u8", "s4", "u4", "b1", "s32"];
    for (d, a, b, k, tail, sparse) in rows {
        let form = |sp: &str, n: u32, k: u32, d: &str, a: &str, b: &str, rest: &str| {
            let count = if d == "f16" { n / 4 } else { n / 2 };
            let meta = if sp.is_empty() { "" } else { ", %r299, 0" };
            let op = if a == "b1" { ".and.popc" } else { "" };
            format!(
                "wgmma.mma_async{sp}.sync.aligned.m64n{n}k{k}.{d}.{a}.{b}{op} {}, %d1, %d2{meta}, %p1{rest};",
                list(0, count)
            )
        };
        for n in (4..272).step_by(4) {
            let exists = (8..=256).contains(&n) && n % 8 == 0 && (d != "s32" || n == 8 || n == 24 || n % 16 == 0);
            assert_eq!(taken(&form("", n, k, d, a, b, tail)), exists, "{d} {a} {b} n {n}");
            assert_eq!(taken(&form(".sp", n, 2 * k, d, a, b, tail)), exists && sparse, "sparse {d} {a} {b} n {n}");
        }
        assert!(!taken(&form("", 16, 2 * k, d, a, b, tail)) && !taken(&form(".sp", 16, k, d, a, b, tail)));
        // One immediate more, one less, and values that are none.
        assert!(!taken(&form("", 16, k, d, a, b, &format!("{tail}, 1"))));
        if let Some((less, _)) = tail.rsplit_once(',') {
            assert!(!taken(&form("", 16, k, d, a, b, less)));
            assert!(!taken(&form("", 16, k, d, a, b, &tail.replacen(" 1", " 2", 1))));
        }
        // Any other type in one place.
        for t in types {
            let mixed = |x: &str, y: &str| {
                let bits = |t: &str| t.trim_start_matches(char::is_alphabetic).chars().next().unwrap_or(' ');
                ["e4m3", "e5m2"].contains(&x) && ["e4m3", "e5m2"].contains(&y)
                    || ["s8", "u8"].contains(&x) && ["s8", "u8"].contains(&y)
                    || x == y && bits(x) == bits(y)
            };
            assert_eq!(taken(&form("", 16, k, d, t, b, tail)), mixed(t, b), "{d} {t} {b}");
            let sums = t == d || ["f16", "e5m2", "e4m3"].contains(&a) && ["f16", "f32"].contains(&t);
            assert_eq!(taken(&form("", 16, k, t, a, b, tail)), sums, "{t} {a} {b}");
        }
    }
    let form = |rest: &str, d: &str| format!("wgmma.mma_async{rest} {d}, %d1, %d2");
    let d = list(0, 8);
    assert!(taken(&(form(".sync.aligned.m64n16k32.s32.s8.s8.satfinite", &d) + ", %p1;")));
    assert!(!taken(&(form(".sync.aligned.m64n16k32.f32.e4m3.e4m3.satfinite", &d) + ", %p1, 1, 1;")));
    assert!(!taken(&(form(".sync.aligned.m64n16k256.s32.b1.b1.xor.popc", &d) + ", %p1;")));
    assert!(!taken(&(form(".sync.aligned.m64n16k256.s32.b1.b1", &d) + ", %p1;")));
    for selector in 0..4 {
        let sparse = |k: u32, t: &str, tail: &str| {
            let head = form(&format!(".sp.sync.aligned.m64n16k{k}.f32.{t}.{t}"), &d);
            taken(&format!("{head}, %r299, {selector}, %p1{tail};"))
        };
        assert_eq!(sparse(32, "f16", ", 1, 1, 0, 0"), selector < 2);
        assert_eq!(sparse(16, "tf32", ", 1, 1"), selector < 2);
        assert_eq!(sparse(64, "e4m3", ", 1, 1"), selector < 1);
    }
    // A in registers has no transposition of its own.
    let in_registers = |tail: &str| {
        taken(&format!("wgmma.mma_async.sync.aligned.m64n16k16.f32.f16.f16 {d}, {}, %d2, %p1{tail};", list(100, 4)))
    };
    assert!(in_registers(", 1, 1, 1") && !in_registers(", 1, 1, 0, 1") && !in_registers(", 1, 1"));
}

#[test]
fn mma_wants_its_registers_and_selectors() {
    let mma = |sp: &str, shape: &str, types: &str, counts: [u32; 3], tail: &str| {
        let [d, a, b] = counts;
        let operands = [list(0, d), list(40, a), list(80, b), list(120, d)].join(", ");
        taken(&format!("mma{sp}.sync.aligned.{shape}.row.col.{types} {operands}{tail};"))
    };
    assert!(mma("", "m16n8k16", "f32.f16.f16.f32", [4, 4, 2], ""));
    for counts in [[2, 4, 2], [4, 2, 2], [4, 4, 1], [4, 4, 4]] {
        assert!(!mma("", "m16n8k16", "f32.f16.f16.f32", counts, ""), "{counts:?}");
    }
    assert!(!mma("", "m16n8k16", "f32.f16.f16.f16", [4, 4, 2], ""));
    assert!(!mma("", "m16n8k16", "f32.f16.f16.f32", [4, 4, 2], ", %r200, 0"));
    let rows = [
        ("m16n8k16", "f32.bf16.bf16.f32", [4, 2, 2], 4),
        ("m16n8k32", "f16.f16.f16.f16", [2, 4, 4], 2),
        ("m16n8k8", "f32.tf32.tf32.f32", [4, 2, 2], 4),
        ("m16n8k16", "f32.tf32.tf32.f32", [4, 4, 4], 2),
        ("m16n8k32", "s32.s8.u8.s32", [4, 2, 2], 2),
        ("m16n8k64", "s32.s8.u8.s32", [4, 4, 4], 1),
        ("m16n8k64", "f32.e4m3.e5m2.f32", [4, 4, 4], 1),
        ("m16n8k64", "s32.s4.u4.s32", [4, 2, 2], 2),
        ("m16n8k128", "s32.u4.u4.s32", [4, 4, 4], 1),
    ];
    for (shape, types, counts, selectors) in rows {
        for sp in [".sp", ".sp::ordered_metadata"] {
            for selector in 0..5 {
                let tail = format!(", %r200, {selector}");
                assert_eq!(mma(sp, shape, types, counts, &tail), selector < selectors, "{shape} {types} {selector}");
            }
            assert!(!mma(sp, shape, types, counts, ""));
        }
    }
    let f64s = "{%f0, %f1}, {%f2}, {%f3}, {%f0, %f1}";
    assert!(taken(&format!("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {f64s};")));
    assert!(!taken("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%r0, %r1}, {%r2}, {%r3}, {%r0, %r1};"));
    let quads = |layouts: &str, types: &str, d: u32, c: u32| {
        let operands = [list(0, d), list(40, 2), list(80, 2), list(120, c)].join(", ");
        taken(&format!("mma.sync.aligned.m8n8k4.{layouts}.{types} {operands};"))
    };
    for layouts in ["row.row", "row.col", "col.row", "col.col"] {
        assert!(quads(layouts, "f32.f16.f16.f32", 8, 8) && quads(layouts, "f16.f16.f16.f16", 4, 4));
        assert!(quads(layouts, "f32.f16.f16.f16", 8, 4) && !quads(layouts, "f16.f16.f16.f32", 4, 8));
        assert!(!quads(layouts, "f32.f16.f16.f32", 4, 8) && !quads(layouts, "f32.bf16.bf16.f32", 8, 8));
    }
    assert!(!mma("", "m16n8k256", "s32.b1.b1.s32", [4, 4, 2], ""));
}

#[test]
fn wmma_has_the_shapes_and_layouts_of_the_isa() {
    let shapes = ["m16n16k16", "m8n32k16", "m32n8k16", "m16n16k8", "m8n8k4", "m8n8k32", "m8n8k128"];
    // Type, its shapes, registers of A in each, whether any layout is possible.
    let rows: [(&str, &[usize], [u32; 3], bool); 8] = [
        ("f16", &[0, 1, 2], [8, 8, 8], true),
        ("bf16", &[0, 1, 2], [4, 2, 8], true),
        ("s8", &[0, 1, 2], [2, 1, 4], true),
        ("u8", &[0, 1, 2], [2, 1, 4], true),
        ("tf32", &[3], [4, 4, 4], true),
        ("s4", &[5], [1, 1, 1], false),
        ("u4", &[5], [1, 1, 1], false),
        ("b1", &[6], [1, 1, 1], false),
    ];
    for (ty, has, counts, any) in rows {
        for (n, shape) in shapes.iter().enumerate() {
            for count in [1, 2, 4, 8] {
                let fits = has.iter().position(|s| *s == n).is_some_and(|at| counts[at] == count);
                for layout in ["row", "col"] {
                    let load = |part: &str| {
                        format!(
                            "wmma.load.{part}.sync.aligned.{layout}.{shape}.shared.{ty} {}, [%r290], %r291;",
                            list(0, count)
                        )
                    };
                    assert_eq!(taken(&load("a")), fits && (any || layout == "row"), "{shape} {ty} {layout} {count}");
                    if !(1..=2).contains(&n) {
                        assert_eq!(
                            taken(&load("b")),
                            fits && (any || layout == "col"),
                            "{shape} {ty} {layout} {count}"
                        );
                    }
                }
            }
        }
    }
    for (shape, ty, count, exists) in [
        ("m16n16k16", "f32", 8, true),
        ("m32n8k16", "f16", 4, true),
        ("m8n32k16", "s32", 8, true),
        ("m16n16k8", "f32", 8, true),
        ("m16n16k8", "f16", 4, false),
        ("m8n8k32", "s32", 2, true),
        ("m8n8k32", "f32", 2, false),
        ("m16n16k16", "f32", 4, false),
    ] {
        for layout in ["row", "col"] {
            let regs = list(0, count);
            assert_eq!(taken(&format!("wmma.load.c.sync.aligned.{layout}.{shape}.{ty} {regs}, [%d0];")), exists);
            assert_eq!(
                taken(&format!("wmma.store.d.sync.aligned.{layout}.{shape}.global.{ty} [%d0], {regs}, 16;")),
                exists
            );
        }
    }
    let mma = |head: &str, counts: [u32; 4]| {
        let [d, a, b, c] = counts;
        taken(&format!("wmma.mma{head} {}, {}, {}, {};", list(0, d), list(40, a), list(80, b), list(120, c)))
    };
    for (d, c) in [("f32", "f32"), ("f32", "f16"), ("f16", "f32"), ("f16", "f16")] {
        let count = |t: &str| if t == "f16" { 4 } else { 8 };
        assert!(mma(&format!(".sync.aligned.col.row.m8n32k16.{d}.{c}"), [count(d), 8, 8, count(c)]));
    }
    assert!(mma(".sync.aligned.row.row.m32n8k16.s32.u8.u8.s32.satfinite", [8, 4, 1, 8]));
    for (refused, counts) in [
        (".sync.aligned.row.row.m32n8k16.s32.u8.s8.s32", [8, 4, 1, 8]),
        (".sync.aligned.row.row.m8n8k32.s32.u4.u4.s32", [2, 1, 1, 2]),
        (".sync.aligned.row.col.m8n8k128.s32.b1.b1.s32", [2, 1, 1, 2]),
        (".xor.popc.sync.aligned.row.col.m8n8k32.s32.u4.u4.s32", [2, 1, 1, 2]),
        (".sync.aligned.row.col.m16n16k16.f32.f16.f16.f32", [8, 8, 8, 8]),
        (".sync.aligned.row.col.m16n16k16.f16.bf16.bf16.f16", [4, 4, 4, 4]),
        (".sync.aligned.row.col.m16n16k16.f32.f32.satfinite", [8, 8, 8, 8]),
        (".sync.aligned.row.col.m16n16k16.rz.f32.f32", [8, 8, 8, 8]),
        (".sync.aligned.row.col.m16n16k16.f32.f32", [8, 4, 8, 8]),
    ] {
        assert!(!mma(refused, counts), "{refused}");
    }
}

#[test]
fn matrices_move_in_the_shapes_of_sm_90() {
    for (count, x) in [(1, "x1"), (2, "x2"), (4, "x4")] {
        for turn in ["", ".trans"] {
            for space in ["", ".shared", ".shared::cta"] {
                let address = if space.is_empty() { "%d0" } else { "%r9" };
                let load =
                    |n: u32| format!("ldmatrix.sync.aligned.m8n8.{x}{turn}{space}.b16 {}, [{address}];", list(0, n));
                let store =
                    |n: u32| format!("stmatrix.sync.aligned.m8n8.{x}{turn}{space}.b16 [{address}], {};", list(0, n));
                assert!(taken(&load(count)) && taken(&store(count)));
                assert!(!taken(&load(count + 1)) && !taken(&store(count + 1)));
            }
        }
    }
    for refused in [
        "ldmatrix.sync.aligned.m8n8.x1.shared::cluster.b16 {%r1}, [%r0];",
        "ldmatrix.sync.aligned.m8n8.x3.shared.b16 {%r1, %r2, %r3}, [%r0];",
        "ldmatrix.sync.aligned.m16n16.x1.trans.shared.b8 {%r1, %r2}, [%r0];",
        "ldmatrix.sync.aligned.m8n8.x1.shared.b8 {%r1}, [%r0];",
        "stmatrix.sync.aligned.m16n8.x1.trans.shared.b8 [%r0], {%r1};",
        "stmatrix.sync.aligned.m8n8.x1.shared::cluster.b16 [%r0], {%r1};",
    ] {
        assert!(!taken(refused), "{refused}");
    }
}

/// Runs one sparse product on zeros with one metadata word for all lanes; the classes of the findings.
fn sparse(opcode: &str, counts: [u32; 3], meta: u32) -> Vec<Class> {
    let [d, a, b] = counts;
    let zeros: String = (0..160).map(|n| format!("mov.b32 %r{n}, 0; ")).collect();
    let operands = [list(0, d), list(40, a), list(80, b), list(120, d)].join(", ");
    let text = text(&format!("{zeros} mov.b32 %r200, {meta}; {opcode} {operands}, %r200, 0;"));
    let mut device = Device::new();
    let module = device.load(&text).expect("it parses");
    let program = module.kernel("k").unwrap_or_else(|e| panic!("{e}"));
    let params = pack(&program, &[vec![0; 8]]).expect("one pointer");
    let report = device.run(&module, &program, &Launch { block: [32, 1, 1], params, ..Launch::default() });
    report.findings.iter().map(|f| f.class).collect()
}

#[test]
fn metadata_that_is_none_is_reported() {
    let half = "mma.sp::ordered_metadata.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32";
    assert_eq!(sparse(half, [4, 2, 2], 0x4444_4444), []);
    assert_eq!(sparse(half, [4, 2, 2], 0x4444_4441), [Class::PtxContract]);
    assert_eq!(sparse(&half.replace("::ordered_metadata", ""), [4, 2, 2], 0x4444_4441), []);
    let tf32 = "mma.sp.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32";
    assert_eq!(sparse(tf32, [4, 2, 2], 0x4e4e_4e4e), []);
    assert_eq!(sparse(tf32, [4, 2, 2], 0x9e4e_4e4e), [Class::PtxContract]);
}
