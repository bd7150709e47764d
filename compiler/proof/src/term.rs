//! Terms: a function written as expressions that share parts. The central type is [`Bank`].
//!
//! A term is an op with its attributes as leaves and its operands as children, so one attribute is one term. Results of ops with
//! several results are read by `get`. The bank infers the type of every term it takes in, so a term in a bank is well typed. It
//! knows nothing of equality beyond structure.

use indexmap::IndexSet;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use tricot_dialects::op::{OpDef, OpView};
use tricot_dialects::{Attr, Attrs, Constant, ConstantStore, Function, Module, OpSet, TensorType, ValueId};
use tricot_types::{DType, Poly, SymbolTable};

/// An op by reference, compared and ordered by name.
#[derive(Clone, Copy)]
pub struct OpRef(pub &'static OpDef);

impl PartialEq for OpRef {
    fn eq(&self, other: &OpRef) -> bool {
        std::ptr::eq(self.0, other.0) || self.0.name == other.0.name
    }
}
impl Eq for OpRef {}
impl PartialOrd for OpRef {
    fn partial_cmp(&self, other: &OpRef) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for OpRef {
    fn cmp(&self, other: &OpRef) -> std::cmp::Ordering {
        self.0.name.cmp(other.0.name)
    }
}
impl Hash for OpRef {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name.hash(state);
    }
}
impl std::fmt::Debug for OpRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name)
    }
}

/// What stands at the head of a term.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Head {
    /// An op call; children are its attributes in declaration order, then its operands.
    Op(OpRef),
    /// An attribute value.
    Attr(Attr),
    /// The function's input at this position.
    Input(u32, TensorType),
    /// One result of an op with several.
    Get(u32),
}

/// Names a term of a bank.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TermId(pub u32);

/// A head over children that are terms of the same bank.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Term {
    pub head: Head,
    pub children: Vec<TermId>,
}

/// Types of a function's inputs and outputs.
pub type Signature = (Vec<TensorType>, Vec<TensorType>);

/// A set of well-typed terms, each held once.
#[derive(Clone, Default)]
pub struct Bank {
    terms: IndexSet<Term>,
    types: Vec<Vec<TensorType>>,
    /// Constants that terms mention.
    pub constants: ConstantStore,
    /// Types of constants whose values are not at hand.
    pub declared: BTreeMap<tricot_dialects::Hash, TensorType>,
    /// Signatures of the functions terms may call.
    pub signatures: BTreeMap<String, Signature>,
    /// Promises about the sizes.
    pub symbols: SymbolTable,
    /// The ops that terms may call.
    pub ops: OpSet,
}

/// A function as terms.
pub struct Encoded {
    /// One term per output.
    pub outputs: Vec<TermId>,
    /// The term of every live value.
    pub values: BTreeMap<ValueId, TermId>,
}

impl Bank {
    /// A bank over a module's constants, signatures and symbols.
    pub fn new(module: &Module) -> Bank {
        let signatures =
            module.functions.iter().map(|(n, f)| (n.clone(), (f.input_types(), f.output_types()))).collect();
        Bank {
            constants: module.constants.clone(),
            signatures,
            symbols: module.symbols.clone(),
            ops: module.ops.clone(),
            ..Bank::default()
        }
    }

    /// Number of terms.
    pub fn len(&self) -> usize {
        self.terms.len()
    }

    /// Whether it holds no term.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// A term.
    pub fn term(&self, id: TermId) -> &Term {
        &self.terms[id.0 as usize]
    }

    /// Result types; none for an attribute.
    pub fn types(&self, id: TermId) -> &[TensorType] {
        &self.types[id.0 as usize]
    }

    /// The type of a term with one result. Panics for attributes.
    pub fn ty(&self, id: TermId) -> &TensorType {
        &self.types[id.0 as usize][0]
    }

