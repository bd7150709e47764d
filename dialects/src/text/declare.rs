//! Reading declarations of ops: `op @dialect.name(…) { … }` with its kernels, and filling bodies in.
//!
//! The central type is [`Template`], the tokens of a body. A body is read once when it is declared, with stand-ins for what its
//! names will mean, so that mistakes are found at the user's own line; and again for every call.

use super::lexer::{Kind, Token, lex};
use super::parse::{Fallible, Parser};
use crate::attr::{Attr, AttrKind, Attrs};
use crate::constant::ConstantStore;
use crate::custom::{
    Argument, Code, CustomKernel, CustomOp, Declaration, Generics, Instance, MAX_DEPTH, OpSet, Parameter,
    ParameterType, lasting,
};
use crate::graph::{Function, Module};
use crate::registry;
use crate::ty::TensorType;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use tricot_types::{DType, Diagnostic, Poly, Source, Symbol};

/// The body of a declaration.
#[derive(Clone, Debug)]
pub struct Template {
    source: Arc<Source>,
    tokens: Arc<[Token]>,
    /// The first token after the body's brace.
    at: usize,
}

/// Element types tried for a name that stands for any.
const STAND_INS: [DType; 8] =
    [DType::F32, DType::BF16, DType::F16, DType::F64, DType::I64, DType::I32, DType::U8, DType::Bool];

/// Calls that one call comes to when all declarations are filled in.
const MAX_WEIGHT: u64 = 1 << 14;

/// Largest kernel.
const MAX_CODE: usize = 16 << 20;

/// Threads a block may have, and bytes of dynamic shared memory (sm_90: 227 KiB).
const MAX_THREADS: u64 = 1024;
const MAX_SHARED: i64 = 232_448;

/// Reads declarations alone, such as a library of ops. Those of `known` may be used.
///
/// # Errors
/// TC01xx, as for graph text; TC0121 a name that is taken, TC0122 a declaration that cannot be, TC0123 a kernel that cannot be.
pub fn parse_ops(name: &str, text: &str, known: &OpSet) -> Result<OpSet, Vec<Diagnostic>> {
    let source = Arc::new(Source { name: name.into(), text: text.into() });
    let constants = ConstantStore::default();
    let mut parser = Parser::new(&source, lex(text), &constants);
    parser.module.ops = known.clone();
    parser.items(&["op"]);
    if parser.problems.is_empty() { Ok(parser.module.ops) } else { Err(parser.problems) }
}

impl Template {
    /// The body of `op` for a call.
    pub(crate) fn fill(
        &self,
        op: &CustomOp,
        operands: &[TensorType],
        generics: Generics,
    ) -> Result<Instance, Box<Diagnostic>> {
        let constants = ConstantStore::default();
        let mut parser = Parser::new(&self.source, self.tokens.to_vec(), &constants);
        parser.at = self.at;
        parser.module.ops = op.scope.clone();
        parser.generics = Some(generics);
        let mut function = Function::new(op.name.clone());
        let mut values = BTreeMap::new();
        for (p, ty) in op.parameters.iter().zip(operands) {
            values.insert(format!("%{}", p.name), function.add_input(p.name.clone(), ty.clone()));
        }
        let done = parser.block(&mut function, &mut values);
        let problem = parser.problems.into_iter().next().or(done.err());
        match problem {
            None => Ok(Instance { function, constants: parser.module.constants }),
            Some(d) => {
                let line = self.source.name.clone();
                Err(Box::new(d.with_note(format!("in the body of `{}`, declared in {line}", op.name))))
            }
        }
    }
}

/// What stands before a body.
struct Head {
    parameters: Vec<Parameter>,
    attrs: Vec<(String, AttrKind, Option<Attr>)>,
}

