//! Tokens to the tree, by recursive descent.
//!
//! Central type: [`Parser`], which holds the next token and what is left of the limits.

mod body;
mod constant;
mod debug;
mod function;
mod instruction;
mod module;
mod operand;
mod variable;

use crate::ast::{LocationId, Module, Operand};
use crate::error::{Code, SyntaxError};
use crate::lexer::{Lexer, quoted};
use crate::limits::{Limits, STATEMENT};
use crate::token::{Kind, Sign, Token};

type Result<T> = std::result::Result<T, SyntaxError>;

pub(crate) fn module<'t>(text: &'t str, limits: &Limits) -> Result<Module<'t>> {
    let mut parser = Parser::new(text, limits)?;
    let module = parser.module()?;
    if parser.token.kind != Kind::End {
        return parser.unexpected("the end of the text, or no more than one module in it");
    }
    Ok(module)
}

pub(crate) fn modules<'t>(text: &'t str, limits: &Limits) -> Result<Vec<Module<'t>>> {
    let mut parser = Parser::new(text, limits)?;
    let mut modules = Vec::new();
    loop {
        parser.spend(2 * STATEMENT)?;
        modules.push(parser.module()?);
        if parser.token.kind == Kind::End {
            return Ok(modules);
        }
    }
}

struct Parser<'t, 'l> {
    lexer: Lexer<'t>,
    /// The next token.
    token: Token<'t>,
    /// End of the token before it.
    last: usize,
    limits: &'l Limits,
    depth: u32,
    nodes: u32,
    /// Registers that the function declared so far.
    registers: u32,
    /// Locations of the function so far.
    locations: Vec<crate::ast::Location<'t>>,
    /// Operands and modifiers of what is being read; finished lists leave it, so that each is allocated once, at its size.
    operands: Vec<Operand<'t>>,
    modifiers: Vec<&'t str>,
}

impl<'t, 'l> Parser<'t, 'l> {
    fn new(text: &'t str, limits: &'l Limits) -> Result<Self> {
        let mut lexer = Lexer::new(text);
        if text.len() > limits.text {
            let expected = format!("a text of at most {} bytes", limits.text);
            return Err(lexer.error(Code::Limit, 0, 1, expected, format!("{} bytes", text.len())));
        }
        let token = lexer.next()?;
        Ok(Parser {
            lexer,
            token,
            last: 0,
            limits,
            depth: 0,
            nodes: 0,
            registers: 0,
            locations: Vec::new(),
            operands: Vec::new(),
            modifiers: Vec::new(),
        })
    }

    /// Takes the next token.
    fn advance(&mut self) -> Result<Token<'t>> {
        let token = self.token;
        self.last = token.end;
        self.token = self.lexer.next()?;
        Ok(token)
    }

    fn line(&self) -> u32 {
        self.token.line
    }

    /// An error at `token`.
    fn error_at<T>(&self, token: Token<'t>, code: Code, expected: impl Into<String>) -> Result<T> {
        let found = match token.kind {
            Kind::End => "the end of the text".to_string(),
            _ => quoted(&self.lexer.text()[token.start..token.end]),
        };
        Err(self.lexer.error(code, token.start, token.line, expected.into(), found))
    }

    /// The next token is not `expected`.
    fn unexpected<T>(&self, expected: impl Into<String>) -> Result<T> {
        self.error_at(self.token, Code::Unexpected, expected)
    }

    fn is(&self, sign: Sign) -> bool {
        self.token.kind == Kind::Sign(sign)
    }

    /// Takes `sign` if it comes next.
    fn accept(&mut self, sign: Sign) -> Result<bool> {
        let found = self.is(sign);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, sign: Sign) -> Result<()> {
        if self.accept(sign)? { Ok(()) } else { self.unexpected(format!("`{}`", sign.text())) }
    }

    /// `sign`, or a comma and another of a list.
    fn expect_or_comma(&mut self, sign: Sign) -> Result<bool> {
        match self.token.kind {
            Kind::Sign(Sign::Comma) => self.advance().map(|_| true),
            Kind::Sign(found) if found == sign => self.advance().map(|_| false),
            _ => self.unexpected(format!("`,` or `{}`", sign.text())),
        }
    }

    /// A name; `what` says of what.
    fn name(&mut self, what: &str) -> Result<&'t str> {
        match self.token.kind {
            Kind::Word(name) => self.advance().map(|_| name),
            _ => self.unexpected(what),
        }
    }

    /// A word behind a dot.
    fn dotted(&mut self, what: &str) -> Result<&'t str> {
        match self.token.kind {
            Kind::Dotted(name) => self.advance().map(|_| name),
            _ => self.unexpected(what),
        }
    }

    /// Takes the directive `.name` if it comes next.
    fn accept_dotted(&mut self, name: &str) -> Result<bool> {
        let found = self.token.kind == Kind::Dotted(name);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    /// An integer that is written as one literal.
    fn number(&mut self, what: &str) -> Result<u64> {
        match self.token.kind {
            Kind::Int(int) => self.advance().map(|_| int.bits),
            _ => self.unexpected(what),
        }
    }

    /// A number from `low` to `high`.
    fn ranged(&mut self, what: &str, low: u32, high: u32) -> Result<u32> {
        let token = self.token;
        let number = self.number(what)?;
        match u32::try_from(number) {
            Ok(number) if (low..=high).contains(&number) => Ok(number),
            _ => self.error_at(token, Code::Range, format!("{what} from {low} to {high}")),
        }
    }

    /// A power of two that is an alignment.
    fn alignment(&mut self) -> Result<u32> {
        let token = self.token;
        let align = self.ranged("an alignment", 1, 1 << 30)?;
        if align.is_power_of_two() {
            Ok(align)
        } else {
            self.error_at(token, Code::Range, "an alignment that is a power of two")
        }
    }

    /// `"a", "b"`, and a semicolon.
    fn texts(&mut self) -> Result<Vec<&'t str>> {
        let mut texts = Vec::new();
        loop {
            self.spend(1)?;
            match self.token.kind {
                Kind::Text(text) => texts.push(text),
                _ => return self.unexpected("a string"),
            }
            self.advance()?;
            if !self.expect_or_comma(Sign::Semicolon)? {
                return Ok(texts);
            }
        }
    }

    /// `a, b`, and a semicolon.
    fn names(&mut self, what: &str) -> Result<Vec<&'t str>> {
        let mut names = Vec::new();
        loop {
            self.spend(1)?;
            names.push(self.name(what)?);
            if !self.expect_or_comma(Sign::Semicolon)? {
                return Ok(names);
            }
        }
    }

    /// Runs `inner` one level deeper.
    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= self.limits.depth {
            return self.error_at(
                self.token,
                Code::Limit,
                format!("at most {} levels inside each other", self.limits.depth),
            );
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// Accounts for `units` of the tree.
    fn spend(&mut self, units: u32) -> Result<()> {
        self.nodes = self.nodes.saturating_add(units);
        if self.nodes > self.limits.nodes {
            let expected = format!(
                "a text of at most {} statements, or operands {STATEMENT} times that",
                self.limits.nodes / STATEMENT
            );
            return self.error_at(self.token, Code::Limit, expected);
        }
        Ok(())
    }

    /// The `.loc` that holds here.
    fn location(&self) -> Option<LocationId> {
        self.locations.len().checked_sub(1).map(|last| LocationId(last as u32))
    }
}
