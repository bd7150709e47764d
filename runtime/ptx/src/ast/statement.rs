//! What a body is made of.

use super::{Instruction, LocationId, Prototype, Type, Variable};

/// `{ … }`: a scope of registers, variables and labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block<'t> {
    pub statements: Vec<Statement<'t>>,
    /// Line of `{`.
    pub line: u32,
    /// Line of `}`.
    pub end: u32,
}

/// One statement of a body.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement<'t> {
    Instruction(Instruction<'t>),
    Label {
        name: &'t str,
        line: u32,
    },
    Registers(Registers<'t>),
    /// `.shared`, `.local`, `.param` and other variables.
    Variable(Box<Variable<'t>>),
    Block(Block<'t>),
    /// Where the source location `id` of the function starts to hold.
    Location {
        id: LocationId,
        line: u32,
    },
    /// `name: .branchtargets a, b;` of a `brx.idx`.
    BranchTargets {
        name: &'t str,
        labels: Vec<&'t str>,
        line: u32,
    },
    /// `name: .calltargets f, g;` of an indirect call.
    CallTargets {
        name: &'t str,
        functions: Vec<&'t str>,
        line: u32,
    },
    Prototype(Box<Prototype<'t>>),
    Pragma {
        texts: Vec<&'t str>,
        line: u32,
    },
}

impl Statement<'_> {
    /// Line of its first word.
    pub fn line(&self) -> u32 {
        match self {
            Statement::Instruction(instruction) => instruction.line,
            Statement::Registers(registers) => registers.line,
            Statement::Variable(variable) => variable.line,
            Statement::Block(block) => block.line,
            Statement::Prototype(prototype) => prototype.line,
            Statement::Label { line, .. }
            | Statement::Location { line, .. }
            | Statement::BranchTargets { line, .. }
            | Statement::CallTargets { line, .. }
            | Statement::Pragma { line, .. } => *line,
        }
    }
}

/// `.reg .v2 .b32 %r<10>, %x;`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registers<'t> {
    /// `.v2` or `.v4`.
    pub vector: Option<u32>,
    pub ty: Type,
    /// `(name, Some(n))` stands for `name0` to `name(n-1)`.
    pub names: Vec<(&'t str, Option<u32>)>,
    pub line: u32,
}
