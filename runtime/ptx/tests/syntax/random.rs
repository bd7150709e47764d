//! Trees made at random: each prints to a text that reads as that tree.

use proptest::collection::vec;
use proptest::prelude::*;
use tricot_ptx::*;

type Tree = Module<'static>;

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["%r1", "x", "$L__BB0_1", "$str$1", "%SP", "_x", "add", "b32", "%7", "generic", "f0"])
}

fn operand_name() -> impl Strategy<Value = &'static str> {
    prop_oneof![name(), prop::sample::select(vec!["%tid.x", "v.y", "WARP_SZ"])]
}

fn int() -> impl Strategy<Value = Int> {
    let bits = prop_oneof![0..100u64, any::<u64>(), Just(u64::MAX), Just(1 << 63), Just(i64::MAX as u64)];
    (bits, any::<bool>()).prop_map(|(bits, unsigned)| Int { bits, unsigned })
}

fn offset() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), -99..99i64, any::<i64>(), Just(i64::MIN), Just(i64::MAX)]
}

fn operand() -> impl Strategy<Value = Operand<'static>> {
    let leaf = prop_oneof![
        operand_name().prop_map(Operand::Name),
        operand_name().prop_map(Operand::Not),
        int().prop_map(Operand::Int),
        any::<u32>().prop_map(Operand::F32),
        any::<u64>().prop_map(Operand::F64),
        Just(Operand::Sink),
        (operand_name(), offset()).prop_map(|(name, offset)| Operand::Sum(name, offset)),
        (operand_name(), prop_oneof![name(), Just("_")]).prop_map(|pair| Operand::Pair(Box::new(pair))),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..5).prop_map(Operand::Vector),
            (prop::option::of(operand_name()), offset(), vec(inner, 0..3))
                .prop_map(|(base, offset, rest)| Operand::Address(Box::new(Address { base, offset, rest }))),
        ]
    })
}

fn instruction() -> impl Strategy<Value = Instruction<'static>> {
    let guard = prop::option::of((name(), any::<bool>()).prop_map(|(register, negated)| Guard { register, negated }));
    let opcode = prop::sample::select(vec!["mov", "call", "wgmma", "ld", "cp", "ex2"]);
    let modifier = prop::sample::select(vec![
        "b32",
        "shared::cluster",
        "2d",
        "L2::128B",
        "m64n8k16",
        "mbarrier::complete_tx::bytes",
    ]);
    (guard, opcode, vec(modifier, 0..5), vec(operand(), 0..5), vec(operand(), 0..3)).prop_map(
        |(guard, opcode, modifiers, mut operands, arguments)| {
            if opcode == "call" {
                operands.push(Operand::List(arguments));
            }
            Instruction { guard, opcode, modifiers, operands, line: 0, location: None }
        },
    )
}

fn initial() -> impl Strategy<Value = Initial<'static>> {
    let mask = prop::option::of(prop_oneof![Just(0xFF00), any::<u64>()]);
    let leaf = prop_oneof![
        int().prop_map(Initial::Int),
        any::<u32>().prop_map(Initial::F32),
        any::<u64>().prop_map(Initial::F64),
        (name(), any::<bool>(), offset(), mask).prop_map(|(name, generic, offset, mask)| Initial::Symbol {
            name,
            generic,
            offset,
            mask
        }),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| vec(inner, 0..4).prop_map(Initial::List))
}

fn variable(spaces: &[Space], global: bool) -> impl Strategy<Value = Variable<'static>> + use<> {
    let linkage = prop::option::of(prop::sample::select(Linkage::ALL)).prop_map(move |l| l.filter(|_| global));
    let attribute =
        prop_oneof![Just(Attribute::Managed), any::<(u64, u64)>().prop_map(|(a, b)| Attribute::Unified(a, b))];
    let align = || prop::option::of((0..12u32).prop_map(|n| 1 << n));
    let pointee = prop::option::of(prop::sample::select(vec![Space::Global, Space::Shared, Space::Const]));
    let pointer = (pointee, align()).prop_map(|(space, align)| Pointer { space, align });
    let initial = prop::option::of(initial()).prop_map(move |i| i.filter(|_| global));
    let head = (linkage, vec(attribute, 0..2), prop::sample::select(spaces.to_vec()), align());
    let ty = (
        prop::option::of(prop::sample::select(vec![2, 4])),
        prop::sample::select(Type::ALL),
        prop::option::of(pointer),
    );
    let dimensions = vec(prop::option::of(0..1000u64), 0..3);
    (head, ty, name(), dimensions, initial).prop_map(
        |((linkage, attributes, space, align), (vector, ty, pointer), name, dimensions, initial)| Variable {
            linkage,
            attributes,
            space,
            align,
            vector,
            ty,
            pointer,
            name,
            dimensions,
            initial,
            line: 0,
        },
    )
}

