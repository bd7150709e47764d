//! Repeated blocks made functions: a stack of equal layers becomes one function, called once a layer.
//!
//! Everything later works per function, so its cost grows with distinct blocks and not with depth. A block is a run of
//! nodes that repeats with a fixed period in the graph's topological order. What differs between the repetitions, weights
//! above all, becomes an argument. Only stacks that make up at least a third of the graph count.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use tricot_dialects::{Attr, Attrs, Function, Module, NodeId, TensorType, ValueId, registry};

/// Smallest block worth a call.
const MIN_NODES: usize = 8;
/// Families of blocks looked for, one after the other.
const MAX_FAMILIES: usize = 8;

/// Finds repeated runs of nodes in `main` and turns each family into a function. Returns the number of calls made.
pub fn outline(module: &mut Module) -> usize {
    let mut calls = 0;
    for family in 0..MAX_FAMILIES {
        let Some(main) = module.functions.get(Module::MAIN) else { break };
        let Some(found) = find(main) else { break };
        let mut name = format!("block{family}");
        while module.functions.contains_key(&name) {
            name.push('_');
        }
        let Some((new_main, block)) = extract(main, &found, &name) else { break };
        calls += found.count;
        // The callee stands before its caller in the text.
        let others: Vec<Function> =
            module.functions.drain(..).map(|(_, f)| f).filter(|f| f.name != Module::MAIN).collect();
        others.into_iter().for_each(|f| module.add_function(f));
        module.add_function(block);
        module.add_function(new_main);
    }
    calls
}

/// `count` blocks of `period` nodes, beginning at position `start` of the order.
struct Found {
    /// Nodes in topological order, constants left out.
    order: Vec<NodeId>,
    start: usize,
    period: usize,
    count: usize,
}

fn is_constant(f: &Function, node: NodeId) -> bool {
    f.node(node).op.name == "core.constant"
}

/// What a node is, apart from which values it reads.
fn token(f: &Function, id: NodeId) -> u64 {
    let node = f.node(id);
    let mut h = DefaultHasher::new();
    node.op.name.hash(&mut h);
    node.attrs.hash(&mut h);
    node.results.hash(&mut h);
    node.operands().iter().for_each(|v| f.ty(*v).hash(&mut h));
    h.finish()
}

fn find(f: &Function) -> Option<Found> {
    let order: Vec<NodeId> =
        f.live_order().into_iter().filter(|n| !is_constant(f, *n) && f.node(*n).op.name != "core.argument").collect();
    let tokens: Vec<u64> = order.iter().map(|n| token(f, *n)).collect();
    let position: HashMap<NodeId, usize> = order.iter().enumerate().map(|(i, n)| (*n, i)).collect();
    let mut best: Option<(usize, Found)> = None;
    for period in periods(&tokens) {
        // Maximal runs in which every node equals the one a period later and reads the same places.
        let matches = |i: usize, from: usize| {
            tokens[i] == tokens[i + period] && same_reads(f, &order, &position, [i, period, from])
        };
        let mut i = 0;
        while i + period < order.len() {
            let from = i;
            while i + period < order.len() && matches(i, from) {
                i += 1;
            }
            if i == from {
                i += 1;
                continue;
            }
            let total = i - from + period;
            if total < 2 * period {
                continue;
            }
            // Where to cut: as few values as possible should cross from one block to the next.
            let slack = (0..period.min(total - 2 * period + 1)).map(|o| (crossing(f, &order, &position, from + o), o));
            let Some((_, offset)) = slack.min() else { continue };
            let count = (total - offset) / period;
            let covered = count * period;
            if count >= 2 && best.as_ref().is_none_or(|(c, b)| covered > *c + b.period) {
                best = Some((covered, Found { order: vec![], start: from + offset, period, count }));
            }
        }
    }
    let (_, found) = best?;
    let work = order[found.start..found.start + found.period].iter().filter(|n| f.node(**n).op.name != "core.call");
    // A few equal convolutions are no stack: a call would only hide them from their neighbours.
    let stack = found.count >= 3 && 3 * found.count * found.period >= order.len();
    (stack && work.count() >= MIN_NODES).then_some(Found { order, ..found })
}

