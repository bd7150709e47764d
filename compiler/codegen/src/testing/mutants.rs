//! Kernels with one mistake each: the simulator must say so.
//!
//! Each site of `tricot_kernel_tests::mutants` ends as *caught* (a finding), *wrong* (another result and no finding), *contract* (only
//! what ptxas repairs) or *covered* (no difference that a run can see, for a reason in [`COVERED`]). None may be anything else.

use super::covered::{COVERED, Covered};
use crate::lower::Session;
use crate::select::select;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tricot_kernel_tests::cases::{self, Case, Part};
use tricot_kernel_tests::mutants::{Change, Purpose, Site, apply, sites};
use tricot_kernel_tests::oracle::Num;
use tricot_kernel_tests::simulate::{Options, Ran, run};
use tricot_plan::GpuLaunch;
use tricot_ptxsim::Class;

/// How a mutant ends.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum End {
    Caught(&'static str),
    Wrong,
    Contract,
    Survived,
}

/// A kernel and what its mutants are measured with.
struct Subject {
    case: Case,
    part: Part,
    ptx: String,
    launch: GpuLaunch,
    /// What the right kernel leaves in every buffer.
    right: Left,
    /// Warp instructions of the right kernel.
    steps: u64,
}

/// Elements, and defined bytes.
type Left = (Vec<Vec<Num>>, Vec<Vec<bool>>);

impl Subject {
    fn new((case, part): (Case, Part)) -> Subject {
        let family = select(&case.desc, &case.symbols).unwrap();
        let lowered = Session::new().unwrap().lower(&case.desc, family.as_ref(), &[], None).unwrap();
        let (ptx, launch) = (lowered.ptx, family.launch());
        let mut subject = Subject { case, part, ptx, launch, right: Left::default(), steps: u64::MAX / 16 };
        let ran = subject.run(&subject.ptx, None).unwrap();
        if !matches!(subject.part, Part::Only(_)) {
            subject.case.check(&subject.case.expected(&subject.case.inputs()), &ran.values).unwrap();
        }
        subject.steps = ran.report.instructions;
        subject.right = (ran.values, ran.defined);
        for seed in SCHEDULES {
            let end = subject.end(&subject.ptx, seed);
            assert_eq!(end, End::Survived, "`{}` is wrong before anything is changed", subject.case.desc.name);
        }
        subject
    }

    fn run(&self, ptx: &str, seed: Option<u64>) -> Result<Ran, String> {
        let (blocks, only) = match &self.part {
            Part::All => (None, None),
            Part::Blocks(n) => (Some(*n), None),
            Part::Only(clusters) => (None, Some(clusters.clone())),
        };
        let steps = self.steps.saturating_mul(8);
        run(&self.case, ptx, &self.launch, Options { seed, exact: false, blocks, only, steps, ..Options::default() })
    }

    /// What comes of a text in place of the kernel's.
    fn end(&self, ptx: &str, seed: Option<u64>) -> End {
        let ran = match self.run(ptx, seed) {
            Ok(ran) => ran,
            // The text is refused before it runs.
            Err(_) => return End::Caught("refused"),
        };
        let error = ran.report.errors().find(|f| f.class != Class::PtxContract);
        if let Some(f) = error {
            End::Caught(f.class.name())
        } else if !same(&self.right, &(ran.values, ran.defined)) {
            End::Wrong
        } else if !ran.report.findings.is_empty() {
            End::Contract
        } else {
            End::Survived
        }
    }
}

/// Bit for bit.
fn same((values, defined): &Left, (other, other_defined): &Left) -> bool {
    let bits = |n: &Num| match n {
        Num::F(x) => x.to_bits(),
        Num::I(x) => *x as u64,
    };
    defined == other_defined && values.iter().flatten().map(bits).eq(other.iter().flatten().map(bits))
}

/// The latest legal moments, and random schedules.
const SCHEDULES: [Option<u64>; 4] = [None, Some(1), Some(2), Some(3)];

#[test]
fn every_mistake_is_found_or_explained() {
    let subjects: Vec<Subject> = cases::broken().into_iter().map(Subject::new).collect();
    let all: Vec<(&Subject, Site)> =
        subjects.iter().flat_map(|s| sites(&s.ptx).unwrap().into_iter().map(move |site| (s, site))).collect();
    let next = AtomicUsize::new(0);
    let ends = Mutex::new(BTreeMap::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some((subject, site)) = all.get(at) else { break };
                    let mutant = apply(&subject.ptx, site).unwrap();
                    let runs = SCHEDULES.into_iter().map(|seed| subject.end(&mutant, seed));
                    let mut end = End::Survived;
                    for new in runs {
                        end = end.min(new);
                        // How a wrong place is found is of no interest.
                        if matches!(end, End::Caught(_)) || site.purpose == Purpose::Place && end != End::Survived {
                            break;
                        }
                    }
                    ends.lock().unwrap().insert(at, end);
                }
            });
        }
    });
    let mut counts: BTreeMap<(Purpose, End), usize> = BTreeMap::new();
    let mut survivors: BTreeMap<(&str, String), Vec<u32>> = BTreeMap::new();
    for (at, end) in ends.into_inner().unwrap() {
        let (subject, site) = &all[at];
        if end == End::Survived {
            let lines = survivors.entry((&subject.case.desc.name, site.what())).or_default();
            lines.push(site.line);
        }
        *counts.entry((site.purpose, end)).or_default() += 1;
    }
    for ((purpose, end), n) in &counts {
        println!("{purpose:?} {end:?}: {n}");
    }
    let explained = |(kernel, what): &(&str, String)| {
        COVERED.iter().find(|c| kernel.starts_with(c.kernel) && what == c.what).map_or(0, |c| c.sites)
    };
    let unexplained: Vec<String> = survivors
        .iter()
        .filter(|(key, lines)| explained(key) != lines.len())
        .map(|(key, lines)| {
            format!("{} {}: {} sites, not {} (PTX lines {lines:?})", key.0, key.1, lines.len(), explained(key))
        })
        .collect();
    assert!(unexplained.is_empty(), "mistakes that nothing shows:\n{}", unexplained.join("\n"));
    let idle: Vec<&Covered> = COVERED
        .iter()
        .filter(|c| !survivors.keys().any(|(k, what)| k.starts_with(c.kernel) && what == c.what))
        .collect();
    assert!(idle.is_empty(), "reasons for what is found: {idle:?}");
    let of = |purpose: Purpose| counts.iter().filter(move |((p, _), _)| *p == purpose).map(|(_, n)| n).sum::<usize>();
    let covered = counts.get(&(Purpose::Order, End::Survived)).copied().unwrap_or(0);
    assert!(subjects.len() >= 5 && all.len() >= 150, "{} mutants", all.len());
    assert!(5 * covered <= of(Purpose::Order), "{covered} of {} sites of order are covered", of(Purpose::Order));
}
