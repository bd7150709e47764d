//! Choosing e-nodes: greedy on shared graphs, deterministic, several candidates.
//!
//! Each class keeps the cheapest set of classes that computes it, shared parts counted once; passes repeat until nothing gets
//! cheaper. Candidates come from forbidding and preferring families of ops in turn.

use crate::budget::{Budget, Offer};
use crate::cost::{seconds, winograd_offer};
use crate::lang::{Graph, Node};
use crate::{Lossy, RewriteOptions, Winograd};
use egg::Id;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use tricot_proof::checker::fold::fixed_terms;
use tricot_proof::{Bank, Head, TermId};
use tricot_rates::Rates;

/// One way to compute the outputs.
pub struct Extracted {
    pub outputs: Vec<TermId>,
    pub cost: f64,
    pub lossy: Vec<Lossy>,
}

/// Candidates, cheapest first, and what the source costs.
pub struct Plan {
    pub found: Vec<Extracted>,
    pub source_cost: f64,
}

/// Above this many classes a class is judged by its longest path, not by the set of all it needs.
const LARGE: usize = 1500;

/// Ops a candidate may do without.
const FAMILIES: &[&str] = &["winograd.output", "sparse24.matmul", "trilinear.attention", "nn.attention", "nn.softmax"];

/// A way to bend the costs, for another candidate.
#[derive(Clone, Copy)]
enum Variant {
    Plain,
    Without(&'static str),
    Prefer(&'static str),
}

impl Variant {
    fn allows(self, name: &str) -> bool {
        !matches!(self, Variant::Without(f) if f == name)
    }

    fn factor(self, name: &str) -> f64 {
        match self {
            Variant::Prefer("winograd.output") if name == "nn.conv2d" => 1e3,
            Variant::Prefer("sparse24.matmul") if name.starts_with("sparse24.") => 1e-3,
            Variant::Prefer(f) if f == name => 1e-3,
            _ => 1.0,
        }
    }
}

struct Class {
    nodes: Vec<Candidate>,
}

struct Candidate {
    node: Node,
    children: Vec<usize>,
    cost: f64,
    name: &'static str,
    /// Its error beyond the ops' own rounding, if it has any.
    offer: Option<Offer>,
}

type Set = Rc<BTreeMap<usize, f64>>;

#[derive(Clone)]
struct Pick {
    total: f64,
    node: usize,
    set: Set,
}

/// Up to `options.candidates` ways to compute `outputs`.
pub fn candidates(
    graph: &mut Graph,
    outputs: &[TermId],
    target: &Rates,
    budget: Budget,
    options: &RewriteOptions,
) -> Plan {
    let mut ids: Vec<Id> = graph.egraph.classes().map(|c| c.id).collect();
    ids.sort_unstable();
    let index: BTreeMap<Id, usize> = ids.iter().copied().zip(0..).collect();
    let constant = constants(graph, &ids, &index);
    let mut classes = vec![];
    for (at, id) in ids.iter().enumerate() {
        let mut nodes = vec![];
        for node in graph.egraph[*id].nodes.clone() {
            let term = graph.ground(&node);
            let bank = graph.bank();
            let name = bank.name(term);
            nodes.push(Candidate {
                children: node.children.iter().map(|c| index[&graph.egraph.find(*c)]).collect(),
                cost: seconds(&graph.egraph.analysis.bank, term, constant[at], target),
                name,
                offer: (name == "winograd.output").then(|| winograd_offer(&graph.egraph.analysis.bank, term)).flatten(),
                node,
            });
        }
        classes.push(Class { nodes });
    }
    let roots: Vec<usize> =
        outputs.iter().map(|t| index[&graph.egraph.find(graph.class(*t).expect("outputs were added"))]).collect();
    let affordable = budget.afford(classes.iter().flat_map(|c| &c.nodes).filter_map(|c| c.offer).collect());
    let allowed = |c: &Candidate| c.offer.is_none_or(|o| affordable.contains_key(&o.term));
    let present: Vec<&str> =
        FAMILIES.iter().copied().filter(|f| classes.iter().flat_map(|c| &c.nodes).any(|n| n.name == *f)).collect();
    let mut found: Vec<Extracted> = vec![];
    // As the costs say, then each family forbidden, then each preferred.
    let wanted = matches!(options.winograd, Winograd::F23 | Winograd::F43);
    let mut variants: Vec<Variant> = vec![Variant::Plain];
    if classes.len() <= LARGE {
        variants.extend(present.iter().map(|f| Variant::Without(f)));
        variants.extend(present.iter().map(|f| Variant::Prefer(f)));
    } else if wanted {
        variants.push(Variant::Prefer("winograd.output"));
    }
    for variant in variants {
        let cost = |c: &Candidate| (allowed(c) && variant.allows(c.name)).then(|| c.cost * variant.factor(c.name));
        let picks = choose(&classes, &cost);
        let Some(extracted) = read(graph.bank(), &classes, &picks, &roots, &affordable) else { continue };
        if !found.iter().any(|f| f.outputs == extracted.outputs) {
            found.push(extracted);
        }
    }
    // A transform the user asked for by name comes first wherever it is possible.
    let asked = |e: &Extracted| wanted && !e.lossy.is_empty();
    found.sort_by(|a, b| {
        let cost = a.cost.total_cmp(&b.cost);
        asked(b).cmp(&asked(a)).then(cost).then_with(|| a.outputs.cmp(&b.outputs))
    });
    found.truncate(options.candidates.max(1));
    let source_cost = {
        let bank = graph.bank();
        let fixed = fixed_terms(bank, outputs);
        bank.reachable(outputs).into_iter().map(|t| seconds(bank, t, fixed.contains(&t), target)).sum()
    };
    if found.is_empty() {
        found.push(Extracted { outputs: outputs.to_vec(), cost: source_cost, lossy: vec![] });
    }
    Plan { found, source_cost }
}

/// Whether a class can be computed when building.
fn constants(graph: &Graph, ids: &[Id], index: &BTreeMap<Id, usize>) -> Vec<bool> {
    let mut out = vec![false; ids.len()];
    loop {
        let mut changed = false;
        for (at, id) in ids.iter().enumerate() {
            if !out[at] {
                out[at] = graph.egraph[*id].nodes.iter().any(|n| {
                    let fixed = match &n.head {
                        Head::Attr(_) => true,
                        Head::Input(..) => false,
                        Head::Get(_) => true,
                        Head::Op(op) => !matches!(op.0.name, "core.call" | "core.random" | "core.iota" | "core.size"),
                    };
                    fixed && n.children.iter().all(|c| out[index[&graph.egraph.find(*c)]])
                });
                changed |= out[at];
            }
        }
        if !changed {
            return out;
        }
    }
}

fn choose(classes: &[Class], cost: &dyn Fn(&Candidate) -> Option<f64>) -> Vec<Option<Pick>> {
    let mut users: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); classes.len()];
    for (at, class) in classes.iter().enumerate() {
        for c in class.nodes.iter().flat_map(|n| &n.children) {
            users[*c].insert(at);
        }
    }
    let mut picks: Vec<Option<Pick>> = vec![None; classes.len()];
    let mut todo: BTreeSet<usize> = (0..classes.len()).collect();
    // Every update makes a class cheaper; the bound is for cycles of roundings.
    let mut updates = 0usize;
    while let Some(at) = todo.pop_first() {
        for (n, candidate) in classes[at].nodes.iter().enumerate() {
            let Some(cost) = cost(candidate) else { continue };
            let pick = match classes.len() > LARGE {
                true => longest(n, candidate, cost, &picks),
                false => assemble(at, n, candidate, cost, &picks),
            };
            let Some(pick) = pick else { continue };
            if picks[at].as_ref().is_none_or(|old| pick.total < old.total * (1.0 - 1e-12)) {
                picks[at] = Some(pick);
                updates += 1;
                todo.extend(&users[at]);
            }
        }
        if updates > classes.len() * 50 + 1000 {
            break;
        }
    }
    picks
}

