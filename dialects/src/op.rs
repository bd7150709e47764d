//! Op definitions: one [`OpDef`] per op holds everything there is to know about it.

use crate::attr::{Attr, AttrKind, Attrs};
use crate::builder::Builder;
use crate::constant::Constant;
use crate::custom::CustomOp;
use crate::graph::ValueId;
use crate::ty::TensorType;
use tricot_types::{Diagnostic, Poly};

/// How many values an operand stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arity {
    One,
    /// Zero or one; only trailing operands may be optional.
    Optional,
    /// Any number; only the last operand.
    Variadic,
}

/// An operand's declaration.
#[derive(Clone, Copy, Debug)]
pub struct OperandDef {
    pub name: &'static str,
    pub arity: Arity,
    pub doc: &'static str,
}

/// An attribute's declaration.
#[derive(Clone, Copy)]
pub struct AttrDef {
    pub name: &'static str,
    pub kind: AttrKind,
    /// `None`: the attribute must be given. Attributes at their default are not printed.
    pub default: Option<DefaultAttr>,
    pub doc: &'static str,
}

/// The value of an attribute that is not given.
#[derive(Clone, Copy)]
pub enum DefaultAttr {
    Make(fn() -> Attr),
    /// Of an op declared while running.
    Held(&'static Attr),
}

impl DefaultAttr {
    /// The value.
    pub fn value(self) -> Attr {
        match self {
            DefaultAttr::Make(make) => make(),
            DefaultAttr::Held(value) => value.clone(),
        }
    }
}

/// A result's declaration.
#[derive(Clone, Copy, Debug)]
pub struct ResultDef {
    pub name: &'static str,
    pub doc: &'static str,
}

/// What an op call looks like to its definition.
#[derive(Clone, Copy)]
pub struct OpView<'a> {
    pub def: &'static OpDef,
    pub operands: &'a [TensorType],
    pub attrs: &'a Attrs,
    /// For `core.constant`: the tensor meant by its `value`.
    pub constant: Option<&'a Constant>,
    /// For `core.call`: the callee's signature.
    pub callee: Option<(&'a [TensorType], &'a [TensorType])>,
}