impl Parser<'_> {
    /// A declaration, from `op` on.
    pub(super) fn declaration(&mut self) -> Fallible<()> {
        let start = self.next().span.start;
        let span = self.peek().span.clone();
        let name = self.at_name()?;
        self.check_name(&name, &span)?;
        let head = self.head()?;
        self.expect("{")?;
        let body = self.at;
        let function = self.trial(&head)?;
        let end = self.tokens[self.at - 1].span.end;
        let results: Vec<String> = function.outputs.iter().map(|o| o.name.clone()).collect();
        let mut kernels = vec![];
        let mut end = end;
        while self.is("kernel") {
            kernels.push(self.kernel(&head, &results)?);
            end = self.tokens[self.at - 1].span.end;
        }
        let scope = self.module.ops.used_by(std::iter::once(&function));
        let weight = function
            .order()
            .into_iter()
            .fold(0u64, |sum, id| sum.saturating_add(function.node(id).op.declaration().map_or(1, |op| op.weight)));
        let depth = scope.declared().map(|op| op.depth).max().unwrap_or(0) + 1;
        if depth > MAX_DEPTH || weight > MAX_WEIGHT {
            let message = format!("`{name}` comes to {weight} calls, {depth} declarations deep");
            return Err(self
                .error("TC0122", message, span)
                .with_note(format!("the limits are {MAX_WEIGHT} and {MAX_DEPTH}")));
        }
        let text = self.source.text[start..end].to_string();
        // Calls are read from the declaration's own text, whatever file it came from.
        let source = Arc::new(Source { name: self.source.name.clone(), text: text.clone() });
        let tokens: Arc<[Token]> = lex(&text).into();
        let first = self.tokens.iter().position(|t| t.span.start == start).unwrap_or(0);
        let template = Template { source, tokens, at: body - first };
        let Head { parameters, attrs } = head;
        let declared = Declaration {
            name: name.clone(),
            text,
            parameters,
            attrs,
            results,
            kernels,
            scope,
            template,
            weight,
            depth,
        }
        .define();
        match self.module.ops.insert(declared) {
            true => Ok(()),
            false => Err(self
                .error("TC0121", format!("`{name}` is declared already, otherwise"), span)
                .with_help("one module knows one meaning of a name; rename one of the two")),
        }
    }

    fn check_name(&self, name: &str, span: &Range<usize>) -> Fallible<()> {
        let fail = |message: String| self.error("TC0121", message, span.clone());
        let words = |s: &str| s.split('.').all(super::print::is_word) && s.split('.').count() == 2;
        if !words(name) || name.len() > 128 {
            return Err(fail(format!("`{name}` cannot name an op")).with_help("write `@dialect.name`"));
        }
        let dialect = name.split('.').next().unwrap_or_default();
        match registry::all().any(|d| d.dialect() == dialect) {
            true => Err(fail(format!("the dialect `{dialect}` is Tricot's own")).with_help("choose another name")),
            false => Ok(()),
        }
    }

    /// `(%x: T[rows, cols], $alpha: float = 1.0)`.
    fn head(&mut self) -> Fallible<Head> {
        let mut head = Head { parameters: vec![], attrs: vec![] };
        self.expect("(")?;
        while !self.eat(")") {
            let span = self.peek().span.clone();
            let token = self.next();
            let name = self.slice(&token.span).get(1..).unwrap_or_default().to_string();
            let taken = head.parameters.iter().any(|p| p.name == name) || head.attrs.iter().any(|(n, ..)| *n == name);
            if taken {
                return Err(self.error("TC0104", format!("`{name}` is defined twice"), span));
            }
            match token.kind {
                Kind::Value if head.attrs.is_empty() => {
                    self.expect(":")?;
                    head.parameters.push(self.parameter(name)?);
                }
                Kind::Attr => {
                    self.expect(":")?;
                    let (kind, default) = self.attr_declaration()?;
                    head.attrs.push((name, kind, default));
                }
                _ => {
                    let message = "expected an operand `%x: T[n]` or, after all operands, an attribute `$a: float`";
                    return Err(self.error("TC0101", message, span));
                }
            }
            if !self.eat(",") && !self.is(")") {
                return self.unexpected("`,` or `)`");
            }
        }
        Ok(head)
    }

    fn parameter(&mut self, name: String) -> Fallible<Parameter> {
        let span = self.peek().span.clone();
        let word = self.kind(Kind::Word, "an element type, or a capital for any")?;
        let dtype = match word.parse() {
            Ok(dtype) => ParameterType::Is(dtype),
            Err(_) if word.starts_with(|c: char| c.is_ascii_uppercase()) => ParameterType::Any(word),
            Err(_) => {
                return Err(self
                    .error("TC0102", format!("`{word}` is no element type"), span)
                    .with_help("a name that stands for any element type begins with a capital"));
            }
        };
        let shape = self.list(Self::poly)?;
        if shape.len() > 16 {
            return self.unexpected("at most 16 axes");
        }
        Ok(Parameter { name, dtype, shape })
    }

    fn attr_declaration(&mut self) -> Fallible<(AttrKind, Option<Attr>)> {
        let span = self.peek().span.clone();
        let word = self.kind(Kind::Word, "int, float, bool, str, dtype or size")?;
        let kind = match word.as_str() {
            "int" => AttrKind::Int,
            "float" => AttrKind::Float,
            "bool" => AttrKind::Bool,
            "str" => AttrKind::Str,
            "dtype" => AttrKind::DType,
            "size" => AttrKind::Dim,
            _ => {
                return Err(self
                    .error("TC0110", format!("`{word}` is no kind of attribute"), span)
                    .with_help("int, float, bool, str, dtype or size"));
            }
        };
        let default = if self.eat("=") { Some(self.plain_attr(kind)?) } else { None };
        Ok((kind, default))
    }

    /// Reads the body with stand-ins for what its names will mean.
    fn trial(&mut self, head: &Head) -> Fallible<Function> {
        let body = self.at;
        let module = std::mem::take(&mut self.module);
        let before = std::mem::take(&mut self.problems);
        let any = head.parameters.iter().any(|p| matches!(p.dtype, ParameterType::Any(_)));
        let mut first: Option<Vec<Diagnostic>> = None;
        let mut found = None;
        for stand_in in STAND_INS.iter().take(if any { STAND_INS.len() } else { 1 }) {
            self.at = body;
            self.module = Module { ops: module.ops.clone(), ..Module::default() };
            let (generics, operands) = stand_ins(head, *stand_in);
            self.generics = Some(generics);
            let mut function = Function::new("body");
            let mut values = BTreeMap::new();
            for (p, ty) in head.parameters.iter().zip(operands) {
                values.insert(format!("%{}", p.name), function.add_input(p.name.clone(), ty));
            }
            let done = self.block(&mut function, &mut values);
            let mut problems = std::mem::take(&mut self.problems);
            problems.extend(done.err());
            if problems.is_empty() {
                found = Some(function);
                break;
            }
            first.get_or_insert(problems);
        }
        self.generics = None;
        self.module = module;
        self.problems = before;
        match (found, first) {
            (Some(function), _) => Ok(function),
            (None, problems) => {
                let mut problems = problems.unwrap_or_default().into_iter();
                let last = problems.next_back();
                self.problems.extend(problems);
                Err(last.unwrap_or_else(|| Diagnostic::error("TC0122", "the body cannot be read")))
            }
        }
    }

    /// `kernel sm_90a { … }`.
    fn kernel(&mut self, head: &Head, results: &[String]) -> Fallible<CustomKernel> {
        let span = self.next().span;
        let target = self.kind(Kind::Word, "a target")?;
        if target != "sm_90a" {
            return Err(self.error("TC0123", format!("there are kernels for sm_90a alone, not for `{target}`"), span));
        }
        let one = || Poly::constant(1);
        let mut k = CustomKernel {
            target,
            entry: String::new(),
            types: vec![],
            multiples: vec![],
            grid: [one(), one(), one()],
            block: [1, 1, 1],
            cluster: [1, 1, 1],
            shared_bytes: 0,
            arguments: vec![],
            microseconds: None,
            always: false,
            code: Code::Ptx(String::new()),
        };
        self.expect("{")?;
        while !self.eat("}") {
            let at = self.peek().span.clone();
            let field = self.kind(Kind::Word, "a field of the kernel")?;
            self.expect("=")?;
            match field.as_str() {
                "entry" => k.entry = self.string()?,
                "ptx" => k.code = Code::Ptx(self.code()?),
                "cubin" => k.code = Code::Cubin(self.hex()?),
                "grid" => k.grid = self.three(Self::poly)?,
                "block" => k.block = self.three(Self::count)?,
                "cluster" => k.cluster = self.three(Self::count)?,
                "shared" => k.shared_bytes = self.count()?,
                "microseconds" => {
                    let text = self.number_text()?;
                    k.microseconds = text.parse().ok().filter(|v: &f64| v.is_finite() && *v > 0.0);
                }
                "always" => k.always = matches!(self.plain_attr(AttrKind::Bool)?, Attr::Bool(true)),
                "types" => k.types = self.list(|p| p.pair(Self::dtype))?,
                "multiples" => {
                    let pairs = self.list(|p| p.pair(Self::count))?;
                    k.multiples =
                        pairs.into_iter().filter_map(|(n, m)| Some((Symbol::new(&n)?, i64::from(m.max(1))))).collect();
                }
                "arguments" => k.arguments = self.list(|p| p.argument(head, results))?,
                _ => return Err(self.error("TC0123", format!("a kernel has no `{field}`"), at).with_help(
                    "entry, ptx or cubin, grid, block, cluster, shared, arguments, types, multiples, microseconds, always",
                )),
            }
            if !self.eat(",") && !self.is("}") {
                return self.unexpected("`,` or `}`");
            }
        }
        self.check_kernel(&k, head, results).map_err(|m| self.error("TC0123", m, span))?;
        Ok(k)
    }

    fn check_kernel(&self, k: &CustomKernel, head: &Head, results: &[String]) -> Result<(), String> {
        let threads: u64 = k.block.iter().map(|n| u64::from(*n)).product();
        if !super::print::is_word(&k.entry) {
            return Err("the kernel needs an `entry`, the function's name in the code".into());
        }
        if threads == 0 || threads > MAX_THREADS {
            return Err(format!("a block of {threads} threads; 1 to {MAX_THREADS} are possible"));
        }
        let clustered: u64 = k.cluster.iter().map(|n| u64::from(*n)).product();
        if clustered == 0 || clustered > 16 {
            return Err(format!("a cluster of {clustered} blocks; 1 to 16 are possible"));
        }
        if i64::from(k.shared_bytes) > MAX_SHARED {
            return Err(format!("{} bytes of shared memory; {MAX_SHARED} are possible", k.shared_bytes));
        }
        match &k.code {
            Code::Ptx(text) if !text.contains(&k.entry) || text.contains("\"\"\"") => {
                return Err(format!("the PTX has no `.entry {}`", k.entry));
            }
            Code::Cubin(bytes) if !bytes.starts_with(b"\x7fELF") => return Err("the cubin is no ELF file".into()),
            _ => {}
        }
        for (at, name) in results.iter().enumerate() {
            if !k.arguments.contains(&Argument::Result(at as u32)) {
                return Err(format!("the kernel gets no pointer to its result `{name}`"));
            }
        }
        let sizes = sizes_of(head);
        let mut unknown = None;
        let mut see = |s: &Symbol| {
            if !sizes.contains(s) {
                unknown = Some(s.clone());
            }
        };
        for p in &k.grid {
            p.visit_symbols(&mut see);
        }
        for a in &k.arguments {
            if let Argument::Size(p, _) = a {
                p.visit_symbols(&mut see);
            }
        }
        k.multiples.iter().for_each(|(s, _)| see(s));
        if let Some(symbol) = unknown {
            return Err(format!("`{symbol}` is no size of the op"));
        }
        let names: Vec<&str> = head
            .parameters
            .iter()
            .filter_map(|p| if let ParameterType::Any(name) = &p.dtype { Some(name.as_str()) } else { None })
            .collect();
        match k.types.iter().find(|(name, _)| !names.contains(&name.as_str())) {
            Some((name, _)) => Err(format!("`{name}` is no element type of the op's operands")),
            None => Ok(()),
        }
    }

    fn pair<T>(&mut self, value: impl Fn(&mut Self) -> Fallible<T>) -> Fallible<(String, T)> {
        let name = self.kind(Kind::Word, "a name")?;
        self.expect("=")?;
        Ok((name, value(self)?))
    }

    fn three<T: Clone>(&mut self, item: impl Fn(&mut Self) -> Fallible<T>) -> Fallible<[T; 3]> {
        let span = self.peek().span.clone();
        let list = self.list(item)?;
        list.try_into().map_err(|_| self.error("TC0123", "three numbers are wanted: x, y and z", span))
    }

    fn count(&mut self) -> Fallible<u32> {
        let span = self.peek().span.clone();
        let value = self.integer()?;
        u32::try_from(value).map_err(|_| self.error("TC0101", format!("{value} is out of range"), span))
    }

    /// `"""…"""` or a string.
    fn code(&mut self) -> Fallible<String> {
        let span = self.peek().span.clone();
        let text = match self.peek().kind {
            Kind::Raw => {
                self.next();
                let raw = self.slice(&span);
                raw[3..raw.len() - 3].to_string()
            }
            _ => self.string()?,
        };
        match text.len() <= MAX_CODE {
            true => Ok(text),
            false => Err(self.error("TC0123", format!("code of {} bytes; {MAX_CODE} are possible", text.len()), span)),
        }
    }

    fn hex(&mut self) -> Fallible<Vec<u8>> {
        let span = self.peek().span.clone();
        let text = self.code()?;
        let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        let bytes: Option<Vec<u8>> = digits
            .chunks(2)
            .map(|pair| {
                std::str::from_utf8(pair).ok().filter(|p| p.len() == 2).and_then(|p| u8::from_str_radix(p, 16).ok())
            })
            .collect();
        bytes.ok_or_else(|| self.error("TC0123", "a cubin is written in hexadecimal digits", span))
    }

    /// `%x`, `rows * cols: i32` or `$alpha: f32`.
    fn argument(&mut self, head: &Head, results: &[String]) -> Fallible<Argument> {
        let span = self.peek().span.clone();
        match self.peek().kind {
            Kind::Value => {
                let token = self.next();
                let name = self.slice(&token.span)[1..].to_string();
                let operand = head.parameters.iter().position(|p| p.name == name);
                let result = results.iter().position(|r| *r == name);
                match (operand, result) {
                    (Some(at), _) => Ok(Argument::Operand(at as u32)),
                    (_, Some(at)) => Ok(Argument::Result(at as u32)),
                    _ => Err(self.error("TC0104", format!("`%{name}` is neither operand nor result"), span)),
                }
            }
            Kind::Attr => {
                let token = self.next();
                let name = self.slice(&token.span)[1..].to_string();
                if !head.attrs.iter().any(|(n, ..)| *n == name) {
                    return Err(self.error("TC0104", format!("`${name}` is no attribute of the op"), span));
                }
                self.expect(":")?;
                let dtype = self.dtype()?;
                match dtype {
                    DType::F32 | DType::F64 | DType::I32 | DType::I64 => Ok(Argument::Attribute(name, dtype)),
                    _ => Err(self.error("TC0123", format!("a kernel takes no {dtype} by value"), span)),
                }
            }
            _ => {
                let size = self.poly()?;
                let dtype = if self.eat(":") { self.dtype()? } else { DType::I64 };
                match dtype {
                    DType::I32 | DType::I64 => Ok(Argument::Size(size, dtype.bits() / 8)),
                    _ => Err(self.error("TC0123", format!("a size is i32 or i64, not {dtype}"), span)),
                }
            }
        }
    }
}

