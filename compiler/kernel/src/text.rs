//! Kernel descriptions as text that reads back: one line per expression, loop group and store.
//!
//! ```text
//! kernel nest_1f00(s) {
//!   buffer 0 in0 read f32[s, 4]
//!   buffer 1 out1 write f32[s, 4]
//!   %0 = f32 load 0 [(0) v0*(4) v1*(1)]
//!   %1 = f32 unary exp %0
//!   parallel v0<(s) v1<(4)
//!   store { 1 [(0) v0*(4) v1*(1)] = %1 }
//! }
//! ```
//! Polynomials stand in parentheses. Printing inverts parsing, and parsing printing.

use crate::desc::{
    Acc, Access, Attention, AttentionKind, Body, Buffer, Carry, Combine, Contraction, Extent, KernelDesc, Loop, Nest,
    Precision, SparseContraction, Stage, Store, View,
};
use crate::expr::{CastMode, Const, Expr, ExprId, Exprs};
use crate::index::{Index, LoopVar};
use crate::scalar::{Binary, Unary};
use std::fmt::{self, Display, Formatter};
use tricot_types::{DType, Poly, Symbol};

const UNARY: &[(&str, Unary)] = &[
    ("neg", Unary::Neg),
    ("abs", Unary::Abs),
    ("sign", Unary::Sign),
    ("floor", Unary::Floor),
    ("ceil", Unary::Ceil),
    ("round", Unary::Round),
    ("trunc", Unary::Trunc),
    ("sqrt", Unary::Sqrt),
    ("rsqrt", Unary::Rsqrt),
    ("recip", Unary::Recip),
    ("exp", Unary::Exp),
    ("exp2", Unary::Exp2),
    ("expm1", Unary::Expm1),
    ("log", Unary::Log),
    ("log2", Unary::Log2),
    ("log1p", Unary::Log1p),
    ("sin", Unary::Sin),
    ("cos", Unary::Cos),
    ("tan", Unary::Tan),
    ("asin", Unary::Asin),
    ("acos", Unary::Acos),
    ("atan", Unary::Atan),
    ("sinh", Unary::Sinh),
    ("cosh", Unary::Cosh),
    ("tanh", Unary::Tanh),
    ("asinh", Unary::Asinh),
    ("acosh", Unary::Acosh),
    ("atanh", Unary::Atanh),
    ("erf", Unary::Erf),
    ("not", Unary::Not),
    ("bit_not", Unary::BitNot),
    ("is_nan", Unary::IsNan),
    ("is_inf", Unary::IsInf),
];
const BINARY: &[(&str, Binary)] = &[
    ("add", Binary::Add),
    ("sub", Binary::Sub),
    ("mul", Binary::Mul),
    ("div", Binary::Div),
    ("floor_div", Binary::FloorDiv),
    ("mod", Binary::Mod),
    ("rem", Binary::Rem),
    ("pow", Binary::Pow),
    ("atan2", Binary::Atan2),
    ("min", Binary::Min),
    ("max", Binary::Max),
    ("and", Binary::And),
    ("or", Binary::Or),
    ("xor", Binary::Xor),
    ("shl", Binary::Shl),
    ("shr", Binary::Shr),
    ("eq", Binary::Eq),
    ("ne", Binary::Ne),
    ("lt", Binary::Lt),
    ("le", Binary::Le),
    ("gt", Binary::Gt),
    ("ge", Binary::Ge),
];
const COMBINE: &[(&str, Combine)] = &[
    ("sum", Combine::Sum),
    ("prod", Combine::Prod),
    ("min", Combine::Min),
    ("max", Combine::Max),
    ("and", Combine::And),
    ("or", Combine::Or),
    ("argmin_first", Combine::ArgMin { last: false }),
    ("argmin_last", Combine::ArgMin { last: true }),
    ("argmax_first", Combine::ArgMax { last: false }),
    ("argmax_last", Combine::ArgMax { last: true }),
];
const CAST: &[(&str, CastMode)] =
    &[("round", CastMode::Round), ("saturate", CastMode::Saturate), ("bits", CastMode::Bits)];
const ACCESS: &[(&str, Access)] =
    &[("read", Access::Read), ("write", Access::Write), ("read_write", Access::ReadWrite)];
const PRECISION: &[(&str, Precision)] =
    &[("native", Precision::Native), ("tf32", Precision::Tf32), ("tf32x3", Precision::Tf32x3)];