fn params() -> impl Strategy<Value = Vec<Variable<'static>>> {
    vec(variable(&[Space::Param, Space::Reg], false), 0..3)
}

fn tuning() -> impl Strategy<Value = Vec<Tuning<'static>>> {
    let one = prop_oneof![
        any::<u32>().prop_map(Tuning::MaxNReg),
        any::<[u32; 3]>().prop_map(Tuning::MaxNTid),
        any::<[u32; 3]>().prop_map(Tuning::ReqNTid),
        any::<u32>().prop_map(Tuning::MinNCtaPerSm),
        any::<[u32; 3]>().prop_map(Tuning::ReqNCtaPerCluster),
        any::<u32>().prop_map(Tuning::MaxClusterRank),
        Just(Tuning::ExplicitCluster),
        Just(Tuning::BlocksAreClusters),
        Just(Tuning::NoReturn),
        any::<u32>().prop_map(Tuning::AbiPreserve),
        vec(Just("a b"), 1..3).prop_map(Tuning::Pragma),
    ];
    vec(one, 0..3)
}

fn prototype() -> impl Strategy<Value = Prototype<'static>> {
    (name(), params(), params(), tuning()).prop_map(|(name, returns, params, tuning)| Prototype {
        name,
        returns,
        params,
        tuning,
        line: 0,
    })
}

fn registers() -> impl Strategy<Value = Registers<'static>> {
    let names = vec((name(), prop::option::of(0..1000u32)), 1..4);
    (prop::option::of(prop::sample::select(vec![2, 4])), prop::sample::select(Type::ALL), names)
        .prop_map(|(vector, ty, names)| Registers { vector, ty, names, line: 0 })
}

fn block() -> impl Strategy<Value = Block<'static>> {
    let names = || vec(name(), 1..4);
    let leaf = prop_oneof![
        8 => instruction().prop_map(Statement::Instruction),
        2 => name().prop_map(|name| Statement::Label { name, line: 0 }),
        2 => registers().prop_map(Statement::Registers),
        2 => variable(&[Space::Local, Space::Shared, Space::Param], true).prop_map(|v| Statement::Variable(Box::new(v))),
        2 => Just(Statement::Location { id: LocationId(0), line: 0 }),
        1 => (name(), names()).prop_map(|(name, labels)| Statement::BranchTargets { name, labels, line: 0 }),
        1 => (name(), names()).prop_map(|(name, functions)| Statement::CallTargets { name, functions, line: 0 }),
        1 => prototype().prop_map(|p| Statement::Prototype(Box::new(p))),
        1 => vec(Just("nounroll"), 1..3).prop_map(|texts| Statement::Pragma { texts, line: 0 }),
    ];
    let block = |statements| Block { statements, line: 0, end: 0 };
    let statement =
        leaf.prop_recursive(3, 16, 6, move |inner| vec(inner, 0..6).prop_map(block).prop_map(Statement::Block));
    vec(statement, 0..8).prop_map(block)
}

fn location() -> impl Strategy<Value = Location<'static>> {
    let position = || any::<(u32, u32, u32)>().prop_map(|(file, line, column)| Position { file, line, column });
    let function_name =
        (name(), prop_oneof![Just(0), any::<u64>()]).prop_map(|(label, offset)| FunctionName { label, offset });
    (position(), prop::option::of(function_name), prop::option::of(position()))
        .prop_map(|(position, function_name, inlined_at)| Location { position, function_name, inlined_at })
}

fn function() -> impl Strategy<Value = Function<'static>> {
    let kind = prop_oneof![Just(FunctionKind::Entry), Just(FunctionKind::Func)];
    let head = (prop::option::of(prop::sample::select(Linkage::ALL)), kind, name());
    // As many locations as a body may want; `number` keeps those it uses.
    (head, params(), params(), tuning(), prop::option::of(block()), vec(location(), 150)).prop_map(
        |((linkage, kind, name), mut returns, params, tuning, body, locations)| {
            if kind == FunctionKind::Entry {
                returns.clear();
            }
            Function { linkage, kind, attributes: vec![], name, returns, params, tuning, body, locations, line: 0 }
        },
    )
}

