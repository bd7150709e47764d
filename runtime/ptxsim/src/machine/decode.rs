//! A function of the syntax tree to a [`Program`]: names to slots, opcodes to operations, calls inlined.
//!
//! Central type: [`Decoder`]. Everything it does not know is an error with the line; all errors of a kernel are listed at once.

use super::op::*;
use crate::syntax::{self, Instruction, Module, Operand, Space, Statement, SyntaxError, Variable};
use std::collections::{BTreeMap, HashMap};

pub(super) type Result<T> = std::result::Result<T, String>;

/// Instructions after inlining.
const MAX_CODE: usize = 2_000_000;
const MAX_REGISTERS: u32 = 1 << 20;

/// Addresses of module variables, by name: space and address in it.
pub type Symbols = HashMap<String, (Space, u64)>;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum RegType {
    R(u32),
    D,
    P,
    Wide,
}

/// What an indirect call may call.
#[derive(Clone)]
pub(super) enum Callees {
    Functions(Vec<String>),
    Prototype(syntax::Shape),
}

#[derive(Default)]
pub(super) struct Scope {
    pub(super) registers: HashMap<String, (Slot, u32)>,
    pub(super) ranges: Vec<(String, u32, RegType)>,
    pub(super) labels: HashMap<String, u32>,
    pub(super) targets: HashMap<String, Vec<String>>,
    pub(super) callees: HashMap<String, Callees>,
    /// Space and offset of variables in it.
    pub(super) variables: HashMap<String, (Space, u64)>,
}

pub(super) struct Decoder<'a> {
    pub(super) module: &'a Module,
    pub(super) symbols: &'a Symbols,
    pub(super) scopes: Vec<Scope>,
    pub(super) code: Vec<Inst>,
    /// Label number to pc.
    pub(super) labels: Vec<Option<u32>>,
    pub(super) files: [u32; 3],
    pub(super) constants32: HashMap<u32, u32>,
    pub(super) constants64: HashMap<u64, u32>,
    pub(super) constants_p: HashMap<bool, u32>,
    pub(super) specials: Vec<(Slot, Special)>,
    pub(super) local: u64,
    pub(super) shared: u64,
    pub(super) shared_names: Vec<(String, u64, u64)>,
    pub(super) errors: Vec<SyntaxError>,
    pub(super) calls: Vec<String>,
    pub(super) locations: BTreeMap<u32, syntax::Location>,
    pub(super) setmaxnreg: Option<u32>,
    pub(super) line: u32,
    /// The guard of the instruction that is decoded.
    pub(super) guarding: Option<(u32, bool)>,
    /// Bytes of the next load that matter.
    pub(super) used: Option<u32>,
}

fn align(at: u64, to: u64) -> u64 {
    at.div_ceil(to.max(1)) * to.max(1)
}