fn name_of<T: PartialEq>(table: &[(&'static str, T)], value: &T) -> &'static str {
    table.iter().find(|(_, v)| v == value).map_or("?", |(n, _)| n)
}

/// A float by its shortest decimal form, or its bits where that would lose a NaN's.
struct Float(u64);

impl Display for Float {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let v = f64::from_bits(self.0);
        match v.is_nan() {
            true => write!(f, "bits:{:016x}", self.0),
            false => write!(f, "{v:?}"),
        }
    }
}

struct Loops<'a>(&'a [Loop]);

impl Display for Loops<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for l in self.0 {
            match &l.extent {
                Extent::Size(p) => write!(f, " v{}<({p})", l.var.0)?,
                Extent::Dynamic(e) => write!(f, " v{}<%{}", l.var.0, e.0)?,
            }
        }
        Ok(())
    }
}

impl Display for Index {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "[({})", self.offset)?;
        self.affine.iter().try_for_each(|(v, s)| write!(f, " v{}*({s})", v.0))?;
        self.dynamic.iter().try_for_each(|(e, s)| write!(f, " %{}*({s})", e.0))?;
        f.write_str("]")
    }
}

impl Display for Store {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} = %{}", self.buffer, self.index, self.value.0)?;
        self.guard.iter().try_for_each(|g| write!(f, " if %{}", g.0))
    }
}

struct Stores<'a>(&'a [Store]);

impl Display for Stores<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|s| write!(f, " {s} ;"))
    }
}

impl Display for View {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} [({})", self.buffer, self.offset)?;
        self.strides.iter().try_for_each(|s| write!(f, " ({s})"))?;
        f.write_str("]")
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Const(Const::Float(b)) => write!(f, "float {}", Float(*b)),
            Expr::Const(Const::Int(v)) => write!(f, "int {v}"),
            Expr::Var(v) => write!(f, "var v{}", v.0),
            Expr::Size(p) => write!(f, "size ({p})"),
            Expr::Load { buffer, index, guard } => {
                write!(f, "load {buffer} {index}")?;
                guard.iter().try_for_each(|(c, o)| write!(f, " if %{} else %{}", c.0, o.0))
            }
            Expr::Unary(op, x) => write!(f, "unary {} %{}", name_of(UNARY, op), x.0),
            Expr::Binary(op, a, b) => write!(f, "binary {} %{} %{}", name_of(BINARY, op), a.0, b.0),
            Expr::Select { cond, then, other } => write!(f, "select %{} %{} %{}", cond.0, then.0, other.0),
            Expr::Cast { from, mode } => write!(f, "cast {} %{}", name_of(CAST, mode), from.0),
            Expr::Acc { stage, acc } => write!(f, "acc {stage} {acc}"),
            Expr::Carry { stage, carry } => write!(f, "carry {stage} {carry}"),
        }
    }
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Stage::Reduce { loops, accs } => {
                write!(f, "reduce{} {{", Loops(loops))?;
                for a in accs {
                    write!(f, " {} {} %{} ;", name_of(COMBINE, &a.combine), a.dtype, a.value.0)?;
                }
            }
            Stage::Store { loops, stores } => write!(f, "store{} {{{}", Loops(loops), Stores(stores))?,
            Stage::Sequential { loops, carries, stores } => {
                write!(f, "sequential{} {{", Loops(loops))?;
                for c in carries {
                    write!(f, " carry {} %{} %{} ;", c.dtype, c.init.0, c.next.0)?;
                }
                write!(f, "{}", Stores(stores))?;
            }
        }
        f.write_str(" }")
    }
}

