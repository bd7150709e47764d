//! What each piece of grammar means in the tree.

use tricot_ptx::*;

/// A kernel with `body`, which starts on line 3.
fn kernel(body: &str) -> String {
    format!(".version 8.7 .target sm_90a .address_size 64\n.visible .entry k() {{\n{body}\n}}\n")
}

/// The statements of `body`, after a round trip through the printer.
fn check<T>(body: &str, look: impl FnOnce(&[Statement]) -> T) -> T {
    let text = kernel(body);
    let module = parse(&text).unwrap_or_else(|error| panic!("{body}\n{error}"));
    let printed = print(&module);
    assert_eq!(parse(&printed).unwrap_or_else(|error| panic!("{printed}\n{error}")), module, "{printed}");
    look(&module.functions[0].body.as_ref().unwrap().statements)
}

/// The operands of the one instruction `text`.
fn operands<T>(text: &str, look: impl FnOnce(&[Operand]) -> T) -> T {
    check(text, |statements| match statements {
        [Statement::Instruction(instruction)] => look(&instruction.operands),
        other => panic!("{other:?}"),
    })
}

fn int(value: i64) -> Operand<'static> {
    Operand::Int(value.into())
}

fn name(name: &str) -> Operand<'_> {
    Operand::Name(name)
}

fn at(base: &str, offset: i64) -> Operand<'_> {
    Operand::Address(Box::new(Address { base: Some(base), offset, rest: vec![] }))
}

#[test]
fn operands_of_all_kinds() {
    operands("ld.global.b32 { %r1 }, [ %rd1 + 0 ];", |o| {
        assert_eq!(o, [Operand::Vector(vec![name("%r1")]), at("%rd1", 0)]);
    });
    operands("cp.async.cg.shared.global [ %r1 + 0 ], [ %rd2 + -16 ], 0x10, %r34;", |o| {
        assert_eq!(o, [at("%r1", 0), at("%rd2", -16), int(16), name("%r34")]);
    });
    operands("mov.b64 %rd1, {0, 16843009};", |o| assert_eq!(o[1], Operand::Vector(vec![int(0), int(16843009)])));
    operands("mov.pred %p, -1;", |o| assert_eq!(o[1], int(-1)));
    operands("elect.sync %r1|%p1, -1;", |o| {
        assert_eq!(o, [Operand::Pair(Box::new(("%r1", "%p1"))), int(-1)]);
    });
    operands("elect.sync _|%p1, 0xffffffff;", |o| assert_eq!(o[0], Operand::Pair(Box::new(("_", "%p1")))));
    operands("mbarrier.arrive.shared::cta.b64 _, [x+8];", |o| assert_eq!(o, [Operand::Sink, at("x", 8)]));
    operands("setp.lt.and.s32 p|q, %tid.x, -0x10, !r;", |o| {
        assert_eq!(o[1..], [name("%tid.x"), int(-16), Operand::Not("r")]);
    });
    operands("mov.b64 %rd1, $str$1+4;", |o| assert_eq!(o[1], Operand::Sum("$str$1", 4)));
    operands("mov.f32 %f, 0fBF800000;", |o| assert_eq!(o[1], Operand::F32((-1f32).to_bits())));
    operands("mov.f64 %f, -1.5e1;", |o| assert_eq!(o[1], Operand::F64((-15f64).to_bits())));
    operands("mov.f64 %f, 0d7FF8000000000000;", |o| assert_eq!(o[1], Operand::F64(0x7FF8 << 48)));
    operands("mov.b64 %r, 0xFFFFFFFFFFFFFFFF;", |o| {
        assert_eq!(o[1], Operand::Int(Int { bits: u64::MAX, unsigned: true }));
    });
    operands("mov.b64 %r, -9223372036854775808;", |o| assert_eq!(o[1], int(i64::MIN)));
    operands("mov.b32 {%a, _}, v.y;", |o| {
        assert_eq!(o, [Operand::Vector(vec![name("%a"), Operand::Sink]), name("v.y")]);
    });
    operands("ld.shared.b32 %r, [64];", |o| {
        assert_eq!(o[1], Operand::Address(Box::new(Address { base: None, offset: 64, rest: vec![] })));
    });
    operands("cp.async.bulk.commit_group ;", |o| assert_eq!(o, []));
}

#[test]
fn tensor_coordinates() {
    let text = "@%p cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint \
                [%r1], [%rd1, {%r2, 0}], [%r3+8], %rd2;";
    check(text, |statements| {
        let [Statement::Instruction(instruction)] = statements else { panic!("{statements:?}") };
        assert_eq!(instruction.guard, Some(Guard { register: "%p", negated: false }));
        assert_eq!(instruction.opcode, "cp");
        let modifiers = "async bulk tensor 2d shared::cluster global mbarrier::complete_tx::bytes L2::cache_hint";
        assert_eq!(instruction.modifiers, modifiers.split(' ').collect::<Vec<_>>());
        let coordinates = vec![Operand::Vector(vec![name("%r2"), int(0)])];
        let tensor = Operand::Address(Box::new(Address { base: Some("%rd1"), offset: 0, rest: coordinates }));
        assert_eq!(instruction.operands, [at("%r1", 0), tensor, at("%r3", 8), name("%rd2")]);
    });
}