/// Decodes a kernel; `symbols` places the module's variables.
pub fn decode(
    module: &Module,
    entry: &str,
    symbols: &Symbols,
    shared_start: u64,
) -> std::result::Result<Program, Vec<SyntaxError>> {
    let one = |line, message: String| vec![SyntaxError { line, message }];
    let Some(function) = module.functions.iter().find(|f| f.entry && f.name == entry) else {
        let names: Vec<&str> = module.functions.iter().filter(|f| f.entry).map(|f| f.name.as_str()).collect();
        return Err(one(1, format!("there is no kernel `{entry}`; there are: {}", names.join(", "))));
    };
    let Some(body) = &function.body else { return Err(one(function.line, format!("`{entry}` has no body"))) };
    let mut d = Decoder {
        module,
        symbols,
        scopes: vec![Scope::default()],
        code: vec![],
        labels: vec![],
        files: [0; 3],
        constants32: HashMap::new(),
        constants64: HashMap::new(),
        constants_p: HashMap::new(),
        specials: vec![],
        local: 0,
        shared: shared_start,
        shared_names: vec![],
        errors: vec![],
        calls: vec![entry.to_string()],
        locations: BTreeMap::new(),
        setmaxnreg: None,
        line: function.line,
        guarding: None,
        used: None,
    };
    let (mut at, mut params) = (0, vec![]);
    for p in &function.params {
        at = align(at, p.align);
        params.push((p.name.clone(), at, p.bytes()));
        d.scopes[0].variables.insert(p.name.clone(), (Space::Param, at));
        at += p.bytes();
    }
    let end = d.label();
    d.body(body, end);
    d.labels[end as usize] = Some(d.code.len() as u32);
    d.push(Op::Exit, None);
    for inst in &mut d.code {
        let fix = |t: &mut u32| *t = d.labels[*t as usize].unwrap_or(0);
        match &mut inst.op {
            Op::Bra { target } => fix(target),
            Op::Brx { targets, .. } => targets.iter_mut().for_each(fix),
            _ => {}
        }
    }
    if !d.errors.is_empty() {
        d.errors.sort_by_key(|e| e.line);
        d.errors.dedup();
        return Err(d.errors);
    }
    let flow = flow(&d.code);
    Ok(Program {
        name: entry.to_string(),
        flow,
        files: d.files,
        const32: d.constants32.iter().map(|(v, s)| (*s, *v)).collect(),
        const64: d.constants64.iter().map(|(v, s)| (*s, *v)).collect(),
        const_p: d.constants_p.iter().map(|(v, s)| (*s, if *v { u32::MAX } else { 0 })).collect(),
        specials: d.specials,
        local: align(d.local, 16),
        static_shared: d.shared,
        shared_names: d.shared_names,
        params,
        param_bytes: at,
        bounds: function.bounds.clone(),
        locations: d.locations,
        files_named: module.files.clone(),
        setmaxnreg: d.setmaxnreg,
        code: d.code,
    })
}

/// Blocks start at branch targets, behind branches, and at operations where lanes of a warp meet.
fn flow(code: &[Inst]) -> super::flow::Flow {
    let mut leaders = vec![false; code.len()];
    leaders[0] = true;
    for (pc, inst) in code.iter().enumerate() {
        let mut mark = |at: usize| {
            if at < code.len() {
                leaders[at] = true;
            }
        };
        match &inst.op {
            Op::Bra { target } => {
                mark(*target as usize);
                mark(pc + 1);
            }
            Op::Brx { targets, .. } => {
                targets.iter().for_each(|t| mark(*t as usize));
                mark(pc + 1);
            }
            Op::Exit | Op::Trap | Op::NoFunction { .. } => mark(pc + 1),
            op if meets(op) => mark(pc),
            _ => {}
        }
    }
    super::flow::Flow::new(&leaders, |pc| match &code[pc].op {
        Op::Bra { target } if code[pc].guard.is_none() => vec![*target],
        Op::Bra { target } => vec![pc as u32 + 1, *target],
        Op::Brx { targets, .. } => targets.clone(),
        Op::Exit | Op::Trap | Op::NoFunction { .. } if code[pc].guard.is_none() => vec![],
        _ => vec![pc as u32 + 1],
    })
}

/// Whether an operation wants other lanes of its warp.
pub fn meets(op: &Op) -> bool {
    matches!(
        op,
        Op::Shuffle { .. }
            | Op::Vote { .. }
            | Op::Match { .. }
            | Op::Redux { .. }
            | Op::Elect { .. }
            | Op::Bar { .. }
            | Op::BarWarp { .. }
            | Op::ClusterArrive { .. }
            | Op::ClusterWait
            | Op::Ldmatrix { .. }
            | Op::Stmatrix { .. }
            | Op::Mma(_)
            | Op::Wgmma(_)
            | Op::WgmmaFence
            | Op::WgmmaCommit
            | Op::WgmmaWait { .. }
            | Op::SetMaxNreg { .. }
            | Op::TensormapCopy { .. }
    )
}

/// The number behind a stem.
fn number(name: &str, stem: &str) -> Option<u32> {
    name.strip_prefix(stem)?.parse().ok()
}

