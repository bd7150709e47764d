//! Guards, opcodes and lists of operands.

use super::{Parser, Result};
use crate::ast::{Guard, Instruction};
use crate::error::Code;
use crate::token::{Kind, Sign, Token};

impl<'t> Parser<'t, '_> {
    /// Behind `@`.
    pub(super) fn guard(&mut self) -> Result<Guard<'t>> {
        let negated = self.accept(Sign::Not)?;
        Ok(Guard { register: self.name("a predicate")?, negated })
    }

    /// Behind the first word, which is `opcode`.
    pub(super) fn instruction(
        &mut self,
        guard: Option<Guard<'t>>,
        opcode: Token<'t>,
        line: u32,
    ) -> Result<Instruction<'t>> {
        let Kind::Word(word) = opcode.kind else { return self.error_at(opcode, Code::Unexpected, "an opcode") };
        if !word.starts_with(|first: char| first.is_ascii_lowercase()) {
            return self.error_at(opcode, Code::Unexpected, "an opcode, or `:` behind a label");
        }
        let location = self.location();
        let modifiers = self.modifiers.len();
        while let Kind::Dotted(modifier) = self.token.kind {
            self.spend(1)?;
            self.modifiers.push(modifier);
            self.advance()?;
        }
        let operands = self.operands.len();
        if !self.accept(Sign::Semicolon)? {
            loop {
                let operand =
                    if word == "call" && self.is(Sign::OpenParenthesis) { self.list()? } else { self.operand()? };
                self.operands.push(operand);
                if !self.expect_or_comma(Sign::Semicolon)? {
                    break;
                }
            }
        }
        Ok(Instruction {
            guard,
            opcode: word,
            modifiers: self.modifiers.drain(modifiers..).collect(),
            operands: self.operands.drain(operands..).collect(),
            line,
            location,
        })
    }
}
