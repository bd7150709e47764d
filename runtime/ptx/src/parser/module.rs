//! The outermost level: `.version`, `.target`, and what follows.

use super::{Parser, Result};
use crate::ast::{Directive, Linkage, Module, Space, Version};
use crate::error::Code;
use crate::limits::STATEMENT;
use crate::token::{Kind, Sign};

const ITEM: &str = "`.entry`, `.func`, a variable, `.file`, `.section`, `.alias` or `.pragma`";

impl<'t> Parser<'t, '_> {
    /// Up to the end of the text or the next `.version`.
    pub(super) fn module(&mut self) -> Result<Module<'t>> {
        let mut module = Module { version: self.version()?, ..Module::default() };
        self.target(&mut module.target)?;
        loop {
            let token = self.token;
            let line = token.line;
            let name = match token.kind {
                Kind::End | Kind::Dotted("version") => return Ok(module),
                Kind::Sign(Sign::Semicolon) => {
                    self.advance()?;
                    continue;
                }
                Kind::Dotted(name) => name,
                _ => return self.unexpected(ITEM),
            };
            self.spend(STATEMENT)?;
            match name {
                "target" => self.target(&mut module.target)?,
                "address_size" => {
                    self.advance()?;
                    let size = self.token;
                    module.address_size = match self.number("32 or 64")? {
                        bits @ (32 | 64) => Some(bits as u32),
                        _ => return self.error_at(size, Code::Range, "32 or 64"),
                    };
                }
                "pragma" => {
                    self.advance()?;
                    module.directives.push(Directive::Pragma { texts: self.texts()?, line });
                }
                "alias" => {
                    self.advance()?;
                    let name = self.name("the name of the alias")?;
                    self.expect(Sign::Comma)?;
                    let target = self.name("the name of a function")?;
                    self.expect(Sign::Semicolon)?;
                    module.directives.push(Directive::Alias { name, target, line });
                }
                "file" => module.files.push(self.file()?),
                "section" => module.sections.push(self.section()?),
                _ => {
                    let linkage = Linkage::from_name(name);
                    if linkage.is_some() {
                        self.advance()?;
                    }
                    match self.token.kind {
                        Kind::Dotted("entry" | "func") => {
                            let function = self.function(linkage, line)?;
                            module.functions.push(function);
                        }
                        Kind::Dotted(name) => match Space::from_name(name) {
                            Some(
                                space @ (Space::Global | Space::Const | Space::Shared | Space::Local | Space::Param),
                            ) => {
                                self.variables(linkage, space, line, &mut |variable| module.globals.push(variable))?;
                            }
                            _ => return self.error_at(self.token, Code::Directive, ITEM),
                        },
                        _ => return self.unexpected(ITEM),
                    }
                }
            }
        }
    }

    fn version(&mut self) -> Result<Version> {
        let line = self.line();
        if !self.accept_dotted("version")? {
            return self.unexpected("`.version`");
        }
        let token = self.token;
        let text = &self.lexer.text()[token.start..token.end];
        let number = |text: &str| {
            (text.len() <= 4 && text.bytes().all(|c| c.is_ascii_digit())).then(|| text.parse().ok()).flatten()
        };
        match text.split_once('.').map(|(major, minor)| (number(major), number(minor))) {
            Some((Some(major), Some(minor))) => {
                self.advance()?;
                Ok(Version { major, minor, line })
            }
            _ => self.error_at(token, Code::Number, "a version such as `8.7`"),
        }
    }

    fn target(&mut self, target: &mut Vec<&'t str>) -> Result<()> {
        if !self.accept_dotted("target")? {
            return self.unexpected("`.target`");
        }
        loop {
            self.spend(1)?;
            target.push(self.name("an architecture such as `sm_90a`")?);
            if !self.accept(Sign::Comma)? {
                return Ok(());
            }
        }
    }
}