fn special(name: &str) -> Option<(Special, bool)> {
    let axis = |rest: &str| match rest {
        ".x" => Some(0),
        ".y" => Some(1),
        ".z" => Some(2),
        _ => None,
    };
    let axes: [(&str, fn(u8) -> Special); 8] = [
        ("%tid", Special::Tid),
        ("%ntid", Special::Ntid),
        ("%ctaid", Special::Ctaid),
        ("%nctaid", Special::Nctaid),
        ("%clusterid", Special::ClusterId),
        ("%nclusterid", Special::NclusterId),
        ("%cluster_ctaid", Special::ClusterCtaid),
        ("%cluster_nctaid", Special::ClusterNctaid),
    ];
    if let Some((stem, make)) = axes.iter().find(|(stem, _)| name.strip_prefix(stem).is_some_and(|r| axis(r).is_some()))
    {
        return Some((make(axis(&name[stem.len()..])?), false));
    }
    Some(match name {
        "%cluster_ctarank" => (Special::ClusterCtarank, false),
        "%cluster_nctarank" => (Special::ClusterNctarank, false),
        "%laneid" => (Special::Lane, false),
        "%warpid" => (Special::Warp, false),
        "%nwarpid" => (Special::Nwarp, false),
        "%smid" => (Special::Sm, false),
        "%nsmid" => (Special::Nsm, false),
        "%gridid" => (Special::Zero, true),
        "%lanemask_eq" => (Special::MaskEq, false),
        "%lanemask_lt" => (Special::MaskLt, false),
        "%lanemask_le" => (Special::MaskLe, false),
        "%lanemask_gt" => (Special::MaskGt, false),
        "%lanemask_ge" => (Special::MaskGe, false),
        "%dynamic_smem_size" => (Special::DynamicShared, false),
        "%total_smem_size" | "%aggr_smem_size" => (Special::TotalShared, false),
        // What a driver or a profiler would set.
        _ if number(name, "%envreg").is_some_and(|n| n < 32) => (Special::Zero, false),
        _ if number(name, "%pm").is_some_and(|n| n < 8) => (Special::Zero, false),
        _ if name.strip_suffix("_64").and_then(|n| number(n, "%pm")).is_some_and(|n| n < 8) => (Special::Zero, true),
        _ => return None,
    })
}

impl<'a> Decoder<'a> {
    pub(super) fn label(&mut self) -> u32 {
        self.labels.push(None);
        self.labels.len() as u32 - 1
    }

    pub(super) fn error(&mut self, line: u32, message: String) {
        if self.errors.len() < 1000 {
            self.errors.push(SyntaxError { line, message });
        }
    }

    /// An operation ahead of the one that an instruction decodes to, for the same lanes.
    pub(super) fn also(&mut self, op: Op) {
        self.push(op, self.guarding);
    }

    pub(super) fn push(&mut self, op: Op, guard: Option<(u32, bool)>) {
        self.code.push(Inst { op, guard, line: self.line });
    }

