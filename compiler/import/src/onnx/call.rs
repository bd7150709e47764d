//! One node as an op's import function sees it: inputs resolved, attributes typed.

use super::proto::{AttributeProto, GraphProto, NodeProto, TensorProto, attribute_proto::AttributeType};
use tricot_dialects::ValueId;
use tricot_types::Diagnostic;

/// Results and errors of the import's functions.
pub type Res<T> = Result<T, Diagnostic>;

/// A node with its inputs.
pub struct Call<'a> {
    pub node: &'a NodeProto,
    /// `None` where an optional input is left out.
    pub inputs: Vec<Option<ValueId>>,
    /// Opset version of the node's domain.
    pub version: i64,
}

/// An attribute problem.
pub fn bad_attribute(message: impl Into<String>) -> Diagnostic {
    Diagnostic::error("TC0207", message)
}

/// Inputs that do not fit the op.
pub fn misfit(message: impl Into<String>) -> Diagnostic {
    Diagnostic::error("TC0208", message)
}

/// A variant of an op that is not supported.
pub fn variant(message: impl Into<String>) -> Diagnostic {
    Diagnostic::error("TC0214", message)
}

impl<'a> Call<'a> {
    /// The op's name.
    pub fn op(&self) -> &'a str {
        self.node.op_type.as_deref().unwrap_or("")
    }

    /// A required input.
    pub fn input(&self, i: usize) -> Res<ValueId> {
        self.maybe(i).ok_or_else(|| misfit(format!("input {i} is missing")))
    }

    /// An optional input.
    pub fn maybe(&self, i: usize) -> Option<ValueId> {
        self.inputs.get(i).copied().flatten()
    }

    /// All inputs of a variadic op.
    pub fn all(&self) -> Res<Vec<ValueId>> {
        match self.inputs.is_empty() {
            true => Err(misfit("the node has no inputs")),
            false => (0..self.inputs.len()).map(|i| self.input(i)).collect(),
        }
    }

    /// Whether output `i` is named.
    pub fn wants(&self, i: usize) -> bool {
        self.node.output.get(i).is_some_and(|o| !o.is_empty())
    }

    fn find(&self, name: &str, kind: AttributeType) -> Res<Option<&'a AttributeProto>> {
        let Some(a) = self.node.attribute.iter().find(|a| a.name() == name) else { return Ok(None) };
        // Files of IR version 1 leave the type out.
        match a.r#type() == kind || a.r#type() == AttributeType::Undefined {
            true => Ok(Some(a)),
            false => Err(bad_attribute(format!(
                "attribute `{name}` is {}, not {}",
                a.r#type().as_str_name(),
                kind.as_str_name()
            ))),
        }
    }

    /// Whether the attribute is given.
    pub fn has(&self, name: &str) -> bool {
        self.node.attribute.iter().any(|a| a.name() == name)
    }

    /// An integer attribute, if given.
    pub fn get_int(&self, name: &str) -> Res<Option<i64>> {
        Ok(self.find(name, AttributeType::Int)?.map(AttributeProto::i))
    }

    /// An integer attribute.
    pub fn int(&self, name: &str, default: i64) -> Res<i64> {
        Ok(self.get_int(name)?.unwrap_or(default))
    }

    /// A flag: an integer attribute that is not 0.
    pub fn flag(&self, name: &str, default: bool) -> Res<bool> {
        Ok(self.get_int(name)?.map_or(default, |v| v != 0))
    }

    /// A float attribute, if given.
    pub fn get_float(&self, name: &str) -> Res<Option<f64>> {
        Ok(self.find(name, AttributeType::Float)?.map(|a| f64::from(a.f())))
    }

    /// A float attribute.
    pub fn float(&self, name: &str, default: f64) -> Res<f64> {
        Ok(self.get_float(name)?.unwrap_or(default))
    }

    /// A text attribute.
    pub fn text(&self, name: &str, default: &str) -> Res<String> {
        match self.find(name, AttributeType::String)? {
            None => Ok(default.into()),
            Some(a) => String::from_utf8(a.s().to_vec())
                .map_err(|_| bad_attribute(format!("attribute `{name}` is not valid UTF-8"))),
        }
    }

    /// A list of integers, if given.
    pub fn ints(&self, name: &str) -> Res<Option<Vec<i64>>> {
        Ok(self.find(name, AttributeType::Ints)?.map(|a| a.ints.clone()))
    }

    /// A list of floats, if given.
    pub fn floats(&self, name: &str) -> Res<Option<Vec<f64>>> {
        Ok(self.find(name, AttributeType::Floats)?.map(|a| a.floats.iter().map(|f| f64::from(*f)).collect()))
    }

    /// A list of texts, if given.
    pub fn texts(&self, name: &str) -> Res<Option<Vec<String>>> {
        let list = self.find(name, AttributeType::Strings)?;
        Ok(list.map(|a| a.strings.iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect()))
    }

    /// A tensor attribute, if given.
    pub fn tensor(&self, name: &str) -> Res<Option<&'a TensorProto>> {
        Ok(self.find(name, AttributeType::Tensor)?.and_then(|a| a.t.as_ref()))
    }

    /// A graph attribute.
    pub fn graph(&self, name: &str) -> Res<&'a GraphProto> {
        let found = self.find(name, AttributeType::Graph)?.and_then(|a| a.g.as_ref());
        found.ok_or_else(|| bad_attribute(format!("graph attribute `{name}` is missing")))
    }

    /// An axis attribute counted from the end when negative.
    pub fn axis(&self, name: &str, default: i64, rank: usize) -> Res<i64> {
        normal_axis(self.int(name, default)?, rank)
    }
}

/// An axis in `-rank..rank` as one in `0..rank`.
pub fn normal_axis(axis: i64, rank: usize) -> Res<i64> {
    let rank = rank as i64;
    match axis {
        a if (0..rank).contains(&a) => Ok(a),
        a if (-rank..0).contains(&a) => Ok(a + rank),
        a => Err(misfit(format!("axis {a} is outside a tensor of rank {rank}"))),
    }
}

/// Several axes.
pub fn normal_axes(axes: &[i64], rank: usize) -> Res<Vec<i64>> {
    let out = axes.iter().map(|a| normal_axis(*a, rank)).collect::<Res<Vec<_>>>()?;
    match (1..out.len()).find(|i| out[..*i].contains(&out[*i])) {
        Some(i) => Err(misfit(format!("axis {} is named twice", out[i]))),
        None => Ok(out),
    }
}
