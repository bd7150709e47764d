//! `tricot inspect`: what a bundle holds.

use crate::Outcome;
use crate::args::Inspect;
use crate::build::write_out;
use std::fmt::Write as _;
use std::io::Write as _;
use tricot_runtime::bundle::Bundle;

pub fn inspect(args: &Inspect) -> Outcome {
    let bundle = Bundle::open(&args.bundle)?;
    let mut out = std::io::stdout().lock();
    if let Some(name) = &args.entry {
        let bytes = bundle.entry(name).map_err(|d| vec![d])?;
        return match out.write_all(bytes) {
            Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(vec![tricot_types::Diagnostic::error("TC0902", format!("standard output cannot be written: {e}"))])
            }
            _ => Ok(()),
        };
    }
    let manifest = bundle.manifest();
    if args.json {
        let text = serde_json::to_string_pretty(manifest).expect("a manifest has string keys and finite numbers");
        return write_out(&mut out, &format!("{text}\n"));
    }
    let mut text = String::new();
    let _ = writeln!(text, "{} (tricot {}, format {})", manifest.name, manifest.tricot, manifest.format);
    let _ = writeln!(text, "digest  {}", bundle.digest_hex());
    for (kind, ports) in [("input", &manifest.inputs), ("output", &manifest.outputs)] {
        for port in ports {
            let dims: Vec<String> = port.shape.iter().map(ToString::to_string).collect();
            let alias = port.alias.as_ref().map(|a| format!(" (may share the memory of {a})")).unwrap_or_default();
            let _ = writeln!(text, "{kind:7} {}: {}[{}]{alias}", port.name, port.dtype, dims.join(", "));
        }
    }
    for (symbol, info) in &manifest.symbols {
        let max = if info.max == i64::MAX { "any".into() } else { info.max.to_string() };
        let _ = writeln!(
            text,
            "symbol  {symbol}: {}..={max}, multiple of {}, typically {}",
            info.min, info.multiple, info.hint
        );
    }
    for (name, target) in &manifest.targets {
        for (i, plan) in target.variants.iter().enumerate() {
            let launches = plan.steps.iter().filter(|s| matches!(s, tricot_plan::Step::Launch(_))).count();
            let _ =
                writeln!(text, "target  {name}, variant {i}: {launches} launches, arena {} bytes", plan.arena_bytes);
        }
        if !target.features.is_empty() {
            let _ = writeln!(text, "        needs {}", target.features.join(", "));
        }
    }
    let weights: Vec<_> = manifest.entries.iter().filter(|(_, e)| e.tensor.is_some()).collect();
    let bytes: u64 = weights.iter().map(|(_, e)| e.bytes).sum();
    let _ = writeln!(text, "weights {} entries, {:.1} MB", weights.len(), bytes as f64 / 1e6);
    for (name, entry) in manifest.entries.iter().filter(|(_, e)| e.tensor.is_none()) {
        let _ = writeln!(text, "entry   {name}: {} bytes", entry.bytes);
    }
    write_out(&mut out, &text)
}