impl Display for KernelDesc {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let symbols: Vec<&str> = self.symbols.iter().map(Symbol::name).collect();
        writeln!(f, "kernel {}({}) {{", self.name, symbols.join(", "))?;
        for (i, b) in self.buffers.iter().enumerate() {
            let shape: Vec<String> = b.shape.iter().map(|p| format!("({p})")).collect();
            writeln!(f, "  buffer {i} {} {} {} [{}]", b.name, name_of(ACCESS, &b.access), b.dtype, shape.join(" "))?;
        }
        for (id, node) in self.exprs.iter() {
            writeln!(f, "  %{} = {} {}", id.0, node.dtype, node.expr)?;
        }
        match &self.body {
            Body::Nest(n) => {
                writeln!(f, "  parallel{}", Loops(&n.parallel))?;
                n.stages.iter().try_for_each(|s| writeln!(f, "  {s}"))?;
            }
            Body::Contraction(c) => {
                writeln!(f, "  contraction {} {} %{} %{}", c.acc, name_of(PRECISION, &c.precision), c.a.0, c.b.0)?;
                for (name, loops) in [("batch", &c.batch), ("m", &c.m), ("n", &c.n), ("k", &c.k)] {
                    writeln!(f, "  {name}{}", Loops(loops))?;
                }
                writeln!(f, "  store {{{} }}", Stores(&c.stores))?;
            }
            Body::SparseContraction(c) => {
                writeln!(f, "  sparse_contraction {} values {} meta {} %{}", c.acc, c.values, c.meta, c.b.0)?;
                let (m, k) = (std::slice::from_ref(&c.m), std::slice::from_ref(&c.k));
                for (name, loops) in [("batch", c.batch.as_slice()), ("m", m), ("n", &c.n), ("k", k)] {
                    writeln!(f, "  {name}{}", Loops(loops))?;
                }
                writeln!(f, "  store {{{} }}", Stores(&c.stores))?;
            }
            Body::Attention(a) => attention(a, f)?,
            Body::Custom(c) => c.fmt(f)?,
        }
        f.write_str("}\n")
    }
}

fn attention(a: &Attention, f: &mut Formatter<'_>) -> fmt::Result {
    writeln!(
        f,
        "  attention {} batch ({}) seq ({}) ({}) heads ({}) ({}) dim {} {} scale {}",
        a.dtype,
        a.batch,
        a.seq_q,
        a.seq_k,
        a.heads_q,
        a.heads_kv,
        a.dim,
        a.dim_v,
        Float(a.scale_bits)
    )?;
    for (name, view) in [("q", &a.q), ("k", &a.k), ("v", &a.v), ("out", &a.out)] {
        writeln!(f, "  {name} {view}")?;
    }
    match &a.lse {
        Some(view) => writeln!(f, "  lse {view}")?,
        None => writeln!(f, "  lse none")?,
    }
    match &a.kind {
        AttentionKind::Dot { causal_offset, window, bias } => {
            f.write_str("  dot")?;
            causal_offset.iter().try_for_each(|p| write!(f, " causal ({p})"))?;
            window.iter().try_for_each(|w| write!(f, " window {w}"))?;
            bias.iter().try_for_each(|(v, d)| write!(f, " bias {d} {v}"))?;
            writeln!(f)
        }
        AttentionKind::Trilinear { w1, w2, k2, v2, k2_bias_bits, v2_bias_bits } => writeln!(
            f,
            "  trilinear {w1} {w2} k2 {k2} plus {} v2 {v2} plus {}",
            Float(*k2_bias_bits),
            Float(*v2_bias_bits)
        ),
    }
}

/// A text that is no kernel description: what was wrong, at which byte.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    pub message: String,
    pub offset: usize,
}

/// Reads text piece by piece. Also used by the text of whole schedules.
pub struct Reader<'t> {
    text: &'t str,
    at: usize,
}

type Read<T> = Result<T, ParseError>;