/// Expressions of PTX ISA 4.5.5, against values worked out by hand.
#[test]
fn constants_are_computed() {
    for (text, value) in [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("10 - 3 - 2", 5),
        ("1 << 4 | 1", 17),
        ("-7 / 2", -3),
        ("-7 % 4", -3),
        ("0x10 >> 2", 4),
        ("-16 >> 2", -4),
        ("1 << 64", 0),
        ("~0", -1),
        ("!5", 0),
        ("3 > 2 ? 10 : 20", 10),
        ("0 ? 10 : 20", 20),
        ("-1 < 1", 1),
        ("(.s64) 5", 5),
        ("6 & 3 ^ 1", 3),
        ("1 == 1 && 2 != 2 || 0", 0),
    ] {
        operands(&format!("mov.b64 %r, {text};"), |o| assert_eq!(o[1], int(value), "{text}"));
    }
    // Unsigned wins: -1 is the largest number.
    operands("mov.b64 %r, -1 > 1U;", |o| assert_eq!(o[1], int(1)));
    operands("mov.b64 %r, -8U / 2;", |o| {
        assert_eq!(o[1], Operand::Int(Int { bits: (u64::MAX - 7) / 2, unsigned: true }));
    });
    operands("ld.b32 %r, [x + 4 * 3 - 2];", |o| assert_eq!(o[1], at("x", 10)));
}

#[test]
fn calls() {
    let text = "call.uni (retval0),\n_Z1fPf,\n(\nparam0,\nparam1\n)\n;\ncall f;\ncall (r), %rd1, (), proto;\nret;";
    check(text, |statements| {
        let calls: Vec<_> = statements
            .iter()
            .map(|statement| match statement {
                Statement::Instruction(instruction) => instruction.call(),
                other => panic!("{other:?}"),
            })
            .collect();
        let (r, args) = ([name("retval0")], [name("param0"), name("param1")]);
        assert_eq!(calls[0], Some(Call { returns: &r, target: "_Z1fPf", arguments: &args, prototype: None }));
        assert_eq!(calls[1], Some(Call { returns: &[], target: "f", arguments: &[], prototype: None }));
        let returns = [name("r")];
        assert_eq!(
            calls[2],
            Some(Call { returns: &returns, target: "%rd1", arguments: &[], prototype: Some("proto") })
        );
        assert_eq!(calls[3], None);
        assert_eq!(statements.iter().map(Statement::line).collect::<Vec<_>>(), [3, 10, 11, 12]);
    });
}

#[test]
fn tables_and_prototypes() {
    let text = "ts: .branchtargets $L__1, $L__2;\nfs: .calltargets f, g;\n\
                p: .callprototype (.param .b32 _) _ (.param .b64 _, .param .align 8 .b8 _[16]) .noreturn;\n\
                q: .callprototype _ ();\nbrx.idx %r1, ts;\n.pragma \"nounroll\", \"x\";";
    check(text, |statements| {
        assert_eq!(statements[0], Statement::BranchTargets { name: "ts", labels: vec!["$L__1", "$L__2"], line: 3 });
        assert_eq!(statements[1], Statement::CallTargets { name: "fs", functions: vec!["f", "g"], line: 4 });
        let Statement::Prototype(prototype) = &statements[2] else { panic!() };
        assert_eq!((prototype.returns.len(), prototype.params.len()), (1, 2));
        assert_eq!(prototype.params[1].bytes(), Some(16));
        assert_eq!(prototype.tuning, [Tuning::NoReturn]);
        assert_eq!(statements[5], Statement::Pragma { texts: vec!["nounroll", "x"], line: 8 });
    });
}

/// Blocks nest, and the same label may stand in several.
#[test]
fn blocks() {
    let text = "{ .reg .pred p; L: @!p bra L; }\n{ .reg .b32 a<3>, b; L: bra.uni L; { } ; }\nL: ret;";
    check(text, |statements| {
        let [Statement::Block(first), Statement::Block(second), Statement::Label { name: "L", line: 5 }, _] =
            statements
        else {
            panic!("{statements:?}")
        };
        assert_eq!((first.line, first.end, first.statements.len()), (3, 3, 3));
        let registers = Registers { vector: None, ty: Type::B32, names: vec![("a", Some(3)), ("b", None)], line: 4 };
        assert_eq!(second.statements[0], Statement::Registers(registers));
        assert!(matches!(&second.statements[3], Statement::Block(block) if block.statements.is_empty()));
    });
}

