//! Variables, parameters and their initialisers.

use super::{Parser, Result};
use crate::ast::{Attribute, Initial, Int, Linkage, Pointer, Space, Type, Variable};
use crate::error::Code;
use crate::limits::STATEMENT;
use crate::token::{Kind, Sign};

impl<'t> Parser<'t, '_> {
    /// `.global .align 4 .b8 a[4] = {…}, b;`, from the state space on.
    pub(super) fn variables(
        &mut self,
        linkage: Option<Linkage>,
        space: Space,
        line: u32,
        add: &mut dyn FnMut(Variable<'t>),
    ) -> Result<()> {
        self.advance()?;
        let head = self.head(linkage, space, line)?;
        loop {
            self.spend(STATEMENT)?;
            let mut variable = self.declarator(head.clone())?;
            if self.accept(Sign::Assign)? {
                variable.initial = Some(self.initial()?);
            }
            add(variable);
            if !self.expect_or_comma(Sign::Semicolon)? {
                return Ok(());
            }
        }
    }

    /// `.param .align 8 .b8 name[16]` or `.reg .b32 name` of a function.
    pub(super) fn parameter(&mut self) -> Result<Variable<'t>> {
        self.spend(2 * STATEMENT)?;
        let line = self.line();
        let space = match self.token.kind {
            Kind::Dotted("param") => Space::Param,
            Kind::Dotted("reg") => Space::Reg,
            _ => return self.unexpected("`.param` or `.reg`"),
        };
        self.advance()?;
        let head = self.head(None, space, line)?;
        self.declarator(head)
    }

    /// Attributes, alignment, vector, type and what a pointer points to.
    fn head(&mut self, linkage: Option<Linkage>, space: Space, line: u32) -> Result<Variable<'t>> {
        let (mut attributes, mut align, mut vector, mut ty) = (Vec::new(), None, None, None);
        while let Kind::Dotted(word) = self.token.kind {
            let token = self.token;
            match word {
                "attribute" => self.attributes(&mut attributes)?,
                "align" if align.is_none() => {
                    self.advance()?;
                    align = Some(self.alignment()?);
                }
                "v2" | "v4" if vector.is_none() => {
                    self.advance()?;
                    vector = Some(if word == "v2" { 2 } else { 4 });
                }
                "ptr" if ty.is_some() => break,
                "texref" | "samplerref" | "surfref" => {
                    return self.error_at(
                        token,
                        Code::Unsupported,
                        "a type other than textures, samplers and surfaces",
                    );
                }
                _ => match Type::from_name(word) {
                    Some(found) if ty.is_none() => {
                        self.advance()?;
                        ty = Some(found);
                    }
                    _ => return self.error_at(token, Code::Directive, "a type such as `.b32`, `.align` or a name"),
                },
            }
        }
        let Some(ty) = ty else { return self.unexpected("a type such as `.b32`") };
        let pointer = if self.accept_dotted("ptr")? { Some(self.pointer()?) } else { None };
        Ok(Variable {
            linkage,
            attributes,
            space,
            align,
            vector,
            ty,
            pointer,
            name: "",
            dimensions: Vec::new(),
            initial: None,
            line,
        })
    }

    fn pointer(&mut self) -> Result<Pointer> {
        let mut pointer = Pointer { space: None, align: None };
        while let Kind::Dotted(word) = self.token.kind {
            match Space::from_name(word) {
                Some(space) if space != Space::Reg && pointer.space.is_none() => {
                    self.advance()?;
                    pointer.space = Some(space);
                }
                _ if word == "align" && pointer.align.is_none() => {
                    self.advance()?;
                    pointer.align = Some(self.alignment()?);
                }
                _ => return self.error_at(self.token, Code::Directive, "a state space, `.align` or a name"),
            }
        }
        Ok(pointer)
    }

    /// `.attribute(.managed)`, `.attribute(.unified(1, 2))`.
    pub(super) fn attributes(&mut self, attributes: &mut Vec<Attribute>) -> Result<()> {
        self.advance()?;
        self.expect(Sign::OpenParenthesis)?;
        loop {
            self.spend(1)?;
            let token = self.token;
            attributes.push(match self.dotted("`.managed` or `.unified`")? {
                "managed" => Attribute::Managed,
                "unified" => {
                    self.expect(Sign::OpenParenthesis)?;
                    let high = self.number("half of a UUID")?;
                    self.expect(Sign::Comma)?;
                    let low = self.number("half of a UUID")?;
                    self.expect(Sign::CloseParenthesis)?;
                    Attribute::Unified(high, low)
                }
                _ => return self.error_at(token, Code::Directive, "`.managed` or `.unified`"),
            });
            if !self.expect_or_comma(Sign::CloseParenthesis)? {
                return Ok(());
            }
        }
    }

    /// Name and array sizes; `variable` has the rest.
    fn declarator(&mut self, mut variable: Variable<'t>) -> Result<Variable<'t>> {
        let token = self.token;
        variable.name = self.name("a name")?;
        while self.accept(Sign::OpenBracket)? {
            self.spend(1)?;
            if self.accept(Sign::CloseBracket)? {
                variable.dimensions.push(None);
                continue;
            }
            let at = self.token;
            let size = self.integer()?;
            match u64::try_from(size.value()) {
                Ok(size) => variable.dimensions.push(Some(size)),
                Err(_) => return self.error_at(at, Code::Range, "an array size that is not negative"),
            }
            self.expect(Sign::CloseBracket)?;
        }
        let sizes = variable.dimensions.iter().map(|size| size.unwrap_or(1));
        let bytes = sizes.fold(variable.element(), u64::saturating_mul);
        if bytes > self.limits.variable {
            return self.error_at(token, Code::Limit, format!("a variable of at most {} bytes", self.limits.variable));
        }
        Ok(variable)
    }

    fn initial(&mut self) -> Result<Initial<'t>> {
        self.spend(1)?;
        if self.accept(Sign::OpenBrace)? {
            if self.accept(Sign::CloseBrace)? {
                return Ok(Initial::List(Vec::new()));
            }
            self.spend(STATEMENT)?;
            return self.deeper(|parser| {
                let mut list = Vec::new();
                loop {
                    list.push(parser.initial()?);
                    if !parser.expect_or_comma(Sign::CloseBrace)? {
                        return Ok(Initial::List(list));
                    }
                }
            });
        }
        match self.token.kind {
            Kind::Word(name) => {
                self.advance()?;
                self.symbol(name, None)
            }
            _ => match self.constant()? {
                // `0xFF(name)` is the byte of an address under a mask.
                Kind::Int(Int { bits, .. }) if self.accept(Sign::OpenParenthesis)? => {
                    let name = self.name("the name of a variable or function")?;
                    let symbol = self.symbol(name, Some(bits))?;
                    self.expect(Sign::CloseParenthesis)?;
                    Ok(symbol)
                }
                Kind::F32(bits) => Ok(Initial::F32(bits)),
                Kind::F64(bits) => Ok(Initial::F64(bits)),
                Kind::Int(int) => Ok(Initial::Int(int)),
                _ => self.unexpected("a value"),
            },
        }
    }

    /// `name+4` or `generic(name)+4`, behind the first word.
    fn symbol(&mut self, word: &'t str, mask: Option<u64>) -> Result<Initial<'t>> {
        let (name, generic) = if word == "generic" && self.accept(Sign::OpenParenthesis)? {
            let name = self.name("the name of a variable")?;
            self.expect(Sign::CloseParenthesis)?;
            (name, true)
        } else {
            (word, false)
        };
        let offset = self.offset()?.unwrap_or(0);
        Ok(Initial::Symbol { name, generic, offset, mask })
    }
}
