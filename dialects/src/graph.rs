//! Modules and functions: ops as nodes of a directed acyclic graph (petgraph underneath).

use crate::attr::Attrs;
use crate::constant::ConstantStore;
use crate::custom::OpSet;
use crate::op::OpDef;
use crate::ty::TensorType;
use indexmap::IndexMap;
use petgraph::Direction;
use petgraph::stable_graph::{NodeIndex, StableDiGraph};
use petgraph::visit::EdgeRef;
use std::sync::Arc;
use tricot_types::SymbolTable;

/// Names a node within one function.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct NodeId(NodeIndex<u32>);

/// One result of a node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ValueId {
    pub node: NodeId,
    pub result: u32,
}

/// Where a node came from: the user's own name for it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Origin {
    /// File as the user named it.
    pub file: String,
    /// Node name in a model file, or `line:column` of graph text.
    pub node: String,
    /// Operator as the file calls it.
    pub op: String,
}

/// One op call.
#[derive(Clone, Debug)]
pub struct Node {
    pub op: &'static OpDef,
    /// Complete attributes.
    pub attrs: Attrs,
    operands: Vec<ValueId>,
    pub results: Vec<TensorType>,
    /// Preferred names of the results in text, without `%`; empty for none.
    pub names: Vec<String>,
    pub origin: Option<Arc<Origin>>,
}

impl Node {
    /// The values it reads, in order.
    pub fn operands(&self) -> &[ValueId] {
        &self.operands
    }
}

/// A named result of a function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Output {
    pub name: String,
    pub value: ValueId,
    /// The input whose memory it may take over (functional state).
    pub alias: Option<String>,
}

/// A function: inputs, op calls, outputs.
#[derive(Clone, Debug)]
pub struct Function {
    pub name: String,
    /// Edges run from producer to user; the weight is the operand position.
    dag: StableDiGraph<Node, u32>,
    inputs: Vec<NodeId>,
    pub outputs: Vec<Output>,
}

impl Function {
    /// An empty function.
    pub fn new(name: impl Into<String>) -> Function {
        Function { name: name.into(), dag: StableDiGraph::new(), inputs: vec![], outputs: vec![] }
    }

    /// Adds an input (a `core.argument` node).
    pub fn add_input(&mut self, name: impl Into<String>, ty: TensorType) -> ValueId {
        let op = crate::registry::lookup("core.argument").expect("core.argument is registered");
        let value = self.add_node(op, Attrs::new(), vec![], vec![ty], None);
        self.dag[value.0].names = vec![name.into()];
        self.inputs.push(value);
        ValueId { node: value, result: 0 }
    }

    /// Adds a node as given. [`crate::Builder`] infers result types; this trusts the caller, and the verifier checks.
    pub fn add_node(
        &mut self,
        op: &'static OpDef,
        attrs: Attrs,
        operands: Vec<ValueId>,
        results: Vec<TensorType>,
        origin: Option<Arc<Origin>>,
    ) -> NodeId {
        let uses = operands.clone();
        let id = self.dag.add_node(Node { op, attrs, operands, results, names: vec![], origin });
        for (at, v) in uses.iter().enumerate() {
            self.dag.add_edge(v.node.0, id, at as u32);
        }
        NodeId(id)
    }

