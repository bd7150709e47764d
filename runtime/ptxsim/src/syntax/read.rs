//! The tree of `tricot-ptx` to [`Module`]. What the machine can never run is refused here, with its line.

use super::*;
use tricot_ptx as ptx;

type Result<T> = std::result::Result<T, SyntaxError>;

/// Bytes of all variables of a module.
const MAX_VARIABLES: u64 = 1 << 32;

/// Elements of one initialised variable, those that it leaves out counted.
const MAX_INITIAL: u64 = 1 << 26;

fn fail<T>(line: u32, message: impl Into<String>) -> Result<T> {
    Err(SyntaxError { line, message: message.into() })
}

/// Reads a text.
///
/// # Errors
/// The first place that is no PTX, or that the simulator has no form for.
pub fn read(text: &str) -> Result<Module> {
    let tree = ptx::parse(text).map_err(|e| SyntaxError {
        line: e.line,
        message: format!("expected {}, found {} at column {} ({})", e.expected, e.found, e.column, e.code),
    })?;
    if let Some(bits @ ..64) = tree.address_size {
        return fail(tree.version.line, format!("addresses of {bits} bits; only 64 are simulated"));
    }
    let mut module = Module {
        version: (tree.version.major, tree.version.minor),
        target: tree.target.first().unwrap_or(&"").to_string(),
        files: tree.files.iter().map(|f| (f.index, f.name.to_string())).collect(),
        variables: tree.globals.iter().map(variable).collect::<Result<_>>()?,
        functions: vec![],
    };
    if let Some(v) = module
        .variables
        .iter()
        .scan(0u64, |sum, v| {
            *sum = sum.saturating_add(v.bytes());
            Some((*sum, v))
        })
        .find(|(sum, _)| *sum > MAX_VARIABLES)
    {
        return fail(
            v.1.line,
            format!("with `{}`, the module's variables take more than {MAX_VARIABLES} bytes", v.1.name),
        );
    }
    for tree in &tree.functions {
        let function = function(tree)?;
        // A definition takes the place of its declaration.
        match module.functions.iter_mut().find(|f| f.name == function.name) {
            Some(old) if function.body.is_some() => *old = function,
            Some(_) => {}
            None => module.functions.push(function),
        }
    }
    Ok(module)
}

fn function(tree: &ptx::Function) -> Result<Function> {
    let mut bounds = Bounds::default();
    for tuning in &tree.tuning {
        match tuning {
            ptx::Tuning::MaxNTid(size) => bounds.maxntid = Some(*size),
            ptx::Tuning::ReqNTid(size) => bounds.reqntid = Some(*size),
            ptx::Tuning::ReqNCtaPerCluster(size) => bounds.cluster = Some(*size),
            ptx::Tuning::MinNCtaPerSm(n) => bounds.minnctapersm = Some(*n),
            ptx::Tuning::MaxNReg(n) => bounds.maxnreg = Some(*n),
            _ => {}
        }
    }
    let mut body = None;
    if let Some(block) = &tree.body {
        let mut out = vec![];
        statements(tree, block, &mut out)?;
        body = Some(out);
    }
    let variables = |list: &[ptx::Variable]| list.iter().map(variable).collect::<Result<Vec<_>>>();
    Ok(Function {
        name: tree.name.to_string(),
        entry: tree.kind == ptx::FunctionKind::Entry,
        returns: variables(&tree.returns)?,
        params: variables(&tree.params)?,
        bounds,
        body,
        line: tree.line,
    })
}

/// Nests no deeper than the parser's limit.
fn statements(function: &ptx::Function, block: &ptx::Block, out: &mut Vec<Statement>) -> Result<()> {
    for statement in &block.statements {
        match statement {
            ptx::Statement::Instruction(i) => out.push(Statement::Instruction(instruction(i)?)),
            ptx::Statement::Label { name, .. } => out.push(Statement::Label(name.to_string())),
            ptx::Statement::Registers(r) => {
                if r.vector.is_some() {
                    return fail(r.line, "vector registers are not simulated");
                }
                let names = r.names.iter().map(|(name, count)| (name.to_string(), *count)).collect();
                out.push(Statement::Registers { ty: r.ty.name().to_string(), names, line: r.line });
            }
            ptx::Statement::Variable(v) => out.push(Statement::Variable(variable(v)?)),
            ptx::Statement::Block(inner) => {
                out.push(Statement::Open);
                statements(function, inner, out)?;
                out.push(Statement::Close);
            }
            ptx::Statement::Location { id, .. } => {
                if let Some(l) = function.location(*id) {
                    let ptx::Position { file, line, column } = l.position;
                    out.push(Statement::Location(Location { file, line, column }));
                }
            }
            ptx::Statement::BranchTargets { name, labels, .. } => out.push(Statement::Targets {
                name: name.to_string(),
                labels: labels.iter().map(|l| l.to_string()).collect(),
            }),
            ptx::Statement::CallTargets { name, functions, .. } => out.push(Statement::CallTargets {
                name: name.to_string(),
                functions: functions.iter().map(|f| f.to_string()).collect(),
            }),
            ptx::Statement::Prototype(prototype) => {
                let bytes = |list: &[ptx::Variable]| {
                    list.iter().map(|v| Ok(variable(v)?.bytes())).collect::<Result<Vec<u64>>>()
                };
                let shape = Shape { returns: bytes(&prototype.returns)?, params: bytes(&prototype.params)? };
                out.push(Statement::Prototype { name: prototype.name.to_string(), shape });
            }
            ptx::Statement::Pragma { texts, line } => {
                for mask in texts.iter().filter_map(|t| t.strip_prefix("used_bytes_mask ")) {
                    match u32::from_str_radix(mask.trim().trim_start_matches("0x"), 16) {
                        Ok(mask) => out.push(Statement::UsedBytes(mask)),
                        Err(_) => return fail(*line, format!("`{mask}` is not a mask of bytes")),
                    }
                }
            }
        }
    }
    Ok(())
}

