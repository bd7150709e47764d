//! The e-graph: egg over heads and attribute leaves, with types and a best ground term per class. The central type is [`Graph`].
//!
//! Every e-class keeps one ground term of the proof crate's bank. Rules look at ground terms and state equations between them; the
//! equations applied are logged in order, so that a proof can be made of them later.

use egg::{Analysis, DidMerge, EGraph, Id, Language};
use std::collections::{BTreeMap, HashMap, HashSet};
use tricot_proof::{Bank, Head, TermId};

/// An e-node: a head over classes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Node {
    pub head: Head,
    pub children: Vec<Id>,
}

impl Language for Node {
    type Discriminant = &'static str;

    fn discriminant(&self) -> &'static str {
        match &self.head {
            Head::Op(op) => op.0.name,
            Head::Attr(_) => "attribute",
            Head::Input(..) => "input",
            Head::Get(_) => "get",
        }
    }

    fn matches(&self, other: &Node) -> bool {
        self.head == other.head && self.children.len() == other.children.len()
    }

    fn children(&self) -> &[Id] {
        &self.children
    }

    fn children_mut(&mut self) -> &mut [Id] {
        &mut self.children
    }
}

/// The term a class is known by: the simplest, the first among equals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Best {
    /// Weight of the heaviest path, then of the whole tree (saturating).
    depth: u64,
    size: u64,
    pub term: TermId,
}

/// Analysis data is the best term; its type and facts are functions of it.
pub struct Terms {
    pub bank: Bank,
}

/// How plain a head is: rules look for meaning first in what weighs least.
fn weight(head: &Head) -> u64 {
    match head {
        Head::Attr(_) | Head::Get(_) => 0,
        // A constant says more than an input that always is that constant.
        Head::Input(..) => 2,
        // Rules look for what a declared op means, not for its name.
        Head::Op(op) if op.0.declaration().is_some() => 1 << 20,
        Head::Op(op) => match op.0.name {
            "core.constant" | "core.iota" | "core.size" => 1,
            "core.transpose" | "core.reshape" | "core.broadcast" | "core.slice" => 2,
            "core.gather" | "core.concat" | "core.scatter" => 8,
            name if name.starts_with("core.") => 4,
            name if name.starts_with("winograd.") || name.starts_with("sparse24.") => 6,
            _ => 3,
        },
    }
}

impl Analysis<Node> for Terms {
    type Data = Best;

    fn make(egraph: &mut EGraph<Node, Self>, node: &Node, _: Id) -> Best {
        let parts: Vec<Best> = node.children.iter().map(|c| egraph[*c].data).collect();
        let own = weight(&node.head);
        let children = parts.iter().map(|b| b.term).collect();
        let term = egraph.analysis.bank.add(node.head.clone(), children);
        Best {
            depth: parts.iter().map(|b| b.depth).max().unwrap_or(0).saturating_add(own),
            size: parts.iter().fold(own, |s, b| s.saturating_add(b.size)),
            term: term.expect("equal terms have equal types, so an e-node over them is well typed"),
        }
    }

    fn merge(&mut self, a: &mut Best, b: Best) -> DidMerge {
        let worse = b < *a;
        let other = *a < b;
        if worse {
            *a = b;
        }
        DidMerge(worse, other)
    }
}

/// An equation a rule states.
#[derive(Clone, Debug)]
pub struct Found {
    pub rule: &'static str,
    pub from: TermId,
    pub to: TermId,
    pub substitution: BTreeMap<String, TermId>,
    pub conditions: BTreeMap<String, String>,
}

impl Found {
    /// An equation of a computing rule without conditions.
    pub fn new(rule: &'static str, from: TermId, to: TermId) -> Found {
        Found { rule, from, to, substitution: BTreeMap::new(), conditions: BTreeMap::new() }
    }

    /// States a condition.
    pub fn when(mut self, name: &str, value: impl ToString) -> Found {
        self.conditions.insert(name.into(), value.to_string());
        self
    }
}

/// The e-graph of one function, with the log of equations applied.
pub struct Graph {
    pub egraph: EGraph<Node, Terms>,
    ids: HashMap<TermId, Id>,
    tried: HashSet<TermId>,
    pub log: Vec<Found>,
    /// Constant terms and their values, each computed once.
    pub folded: HashMap<TermId, TermId>,
    /// Why saturation ended early, if it did.
    pub stopped: Option<String>,
    pub rounds: usize,
}

