//! The ONNX backend node cases: each is imported, run by the caller's executor and compared within the case's own tolerance.
//!
//! The central type is [`Summary`]. What executes is a closure from a module and its inputs to outputs, so the same cases
//! measure the reference and every target. `tests/conformance/generate.py` writes the folder.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use tricot_dialects::{Constant, Module};
use tricot_import::{ImportOptions, import_onnx_bytes};
use tricot_types::{DType, Diagnostic, Place};

/// Runs a module: inputs by name, outputs in the order of `@main`.
pub type Execute<'a> = &'a (dyn Fn(&Module, &[(String, Constant)]) -> Result<Vec<Constant>, String> + Sync);

/// What became of the cases.
#[derive(Default, Debug)]
pub struct Summary {
    pub passed: Vec<String>,
    /// Case and reason.
    pub failed: Vec<(String, String)>,
    /// Cases by reason: what the import table does not list, and cases finer than their own rounding.
    pub skipped: BTreeMap<String, Vec<String>>,
    /// Cases among the passed in which inputs that ops need at compile time (a shape, axes) were fixed at import.
    pub fixed: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, why) in &self.failed {
            writeln!(f, "FAILED {name}: {}", why.replace('\n', " | "))?;
        }
        for (reason, cases) in &self.skipped {
            writeln!(f, "skipped {:4}: {reason}", cases.len())?;
        }
        writeln!(f, "{} of the passed had compile-time inputs fixed at import", self.fixed)?;
        let skipped: usize = self.skipped.values().map(Vec::len).sum();
        write!(f, "{} passed, {} failed, {skipped} skipped", self.passed.len(), self.failed.len())
    }
}

enum Outcome {
    Passed { fixed: bool },
    Skipped(String),
}

/// Runs every case of `folder` whose name contains `filter`.
pub fn run(folder: &Path, filter: &str, execute: Execute) -> std::io::Result<Summary> {
    let mut names = vec![];
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() && name.contains(filter) {
            names.push(name);
        }
    }
    names.sort();
    // Cases are small: one a thread keeps every core busy. Results are gathered in name order.
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = vec![];
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            let one = std::panic::AssertUnwindSafe(|| case(&folder.join(name), execute));
            let outcome = std::panic::catch_unwind(one).unwrap_or_else(|_| Err("the case panicked".into()));
            done.push((name.clone(), outcome));
        }
        done
    };
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let mut done: Vec<(String, Result<Outcome, String>)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|w| w.join().expect("panics are caught")).collect()
    });
    done.sort_by(|a, b| a.0.cmp(&b.0));
    let mut summary = Summary::default();
    for (name, outcome) in done {
        match outcome {
            Ok(Outcome::Passed { fixed }) => {
                summary.fixed += usize::from(fixed);
                summary.passed.push(name);
            }
            Ok(Outcome::Skipped(reason)) => summary.skipped.entry(reason).or_default().push(name),
            Err(why) => summary.failed.push((name, why)),
        }
    }
    Ok(summary)
}

/// The reason to skip, if everything that was refused is outside the table.
fn outside_table(problems: &[Diagnostic]) -> Option<String> {
    let unlisted = |d: &&Diagnostic| matches!(d.code, "TC0203" | "TC0204" | "TC0205");
    let all = problems.iter().filter(unlisted).count() == problems.len();
    let first = problems.iter().find(|d| d.code == "TC0203").or(problems.first());
    first.filter(|_| all).map(|d| d.message.clone())
}

/// Names of inputs that the import says it needs to know.
fn needed(problems: &[Diagnostic]) -> Vec<String> {
    let labels = problems.iter().filter(|d| matches!(d.code, "TC0209" | "TC0210")).flat_map(|d| &d.labels);
    let names = labels.filter_map(|l| match &l.place {
        Place::Named(name) => Some(name.clone()),
        _ => None,
    });
    names.collect()
}

