//! From flags to a compiler and a loaded model.

use crate::args::{ModelArgs, RewriteArgs, Winograd};
use tricot_compiler::{Compiler, Options, Source, Stage};
use tricot_dialects::Module;
use tricot_kernel::Backend;
use tricot_schedule::Schedule;
use tricot_types::{Bindings, Diagnostic, Symbol};

/// Reads the model and fixes the symbols of `--set`.
pub fn load(args: &ModelArgs) -> Result<Module, Vec<Diagnostic>> {
    let library = tricot_compiler::read_library(&args.ops)?;
    let source = Source { path: args.model.clone(), weights: args.weights.clone(), library };
    source.load_at(&bindings(&args.set)?)
}

/// Reads a schedule; its sizes are fixed already.
pub fn load_schedule(args: &ModelArgs, buckets: &[String]) -> Result<Schedule, Vec<Diagnostic>> {
    if !args.set.is_empty() || !buckets.is_empty() {
        return Err(vec![
            Diagnostic::error("TC0918", "sizes are chosen before a schedule is made")
                .with_help("leave out --set and --bucket, or start from graph or rewrite"),
        ]);
    }
    Source { weights: args.weights.clone(), ..Source::new(&args.model) }.load_schedule()
}

/// Options from the rewriting flags, for the given targets.
pub fn options(rewrite: &RewriteArgs, targets: &[String]) -> Options {
    Options {
        targets: targets.to_vec(),
        max_rel_err: rewrite.max_rel_err,
        winograd: match rewrite.winograd {
            Winograd::Off => tricot_rewrite::Winograd::Off,
            Winograd::Auto => tricot_rewrite::Winograd::Auto,
            Winograd::F23 => tricot_rewrite::Winograd::F23,
            Winograd::F43 => tricot_rewrite::Winograd::F43,
        },
        ..Options::default()
    }
}

/// A compiler with every backend this program was built with.
pub fn compiler(options: Options) -> Result<Compiler, Vec<Diagnostic>> {
    #[allow(unused_mut, reason = "more backends join by feature")]
    let mut backends: Vec<Box<dyn Backend>> = vec![Box::new(tricot_cpu::CpuBackend)];
    #[cfg(feature = "sm90")]
    backends.push(Box::new(tricot_codegen::Sm90Backend));
    Compiler::new(options, backends)
}

/// `SYMBOL=N` pairs; all malformed ones are listed.
pub fn bindings(pairs: &[String]) -> Result<Bindings, Vec<Diagnostic>> {
    let (mut out, mut problems) = (Bindings::new(), vec![]);
    for pair in pairs.iter().flat_map(|p| p.split(',')) {
        let parsed = pair.split_once('=').and_then(|(s, n)| Some((Symbol::new(s.trim())?, n.trim().parse().ok()?)));
        match parsed {
            Some((symbol, value)) => drop(out.insert(symbol, value)),
            None => problems.push(
                Diagnostic::error("TC0912", format!("`{pair}` is no binding"))
                    .with_help("write SYMBOL=N, such as batch=4"),
            ),
        }
    }
    if problems.is_empty() { Ok(out) } else { Err(problems) }
}

/// Whether a text stage that parses back was named by `--from`.
pub fn check_from(from: Option<Stage>) -> Result<(), Vec<Diagnostic>> {
    match from {
        None | Some(Stage::Graph | Stage::Rewrite | Stage::Schedule) => Ok(()),
        Some(stage) => Err(vec![
            Diagnostic::error("TC0913", format!("stage `{stage}` cannot be read back"))
                .with_help("start from graph, rewrite or schedule"),
        ]),
    }
}
