//! A model through the whole corridor and back: compiled, run on seeded data, checked against the float64 reference, shown as a
//! line of a table.
//!
//! The central type is [`Row`]. Knows no command line.

use std::path::Path;
use std::time::Instant;
use tricot_compiler::{Compiler, Options, Report, Source, numerics};
use tricot_kernel::Backend;
use tricot_runtime::bundle::Bundle;
use tricot_runtime::{Device, Module};
use tricot_types::{Bindings, Diagnostic};

/// One model on one device.
pub struct Row {
    cells: [String; 9],
    /// Whether every output is inside its bound.
    pub within: bool,
}

/// The columns of a table of rows.
const HEAD: [&str; 9] =
    ["model", "import s", "rewrite s", "schedule s", "codegen s", "run+check s", "kernels", "device", "relative error"];

/// Every backend this build has.
pub fn backends() -> Vec<Box<dyn Backend>> {
    #[allow(unused_mut, reason = "more backends join by feature")]
    let mut backends: Vec<Box<dyn Backend>> = vec![Box::new(tricot_cpu::CpuBackend)];
    #[cfg(feature = "sm90")]
    backends.push(Box::new(tricot_codegen::Sm90Backend));
    backends
}

/// The best device this build has code for.
pub fn best_device() -> Device {
    match Device::best() {
        Device::Cuda(n) if cfg!(feature = "sm90") => Device::Cuda(n),
        _ => Device::Cpu,
    }
}

/// The target a device runs.
pub fn target_of(device: Device) -> &'static str {
    if device == Device::Cpu { "cpu" } else { "sm_90a" }
}

/// Builds the model at `path` for `targets` into one bundle, and runs it on each of `devices` with seeded data.
///
/// # Errors
/// What any stage or the runtime refuses; being out of bounds is no error but [`Row::within`].
pub fn check(name: &str, path: &Path, targets: &[&str], devices: &[Device]) -> Result<Vec<Row>, Vec<Diagnostic>> {
    let options = Options { targets: targets.iter().map(|t| t.to_string()).collect(), ..Options::default() };
    let compiler = Compiler::new(options, backends())?;
    let mut report = Report::default();
    let source = report.time("import", || Source::new(path).load())?;
    let compiled = compiler.compile(source.clone(), &mut report, &|_| {})?;
    let folder =
        tempfile::tempdir().map_err(|e| vec![Diagnostic::error("TC0902", format!("no temporary folder: {e}"))])?;
    let file = folder.path().join(format!("{name}.tricot"));
    report.time("bundle", || compiled.write_bundle(&file))?;
    drop(compiled);
    let mut rows = vec![];
    for device in devices {
        // SAFETY: the bundle was compiled a moment ago by this very process.
        let module = unsafe { Module::load_trusted(Bundle::open(&file)?, *device)? };
        let start = Instant::now();
        let found = numerics::check(&source, &module, &Bindings::new(), 1)?;
        rows.push(row(name, &report, *device, &found, start.elapsed().as_secs_f64()));
    }
    Ok(rows)
}

fn row(name: &str, report: &Report, device: Device, found: &[numerics::Found], checked: f64) -> Row {
    let worst = found.iter().max_by(|a, b| a.error.total_cmp(&b.error)).expect("every model has an output");
    let seconds = |stage: &str| format!("{:.2}", report.seconds.get(stage).copied().unwrap_or_default());
    Row {
        cells: [
            name.into(),
            seconds("import"),
            seconds("rewrite"),
            seconds("schedule"),
            seconds("codegen"),
            format!("{checked:.2}"),
            kernels(report, target_of(device)),
            device.to_string(),
            format!("{:.2e} (bound {:.2e})", worst.error, worst.bound),
        ],
        within: found.iter().all(numerics::Found::within),
    }
}

/// `3 x contraction 64x64, attention …`: the choices in order of first launch.
fn kernels(report: &Report, target: &str) -> String {
    let mut counts: Vec<(&str, usize)> = vec![];
    for launch in report.targets.get(target).iter().flat_map(|t| &t.launches) {
        match counts.iter_mut().find(|(c, _)| *c == launch.choice) {
            Some((_, n)) => *n += 1,
            None => counts.push((&launch.choice, 1)),
        }
    }
    counts.iter().map(|(choice, n)| format!("{n} x {choice}")).collect::<Vec<_>>().join(", ")
}

/// Prints rows with aligned columns.
pub fn print(rows: &[Row]) {
    let width = |i: usize| rows.iter().map(|r| r.cells[i].chars().count()).chain([HEAD[i].len()]).max().unwrap_or(0);
    let line = |cells: &[&str]| {
        let padded = cells.iter().enumerate().map(|(i, c)| format!("{c:w$}", w = width(i)));
        println!("{}", padded.collect::<Vec<_>>().join("  ").trim_end());
    };
    line(&HEAD);
    rows.iter().for_each(|row| line(&row.cells.iter().map(String::as_str).collect::<Vec<_>>()));
}
