//! Plans for values that must not be stored: which calls to run on which part, in which order, and what that takes in memory.

use crate::boxes::{Range, demand, folded, is_view, sliceable, whole};
use crate::lower::{Program, Value};
use std::collections::BTreeMap;

/// Where an operand comes from.
pub enum Source {
    /// The result of an earlier step.
    Step(usize),
    /// A part of a stored value.
    Stored(Value, Vec<Range>),
}

/// One call on a part of its result.
pub struct Step {
    pub call: usize,
    pub range: Vec<Range>,
    pub folds: Vec<Range>,
    pub operands: Vec<Source>,
}

/// The steps that compute `range` of a call's result, the call itself last; calls that `stored` denies are computed on the way.
pub fn plan(
    program: &Program,
    call: usize,
    range: Vec<Range>,
    folds: Vec<Range>,
    stored: &dyn Fn(usize) -> bool,
) -> Vec<Step> {
    let mut planner = Planner { program, stored, steps: vec![], known: BTreeMap::new() };
    planner.add(call, range, folds);
    planner.steps
}

struct Planner<'a> {
    program: &'a Program,
    stored: &'a dyn Fn(usize) -> bool,
    steps: Vec<Step>,
    known: BTreeMap<(usize, Vec<Range>), usize>,
}

impl Planner<'_> {
    fn add(&mut self, call: usize, range: Vec<Range>, folds: Vec<Range>) -> usize {
        let c = &self.program.calls[call];
        let mut operands = vec![];
        for (value, part) in c.operands.iter().zip(demand(self.program, c, &range, &folds)) {
            if (self.stored)(value.0) {
                operands.push(Source::Stored(*value, part));
                continue;
            }
            let key = (value.0, part);
            let step = match self.known.get(&key) {
                Some(step) => *step,
                None => {
                    let producer = &self.program.calls[value.0];
                    let step = self.add(value.0, key.1.clone(), whole(&folded(self.program, producer)));
                    self.known.insert(key, step);
                    step
                }
            };
            operands.push(Source::Step(step));
        }
        self.steps.push(Step { call, range, folds, operands });
        self.steps.len() - 1
    }
}

/// Last step that reads each step's result, views counted as reads of what they show.
pub fn last_reads(program: &Program, steps: &[Step]) -> Vec<usize> {
    let mut last: Vec<usize> = (0..steps.len()).collect();
    for (at, step) in steps.iter().enumerate() {
        for source in &step.operands {
            if let Source::Step(s) = source {
                last[*s] = last[*s].max(at);
            }
        }
    }
    // Backwards, so that a view of a view extends both.
    for at in (0..steps.len()).rev() {
        if is_view(&program.calls[steps[at].call])
            && let Some(Source::Step(s)) = steps[at].operands.first()
        {
            last[*s] = last[*s].max(last[at]);
        }
    }
    last
}

/// Bytes of the largest set of step results alive at once.
pub fn peak(program: &Program, steps: &[Step]) -> u64 {
    let last = last_reads(program, steps);
    let bytes = |s: &Step| -> u64 {
        let call = &program.calls[s.call];
        if is_view(call) {
            return 0;
        }
        let elements: usize = match sliceable(call) {
            true => s.range.iter().map(|r| r.1).product(),
            false => call.types.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum(),
        };
        8 * elements as u64
    };
    let mut dying: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    last.iter().enumerate().for_each(|(s, at)| dying.entry(*at).or_default().push(s));
    let (mut now, mut most) = (0u64, 0u64);
    for (at, step) in steps.iter().enumerate() {
        now += bytes(step);
        most = most.max(now + scratch(program, step));
        for s in dying.get(&at).into_iter().flatten() {
            now -= bytes(&steps[*s]);
        }
    }
    most
}

/// What a contraction needs beside operands and result: its intermediate products and packed operands.
fn scratch(program: &Program, step: &Step) -> u64 {
    let call = &program.calls[step.call];
    let Some(einsum) = &call.einsum else { return 0 };
    let sizes = crate::exec::contract::sizes(einsum, &step.range, &step.folds);
    let order = crate::exec::contract::order(einsum, &sizes);
    let packed: u64 = einsum
        .operands
        .iter()
        .map(|l| l.iter().map(|c| sizes[c] as u64).product::<u64>().min(crate::exec::contract::PACK as u64))
        .max()
        .unwrap_or(0);
    8 * (order.largest + packed)
}

/// How to cut a call into parts so that each part's plan stays within `budget`: lengths of the parts along each result axis and
/// each folded axis. The least peak that cutting reaches comes along.
pub fn cut(
    program: &Program,
    call: usize,
    budget: u64,
    stored: &dyn Fn(usize) -> bool,
) -> (Vec<usize>, Vec<usize>, u64) {
    let c = &program.calls[call];
    let shape = c.types[0].1.clone();
    let rank = shape.len();
    let mut lengths = shape;
    lengths.extend(folded(program, c));
    let cost = |lengths: &[usize]| {
        let all: Vec<Range> = lengths.iter().map(|n| (0, *n)).collect();
        peak(program, &plan(program, call, all[..rank].to_vec(), all[rank..].to_vec(), stored))
    };
    let mut now = cost(&lengths);
    while now > budget && sliceable(c) && c.types.len() == 1 {
        let trial = |axis: usize, n: usize| {
            let mut l = lengths.clone();
            l[axis] = n;
            cost(&l)
        };
        let axes = (0..lengths.len()).filter(|a| lengths[*a] > 1);
        let Some((best, axis)) = axes.map(|a| (trial(a, 1), a)).min() else { break };
        if best >= now {
            break;
        }
        // The longest part that fits, or single elements if none does.
        let (mut fits, mut fails) = (1, lengths[axis]);
        while best <= budget && fits + 1 < fails {
            let middle = (fits + fails) / 2;
            if trial(axis, middle) <= budget { fits = middle } else { fails = middle }
        }
        now = trial(axis, fits);
        lengths[axis] = fits;
    }
    let folds = lengths.split_off(rank);
    (lengths, folds, now)
}
