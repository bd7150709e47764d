//! Every case of `tricot_kernel_tests::cases` through the emitters: run by the emulator, run as PTX by the simulator, assembled, and written
//! out for a real GPU.

use super::{assembler, emulate};
use crate::lower::Session;
use crate::select::{Family, select, select_generic};
use std::path::{Path, PathBuf};
use tricot_kernel_tests::cases::{self, Case};
use tricot_kernel_tests::simulate::{Options, simulate};
use tricot_kernel_tests::{oracle, random};
use tricot_types::Diagnostic;

/// Only cases whose names contain this, for work on one of them.
fn chosen(cases: Vec<Case>) -> Vec<Case> {
    let only = std::env::var("TRICOT_CASE").unwrap_or_default();
    cases.into_iter().filter(|c| c.desc.name.contains(&only)).collect()
}

fn emulated(case: &Case) -> Result<f64, String> {
    crate::check::check(&case.desc).map_err(|d| format!("{d:?}"))?;
    let family = select_generic(&case.desc, &case.symbols).ok_or("no generic family takes it")?;
    let inputs = case.inputs();
    let encode = |(values, b): (&Vec<oracle::Num>, &tricot_kernel::Buffer)| oracle::encode(b.dtype, values);
    let mut bytes: Vec<Vec<u8>> = inputs.iter().zip(&case.desc.buffers).map(encode).collect();
    emulate::run(&case.desc, family.as_ref(), &case.bindings, &mut bytes);
    let decode = |((bytes, b), values): ((&Vec<u8>, &tricot_kernel::Buffer), &Vec<oracle::Num>)| {
        oracle::decode(b.dtype, bytes, values.len())
    };
    let got: Vec<_> = bytes.iter().zip(&case.desc.buffers).zip(&inputs).map(decode).collect();
    case.check(&case.expected(&inputs), &got).map_err(|e| format!("{} ({e})", family.choice()))
}

/// Runs cases, each to its end or its panic, and lists what fails.
fn run_all(cases: &[Case]) {
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let result = std::panic::catch_unwind(|| emulated(case)).unwrap_or_else(|p| {
                let text =
                    p.downcast_ref::<String>().cloned().or_else(|| p.downcast_ref::<&str>().map(|s| s.to_string()));
                Err(text.unwrap_or_else(|| "a panic".into()))
            });
            result.err().map(|e| format!("{}: {e}", case.desc.name))
        })
        .collect();
    assert!(failures.is_empty(), "{} of {} cases fail:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[test]
fn every_case_agrees_with_the_oracle_when_emulated() {
    run_all(&chosen(cases::small()));
}

#[test]
fn random_nests_agree_exactly_when_emulated() {
    let count = std::env::var("TRICOT_RANDOM_NESTS").ok().and_then(|n| n.parse().ok()).unwrap_or(10);
    run_all(&chosen((0..count).map(random::case).collect()));
}

/// Assembles a case with a family and writes `<name>.json` and `<name>.cubin` if there is a folder.
fn assemble(case: &Case, family: &dyn Family, name: &str, folder: Option<&Path>) -> Result<(), Diagnostic> {
    let Some(assembler) = assembler() else { return Ok(()) };
    let lowered = Session::new()?.lower(&case.desc, family, &[], None)?;
    let assembled = assembler.assemble(&case.desc.name, &lowered.ptx)?;
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join(format!("{name}.json")), serde_json::to_string(&family.launch()).unwrap()).unwrap();
        std::fs::write(folder.join(format!("{name}.ptx")), &lowered.ptx).unwrap();
        std::fs::write(folder.join(format!("{name}.cubin")), assembled.cubin).unwrap();
    }
    Ok(())
}

/// The families a case is tried with: the first choice, and the generic one where that is another.
fn families(case: &Case) -> Vec<(Box<dyn Family>, String)> {
    let best = select(&case.desc, &case.symbols).unwrap();
    let generic = select_generic(&case.desc, &case.symbols).unwrap();
    let (name, choices) = (&case.desc.name, (best.choice(), generic.choice()));
    let mut out = vec![(best, name.clone())];
    if choices.0 != choices.1 {
        out.push((generic, format!("{name}.generic")));
    }
    out
}

/// Lowers a case and runs it in the simulator: at the latest legal moments, and under so many seeds.
fn simulated(case: &Case, family: &dyn Family, seeds: u64) -> Result<(), String> {
    let lowered = Session::new().and_then(|s| s.lower(&case.desc, family, &[], None)).map_err(|d| d.to_string())?;
    let expected = case.expected(&case.inputs());
    for seed in std::iter::once(None).chain((0..seeds).map(Some)) {
        let options = Options { seed, exact: seed.is_none(), ..Options::default() };
        simulate(case, &lowered.ptx, &family.launch(), &expected, options)
            .map_err(|e| format!("seed {seed:?}: {e}"))?;
    }
    Ok(())
}

/// All cases, every family: right results, and nothing for the simulator to find. `TRICOT_SIM_SEEDS` (20) is the number of random schedules.
#[test]
fn every_case_runs_in_the_simulator_without_a_finding() {
    let seeds = std::env::var("TRICOT_SIM_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let cases = chosen(cases::all());
    let next = std::sync::atomic::AtomicUsize::new(0);
    let failures = std::sync::Mutex::new(vec![]);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    for (family, name) in families(case) {
                        if let Err(e) = simulated(case, family.as_ref(), seeds) {
                            failures.lock().unwrap().push(format!("{name} ({}): {e}", family.choice()));
                        }
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {} cases fail:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

/// `TRICOT_EMIT_CASES=DIR` writes `<case>.json` (launch), `<case>.ptx` and `<case>.cubin` for `gpu-kernels` of `tricot-kernel-tests`, and
/// `<case>.generic.…` where the generic families are not the first choice; without it a sample of the cases is assembled.
#[test]
fn cases_assemble() {
    let folder = std::env::var_os("TRICOT_EMIT_CASES").map(PathBuf::from);
    let step = if folder.is_some() { 1 } else { 17 };
    let cases: Vec<Case> = chosen(cases::all()).into_iter().step_by(step).collect();
    let mut failures = vec![];
    for case in &cases {
        for (family, file) in families(case) {
            let result = assemble(case, family.as_ref(), &file, folder.as_deref());
            failures.extend(result.err().map(|d| format!("{file} ({}): {d}", family.choice())));
        }
    }
    assert!(failures.is_empty(), "{} of {} fail:\n{}", failures.len(), cases.len(), failures.join("\n"));
}
