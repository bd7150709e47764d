//! Congruence closure over a bank's terms, with explanations. The central type is [`Closure`].
//!
//! Merging is by recorded equations; congruence is found here. The proof forest follows Nieuwenhuis and Oliveras, "Fast congruence
//! closure and extensions" (2007). Knows neither rules nor egg.

use crate::term::{Bank, Head, TermId};
use std::collections::{BTreeMap, BTreeSet, HashMap};

#[derive(Clone, Copy, Debug)]
enum Reason {
    /// The equation of this number.
    Given(u32),
    /// Equal heads over equal children.
    Congruent(TermId, TermId),
}

/// Terms up to equality.
pub struct Closure<'b> {
    bank: &'b Bank,
    parent: HashMap<TermId, TermId>,
    members: HashMap<TermId, Vec<TermId>>,
    users: HashMap<TermId, Vec<TermId>>,
    signatures: HashMap<(Head, Vec<TermId>), TermId>,
    forest: HashMap<TermId, (TermId, Reason)>,
    pending: Vec<(TermId, TermId, Reason)>,
}

impl<'b> Closure<'b> {
    /// Terms, children before parents, all different so far.
    pub fn new(bank: &'b Bank, terms: &[TermId]) -> Closure<'b> {
        let mut out = Closure {
            bank,
            parent: HashMap::new(),
            members: HashMap::new(),
            users: HashMap::new(),
            signatures: HashMap::new(),
            forest: HashMap::new(),
            pending: vec![],
        };
        for t in terms {
            out.add(*t);
        }
        out.settle();
        out
    }

    fn add(&mut self, t: TermId) {
        if self.parent.contains_key(&t) {
            return;
        }
        self.parent.insert(t, t);
        self.members.insert(t, vec![t]);
        let children: Vec<TermId> = self.bank.term(t).children.iter().map(|c| self.find(*c)).collect();
        for c in &children {
            self.users.entry(*c).or_default().push(t);
        }
        let signature = (self.bank.term(t).head.clone(), children);
        match self.signatures.get(&signature) {
            Some(other) => self.pending.push((t, *other, Reason::Congruent(t, *other))),
            None => {
                self.signatures.insert(signature, t);
            }
        }
    }

    /// The representative.
    pub fn find(&self, t: TermId) -> TermId {
        let mut at = t;
        while let Some(p) = self.parent.get(&at) {
            if *p == at {
                break;
            }
            at = *p;
        }
        at
    }

    /// Whether two terms are equal by now.
    pub fn equal(&self, a: TermId, b: TermId) -> bool {
        self.find(a) == self.find(b)
    }

    /// Adds equation number `number`.
    pub fn merge(&mut self, a: TermId, b: TermId, number: u32) {
        self.pending.push((a, b, Reason::Given(number)));
        self.settle();
    }

    fn settle(&mut self) {
        while let Some((a, b, reason)) = self.pending.pop() {
            let (mut ra, mut rb) = (self.find(a), self.find(b));
            if ra == rb {
                continue;
            }
            self.link(a, b, reason);
            // The smaller class moves.
            if self.members[&ra].len() > self.members[&rb].len() {
                std::mem::swap(&mut ra, &mut rb);
            }
            let moved = self.members.remove(&ra).unwrap_or_default();
            for m in &moved {
                self.parent.insert(*m, rb);
            }
            self.members.entry(rb).or_default().extend(moved);
            for user in self.users.remove(&ra).unwrap_or_default() {
                let term = self.bank.term(user);
                let signature = (term.head.clone(), term.children.iter().map(|c| self.find(*c)).collect());
                match self.signatures.get(&signature) {
                    Some(other) if self.find(*other) != self.find(user) => {
                        self.pending.push((user, *other, Reason::Congruent(user, *other)));
                    }
                    Some(_) => {}
                    None => {
                        self.signatures.insert(signature, user);
                    }
                }
                self.users.entry(rb).or_default().push(user);
            }
        }
    }

    /// Makes `a` the root of its tree and hangs it under `b`.
    fn link(&mut self, a: TermId, b: TermId, reason: Reason) {
        let mut path = vec![];
        let mut at = a;
        while let Some((up, r)) = self.forest.get(&at) {
            path.push((at, *up, *r));
            at = *up;
        }
        for (from, to, r) in path {
            self.forest.insert(to, (from, r));
        }
        self.forest.insert(a, (b, reason));
    }

    /// The numbers of the equations that make `a` equal `b`; `None` where they are not equal.
    pub fn explain(&self, a: TermId, b: TermId) -> Option<BTreeSet<u32>> {
        if !self.equal(a, b) {
            return None;
        }
        let mut out = BTreeSet::new();
        let mut done = BTreeSet::new();
        let mut todo = vec![(a, b)];
        while let Some((x, y)) = todo.pop() {
            if x == y || !done.insert((x, y)) {
                continue;
            }
            let mut height = BTreeMap::new();
            let mut at = x;
            height.insert(at, 0);
            while let Some((up, _)) = self.forest.get(&at) {
                height.insert(*up, height.len());
                at = *up;
            }
            let mut meet = y;
            let mut edges = vec![];
            while !height.contains_key(&meet) {
                let (up, reason) = self.forest.get(&meet)?;
                edges.push(*reason);
                meet = *up;
            }
            let mut at = x;
            while at != meet {
                let (up, reason) = self.forest.get(&at)?;
                edges.push(*reason);
                at = *up;
            }
            for reason in edges {
                match reason {
                    Reason::Given(number) => {
                        out.insert(number);
                    }
                    Reason::Congruent(s, t) => {
                        let pairs = self.bank.term(s).children.iter().zip(&self.bank.term(t).children);
                        todo.extend(pairs.map(|(p, q)| (*p, *q)));
                    }
                }
            }
        }
        Some(out)
    }
}
