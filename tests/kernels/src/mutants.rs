//! One small mistake at a time in a kernel's PTX: what the simulator must find.
//!
//! The central type is [`Site`]: a place of the text and a change there. [`sites`] lists every place that orders accesses, and every
//! address and bound; [`apply`] makes the text with one of them changed. Knows opcodes, and nothing of what they do.

use std::collections::BTreeSet;
use std::fmt;
use tricot_ptx::{Address, Block, Instruction, Int, Module, Operand, Registers, Statement, Type, parse, print};

/// What is done to the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// It goes; a wait is passed at once.
    Delete,
    /// The operand of this number (a count, bytes, a depth, a bound, a descriptor) changes by so much.
    Add { operand: usize, by: i64 },
    /// The address in the operand of this number moves by so many bytes.
    Move { operand: usize, by: i64 },
    /// The coordinate of this number of a tensor copy changes by one.
    Coordinate(usize),
}

/// What the changed instruction is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// It orders accesses.
    Order,
    /// It says where, or how far.
    Place,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Number of the instruction in the module.
    instruction: usize,
    /// Line of the PTX text.
    pub line: u32,
    /// Opcode with its modifiers.
    pub opcode: String,
    pub change: Change,
    pub purpose: Purpose,
}

impl Site {
    /// The opcode and the change, without the line.
    pub fn what(&self) -> String {
        let change = match self.change {
            Change::Delete => "deleted".into(),
            Change::Add { operand, by } => format!("operand {operand} {by:+}"),
            Change::Move { operand, by } => format!("address {operand} {by:+}"),
            Change::Coordinate(n) => format!("coordinate {n} +1"),
        };
        format!("{} {change}", self.opcode)
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what())
    }
}

/// Openings of the opcodes that order accesses, with the operand that counts something and the unit of the count.
const ORDERING: &[(&str, Option<(usize, i64)>)] = &[
    ("bar.warp.sync", None),
    ("bar", Some((1, 32))),
    ("barrier", Some((1, 32))),
    ("mbarrier.init", Some((1, 1))),
    ("mbarrier.arrive.expect_tx", Some((2, 16))),
    ("mbarrier.arrive", None),
    ("mbarrier.expect_tx", Some((1, 16))),
    ("mbarrier.try_wait", None),
    ("mbarrier.test_wait", None),
    ("fence", None),
    ("membar", None),
    ("wgmma.fence", None),
    ("wgmma.commit_group", None),
    ("wgmma.wait_group", Some((0, 1))),
    ("cp.async.commit_group", None),
    ("cp.async.wait_group", Some((0, 1))),
    ("cp.async.wait_all", None),
    ("cp.async.mbarrier.arrive", None),
    ("cp.async.bulk.commit_group", None),
    ("cp.async.bulk.wait_group", Some((0, 1))),
];

/// All sites of a text, in its order.
///
/// # Errors
/// What is wrong with the text.
pub fn sites(ptx: &str) -> Result<Vec<Site>, String> {
    let module = parse(ptx).map_err(|e| e.to_string())?;
    let mut out = vec![];
    let mut number = 0;
    for body in module.functions.iter().filter_map(|f| f.body.as_ref()) {
        let mut guards = Guards::default();
        guards.read(body);
        collect(body, &guards.close(), &mut number, &mut out);
    }
    Ok(out)
}

/// Predicates that decide where control goes or whether memory is accessed, by name.
#[derive(Default)]
struct Guards<'t> {
    deciding: BTreeSet<&'t str>,
    /// Predicates and what they are made of.
    made_of: Vec<(&'t str, Vec<&'t str>)>,
}

