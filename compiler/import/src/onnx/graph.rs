//! Walks an ONNX graph and lowers it node by node; inlines model-local functions and nested graphs.

use super::call::{Call, Res, misfit};
use super::ctx::{Ctx, Slot};
use super::proto::{AttributeProto, GraphProto, NodeProto, TensorProto, TypeProto, ValueInfoProto};
use super::proto::{tensor_shape_proto::dimension::Value, type_proto};
use super::table;
use super::tensor::{constant, declared, dtype, unsupported_dtype};
use std::collections::BTreeMap;
use std::sync::Arc;
use tricot_dialects::{Attrs, Origin, TensorType, ValueId};
use tricot_types::{DType, Diagnostic, Poly, Symbol, SymbolInfo};

/// Nesting of function calls and graphs.
const MAX_DEPTH: usize = 40;
/// Integer results of at most as many elements are worked out at once.
const SHAPE_ELEMENTS: i64 = 256;

/// What a node is called in messages.
pub fn node_name(node: &NodeProto, index: usize) -> String {
    match (node.name(), node.output.iter().find(|o| !o.is_empty())) {
        ("", Some(output)) => output.clone(),
        ("", None) => format!("#{index}"),
        (name, _) => name.into(),
    }
}

/// The domain with the two spellings of the default one united.
pub fn domain(name: &str) -> &str {
    if name == "ai.onnx" { "" } else { name }
}

