//! Binds symbols and flattens a module into one list of core (and attention) calls with known shapes.

use std::collections::BTreeMap;
use tricot_dialects::core::Einsum;
use tricot_dialects::{Attr, Attrs, Builder, ConstantStore, Function, Module, Node, OpDef, TensorType, ValueId};
use tricot_types::{Bindings, DType, Diagnostic, Poly};

/// A result of a call: (call, result number).
pub type Value = (usize, usize);

/// One op call with everything bound.
pub struct Call {
    pub op: &'static OpDef,
    /// Sizes are constants.
    pub attrs: Attrs,
    pub operands: Vec<Value>,
    pub types: Vec<(DType, Vec<usize>)>,
    /// For contractions.
    pub einsum: Option<Einsum>,
    /// Index of the module input, for arguments.
    pub input: Option<usize>,
}

/// The flattened module.
pub struct Program {
    pub calls: Vec<Call>,
    pub outputs: Vec<Value>,
    pub constants: ConstantStore,
}

impl Program {
    /// Shape of a value.
    pub fn shape(&self, v: Value) -> &[usize] {
        &self.calls[v.0].types[v.1].1
    }

    /// Element type of a value.
    pub fn dtype(&self, v: Value) -> DType {
        self.calls[v.0].types[v.1].0
    }
}

/// Ops beyond core that have a direct form.
const DIRECT: &[&str] = &["nn.attention", "trilinear.attention", "trilinear.attention_backward"];

/// Solves for every symbol that an input dimension determines and checks all promises.
pub fn bind(module: &Module, shapes: &[&[usize]], given: &Bindings) -> Result<Bindings, Diagnostic> {
    let main = module.main().ok_or_else(|| Diagnostic::error("TC0800", "the module has no function @main"))?;
    let names: Vec<&str> = main.input_names().collect();
    if names.len() != shapes.len() {
        let message = format!("@main takes {} inputs, {} were given", names.len(), shapes.len());
        return Err(Diagnostic::error("TC0800", message));
    }
    let mut bindings = given.clone();
    let types = main.input_types();
    for (name, (ty, shape)) in names.iter().zip(types.iter().zip(shapes)) {
        if ty.rank() != shape.len() {
            let message = format!("input `{name}` has shape {shape:?}, the module says {ty}");
            return Err(Diagnostic::error("TC0801", message));
        }
        for (dim, size) in ty.shape.iter().zip(*shape) {
            if let Some((symbol, value)) = solve(dim, *size as i64) {
                bindings.entry(symbol).or_insert(value);
            }
        }
    }
    for (symbol, value) in &bindings {
        if let Some(info) = module.symbols.get(symbol) {
            info.check(*value).map_err(|m| Diagnostic::error("TC0802", format!("symbol `{symbol}`: {m}")))?;
        }
    }
    for (name, (ty, shape)) in names.iter().zip(types.iter().zip(shapes)) {
        for (dim, size) in ty.shape.iter().zip(*shape) {
            let want = evaluate(dim, &bindings)?;
            if want != *size {
                let message = format!("input `{name}` has shape {shape:?}, the module says {ty}: {dim} is {want}");
                return Err(Diagnostic::error("TC0801", message));
            }
        }
    }
    Ok(bindings)
}

/// The symbol and its value where `dim` is `a * symbol + c`.
fn solve(dim: &Poly, size: i64) -> Option<(tricot_types::Symbol, i64)> {
    let mut symbols = vec![];
    dim.visit_symbols(&mut |s| symbols.push(s.clone()));
    let [symbol] = symbols.as_slice() else { return None };
    let constant = dim.substitute(&BTreeMap::from([(symbol.clone(), Poly::constant(0))])).as_constant()?;
    let factor = (dim.clone() - Poly::constant(constant)).exact_div(&Poly::symbol(symbol.clone()))?.as_constant()?;
    let rest = size.checked_sub(constant)?;
    (factor != 0 && rest % factor == 0).then(|| (symbol.clone(), rest / factor))
}

fn evaluate(dim: &Poly, bindings: &Bindings) -> Result<usize, Diagnostic> {
    let value = dim.eval(bindings).map_err(|e| {
        Diagnostic::error("TC0803", format!("the size {dim} has no value: {e}")).with_help("give the symbol a value")
    })?;
    usize::try_from(value).map_err(|_| Diagnostic::error("TC0803", format!("the size {dim} is {value}")))
}