impl Graph {
    /// An empty graph over a bank.
    pub fn new(bank: Bank) -> Graph {
        Graph {
            egraph: EGraph::new(Terms { bank }),
            ids: HashMap::new(),
            tried: HashSet::new(),
            log: vec![],
            folded: HashMap::new(),
            stopped: None,
            rounds: 0,
        }
    }

    /// The bank of ground terms.
    pub fn bank(&mut self) -> &mut Bank {
        &mut self.egraph.analysis.bank
    }

    /// The class of a term, which is added with all its parts.
    pub fn add(&mut self, term: TermId) -> Id {
        if let Some(id) = self.ids.get(&term) {
            return self.egraph.find(*id);
        }
        // Children first, without recursion.
        let mut stack = vec![term];
        while let Some(t) = stack.last().copied() {
            if self.ids.contains_key(&t) {
                stack.pop();
                continue;
            }
            let term = self.egraph.analysis.bank.term(t).clone();
            let missing: Vec<TermId> = term.children.iter().copied().filter(|c| !self.ids.contains_key(c)).collect();
            if missing.is_empty() {
                let children = term.children.iter().map(|c| self.egraph.find(self.ids[c])).collect();
                let id = self.egraph.add(Node { head: term.head, children });
                self.ids.insert(t, id);
                stack.pop();
            } else {
                stack.extend(missing);
            }
        }
        self.egraph.find(self.ids[&term])
    }

    /// The class of a term that was added.
    pub fn class(&self, term: TermId) -> Option<Id> {
        self.ids.get(&term).map(|id| self.egraph.find(*id))
    }

    /// The ground term of an e-node: its head over its children's best terms.
    pub fn ground(&mut self, node: &Node) -> TermId {
        let children = node.children.iter().map(|c| self.egraph[*c].data.term).collect();
        self.bank().add(node.head.clone(), children).expect("equal terms have equal types")
    }

    /// The ground terms rules look at: over best children, and for elementwise ops, whose rules look at the op below, also with
    /// each other spelling of one operand.
    fn grounds(&mut self, node: &Node) -> Vec<TermId> {
        let mut out = vec![self.ground(node)];
        if !matches!(&node.head, Head::Op(op) if op.0.name == "core.map") {
            return out;
        }
        let best: Vec<TermId> = node.children.iter().map(|c| self.egraph[*c].data.term).collect();
        for (at, child) in node.children.iter().enumerate() {
            for other in self.egraph[*child].nodes.clone().into_iter().take(ALTERNATIVES) {
                let mut children = best.clone();
                children[at] = self.ground(&other);
                out.push(self.bank().add(node.head.clone(), children).expect("equal terms have equal types"));
            }
        }
        out
    }

    /// Applies `rules` until nothing new is found or a limit is reached.
    pub fn saturate(&mut self, limits: Limits, mut rules: impl FnMut(&mut Bank, TermId) -> Vec<Found>) {
        for round in 0..limits.rounds {
            self.rounds = round + 1;
            let mut classes: Vec<Id> = self.egraph.classes().map(|c| c.id).collect();
            classes.sort_unstable();
            let mut terms = vec![];
            for class in classes {
                for node in self.egraph[class].nodes.clone() {
                    if matches!(node.head, Head::Attr(_) | Head::Input(..)) {
                        continue;
                    }
                    for term in self.grounds(&node) {
                        if self.tried.insert(term) {
                            terms.push(term);
                        }
                    }
                }
            }
            if terms.is_empty() {
                return;
            }
            let mut found = vec![];
            for term in terms {
                tricot_types::stop::check();
                found.extend(rules(self.bank(), term));
            }
            for f in found {
                let (a, b) = (self.add(f.from), self.add(f.to));
                if self.egraph.find(a) != self.egraph.find(b) {
                    self.egraph.union_trusted(a, b, f.rule);
                    self.log.push(f);
                }
            }
            self.egraph.rebuild();
            if self.egraph.total_number_of_nodes() > limits.nodes {
                self.stopped = Some(format!("the limit of {} e-nodes was reached", limits.nodes));
                return;
            }
        }
        self.stopped = Some(format!("the limit of {} rounds was reached", limits.rounds));
    }
}

/// Spellings of an operand that are tried.
const ALTERNATIVES: usize = 8;

/// Limits of saturation. They are counts, so results do not depend on the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    pub nodes: usize,
    pub rounds: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { nodes: 200_000, rounds: 24 }
    }
}