impl Ctx<'_> {
    /// Finds a name, innermost scope first.
    pub fn lookup(&self, name: &str) -> Option<Slot> {
        self.scopes.iter().rev().find_map(|s| s.get(name).copied())
    }

    /// Gives a name a meaning in the innermost scope.
    pub fn define(&mut self, name: &str, slot: Slot) {
        if !name.is_empty() {
            self.scopes.last_mut().expect("a scope").insert(name.into(), slot);
        }
    }

    /// The dimension an input declares; `fallback` names a symbol for one that is not given.
    pub fn dimension(&mut self, value: Option<&Value>, fallback: &str) -> Res<Poly> {
        let text = match value {
            Some(Value::DimValue(v)) if *v >= 0 => return Ok(Poly::constant(*v)),
            Some(Value::DimParam(p)) if !p.trim().is_empty() => p.trim(),
            _ => fallback,
        };
        // Exporters write expressions such as `2*s0 + 1`; anything else becomes an identifier.
        let expression = text.replace("//", " floordiv ");
        let poly = match expression.parse::<Poly>() {
            Ok(p) if p.as_constant().is_none() => p,
            _ => {
                let word: String =
                    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(200).collect();
                let symbol = Symbol::new(&word).or_else(|| Symbol::new(&format!("_{word}")));
                Poly::symbol(symbol.ok_or_else(|| misfit(format!("the size `{text}` names no symbol")))?)
            }
        };
        let mut known = BTreeMap::new();
        poly.visit_symbols(&mut |s| {
            known.insert(s.clone(), Poly::symbol(s.clone()));
        });
        for (symbol, image) in &mut known {
            let given = self.options.set.get(symbol.name()).or_else(|| self.options.set.get(text));
            match given {
                Some(v) if *v < 0 => return Err(misfit(format!("--set gives `{symbol}` the negative size {v}"))),
                Some(v) => *image = Poly::constant(*v),
                None => drop(self.symbols.entry(symbol.clone()).or_insert_with(SymbolInfo::default)),
            }
        }
        Ok(poly.substitute(&known))
    }

    /// The type a graph input declares.
    pub fn input_type(&mut self, info: &ValueInfoProto) -> Res<TensorType> {
        let none = TypeProto::default();
        let ty: &type_proto::Tensor = declared(info.r#type.as_ref().unwrap_or(&none))?;
        let element = dtype(ty.elem_type.unwrap_or(0)).map_err(|name| unsupported_dtype(&name))?;
        let shape = ty.shape.as_ref().ok_or_else(|| {
            misfit(format!("input `{}` declares no shape", info.name())).with_help("run shape inference on the model")
        })?;
        let mut dims = vec![];
        for (i, d) in shape.dim.iter().enumerate() {
            dims.push(self.dimension(d.value.as_ref(), &format!("{}_{i}", info.name()))?);
        }
        self.check_shape(&dims)?;
        Ok(TensorType::new(element, dims))
    }

    /// A tensor of the file as a value.
    pub fn tensor(&mut self, tensor: &TensorProto, name: &str) -> Res<ValueId> {
        let value = constant(tensor, &mut self.external)?;
        let hash = match name.is_empty() {
            true => self.b.constants.add(value),
            false => self.b.constants.add_named(name, value),
        };
        self.b.one("core.constant", &[], Attrs::new().with("value", hash))
    }

    /// Initializers, then nodes, of a graph whose inputs are in scope.
    pub fn lower_graph(&mut self, graph: &GraphProto) {
        for tensor in &graph.initializer {
            let name = tensor.name();
            // Depth 0: `bind` may replace a weight.
            let slot = match self.bound(name) {
                Some(slot) => slot,
                None => match self.tensor(tensor, name) {
                    Ok(v) => {
                        self.b.function.node_mut(v.node).names = vec![name.into()];
                        Slot::Value(v)
                    }
                    Err(d) => {
                        self.problems.push(d.at_name(name, "this initializer"));
                        Slot::Poison
                    }
                },
            };
            self.define(name, slot);
        }
        for sparse in &graph.sparse_initializer {
            let name = sparse.values.as_ref().map_or("", |v| v.name());
            self.problems.push(
                Diagnostic::error("TC0204", format!("the sparse initializer `{name}` is not supported"))
                    .with_help("store it as a dense tensor"),
            );
            self.define(name, Slot::Poison);
        }
        self.lower_nodes(&graph.node);
    }

    /// A value given by the caller in place of a name of the outermost graph.
    pub fn bound(&mut self, name: &str) -> Option<Slot> {
        let value = self.options.bind.get(name).filter(|_| self.depth == 0)?.clone();
        match self.b.constant(value) {
            Ok(v) => Some(Slot::Value(v)),
            Err(d) => {
                self.problems.push(d.at_name(name, "this bound value"));
                Some(Slot::Poison)
            }
        }
    }

    /// Nodes in file order, which ONNX demands to be topological.
    pub fn lower_nodes(&mut self, nodes: &[NodeProto]) {
        for (i, node) in nodes.iter().enumerate() {
            tricot_types::stop::check();
            let name = node_name(node, i);
            let outer = self.b.origin.clone();
            self.b.origin =
                Some(Arc::new(Origin { file: self.file.clone(), node: name.clone(), op: node.op_type().into() }));
            let lowered = self.lower_node(node);
            match lowered {
                Ok(slots) => {
                    for (output, slot) in node.output.iter().zip(slots) {
                        let slot = self.bound(output).unwrap_or(slot);
                        if let Slot::Value(v) = slot {
                            self.name_value(v, output);
                            // Keeps chains of shape arithmetic short for the evaluator. Masks and tables can wait until
                            // somebody asks.
                            let count = self.b.ty(v).elements().as_constant();
                            if !self.dtype(v).is_float() && count.is_some_and(|n| n <= SHAPE_ELEMENTS) {
                                self.known(v);
                            }
                        }
                        self.define(output, slot);
                    }
                }
                Err(mut d) => {
                    if d.code == "TC0110" || d.code == "TC0111" {
                        d.code = "TC0208";
                    }
                    if !d.labels.iter().any(|l| matches!(l.place, tricot_types::Place::Node { .. })) {
                        let place = tricot_types::Place::Node {
                            file: self.file.clone(),
                            node: name,
                            op: node.op_type().into(),
                        };
                        d.labels.insert(0, tricot_types::Label { place, message: String::new() });
                    }
                    if d.code != super::ctx::REPORTED {
                        self.problems.push(d);
                    }
                    for output in &node.output {
                        let slot = self.bound(output).unwrap_or(Slot::Poison);
                        self.define(output, slot);
                    }
                }
            }
            self.b.origin = outer;
            if self.budget == 0 {
                break;
            }
        }
    }

    fn name_value(&mut self, v: ValueId, name: &str) {
        let node = self.b.function.node_mut(v.node);
        if node.op.name == "core.argument" {
            return;
        }
        node.names.resize(node.results.len(), String::new());
        let slot = &mut node.names[v.result as usize];
        if slot.is_empty() {
            *slot = name.chars().take(80).collect();
        }
    }

    /// One node: its outputs, poison where an input is.
    fn lower_node(&mut self, node: &NodeProto) -> Res<Vec<Slot>> {
        self.budget = self.budget.saturating_sub(1);
        if self.budget == 0 {
            let message = format!("the model unrolls to more than {} nodes", self.options.max_nodes);
            return Err(Diagnostic::error("TC0213", message).with_help("shorten its loops"));
        }
        let mut inputs = vec![];
        for name in &node.input {
            inputs.push(match (name.as_str(), self.lookup(name)) {
                ("", _) => None,
                (_, Some(Slot::Value(v))) => Some(v),
                (_, Some(Slot::Poison)) => return Ok(vec![Slot::Poison; node.output.len()]),
                (_, None) => {
                    return Err(Diagnostic::error("TC0206", format!("`{name}` is used before any node produces it"))
                        .with_help("the nodes of a graph must be in topological order"));
                }
            });
        }
        let home = domain(node.domain()).to_string();
        let key = (home.clone(), node.op_type().to_string(), node.overload().to_string());
        if let Some(function) = self.functions.get(&key).copied() {
            return self.call_function(function, node, &inputs);
        }
        let version = self.opsets.get(&home).copied().unwrap_or(0);
        if let Some(def) = super::custom::find(&self.options.library, &home, node.op_type()) {
            let call = Call { node, inputs, version };
            return Ok(super::custom::lower(self, def, &call)?.into_iter().map(Slot::Value).collect());
        }
        let entry = table::find(&home, node.op_type(), version)?;
        for v in inputs.iter().flatten() {
            self.check_dtype(entry, self.dtype(*v))?;
        }
        let call = Call { node, inputs, version };
        let results = (entry.lower)(self, &call)?;
        for v in &results {
            let ty = self.ty(*v);
            self.check_shape(&ty.shape)?;
        }
        if results.len() < node.output.len() && node.output[results.len()..].iter().any(|o| !o.is_empty()) {
            return Err(super::call::variant(format!("output {} of this op is not supported", results.len())));
        }
        Ok(results.into_iter().map(Slot::Value).collect())
    }

    fn check_dtype(&self, entry: &table::Entry, have: DType) -> Res<()> {
        if entry.dtypes.contains(&have) {
            return Ok(());
        }
        let names: Vec<&str> = entry.dtypes.iter().map(|d| d.name()).collect();
        Err(Diagnostic::error("TC0204", format!("{} of {have} is not supported", entry.op))
            .with_help(format!("it takes {}", names.join(", "))))
    }

    fn enter(&mut self) -> Res<()> {
        self.depth += 1;
        match self.depth > MAX_DEPTH {
            true => {
                self.depth -= 1;
                Err(Diagnostic::error("TC0213", format!("functions and graphs are nested more than {MAX_DEPTH} deep")))
            }
            false => Ok(()),
        }
    }

    /// Inlines a model-local function.
    fn call_function(
        &mut self,
        function: &super::proto::FunctionProto,
        node: &NodeProto,
        inputs: &[Option<ValueId>],
    ) -> Res<Vec<Slot>> {
        self.enter()?;
        // A function sees its own names and opsets only.
        let scopes = std::mem::replace(&mut self.scopes, vec![BTreeMap::new()]);
        let mut own = self.opsets.clone();
        for set in &function.opset_import {
            own.insert(domain(set.domain()).into(), set.version());
        }
        let opsets = std::mem::replace(&mut self.opsets, own);
        for (name, value) in function.input.iter().zip(inputs) {
            if let Some(v) = value {
                self.define(name, Slot::Value(*v));
            }
        }
        let missing: Vec<&String> = function.input.iter().skip(inputs.len()).collect();
        let absent: Vec<String> = function
            .input
            .iter()
            .zip(inputs)
            .filter(|(_, v)| v.is_none())
            .map(|(n, _)| n.clone())
            .chain(missing.into_iter().cloned())
            .collect();
        let body: Vec<NodeProto> = function.node.iter().map(|n| resolve(n, node, function, &absent)).collect();
        self.lower_nodes(&body);
        let results = function.output.iter().map(|o| self.lookup(o).unwrap_or(Slot::Poison)).collect();
        self.scopes = scopes;
        self.opsets = opsets;
        self.depth -= 1;
        Ok(results)
    }

    /// Lowers a nested graph with its inputs given; its outputs, or `None` when something in it was refused.
    pub fn nested(&mut self, graph: &GraphProto, inputs: &[ValueId]) -> Res<Option<Vec<ValueId>>> {
        self.enter()?;
        self.scopes.push(BTreeMap::new());
        for (info, v) in graph.input.iter().zip(inputs) {
            self.define(info.name(), Slot::Value(*v));
        }
        self.lower_graph(graph);
        let mut results = vec![];
        let mut missing = None;
        for o in &graph.output {
            match self.lookup(o.name()) {
                Some(Slot::Value(v)) => results.push(v),
                Some(Slot::Poison) => {}
                None => missing = Some(o.name().to_string()),
            }
        }
        self.scopes.pop();
        self.depth -= 1;
        match missing {
            Some(name) => {
                Err(Diagnostic::error("TC0206", format!("no node produces the nested graph's output `{name}`")))
            }
            None => Ok((results.len() == graph.output.len()).then_some(results)),
        }
    }
}

/// A function body's node at one call: attribute references replaced, absent inputs emptied.
fn resolve(
    node: &NodeProto,
    caller: &NodeProto,
    function: &super::proto::FunctionProto,
    absent: &[String],
) -> NodeProto {
    let mut node = node.clone();
    for input in &mut node.input {
        if absent.contains(input) {
            input.clear();
        }
    }
    let mut attributes = vec![];
    for a in std::mem::take(&mut node.attribute) {
        let wanted = a.ref_attr_name().to_string();
        if wanted.is_empty() {
            let mut a: AttributeProto = a;
            // References may hide in nested graphs as well.
            for g in a.g.iter_mut().chain(&mut a.graphs) {
                g.node = g.node.iter().map(|n| resolve(n, caller, function, absent)).collect();
            }
            attributes.push(a);
            continue;
        }
        let given = caller.attribute.iter().find(|c| c.name() == wanted);
        let default = function.attribute_proto.iter().find(|c| c.name() == wanted);
        if let Some(found) = given.or(default) {
            attributes.push(AttributeProto { name: a.name.clone(), ref_attr_name: None, ..found.clone() });
        }
    }
    node.attribute = attributes;
    node
}
