//! Declared ops: generic bodies, names, kernels, and what cannot be declared.

use tricot_dialects::custom::CallArgument;
use tricot_dialects::gradient::gradient;
use tricot_dialects::text::{parse, parse_ops, parse_with, print};
use tricot_dialects::{Attrs, Builder, ConstantStore, Function, Module, OpSet};
use tricot_types::{DType, Diagnostic, Poly, SymbolTable};

const GATE: &str = r#"op @mylib.gate(%x: T[rows, cols], %gain: T[cols], $alpha: float = 1.0) {
  %a = core.constant {value = splat<$alpha>} : T[]
  %slope = core.broadcast %a {axes = [], shape = [rows, cols]} : T[rows, cols]
  %ax = core.map %x, %slope {fn = "mul"} : T[rows, cols]
  %g = core.broadcast %gain {axes = [1], shape = [rows, cols]} : T[rows, cols]
  %y = core.map %ax, %g {fn = "mul"} : T[rows, cols]
  return "y" = %y
}"#;

fn module(ops: &str, main: &str) -> Result<Module, Vec<Diagnostic>> {
    parse("m.tri", &format!("module @m\nsymbol n\n\n{ops}\n\n{main}"), &ConstantStore::default())
}

/// `main` that calls the gate at a type.
fn caller(dtype: &str, shape: &str, attrs: &str) -> String {
    let cols = shape.split(", ").last().unwrap();
    format!(
        "func @main(%x: {dtype}[{shape}], %g: {dtype}[{cols}]) {{\n  %y = mylib.gate %x, %g{attrs} : {dtype}[{shape}]\n  return \"y\" = %y\n}}\n"
    )
}

fn codes(result: Result<Module, Vec<Diagnostic>>) -> Vec<(&'static str, String)> {
    result.expect_err("refused").into_iter().map(|d| (d.code, d.to_string())).collect()
}

#[test]
fn a_declaration_serves_every_size_and_type_and_prints_as_written() {
    for (dtype, shape) in [("f32", "n, 8"), ("bf16", "2*n, n + 1"), ("f16", "3, 5")] {
        let main = caller(dtype, shape, " {alpha = 2.0}");
        let m = module(GATE, &main).unwrap_or_else(|d| panic!("{}", d[0]));
        let text = print(&m);
        assert!(text.contains(GATE) && text.contains("mylib.gate %x, %g {alpha = 2.0}"), "{text}");
        assert_eq!(print(&parse("again", &text, &ConstantStore::default()).unwrap()), text);
        let f = m.main().unwrap();
        let call = f.order().into_iter().map(|id| f.node(id)).find(|n| n.op.name == "mylib.gate").unwrap();
        let op = call.op.declaration().unwrap();
        let types: Vec<_> = call.operands().iter().map(|v| f.ty(*v).clone()).collect();
        let body = op.instance(&types, &call.attrs).unwrap_or_else(|d| panic!("{d}"));
        assert_eq!(body.function.output_types(), call.results);
        let constant = body.constants.iter().next().unwrap().1;
        assert_eq!((constant.dtype.name(), constant.to_f64()), (dtype, vec![2.0]));
    }
    // Defaults are not printed.
    assert!(print(&module(GATE, &caller("f32", "n, 8", "")).unwrap()).contains("mylib.gate %x, %g : f32"));
}

#[test]
fn equal_declarations_are_one_and_others_clash() {
    let library = parse_ops("lib", GATE, &OpSet::default()).unwrap();
    let text = format!("module @m\n\n{GATE}\n\n{}", caller("f32", "3, 8", ""));
    parse_with("m", &text, &ConstantStore::default(), &library).unwrap_or_else(|d| panic!("{}", d[0]));
    let other = text.replace("fn = \"mul\"", "fn = \"add\"");
    let problems = parse_with("m", &other, &ConstantStore::default(), &library).expect_err("another meaning");
    assert_eq!(problems[0].code, "TC0121");
    assert_eq!(codes(module(&format!("{GATE}\n{}", GATE.replace("1.0", "2.0")), ""))[0].0, "TC0121");
    for name in ["core.gate", "nn.gate", "gate", "a.b.c", "my lib.gate"] {
        let ops = GATE.replace("@mylib.gate", &format!("@{name:?}"));
        assert_eq!(codes(module(&ops, ""))[0].0, "TC0121", "{name}");
    }
}

