//! Variables and parameters.

use super::{Int, Linkage, Space, Type};

/// `.visible .global .align 4 .b8 name[2][8] = {…}`, a variable in a body, or a parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable<'t> {
    pub linkage: Option<Linkage>,
    pub attributes: Vec<Attribute>,
    /// [`Space::Reg`] only for parameters of a `.func`.
    pub space: Space,
    /// Bytes, a power of two; `None` where the text does not say: the size of an element.
    pub align: Option<u32>,
    /// `.v2` or `.v4`: how many values one element has.
    pub vector: Option<u32>,
    pub ty: Type,
    /// What a parameter that is an address points to.
    pub pointer: Option<Pointer>,
    /// `_` in prototypes.
    pub name: &'t str,
    /// Array sizes, outermost first; `None` for `[]`, whose size comes from the initialiser or from the launch.
    pub dimensions: Vec<Option<u64>>,
    pub initial: Option<Initial<'t>>,
    pub line: u32,
}

impl Variable<'_> {
    /// Bytes of one array element.
    pub fn element(&self) -> u64 {
        self.ty.bytes() * u64::from(self.vector.unwrap_or(1))
    }

    /// Bytes of the variable, an unsized first dimension counted from the initialiser; `None` where there is none.
    pub fn bytes(&self) -> Option<u64> {
        let mut total = self.element();
        for dimension in &self.dimensions {
            let count = match (dimension, &self.initial) {
                (Some(count), _) => *count,
                (None, Some(Initial::List(list))) => list.len() as u64,
                (None, _) => return None,
            };
            total = total.saturating_mul(count);
        }
        Some(total)
    }

    /// Bytes of the alignment, said or by default.
    pub fn alignment(&self) -> u64 {
        self.align.map_or_else(|| self.element().max(1), u64::from)
    }
}

/// `.ptr .global .align 16` of a parameter (PTX ISA 5.1.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// `None` for a generic address.
    pub space: Option<Space>,
    /// Bytes, a power of two; `None` means 4.
    pub align: Option<u32>,
}

/// `.attribute(…)` (PTX ISA 5.4.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    Managed,
    /// The two halves of a UUID.
    Unified(u64, u64),
}

/// What a variable holds at first (PTX ISA 5.4.4). What an initialiser leaves out is zero.
#[derive(Clone, Debug, PartialEq)]
pub enum Initial<'t> {
    Int(Int),
    F32(u32),
    F64(u64),
    /// An address: that of `name` in its own space, or its generic one, plus `offset`. With a `mask`, such as `0xFF00`,
    /// the byte under the mask only.
    Symbol {
        name: &'t str,
        generic: bool,
        offset: i64,
        mask: Option<u64>,
    },
    List(Vec<Initial<'t>>),
}