fn case(folder: &Path, execute: Execute) -> Result<Outcome, String> {
    let read = |name: String| std::fs::read(folder.join(name));
    let model = read("model.onnx".into()).map_err(|e| format!("model.onnx: {e}"))?;
    let tensors = |kind: &str| -> Result<Vec<Option<Constant>>, String> {
        let mut out = vec![];
        loop {
            let i = out.len();
            if let Ok(bytes) = read(format!("{kind}_{i}.pb")) {
                out.push(tricot_import::onnx::read_tensor(&bytes).ok());
            } else if folder.join(format!("{kind}_{i}.other")).exists() {
                out.push(None);
            } else {
                return Ok(out);
            }
        }
    };
    let (inputs, expected) = (tensors("input")?, tensors("output")?);
    let names = tricot_import::onnx::input_names(&model).map_err(|d| d.to_string())?;
    let mut options = ImportOptions::default();
    let module = loop {
        let problems = match import_onnx_bytes(model.clone(), "model.onnx", &options) {
            Ok(module) => break module,
            Err(problems) => problems,
        };
        if let Some(reason) = outside_table(&problems) {
            return Ok(Outcome::Skipped(reason));
        }
        // Test cases pass even shapes and axes as inputs; a compiler has to know them.
        let before = options.bind.len();
        for name in needed(&problems) {
            let value = names.iter().position(|n| *n == name).and_then(|i| inputs.get(i)?.clone());
            options.bind.extend(value.map(|v| (name, v)));
        }
        if options.bind.len() == before {
            return Err(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
        }
    };
    let main = module.main().ok_or("no @main")?;
    let mut feed = vec![];
    for name in main.input_names() {
        let at = names.iter().position(|n| n == name).ok_or_else(|| format!("there is no input `{name}`"))?;
        let value = inputs.get(at).cloned().flatten().ok_or_else(|| format!("the case has no tensor for `{name}`"))?;
        feed.push((name.to_string(), value));
    }
    let results = execute(&module, &feed)?;
    for (i, (output, result)) in main.outputs.iter().zip(&results).enumerate() {
        let want =
            expected.get(i).cloned().flatten().ok_or_else(|| format!("the case has no tensor for output {i}"))?;
        match compare(result, &want, folder) {
            Err(why) if why == ROUNDING => return Ok(Outcome::Skipped(why)),
            other => other.map_err(|why| format!("output `{}`: {why}", output.name))?,
        }
    }
    match results.len() == main.outputs.len() {
        true => Ok(Outcome::Passed { fixed: !options.bind.is_empty() }),
        false => Err(format!("{} results for {} outputs", results.len(), main.outputs.len())),
    }
}

/// Reason of cases whose expected values carry more rounding noise than their own tolerance allows.
const ROUNDING: &str = "differs by rounding alone: within 2 ulp of the largest value, yet the tolerance is finer";

/// Whether all differences are within two units in the last place of the largest expected value. bf16 holds 8 bits, so a
/// tolerance of 1e-3 asks for numpy's own order of roundings; such a case proves nothing either way.
fn within_rounding(dtype: DType, have: &[f64], want: &[f64]) -> bool {
    let largest = want.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let limit = 4.0 * dtype.unit_roundoff() * largest;
    limit > 0.0 && limit.is_finite() && have.iter().zip(want).all(|(a, b)| (a - b).abs() <= limit)
}

/// numpy's `assert_allclose` with the case's tolerances: NaN meets NaN, infinities must be equal.
fn compare(have: &Constant, want: &Constant, folder: &Path) -> Result<(), String> {
    if have.dtype != want.dtype || have.shape != want.shape {
        return Err(format!("is {}{:?}, expected {}{:?}", have.dtype, have.shape, want.dtype, want.shape));
    }
    let text = std::fs::read_to_string(folder.join("tolerance.txt")).map_err(|e| format!("tolerance.txt: {e}"))?;
    let limits: Vec<f64> = text.split_whitespace().filter_map(|w| w.parse().ok()).collect();
    let [rtol, atol] = limits[..] else { return Err("tolerance.txt holds no two numbers".into()) };
    if matches!(have.dtype, DType::I64 | DType::U64) && have.bytes() == want.bytes() {
        return Ok(());
    }
    let (a, b) = (have.to_f64(), want.to_f64());
    let close =
        |x: f64, y: f64| x == y || x.is_nan() && y.is_nan() || y.is_finite() && (x - y).abs() <= atol + rtol * y.abs();
    match (0..a.len()).find(|i| !close(a[*i], b[*i])) {
        Some(_) if within_rounding(have.dtype, &a, &b) => Err(ROUNDING.into()),
        Some(i) => {
            let wrong = (0..a.len()).filter(|i| !close(a[*i], b[*i])).count();
            Err(format!("element {i} is {}, expected {}; {wrong} of {} differ", a[i], b[i], a.len()))
        }
        None => Ok(()),
    }
}
