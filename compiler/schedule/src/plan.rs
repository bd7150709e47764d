//! From kernels to a plan: buffers, steps in order, names, and the arena.

use crate::flat::Flat;
use crate::group::{Kernels, computes, holder};
use crate::memory::{Need, place};
use crate::nest::{Before, Lowered};
use crate::{Schedule, ScheduledStep};
use std::collections::{BTreeMap, BTreeSet};
use tricot_dialects::{Hash, NodeId, ValueId};
use tricot_kernel::{Access, Body, Expr, Extent, Index, KernelDesc, Loop, Stage, Store};
use tricot_plan::{BufferId, PlanBuffer, Storage};
use tricot_types::{Diagnostic, Poly, Symbol};

/// Lays out steps and memory.
pub fn plan(flat: &Flat, kernels: Kernels) -> Result<Schedule, Vec<Diagnostic>> {
    let mut planner = Planner {
        flat,
        schedule: Schedule { symbols: flat.symbols.clone(), ..Schedule::default() },
        ids: BTreeMap::new(),
        stored: kernels.stored.clone(),
        order: flat.function.live_order(),
    };
    planner.place_values(&kernels);
    for (root, lowered) in kernels.kernels {
        planner.launch(root, lowered);
    }
    planner.copy_outputs();
    planner.arena();
    Ok(planner.schedule)
}

struct Planner<'f> {
    flat: &'f Flat,
    schedule: Schedule,
    /// Buffers by [`holder`].
    ids: BTreeMap<ValueId, BufferId>,
    stored: BTreeSet<ValueId>,
    /// Nodes of the graph in order.
    order: Vec<NodeId>,
}

