//! Choosing among the rewriter's candidates: each is scheduled in outline, the one with the cheapest schedule is built.
//!
//! The central type is [`Choice`]. It knows costs, no kernel: they come from [`tricot_schedule::estimate`].

use crate::error::guard;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use tricot_dialects::{Module, text};
use tricot_rewrite::{Candidate, Rewritten, Winograd};
use tricot_schedule::ScheduleOptions;

/// Candidates whose modelled time is more than this many times the first's are not worth a schedule.
const HOPELESS: f64 = 2.0;

/// Which candidate is built, and what was weighed.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Choice {
    pub chosen: usize,
    /// Seconds of each candidate's schedule; `None` where it was not scheduled, or could not be.
    pub seconds: Vec<Option<f64>>,
}

impl Choice {
    /// Schedules the candidates for a target and picks the cheapest, the earlier of equals. With nothing to choose from,
    /// nothing is scheduled.
    pub fn new(rewritten: &Rewritten, target: &str, winograd: Winograd) -> Choice {
        let candidates = &rewritten.candidates;
        let first = &candidates[0];
        // A transform the user asked for by name is no matter of cost.
        let asked = matches!(winograd, Winograd::F23 | Winograd::F43);
        let mut seen = BTreeSet::new();
        let worth: Vec<bool> = candidates
            .iter()
            .map(|c| {
                let kept = !asked || c.lossy.len() >= first.lossy.len();
                kept && c.total_seconds() <= HOPELESS * first.total_seconds() && seen.insert(text::print(&c.module))
            })
            .collect();
        let mut choice = Choice { chosen: 0, seconds: vec![None; candidates.len()] };
        if worth.iter().filter(|w| **w).count() < 2 {
            return choice;
        }
        let options = ScheduleOptions { target: target.into(), ..ScheduleOptions::default() };
        for (at, candidate) in candidates.iter().enumerate().filter(|(at, _)| worth[*at]) {
            let module = &candidate.module;
            // One that cannot be scheduled is no choice; if it is the only one, scheduling it says why.
            choice.seconds[at] =
                guard("schedule", || text::print(module), || tricot_schedule::estimate(module, &options)).ok();
        }
        let found = choice.seconds.iter().enumerate().filter_map(|(at, s)| Some((at, (*s)?)));
        choice.chosen = found.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(at, _)| at);
        choice
    }

    /// A line for each scheduled candidate, with the ops that set it apart; nothing where there was no choice.
    pub fn lines(&self, rewritten: &Rewritten) -> String {
        let scheduled: Vec<(usize, f64)> =
            self.seconds.iter().enumerate().filter_map(|(at, s)| Some((at, (*s)?))).collect();
        let mut out = String::new();
        if scheduled.len() < 2 {
            return out;
        }
        let ops: Vec<BTreeMap<&str, usize>> =
            scheduled.iter().map(|(at, _)| ops(&rewritten.candidates[*at].module)).collect();
        for ((at, seconds), own) in scheduled.iter().zip(&ops) {
            let apart = own.iter().filter(|(op, n)| ops.iter().any(|o| o.get(*op) != Some(n)));
            let apart: Vec<String> = apart.map(|(op, n)| format!("{n} {op}")).collect();
            let which = if apart.is_empty() { String::new() } else { format!(": {}", apart.join(", ")) };
            let won = if *at == self.chosen { " (chosen)" } else { "" };
            let _ = writeln!(out, "candidate {}: scheduled in {seconds:.3e} s{won}{which}", at + 1);
        }
        out
    }

    /// Why the chosen candidate lacks an op that another one has, or that it has it; `None` where scheduling had no say.
    pub fn why_not(&self, rewritten: &Rewritten, op: &str) -> Option<String> {
        let count = |c: &Candidate| ops(&c.module).get(op).copied().unwrap_or(0);
        let have = count(&rewritten.candidates[self.chosen]);
        if have > 0 {
            return (self.chosen > 0).then(|| format!("`{op}` is there, {have} times\n"));
        }
        let best = self.seconds[self.chosen]?;
        let with = rewritten.candidates.iter().zip(&self.seconds).filter(|(c, _)| count(c) > 0);
        let cheapest = with.filter_map(|(_, s)| *s).min_by(f64::total_cmp)?;
        Some(format!(
            "`{op}` was found, but the graph with it takes {cheapest:.3e} s when scheduled, without it {best:.3e} s\n"
        ))
    }
}

