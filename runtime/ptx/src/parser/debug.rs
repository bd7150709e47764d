//! `.file`, `.loc` and `.section`.

use super::{Parser, Result};
use crate::ast::{FileName, FunctionName, Location, Position, Section, SectionItem, SectionValue, Type};
use crate::error::Code;
use crate::limits::STATEMENT;
use crate::token::{Kind, Sign};

impl<'t> Parser<'t, '_> {
    /// From `.file` on.
    pub(super) fn file(&mut self) -> Result<FileName<'t>> {
        let line = self.line();
        self.advance()?;
        let index = self.ranged("the number of a file", 0, u32::MAX)?;
        let Kind::Text(name) = self.token.kind else { return self.unexpected("the name of a file in quotes") };
        self.advance()?;
        let stamp = if self.accept(Sign::Comma)? {
            let time = self.number("the time of a file")?;
            self.expect(Sign::Comma)?;
            Some((time, self.number("the size of a file")?))
        } else {
            None
        };
        Ok(FileName { index, name, stamp, line })
    }

    /// From `.loc` on.
    pub(super) fn loc(&mut self) -> Result<Location<'t>> {
        self.advance()?;
        let mut location = Location { position: self.position()?, function_name: None, inlined_at: None };
        while self.accept(Sign::Comma)? {
            let token = self.token;
            match self.name("`function_name` or `inlined_at`")? {
                "function_name" if location.function_name.is_none() => {
                    let label = self.name("a label of a debug section")?;
                    let offset = if self.accept(Sign::Plus)? { self.number("an offset")? } else { 0 };
                    location.function_name = Some(FunctionName { label, offset });
                }
                "inlined_at" if location.inlined_at.is_none() => location.inlined_at = Some(self.position()?),
                _ => return self.error_at(token, Code::Unexpected, "`function_name` or `inlined_at`"),
            }
        }
        Ok(location)
    }

    fn position(&mut self) -> Result<Position> {
        Ok(Position {
            file: self.ranged("the number of a file", 0, u32::MAX)?,
            line: self.ranged("a line", 0, u32::MAX)?,
            column: self.ranged("a column", 0, u32::MAX)?,
        })
    }

    /// From `.section` on.
    pub(super) fn section(&mut self) -> Result<Section<'t>> {
        const ITEM: &str = "a label, `.b8`, `.b16`, `.b32`, `.b64` or `}`";
        let line = self.line();
        self.advance()?;
        let name = self.dotted("the name of a section, such as `.debug_str`")?;
        self.expect(Sign::OpenBrace)?;
        let mut items = Vec::new();
        loop {
            self.spend(STATEMENT)?;
            let token = self.token;
            let (end, kind) = (token.line, token.kind);
            items.push(match kind {
                Kind::Sign(Sign::CloseBrace) => {
                    self.advance()?;
                    return Ok(Section { name, items, line, end });
                }
                Kind::Word(name) => {
                    self.advance()?;
                    self.expect(Sign::Colon)?;
                    SectionItem::Label { name, line: token.line }
                }
                Kind::Dotted(word) => match Type::from_name(word) {
                    Some(ty @ (Type::B8 | Type::B16 | Type::B32 | Type::B64)) => {
                        self.advance()?;
                        SectionItem::Data { ty, values: self.section_values()?, line: token.line }
                    }
                    _ => return self.error_at(token, Code::Directive, ITEM),
                },
                _ => return self.unexpected(ITEM),
            });
        }
    }

    fn section_values(&mut self) -> Result<Vec<SectionValue<'t>>> {
        let mut values = Vec::with_capacity(1);
        loop {
            self.spend(1)?;
            let plus = match self.token.kind {
                Kind::Word(name) | Kind::Dotted(name) => Some(name),
                _ => None,
            };
            values.push(match plus {
                None => SectionValue::Int(self.integer()?),
                Some(_) => {
                    let start = self.token.start;
                    self.advance()?;
                    let plus = &self.lexer.text()[start..self.last];
                    self.difference(plus)?
                }
            });
            if !self.accept(Sign::Comma)? {
                return Ok(values);
            }
        }
    }

    /// `-label` or an offset behind `plus`.
    fn difference(&mut self, plus: &'t str) -> Result<SectionValue<'t>> {
        if self.is(Sign::Minus) {
            self.advance()?;
            if let Kind::Word(minus) = self.token.kind {
                self.advance()?;
                let offset = self.offset()?.unwrap_or(0);
                return Ok(SectionValue::Label { plus, minus: Some(minus), offset });
            }
            let first = (self.term()?.bits as i64).wrapping_neg();
            let offset = first.wrapping_add(self.offset()?.unwrap_or(0));
            return Ok(SectionValue::Label { plus, minus: None, offset });
        }
        Ok(SectionValue::Label { plus, minus: None, offset: self.offset()?.unwrap_or(0) })
    }
}