/// Flattens `main`.
pub fn lower(module: &Module, bindings: &Bindings) -> Result<Program, Diagnostic> {
    let main = module.main().ok_or_else(|| Diagnostic::error("TC0800", "the module has no function @main"))?;
    let mut lowering = Lowering {
        module,
        bindings,
        program: Program { calls: vec![], outputs: vec![], constants: module.constants.clone() },
    };
    let mut arguments = vec![];
    for (i, ty) in main.input_types().iter().enumerate() {
        let op = tricot_dialects::registry::lookup("core.argument").expect("core.argument is registered");
        let types = vec![lowering.concrete(ty)?];
        let call = Call { op, attrs: Attrs::new(), operands: vec![], types, einsum: None, input: Some(i) };
        arguments.push(lowering.push(call));
    }
    let outputs = lowering.function(main, &arguments)?;
    lowering.program.outputs = outputs;
    Ok(lowering.program)
}

struct Lowering<'a> {
    module: &'a Module,
    bindings: &'a Bindings,
    program: Program,
}

impl Lowering<'_> {
    fn push(&mut self, call: Call) -> Value {
        self.program.calls.push(call);
        (self.program.calls.len() - 1, 0)
    }

    fn concrete(&self, ty: &TensorType) -> Result<(DType, Vec<usize>), Diagnostic> {
        let shape = ty.shape.iter().map(|d| evaluate(d, self.bindings)).collect::<Result<Vec<_>, _>>()?;
        match shape.iter().try_fold(8usize, |a, d| a.checked_mul((*d).max(1))) {
            Some(_) => Ok((ty.dtype, shape)),
            None => Err(Diagnostic::error("TC0803", format!("a tensor of shape {shape:?} is too large"))),
        }
    }

    fn function(&mut self, f: &Function, arguments: &[Value]) -> Result<Vec<Value>, Diagnostic> {
        let mut image: BTreeMap<ValueId, Value> = f.inputs().zip(arguments.iter().copied()).collect();
        for id in f.live_order() {
            let node = f.node(id);
            if node.op.name == "core.argument" {
                continue;
            }
            let operands: Vec<Value> = node.operands().iter().map(|v| image[v]).collect();
            let types: Vec<&TensorType> = node.operands().iter().map(|v| f.ty(*v)).collect();
            let results = self.node(node, &types, operands)?;
            for (result, value) in results.into_iter().enumerate() {
                image.insert(ValueId { node: id, result: result as u32 }, value);
            }
        }
        Ok(f.outputs.iter().map(|o| image[&o.value]).collect())
    }

    fn node(&mut self, node: &Node, types: &[&TensorType], operands: Vec<Value>) -> Result<Vec<Value>, Diagnostic> {
        if node.op.name == "core.call" {
            let name = node.attrs.str("callee");
            let callee = self.module.functions.get(name);
            let callee = callee.ok_or_else(|| Diagnostic::error("TC0110", format!("there is no function @{name}")))?;
            return self.function(callee, &operands);
        }
        if node.op.meaning.is_graph() && !DIRECT.contains(&node.op.name) {
            let mut body = Function::new("body");
            let mut b = Builder::new(&mut body, &mut self.program.constants);
            let inputs: Vec<_> =
                types.iter().enumerate().map(|(i, t)| b.input(&format!("i{i}"), (*t).clone())).collect();
            let results = node.op.decompose(&mut b, &node.attrs, &inputs).transpose()?.unwrap_or_default();
            for (i, value) in results.into_iter().enumerate() {
                b.output(&format!("o{i}"), value);
            }
            return self.function(&body, &operands);
        }
        let mut attrs = node.attrs.clone();
        let mut bound = vec![];
        for (name, value) in attrs.iter() {
            let constant = |p: &Poly| -> Result<Poly, Diagnostic> {
                p.eval(self.bindings)
                    .map(Poly::constant)
                    .map_err(|e| Diagnostic::error("TC0803", format!("the size {p} has no value: {e}")))
            };
            match value {
                Attr::Dim(p) => bound.push((name, Attr::Dim(constant(p)?))),
                Attr::Dims(ps) => bound.push((name, Attr::Dims(ps.iter().map(constant).collect::<Result<_, _>>()?))),
                _ => {}
            }
        }
        bound.into_iter().for_each(|(name, value)| attrs.set(name, value));
        let einsum = match node.op.name {
            "core.contract" => Some(Einsum::parse(attrs.str("spec")).map_err(|m| Diagnostic::error("TC0110", m))?),
            _ => None,
        };
        let types = node.results.iter().map(|t| self.concrete(t)).collect::<Result<Vec<_>, _>>()?;
        let count = types.len();
        let (call, _) = self.push(Call { op: node.op, attrs, operands, types, einsum, input: None });
        Ok((0..count).map(|r| (call, r)).collect())
    }
}

/// A bound size attribute.
pub fn size(p: &Poly) -> i64 {
    p.as_constant().expect("sizes are bound before evaluation")
}