/// Every symbol that means a size.
fn sizes_of(head: &Head) -> Vec<Symbol> {
    let mut out: Vec<Symbol> = head
        .attrs
        .iter()
        .filter(|(_, kind, _)| matches!(kind, AttrKind::Int | AttrKind::Dim))
        .filter_map(|(name, ..)| Symbol::new(name))
        .collect();
    for p in head.parameters.iter().flat_map(|p| &p.shape) {
        p.visit_symbols(&mut |s| out.push(s.clone()));
    }
    out
}

/// Stand-ins: sizes stand for themselves, attributes for their defaults or a plain value.
fn stand_ins(head: &Head, dtype: DType) -> (Generics, Vec<TensorType>) {
    let mut generics = Generics::default();
    let mut attrs = Attrs::new();
    for (name, kind, default) in &head.attrs {
        let plain = match kind {
            AttrKind::Float => Attr::float(1.0),
            AttrKind::Bool => Attr::Bool(false),
            AttrKind::Str => Attr::Str(String::new()),
            AttrKind::DType => Attr::DType(dtype),
            AttrKind::Dim => Attr::Dim(Poly::constant(1)),
            _ => Attr::Int(1),
        };
        let value = default.clone().unwrap_or(plain);
        let size = match &value {
            Attr::Int(v) => Some(Poly::constant(*v)),
            Attr::Dim(p) => Some(p.clone()),
            _ => None,
        };
        if let (Some(size), Some(symbol)) = (size, Symbol::new(name)) {
            generics.sizes.insert(symbol, size);
        }
        attrs.set(lasting(name), value);
    }
    generics.attrs = attrs;
    let mut operands = vec![];
    for p in &head.parameters {
        let dtype = match &p.dtype {
            ParameterType::Is(d) => *d,
            ParameterType::Any(name) => *generics.dtypes.entry(name.clone()).or_insert(dtype),
        };
        for d in &p.shape {
            if let Some(symbol) = d.as_symbol() {
                generics.sizes.entry(symbol.clone()).or_insert_with(|| Poly::symbol(symbol.clone()));
            }
        }
        let shape: Vec<Poly> = p.shape.iter().map(|d| d.substitute(&generics.sizes)).collect();
        operands.push(TensorType::new(dtype, shape));
    }
    (generics, operands)
}