    /// Statements of a function or its inlined copy; `ret` goes to `end`.
    pub(super) fn body(&mut self, body: &'a [Statement], end: u32) {
        // Labels first: branches go forward.
        let mut scope_labels: Vec<HashMap<String, u32>> = vec![HashMap::new()];
        let mut scope_targets: Vec<HashMap<String, Vec<String>>> = vec![HashMap::new()];
        let mut scope_callees: Vec<HashMap<String, Callees>> = vec![HashMap::new()];
        let (mut path, mut opened) = (vec![0usize], 0usize);
        for statement in body {
            match statement {
                Statement::Open => {
                    opened += 1;
                    scope_labels.push(HashMap::new());
                    scope_targets.push(HashMap::new());
                    scope_callees.push(HashMap::new());
                    path.push(opened);
                }
                Statement::Close => {
                    path.pop();
                }
                Statement::Label(name) => {
                    let label = self.label();
                    scope_labels[path[path.len() - 1]].insert(name.clone(), label);
                }
                Statement::Targets { name, labels } => {
                    scope_targets[path[path.len() - 1]].insert(name.clone(), labels.clone());
                }
                Statement::CallTargets { name, functions } => {
                    let callees = Callees::Functions(functions.clone());
                    scope_callees[path[path.len() - 1]].insert(name.clone(), callees);
                }
                Statement::Prototype { name, shape } => {
                    let callees = Callees::Prototype(shape.clone());
                    scope_callees[path[path.len() - 1]].insert(name.clone(), callees);
                }
                _ => {}
            }
        }
        let depth = self.scopes.len();
        self.scopes.push(Scope {
            labels: std::mem::take(&mut scope_labels[0]),
            targets: std::mem::take(&mut scope_targets[0]),
            callees: std::mem::take(&mut scope_callees[0]),
            ..Scope::default()
        });
        let mut opened = 0;
        for statement in body {
            if self.code.len() > MAX_CODE {
                self.error(self.line, format!("more than {MAX_CODE} instructions after inlining"));
                break;
            }
            match statement {
                Statement::Open => {
                    opened += 1;
                    self.scopes.push(Scope {
                        labels: std::mem::take(&mut scope_labels[opened]),
                        targets: std::mem::take(&mut scope_targets[opened]),
                        callees: std::mem::take(&mut scope_callees[opened]),
                        ..Scope::default()
                    });
                }
                Statement::Close => {
                    self.scopes.pop();
                }
                Statement::Registers { ty, names, line } => self.registers(ty, names, *line),
                Statement::Variable(v) => self.variable(v),
                Statement::Label(name) => {
                    let label = self.scopes[self.scopes.len() - 1].labels[name];
                    self.labels[label as usize] = Some(self.code.len() as u32);
                }
                Statement::Targets { .. } | Statement::CallTargets { .. } | Statement::Prototype { .. } => {}
                Statement::UsedBytes(mask) => self.used = Some(*mask),
                Statement::Location(at) => {
                    self.locations.insert(self.line + 1, *at);
                }
                Statement::Instruction(i) => {
                    self.line = i.line;
                    if let Err(message) = self.instruction(i, end) {
                        self.error(i.line, format!("{message}, in `{}`", i.opcode));
                    }
                }
            }
        }
        self.scopes.truncate(depth);
    }

    pub(super) fn registers(&mut self, ty: &str, names: &[(String, Option<u32>)], line: u32) {
        let ty = match ty {
            "pred" => RegType::P,
            "b8" | "u8" | "s8" => RegType::R(8),
            "b16" | "u16" | "s16" | "f16" | "bf16" => RegType::R(16),
            "b32" | "u32" | "s32" | "f32" | "f16x2" | "bf16x2" => RegType::R(32),
            "b64" | "u64" | "s64" | "f64" => RegType::D,
            "b128" => RegType::Wide,
            _ => return self.error(line, format!("there is no register type `.{ty}`")),
        };
        for (name, count) in names {
            match count {
                Some(count) => {
                    let scope = self.scopes.last_mut().expect("a scope");
                    scope.ranges.push((name.clone(), *count, ty));
                }
                None => {
                    let slot = self.new_register(ty);
                    let scope = self.scopes.last_mut().expect("a scope");
                    if let Ok(slot) = slot {
                        scope.registers.insert(name.clone(), slot);
                    }
                }
            }
        }
    }

    pub(super) fn new_register(&mut self, ty: RegType) -> Result<(Slot, u32)> {
        let (file, bits) = match ty {
            RegType::R(bits) => (0, bits),
            RegType::D => (1, 64),
            RegType::P => (2, 1),
            // A pair of the 64-bit file.
            RegType::Wide => (1, 128),
        };
        let n = self.files[file];
        if n >= MAX_REGISTERS {
            return Err(format!("more than {MAX_REGISTERS} registers"));
        }
        self.files[file] += if bits == 128 { 2 } else { 1 };
        Ok((
            match file {
                0 => Slot::R(n),
                1 if bits == 128 => Slot::Q(n),
                1 => Slot::D(n),
                _ => Slot::P(n),
            },
            bits,
        ))
    }