/// How often each op occurs in a module.
fn ops(module: &Module) -> BTreeMap<&'static str, usize> {
    let mut out = BTreeMap::new();
    for f in module.functions.values() {
        for id in f.live_order() {
            *out.entry(f.node(id).op.name).or_default() += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use tricot_rewrite::{RewriteOptions, rewrite};

    fn rewritten(model: &str, target: &str, winograd: Winograd, max_rel_err: f64) -> Rewritten {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/headline").join(model);
        let module = crate::Source::new(path).load().unwrap_or_else(|d| panic!("{}", d[0]));
        let options = RewriteOptions { target: target.into(), winograd, max_rel_err, ..RewriteOptions::default() };
        rewrite(&module, &options).unwrap_or_else(|d| panic!("{}", d[0]))
    }

    fn estimate(module: &Module, target: &str) -> f64 {
        let options = ScheduleOptions { target: target.into(), ..ScheduleOptions::default() };
        tricot_schedule::estimate(module, &options).unwrap_or_else(|d| panic!("{}", d[0]))
    }

    #[test]
    fn the_cheapest_schedule_wins_wherever_it_stands() {
        for target in ["cpu", "sm_90a"] {
            let mut r = rewritten("sparse24.tri", target, Winograd::Auto, 0.0);
            assert!(r.candidates.len() >= 2, "{target}: {} candidates", r.candidates.len());
            let best = |r: &Rewritten| {
                let c = Choice::new(r, target, Winograd::Auto);
                let least = r.candidates.iter().map(|c| estimate(&c.module, target)).fold(f64::INFINITY, f64::min);
                assert_eq!(c.seconds[c.chosen], Some(least), "{target}: {c:?}");
                text::print(&r.candidates[c.chosen].module)
            };
            let (forwards, proof) = (best(&r), r.candidates[0].proof.clone());
            r.candidates.reverse();
            assert_eq!(best(&r), forwards, "{target}");
            assert_ne!(r.candidates[0].proof, proof, "candidates share a proof");
        }
    }

    #[test]
    fn equal_and_hopeless_candidates_are_not_scheduled() {
        let mut r = rewritten("sparse24.tri", "sm_90a", Winograd::Auto, 0.0);
        let first = r.candidates[0].clone();
        r.candidates[1].seconds.iter_mut().for_each(|s| *s += 3.0 * first.total_seconds());
        r.candidates.truncate(2);
        r.candidates.push(first.clone());
        assert_eq!(Choice::new(&r, "sm_90a", Winograd::Auto), Choice { chosen: 0, seconds: vec![None; 3] });
        // Of equals the earlier wins, and a choice of one is none.
        r.candidates = vec![first.clone(), first];
        assert_eq!(Choice::new(&r, "sm_90a", Winograd::Auto), Choice { chosen: 0, seconds: vec![None; 2] });
    }

    #[test]
    fn a_transform_asked_for_by_name_stays() {
        let r = rewritten("winograd.tri", "cpu", Winograd::F43, 1e-4);
        assert!(!r.candidates[0].lossy.is_empty());
        let with = |c: &Choice| !r.candidates[c.chosen].lossy.is_empty();
        assert!(with(&Choice::new(&r, "cpu", Winograd::F43)));
        let plain = r.candidates.iter().position(|c| c.lossy.is_empty()).expect("a direct convolution");
        let mut cheap = r.clone();
        // However cheap the direct one looks.
        cheap.candidates[plain].seconds.iter_mut().for_each(|s| *s = 0.0);
        let choice = Choice::new(&cheap, "cpu", Winograd::F43);
        assert!(with(&choice) && choice.seconds[plain].is_none(), "{choice:?}");
    }
}
