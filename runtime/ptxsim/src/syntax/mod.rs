//! What the machine needs of a PTX text: flat bodies, sizes in bytes, one definition for each function.
//!
//! Central type: [`Module`], made by [`read`] from the tree of `tricot-ptx`. Every item keeps its line. Names are unresolved text,
//! opcodes are the dotted word that was written.

mod read;

use std::collections::BTreeMap;

pub use read::read;

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct SyntaxError {
    /// From 1.
    pub line: u32,
    pub message: String,
}

/// A translation unit.
#[derive(Clone, Debug, Default)]
pub struct Module {
    /// Major and minor of `.version`.
    pub version: (u32, u32),
    /// First name of `.target`.
    pub target: String,
    /// `.file` number to name.
    pub files: BTreeMap<u32, String>,
    pub variables: Vec<Variable>,
    pub functions: Vec<Function>,
}

/// State spaces of declarations and accesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Space {
    Global,
    Shared,
    Local,
    Const,
    Param,
    Generic,
}

/// `.global .align 4 .b8 name[16] = {…}`, and parameters.
#[derive(Clone, Debug)]
pub struct Variable {
    pub space: Space,
    pub name: String,
    /// Bytes; a power of two.
    pub align: u64,
    /// Bytes of one element.
    pub element: u64,
    /// Elements; `None` for `name[]`, whose size the launch says.
    pub count: Option<u64>,
    /// Initial elements, first to last; the rest is zero.
    pub init: Vec<Init>,
    pub line: u32,
}

impl Variable {
    /// Bytes; 0 where the launch says.
    pub fn bytes(&self) -> u64 {
        self.element.saturating_mul(self.count.unwrap_or(0))
    }
}

/// One initial value.
#[derive(Clone, Debug, PartialEq)]
pub enum Init {
    /// Low bytes are stored.
    Bits(u64),
    /// The address of a variable plus bytes; `generic(name)` sets the flag.
    Address { name: String, offset: i64, generic: bool },
}

/// `.entry` or `.func`.
#[derive(Clone, Debug, Default)]
pub struct Function {
    pub name: String,
    pub entry: bool,
    pub returns: Vec<Variable>,
    pub params: Vec<Variable>,
    pub bounds: Bounds,
    /// `None` for a declaration.
    pub body: Option<Vec<Statement>>,
    pub line: u32,
}

/// Bytes of what a function returns and takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    pub returns: Vec<u64>,
    pub params: Vec<u64>,
}

impl Function {
    /// What a prototype of the function says.
    pub fn shape(&self) -> Shape {
        let bytes = |list: &[Variable]| list.iter().map(Variable::bytes).collect();
        Shape { returns: bytes(&self.returns), params: bytes(&self.params) }
    }
}

/// Performance-tuning directives (PTX ISA 11.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    pub maxntid: Option<[u32; 3]>,
    pub reqntid: Option<[u32; 3]>,
    pub minnctapersm: Option<u32>,
    pub maxnreg: Option<u32>,
    pub cluster: Option<[u32; 3]>,
}

/// One line of a body.
#[derive(Clone, Debug)]
pub enum Statement {
    /// `.reg .b32 %r<10>, %x;`: type without the dot, then names; a count makes `name0 … name(count-1)`.
    Registers {
        ty: String,
        names: Vec<(String, Option<u32>)>,
        line: u32,
    },
    Variable(Variable),
    Label(String),
    /// `name: .branchtargets a, b;`
    Targets {
        name: String,
        labels: Vec<String>,
    },
    /// `name: .calltargets f, g;`
    CallTargets {
        name: String,
        functions: Vec<String>,
    },
    /// `name: .callprototype (returns) _ (params);`
    Prototype {
        name: String,
        shape: Shape,
    },
    Open,
    Close,
    Location(Location),
    /// `.pragma "used_bytes_mask 0x…"`: which bytes of the next load matter.
    UsedBytes(u32),
    Instruction(Instruction),
}

/// `.loc file line column`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    pub file: u32,
    pub line: u32,
    pub column: u32,
}

/// `@p opcode operands;`
#[derive(Clone, Debug)]
pub struct Instruction {
    /// Predicate, and whether it is negated.
    pub guard: Option<(String, bool)>,
    /// `add.s32`.
    pub opcode: String,
    pub operands: Vec<Operand>,
    pub line: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// A register, variable, label or special register.
    Name(String),
    /// `!p`.
    Not(String),
    Int(i128),
    F32(u32),
    F64(u64),
    /// `_`
    Sink,
    /// `{a, b}`
    Vector(Vec<Operand>),
    /// `(a, b)` of a call.
    List(Vec<Operand>),
    /// `name+4` outside brackets.
    Sum(String, i64),
    /// `[base+offset]` and `[base, {…}]`; base is a name or a number.
    Address {
        base: Box<Operand>,
        offset: i64,
        coordinates: Vec<Operand>,
    },
    /// `p|q`
    Pair(Box<Operand>, Box<Operand>),
}
