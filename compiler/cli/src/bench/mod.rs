//! `tricot bench`: times a bundle and each of its kernels, and holds them against the device's roofline.
//!
//! [`sets`] has the buffers that rotate, [`ceilings`] what the device could do, [`plot`] draws. Times of the whole plan are those of
//! back-to-back runs, replayed as CUDA graphs where there is more than one kernel; a kernel's are between events in a run that waits behind
//! others, so that launching does not count. The work of each kernel is what the compiler wrote into the plan.

mod ceilings;
mod plot;
mod sets;

use crate::args::Bench;
use crate::build::write_out;
use crate::progress::Progress;
use crate::{Outcome, models, run};
use ceilings::Ceilings;
use serde::Serialize;
use sets::Sets;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use tricot_compiler::dump;
use tricot_plan::Units;
use tricot_runtime::bundle::Bundle;
use tricot_runtime::{Bindings, StepWork};

#[derive(Serialize)]
struct Report {
    bundle: String,
    device: String,
    target: String,
    symbols: Bindings,
    /// Sets of inputs and outputs that rotate, and their bytes together.
    sets: usize,
    rotated_bytes: u64,
    /// Runs were replays of CUDA graphs.
    replayed: bool,
    ceilings: Ceilings,
    plan: Line,
    /// In the order of the plan; launches of one kernel with the same work are one line.
    kernels: Vec<Line>,
}

/// Times of one thing, and how far it is from what the device could do.
#[derive(Serialize)]
struct Line {
    name: String,
    launches: usize,
    samples: usize,
    /// Of one run or one launch, in seconds.
    median: f64,
    p10: f64,
    p90: f64,
    flops: f64,
    bytes: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    units: Option<Units>,
    /// The work depends on data and was guessed.
    estimate: bool,
    tflops: f64,
    gbps: f64,
    /// The least time the roofline allows, and its share of the median.
    roofline_seconds: f64,
    roofline: f64,
}

impl Line {
    fn new(name: &str, launches: usize, times: &mut [f64], work: &[&StepWork], ceilings: &Ceilings) -> Line {
        times.sort_by(f64::total_cmp);
        let (flops, bytes) = work.iter().fold((0.0, 0.0), |(f, b), w| (f + w.flops, b + w.bytes));
        let [p10, median, p90] = [0.1, 0.5, 0.9].map(|p| percentile(times, p));
        let least: f64 = work.iter().map(|w| ceilings.seconds(w)).sum();
        Line {
            name: name.into(),
            launches,
            samples: times.len(),
            median,
            p10,
            p90,
            flops,
            bytes,
            units: if let [one] = work { Some(one.units) } else { None },
            estimate: work.iter().any(|w| w.estimate),
            tflops: flops / median / 1e12,
            gbps: bytes / median / 1e9,
            roofline_seconds: least,
            roofline: least / median,
        }
    }
}

/// Between the two nearest of sorted values.
fn percentile(sorted: &[f64], p: f64) -> f64 {
    let at = (sorted.len().saturating_sub(1)) as f64 * p;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    match (sorted.get(low), sorted.get(high)) {
        (Some(a), Some(b)) => a + (b - a) * at.fract(),
        _ => f64::NAN,
    }
}

pub fn bench(args: &Bench) -> Outcome {
    let progress = Progress::new();
    let module = run::load(Bundle::open(&args.bundle)?, args.device.as_deref(), args.digest.as_deref())?;
    let mut symbols: Bindings = module.manifest().symbols.iter().map(|(s, info)| (s.clone(), info.hint)).collect();
    symbols.extend(models::bindings(&args.set)?);
    progress.say("preparing inputs");
    let mut sets = Sets::new(&module, &symbols, args.rotate * 1_000_000)?;
    progress.say("measuring the device");
    let ceilings = Ceilings::of(module.device())?;
    progress.say("warming up");
    sets.warm_up(args.warm_up)?;
    progress.say("measuring the plan");
    let mut whole = sets.whole(args.seconds)?;
    progress.say("measuring kernels");
    let steps = sets.steps(args.seconds)?;
    drop(progress);
    let work = sets.work();
    let report = Report {
        bundle: args.bundle.display().to_string(),
        device: ceilings.device.clone(),
        target: module.target().into(),
        symbols,
        sets: sets.len(),
        rotated_bytes: sets.bytes(),
        replayed: sets.replayed(),
        plan: Line::new("plan", work.len(), &mut whole, &work.iter().collect::<Vec<_>>(), &ceilings),
        kernels: lines(&work, steps, &ceilings),
        ceilings,
    };
    if let Some(path) = &args.plot {
        dump::write_whole(path, plot::roofline(&report)?.as_bytes()).map_err(|d| vec![d])?;
    }
    let mut out = std::io::stdout().lock();
    let text = match args.json {
        true => serde_json::to_string_pretty(&report).expect("string keys and numbers") + "\n",
        false => table(&report),
    };
    write_out(&mut out, &text)
}