/// Distances at which runs of equal tokens recur, the most frequent and then the shortest first.
fn periods(tokens: &[u64]) -> Vec<usize> {
    let mut votes: BTreeMap<usize, usize> = BTreeMap::new();
    for width in [4, 16, 64] {
        let mut last: HashMap<u64, usize> = HashMap::new();
        for (i, run) in tokens.windows(width).enumerate() {
            let mut h = DefaultHasher::new();
            run.hash(&mut h);
            if let Some(before) = last.insert(h.finish(), i) {
                *votes.entry(i - before).or_default() += 1;
            }
        }
    }
    let mut ranked: Vec<(usize, usize)> = votes.into_iter().filter(|(p, _)| *p >= MIN_NODES).collect();
    ranked.sort_by_key(|(p, n)| (std::cmp::Reverse(*n), *p));
    ranked.into_iter().take(12).map(|(p, _)| p).collect()
}

/// Whether nodes `i` and `i + period` of a run that begins at `from` read corresponding values: results of nodes equally far
/// back, values from before the run, inputs or constants.
fn same_reads(
    f: &Function,
    order: &[NodeId],
    position: &HashMap<NodeId, usize>,
    [i, period, from]: [usize; 3],
) -> bool {
    let (a, b) = (f.node(order[i]).operands(), f.node(order[i + period]).operands());
    a.iter().zip(b).all(|(x, y)| match (position.get(&x.node), position.get(&y.node)) {
        (None, None) => true,
        (Some(px), Some(py)) => {
            let (dx, dy) = (i - px, i + period - py);
            x.result == y.result && dx == dy || *px < from && *py < from || dx > period && dy > period
        }
        // An input in one place and a computed value in another.
        (None, Some(py)) => *py < from,
        (Some(px), None) => *px < from,
    })
}

/// Values made before position `cut` and read at or after it.
fn crossing(f: &Function, order: &[NodeId], position: &HashMap<NodeId, usize>, cut: usize) -> usize {
    let reach = order[cut..order.len().min(cut + 4096)].iter();
    let values: BTreeSet<ValueId> = reach
        .flat_map(|n| f.node(*n).operands().to_vec())
        .filter(|v| position.get(&v.node).is_some_and(|p| *p < cut))
        .collect();
    values.len()
}