#[test]
fn functions_and_variables() {
    let text = ".version 9.0\n.target sm_90a, debug\n.address_size 64\n\
        .extern .shared .align 128 .b8 x[];\n\
        .visible .global .attribute(.managed) .align 4 .f32 w[2][2] = {{1.5, 0f40000000}, {-1.0}};\n\
        .global .align 8 .u64 p[3] = {w, generic(w)+4, 0xFF00(w)};\n\
        .const .u32 c[] = {1, 2, 3}, d;\n\
        .weak .func (.param .b32 r) f(.param .b64 a, .reg .f32 b) .noreturn ;\n\
        .alias g, f;\n.pragma \"x\";\n\
        .visible .entry k(.param .u64 .ptr .global .align 1 k0, .param .align 64 .b8 k1[128])\n\
        .maxntid 128\n.minnctapersm 2 .reqnctapercluster 2, 1 .explicitcluster .maxnreg 168 { ret; }\n\
        .file 1 \"a.cu\", 5, 6\n.section .debug_str\n{\n$L__s0:\n.b8 104,105\n.b8 0\n.b32 .debug_abbrev\n.b64 $L__s0+4\n.b32 b-a\n}";
    let module = parse(text).unwrap();
    assert_eq!(parse(&print(&module)).unwrap(), module);
    assert_eq!((module.version.major, module.version.minor), (9, 0));
    assert_eq!((&module.target[..], module.address_size), (&["sm_90a", "debug"][..], Some(64)));
    let [x, w, p, c, d] = &module.globals[..] else { panic!() };
    assert_eq!((x.linkage, x.space, x.alignment(), x.bytes()), (Some(Linkage::Extern), Space::Shared, 128, None));
    assert_eq!(
        (w.bytes(), &w.dimensions[..], &w.attributes[..]),
        (Some(16), &[Some(2), Some(2)][..], &[Attribute::Managed][..])
    );
    let Some(Initial::List(rows)) = &w.initial else { panic!() };
    assert_eq!(rows[0], Initial::List(vec![Initial::F64(1.5f64.to_bits()), Initial::F32(2f32.to_bits())]));
    let symbol = |generic, offset, mask| Initial::Symbol { name: "w", generic, offset, mask };
    let symbols = vec![symbol(false, 0, None), symbol(true, 4, None), symbol(false, 0, Some(0xFF00))];
    assert_eq!(p.initial, Some(Initial::List(symbols)));
    assert_eq!((c.bytes(), c.line, d.name, d.bytes()), (Some(12), 7, "d", Some(4)));
    let f = module.function("f").unwrap();
    assert_eq!((f.kind, f.returns.len(), f.params[1].space), (FunctionKind::Func, 1, Space::Reg));
    assert!(f.body.is_none());
    assert_eq!(module.directives[0], Directive::Alias { name: "g", target: "f", line: 9 });
    let k = module.function("k").unwrap();
    assert_eq!(k.params[0].pointer, Some(Pointer { space: Some(Space::Global), align: Some(1) }));
    assert_eq!((k.params[1].bytes(), k.params[1].alignment()), (Some(128), 64));
    let tuning = [
        Tuning::MaxNTid([128, 1, 1]),
        Tuning::MinNCtaPerSm(2),
        Tuning::ReqNCtaPerCluster([2, 1, 1]),
        Tuning::ExplicitCluster,
        Tuning::MaxNReg(168),
    ];
    assert_eq!(k.tuning, tuning);
    assert_eq!((module.file(1), module.files[0].stamp), (Some("a.cu"), Some((5, 6))));
    assert_eq!(module.debug_text("$L__s0", 0).as_deref(), Some("hi"));
    assert_eq!(module.debug_text("$L__s0", 1).as_deref(), Some("i"));
}

#[test]
fn source_locations() {
    let text = "add.s32 a, b, c;\n.loc 1 20 5\n.shared .align 4 .b8 s[16];\n{\nadd.s32 a, b, c;\n\
                .loc 2 112 3, function_name $L__info_string0 + 7, inlined_at 1 10 7\n}\nret;";
    let whole = kernel(text);
    let module = parse(&whole).unwrap();
    let function = &module.functions[0];
    check(text, |statements| {
        let location = |statement: &Statement| match statement {
            Statement::Instruction(instruction) => instruction.location.and_then(|id| function.location(id)).copied(),
            other => panic!("{other:?}"),
        };
        assert_eq!(location(&statements[0]), None);
        let Statement::Block(block) = &statements[3] else { panic!() };
        assert_eq!(location(&block.statements[0]).unwrap().position, Position { file: 1, line: 20, column: 5 });
        let last = location(&statements[4]).unwrap();
        assert_eq!(last.function_name, Some(FunctionName { label: "$L__info_string0", offset: 7 }));
        assert_eq!(last.inlined_at, Some(Position { file: 1, line: 10, column: 7 }));
    });
}

#[test]
fn several_modules() {
    let text = format!("{}{}", kernel("ret;"), kernel("exit;"));
    assert_eq!(parse(&text).unwrap_err().line, 5);
    let modules = parse_all(&text, &Limits::default()).unwrap();
    assert_eq!(modules.len(), 2);
    assert_eq!(parse_all(&print_all(&modules), &Limits::default()).unwrap(), modules);
}
