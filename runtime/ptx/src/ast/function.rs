//! Kernels and functions.

use super::{Attribute, Block, Linkage, Location, LocationId, Variable};

/// `.entry` or `.func` (PTX ISA 11.1).
#[derive(Clone, Debug, PartialEq)]
pub struct Function<'t> {
    pub linkage: Option<Linkage>,
    pub kind: FunctionKind,
    pub attributes: Vec<Attribute>,
    pub name: &'t str,
    pub returns: Vec<Variable<'t>>,
    pub params: Vec<Variable<'t>>,
    pub tuning: Vec<Tuning<'t>>,
    /// `None` for a declaration.
    pub body: Option<Block<'t>>,
    /// The `.loc` directives of the body in the order of the text.
    pub locations: Vec<Location<'t>>,
    pub line: u32,
}

/// Who may start a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FunctionKind {
    /// The host.
    Entry,
    /// A call.
    Func,
}

impl<'t> Function<'t> {
    /// The source location that `id` of an instruction or a statement of this function means.
    pub fn location(&self, id: LocationId) -> Option<&Location<'t>> {
        self.locations.get(id.0 as usize)
    }
}

/// Performance-tuning and other directives of a function (PTX ISA 11.4). Sizes that are left out are 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tuning<'t> {
    MaxNReg(u32),
    MaxNTid([u32; 3]),
    ReqNTid([u32; 3]),
    MinNCtaPerSm(u32),
    MaxNCtaPerSm(u32),
    ReqNCtaPerCluster([u32; 3]),
    MaxClusterRank(u32),
    ExplicitCluster,
    BlocksAreClusters,
    NoReturn,
    AbiPreserve(u32),
    AbiPreserveControl(u32),
    Pragma(Vec<&'t str>),
}

/// `name: .callprototype (returns) _ (params);`
#[derive(Clone, Debug, PartialEq)]
pub struct Prototype<'t> {
    pub name: &'t str,
    pub returns: Vec<Variable<'t>>,
    pub params: Vec<Variable<'t>>,
    pub tuning: Vec<Tuning<'t>>,
    pub line: u32,
}
