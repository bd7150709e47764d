//! Instructions.

use super::{LocationId, Operand};

/// `@!p add.rn.f32 d, a, b;`
#[derive(Clone, Debug, PartialEq)]
pub struct Instruction<'t> {
    pub guard: Option<Guard<'t>>,
    /// The first word: `add`.
    pub opcode: &'t str,
    /// The words behind its dots, in order: `rn`, `f32`; `shared::cluster` is one.
    pub modifiers: Vec<&'t str>,
    pub operands: Vec<Operand<'t>>,
    /// Line of its first word, the guard if there is one.
    pub line: u32,
    /// The `.loc` of the function that covers it.
    pub location: Option<LocationId>,
}

/// `@p` or `@!p`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard<'t> {
    pub register: &'t str,
    pub negated: bool,
}

/// The parts of a `call` (PTX ISA 9.7.12.5).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Call<'i, 't> {
    pub returns: &'i [Operand<'t>],
    /// A function, or a register that holds the address of one.
    pub target: &'t str,
    pub arguments: &'i [Operand<'t>],
    /// Label of a `.callprototype` or `.calltargets`, or a table of functions, for a call through a register.
    pub prototype: Option<&'t str>,
}

impl<'t> Instruction<'t> {
    /// Whether `modifier` is one of its modifiers.
    pub fn has(&self, modifier: &str) -> bool {
        self.modifiers.contains(&modifier)
    }

    /// Opcode and modifiers as one word: `add.rn.f32`.
    pub fn mnemonic(&self) -> String {
        let mut word =
            String::with_capacity(self.opcode.len() + self.modifiers.iter().map(|m| m.len() + 1).sum::<usize>());
        word.push_str(self.opcode);
        for modifier in &self.modifiers {
            word.push('.');
            word.push_str(modifier);
        }
        word
    }

    /// The parts of a `call`; `None` for other instructions and for operands that are no call's.
    pub fn call(&self) -> Option<Call<'_, 't>> {
        if self.opcode != "call" {
            return None;
        }
        let (returns, rest): (&[Operand], _) = match &self.operands[..] {
            [Operand::List(returns), rest @ ..] => (returns, rest),
            rest => (&[], rest),
        };
        let [Operand::Name(target), rest @ ..] = rest else { return None };
        let (arguments, rest): (&[Operand], _) = match rest {
            [Operand::List(arguments), rest @ ..] => (arguments, rest),
            rest => (&[], rest),
        };
        let prototype = match rest {
            [] => None,
            [Operand::Name(prototype)] => Some(*prototype),
            _ => return None,
        };
        Some(Call { returns, target, arguments, prototype })
    }
}