#[test]
fn calls_that_do_not_fit_are_refused_where_they_stand() {
    let long = caller("f32", "n, 8", "").replace("%g: f32[8]", "%g: f32[9]");
    let found = codes(module(GATE, &long));
    assert!(found[0].0 == "TC0110" && found[0].1.contains("axis 0 of operand `gain` is 9, cols is 8"), "{found:?}");
    let mixed = caller("f32", "n, 8", "").replace("%g: f32[8]", "%g: bf16[8]");
    assert!(codes(module(GATE, &mixed))[0].1.contains("operand `gain` is bf16, f32 expected"));
    let flat = caller("f32", "n, 8", "").replace("%x: f32[n, 8]", "%x: f32[n]");
    assert!(codes(module(GATE, &flat))[0].1.contains("rank 1, 2 expected"));
    let unknown = caller("f32", "n, 8", " {beta = 1.0}");
    assert!(codes(module(GATE, &unknown))[0].1.contains("no attribute `beta`"));
    // A body may be for some types alone.
    let integers = caller("i32", "n, 8", "");
    let halves = GATE.replace("core.map %ax, %g {fn = \"mul\"}", "core.map %ax, %g {fn = \"pow\"}");
    let text = codes(module(
        &halves.replace("%ax = core.map %x, %slope {fn = \"mul\"}", "%ax = core.map %x {fn = \"exp\"}"),
        &integers,
    ));
    assert_eq!(text[0].0, "TC0110", "{text:?}");
}

#[test]
fn mistakes_in_a_body_are_found_at_its_own_line() {
    let cases = [
        ("%ax, %g {fn", "%ax, %nowhere {fn", "TC0104"),
        ("core.map %ax", "core.mop %ax", "TC0103"),
        ("shape = [rows, cols]} : T[rows, cols]\n  %ax", "shape = [rows, depth]} : T[rows, cols]\n  %ax", "TC0113"),
        ("splat<$alpha>", "splat<$beta>", "TC0104"),
        (
            "%y = core.map %ax, %g {fn = \"mul\"} : T[rows, cols]",
            "%y = core.map %ax, %g {fn = \"mul\"} : T[cols, rows]",
            "TC0112",
        ),
        ("%x: T[rows", "%x: t[rows", "TC0102"),
        ("$alpha: float", "$alpha: flaot", "TC0110"),
        ("return \"y\" = %y", "", "TC0101"),
        ("core.map %ax, %g {fn = \"mul\"}", "mylib.gate %ax, %gain", "TC0103"),
        ("core.map %ax, %g {fn = \"mul\"}", "core.call %ax {callee = @main}", "TC0122"),
    ];
    for (old, new, code) in cases {
        assert!(GATE.contains(old), "{old}");
        let found = codes(module(&GATE.replace(old, new), ""));
        assert_eq!(found[0].0, code, "{new}: {found:?}");
        assert!(found[0].1.contains("m.tri:"), "{}", found[0].1);
    }
}

#[test]
fn declarations_use_those_before_them_within_limits() {
    let twice = "op @mylib.twice(%x: T[n, k], %g: T[k]) {\n  %a = mylib.gate %x, %g {alpha = 0.5} : T[n, k]\n  %b = mylib.gate %a, %g : T[n, k]\n  return \"y\" = %b\n}";
    let main = caller("f32", "n, 8", "").replace("mylib.gate", "mylib.twice");
    let m = module(&format!("{GATE}\n\n{twice}"), &main).unwrap_or_else(|d| panic!("{}", d[0]));
    let names: Vec<&str> = m.ops.declared().map(|op| op.name.as_str()).collect();
    assert_eq!(names, ["mylib.gate", "mylib.twice"]);
    // A library gives what is used, and what that uses.
    let library =
        parse_ops("lib", &format!("{GATE}\n{twice}\n{}", GATE.replace("gate", "other")), &OpSet::default()).unwrap();
    let m = parse_with("m", &format!("module @m\nsymbol n\n{main}"), &ConstantStore::default(), &library).unwrap();
    assert_eq!(m.ops.declared().map(|op| op.name.as_str()).collect::<Vec<_>>(), names);
    assert_eq!(codes(module(&format!("{twice}\n\n{GATE}"), &main))[0].0, "TC0103");
    // Each uses the one before eight times: 8^n calls.
    let mut tower =
        "op @t.o0(%x: f32[n]) {\n  %y = core.map %x {fn = \"neg\"} : f32[n]\n  return \"y\" = %y\n}\n".to_string();
    for i in 1..20 {
        tower += &format!("op @t.o{i}(%x: f32[n]) {{\n  %v0 = t.o{} %x : f32[n]\n", i - 1);
        (1..8).for_each(|j| tower += &format!("  %v{j} = t.o{} %v{} : f32[n]\n", i - 1, j - 1));
        tower += "  return \"y\" = %v7\n}\n";
    }
    let problems = parse_ops("tower", &tower, &OpSet::default()).expect_err("too much");
    assert!(problems.iter().any(|d| d.code == "TC0122"), "{problems:?}");
}