impl Planner<'_> {
    fn holder(&self, v: ValueId) -> ValueId {
        holder(self.flat, &self.stored, v)
    }

    fn id(&self, v: ValueId) -> BufferId {
        self.ids[&self.holder(v)]
    }

    fn add(&mut self, name: String, v: ValueId, storage: Storage) -> BufferId {
        let ty = self.flat.ty(v);
        self.schedule.buffers.push(PlanBuffer { name, dtype: ty.dtype, shape: ty.shape.clone(), storage });
        BufferId(self.schedule.buffers.len() as u32 - 1)
    }

    /// A buffer for every stored value: the caller's memory where it is an input or output.
    fn place_values(&mut self, kernels: &Kernels) {
        let function = &self.flat.function;
        for (i, (v, name)) in function.inputs().zip(function.input_names()).enumerate() {
            let id = self.add(name.into(), v, Storage::Input(i as u32));
            self.ids.insert(v, id);
        }
        let written: BTreeSet<ValueId> = kernels
            .kernels
            .iter()
            .flat_map(|(_, k)| {
                k.values.iter().zip(&k.buffers).filter(|(_, b)| b.access != Access::Read).map(|(v, _)| *v)
            })
            .collect();
        let aliased = self.unsafe_aliases(kernels);
        for (i, output) in function.outputs.iter().enumerate() {
            let v = self.holder(output.value);
            if written.contains(&v) && !self.ids.contains_key(&v) && !aliased.contains(&i) {
                let id = self.add(output.name.clone(), v, Storage::Output(i as u32));
                self.ids.insert(v, id);
            }
        }
        let mut used = BTreeSet::new();
        for (_, k) in &kernels.kernels {
            collect_values(k, &mut used);
        }
        used.extend(function.outputs.iter().map(|o| o.value));
        for v in used {
            let v = self.holder(v);
            if self.ids.contains_key(&v) {
                continue;
            }
            let node = self.flat.node(v);
            let id = if computes(self.flat, v) {
                let name = node.names.get(v.result as usize).filter(|n| !n.is_empty()).cloned();
                let name = name.unwrap_or_else(|| format!("{}.{}", node.op.name, self.schedule.buffers.len()));
                self.add(name, v, Storage::Arena { offset: Poly::default() })
            } else {
                let hash = node.attrs.constant("value");
                let name = self.flat.constants.name(hash).map_or_else(|| "constant".to_string(), str::to_string);
                let entry = weight_entry(hash);
                if let Some(c) = self.flat.constants.get(hash) {
                    self.schedule.weights.insert(entry.clone(), c.clone());
                }
                self.add(name, v, Storage::Weight(entry))
            };
            self.ids.insert(v, id);
        }
    }

    /// Outputs that must not be written in place because their aliased input is read later: they are copied at the end.
    fn unsafe_aliases(&self, kernels: &Kernels) -> BTreeSet<usize> {
        let function = &self.flat.function;
        let input_of =
            |name: &str| function.inputs().zip(function.input_names()).find(|(_, n)| *n == name).map(|(v, _)| v);
        let mut out = BTreeSet::new();
        for (i, output) in function.outputs.iter().enumerate() {
            let Some(input) = output.alias.as_deref().and_then(input_of) else { continue };
            let writer = kernels.kernels.iter().position(|(_, k)| {
                k.values
                    .iter()
                    .zip(&k.buffers)
                    .any(|(v, b)| *v == self.holder(output.value) && b.access != Access::Read)
            });
            let reads = |at: usize, k: &Lowered| {
                let mut used: BTreeSet<ValueId> = k.values.iter().copied().collect();
                // The writer itself may begin with a copy of the input, which is nothing where memory is shared.
                if Some(at) != writer || !matches!(k.before, Some(Before::Copy(_))) {
                    collect_values(k, &mut used);
                }
                used.iter().any(|v| self.holder(*v) == input)
            };
            // A kernel that both reads the input and writes the output may read what another point wrote.
            let last = kernels.kernels.iter().enumerate().rposition(|(at, (_, k))| reads(at, k));
            let read_by_copy = function.outputs.iter().any(|o| self.holder(o.value) == input);
            if read_by_copy || matches!((writer, last), (Some(w), Some(l)) if l >= w) {
                out.insert(i);
            }
        }
        out
    }

    fn launch(&mut self, root: ValueId, lowered: Lowered) {
        let Lowered { buffers, exprs, body, values, inlined, before } = lowered;
        match before {
            None => {}
            Some(Before::Launch(first)) => self.launch(root, *first),
            Some(Before::Copy(from)) => {
                let step =
                    ScheduledStep::Copy { from: self.id(from), to: self.id(root), bytes: self.flat.ty(root).bytes() };
                self.schedule.steps.push(step);
            }
        }
        let mut desc = KernelDesc { name: String::new(), symbols: vec![], buffers, exprs, body };
        desc.symbols = symbols_of(&desc);
        let anchor = match &desc.body {
            Body::Nest(_) => "nest",
            Body::Contraction(_) => "contraction",
            Body::SparseContraction(_) => "sparse_contraction",
            Body::Attention(_) => "attention",
            Body::Custom(_) => "custom",
        };
        let digest = blake3::hash(desc.to_string().as_bytes());
        desc.name = format!("{anchor}_{}", &digest.to_hex()[..12]);
        let step = ScheduledStep::Launch {
            kernel: desc.name.clone(),
            buffers: values.iter().map(|v| self.id(*v)).collect(),
            symbols: desc.symbols.iter().map(|s| Poly::symbol(s.clone())).collect(),
            nodes: self.names(&inlined),
        };
        self.schedule.steps.push(step);
        if !self.schedule.kernels.iter().any(|k| k.name == desc.name) {
            self.schedule.kernels.push(desc);
        }
    }

    /// The user's names of values, in the order of the graph, with the operator. An output has a name of its own.
    fn names(&self, values: &BTreeSet<ValueId>) -> Vec<String> {
        let nodes: BTreeSet<_> = values.iter().map(|v| v.node).collect();
        let named = |id: &NodeId| {
            let node = self.flat.function.node(*id);
            let output = || self.flat.function.outputs.iter().find(|o| o.value.node == *id).map(|o| &o.name);
            let name = node.names.iter().find(|name| !name.is_empty()).or_else(output)?;
            let op = node.origin.as_ref().map_or(node.op.name, |o| &o.op);
            Some(format!("%{name} {op}"))
        };
        self.order.iter().filter(|id| nodes.contains(id)).filter_map(named).collect()
    }

    /// Outputs that are inputs, constants, other outputs, or that could not be written in place.
    fn copy_outputs(&mut self) {
        let mut copies = vec![];
        for (i, output) in self.flat.function.outputs.iter().enumerate() {
            let from = self.id(output.value);
            if self.schedule.buffers[from.0 as usize].storage == Storage::Output(i as u32) {
                continue;
            }
            let to = self.add(output.name.clone(), output.value, Storage::Output(i as u32));
            copies.push(ScheduledStep::Copy { from, to, bytes: self.flat.ty(output.value).bytes() });
        }
        // Copies out of inputs come first: a later copy may overwrite the input's memory where the caller shares it.
        let from_input = |s: &ScheduledStep, schedule: &Schedule| match s {
            ScheduledStep::Copy { from, .. } => matches!(schedule.buffers[from.0 as usize].storage, Storage::Input(_)),
            ScheduledStep::Launch { .. } => false,
        };
        let (first, rest): (Vec<_>, Vec<_>) = copies.into_iter().partition(|s| from_input(s, &self.schedule));
        self.schedule.steps.extend(first);
        self.schedule.steps.extend(rest);
    }

    /// Offsets by liveness.
    fn arena(&mut self) {
        let mut life: BTreeMap<BufferId, (usize, usize)> = BTreeMap::new();
        for (at, step) in self.schedule.steps.iter().enumerate() {
            let touched: Vec<BufferId> = match step {
                ScheduledStep::Launch { buffers, .. } => buffers.clone(),
                ScheduledStep::Copy { from, to, .. } => vec![*from, *to],
            };
            for b in touched {
                life.entry(b).or_insert((at, at)).1 = at;
            }
        }
        let mut ids = vec![];
        let mut needs = vec![];
        for (i, b) in self.schedule.buffers.iter().enumerate() {
            let id = BufferId(i as u32);
            if let (Storage::Arena { .. }, Some((first, last))) = (&b.storage, life.get(&id)) {
                let elements: Poly = b.shape.iter().cloned().product();
                let bytes = (elements * i64::from(b.dtype.bits()).into()).ceil_div(8);
                needs.push(Need { bytes, first: *first, last: *last });
                ids.push(i);
            }
        }
        let (offsets, end) = place(&needs, &self.schedule.symbols);
        for (i, offset) in ids.into_iter().zip(offsets) {
            self.schedule.buffers[i].storage = Storage::Arena { offset };
        }
        self.schedule.arena_bytes = end;
    }
}