/// Moves the blocks out.
fn extract(main: &Function, found: &Found, name: &str) -> Option<(Function, Function)> {
    let Found { order, start, period, count } = found;
    let at = |block: usize, i: usize| order[start + block * period + i];
    let inside: Vec<HashMap<NodeId, usize>> =
        (0..*count).map(|b| (0..*period).map(|i| (at(b, i), i)).collect()).collect();

    // One argument for every distinct combination of outer values over the blocks; constants equal in all stay inside.
    let mut arguments: BTreeMap<Vec<ValueId>, usize> = BTreeMap::new();
    let mut tuples: Vec<Vec<ValueId>> = vec![];
    let mut reads: Vec<Vec<Read>> = vec![];
    let constant_of = |v: ValueId| match main.node(v.node).attrs.get("value") {
        Some(Attr::Constant(h)) if is_constant(main, v.node) => Some(*h),
        _ => None,
    };
    for i in 0..*period {
        let mut slots = vec![];
        for (slot, v) in main.node(at(0, i)).operands().iter().enumerate() {
            let column: Vec<ValueId> = (0..*count).map(|b| main.node(at(b, i)).operands()[slot]).collect();
            let inner = inside[0].get(&v.node).copied();
            let same_inner = (0..*count).all(|b| inside[b].get(&column[b].node).copied() == inner);
            slots.push(match (inner, constant_of(*v)) {
                (Some(j), _) if same_inner => Read::Inner(j, v.result),
                (_, Some(h)) if column.iter().all(|c| constant_of(*c) == Some(h)) => Read::Constant(*v),
                _ => {
                    // A value that is inner to one block and outer to another would make the blocks different.
                    if (0..*count).any(|b| inside[b].contains_key(&column[b].node)) {
                        return None;
                    }
                    let next = tuples.len();
                    let index = *arguments.entry(column.clone()).or_insert(next);
                    if index == next {
                        tuples.push(column);
                    }
                    Read::Argument(index)
                }
            });
        }
        reads.push(slots);
    }

    // A result leaves the block if any block's is read outside it.
    let mut leaving: BTreeSet<(usize, u32)> = BTreeSet::new();
    let mut note = |v: ValueId, reader: Option<NodeId>| {
        for map in &inside {
            if let Some(i) = map.get(&v.node)
                && reader.is_none_or(|r| !map.contains_key(&r))
            {
                leaving.insert((*i, v.result));
            }
        }
    };
    for n in order {
        main.node(*n).operands().iter().for_each(|v| note(*v, Some(*n)));
    }
    main.outputs.iter().for_each(|o| note(o.value, None));
    let leaving: Vec<(usize, u32)> = leaving.into_iter().collect();

    let block = build_block(main, name, &tuples, &reads, &leaving, &|i| at(0, i));
    let types: Vec<TensorType> = block.output_types();

    // Main again, a call in place of each block's first node.
    let mut copy = Copy { from: main, to: Function::new(&main.name), image: HashMap::new() };
    for (v, input) in main.inputs().zip(main.input_names()) {
        let new = copy.to.add_input(input, main.ty(v).clone());
        copy.image.insert(v, new);
    }
    let end = start + period * count;
    for (i, n) in order.iter().enumerate() {
        if i < *start || i >= end {
            copy.node(*n);
            continue;
        }
        let b = (i - start) / period;
        if (i - start) % period != 0 {
            continue;
        }
        let operands: Vec<ValueId> = tuples.iter().map(|t| copy.value(t[b])).collect();
        let def = registry::lookup("core.call").expect("core.call is registered");
        let attrs = Attrs::new().with("callee", name);
        let node = copy.to.add_node(def, attrs, operands, types.clone(), main.node(*n).origin.clone());
        for (result, (j, r)) in leaving.iter().enumerate() {
            let old = ValueId { node: at(b, *j), result: *r };
            copy.image.insert(old, ValueId { node, result: result as u32 });
        }
    }
    for o in &main.outputs {
        let value = copy.value(o.value);
        copy.to.outputs.push(tricot_dialects::Output { value, ..o.clone() });
    }
    Some((copy.to, block))
}

/// Where a node of a block reads from.
enum Read {
    /// Node of the block, result.
    Inner(usize, u32),
    /// A constant that all blocks share.
    Constant(ValueId),
    Argument(usize),
}

fn build_block(
    main: &Function,
    name: &str,
    tuples: &[Vec<ValueId>],
    reads: &[Vec<Read>],
    leaving: &[(usize, u32)],
    at: &dyn Fn(usize) -> NodeId,
) -> Function {
    let mut copy = Copy { from: main, to: Function::new(name), image: HashMap::new() };
    let inputs: Vec<ValueId> =
        tuples.iter().enumerate().map(|(i, t)| copy.to.add_input(format!("a{i}"), main.ty(t[0]).clone())).collect();
    let mut made: Vec<NodeId> = vec![];
    for (i, slots) in reads.iter().enumerate() {
        let operands: Vec<ValueId> = slots
            .iter()
            .map(|r| match r {
                Read::Inner(j, result) => ValueId { node: made[*j], result: *result },
                Read::Constant(v) => copy.value(*v),
                Read::Argument(a) => inputs[*a],
            })
            .collect();
        let node = main.node(at(i));
        let new = copy.to.add_node(node.op, node.attrs.clone(), operands, node.results.clone(), node.origin.clone());
        copy.to.node_mut(new).names = node.names.clone();
        made.push(new);
    }
    for (k, (i, result)) in leaving.iter().enumerate() {
        let value = ValueId { node: made[*i], result: *result };
        copy.to.outputs.push(tricot_dialects::Output { name: format!("r{k}"), value, alias: None });
    }
    copy.to
}