#[test]
fn gradients_follow_from_the_body() {
    let m = module(GATE, &caller("f32", "3, 8", " {alpha = 3.0}")).unwrap();
    let mut function = Function::new("g");
    let mut constants = ConstantStore::default();
    let mut b = Builder::new(&mut function, &mut constants).with_ops(&m.ops);
    let f = m.main().unwrap();
    let inputs: Vec<_> = f.input_types().into_iter().enumerate().map(|(i, t)| b.input(&format!("x{i}"), t)).collect();
    let y = b.one("mylib.gate", &inputs, Attrs::new().with("alpha", 3.0)).unwrap();
    let seed = b.full(DType::F32, 1.0, &[3.into(), 8.into()]).unwrap();
    let grads = gradient(&mut b, &[(y, seed)], &inputs).unwrap();
    let types: Vec<String> = grads.iter().map(|g| b.ty(g.expect("depends on it")).to_string()).collect();
    assert_eq!(types, ["f32[3, 8]", "f32[8]"]);
}

const KERNEL: &str = r#" kernel sm_90a {
  entry = "gate_f32", types = [T = f32], multiples = [cols = 4],
  grid = [rows * cols ceildiv 256, 1, 1], block = [256, 1, 1], shared = 1024,
  arguments = [%x, %gain, %y, rows * cols: i32, cols, $alpha: f32], microseconds = 2.5,
  ptx = """.visible .entry gate_f32() { ret; }"""
}"#;

#[test]
fn kernels_are_chosen_by_type_and_size() {
    let gate = format!("{GATE}{KERNEL}");
    let m = module(&gate, &caller("f32", "n, 8", " {alpha = 1.5}")).unwrap_or_else(|d| panic!("{}", d[0]));
    let text = print(&m);
    assert_eq!(print(&parse("again", &text, &ConstantStore::default()).unwrap()), text);
    let ask = |dtype: &str, shape: &str, target: &str| {
        let m = module(&gate, &caller(dtype, shape, " {alpha = 1.5}")).unwrap();
        let f = m.main().unwrap();
        let call = f.order().into_iter().map(|id| f.node(id)).find(|n| n.op.name == "mylib.gate").unwrap();
        let types: Vec<_> = call.operands().iter().map(|v| f.ty(*v).clone()).collect();
        call.op.declaration().unwrap().kernel(target, &types, &call.attrs, &SymbolTable::new())
    };
    let call = ask("f32", "n, 8", "sm_90a").unwrap();
    assert_eq!(call.grid[0], "8*n ceildiv 256".parse::<Poly>().unwrap());
    let value = |p: &str, bytes| CallArgument::Value { value: p.parse().unwrap(), bytes };
    let alpha = i64::from(1.5f32.to_bits());
    let wanted = [
        CallArgument::Operand(0),
        CallArgument::Operand(1),
        CallArgument::Result(0),
        value("8*n", 4),
        value("8", 8),
        value(&alpha.to_string(), 4),
    ];
    assert_eq!(call.arguments, wanted);
    assert!(ask("bf16", "n, 8", "sm_90a").unwrap_err()[0].contains("it is for T = f32, this is bf16"));
    assert!(ask("f32", "8, n", "sm_90a").unwrap_err()[0].contains("cols to be a multiple of 4"));
    assert_eq!(ask("f32", "n, 8", "cpu"), Err(vec![]));
}

#[test]
fn kernels_that_cannot_be_are_refused() {
    let cases = [
        ("sm_90a {", "sm_80 {"),
        ("entry = \"gate_f32\", types", "types"),
        ("block = [256, 1, 1]", "block = [2048, 1, 1]"),
        ("block = [256, 1, 1]", "block = [0, 1, 1]"),
        ("block = [256, 1, 1]", "block = [256]"),
        ("shared = 1024", "shared = 300000"),
        ("%gain, %y, rows", "%gain, rows"),
        ("rows * cols: i32", "rows * depth: i32"),
        ("types = [T = f32]", "types = [U = f32]"),
        (".entry gate_f32", ".entry gate"),
        ("microseconds", "seconds"),
        ("$alpha: f32", "$alpha: bf16"),
    ];
    for (old, new) in cases {
        assert!(KERNEL.contains(old), "{old}");
        let found = codes(module(&format!("{GATE}{}", KERNEL.replace(old, new)), ""));
        assert_eq!(found[0].0, "TC0123", "{new}: {found:?}");
    }
    let hex = KERNEL.replace("ptx = \"\"\".visible .entry gate_f32() { ret; }\"\"\"", "cubin = \"00ff\"");
    assert!(codes(module(&format!("{GATE}{hex}"), ""))[0].1.contains("no ELF"));
}