impl<'t> Guards<'t> {
    fn read(&mut self, block: &Block<'t>) {
        for statement in &block.statements {
            match statement {
                Statement::Block(inner) => self.read(inner),
                Statement::Instruction(i) => {
                    if let Some(guard) = &i.guard {
                        self.deciding.insert(guard.register);
                    }
                    if i.has("pred") {
                        let names =
                            i.operands.iter().filter_map(|o| if let Operand::Name(n) = o { Some(*n) } else { None });
                        let mut names = names.collect::<Vec<_>>();
                        if !names.is_empty() {
                            self.made_of.push((names.remove(0), names));
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// With all that they are made of.
    fn close(mut self) -> BTreeSet<&'t str> {
        loop {
            let before = self.deciding.len();
            for (made, parts) in &self.made_of {
                if self.deciding.contains(made) {
                    self.deciding.extend(parts);
                }
            }
            if self.deciding.len() == before {
                return self.deciding;
            }
        }
    }
}

fn collect(block: &Block, guards: &BTreeSet<&str>, number: &mut usize, out: &mut Vec<Site>) {
    for statement in &block.statements {
        match statement {
            Statement::Block(inner) => collect(inner, guards, number, out),
            Statement::Instruction(i) => {
                let opcode = i.mnemonic();
                let decides = matches!(i.operands.first(), Some(Operand::Name(n)) if guards.contains(n));
                // A comparison that only chooses a value says neither where nor how far.
                let sites = if i.opcode == "setp" && !decides { vec![] } else { changes(i, &opcode) };
                for (change, purpose) in sites {
                    out.push(Site { instruction: *number, line: i.line, opcode: opcode.clone(), change, purpose });
                }
                *number += 1;
            }
            _ => {}
        }
    }
}

fn changes(i: &Instruction, opcode: &str) -> Vec<(Change, Purpose)> {
    let opens = |name: &str| opcode.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    if let Some((_, count)) = ORDERING.iter().find(|(name, _)| opens(name)) {
        let mut out = vec![Change::Delete];
        if let Some((operand, unit)) = *count {
            match i.operands.get(operand) {
                Some(Operand::Int(n)) if n.value() >= i128::from(unit) => {
                    out.extend([unit, -unit].map(|by| Change::Add { operand, by }));
                }
                Some(Operand::Int(_)) => out.push(Change::Add { operand, by: unit }),
                Some(Operand::Name(_)) => out.extend([unit, -unit].map(|by| Change::Add { operand, by })),
                _ => {}
            }
        }
        // A barrier of its own beside the right one.
        let at = i.operands.iter().position(|o| matches!(o, Operand::Address(_)));
        let order = out.into_iter().map(|c| (c, Purpose::Order));
        return order.chain(at.map(|operand| (Change::Move { operand, by: 8 }, Purpose::Place))).collect();
    }
    let places = match i.opcode {
        "ld" | "st" | "atom" | "red" | "ldmatrix" | "stmatrix" if !i.has("param") => {
            let width = i.modifiers.iter().filter_map(|m| Type::from_name(m)).next_back().map_or(16, Type::bytes);
            let lanes = if i.has("v4") { 4 } else { 1 + u64::from(i.has("v2")) };
            let by = (width * lanes) as i64;
            let addresses = i.operands.iter().enumerate().filter(|(_, o)| matches!(o, Operand::Address(_)));
            addresses.map(|(operand, _)| Change::Move { operand, by }).collect()
        }
        "cp" if i.has("bulk") => {
            let mut out = vec![];
            for (operand, o) in i.operands.iter().enumerate() {
                let Operand::Address(address) = o else { continue };
                match &address.rest[..] {
                    [Operand::Vector(coordinates)] => out.extend((0..coordinates.len()).map(Change::Coordinate)),
                    // The barrier comes last.
                    _ if operand + 1 == i.operands.len() => out.push(Change::Move { operand, by: 8 }),
                    _ => out.push(Change::Move { operand, by: 1024 }),
                }
            }
            out
        }
        "wgmma" => {
            // Descriptors count 16 bytes (PTX ISA 9.7.15.5.1); the next step along K of a swizzled tile is 32 bytes on.
            let names =
                i.operands.iter().enumerate().filter(|(_, o)| matches!(o, Operand::Name(n) if n.contains("rd")));
            names.map(|(operand, _)| Change::Add { operand, by: 2 }).collect()
        }
        "setp" if ["lt", "le", "gt", "ge"].iter().any(|c| i.has(c)) && integer(i).is_some() => {
            vec![Change::Add { operand: 2, by: 1 }]
        }
        _ => vec![],
    };
    places.into_iter().map(|c| (c, Purpose::Place)).collect()
}

/// The 32- or 64-bit integer type that an instruction names last.
fn integer(i: &Instruction) -> Option<Type> {
    use Type::*;
    i.modifiers
        .iter()
        .filter_map(|m| Type::from_name(m))
        .next_back()
        .filter(|t| matches!(t, S32 | U32 | B32 | S64 | U64 | B64))
}

/// The text with one site changed.
///
/// # Errors
/// What is wrong with the text, or a site of another text.
pub fn apply(ptx: &str, site: &Site) -> Result<String, String> {
    let mut module: Module = parse(ptx).map_err(|e| e.to_string())?;
    let mut number = site.instruction;
    let found =
        module.functions.iter_mut().filter_map(|f| f.body.as_mut()).any(|b| change(b, &mut number, site.change));
    if found { Ok(print(&module)) } else { Err(format!("no instruction {}", site.instruction)) }
}

/// Changes the instruction that comes `number`th; counts down to it.
fn change(block: &mut Block, number: &mut usize, how: Change) -> bool {
    for at in 0..block.statements.len() {
        match &mut block.statements[at] {
            Statement::Block(inner) => {
                if change(inner, number, how) {
                    return true;
                }
            }
            Statement::Instruction(i) => {
                if *number == 0 {
                    match changed(i, how) {
                        Some(new) => block.statements[at] = new,
                        None => drop(block.statements.remove(at)),
                    }
                    return true;
                }
                *number -= 1;
            }
            _ => {}
        }
    }
    false
}

/// The changed instruction; `None` where it goes.
fn changed<'t>(i: &Instruction<'t>, how: Change) -> Option<Statement<'t>> {
    let mut new = i.clone();
    match how {
        Change::Delete if i.has("try_wait") || i.has("test_wait") => {
            // Over at once.
            new.opcode = "setp";
            new.modifiers = vec!["eq", "u32"];
            new.operands = vec![i.operands[0].clone(), Operand::Int(0.into()), Operand::Int(0.into())];
        }
        Change::Delete => return None,
        Change::Add { operand, by } => match &i.operands[operand] {
            Operand::Int(n) => new.operands[operand] = Operand::Int(Int::from((n.value() + i128::from(by)) as i64)),
            _ => return Some(with_sum(new, operand, by)),
        },
        Change::Move { operand, by } => {
            if let Operand::Address(address) = &mut new.operands[operand] {
                address.offset += by;
            }
        }
        Change::Coordinate(n) => {
            let tensor = new.operands.iter_mut().find_map(|o| match o {
                Operand::Address(a) if !a.rest.is_empty() => Some(&mut **a),
                _ => None,
            });
            if let Some(Address { rest, .. }) = tensor
                && let Some(Operand::Vector(coordinates)) = rest.first_mut()
            {
                let old = std::mem::replace(&mut coordinates[n], Operand::Name(SUM));
                return Some(summed(new, old, 1, Type::S32));
            }
        }
    }
    Some(Statement::Instruction(new))
}

/// A register of the mutant's own.
const SUM: &str = "%mutant";

/// The instruction with an operand's register plus a number in its place.
fn with_sum(mut i: Instruction, operand: usize, by: i64) -> Statement {
    let wide = i.opcode == "wgmma" || integer(&i).is_some_and(|t| t.bytes() == 8) && i.opcode == "setp";
    let old = std::mem::replace(&mut i.operands[operand], Operand::Name(SUM));
    summed(i, old, by, if wide { Type::S64 } else { Type::S32 })
}

/// `{ .reg %mutant; add %mutant, old, by; instruction }`
fn summed<'t>(i: Instruction<'t>, old: Operand<'t>, by: i64, ty: Type) -> Statement<'t> {
    let line = i.line;
    let registers = Registers { vector: None, ty, names: vec![(SUM, None)], line };
    let add = Instruction {
        guard: None,
        opcode: "add",
        modifiers: vec![ty.name()],
        operands: vec![Operand::Name(SUM), old, Operand::Int(by.into())],
        line,
        location: i.location,
    };
    let statements = vec![Statement::Registers(registers), Statement::Instruction(add), Statement::Instruction(i)];
    Statement::Block(Block { statements, line, end: line })
}