fn instruction(tree: &ptx::Instruction) -> Result<Instruction> {
    Ok(Instruction {
        guard: tree.guard.map(|g| (g.register.to_string(), g.negated)),
        opcode: tree.mnemonic(),
        operands: operands(&tree.operands, tree.line)?,
        line: tree.line,
    })
}

fn operands(trees: &[ptx::Operand], line: u32) -> Result<Vec<Operand>> {
    trees.iter().map(|o| operand(o, line)).collect()
}

fn operand(tree: &ptx::Operand, line: u32) -> Result<Operand> {
    let name = |text: &str| if text == "_" { Operand::Sink } else { Operand::Name(text.to_string()) };
    Ok(match tree {
        ptx::Operand::Name(text) => name(text),
        ptx::Operand::Not(text) => Operand::Not(text.to_string()),
        ptx::Operand::Int(int) => Operand::Int(int.value()),
        ptx::Operand::F32(bits) => Operand::F32(*bits),
        ptx::Operand::F64(bits) => Operand::F64(*bits),
        ptx::Operand::Sink => Operand::Sink,
        ptx::Operand::Sum(text, offset) => Operand::Sum(text.to_string(), *offset),
        ptx::Operand::Pair(pair) => Operand::Pair(Box::new(name(pair.0)), Box::new(name(pair.1))),
        ptx::Operand::Vector(items) => Operand::Vector(operands(items, line)?),
        ptx::Operand::List(items) => Operand::List(operands(items, line)?),
        ptx::Operand::Address(address) => {
            let coordinates = match &address.rest[..] {
                [] => vec![],
                [ptx::Operand::Vector(items)] => operands(items, line)?,
                _ => return fail(line, "an address that is followed by more than coordinates in braces"),
            };
            let (base, offset) = match address.base {
                Some(base) => (Operand::Name(base.to_string()), address.offset),
                None => (Operand::Int(address.offset.into()), 0),
            };
            Operand::Address { base: Box::new(base), offset, coordinates }
        }
    })
}

fn variable(tree: &ptx::Variable) -> Result<Variable> {
    let space = match tree.space {
        ptx::Space::Global => Space::Global,
        ptx::Space::Shared => Space::Shared,
        ptx::Space::Local => Space::Local,
        ptx::Space::Const => Space::Const,
        ptx::Space::Param => Space::Param,
        ptx::Space::Reg => return fail(tree.line, format!("`{}`: register parameters are not simulated", tree.name)),
    };
    // A vector is an array of scalars that is aligned as one.
    let (element, lanes) = (tree.ty.bytes(), u64::from(tree.vector.unwrap_or(1)));
    let mut count = Some(lanes);
    let mut sizes = vec![];
    for (n, size) in tree.dimensions.iter().enumerate() {
        let given = match (&tree.initial, n) {
            (Some(ptx::Initial::List(list)), 0) => Some(list.len() as u64),
            _ => None,
        };
        let size = size.or(given);
        count = count.zip(size).and_then(|(count, size)| count.checked_mul(size));
        sizes.push(size.unwrap_or(0));
    }
    if lanes > 1 {
        sizes.push(lanes);
    }
    let mut init = vec![];
    if let Some(initial) = &tree.initial {
        if count.is_none_or(|n| n > MAX_INITIAL) {
            return fail(tree.line, format!("`{}` is initialised, but too large", tree.name));
        }
        fill(tree, initial, &sizes, &mut init)?;
    }
    Ok(Variable { space, name: tree.name.to_string(), align: tree.alignment(), element, count, init, line: tree.line })
}

/// Appends the elements of an array of the given sizes; a list that is shorter than its dimension is filled with zeros.
fn fill(tree: &ptx::Variable, initial: &ptx::Initial, sizes: &[u64], out: &mut Vec<Init>) -> Result<()> {
    match initial {
        ptx::Initial::List(list) => {
            let [size, inner @ ..] = sizes else {
                return fail(tree.line, format!("`{}`: a list initialises what is no array", tree.name));
            };
            let elements = size * inner.iter().product::<u64>();
            let end = out.len() + elements as usize;
            // `{1, 2, 3}` may also fill an array of several dimensions in order.
            let nested = list.iter().all(|i| matches!(i, ptx::Initial::List(_)));
            if list.len() as u64 > if nested { *size } else { elements } {
                return fail(tree.line, format!("`{}`: {} values are too many", tree.name, list.len()));
            }
            for item in list {
                fill(tree, item, if nested { inner } else { &[] }, out)?;
            }
            out.resize(end, Init::Bits(0));
        }
        ptx::Initial::Int(int) => out.push(Init::Bits(int.bits)),
        ptx::Initial::F32(bits) => out.push(Init::Bits(u64::from(*bits))),
        ptx::Initial::F64(bits) => out.push(Init::Bits(*bits)),
        ptx::Initial::Symbol { mask: Some(mask), .. } => {
            return fail(tree.line, format!("`{}`: the mask {mask:#x} of an address is not simulated", tree.name));
        }
        ptx::Initial::Symbol { name, generic, offset, mask: None } => {
            out.push(Init::Address { name: name.to_string(), offset: *offset, generic: *generic });
        }
    }
    Ok(())
}
