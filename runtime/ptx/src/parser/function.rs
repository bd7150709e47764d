//! Functions and their directives.

use super::{Parser, Result};
use crate::ast::{Function, FunctionKind, Linkage, Prototype, Tuning, Variable};
use crate::error::Code;
use crate::token::{Kind, Sign};

impl<'t> Parser<'t, '_> {
    /// From `.entry` or `.func` on.
    pub(super) fn function(&mut self, linkage: Option<Linkage>, line: u32) -> Result<Function<'t>> {
        self.registers = 0;
        self.locations.clear();
        let kind = if self.accept_dotted("entry")? {
            FunctionKind::Entry
        } else {
            self.advance()?;
            FunctionKind::Func
        };
        let mut attributes = Vec::new();
        while self.token.kind == Kind::Dotted("attribute") {
            self.attributes(&mut attributes)?;
        }
        let returns = match kind {
            FunctionKind::Func if self.is(Sign::OpenParenthesis) => self.parameters()?,
            _ => Vec::new(),
        };
        let name = self.name("the name of the function")?;
        let params = if self.is(Sign::OpenParenthesis) { self.parameters()? } else { Vec::new() };
        let tuning = self.tuning()?;
        let body = if self.is(Sign::OpenBrace) {
            Some(self.block()?)
        } else if self.accept(Sign::Semicolon)? {
            None
        } else {
            return self.unexpected("`{`, `;` or a directive such as `.maxntid`");
        };
        let locations = self.locations.drain(..).collect();
        Ok(Function { linkage, kind, attributes, name, returns, params, tuning, body, locations, line })
    }

    /// `(…)`.
    fn parameters(&mut self) -> Result<Vec<Variable<'t>>> {
        self.expect(Sign::OpenParenthesis)?;
        let mut params = Vec::new();
        if self.accept(Sign::CloseParenthesis)? {
            return Ok(params);
        }
        loop {
            params.push(self.parameter()?);
            if !self.expect_or_comma(Sign::CloseParenthesis)? {
                return Ok(params);
            }
        }
    }

    fn tuning(&mut self) -> Result<Vec<Tuning<'t>>> {
        const COUNT: u32 = u32::MAX;
        let mut tuning = Vec::new();
        while let Kind::Dotted(word) = self.token.kind {
            self.spend(1)?;
            let token = self.advance()?;
            tuning.push(match word {
                "maxnreg" => Tuning::MaxNReg(self.ranged("a number of registers", 0, COUNT)?),
                "maxntid" => Tuning::MaxNTid(self.sizes()?),
                "reqntid" => Tuning::ReqNTid(self.sizes()?),
                "minnctapersm" => Tuning::MinNCtaPerSm(self.ranged("a number of blocks", 0, COUNT)?),
                "maxnctapersm" => Tuning::MaxNCtaPerSm(self.ranged("a number of blocks", 0, COUNT)?),
                "reqnctapercluster" => Tuning::ReqNCtaPerCluster(self.sizes()?),
                "maxclusterrank" => Tuning::MaxClusterRank(self.ranged("a number of blocks", 0, COUNT)?),
                "explicitcluster" => Tuning::ExplicitCluster,
                "blocksareclusters" => Tuning::BlocksAreClusters,
                "noreturn" => Tuning::NoReturn,
                "abi_preserve" => Tuning::AbiPreserve(self.ranged("a number of registers", 0, COUNT)?),
                "abi_preserve_control" => Tuning::AbiPreserveControl(self.ranged("a number of registers", 0, COUNT)?),
                "pragma" => Tuning::Pragma(self.texts()?),
                _ => return self.error_at(token, Code::Directive, "`{`, `;` or a directive such as `.maxntid`"),
            });
        }
        Ok(tuning)
    }

    /// One to three sizes.
    fn sizes(&mut self) -> Result<[u32; 3]> {
        let mut sizes = [1; 3];
        for (index, size) in sizes.iter_mut().enumerate() {
            if index > 0 && !self.accept(Sign::Comma)? {
                break;
            }
            *size = self.ranged("a size", 0, u32::MAX)?;
        }
        Ok(sizes)
    }

    /// Behind `name: .callprototype`.
    pub(super) fn prototype(&mut self, name: &'t str, line: u32) -> Result<Prototype<'t>> {
        let returns = if self.is(Sign::OpenParenthesis) { self.parameters()? } else { Vec::new() };
        let token = self.token;
        if self.name("`_`")? != "_" {
            return self.error_at(token, Code::Unexpected, "`_`");
        }
        let params = if self.is(Sign::OpenParenthesis) { self.parameters()? } else { Vec::new() };
        let tuning = self.tuning()?;
        self.expect(Sign::Semicolon)?;
        Ok(Prototype { name, returns, params, tuning, line })
    }
}