impl<'t> Reader<'t> {
    pub fn new(text: &'t str) -> Reader<'t> {
        Reader { text, at: 0 }
    }

    fn skip(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    /// An error at the current place.
    pub fn fail<T>(&self, message: impl Into<String>) -> Read<T> {
        Err(ParseError { message: message.into(), offset: self.at })
    }

    /// Text between `"""` and `"""`.
    pub fn fenced(&mut self) -> Read<&'t str> {
        self.expect("\"\"\"")?;
        let rest = &self.text[self.at..];
        match rest.find("\"\"\"") {
            Some(length) => {
                self.at += length + 3;
                Ok(&rest[..length])
            }
            None => self.fail("text that begins with `\"\"\"` has no end"),
        }
    }

    /// Whether nothing is left.
    pub fn at_end(&mut self) -> bool {
        self.skip();
        self.at == self.text.len()
    }

    /// Takes `token` if it comes next; a word must end where the token ends.
    pub fn take(&mut self, token: &str) -> bool {
        self.skip();
        let rest = &self.text[self.at..];
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let whole = !token.ends_with(word) || !rest[token.len().min(rest.len())..].starts_with(word);
        let found = rest.starts_with(token) && whole;
        if found {
            self.at += token.len();
        }
        found
    }

    pub fn expect(&mut self, token: &str) -> Read<()> {
        if self.take(token) { Ok(()) } else { self.fail(format!("expected `{token}`")) }
    }

    /// Characters up to white space or punctuation of the form.
    pub fn word(&mut self) -> Read<&'t str> {
        self.skip();
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| c.is_whitespace() || "()[]{}<>*=;,%\"".contains(c)).unwrap_or(rest.len());
        if end == 0 {
            return self.fail("expected a word");
        }
        self.at += end;
        Ok(&rest[..end])
    }

    /// A decimal number.
    pub fn number<T: std::str::FromStr>(&mut self) -> Read<T> {
        let start = self.at;
        let word = self.word()?;
        word.parse().map_err(|_| ParseError { message: format!("`{word}` is no number in range"), offset: start })
    }

    pub fn dtype(&mut self) -> Read<DType> {
        let start = self.at;
        self.word()?.parse().map_err(|message| ParseError { message, offset: start })
    }

    /// A polynomial in parentheses.
    pub fn poly(&mut self) -> Read<Poly> {
        self.expect("(")?;
        let (start, mut depth) = (self.at, 1);
        for (i, c) in self.text[start..].char_indices() {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.at = start + i + 1;
                let text = &self.text[start..start + i];
                return text.parse().map_err(|e: tricot_types::ParsePolyError| ParseError {
                    message: format!("size `{text}`: {}", e.message),
                    offset: start + e.offset,
                });
            }
        }
        self.fail("expected `)`")
    }

    /// Polynomials in brackets.
    pub fn polys(&mut self) -> Read<Vec<Poly>> {
        self.expect("[")?;
        let mut out = vec![];
        while !self.take("]") {
            out.push(self.poly()?);
        }
        Ok(out)
    }

    /// A text in quotes, with `\"` and `\\`.
    pub fn quoted(&mut self) -> Read<String> {
        self.expect("\"")?;
        let (mut out, mut escaped) = (String::new(), false);
        for (i, c) in self.text[self.at..].char_indices() {
            match c {
                _ if escaped => {
                    out.push(if c == 'n' { '\n' } else { c });
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => {
                    self.at += i + 1;
                    return Ok(out);
                }
                c => out.push(c),
            }
        }
        self.fail("expected a closing quote")
    }

    fn named<T: Clone>(&mut self, table: &[(&'static str, T)], what: &str) -> Read<T> {
        let start = self.at;
        let word = self.word()?;
        let found = table.iter().find(|(n, _)| *n == word).map(|(_, v)| v.clone());
        found.ok_or_else(|| ParseError { message: format!("`{word}` is no {what}"), offset: start })
    }

    fn float(&mut self) -> Read<u64> {
        let start = self.at;
        let word = self.word()?;
        let value = match word.strip_prefix("bits:") {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => word.parse::<f64>().ok().map(f64::to_bits),
        };
        value.ok_or_else(|| ParseError { message: format!("`{word}` is no number"), offset: start })
    }

    fn expr_id(&mut self) -> Read<ExprId> {
        self.expect("%")?;
        Ok(ExprId(self.number()?))
    }

    fn loop_var(&mut self) -> Read<LoopVar> {
        let start = self.at;
        let word = self.word()?;
        let number = word.strip_prefix('v').and_then(|n| n.parse().ok());
        number
            .map(LoopVar)
            .ok_or_else(|| ParseError { message: format!("`{word}` is no loop variable"), offset: start })
    }

    /// Whether a decimal digit comes next.
    pub fn next_is_digit(&mut self) -> bool {
        self.skip();
        self.text[self.at..].starts_with(|c: char| c.is_ascii_digit())
    }

    /// Whether a quoted text comes next.
    pub fn next_is_quote(&mut self) -> bool {
        self.next_is('"')
    }

    fn next_is(&mut self, c: char) -> bool {
        self.skip();
        self.text[self.at..].starts_with(c)
    }

    /// Loops up to whatever does not begin like one.
    fn loops(&mut self) -> Read<Vec<Loop>> {
        let mut out = vec![];
        loop {
            self.skip();
            let rest = self.text[self.at..].as_bytes();
            if rest.first() != Some(&b'v') || !rest.get(1).is_some_and(u8::is_ascii_digit) {
                return Ok(out);
            }
            let var = self.loop_var()?;
            self.expect("<")?;
            let extent = if self.next_is('%') { Extent::Dynamic(self.expr_id()?) } else { Extent::Size(self.poly()?) };
            out.push(Loop { var, extent });
        }
    }

    fn index(&mut self) -> Read<Index> {
        self.expect("[")?;
        let mut index = Index { offset: self.poly()?, ..Index::default() };
        while !self.take("]") {
            if self.next_is('%') {
                let e = self.expr_id()?;
                self.expect("*")?;
                index.dynamic.push((e, self.poly()?));
            } else {
                let v = self.loop_var()?;
                self.expect("*")?;
                let stride = self.poly()?;
                if index.affine.insert(v, stride).is_some() {
                    return self.fail(format!("v{} occurs twice in an index", v.0));
                }
            }
        }
        Ok(index)
    }

    fn stores(&mut self) -> Read<Vec<Store>> {
        let mut out = vec![];
        while !self.take("}") {
            let buffer = self.number()?;
            let index = self.index()?;
            self.expect("=")?;
            let value = self.expr_id()?;
            let guard = if self.take("if") { Some(self.expr_id()?) } else { None };
            self.expect(";")?;
            out.push(Store { buffer, index, value, guard });
        }
        Ok(out)
    }

    fn view(&mut self) -> Read<View> {
        let buffer = self.number()?;
        let mut strides = self.polys()?;
        if strides.is_empty() {
            return self.fail("a view needs an offset");
        }
        let offset = strides.remove(0);
        Ok(View { buffer, offset, strides })
    }

    fn expr(&mut self) -> Read<Expr> {
        let start = self.at;
        Ok(match self.word()? {
            "float" => Expr::Const(Const::Float(self.float()?)),
            "int" => Expr::Const(Const::Int(self.number()?)),
            "var" => Expr::Var(self.loop_var()?),
            "size" => Expr::Size(self.poly()?),
            "load" => {
                let (buffer, index) = (self.number()?, self.index()?);
                let guard = match self.take("if") {
                    true => {
                        let cond = self.expr_id()?;
                        self.expect("else")?;
                        Some((cond, self.expr_id()?))
                    }
                    false => None,
                };
                Expr::Load { buffer, index, guard }
            }
            "unary" => Expr::Unary(self.named(UNARY, "one-operand operation")?, self.expr_id()?),
            "binary" => Expr::Binary(self.named(BINARY, "two-operand operation")?, self.expr_id()?, self.expr_id()?),
            "select" => Expr::Select { cond: self.expr_id()?, then: self.expr_id()?, other: self.expr_id()? },
            "cast" => {
                let mode = self.named(CAST, "cast mode")?;
                Expr::Cast { from: self.expr_id()?, mode }
            }
            "acc" => Expr::Acc { stage: self.number()?, acc: self.number()? },
            "carry" => Expr::Carry { stage: self.number()?, carry: self.number()? },
            other => return Err(ParseError { message: format!("`{other}` is no expression"), offset: start }),
        })
    }

    fn nest(&mut self) -> Read<Nest> {
        let mut nest = Nest { parallel: self.loops()?, stages: vec![] };
        loop {
            if self.take("reduce") {
                let loops = self.loops()?;
                self.expect("{")?;
                let mut accs = vec![];
                while !self.take("}") {
                    let combine = self.named(COMBINE, "combination")?;
                    accs.push(Acc { combine, dtype: self.dtype()?, value: self.expr_id()? });
                    self.expect(";")?;
                }
                nest.stages.push(Stage::Reduce { loops, accs });
            } else if self.take("store") {
                let loops = self.loops()?;
                self.expect("{")?;
                nest.stages.push(Stage::Store { loops, stores: self.stores()? });
            } else if self.take("sequential") {
                let loops = self.loops()?;
                self.expect("{")?;
                let mut carries = vec![];
                while self.take("carry") {
                    carries.push(Carry { dtype: self.dtype()?, init: self.expr_id()?, next: self.expr_id()? });
                    self.expect(";")?;
                }
                nest.stages.push(Stage::Sequential { loops, carries, stores: self.stores()? });
            } else {
                return Ok(nest);
            }
        }
    }

    fn group(&mut self, name: &str) -> Read<Vec<Loop>> {
        self.expect(name)?;
        self.loops()
    }

    fn single(&mut self, name: &str) -> Read<Loop> {
        match self.group(name)?.as_slice() {
            [one] => Ok(one.clone()),
            _ => self.fail(format!("`{name}` needs exactly one loop")),
        }
    }

    fn body(&mut self) -> Read<Body> {
        if self.take("parallel") {
            return Ok(Body::Nest(self.nest()?));
        }
        if self.take("contraction") {
            let (acc, precision) = (self.dtype()?, self.named(PRECISION, "precision")?);
            let (a, b) = (self.expr_id()?, self.expr_id()?);
            let (batch, m, n, k) = (self.group("batch")?, self.group("m")?, self.group("n")?, self.group("k")?);
            self.expect("store")?;
            self.expect("{")?;
            let stores = self.stores()?;
            return Ok(Body::Contraction(Contraction { batch, m, n, k, a, b, acc, precision, stores }));
        }
        if self.take("sparse_contraction") {
            let acc = self.dtype()?;
            self.expect("values")?;
            let values = self.number()?;
            self.expect("meta")?;
            let (meta, b) = (self.number()?, self.expr_id()?);
            let (batch, m, n, k) = (self.group("batch")?, self.single("m")?, self.group("n")?, self.single("k")?);
            self.expect("store")?;
            self.expect("{")?;
            let stores = self.stores()?;
            return Ok(Body::SparseContraction(SparseContraction { batch, m, n, k, values, meta, b, acc, stores }));
        }
        if self.take("custom") {
            return Ok(Body::Custom(self.custom()?));
        }
        self.expect("attention")?;
        Ok(Body::Attention(self.attention()?))
    }

    fn attention(&mut self) -> Read<Attention> {
        let dtype = self.dtype()?;
        self.expect("batch")?;
        let batch = self.poly()?;
        self.expect("seq")?;
        let (seq_q, seq_k) = (self.poly()?, self.poly()?);
        self.expect("heads")?;
        let (heads_q, heads_kv) = (self.poly()?, self.poly()?);
        self.expect("dim")?;
        let (dim, dim_v) = (self.number()?, self.number()?);
        self.expect("scale")?;
        let scale_bits = self.float()?;
        let mut views = vec![];
        for name in ["q", "k", "v", "out"] {
            self.expect(name)?;
            views.push(self.view()?);
        }
        self.expect("lse")?;
        let lse = if self.take("none") { None } else { Some(self.view()?) };
        let kind = if self.take("dot") {
            let causal_offset = if self.take("causal") { Some(self.poly()?) } else { None };
            let window = if self.take("window") { Some(self.number()?) } else { None };
            let bias = match self.take("bias") {
                true => {
                    let dtype = self.dtype()?;
                    Some((self.view()?, dtype))
                }
                false => None,
            };
            AttentionKind::Dot { causal_offset, window, bias }
        } else {
            self.expect("trilinear")?;
            let (w1, w2) = (self.number()?, self.number()?);
            self.expect("k2")?;
            let k2 = self.view()?;
            self.expect("plus")?;
            let k2_bias_bits = self.float()?;
            self.expect("v2")?;
            let v2 = self.view()?;
            self.expect("plus")?;
            AttentionKind::Trilinear { w1, w2, k2, v2, k2_bias_bits, v2_bias_bits: self.float()? }
        };
        let [q, k, v, out] = <[View; 4]>::try_from(views).expect("four were read");
        Ok(Attention { kind, batch, seq_q, seq_k, heads_q, heads_kv, dim, dim_v, dtype, scale_bits, q, k, v, out, lse })
    }

    /// One description.
    pub fn kernel(&mut self) -> Read<KernelDesc> {
        self.expect("kernel")?;
        let name = self.word()?.to_string();
        self.expect("(")?;
        let mut symbols = vec![];
        while !self.take(")") {
            let word = self.word()?;
            match Symbol::new(word) {
                Some(s) => symbols.push(s),
                None => return self.fail(format!("`{word}` is no symbol")),
            }
            self.take(",");
        }
        self.expect("{")?;
        let mut buffers = vec![];
        while self.take("buffer") {
            if self.number::<usize>()? != buffers.len() {
                return self.fail("buffers must be numbered in order");
            }
            let name = self.word()?.to_string();
            let access = self.named(ACCESS, "access")?;
            let dtype = self.dtype()?;
            buffers.push(Buffer { name, dtype, access, shape: self.polys()? });
        }
        let mut exprs = Exprs::default();
        while self.next_is('%') {
            let id = self.expr_id()?;
            self.expect("=")?;
            let dtype = self.dtype()?;
            let expr = self.expr()?;
            if exprs.push(dtype, expr) != id {
                return self.fail(format!("%{} is out of order or says what an earlier line says", id.0));
            }
        }
        let body = self.body()?;
        self.expect("}")?;
        Ok(KernelDesc { name, symbols, buffers, exprs, body })
    }
}

impl std::str::FromStr for KernelDesc {
    type Err = ParseError;
    fn from_str(text: &str) -> Read<KernelDesc> {
        let mut reader = Reader::new(text);
        let desc = reader.kernel()?;
        if reader.at_end() { Ok(desc) } else { reader.fail("text after the kernel") }
    }
}