    pub(super) fn variable(&mut self, v: &Variable) {
        let bytes = v.bytes();
        let (space, at) = match v.space {
            Space::Local | Space::Param => {
                self.local = align(self.local, v.align.max(8));
                let at = self.local;
                self.local = at.saturating_add(bytes);
                if self.local > 512 << 10 {
                    return self.error(v.line, format!("`{}`: more than 512 KiB of local memory a thread", v.name));
                }
                (Space::Local, at)
            }
            Space::Shared => {
                self.shared = align(self.shared, v.align);
                let at = self.shared;
                self.shared = at.saturating_add(bytes);
                self.shared_names.push((v.name.clone(), at, bytes));
                if self.shared > 228 << 10 {
                    return self.error(v.line, format!("`{}`: more than 228 KiB of shared memory", v.name));
                }
                (Space::Shared, at)
            }
            _ => return self.error(v.line, format!("`{}`: a variable of this state space in a function", v.name)),
        };
        self.scopes.last_mut().expect("a scope").variables.insert(v.name.clone(), (space, at));
    }

    pub(super) fn find_register(&mut self, name: &str) -> Option<Result<(Slot, u32)>> {
        for n in (0..self.scopes.len()).rev() {
            if let Some(slot) = self.scopes[n].registers.get(name) {
                return Some(Ok(*slot));
            }
            let digits = name.len() - name.bytes().rev().take_while(u8::is_ascii_digit).count();
            for cut in (digits..name.len()).chain([name.len()]) {
                if cut == name.len() {
                    break;
                }
                let number: Option<u32> = name[cut..].parse().ok();
                let range =
                    self.scopes[n].ranges.iter().find(|(p, c, _)| *p == name[..cut] && number.is_some_and(|x| x < *c));
                if let Some((_, _, ty)) = range {
                    let ty = *ty;
                    let made = self.new_register(ty);
                    if let Ok(slot) = &made {
                        self.scopes[n].registers.insert(name.to_string(), *slot);
                    }
                    return Some(made);
                }
            }
        }
        None
    }

    pub(super) fn find_variable(&self, name: &str) -> Option<(Space, u64)> {
        self.scopes
            .iter()
            .rev()
            .find_map(|s| s.variables.get(name).copied())
            .or_else(|| self.symbols.get(name).copied())
    }

    pub(super) fn const32(&mut self, v: u32) -> u32 {
        let files = &mut self.files;
        *self.constants32.entry(v).or_insert_with(|| {
            files[0] += 1;
            files[0] - 1
        })
    }

    pub(super) fn const64(&mut self, v: u64) -> u32 {
        let files = &mut self.files;
        *self.constants64.entry(v).or_insert_with(|| {
            files[1] += 1;
            files[1] - 1
        })
    }

    pub(super) fn special_slot(&mut self, name: &str) -> Option<Slot> {
        let (special, wide) = special(name)?;
        if let Some((slot, _)) = self.specials.iter().find(|(s, x)| *x == special && matches!(s, Slot::D(_)) == wide) {
            return Some(*slot);
        }
        let file = usize::from(wide);
        let n = self.files[file];
        self.files[file] += 1;
        let slot = if wide { Slot::D(n) } else { Slot::R(n) };
        self.specials.push((slot, special));
        Some(slot)
    }

    fn explicit_cluster(&mut self) -> u32 {
        let known = self.specials.iter().find_map(|(slot, s)| match slot {
            Slot::P(p) if *s == Special::Explicit => Some(*p),
            _ => None,
        });
        known.unwrap_or_else(|| {
            let p = self.new_p();
            self.specials.push((Slot::P(p), Special::Explicit));
            p
        })
    }

    /// Any register, with its width.
    pub(super) fn any(&mut self, o: &Operand) -> Result<(Slot, u32)> {
        match o {
            Operand::Sink => Ok((Slot::Sink, 0)),
            Operand::Name(name) => match self.find_register(name) {
                Some(Ok((Slot::Q(_), _))) => Err(format!("`{name}` has 128 bits")),
                Some(found) => found,
                None => match self.special_slot(name) {
                    Some(slot) => Ok((slot, if matches!(slot, Slot::D(_)) { 64 } else { 32 })),
                    None => Err(format!("`{name}` is not a register")),
                },
            },
            _ => Err("a register is expected".into()),
        }
    }

