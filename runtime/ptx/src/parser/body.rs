//! Blocks and their statements.

use super::{Parser, Result};
use crate::ast::{Block, Linkage, Registers, Space, Statement, Type};
use crate::error::Code;
use crate::limits::STATEMENT;
use crate::token::{Kind, Sign};

const STATEMENTS: &str = "an instruction, a label, a declaration, `{` or `}`";

impl<'t> Parser<'t, '_> {
    /// `{ … }`.
    pub(super) fn block(&mut self) -> Result<Block<'t>> {
        let line = self.line();
        self.expect(Sign::OpenBrace)?;
        self.deeper(|parser| {
            let mut statements = Vec::new();
            loop {
                match parser.token.kind {
                    Kind::Sign(Sign::CloseBrace) => {
                        let end = parser.line();
                        parser.advance()?;
                        return Ok(Block { statements, line, end });
                    }
                    Kind::Sign(Sign::Semicolon) => {
                        parser.advance()?;
                    }
                    _ => parser.statement(&mut statements)?,
                }
            }
        })
    }

    fn statement(&mut self, statements: &mut Vec<Statement<'t>>) -> Result<()> {
        self.spend(STATEMENT)?;
        let token = self.token;
        let line = token.line;
        statements.push(match token.kind {
            Kind::Word(name) => {
                self.advance()?;
                if self.accept(Sign::Colon)? {
                    self.label(name, line)?
                } else {
                    Statement::Instruction(self.instruction(None, token, line)?)
                }
            }
            Kind::Sign(Sign::At) => {
                self.advance()?;
                let guard = self.guard()?;
                let opcode = self.token;
                self.name("an opcode")?;
                Statement::Instruction(self.instruction(Some(guard), opcode, line)?)
            }
            Kind::Sign(Sign::OpenBrace) => Statement::Block(self.block()?),
            Kind::Dotted("reg") => Statement::Registers(self.declared_registers()?),
            Kind::Dotted("loc") => {
                self.spend(STATEMENT)?;
                let location = self.loc()?;
                self.locations.push(location);
                match self.location() {
                    Some(id) => Statement::Location { id, line },
                    None => return self.unexpected(STATEMENTS),
                }
            }
            Kind::Dotted("pragma") => {
                self.advance()?;
                Statement::Pragma { texts: self.texts()?, line }
            }
            Kind::Dotted(word) => {
                let linkage = Linkage::from_name(word);
                if linkage.is_some() {
                    self.advance()?;
                }
                let space = match self.token.kind {
                    Kind::Dotted(word) => Space::from_name(word).filter(|&space| space != Space::Reg),
                    _ => None,
                };
                let Some(space) = space else { return self.error_at(self.token, Code::Directive, STATEMENTS) };
                return self.variables(linkage, space, line, &mut |variable| {
                    statements.push(Statement::Variable(Box::new(variable)));
                });
            }
            _ => return self.unexpected(STATEMENTS),
        });
        Ok(())
    }

    /// Behind `name:`, which may name a table or a prototype.
    fn label(&mut self, name: &'t str, line: u32) -> Result<Statement<'t>> {
        Ok(if self.accept_dotted("branchtargets")? {
            Statement::BranchTargets { name, labels: self.names("a label")?, line }
        } else if self.accept_dotted("calltargets")? {
            Statement::CallTargets { name, functions: self.names("the name of a function")?, line }
        } else if self.accept_dotted("callprototype")? {
            Statement::Prototype(Box::new(self.prototype(name, line)?))
        } else {
            Statement::Label { name, line }
        })
    }

    fn declared_registers(&mut self) -> Result<Registers<'t>> {
        let line = self.line();
        self.advance()?;
        let mut vector = None;
        let ty = loop {
            let token = self.token;
            match self.dotted("a type such as `.b32`")? {
                "v2" if vector.is_none() => vector = Some(2),
                "v4" if vector.is_none() => vector = Some(4),
                word => match Type::from_name(word) {
                    Some(ty) => break ty,
                    None => return self.error_at(token, Code::Directive, "a type such as `.b32`"),
                },
            }
        };
        let mut names = Vec::new();
        loop {
            self.spend(1)?;
            let token = self.token;
            let name = self.name("the name of a register")?;
            let count = if self.accept(Sign::Less)? {
                let at = self.token;
                let count = u32::try_from(self.number("a number of registers")?).unwrap_or(u32::MAX);
                self.claim(count, at)?;
                self.expect(Sign::Greater)?;
                Some(count)
            } else {
                self.claim(1, token)?;
                None
            };
            names.push((name, count));
            if !self.expect_or_comma(Sign::Semicolon)? {
                return Ok(Registers { vector, ty, names, line });
            }
        }
    }

    fn claim(&mut self, count: u32, at: crate::token::Token<'t>) -> Result<()> {
        self.registers = self.registers.saturating_add(count);
        if self.registers > self.limits.registers {
            let expected = format!("at most {} registers in a function", self.limits.registers);
            return self.error_at(at, Code::Limit, expected);
        }
        Ok(())
    }
}
