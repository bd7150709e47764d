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
use tricot_reference::{Options, Tensor, evaluate};
use tricot_types::{DType, Diagnostic, Place};

/// Runs a module: inputs by name, outputs in the order of `@main`.
pub type Execute<'a> = &'a (dyn Fn(&Module, &[(String, Constant)]) -> Result<Vec<Constant>, String> + Sync);

/// What became of the cases.
#[derive(Default, Debug)]
pub struct Summary {
    pub passed: Vec<String>,
    /// Case and reason.
    pub failed: Vec<(String, String)>,
    /// Cases by reason: what the import table does not list.
    pub skipped: BTreeMap<String, Vec<String>>,
    /// Cases among the passed in which inputs that ops need at compile time (a shape, axes) were fixed at import.
    pub fixed: usize,
    /// Cases among the passed whose given values carry roundings beyond their tolerance; see [`agrees_with_float64`].
    pub by_float64: Vec<String>,
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
        if !self.by_float64.is_empty() {
            let names = self.by_float64.join(", ");
            writeln!(f, "passed by float64, within 2 ulp of the given values but not their tolerance: {names}")?;
        }
        let skipped: usize = self.skipped.values().map(Vec::len).sum();
        write!(f, "{} passed, {} failed, {skipped} skipped", self.passed.len(), self.failed.len())
    }
}

enum Outcome {
    Passed { fixed: bool, by_float64: bool },
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
            Ok(Outcome::Passed { fixed, by_float64 }) => {
                summary.fixed += usize::from(fixed);
                summary.by_float64.extend(by_float64.then(|| name.clone()));
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
    let tolerance = tolerance(folder)?;
    let mut by_float64 = false;
    for (i, (output, result)) in main.outputs.iter().zip(&results).enumerate() {
        let want =
            expected.get(i).cloned().flatten().ok_or_else(|| format!("the case has no tensor for output {i}"))?;
        if let Err(why) = compare(result, &want, tolerance) {
            let rounding = within_rounding(result, &want) && agrees_with_float64(&module, &feed, i, result, tolerance);
            by_float64 |= rounding;
            if !rounding {
                return Err(format!("output `{}`: {why}", output.name));
            }
        }
    }
    match results.len() == main.outputs.len() {
        true => Ok(Outcome::Passed { fixed: !options.bind.is_empty(), by_float64 }),
        false => Err(format!("{} results for {} outputs", results.len(), main.outputs.len())),
    }
}

/// The case's relative and absolute tolerance.
fn tolerance(folder: &Path) -> Result<(f64, f64), String> {
    let text = std::fs::read_to_string(folder.join("tolerance.txt")).map_err(|e| format!("tolerance.txt: {e}"))?;
    let limits: Vec<f64> = text.split_whitespace().filter_map(|w| w.parse().ok()).collect();
    let [rtol, atol] = limits[..] else { return Err("tolerance.txt holds no two numbers".into()) };
    Ok((rtol, atol))
}

/// Whether all differences are within two units in the last place of the largest given value: the same function, rounded elsewhere.
fn within_rounding(have: &Constant, want: &Constant) -> bool {
    if have.dtype != want.dtype || have.shape != want.shape || !want.dtype.is_float() {
        return false;
    }
    let (have, values) = (have.to_f64(), want.to_f64());
    let largest = values.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let limit = 4.0 * want.dtype.unit_roundoff() * largest;
    limit.is_finite() && have.iter().zip(&values).all(|(a, b)| (a - b).abs() <= limit)
}

/// Whether an output agrees, within the case's tolerance, with the model evaluated in float64.
///
/// numpy made the given values in the case's own types: what cancels in an f32 transform, or f16 sums, leave more than the tolerance.
/// For a result that is equal but for roundings ([`within_rounding`]) the exact value is the better judge, at the same tolerance.
fn agrees_with_float64(
    module: &Module,
    feed: &[(String, Constant)],
    output: usize,
    have: &Constant,
    tolerance: (f64, f64),
) -> bool {
    let inputs: Vec<Tensor> = feed.iter().map(|(_, c)| Tensor::from_constant(c)).collect();
    match evaluate(module, &inputs, &Options::default()) {
        Ok(exact) => compare(have, &exact[output].to_constant(), tolerance).is_ok(),
        Err(_) => false,
    }
}

/// Relative tolerance that the onnx package's own runner allows bf16 outputs at least: two units in the last place.
const BF16_RTOL: f64 = 1.0 / 64.0;

/// numpy's `assert_allclose` with the case's tolerances, as the onnx package's runner applies them: NaN meets NaN, infinities must be
/// equal.
fn compare(have: &Constant, want: &Constant, (rtol, atol): (f64, f64)) -> Result<(), String> {
    if have.dtype != want.dtype || have.shape != want.shape {
        return Err(format!("is {}{:?}, expected {}{:?}", have.dtype, have.shape, want.dtype, want.shape));
    }
    let rtol = if want.dtype == DType::BF16 { rtol.max(BF16_RTOL) } else { rtol };
    if matches!(have.dtype, DType::I64 | DType::U64) && have.bytes() == want.bytes() {
        return Ok(());
    }
    let (a, b) = (have.to_f64(), want.to_f64());
    let close =
        |x: f64, y: f64| x == y || x.is_nan() && y.is_nan() || y.is_finite() && (x - y).abs() <= atol + rtol * y.abs();
    match (0..a.len()).find(|i| !close(a[*i], b[*i])) {
        Some(i) => {
            let wrong = (0..a.len()).filter(|i| !close(a[*i], b[*i])).count();
            Err(format!("element {i} is {}, expected {}; {wrong} of {} differ", a[i], b[i], a.len()))
        }
        None => Ok(()),
    }
}
