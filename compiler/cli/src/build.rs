//! `tricot build`: a model into a bundle, or into the text of any stage.

use crate::args::Build;
use crate::progress::Progress;
use crate::{Outcome, models};
use std::io::Write;
use std::path::PathBuf;
use tricot_compiler::{Report, Stage, dump};
use tricot_types::Diagnostic;

pub fn build(args: &Build) -> Outcome {
    models::check_from(args.from)?;
    check_emit(args)?;
    let progress = Progress::new();
    let mut report = Report { model: args.model.model.display().to_string(), ..Report::default() };
    let mut options = models::options(&args.rewrite, &args.target);
    options.emit = args.emit.iter().copied().collect();
    options.stop_after = args.stop_after;
    options.native_cpu = args.cpu == "native";
    options.external_weights = args.store_weights == "external";
    options.skip_rewrite = args.from == Some(Stage::Rewrite);
    for bucket in &args.bucket {
        options.buckets.push(models::bindings(std::slice::from_ref(bucket))?);
    }
    let compiler = models::compiler(options)?;
    let start = std::time::Instant::now();
    progress.say("reading the model");
    let compiled = match args.from {
        Some(Stage::Schedule) => {
            let schedule = report.time("import", || models::load_schedule(&args.model, &args.bucket))?;
            compiler.compile_schedule(schedule, &mut report, &|what| progress.say(what))?
        }
        _ => {
            let module = report.time("import", || models::load(&args.model))?;
            compiler.compile(module, &mut report, &|what| progress.say(what))?
        }
    };

    let mut files = compiled.files();
    if let (Some(last), None) = (args.stop_after, &args.output)
        && args.emit.contains(&last)
    {
        // The stage asked for goes to standard output; the others still go to the folder.
        let (shown, rest): (dump::Files, dump::Files) =
            files.into_iter().partition(|(name, _)| name.ends_with(&format!("{last}.{}", last.extension())));
        files = rest;
        // The proof belongs to the rewritten graph; it is kept where a folder was asked for.
        if args.dump_dir.is_none() {
            files.retain(|name, _| !name.ends_with(".proof"));
        }
        let mut out = std::io::stdout().lock();
        for text in shown.values() {
            write_out(&mut out, text)?;
        }
    }
    if !files.is_empty() {
        let folder = args.dump_dir.clone().unwrap_or_else(|| output_path(args).with_extension("dump"));
        dump::write(&folder, &files).map_err(|d| vec![d])?;
        // Weights that a schedule names by digest go beside it, so that the pair reads back.
        for (name, bytes) in compiled.weight_files()? {
            dump::write_whole(&folder.join(name), &bytes).map_err(|d| vec![d])?;
        }
    }
    if args.stop_after.is_none() {
        progress.say("writing the bundle");
        let path = output_path(args);
        let bytes = report.time("bundle", || compiled.write_bundle(&path))?;
        report.bundle = Some(path.display().to_string());
        report.bundle_bytes = Some(bytes);
    }
    report.seconds.insert("total".into(), start.elapsed().as_secs_f64());
    drop(progress);
    let mut out = std::io::stdout().lock();
    if args.json {
        let text = serde_json::to_string_pretty(&report).expect("a report has string keys and finite numbers");
        write_out(&mut out, &format!("{text}\n"))?;
    } else if let Some(bundle) = &report.bundle {
        let targets: Vec<String> = report
            .targets
            .iter()
            .map(|(name, t)| format!("{name}: {} kernels, {} launches", t.kernels, t.launches.len()))
            .collect();
        let megabytes = report.bundle_bytes.unwrap_or(0) as f64 / 1e6;
        write_out(&mut out, &format!("{bundle}: {megabytes:.1} MB; {}\n", targets.join("; ")))?;
    }
    Ok(())
}

/// A stage behind the last one would never be written.
fn check_emit(args: &Build) -> Outcome {
    let Some(last) = args.stop_after else { return Ok(()) };
    let late = args.emit.iter().filter(|stage| **stage > last).map(|stage| {
        Diagnostic::error("TC0918", format!("stage `{stage}` is to be emitted, but compilation stops after `{last}`"))
            .with_help(format!("write `--stop-after {stage}`, or leave `{stage}` out of `--emit`"))
    });
    let problems: Vec<_> = late.collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn output_path(args: &Build) -> PathBuf {
    let stem = args.model.model.file_name().map(PathBuf::from).unwrap_or_else(|| "model".into());
    args.output.clone().unwrap_or_else(|| stem.with_extension("tricot"))
}

/// Writes to standard output; a closed pipe is no error.
pub fn write_out(out: &mut impl Write, text: &str) -> Outcome {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(vec![Diagnostic::error("TC0902", format!("standard output cannot be written: {e}"))])
        }
        _ => Ok(()),
    }
}