    /// Function inputs in order.
    pub fn inputs(&self) -> impl ExactSizeIterator<Item = ValueId> + '_ {
        self.inputs.iter().map(|n| ValueId { node: *n, result: 0 })
    }

    /// Input names in order.
    pub fn input_names(&self) -> impl Iterator<Item = &str> + '_ {
        self.inputs.iter().map(|n| self.dag[n.0].names[0].as_str())
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.dag[id.0]
    }

    /// A node, to rename or annotate. Operands change through [`Function::set_operand`] only.
    pub fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.dag[id.0]
    }

    /// Type of a value.
    pub fn ty(&self, value: ValueId) -> &TensorType {
        &self.dag[value.node.0].results[value.result as usize]
    }

    /// Number of nodes, inputs included.
    pub fn len(&self) -> usize {
        self.dag.node_count()
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.dag.node_count() == 0
    }

    /// Whether the node takes part in the function.
    pub fn contains(&self, id: NodeId) -> bool {
        self.dag.contains_node(id.0)
    }

    /// Redirects one operand.
    pub fn set_operand(&mut self, node: NodeId, position: usize, value: ValueId) {
        let old = self.dag.edges_directed(node.0, Direction::Incoming).find(|e| *e.weight() == position as u32);
        if let Some(edge) = old.map(|e| e.id()) {
            self.dag.remove_edge(edge);
        }
        self.dag[node.0].operands[position] = value;
        self.dag.add_edge(value.node.0, node.0, position as u32);
    }

    /// Redirects every use of `old`, outputs included, to `new`.
    pub fn replace_uses(&mut self, old: ValueId, new: ValueId) {
        for (user, position) in self.uses(old) {
            self.set_operand(user, position, new);
        }
        self.outputs.iter_mut().filter(|o| o.value == old).for_each(|o| o.value = new);
    }

    /// Who reads a value: (node, operand position), in node order.
    pub fn uses(&self, value: ValueId) -> Vec<(NodeId, usize)> {
        let mut out: Vec<_> = self
            .dag
            .edges_directed(value.node.0, Direction::Outgoing)
            .map(|e| (NodeId(e.target()), *e.weight() as usize))
            .filter(|(n, at)| self.dag[n.0].operands[*at] == value)
            .collect();
        out.sort_unstable();
        out
    }

    /// Nodes in a deterministic topological order: inputs first, then by the order in which outputs need them
    /// (depth first, operands left to right). Nodes no output needs come last.
    pub fn order(&self) -> Vec<NodeId> {
        let mut out = self.live_order();
        let live: std::collections::BTreeSet<_> = out.iter().copied().collect();
        let rest: Vec<_> = self.dag.node_indices().map(NodeId).filter(|n| !live.contains(n)).collect();
        let mut done = live;
        for node in rest {
            self.visit(node, &mut done, &mut out);
        }
        out
    }

    /// [`Function::order`] without the nodes no output needs; inputs are always there.
    pub fn live_order(&self) -> Vec<NodeId> {
        let (mut done, mut out) = (Default::default(), vec![]);
        let roots = self.inputs.iter().copied().chain(self.outputs.iter().map(|o| o.value.node));
        for root in roots {
            self.visit(root, &mut done, &mut out);
        }
        out
    }

    /// Depth-first post-order without recursion: models are thousands of ops deep.
    fn visit(&self, root: NodeId, done: &mut std::collections::BTreeSet<NodeId>, out: &mut Vec<NodeId>) {
        let mut stack = vec![(root, 0usize)];
        while let Some((node, at)) = stack.pop() {
            if at == 0 && done.contains(&node) {
                continue;
            }
            match self.dag[node.0].operands.get(at) {
                Some(operand) => {
                    stack.push((node, at + 1));
                    if !done.contains(&operand.node) {
                        stack.push((operand.node, 0));
                    }
                }
                None => {
                    if done.insert(node) {
                        out.push(node);
                    }
                }
            }
        }
    }

    /// Removes nodes that no output needs.
    pub fn prune(&mut self) {
        let live: std::collections::BTreeSet<_> = self.live_order().into_iter().collect();
        self.dag.retain_nodes(|_, n| live.contains(&NodeId(n)));
    }

    /// Types of the inputs.
    pub fn input_types(&self) -> Vec<TensorType> {
        self.inputs().map(|v| self.ty(v).clone()).collect()
    }

    /// Types of the outputs.
    pub fn output_types(&self) -> Vec<TensorType> {
        self.outputs.iter().map(|o| self.ty(o.value).clone()).collect()
    }
}

/// A set of functions, the symbols their types mention and the constants they use. `main` is the entry.
#[derive(Clone, Debug, Default)]
pub struct Module {
    pub name: String,
    pub symbols: SymbolTable,
    /// Ops declared for this module, beside those of the registry.
    pub ops: OpSet,
    pub functions: IndexMap<String, Function>,
    pub constants: ConstantStore,
}

impl Module {
    /// Name of the entry function.
    pub const MAIN: &'static str = "main";

    /// An empty module.
    pub fn new(name: impl Into<String>) -> Module {
        Module { name: name.into(), ..Module::default() }
    }

    /// The entry function.
    pub fn main(&self) -> Option<&Function> {
        self.functions.get(Self::MAIN)
    }

    /// Adds a function under its name, replacing an earlier one.
    pub fn add_function(&mut self, function: Function) {
        self.functions.insert(function.name.clone(), function);
    }
}
