//! The parser: recursive descent, one diagnostic per broken statement, all reported at once.

use super::lexer::{Kind, Token, lex, unquote};
use crate::attr::{Attr, AttrKind, Attrs};
use crate::constant::{Constant, ConstantStore, Hash};
use crate::custom::{Generics, OpSet};
use crate::graph::{Function, Module, Origin, Output, ValueId};
use crate::op::{OpDef, OpView, kind_text};
use crate::ty::{Encoding, TensorType};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use tricot_types::{DType, Diagnostic, Poly, Source, Symbol, SymbolInfo};

/// Longer texts are refused.
pub const MAX_TEXT_BYTES: usize = 256 << 20;
/// A splat or dense constant larger than this is refused: text must not be able to ask for any amount of memory.
const MAX_CONSTANT_ELEMENTS: u64 = 1 << 24;
/// More diagnostics than this are not collected.
const MAX_PROBLEMS: usize = 50;

pub(super) type Fallible<T> = Result<T, Diagnostic>;

/// Reads a module. `constants` resolves `blake3<…>` references; what is used is copied into the module.
pub fn parse(name: &str, text: &str, constants: &ConstantStore) -> Result<Module, Vec<Diagnostic>> {
    parse_with(name, text, constants, &OpSet::default())
}

/// As [`parse`], with ops declared elsewhere; those that are used become the module's.
pub fn parse_with(
    name: &str,
    text: &str,
    constants: &ConstantStore,
    library: &OpSet,
) -> Result<Module, Vec<Diagnostic>> {
    if text.len() > MAX_TEXT_BYTES {
        let message = format!("{name} holds {} bytes, more than the limit of {MAX_TEXT_BYTES}", text.len());
        return Err(vec![Diagnostic::error("TC0100", message)]);
    }
    let source = Arc::new(Source { name: name.into(), text: text.into() });
    let mut parser = Parser::new(&source, lex(text), constants);
    parser.module.ops = library.clone();
    parser.items(&["module", "symbol", "func", "op"]);
    let Parser { mut module, mut problems, .. } = parser;
    let own = module.ops.clone();
    module.ops = own.kept(library, module.functions.values());
    if problems.is_empty() {
        problems = crate::verify::verify(&module).err().unwrap_or_default();
    }
    if problems.is_empty() { Ok(module) } else { Err(problems) }
}

/// A constant as written, before its type is known.
pub(super) enum Literal {
    Dense(Vec<String>),
    Splat(String),
    Stored(Hash),
    Named(String),
}

pub(super) struct Parser<'a> {
    pub(super) source: &'a Arc<Source>,
    pub(super) tokens: Vec<Token>,
    pub(super) at: usize,
    known: &'a ConstantStore,
    pub(super) module: Module,
    pub(super) problems: Vec<Diagnostic>,
    /// What names stand for in the body of a declaration.
    pub(super) generics: Option<Generics>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(source: &'a Arc<Source>, tokens: Vec<Token>, known: &'a ConstantStore) -> Parser<'a> {
        Parser { source, tokens, at: 0, known, module: Module::default(), problems: vec![], generics: None }
    }
}