/// Where an op's semantics come from.
#[derive(Clone, Copy)]
pub enum Meaning {
    /// Core: the reference evaluator and schedule implement it.
    Primitive,
    /// A graph of simpler ops with the same meaning in exact arithmetic: gets the operands, returns the results.
    Decompose(fn(&mut Builder<'_>, &Attrs, &[ValueId]) -> Result<Vec<ValueId>, Diagnostic>),
    /// The same, as a user's declaration says.
    Declared(&'static CustomOp),
}

impl Meaning {
    /// Whether a call means a graph of simpler ops.
    pub fn is_graph(self) -> bool {
        !matches!(self, Meaning::Primitive)
    }
}

/// Arithmetic work of one call.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Work {
    /// Floating-point operations, a multiply-add counting two.
    pub flops: Poly,
}

/// Vector-Jacobian product: from operands, results and result gradients (absent for non-differentiable results) to operand
/// gradients (absent where none exists).
pub type Vjp = fn(
    &mut Builder<'_>,
    &Attrs,
    operands: &[ValueId],
    results: &[ValueId],
    gradients: &[Option<ValueId>],
) -> Result<Vec<Option<ValueId>>, Diagnostic>;

/// The definition of one op.
pub struct OpDef {
    /// `dialect.op`.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Semantics in full: formula, shapes, dtypes, source. Markdown.
    pub doc: &'static str,
    pub operands: &'static [OperandDef],
    pub attrs: &'static [AttrDef],
    pub results: &'static [ResultDef],
    /// Result types, or what is wrong with the call. Also the op's verifier.
    pub infer: fn(OpView<'_>) -> Result<Vec<TensorType>, String>,
    pub meaning: Meaning,
    pub work: fn(OpView<'_>) -> Work,
    pub vjp: Option<Vjp>,
}

impl OpDef {
    /// The dialect, the part before the dot.
    pub fn dialect(&self) -> &'static str {
        self.name.split_once('.').map_or("", |(d, _)| d)
    }

    /// Appends a graph of simpler ops that means one call, and gives its results; `None` for primitives.
    pub fn decompose(
        &self,
        b: &mut Builder<'_>,
        attrs: &Attrs,
        operands: &[ValueId],
    ) -> Option<Result<Vec<ValueId>, Diagnostic>> {
        match self.meaning {
            Meaning::Primitive => None,
            Meaning::Decompose(meaning) => Some(meaning(b, attrs, operands)),
            Meaning::Declared(op) => Some(op.expand(b, attrs, operands)),
        }
    }

    /// The declaration, of an op that a user declared.
    pub fn declaration(&self) -> Option<&'static CustomOp> {
        match self.meaning {
            Meaning::Declared(op) => Some(op),
            Meaning::Primitive | Meaning::Decompose(_) => None,
        }
    }

    /// Smallest and largest number of operands (`None`: unlimited).
    pub fn operand_count(&self) -> (usize, Option<usize>) {
        let min = self.operands.iter().filter(|o| o.arity == Arity::One).count();
        let variadic = self.operands.iter().any(|o| o.arity == Arity::Variadic);
        (min, (!variadic).then_some(self.operands.len()))
    }

    /// Declaration of an attribute.
    pub fn attr(&self, name: &str) -> Option<&'static AttrDef> {
        self.attrs.iter().find(|a| a.name == name)
    }

    /// Fills in defaults; says which attribute is missing, unknown or of the wrong kind.
    pub fn complete(&self, mut attrs: Attrs) -> Result<Attrs, String> {
        for (name, value) in attrs.iter() {
            let def = self.attr(name).ok_or_else(|| format!("`{}` has no attribute `{name}`", self.name))?;
            if !value.fits(def.kind) {
                return Err(format!("attribute `{name}` must be {}, not {value:?}", kind_text(def.kind)));
            }
        }
        for def in self.attrs {
            if attrs.get(def.name).is_none() {
                match def.default {
                    Some(default) => attrs.set(def.name, default.value()),
                    None => return Err(format!("attribute `{}` ({}) is missing", def.name, kind_text(def.kind))),
                }
            }
        }
        Ok(attrs)
    }

    /// Checks operand count and runs the op's own inference. `attrs` must be complete.
    pub fn infer(&'static self, view: OpView<'_>) -> Result<Vec<TensorType>, String> {
        let (min, max) = self.operand_count();
        let n = view.operands.len();
        if n < min || max.is_some_and(|m| n > m) {
            let wanted = match max {
                Some(m) if m == min => format!("{min}"),
                Some(m) => format!("{min} to {m}"),
                None => format!("at least {min}"),
            };
            return Err(format!("`{}` takes {wanted} operands, not {n}", self.name));
        }
        let results = (self.infer)(view)?;
        results.iter().try_for_each(|t| t.count().map(drop))?;
        Ok(results)
    }
}

impl std::fmt::Debug for OpDef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for OpDef {
    fn eq(&self, other: &OpDef) -> bool {
        self.name == other.name
    }
}
impl Eq for OpDef {}

/// An attribute kind in words.
pub fn kind_text(kind: AttrKind) -> String {
    match kind {
        AttrKind::Int => "an integer".into(),
        AttrKind::Float => "a float".into(),
        AttrKind::Bool => "true or false".into(),
        AttrKind::Str => "a string".into(),
        AttrKind::Word(words) => format!("one of {}", words.join(", ")),
        AttrKind::DType => "an element type".into(),
        AttrKind::Dim => "a size".into(),
        AttrKind::Dims => "a list of sizes".into(),
        AttrKind::Ints => "a list of integers".into(),
        AttrKind::Constant => "a constant".into(),
        AttrKind::Function => "a function name".into(),
    }
}

/// Shorthand for the definition tables.
pub const fn one(name: &'static str, doc: &'static str) -> OperandDef {
    OperandDef { name, arity: Arity::One, doc }
}
/// Shorthand: an optional trailing operand.
pub const fn optional(name: &'static str, doc: &'static str) -> OperandDef {
    OperandDef { name, arity: Arity::Optional, doc }
}
/// Shorthand: a variadic last operand.
pub const fn variadic(name: &'static str, doc: &'static str) -> OperandDef {
    OperandDef { name, arity: Arity::Variadic, doc }
}
/// Shorthand: an attribute that must be given.
pub const fn required(name: &'static str, kind: AttrKind, doc: &'static str) -> AttrDef {
    AttrDef { name, kind, default: None, doc }
}
/// Shorthand: an attribute with a default.
pub const fn defaulted(name: &'static str, kind: AttrKind, default: fn() -> Attr, doc: &'static str) -> AttrDef {
    AttrDef { name, kind, default: Some(DefaultAttr::Make(default)), doc }
}
/// Shorthand: a result.
pub const fn result(name: &'static str, doc: &'static str) -> ResultDef {
    ResultDef { name, doc }
}
/// No arithmetic.
pub fn no_work(_: OpView<'_>) -> Work {
    Work::default()
}
/// One operation per element of the first operand.
pub fn work_per_input(view: OpView<'_>) -> Work {
    Work { flops: view.operands.first().map(TensorType::elements).unwrap_or_default() }
}
