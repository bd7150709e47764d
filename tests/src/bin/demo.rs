//! The examples compiled and run on the best device present, checked against the float64 reference, in one table.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use tricot_compiler::{Compiler, Options, Report, Source, numerics};
use tricot_kernel::Backend;
use tricot_runtime::bundle::Bundle;
use tricot_runtime::{Device, Module};
use tricot_types::{Bindings, Diagnostic};

const EXAMPLES: [(&str, &str); 3] = [
    ("simplex", "examples/simplex/block.onnx"),
    ("ffn24", "examples/ffn24/ffn24.tri"),
    ("vgg19", "target/examples/vgg19.onnx"),
];

struct Row {
    cells: [String; 9],
    within: bool,
}

fn main() -> ExitCode {
    #[cfg(feature = "sm90")]
    tricot_codegen::worker_main();
    let device = match Device::best() {
        Device::Cuda(n) if cfg!(feature = "sm90") => Device::Cuda(n),
        _ => Device::Cpu,
    };
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut rows, mut failed) = (vec![], false);
    for (name, path) in EXAMPLES {
        eprintln!("{name} …");
        match example(name, &root.join(path), device) {
            Ok(row) => {
                failed |= !row.within;
                rows.push(row.cells);
            }
            Err(problems) => {
                failed = true;
                problems.iter().for_each(|p| eprintln!("{p}\n"));
            }
        }
    }
    table(&rows);
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn example(name: &str, path: &std::path::Path, device: Device) -> Result<Row, Vec<Diagnostic>> {
    let target = if device == Device::Cpu { "cpu" } else { "sm_90a" };
    #[allow(unused_mut, reason = "more backends join by feature")]
    let mut backends: Vec<Box<dyn Backend>> = vec![Box::new(tricot_cpu::CpuBackend)];
    #[cfg(feature = "sm90")]
    backends.push(Box::new(tricot_codegen::Sm90Backend));
    let compiler = Compiler::new(Options { targets: vec![target.into()], ..Options::default() }, backends)?;
    let mut report = Report::default();
    let source = report.time("import", || Source::new(path).load())?;
    let compiled = compiler.compile(source.clone(), &mut report, &|_| {})?;
    let folder =
        tempfile::tempdir().map_err(|e| vec![Diagnostic::error("TC0902", format!("no temporary folder: {e}"))])?;
    let file = folder.path().join(format!("{name}.tricot"));
    report.time("bundle", || compiled.write_bundle(&file))?;
    // SAFETY: the bundle was compiled a moment ago by this very process.
    let module = unsafe { Module::load_trusted(Bundle::open(&file)?, device)? };
    let start = Instant::now();
    let found = numerics::check(&source, &module, &Bindings::new(), 1)?;
    let checked = start.elapsed().as_secs_f64();
    let worst = found.iter().max_by(|a, b| a.error.total_cmp(&b.error)).expect("every example has an output");
    let seconds = |stage: &str| format!("{:.2}", report.seconds.get(stage).copied().unwrap_or_default());
    Ok(Row {
        cells: [
            name.into(),
            seconds("import"),
            seconds("rewrite"),
            seconds("schedule"),
            seconds("codegen"),
            format!("{checked:.2}"),
            kernels(&report, target),
            device.to_string(),
            format!("{:.2e} (bound {:.2e})", worst.error, worst.bound),
        ],
        within: found.iter().all(numerics::Found::within),
    })
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

fn table(rows: &[[String; 9]]) {
    let head = [
        "example",
        "import s",
        "rewrite s",
        "schedule s",
        "codegen s",
        "run+check s",
        "kernels",
        "device",
        "relative error",
    ];
    let width = |i: usize| rows.iter().map(|r| r[i].chars().count()).chain([head[i].len()]).max().unwrap_or(0);
    let line = |cells: &[&str]| {
        let padded = cells.iter().enumerate().map(|(i, c)| format!("{c:w$}", w = width(i)));
        println!("{}", padded.collect::<Vec<_>>().join("  ").trim_end());
    };
    line(&head);
    rows.iter().for_each(|row| line(&row.iter().map(String::as_str).collect::<Vec<_>>()));
}