/// Copies nodes from one function to another.
struct Copy<'a> {
    from: &'a Function,
    to: Function,
    image: HashMap<ValueId, ValueId>,
}

impl Copy<'_> {
    /// The copy of a value; constants are copied when they are first read.
    fn value(&mut self, v: ValueId) -> ValueId {
        match self.image.get(&v) {
            Some(new) => *new,
            None => {
                self.node(v.node);
                self.image[&v]
            }
        }
    }

    fn node(&mut self, id: NodeId) {
        let node = self.from.node(id);
        let operands: Vec<ValueId> = node.operands().iter().map(|v| self.value(*v)).collect();
        let new = self.to.add_node(node.op, node.attrs.clone(), operands, node.results.clone(), node.origin.clone());
        self.to.node_mut(new).names = node.names.clone();
        for result in 0..node.results.len() as u32 {
            self.image.insert(ValueId { node: id, result }, ValueId { node: new, result });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tricot_dialects::builder::build_main;
    use tricot_dialects::{Constant, verify};
    use tricot_reference::{Options, Tensor, evaluate};
    use tricot_types::DType;

    /// `layers` residual layers with weights of their own, a mask computed once and constants in common.
    fn stack(layers: usize) -> Module {
        let mut module = Module::new("stack");
        build_main(&mut module, |b| {
            let mut x = b.input("x", TensorType::new(DType::F32, [4, 8]));
            let mask = b.input("mask", TensorType::new(DType::F32, [4, 8]));
            let mask = b.map("sigmoid", &[mask])?;
            for layer in 0..layers {
                let data: Vec<f64> = (0..64).map(|i| ((i * 7 + layer * 13) % 11) as f64 / 11.0 - 0.5).collect();
                let w = b.constant(Constant::from_f64(DType::F32, vec![8, 8], &data))?;
                let h = b.contract("ij,jk->ik", &[x, w], DType::F32)?;
                let h = b.map("tanh", &[h])?;
                let h = b.map("mul", &[h, mask])?;
                let h = b.map_scalar("mul", h, 0.5)?;
                let h = b.map("square", &[h])?;
                let m = b.reduce_keep("max", h, &[1])?;
                let m = b.broadcast_to(m, &b.ty(h).shape.clone())?;
                let h = b.map("sub", &[h, m])?;
                x = b.map("add", &[x, h])?;
            }
            let y = b.map("neg", &[x])?;
            b.output("y", y);
            Ok(())
        })
        .unwrap();
        module
    }

    #[test]
    fn a_stack_becomes_calls_and_means_the_same() {
        let plain = stack(12);
        let mut module = plain.clone();
        let calls = outline(&mut module);
        assert!(calls >= 11, "{calls} calls");
        verify::verify(&module).unwrap();
        assert_eq!(module.functions.len(), 2);
        assert!(module.main().unwrap().len() < 60);
        let inputs: Vec<Tensor> = (0..2)
            .map(|k| {
                Tensor::floats(DType::F32, &[4, 8], (0..32).map(|i| ((i * 5 + k) % 9) as f64 / 9.0 - 0.4).collect())
            })
            .collect();
        let run = |m: &Module| evaluate(m, &inputs, &Options::default()).unwrap()[0].to_f64();
        assert_eq!(run(&plain), run(&module));
        assert!(run(&plain).iter().all(|v| v.is_finite()));
    }

    #[test]
    fn nothing_repeats_nothing_happens() {
        let mut module = stack(1);
        assert_eq!(outline(&mut module), 0);
        assert_eq!(module.functions.len(), 1);
    }
}
