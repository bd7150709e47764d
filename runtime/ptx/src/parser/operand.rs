//! Operands.

use super::{Parser, Result};
use crate::ast::{Address, Operand};
use crate::token::{Kind, Sign};

const OPERAND: &str = "an operand: a name, a number, `[`, `{`, `!` or `_`";

impl<'t> Parser<'t, '_> {
    pub(super) fn operand(&mut self) -> Result<Operand<'t>> {
        self.spend(1)?;
        match self.token.kind {
            Kind::Word(_) => {
                let name = self.selected("a name")?;
                if self.accept(Sign::Or)? {
                    let second = self.selected("the second of two predicates")?;
                    return Ok(Operand::Pair(Box::new((name, second))));
                }
                if name == "_" {
                    return Ok(Operand::Sink);
                }
                Ok(self.offset()?.map_or(Operand::Name(name), |offset| Operand::Sum(name, offset)))
            }
            Kind::Int(_) | Kind::F32(_) | Kind::F64(_) => self.immediate(),
            Kind::Sign(Sign::OpenBrace) => {
                self.advance()?;
                let values = self.deeper(|parser| parser.operands_until(Sign::CloseBrace))?;
                Ok(Operand::Vector(values))
            }
            Kind::Sign(Sign::OpenBracket) => {
                self.advance()?;
                self.deeper(Self::address)
            }
            Kind::Sign(Sign::Not) => {
                self.advance()?;
                match self.token.kind {
                    Kind::Word(_) => Ok(Operand::Not(self.selected("a predicate")?)),
                    _ => {
                        let zero = self.integer()?.bits == 0;
                        Ok(Operand::Int(i64::from(zero).into()))
                    }
                }
            }
            Kind::Sign(Sign::Plus | Sign::Minus | Sign::Invert | Sign::OpenParenthesis) => self.immediate(),
            _ => self.unexpected(OPERAND),
        }
    }

    fn immediate(&mut self) -> Result<Operand<'t>> {
        Ok(match self.constant()? {
            Kind::F32(bits) => Operand::F32(bits),
            Kind::F64(bits) => Operand::F64(bits),
            Kind::Int(int) => Operand::Int(int),
            _ => return self.unexpected(OPERAND),
        })
    }

    /// A name with the word behind its dot: `%tid.x`.
    fn selected(&mut self, what: &str) -> Result<&'t str> {
        let start = self.token.start;
        let mut name = self.name(what)?;
        while let Kind::Dotted(_) = self.token.kind {
            if self.token.start != self.last {
                break;
            }
            self.advance()?;
            name = &self.lexer.text()[start..self.last];
        }
        Ok(name)
    }

    /// `(a, b)` of a call.
    pub(super) fn list(&mut self) -> Result<Operand<'t>> {
        self.spend(1)?;
        self.expect(Sign::OpenParenthesis)?;
        if self.accept(Sign::CloseParenthesis)? {
            return Ok(Operand::List(Vec::new()));
        }
        Ok(Operand::List(self.operands_until(Sign::CloseParenthesis)?))
    }

    /// At least one operand, up to `end`.
    fn operands_until(&mut self, end: Sign) -> Result<Vec<Operand<'t>>> {
        let start = self.operands.len();
        loop {
            let operand = self.operand()?;
            self.operands.push(operand);
            if !self.expect_or_comma(end)? {
                return Ok(self.operands.drain(start..).collect());
            }
        }
    }

    /// Behind `[`.
    fn address(&mut self) -> Result<Operand<'t>> {
        let (base, offset) = match self.token.kind {
            Kind::Word(_) => (Some(self.selected("a name")?), self.offset()?.unwrap_or(0)),
            _ => (None, self.integer()?.bits as i64),
        };
        self.spend(2)?;
        let rest = if self.expect_or_comma(Sign::CloseBracket)? {
            self.operands_until(Sign::CloseBracket)?
        } else {
            Vec::new()
        };
        Ok(Operand::Address(Box::new(Address { base, offset, rest })))
    }
}