    /// A source of up to 32 bits.
    pub(super) fn r(&mut self, o: &Operand) -> Result<u32> {
        match o {
            Operand::Int(v) => Ok(self.const32(*v as u32)),
            Operand::F32(v) => Ok(self.const32(*v)),
            Operand::F64(v) => Ok(self.const32((f64::from_bits(*v) as f32).to_bits())),
            Operand::Sum(name, offset) => {
                let (_, at) = self.find_variable(name).ok_or_else(|| format!("`{name}` is not declared"))?;
                Ok(self.const32(at.wrapping_add(*offset as u64) as u32))
            }
            Operand::Name(name) => match self.find_register(name) {
                Some(Ok((Slot::R(n), _))) => Ok(n),
                Some(Ok(_)) => Err(format!("`{name}` is not a 32-bit register")),
                Some(Err(e)) => Err(e),
                None => {
                    if let Some((_, at)) = self.find_variable(name) {
                        return Ok(self.const32(at as u32));
                    }
                    match self.special_slot(name) {
                        Some(Slot::R(n)) => Ok(n),
                        Some(_) => Err(format!("`{name}` has 64 bits")),
                        None if name == "WARP_SZ" => Ok(self.const32(32)),
                        None => Err(format!("`{name}` is not declared")),
                    }
                }
            },
            _ => Err("an operand of 32 bits is expected".into()),
        }
    }

    /// A source of up to 32 bits of a 16-bit type: immediates are cut.
    pub(super) fn r16(&mut self, o: &Operand, bits: u32) -> Result<u32> {
        match o {
            Operand::Int(v) if bits == 16 => Ok(self.const32(*v as u32 & 0xffff)),
            _ => self.r(o),
        }
    }

    pub(super) fn d(&mut self, o: &Operand) -> Result<u32> {
        match o {
            Operand::Int(v) => Ok(self.const64(*v as u64)),
            Operand::F64(v) => Ok(self.const64(*v)),
            Operand::F32(v) => Ok(self.const64(f64::from(f32::from_bits(*v)).to_bits())),
            Operand::Sum(name, offset) => {
                let (_, at) = self.find_variable(name).ok_or_else(|| format!("`{name}` is not declared"))?;
                Ok(self.const64(at.wrapping_add(*offset as u64)))
            }
            Operand::Name(name) => match self.find_register(name) {
                Some(Ok((Slot::D(n), _))) => Ok(n),
                Some(Ok(_)) => Err(format!("`{name}` is not a 64-bit register")),
                Some(Err(e)) => Err(e),
                None => {
                    if let Some((_, at)) = self.find_variable(name) {
                        return Ok(self.const64(at));
                    }
                    match self.special_slot(name) {
                        Some(Slot::D(n)) => Ok(n),
                        _ => Err(format!("`{name}` is not declared with 64 bits")),
                    }
                }
            },
            _ => Err("an operand of 64 bits is expected".into()),
        }
    }

    /// A source predicate; `!p` and immediates too.
    pub(super) fn p(&mut self, o: &Operand) -> Result<(u32, bool)> {
        match o {
            Operand::Int(v) => {
                let files = &mut self.files;
                let slot = *self.constants_p.entry(*v != 0).or_insert_with(|| {
                    files[2] += 1;
                    files[2] - 1
                });
                Ok((slot, false))
            }
            Operand::Name(name) | Operand::Not(name) => match self.find_register(name) {
                Some(Ok((Slot::P(n), _))) => Ok((n, matches!(o, Operand::Not(_)))),
                Some(Err(e)) => Err(e),
                None if name == "%is_explicit_cluster" => Ok((self.explicit_cluster(), matches!(o, Operand::Not(_)))),
                _ => Err(format!("`{name}` is not a predicate")),
            },
            _ => Err("a predicate is expected".into()),
        }
    }

    /// A 32-bit register that the text does not name.
    pub(super) fn new_r(&mut self) -> u32 {
        self.files[0] += 1;
        self.files[0] - 1
    }

    /// A 64-bit register that the text does not name.
    pub(super) fn new_d(&mut self) -> u32 {
        self.files[1] += 1;
        self.files[1] - 1
    }

