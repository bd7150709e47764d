//! `tricot verify`: the proof checked by an independent checker, the numbers against the float64 reference.

use crate::Outcome;
use crate::args::{ModelArgs, Verify};
use crate::build::write_out;
use crate::models;
use tricot_compiler::numerics;
use tricot_runtime::Device;
use tricot_runtime::bundle::Bundle;
use tricot_types::Diagnostic;

pub fn verify(args: &Verify) -> Outcome {
    let source = match &args.source {
        Some(path) => {
            Some(models::load(&ModelArgs { model: path.clone(), weights: vec![], ops: args.ops.clone(), set: vec![] })?)
        }
        None => None,
    };
    let mut lines = vec![];
    let is_proof = args.subject.extension().is_some_and(|e| e == "proof");
    if is_proof {
        let bytes =
            std::fs::read(&args.subject).map_err(|e| vec![tricot_compiler::source::unreadable(&args.subject, &e)])?;
        let summary =
            tricot_compiler::pipeline::check_proof(&bytes, &args.subject.display().to_string(), source.as_ref())?;
        lines.push(summary);
    } else {
        let bundle = Bundle::open(&args.subject)?;
        bundle.verify()?;
        lines.push(format!("{}: every entry matches its digest", args.subject.display()));
        let targets: Vec<(String, Option<String>)> =
            bundle.manifest().targets.iter().map(|(n, t)| (n.clone(), t.proof.clone())).collect();
        for (target, proof) in targets {
            let Some(entry) = proof else {
                return Err(vec![Diagnostic::error("TC0310", format!("target {target} carries no proof"))]);
            };
            let bytes = bundle.entry(&entry).map_err(|d| vec![d])?;
            let summary = tricot_compiler::pipeline::check_proof(bytes, &entry, source.as_ref())?;
            lines.push(format!("{target}: {summary}"));
        }
        if args.numerics {
            let device = Device::parse(&args.device).map_err(|d| vec![d])?;
            let module = source.as_ref().expect("--numerics requires --source");
            // SAFETY: as with `tricot run`, the user asks for the bundle's code to be run.
            let loaded = unsafe { tricot_runtime::Module::load_trusted(bundle, device)? };
            let found = numerics::check(module, &loaded, &models::bindings(&args.set)?, 1)?;
            lines.extend(found.iter().map(ToString::to_string));
            if let Some(bad) = found.iter().find(|f| !f.within()) {
                print_lines(args, &lines)?;
                return Err(vec![Diagnostic::error("TC0921", format!("{bad}: outside the bound"))]);
            }
        }
    }
    print_lines(args, &lines)
}

fn print_lines(args: &Verify, lines: &[String]) -> Outcome {
    let text = match args.json {
        true => format!("{:#}\n", serde_json::json!({ "verified": lines })),
        false => lines.join("\n") + "\n",
    };
    write_out(&mut std::io::stdout().lock(), &text)
}