/// One line for the launches of a kernel that do the same work.
fn lines(work: &[StepWork], steps: Vec<Vec<f64>>, ceilings: &Ceilings) -> Vec<Line> {
    let mut order: Vec<&StepWork> = vec![];
    let mut times: BTreeMap<usize, (usize, Vec<f64>)> = BTreeMap::new();
    for (step, samples) in work.iter().zip(steps) {
        let at = order.iter().position(|o| *o == step).unwrap_or(order.len());
        if at == order.len() {
            order.push(step);
        }
        let (launches, all) = times.entry(at).or_default();
        *launches += 1;
        all.extend(samples);
    }
    let line = |(at, (launches, mut all)): (usize, (usize, Vec<f64>))| {
        Line::new(&order[at].name, launches, &mut all, &[order[at]], ceilings)
    };
    times.into_iter().map(line).collect()
}

fn table(r: &Report) -> String {
    let mut out = format!("{} on {}", r.bundle, r.device);
    let sizes: Vec<_> = r.symbols.iter().map(|(s, n)| format!("{s} = {n}")).collect();
    if !sizes.is_empty() {
        let _ = write!(out, ", {}", sizes.join(", "));
    }
    let how = if r.replayed { "CUDA graphs, " } else { "" };
    let _ = writeln!(out, "\n{how}{} sets of buffers, {:.0} MB\n", r.sets, r.rotated_bytes as f64 / 1e6);
    let _ = writeln!(
        out,
        "{:<34} {:>4} {:>12} {:>12} {:>12} {:>10} {:>9} {:>9}",
        "", "runs", "median", "p10", "p90", "TFLOP/s", "GB/s", "roofline"
    );
    for line in std::iter::once(&r.plan).chain(&r.kernels) {
        let about = if line.estimate { "~" } else { "" };
        let counted =
            |value: String| if line.flops + line.bytes > 0.0 { format!("{about}{value}") } else { "-".into() };
        let _ = writeln!(
            out,
            "{:<34} {:>4} {:>12} {:>12} {:>12} {:>10} {:>9} {:>9}",
            line.name,
            line.launches,
            seconds(line.median),
            seconds(line.p10),
            seconds(line.p90),
            counted(format!("{:.3}", line.tflops)),
            counted(format!("{:.1}", line.gbps)),
            counted(format!("{:.0} %", line.roofline * 100.0)),
        );
    }
    let _ = writeln!(out, "\nceilings: {}", r.ceilings.words());
    out
}

fn seconds(value: f64) -> String {
    match value {
        v if v < 1e-3 => format!("{:.2} us", v * 1e6),
        v if v < 1.0 => format!("{:.3} ms", v * 1e3),
        v => format!("{v:.3} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_neighbours() {
        assert_eq!(percentile(&[1.0, 2.0, 3.0, 4.0], 0.5), 2.5);
        assert_eq!(percentile(&[7.0], 0.9), 7.0);
        assert!(percentile(&[], 0.5).is_nan());
    }

    #[test]
    fn launches_of_one_kernel_with_the_same_work_are_one_line() {
        let step = |name: &str, flops| StepWork {
            name: name.into(),
            flops,
            bytes: 10.0,
            units: Units::Scalar,
            estimate: false,
        };
        let ceilings = Ceilings::flat("test", 1e12, 1e9);
        let work = [step("a", 1.0), step("b", 1.0), step("a", 1.0), step("a", 2.0)];
        let found = lines(&work, vec![vec![1.0], vec![2.0], vec![3.0], vec![4.0]], &ceilings);
        let shown: Vec<_> = found.iter().map(|l| (l.name.as_str(), l.launches, l.median)).collect();
        assert_eq!(shown, [("a", 2, 2.0), ("b", 1, 2.0), ("a", 1, 4.0)]);
        // 10 bytes at 1 GB/s.
        assert!((found[0].roofline_seconds - 1e-8).abs() < 1e-12);
    }
}
