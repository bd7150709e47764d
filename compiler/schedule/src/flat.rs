//! One flat function of primitives and anchors: calls inlined, other ops decomposed, equal calls merged, n-ary
//! contractions split in two's.
//!
//! The central type is [`Flat`]. It knows no kernel.

use crate::order;
use std::collections::BTreeMap;
use tricot_dialects::{Attrs, Builder, ConstantStore, Function, Meaning, Module, Node, TensorType, ValueId};
use tricot_types::{Diagnostic, Poly, SymbolTable};

/// A flat graph with its constants.
#[derive(Clone)]
pub struct Flat {
    pub function: Function,
    pub constants: ConstantStore,
    pub symbols: SymbolTable,
}

impl Flat {
    /// Type of a value.
    pub fn ty(&self, v: ValueId) -> &TensorType {
        self.function.ty(v)
    }

    /// The node that makes a value.
    pub fn node(&self, v: ValueId) -> &Node {
        self.function.node(v.node)
    }

    /// Whether `a <= b` for every legal binding, as far as intervals tell.
    pub fn at_most(&self, a: &Poly, b: &Poly) -> bool {
        match (b.checked_add(&a.checked_neg().unwrap_or_default())).filter(|_| a.checked_neg().is_some()) {
            Some(difference) => difference.bounds(&self.symbols).0 >= 0,
            None => false,
        }
    }
}

/// Flattens `main`. Anchors that `keep` accepts stay whole.
pub fn flatten(module: &Module, keep: impl Fn(&Node, &[TensorType]) -> bool) -> Result<Flat, Vec<Diagnostic>> {
    let Some(main) = module.main() else {
        return Err(vec![Diagnostic::error("TC0400", "the module has no function @main to schedule")]);
    };
    let mut flattener = Flattener {
        module,
        out: Function::new(Module::MAIN),
        constants: module.constants.clone(),
        seen: BTreeMap::new(),
        keep: &keep,
    };
    let arguments: Vec<ValueId> = main
        .inputs()
        .zip(main.input_names())
        .map(|(v, name)| flattener.out.add_input(name, main.ty(v).clone()))
        .collect();
    let results = flattener.body(main, &arguments).map_err(|d| vec![d])?;
    for (output, value) in main.outputs.iter().zip(results) {
        flattener.out.outputs.push(tricot_dialects::Output { value, ..output.clone() });
    }
    flattener.out.prune();
    Ok(Flat { function: flattener.out, constants: flattener.constants, symbols: module.symbols.clone() })
}

struct Flattener<'m> {
    module: &'m Module,
    out: Function,
    constants: ConstantStore,
    /// Calls already made, by op, attributes and operands: equal calls are one.
    seen: BTreeMap<(&'static str, Attrs, Vec<ValueId>), Vec<ValueId>>,
    keep: &'m dyn Fn(&Node, &[TensorType]) -> bool,
}

impl Flattener<'_> {
    /// Copies the live nodes of `function`, its inputs replaced; returns its outputs.
    fn body(&mut self, function: &Function, arguments: &[ValueId]) -> Result<Vec<ValueId>, Diagnostic> {
        let mut image: BTreeMap<ValueId, ValueId> = function.inputs().zip(arguments.iter().copied()).collect();
        for id in function.live_order() {
            let node = function.node(id);
            if node.op.name == "core.argument" {
                continue;
            }
            let operands: Vec<ValueId> = node.operands().iter().map(|v| image[v]).collect();
            let results = self.node(node, operands)?;
            for (i, r) in results.into_iter().enumerate() {
                image.insert(ValueId { node: id, result: i as u32 }, r);
            }
        }
        Ok(function.outputs.iter().map(|o| image[&o.value]).collect())
    }

    fn node(&mut self, node: &Node, operands: Vec<ValueId>) -> Result<Vec<ValueId>, Diagnostic> {
        if node.op.name == "core.call" {
            let callee = self.module.functions.get(node.attrs.str("callee"));
            let callee = callee.ok_or_else(|| {
                Diagnostic::error("TC0400", format!("there is no function @{}", node.attrs.str("callee")))
            })?;
            return self.body(callee, &operands);
        }
        let key = (node.op.name, node.attrs.clone(), operands);
        if let Some(results) = self.seen.get(&key) {
            return Ok(results.clone());
        }
        let (name, attrs, operands) = key;
        let types: Vec<TensorType> = operands.iter().map(|v| self.out.ty(*v).clone()).collect();
        let results = match node.op.meaning {
            Meaning::Primitive if name == "core.contract" && operands.len() > 2 => {
                let symbols = &self.module.symbols;
                let (function, constants) =
                    self.expand(node, &types, |b, attrs, operands| order::split(b, attrs, operands, symbols))?;
                self.constants = constants;
                self.body(&function, &operands)?
            }
            meaning if meaning.is_graph() && !(self.keep)(node, &types) => {
                let (function, constants) = self.expand(node, &types, |b, attrs, operands| {
                    node.op.decompose(b, attrs, operands).transpose().map(Option::unwrap_or_default)
                })?;
                self.constants = constants;
                self.body(&function, &operands)?
            }
            _ => {
                let id = self.out.add_node(
                    node.op,
                    attrs.clone(),
                    operands.clone(),
                    node.results.clone(),
                    node.origin.clone(),
                );
                self.out.node_mut(id).names = node.names.clone();
                (0..node.results.len() as u32).map(|result| ValueId { node: id, result }).collect()
            }
        };
        self.seen.insert((name, attrs, operands), results.clone());
        Ok(results)
    }

    /// The decomposition of one call as a function of its operands.
    fn expand(
        &mut self,
        node: &Node,
        types: &[TensorType],
        decompose: impl Fn(&mut Builder<'_>, &Attrs, &[ValueId]) -> Result<Vec<ValueId>, Diagnostic>,
    ) -> Result<(Function, ConstantStore), Diagnostic> {
        let mut function = Function::new("decomposition");
        let mut constants = std::mem::take(&mut self.constants);
        let mut builder = Builder::new(&mut function, &mut constants);
        builder.origin = node.origin.clone();
        let inputs: Vec<ValueId> =
            types.iter().enumerate().map(|(i, t)| builder.input(&format!("x{i}"), t.clone())).collect();
        let results = decompose(&mut builder, &node.attrs, &inputs)?;
        for (i, r) in results.into_iter().enumerate() {
            builder.output(&format!("r{i}"), r);
        }
        Ok((function, constants))
    }
}
