//! Operands of instructions.

use std::fmt;

/// An operand (PTX ISA 6).
#[derive(Clone, Debug, PartialEq)]
pub enum Operand<'t> {
    /// A register, variable, label, function or special register with what follows its dot: `%r1`, `%tid.x`, `v.y`.
    Name(&'t str),
    /// `!p`.
    Not(&'t str),
    Int(Int),
    /// Bits.
    F32(u32),
    /// Bits.
    F64(u64),
    /// `_`.
    Sink,
    /// `name+4` outside brackets.
    Sum(&'t str, i64),
    /// `p|q`; either may be `_`.
    Pair(Box<(&'t str, &'t str)>),
    /// `{a, b}`; one value in braces is a vector too.
    Vector(Vec<Operand<'t>>),
    /// `[base+offset, {x, y}]`.
    Address(Box<Address<'t>>),
    /// `(a, b)` of a call.
    List(Vec<Operand<'t>>),
}

/// `[base+offset, {x, y}]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Address<'t> {
    /// A register or a variable; `None` for an address that is a number only.
    pub base: Option<&'t str>,
    /// Bytes.
    pub offset: i64,
    /// What follows the address inside the brackets: the coordinates of a tensor access are one [`Operand::Vector`].
    pub rest: Vec<Operand<'t>>,
}

/// An integer of 64 bits (PTX ISA 4.5.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Int {
    pub bits: u64,
    /// Whether the constant has the type `.u64`, else `.s64`.
    pub unsigned: bool,
}

impl Int {
    /// The number.
    pub fn value(self) -> i128 {
        if self.unsigned { i128::from(self.bits) } else { i128::from(self.bits as i64) }
    }
}

impl From<i64> for Int {
    fn from(value: i64) -> Self {
        Int { bits: value as u64, unsigned: false }
    }
}

impl fmt::Debug for Int {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.value(), if self.unsigned { "U" } else { "" })
    }
}
