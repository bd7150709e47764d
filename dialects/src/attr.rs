//! Attributes: the compile-time parameters of an op.

use crate::constant::Hash;
use std::collections::BTreeMap;
use tricot_types::{DType, Poly};

/// What an attribute may hold; fixed per attribute by the op's definition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttrKind {
    Int,
    Float,
    Bool,
    /// Free text (an einsum).
    Str,
    /// One of the words listed.
    Word(&'static [&'static str]),
    DType,
    /// One polynomial.
    Dim,
    /// A list of polynomials.
    Dims,
    /// A list of integers.
    Ints,
    /// A constant tensor of the module's store.
    Constant,
    /// The name of a function.
    Function,
}

/// An attribute's value. Floats are kept by their bits, so equality and hashing are exact.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Attr {
    Int(i64),
    Float(u64),
    Bool(bool),
    /// Also the value of `Word` and `Function` attributes.
    Str(String),
    DType(DType),
    Dim(Poly),
    Dims(Vec<Poly>),
    Ints(Vec<i64>),
    Constant(Hash),
}

impl Attr {
    /// A float attribute.
    pub fn float(value: f64) -> Attr {
        Attr::Float(value.to_bits())
    }

    /// Whether the value fits the declared kind.
    pub fn fits(&self, kind: AttrKind) -> bool {
        match (self, kind) {
            (Attr::Int(_), AttrKind::Int)
            | (Attr::Float(_), AttrKind::Float)
            | (Attr::Bool(_), AttrKind::Bool)
            | (Attr::Str(_), AttrKind::Str | AttrKind::Function)
            | (Attr::DType(_), AttrKind::DType)
            | (Attr::Dim(_), AttrKind::Dim)
            | (Attr::Dims(_), AttrKind::Dims)
            | (Attr::Ints(_), AttrKind::Ints)
            | (Attr::Constant(_), AttrKind::Constant) => true,
            (Attr::Str(s), AttrKind::Word(words)) => words.contains(&s.as_str()),
            _ => false,
        }
    }
}

impl From<i64> for Attr {
    fn from(v: i64) -> Attr {
        Attr::Int(v)
    }
}
impl From<f64> for Attr {
    fn from(v: f64) -> Attr {
        Attr::float(v)
    }
}
impl From<bool> for Attr {
    fn from(v: bool) -> Attr {
        Attr::Bool(v)
    }
}
impl From<&str> for Attr {
    fn from(v: &str) -> Attr {
        Attr::Str(v.into())
    }
}
impl From<String> for Attr {
    fn from(v: String) -> Attr {
        Attr::Str(v)
    }
}
impl From<DType> for Attr {
    fn from(v: DType) -> Attr {
        Attr::DType(v)
    }
}
impl From<Poly> for Attr {
    fn from(v: Poly) -> Attr {
        Attr::Dim(v)
    }
}
impl From<Vec<Poly>> for Attr {
    fn from(v: Vec<Poly>) -> Attr {
        Attr::Dims(v)
    }
}
impl From<Vec<i64>> for Attr {
    fn from(v: Vec<i64>) -> Attr {
        Attr::Ints(v)
    }
}
impl From<Hash> for Attr {
    fn from(v: Hash) -> Attr {
        Attr::Constant(v)
    }
}

/// The attributes of one node, complete: defaults are filled in when a node is made.
///
/// The typed getters panic when the attribute is absent or of another kind; a node that passed
/// [`crate::op::OpDef::complete`] has every declared attribute with the declared kind.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Attrs(BTreeMap<&'static str, Attr>);

impl Attrs {
    /// No attributes.
    pub fn new() -> Attrs {
        Attrs::default()
    }

    /// Adds or replaces one.
    pub fn with(mut self, name: &'static str, value: impl Into<Attr>) -> Attrs {
        self.set(name, value);
        self
    }

    /// Adds or replaces one.
    pub fn set(&mut self, name: &'static str, value: impl Into<Attr>) {
        self.0.insert(name, value.into());
    }

    /// Looks one up.
    pub fn get(&self, name: &str) -> Option<&Attr> {
        self.0.get(name)
    }

    /// All, in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Attr)> {
        self.0.iter().map(|(k, v)| (*k, v))
    }

    /// Replaces every polynomial by its image under `f` (symbol substitution).
    pub fn map_dims(&mut self, f: impl Fn(&Poly) -> Poly) {
        for value in self.0.values_mut() {
            match value {
                Attr::Dim(p) => *p = f(p),
                Attr::Dims(ps) => ps.iter_mut().for_each(|p| *p = f(p)),
                _ => {}
            }
        }
    }

    fn expect(&self, name: &str) -> &Attr {
        self.0.get(name).unwrap_or_else(|| panic!("attribute `{name}` is missing from a completed node"))
    }

    /// An integer attribute.
    pub fn int(&self, name: &str) -> i64 {
        match self.expect(name) {
            Attr::Int(v) => *v,
            other => panic!("attribute `{name}` is {other:?}, not an integer"),
        }
    }

    /// A float attribute.
    pub fn float(&self, name: &str) -> f64 {
        match self.expect(name) {
            Attr::Float(v) => f64::from_bits(*v),
            other => panic!("attribute `{name}` is {other:?}, not a float"),
        }
    }

    /// A boolean attribute.
    pub fn bool(&self, name: &str) -> bool {
        match self.expect(name) {
            Attr::Bool(v) => *v,
            other => panic!("attribute `{name}` is {other:?}, not a boolean"),
        }
    }

    /// A text or word attribute.
    pub fn str(&self, name: &str) -> &str {
        match self.expect(name) {
            Attr::Str(v) => v,
            other => panic!("attribute `{name}` is {other:?}, not text"),
        }
    }

    /// A dtype attribute.
    pub fn dtype(&self, name: &str) -> DType {
        match self.expect(name) {
            Attr::DType(v) => *v,
            other => panic!("attribute `{name}` is {other:?}, not an element type"),
        }
    }

    /// A polynomial attribute.
    pub fn dim(&self, name: &str) -> &Poly {
        match self.expect(name) {
            Attr::Dim(v) => v,
            other => panic!("attribute `{name}` is {other:?}, not a size"),
        }
    }

    /// A polynomial list attribute.
    pub fn dims(&self, name: &str) -> &[Poly] {
        match self.expect(name) {
            Attr::Dims(v) => v,
            other => panic!("attribute `{name}` is {other:?}, not a list of sizes"),
        }
    }

    /// An integer list attribute.
    pub fn ints(&self, name: &str) -> &[i64] {
        match self.expect(name) {
            Attr::Ints(v) => v,
            other => panic!("attribute `{name}` is {other:?}, not a list of integers"),
        }
    }

    /// A constant attribute.
    pub fn constant(&self, name: &str) -> Hash {
        match self.expect(name) {
            Attr::Constant(v) => *v,
            other => panic!("attribute `{name}` is {other:?}, not a constant"),
        }
    }
}