/// Costs are positive, so a path that needs itself is never the shortest.
fn longest(node: usize, candidate: &Candidate, cost: f64, picks: &[Option<Pick>]) -> Option<Pick> {
    let mut total = 0.0f64;
    for c in &candidate.children {
        total = total.max(picks[*c].as_ref()?.total);
    }
    Some(Pick { total: total + cost.max(1e-12), node, set: Set::default() })
}

fn assemble(at: usize, node: usize, candidate: &Candidate, cost: f64, picks: &[Option<Pick>]) -> Option<Pick> {
    let mut parts = vec![];
    for c in &candidate.children {
        parts.push(picks[*c].as_ref()?);
    }
    if parts.iter().any(|p| p.set.contains_key(&at)) {
        return None;
    }
    // Attributes and leaves are not worth keeping track of.
    if candidate.children.is_empty() {
        let set: BTreeMap<usize, f64> = if cost > 0.0 { [(at, cost)].into() } else { BTreeMap::new() };
        return Some(Pick { total: cost, node, set: Rc::new(set) });
    }
    let largest = parts.iter().max_by_key(|p| p.set.len()).expect("it has children");
    let mut set = (*largest.set).clone();
    for p in &parts {
        if !Rc::ptr_eq(&p.set, &largest.set) {
            set.extend(p.set.iter().map(|(k, v)| (*k, *v)));
        }
    }
    set.insert(at, cost);
    Some(Pick { total: set.values().sum(), node, set: Rc::new(set) })
}

/// The terms of the choice.
fn read(
    bank: &mut Bank,
    classes: &[Class],
    picks: &[Option<Pick>],
    roots: &[usize],
    affordable: &BTreeMap<TermId, bool>,
) -> Option<Extracted> {
    let mut terms: BTreeMap<usize, TermId> = BTreeMap::new();
    let mut open: BTreeSet<usize> = BTreeSet::new();
    let mut stack: Vec<usize> = roots.to_vec();
    let (mut cost, mut lossy) = (0.0, vec![]);
    while let Some(at) = stack.last().copied() {
        if terms.contains_key(&at) {
            stack.pop();
            continue;
        }
        let candidate = &classes[at].nodes[picks[at].as_ref()?.node];
        let missing: Vec<usize> = candidate.children.iter().copied().filter(|c| !terms.contains_key(c)).collect();
        if missing.is_empty() {
            let children = candidate.children.iter().map(|c| terms[c]).collect();
            let term = bank.add(candidate.node.head.clone(), children).ok()?;
            terms.insert(at, term);
            cost += candidate.cost;
            if let Some(Offer { eps, term: offered, .. }) = candidate.offer {
                let attrs = bank.attrs(term);
                lossy.push(Lossy {
                    function: String::new(),
                    choice: format!(
                        "Winograd F({}, {}) for a convolution to {}",
                        attrs.int("m"),
                        attrs.int("r"),
                        bank.ty(term)
                    ),
                    eps,
                    free: affordable.get(&offered).copied().unwrap_or(false),
                    calls: 1.0,
                });
            }
            stack.pop();
        } else if !open.insert(at) {
            // A choice that needs itself; cannot happen with sets that are up to date.
            return None;
        } else {
            stack.extend(missing);
        }
    }
    Some(Extracted { outputs: roots.iter().map(|r| terms[r]).collect(), cost, lossy })
}