/// The bundle's entry for a constant.
pub fn weight_entry(hash: Hash) -> String {
    format!("weights/{hash}")
}

fn collect_values(k: &Lowered, out: &mut BTreeSet<ValueId>) {
    out.extend(k.values.iter().copied());
    match &k.before {
        Some(Before::Copy(v)) => {
            out.insert(*v);
        }
        Some(Before::Launch(first)) => collect_values(first, out),
        None => {}
    }
}

/// Every symbol a description mentions, in name order.
fn symbols_of(desc: &KernelDesc) -> Vec<Symbol> {
    let mut out = BTreeSet::new();
    let mut poly = |p: &Poly| {
        p.visit_symbols(&mut |s| {
            out.insert(s.clone());
        })
    };
    desc.buffers.iter().flat_map(|b| &b.shape).for_each(&mut poly);
    let index = |i: &Index, poly: &mut dyn FnMut(&Poly)| {
        poly(&i.offset);
        i.affine.values().for_each(&mut *poly);
        i.dynamic.iter().for_each(|(_, s)| poly(s));
    };
    let loops = |ls: &[Loop], poly: &mut dyn FnMut(&Poly)| {
        for l in ls {
            if let Extent::Size(p) = &l.extent {
                poly(p);
            }
        }
    };
    for (_, node) in desc.exprs.iter() {
        match &node.expr {
            Expr::Size(p) => poly(p),
            Expr::Load { index: i, .. } => index(i, &mut poly),
            _ => {}
        }
    }
    let stores = |ss: &[Store], poly: &mut dyn FnMut(&Poly)| ss.iter().for_each(|s| index(&s.index, poly));
    match &desc.body {
        Body::Nest(n) => {
            loops(&n.parallel, &mut poly);
            for stage in &n.stages {
                match stage {
                    Stage::Reduce { loops: ls, .. } => loops(ls, &mut poly),
                    Stage::Store { loops: ls, stores: ss } | Stage::Sequential { loops: ls, stores: ss, .. } => {
                        loops(ls, &mut poly);
                        stores(ss, &mut poly);
                    }
                }
            }
        }
        Body::Contraction(c) => {
            [&c.batch, &c.m, &c.n, &c.k].into_iter().for_each(|ls| loops(ls, &mut poly));
            stores(&c.stores, &mut poly);
        }
        Body::SparseContraction(c) => {
            [c.batch.as_slice(), std::slice::from_ref(&c.m), &c.n, std::slice::from_ref(&c.k)]
                .into_iter()
                .for_each(|ls| loops(ls, &mut poly));
            stores(&c.stores, &mut poly);
        }
        Body::Custom(c) => {
            c.grid.iter().chain([&c.flops]).for_each(&mut poly);
            for a in &c.arguments {
                if let tricot_kernel::CustomArgument::Value { value, .. } = a {
                    poly(value);
                }
            }
        }
        Body::Attention(a) => {
            use tricot_kernel::{AttentionKind, View};
            let mut view = |v: &View| {
                poly(&v.offset);
                v.strides.iter().for_each(&mut poly);
            };
            [&a.q, &a.k, &a.v, &a.out].into_iter().chain(&a.lse).for_each(&mut view);
            match &a.kind {
                AttentionKind::Dot { causal_offset, bias, .. } => {
                    bias.iter().for_each(|(v, _)| view(v));
                    causal_offset.iter().for_each(&mut poly);
                }
                AttentionKind::Trilinear { k2, v2, .. } => [k2, v2].into_iter().for_each(&mut view),
            }
            [&a.batch, &a.seq_q, &a.seq_k, &a.heads_q, &a.heads_kv].into_iter().for_each(&mut poly);
        }
    }
    out.into_iter().collect()
}