fn section() -> impl Strategy<Value = Section<'static>> {
    let value = prop_oneof![
        int().prop_map(SectionValue::Int),
        (prop_oneof![name(), Just(".debug_abbrev")], prop::option::of(name()), offset())
            .prop_map(|(plus, minus, offset)| SectionValue::Label { plus, minus, offset }),
    ];
    let item = prop_oneof![
        name().prop_map(|name| SectionItem::Label { name, line: 0 }),
        (prop::sample::select(vec![Type::B8, Type::B32, Type::B64]), vec(value, 1..4))
            .prop_map(|(ty, values)| SectionItem::Data { ty, values, line: 0 }),
    ];
    vec(item, 0..5).prop_map(|items| Section { name: "debug_str", items, line: 0, end: 0 })
}

/// Gives every item a line, in the order in which they are printed; `steps` says how far each is from the one before.
struct Numbering {
    line: u32,
    steps: Vec<u32>,
    at: usize,
    locations: u32,
}

impl Numbering {
    fn next(&mut self) -> u32 {
        self.at += 1;
        self.line += self.steps[self.at % self.steps.len()];
        self.line
    }

    fn variables(&mut self, variables: &mut [Variable]) {
        variables.iter_mut().for_each(|variable| variable.line = self.next());
    }

    fn block(&mut self, block: &mut Block) {
        block.line = self.next();
        self.statements(block);
    }

    fn statements(&mut self, block: &mut Block) {
        for statement in &mut block.statements {
            let here = self.next();
            match statement {
                Statement::Instruction(instruction) => {
                    instruction.line = here;
                    instruction.location = self.locations.checked_sub(1).map(LocationId);
                }
                Statement::Location { id, line } => {
                    (*id, *line) = (LocationId(self.locations), here);
                    self.locations += 1;
                }
                Statement::Registers(registers) => registers.line = here,
                Statement::Variable(variable) => variable.line = here,
                Statement::Block(block) => {
                    block.line = here;
                    self.statements(block);
                }
                Statement::Prototype(prototype) => {
                    prototype.line = here;
                    self.variables(&mut prototype.returns);
                    self.variables(&mut prototype.params);
                }
                Statement::Label { line, .. }
                | Statement::BranchTargets { line, .. }
                | Statement::CallTargets { line, .. }
                | Statement::Pragma { line, .. } => *line = here,
            }
        }
        block.end = self.next();
    }
}

fn number(mut module: Tree, steps: Vec<u32>) -> Tree {
    let mut numbering = Numbering { line: 1, steps, at: 0, locations: 0 };
    module.version.line = numbering.next();
    numbering.variables(&mut module.globals);
    for function in &mut module.functions {
        function.line = numbering.next();
        numbering.variables(&mut function.returns);
        numbering.variables(&mut function.params);
        numbering.locations = 0;
        match &mut function.body {
            Some(body) => numbering.block(body),
            None => function.locations.clear(),
        }
        function.locations.truncate(numbering.locations as usize);
    }
    // Items of different lists stand in the order of the lists only on lines of their own.
    numbering.line += 1;
    for file in &mut module.files {
        file.line = numbering.next();
    }
    numbering.line += 1;
    for section in &mut module.sections {
        section.line = numbering.next();
        for item in &mut section.items {
            match item {
                SectionItem::Label { line, .. } | SectionItem::Data { line, .. } => *line = numbering.next(),
            }
        }
        section.end = numbering.next();
    }
    module
}

fn module() -> impl Strategy<Value = Tree> {
    let version = (0..100u32, 0..100u32).prop_map(|(major, minor)| Version { major, minor, line: 0 });
    let target = vec(prop::sample::select(vec!["sm_90a", "debug", "texmode_independent"]), 1..3);
    let file = (any::<u32>(), prop::option::of(any::<(u64, u64)>())).prop_map(|(index, stamp)| FileName {
        index,
        name: "a \\\"b.cu",
        stamp,
        line: 0,
    });
    let globals = vec(variable(&[Space::Global, Space::Const, Space::Shared], true), 0..4);
    let head = (version, target, prop::option::of(prop::sample::select(vec![32, 64])));
    let lists = (globals, vec(function(), 0..3), vec(file, 0..3), vec(section(), 0..2));
    (head, lists, vec(0..3u32, 7)).prop_map(
        |((version, target, address_size), (globals, functions, files, sections), steps)| {
            let directives = vec![];
            number(Module { version, target, address_size, directives, globals, functions, files, sections }, steps)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_reads_the_same(module in module()) {
        let text = print(&module);
        match parse(&text) {
            Ok(again) => prop_assert_eq!(again, module, "{}", text),
            Err(error) => prop_assert!(false, "{}\n{}", error, text),
        }
    }
}