    /// A predicate that the text does not name.
    pub(super) fn new_p(&mut self) -> u32 {
        self.files[2] += 1;
        self.files[2] - 1
    }

    /// A destination of the 32-bit file; a sink gets a register nobody reads.
    pub(super) fn dst_r(&mut self, o: &Operand) -> Result<u32> {
        match self.any(o)? {
            (Slot::R(n), _) => Ok(n),
            (Slot::Sink, _) => Ok(self.new_r()),
            _ => Err("a destination of 32 bits is expected".into()),
        }
    }

    pub(super) fn dst_d(&mut self, o: &Operand) -> Result<u32> {
        match self.any(o)? {
            (Slot::D(n), _) => Ok(n),
            (Slot::Sink, _) => Ok(self.new_d()),
            _ => Err("a destination of 64 bits is expected".into()),
        }
    }

    pub(super) fn dst_p(&mut self, o: &Operand) -> Result<u32> {
        match self.any(o)? {
            (Slot::P(n), _) => Ok(n),
            (Slot::Sink, _) => Ok(self.new_p()),
            _ => Err("a predicate is expected as destination".into()),
        }
    }

    /// A source register or constant whose width follows the operand, or `bits` for constants.
    pub(super) fn source(&mut self, o: &Operand, bits: u32) -> Result<Slot> {
        match o {
            Operand::Name(name) if self.find_register(name).is_some() || special(name).is_some() => Ok(self.any(o)?.0),
            _ if bits == 64 => Ok(Slot::D(self.d(o)?)),
            Operand::F64(_) | Operand::F32(_) if bits == 16 => Err("a float constant of 16 bits".into()),
            _ => Ok(Slot::R(self.r16(o, bits)?)),
        }
    }

    pub(super) fn addr(&mut self, o: &Operand) -> Result<(Addr, Option<Space>)> {
        let Operand::Address { base, offset, coordinates } = o else { return Err("an address is expected".into()) };
        if !coordinates.is_empty() {
            return Err("coordinates are not expected here".into());
        }
        self.addr_of(base, *offset)
    }

    pub(super) fn addr_of(&mut self, base: &Operand, offset: i64) -> Result<(Addr, Option<Space>)> {
        match base {
            Operand::Int(v) => Ok((Addr { base: Slot::D(self.const64(*v as u64)), offset }, None)),
            Operand::Name(name) => match self.find_register(name) {
                Some(found) => match found?.0 {
                    Slot::P(_) | Slot::Q(_) | Slot::Sink => Err(format!("`{name}` is not an address")),
                    slot => Ok((Addr { base: slot, offset }, None)),
                },
                None => {
                    let (space, at) = self.find_variable(name).ok_or_else(|| format!("`{name}` is not declared"))?;
                    Ok((Addr { base: Slot::D(self.const64(at)), offset }, Some(space)))
                }
            },
            _ => Err("an address is expected".into()),
        }
    }

    pub(super) fn find_label(&self, name: &str) -> Result<u32> {
        let found = self.scopes.iter().rev().find_map(|s| s.labels.get(name).copied());
        found.ok_or_else(|| format!("there is no label `{name}`"))
    }

    pub(super) fn guard(&mut self, i: &Instruction) -> Result<Option<(u32, bool)>> {
        let Some((name, negated)) = &i.guard else { return Ok(None) };
        let (slot, _) = self.p(&Operand::Name(name.clone()))?;
        Ok(Some((slot, *negated)))
    }

    pub(super) fn instruction(&mut self, i: &'a Instruction, end: u32) -> Result<()> {
        let guard = self.guard(i)?;
        self.guarding = guard;
        let parts: Vec<&str> = i.opcode.split('.').collect();
        match (parts[0], &parts[1..]) {
            ("ret", [] | ["uni"]) => {
                self.push(Op::Bra { target: end }, guard);
                return Ok(());
            }
            ("exit", []) => {
                self.push(Op::Exit, guard);
                return Ok(());
            }
            ("call", [] | ["uni"]) => return self.call(i, guard),
            _ => {}
        }
        let op = self.decode(i, &parts)?;
        self.push(op, guard);
        Ok(())
    }
}