impl Parser<'_> {
    pub(super) fn peek(&self) -> &Token {
        &self.tokens[self.at]
    }

    pub(super) fn slice(&self, span: &Range<usize>) -> &str {
        &self.source.text[span.clone()]
    }

    fn text(&self) -> &str {
        self.slice(&self.peek().span)
    }

    pub(super) fn next(&mut self) -> Token {
        let token = self.tokens[self.at].clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    pub(super) fn error(&self, code: &'static str, message: impl Into<String>, span: Range<usize>) -> Diagnostic {
        Diagnostic::error(code, message).at_text(self.source, span, "")
    }

    pub(super) fn unexpected<T>(&self, wanted: &str) -> Fallible<T> {
        let token = self.peek();
        let found = if token.kind == Kind::End { "the end of the text".into() } else { format!("`{}`", self.text()) };
        Err(self.error("TC0101", format!("expected {wanted}, found {found}"), token.span.clone()))
    }

    pub(super) fn is(&self, text: &str) -> bool {
        self.text() == text && matches!(self.peek().kind, Kind::Punct | Kind::Word)
    }

    pub(super) fn eat(&mut self, text: &str) -> bool {
        let hit = self.is(text);
        if hit {
            self.next();
        }
        hit
    }

    pub(super) fn expect(&mut self, text: &str) -> Fallible<Token> {
        if self.is(text) { Ok(self.next()) } else { self.unexpected(&format!("`{text}`")) }
    }

    pub(super) fn kind(&mut self, kind: Kind, what: &str) -> Fallible<String> {
        if self.peek().kind != kind {
            return self.unexpected(what);
        }
        let span = self.next().span;
        Ok(self.slice(&span).to_string())
    }

    pub(super) fn string(&mut self) -> Fallible<String> {
        let span = self.peek().span.clone();
        let raw = self.kind(Kind::Str, "a string")?;
        unquote(&raw).ok_or_else(|| self.error("TC0101", "the string holds an unknown escape", span))
    }

    /// `@word` or `@"any text"`, the `@` included.
    pub(super) fn at_name(&mut self) -> Fallible<String> {
        self.expect("@")?;
        if self.peek().kind == Kind::Str { self.string() } else { self.kind(Kind::Word, "a name") }
    }

    pub(super) fn integer(&mut self) -> Fallible<i64> {
        let span = self.peek().span.clone();
        if self.peek().kind == Kind::Attr {
            return match self.attr_value()? {
                Attr::Int(v) => Ok(v),
                _ => Err(self.error("TC0110", "the attribute is no integer", span)),
            };
        }
        let negative = self.eat("-");
        let digits = self.kind(Kind::Number, "an integer")?;
        let text = format!("{}{digits}", if negative { "-" } else { "" });
        text.parse().map_err(|_| self.error("TC0101", format!("`{text}` is not a 64-bit integer"), span))
    }

    // ---- file structure -----------------------------------------------------------------------

    /// Everything up to the end of the text; `allowed` names what may stand there.
    pub(super) fn items(&mut self, allowed: &[&str]) {
        while self.peek().kind != Kind::End && self.problems.len() < MAX_PROBLEMS {
            let result = match self.text() {
                word if !allowed.contains(&word) => {
                    let words: Vec<String> = allowed.iter().map(|w| format!("`{w}`")).collect();
                    self.unexpected(&words.join(" or "))
                }
                "module" => self.module_header(),
                "symbol" => self.symbol(),
                "op" => self.declaration(),
                _ => self.function(),
            };
            if let Err(problem) = result {
                self.problems.push(problem);
                self.next();
                while !(self.peek().line_start && allowed.contains(&self.text())) && self.peek().kind != Kind::End {
                    self.next();
                }
            }
        }
    }

    fn module_header(&mut self) -> Fallible<()> {
        self.next();
        self.module.name = self.at_name()?;
        Ok(())
    }

    fn symbol(&mut self) -> Fallible<()> {
        self.next();
        let span = self.peek().span.clone();
        let name = self.kind(Kind::Word, "a symbol")?;
        let symbol = Symbol::new(&name)
            .ok_or_else(|| self.error("TC0101", format!("`{name}` cannot name a symbol"), span.clone()))?;
        let mut info = SymbolInfo::default();
        if self.eat("{") {
            while !self.eat("}") {
                let field = self.kind(Kind::Word, "min, max, multiple or hint")?;
                self.expect("=")?;
                let value = self.integer()?;
                match field.as_str() {
                    "min" => info.min = value,
                    "max" => info.max = value,
                    "multiple" => info.multiple = value,
                    "hint" => info.hint = value,
                    _ => return Err(self.error("TC0101", format!("a symbol has no `{field}`"), span)),
                }
                if !self.eat(",") && !self.is("}") {
                    return self.unexpected("`,` or `}`");
                }
            }
        }
        if info.min < 0 || info.multiple < 1 || info.max < info.min {
            return Err(self.error("TC0105", format!("symbol `{name}` admits no value: {info:?}"), span));
        }
        self.module.symbols.insert(symbol, info);
        Ok(())
    }

    fn function(&mut self) -> Fallible<()> {
        self.next();
        let span = self.peek().span.clone();
        let name = self.at_name()?;
        if self.module.functions.contains_key(&name) {
            return Err(self.error("TC0106", format!("there are two functions @{name}"), span));
        }
        let mut function = Function::new(name);
        let mut values = BTreeMap::new();
        self.expect("(")?;
        while !self.eat(")") {
            let span = self.peek().span.clone();
            let value = self.kind(Kind::Value, "a parameter such as `%x`")?;
            let original = if self.peek().kind == Kind::Str { self.string()? } else { value[1..].to_string() };
            self.expect(":")?;
            let at = self.peek().span.clone();
            let ty = self.ty()?;
            if let Err(message) = ty.count() {
                return Err(self.error("TC0107", message, at));
            }
            let id = function.add_input(original, ty);
            if values.insert(value.clone(), id).is_some() {
                return Err(self.error("TC0104", format!("`{value}` is defined twice"), span));
            }
            if !self.eat(",") && !self.is(")") {
                return self.unexpected("`,` or `)`");
            }
        }
        self.expect("{")?;
        self.block(&mut function, &mut values)?;
        self.module.add_function(function);
        Ok(())
    }

    /// Statements up to the closing brace.
    pub(super) fn block(&mut self, function: &mut Function, values: &mut BTreeMap<String, ValueId>) -> Fallible<()> {
        let span = self.peek().span.clone();
        let mut returned = false;
        while !self.is("}") && self.peek().kind != Kind::End && self.problems.len() < MAX_PROBLEMS {
            let result = match self.is("return") {
                true => self.outputs(function, values).map(|()| returned = true),
                false => self.statement(function, values),
            };
            if let Err(problem) = result {
                // A use of something that failed to parse is no news.
                if !(problem.code == "TC0104" && !self.problems.is_empty()) {
                    self.problems.push(problem);
                }
                returned |= self.tokens[..self.at].last().is_some_and(|t| self.slice(&t.span) == "return");
                while !self.peek().line_start && self.peek().kind != Kind::End {
                    self.next();
                }
            }
        }
        self.expect("}")?;
        if !returned && self.problems.is_empty() {
            return Err(self.error("TC0101", format!("@{} has no `return`", function.name), span));
        }
        Ok(())
    }

    fn value(&mut self, values: &BTreeMap<String, ValueId>) -> Fallible<ValueId> {
        let span = self.peek().span.clone();
        let name = self.kind(Kind::Value, "a value such as `%x`")?;
        values.get(&name).copied().ok_or_else(|| {
            self.error("TC0104", format!("`{name}` is not defined"), span)
                .with_help("values are defined before they are used")
        })
    }

    fn outputs(&mut self, function: &mut Function, values: &BTreeMap<String, ValueId>) -> Fallible<()> {
        self.next();
        loop {
            let name = self.string()?;
            self.expect("=")?;
            let value = self.value(values)?;
            let alias = if self.eat("alias") { Some(self.string()?) } else { None };
            function.outputs.push(Output { name, value, alias });
            if !self.eat(",") {
                return Ok(());
            }
        }
    }

    fn statement(&mut self, function: &mut Function, values: &mut BTreeMap<String, ValueId>) -> Fallible<()> {
        let mut results: Vec<(String, Range<usize>)> = vec![];
        loop {
            let span = self.peek().span.clone();
            results.push((self.kind(Kind::Value, "a statement such as `%y = core.map %x …`")?, span));
            if !self.eat(",") {
                break;
            }
        }
        self.expect("=")?;
        let op_span = self.peek().span.clone();
        let op_name = self.kind(Kind::Word, "an op such as `core.map`")?;
        let Some(def) = self.module.ops.lookup(&op_name) else {
            let problem = self.error("TC0103", format!("there is no op `{op_name}`"), op_span);
            return Err(match self.module.ops.suggest(&op_name) {
                Some(near) => problem.with_help(format!("did you mean `{near}`?")),
                None => problem,
            });
        };
        let mut operands = vec![];
        if self.peek().kind == Kind::Value {
            operands.push(self.value(values)?);
            while self.eat(",") {
                operands.push(self.value(values)?);
            }
        }
        let (mut attrs, literal) = self.attributes(def)?;
        self.expect(":")?;
        let mut types = vec![self.ty()?];
        while self.eat(",") {
            types.push(self.ty()?);
        }
        if let Some((name, literal)) = literal {
            attrs.set(name, self.constant(literal, &types[0], op_span.clone())?);
        }
        let operand_types: Vec<_> = operands.iter().map(|v: &ValueId| function.ty(*v).clone()).collect();
        let attrs =
            def.complete(attrs).map_err(|m| self.error("TC0110", format!("`{op_name}`: {m}"), op_span.clone()))?;
        if self.generics.is_some() && def.name == "core.call" {
            return Err(self.error("TC0122", "the body of a declared op calls no function", op_span));
        }
        // Calls are checked by the verifier, when all functions are known.
        if def.name != "core.call" {
            let constant = match attrs.get("value") {
                Some(Attr::Constant(h)) => self.module.constants.get(*h),
                _ => None,
            };
            let view = OpView { def, operands: &operand_types, attrs: &attrs, constant, callee: None };
            let inferred =
                def.infer(view).map_err(|m| self.error("TC0110", format!("`{op_name}`: {m}"), op_span.clone()))?;
            if inferred != types {
                let show = |ts: &[TensorType]| ts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let message = format!("`{op_name}` gives {}, the text says {}", show(&inferred), show(&types));
                return Err(self.error("TC0112", message, op_span));
            }
        }
        if results.len() != types.len() {
            let message = format!("`{op_name}` has {} results, {} are named", types.len(), results.len());
            return Err(self.error("TC0112", message, op_span));
        }
        let before = &self.source.text[..op_span.start];
        let line = before.matches('\n').count() + 1;
        let column = op_span.start - before.rfind('\n').map_or(0, |i| i + 1) + 1;
        let origin = Origin { file: self.source.name.clone(), node: format!("{line}:{column}"), op: op_name };
        // What a body computes comes from its call.
        let origin = if self.generics.is_some() { None } else { Some(Arc::new(origin)) };
        let node = function.add_node(def, attrs, operands, types, origin);
        let is_number = |n: &str| n.bytes().all(|b| b.is_ascii_digit());
        let names = results.iter().map(|(n, _)| if is_number(&n[1..]) { String::new() } else { n[1..].to_string() });
        function.node_mut(node).names = names.collect();
        for (i, (name, span)) in results.into_iter().enumerate() {
            if values.insert(name.clone(), ValueId { node, result: i as u32 }).is_some() {
                return Err(self.error("TC0104", format!("`{name}` is defined twice"), span));
            }
        }
        Ok(())
    }

    // ---- types and attributes -----------------------------------------------------------------

    pub(super) fn dtype(&mut self) -> Fallible<DType> {
        let span = self.peek().span.clone();
        if self.peek().kind == Kind::Attr {
            return match self.attr_value()? {
                Attr::DType(dtype) => Ok(dtype),
                _ => Err(self.error("TC0102", "the attribute is no element type", span)),
            };
        }
        let word = self.kind(Kind::Word, "an element type")?;
        if let Some(dtype) = self.generics.as_ref().and_then(|g| g.dtypes.get(&word)) {
            return Ok(*dtype);
        }
        word.parse().map_err(|_| {
            let all: Vec<_> = DType::ALL.iter().map(|d| d.name()).collect();
            self.error("TC0102", format!("`{word}` is no element type"), span)
                .with_help(format!("one of {}", all.join(", ")))
        })
    }

    fn ty(&mut self) -> Fallible<TensorType> {
        let dtype = self.dtype()?;
        self.expect("[")?;
        let mut ty = TensorType::scalar(dtype);
        while !self.eat("]") {
            if self.is("sparse24") || self.is("winograd") {
                let sparse = self.next();
                let sparse = self.slice(&sparse.span) == "sparse24";
                self.expect("<")?;
                let number = |p: &mut Self| -> Fallible<u32> {
                    let span = p.peek().span.clone();
                    let v = p.integer()?;
                    u32::try_from(v).map_err(|_| p.error("TC0101", format!("{v} is out of range"), span))
                };
                let first = number(self)?;
                ty.encoding = Some(match sparse {
                    true => Encoding::Sparse24 { axis: first },
                    false => {
                        self.expect(",")?;
                        Encoding::Winograd { m: first, r: number(self)? }
                    }
                });
                self.expect(">")?;
            } else {
                ty.shape.push(self.poly()?);
            }
            if ty.shape.len() > 16 {
                return self.unexpected("at most 16 axes");
            }
            if !self.eat(",") && !self.is("]") {
                return self.unexpected("`,` or `]`");
            }
        }
        Ok(ty)
    }

    /// A polynomial: everything up to `,`, `]`, `}` or `>` outside parentheses.
    pub(super) fn poly(&mut self) -> Fallible<Poly> {
        let start = self.peek().span.start;
        let (mut end, mut depth) = (start, 0);
        while self.peek().kind != Kind::End {
            match self.text() {
                "(" => depth += 1,
                ")" if depth > 0 => depth -= 1,
                "," | "]" | "}" | ">" | ")" | ":" | "{" | "=" if depth == 0 => break,
                _ => {}
            }
            end = self.next().span.end;
        }
        let poly: Poly = self.source.text[start..end].parse().map_err(|e: tricot_types::ParsePolyError| {
            let at = (start + e.offset).min(end);
            self.error("TC0101", format!("bad size: {}", e.message), at..end.max(at))
        })?;
        let Some(generics) = &self.generics else { return Ok(poly) };
        let mut unknown = None;
        poly.visit_symbols(&mut |s| {
            if !generics.sizes.contains_key(s) {
                unknown = Some(s.clone());
            }
        });
        match unknown {
            None => Ok(poly.substitute(&generics.sizes)),
            Some(s) => Err(self.error("TC0113", format!("`{s}` is no size of the op's operands"), start..end)),
        }
    }

    /// `$name`: the value an attribute of a declared op has in this call.
    fn attr_value(&mut self) -> Fallible<Attr> {
        let span = self.next().span;
        let name = self.slice(&span)[1..].to_string();
        let value = self.generics.as_ref().and_then(|g| g.attrs.get(&name)).cloned();
        value.ok_or_else(|| self.error("TC0104", format!("there is no attribute `${name}` here"), span))
    }

    pub(super) fn list<T>(&mut self, item: impl Fn(&mut Self) -> Fallible<T>) -> Fallible<Vec<T>> {
        self.expect("[")?;
        let mut out = vec![];
        while !self.eat("]") {
            out.push(item(self)?);
            if !self.eat(",") && !self.is("]") {
                return self.unexpected("`,` or `]`");
            }
        }
        Ok(out)
    }

    pub(super) fn number_text(&mut self) -> Fallible<String> {
        let sign = if self.eat("-") { "-" } else { "" };
        if self.peek().kind == Kind::Attr {
            let span = self.peek().span.clone();
            let text = match self.attr_value()? {
                Attr::Float(bits) => super::print::float_text(f64::from_bits(bits)),
                Attr::Int(v) => v.to_string(),
                Attr::Bool(v) => v.to_string(),
                _ => return Err(self.error("TC0110", "the attribute is no number", span)),
            };
            return Ok(match text.strip_prefix('-') {
                Some(positive) if sign == "-" => positive.to_string(),
                _ => format!("{sign}{text}"),
            });
        }
        if self.is("inf") || self.is("nan") || self.is("true") || self.is("false") {
            let span = self.next().span;
            return Ok(format!("{sign}{}", self.slice(&span)));
        }
        Ok(format!("{sign}{}", self.kind(Kind::Number, "a number")?))
    }

    /// The value of an attribute that is no constant.
    pub(super) fn plain_attr(&mut self, kind: AttrKind) -> Fallible<Attr> {
        let span = self.peek().span.clone();
        Ok(match kind {
            AttrKind::Int if self.peek().kind == Kind::Attr => self.attr_value()?,
            AttrKind::Int => self.integer()?.into(),
            AttrKind::Float => {
                let text = self.number_text()?;
                let v: f64 =
                    text.parse().map_err(|_| self.error("TC0101", format!("`{text}` is no float"), span.clone()))?;
                v.into()
            }
            AttrKind::Bool => match self.text() {
                "true" | "false" => {
                    let token = self.next();
                    (self.slice(&token.span) == "true").into()
                }
                _ => return self.unexpected("true or false"),
            },
            AttrKind::Str | AttrKind::Word(_) => self.string()?.into(),
            AttrKind::DType => self.dtype()?.into(),
            AttrKind::Dim => self.poly()?.into(),
            AttrKind::Dims => self.list(Self::poly)?.into(),
            AttrKind::Ints => self.list(Self::integer)?.into(),
            AttrKind::Function => self.at_name()?.into(),
            AttrKind::Constant => return self.unexpected("no constant"),
        })
    }

    #[allow(clippy::type_complexity)]
    fn attributes(&mut self, def: &'static OpDef) -> Fallible<(Attrs, Option<(&'static str, Literal)>)> {
        let (mut attrs, mut literal) = (Attrs::new(), None);
        if !self.eat("{") {
            return Ok((attrs, literal));
        }
        while !self.eat("}") {
            let span = self.peek().span.clone();
            let name = self.kind(Kind::Word, "an attribute")?;
            let Some(attr) = def.attr(&name) else {
                let all: Vec<_> = def.attrs.iter().map(|a| a.name).collect();
                let problem = self.error("TC0110", format!("`{}` has no attribute `{name}`", def.name), span);
                return Err(problem.with_help(format!("it has {}", all.join(", "))));
            };
            self.expect("=")?;
            let span = self.peek().span.clone();
            let value = match attr.kind {
                AttrKind::Constant => {
                    literal = Some((attr.name, self.literal()?));
                    if !self.eat(",") && !self.is("}") {
                        return self.unexpected("`,` or `}`");
                    }
                    continue;
                }
                // Numbers may also be part of a larger form, so those see the attribute's value themselves.
                AttrKind::Str | AttrKind::Word(_) | AttrKind::Bool if self.peek().kind == Kind::Attr => {
                    self.attr_value()?
                }
                kind => self.plain_attr(kind)?,
            };
            if !value.fits(attr.kind) {
                let message = format!("attribute `{name}` must be {}", kind_text(attr.kind));
                return Err(self.error("TC0110", message, span));
            }
            if attrs.get(attr.name).is_some() {
                return Err(self.error("TC0110", format!("attribute `{name}` is given twice"), span));
            }
            attrs.set(attr.name, value);
            if !self.eat(",") && !self.is("}") {
                return self.unexpected("`,` or `}`");
            }
        }
        Ok((attrs, literal))
    }

    fn literal(&mut self) -> Fallible<Literal> {
        let span = self.peek().span.clone();
        let form = self.kind(Kind::Word, "dense<[…]>, splat<x>, weight<\"name\"> or blake3<hash>")?;
        self.expect("<")?;
        let literal = match form.as_str() {
            "dense" => Literal::Dense(self.list(Self::number_text)?),
            "splat" => Literal::Splat(self.number_text()?),
            "weight" => Literal::Named(self.string()?),
            "blake3" => {
                // Hex digits may lex as several number and word tokens.
                let start = self.peek().span.start;
                while matches!(self.peek().kind, Kind::Word | Kind::Number) {
                    self.next();
                }
                let end = self.peek().span.start;
                let hash = self.source.text[start..end].trim().parse();
                Literal::Stored(hash.map_err(|m: String| self.error("TC0101", m, start..end))?)
            }
            _ => {
                return Err(self.error(
                    "TC0101",
                    format!("`{form}` is no constant; use dense, splat, weight or blake3"),
                    span,
                ));
            }
        };
        self.expect(">")?;
        Ok(literal)
    }

    fn constant(&mut self, literal: Literal, ty: &TensorType, span: Range<usize>) -> Fallible<Hash> {
        let fail = |message: String| self.error("TC0107", message, span.clone());
        let shape: Option<Vec<u64>> =
            ty.shape.iter().map(|d| d.as_constant().and_then(|c| u64::try_from(c).ok())).collect();
        let shape = shape.ok_or_else(|| fail(format!("a constant has no symbolic size: {ty}")))?;
        let count = shape.iter().try_fold(1u64, |a, d| a.checked_mul(*d)).filter(|n| *n <= MAX_CONSTANT_ELEMENTS);
        const HELP: &str = "pass the weights that belong to this text with --weights FILE.safetensors";
        let constant = match literal {
            Literal::Stored(hash) => match self.known.get(hash) {
                Some(c) => c.clone(),
                None => return Err(fail(format!("no weights are given for blake3<{hash}>")).with_help(HELP)),
            },
            Literal::Named(name) => match self.known.by_name(&name).and_then(|h| self.known.get(h)) {
                Some(c) if c.dtype == ty.dtype && c.shape == shape => {
                    let constant = c.clone();
                    return Ok(self.module.constants.add_named(&name, constant));
                }
                Some(c) => {
                    return Err(fail(format!("weight {name:?} is {}{:?}, the text says {ty}", c.dtype, c.shape)));
                }
                None => return Err(fail(format!("there is no weight named {name:?}")).with_help(HELP)),
            },
            Literal::Dense(_) | Literal::Splat(_) => {
                let count = count.ok_or_else(|| fail(format!("{ty} is too large to be written out")))?;
                let texts = match literal {
                    Literal::Dense(texts) if texts.len() as u64 == count => texts,
                    Literal::Dense(texts) => {
                        return Err(fail(format!("{ty} needs {count} values, {} are given", texts.len())));
                    }
                    Literal::Splat(text) => vec![text; count as usize],
                    Literal::Stored(_) | Literal::Named(_) => unreachable!("handled above"),
                };
                let bad = |t: &str| fail(format!("`{t}` is no {}", ty.dtype));
                match ty.dtype.is_float() {
                    true => {
                        let values = texts.iter().map(|t| t.parse::<f64>().map_err(|_| bad(t)));
                        Constant::from_f64(ty.dtype, shape, &values.collect::<Fallible<Vec<_>>>()?)
                    }
                    false => {
                        let parse = |t: &String| match t.as_str() {
                            "true" => Some(1i128),
                            "false" => Some(0),
                            other => other.parse().ok(),
                        };
                        let fits = |v: &i128| ty.dtype.int_range().is_some_and(|(lo, hi)| (lo..=hi).contains(v));
                        let values =
                            texts.iter().map(|t| parse(t).filter(fits).map(|v| v as i64).ok_or_else(|| bad(t)));
                        Constant::from_i64(ty.dtype, shape, &values.collect::<Fallible<Vec<_>>>()?)
                    }
                }
            }
        };
        Ok(self.module.constants.add(constant))
    }
}