    /// The op at the head.
    pub fn def(&self, id: TermId) -> Option<&'static OpDef> {
        match &self.term(id).head {
            Head::Op(op) => Some(op.0),
            _ => None,
        }
    }

    /// The op's name, or the empty text.
    pub fn name(&self, id: TermId) -> &'static str {
        self.def(id).map_or("", |d| d.name)
    }

    /// Whether the head is this op.
    pub fn is(&self, id: TermId, name: &str) -> bool {
        self.name(id) == name
    }

    /// Whether the head is `core.map` of this scalar function.
    pub fn is_map(&self, id: TermId, function: &str) -> bool {
        self.is(id, "core.map") && matches!(self.attr(id, "fn"), Some(Attr::Str(s)) if s == function)
    }

    /// Operands of an op call, the operand of a `get`.
    pub fn operands(&self, id: TermId) -> &[TermId] {
        let term = self.term(id);
        match &term.head {
            Head::Op(op) => &term.children[op.0.attrs.len()..],
            _ => &term.children,
        }
    }

    /// An attribute.
    pub fn attr(&self, id: TermId, name: &str) -> Option<&Attr> {
        let at = self.def(id)?.attrs.iter().position(|a| a.name == name)?;
        match &self.term(self.term(id).children[at]).head {
            Head::Attr(value) => Some(value),
            _ => None,
        }
    }

    /// All attributes.
    pub fn attrs(&self, id: TermId) -> Attrs {
        let mut out = Attrs::new();
        for a in self.def(id).map_or(&[][..], |d| d.attrs) {
            if let Some(value) = self.attr(id, a.name) {
                out.set(a.name, value.clone());
            }
        }
        out
    }

    /// The tensor a `core.constant` means.
    pub fn constant(&self, id: TermId) -> Option<&Constant> {
        match self.attr(id, "value") {
            Some(Attr::Constant(hash)) => self.constants.get(*hash),
            _ => None,
        }
    }

    /// Adds a term; says why it is ill typed.
    pub fn add(&mut self, head: Head, children: Vec<TermId>) -> Result<TermId, String> {
        let term = Term { head, children };
        if let Some(at) = self.terms.get_index_of(&term) {
            return Ok(TermId(at as u32));
        }
        if let Some(bad) = term.children.iter().find(|c| c.0 as usize >= self.terms.len()) {
            return Err(format!("term {} is not there", bad.0));
        }
        let types = self.infer(&term)?;
        let (at, _) = self.terms.insert_full(term);
        self.types.push(types);
        Ok(TermId(at as u32))
    }

    fn infer(&self, term: &Term) -> Result<Vec<TensorType>, String> {
        match &term.head {
            Head::Attr(_) if term.children.is_empty() => Ok(vec![]),
            Head::Input(_, ty) if term.children.is_empty() => Ok(vec![ty.clone()]),
            Head::Attr(_) | Head::Input(..) => Err("an attribute or input has no operands".into()),
            Head::Get(at) => {
                let [of] = term.children[..] else { return Err("`get` takes one operand".into()) };
                let types = self.types(of);
                match types.get(*at as usize) {
                    Some(ty) if types.len() > 1 => Ok(vec![ty.clone()]),
                    _ => Err(format!("there is no result {at} of {}", types.len())),
                }
            }
            Head::Op(op) => {
                let def = op.0;
                let (attr_terms, operand_terms) = term
                    .children
                    .split_at_checked(def.attrs.len())
                    .ok_or_else(|| format!("`{}` lacks attributes", def.name))?;
                let mut attrs = Attrs::new();
                for (a, t) in def.attrs.iter().zip(attr_terms) {
                    match &self.term(*t).head {
                        Head::Attr(value) => attrs.set(a.name, value.clone()),
                        _ => return Err(format!("`{}`: `{}` is no attribute", def.name, a.name)),
                    }
                }
                let attrs = def.complete(attrs)?;
                let mut operands = vec![];
                for t in operand_terms {
                    match self.types(*t) {
                        [ty] => operands.push(ty.clone()),
                        other => return Err(format!("an operand of `{}` has {} results", def.name, other.len())),
                    }
                }
                let constant = match attrs.get("value") {
                    Some(Attr::Constant(hash)) => match self.constants.get(*hash) {
                        Some(c) => Some(c),
                        None => {
                            return self.declared.get(hash).map(|t| vec![t.clone()]).ok_or("unknown constant".into());
                        }
                    },
                    _ => None,
                };
                let signature = match attrs.get("callee") {
                    Some(Attr::Str(name)) => self.signatures.get(name),
                    _ => None,
                };
                let callee = signature.map(|(a, b)| (a.as_slice(), b.as_slice()));
                def.infer(OpView { def, operands: &operands, attrs: &attrs, constant, callee })
            }
        }
    }

    /// Adds an op call with its attributes; defaults are filled in.
    pub fn op(&mut self, name: &str, attrs: Attrs, operands: &[TermId]) -> Result<TermId, String> {
        let def = self.ops.lookup(name).ok_or_else(|| format!("there is no op `{name}`"))?;
        let attrs = def.complete(attrs)?;
        let mut children = vec![];
        for a in def.attrs {
            let value = attrs.get(a.name).cloned().ok_or_else(|| format!("attribute `{}` is missing", a.name))?;
            children.push(self.add(Head::Attr(value), vec![])?);
        }
        children.extend_from_slice(operands);
        self.add(Head::Op(OpRef(def)), children)
    }

    /// One result of an op call.
    pub fn get(&mut self, of: TermId, result: u32) -> Result<TermId, String> {
        match self.types(of).len() {
            1 => Ok(of),
            _ => self.add(Head::Get(result), vec![of]),
        }
    }

    /// A `core.constant`.
    pub fn add_constant(&mut self, constant: Constant) -> Result<TermId, String> {
        let hash = self.constants.add(constant);
        self.op("core.constant", Attrs::new().with("value", hash), &[])
    }

    /// A number of `dtype` broadcast to `shape`.
    pub fn full(&mut self, dtype: DType, value: f64, shape: &[Poly]) -> Result<TermId, String> {
        let scalar = self.add_constant(Constant::from_f64(dtype, vec![], &[value]))?;
        match shape {
            [] => Ok(scalar),
            _ => self.broadcast(scalar, shape, &[]),
        }
    }

    /// `core.map`.
    pub fn map(&mut self, function: &str, operands: &[TermId]) -> Result<TermId, String> {
        self.op("core.map", Attrs::new().with("fn", function), operands)
    }

    /// `core.broadcast`; nothing where it changes nothing.
    pub fn broadcast(&mut self, x: TermId, shape: &[Poly], axes: &[i64]) -> Result<TermId, String> {
        if self.ty(x).shape == shape && axes.iter().enumerate().all(|(i, a)| i as i64 == *a) {
            return Ok(x);
        }
        self.op("core.broadcast", Attrs::new().with("shape", shape.to_vec()).with("axes", axes.to_vec()), &[x])
    }

    /// `core.reshape`; nothing where it changes nothing.
    pub fn reshape(&mut self, x: TermId, shape: &[Poly]) -> Result<TermId, String> {
        match self.ty(x).shape == shape {
            true => Ok(x),
            false => self.op("core.reshape", Attrs::new().with("shape", shape.to_vec()), &[x]),
        }
    }

    /// `core.transpose`; nothing for the identity.
    pub fn transpose(&mut self, x: TermId, perm: &[i64]) -> Result<TermId, String> {
        match perm.iter().enumerate().all(|(i, p)| i as i64 == *p) {
            true => Ok(x),
            false => self.op("core.transpose", Attrs::new().with("perm", perm.to_vec()), &[x]),
        }
    }

    /// `core.contract`.
    pub fn contract(&mut self, spec: &str, operands: &[TermId], dtype: DType) -> Result<TermId, String> {
        self.op("core.contract", Attrs::new().with("spec", spec).with("dtype", dtype), operands)
    }

    /// The live part of a function.
    pub fn encode(&mut self, function: &Function) -> Result<Encoded, String> {
        let mut values = BTreeMap::new();
        let positions: BTreeMap<ValueId, u32> = function.inputs().zip(0..).collect();
        for id in function.live_order() {
            let node = function.node(id);
            let value = |result: usize| ValueId { node: id, result: result as u32 };
            if let Some(at) = positions.get(&value(0)) {
                values.insert(value(0), self.add(Head::Input(*at, node.results[0].clone()), vec![])?);
                continue;
            }
            let operands: Vec<TermId> = node.operands().iter().map(|v| values[v]).collect();
            let term = self.op(node.op.name, node.attrs.clone(), &operands)?;
            for result in 0..node.results.len() {
                values.insert(value(result), self.get(term, result as u32)?);
            }
        }
        Ok(Encoded { outputs: function.outputs.iter().map(|o| values[&o.value]).collect(), values })
    }

    /// Every term reachable from `roots`, children before parents.
    pub fn reachable(&self, roots: &[TermId]) -> Vec<TermId> {
        let mut seen = vec![false; self.terms.len()];
        let mut stack: Vec<TermId> = roots.to_vec();
        while let Some(t) = stack.pop() {
            if !std::mem::replace(&mut seen[t.0 as usize], true) {
                stack.extend(&self.term(t).children);
            }
        }
        // A child is always added before its parent.
        (0..self.terms.len() as u32).map(TermId).filter(|t| seen[t.0 as usize]).collect()
    }

    /// The term on one line in the style of graph text, cut at `depth`.
    pub fn text(&self, id: TermId, depth: usize) -> String {
        let term = self.term(id);
        let children = |ids: &[TermId]| -> String {
            match depth {
                0 if !ids.is_empty() => "…".into(),
                _ => ids.iter().map(|c| self.text(*c, depth - 1)).collect::<Vec<_>>().join(", "),
            }
        };
        match &term.head {
            Head::Input(at, _) => format!("%arg{at}"),
            Head::Attr(value) => crate::format::attr_text(value),
            Head::Get(at) => format!("{}#{at}", self.text(term.children[0], depth)),
            Head::Op(op) => {
                if op.0.name == "core.constant" {
                    return match self.constant(id) {
                        Some(c) if c.elements() == 1 => format!("{}", c.to_f64()[0]),
                        Some(c) => format!("const<{}>", &c.hash().to_string()[..8]),
                        None => "const".into(),
                    };
                }
                let attrs: Vec<String> =
                    op.0.attrs
                        .iter()
                        .filter_map(|a| self.attr(id, a.name).map(|v| (a, v)))
                        .filter(|(a, v)| a.default.is_none_or(|d| d.value() != **v))
                        .map(|(a, v)| format!("{} = {}", a.name, crate::format::attr_text(v)))
                        .collect();
                let attrs = if attrs.is_empty() { String::new() } else { format!(" {{{}}}", attrs.join(", ")) };
                format!("{}({}){attrs}", op.0.name, children(self.operands(id)))
            }
        }
    }
}
