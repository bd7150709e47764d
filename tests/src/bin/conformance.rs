//! The ONNX backend node cases through the whole corridor on the `cpu` target: import, rewrite, schedule, compile, bundle, run.
//!
//! Cases of 16-bit floats are compiled as written: their tolerances are those of one sequence of roundings, and rewriting, exact in
//! real arithmetic, rounds elsewhere. All others are rewritten first.
//!
//! `conformance FOLDER [FILTER]`; the last line reads `N passed, M failed, K skipped`, and the status is 1 if any failed.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tricot_compiler::{Compiler, Options, Report, numerics};
use tricot_dialects::{Constant, Module};
use tricot_runtime::bundle::Bundle;
use tricot_runtime::{Device, HostTensor, RunOptions};
use tricot_tests::conformance;
use tricot_types::Diagnostic;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(folder) = arguments.next().map(PathBuf::from) else {
        eprintln!("usage: conformance FOLDER [FILTER]");
        return ExitCode::from(2);
    };
    let filter = arguments.next().unwrap_or_default();
    let run = |module: &Module, inputs: &[(String, Constant)]| execute(module, inputs).map_err(first);
    match conformance::run(&folder, &filter, &run) {
        Ok(summary) => {
            println!("{summary}");
            if summary.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(e) => {
            eprintln!("{}: {e}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn first(problems: Vec<Diagnostic>) -> String {
    problems.first().map_or_else(String::new, ToString::to_string)
}

fn execute(module: &Module, inputs: &[(String, Constant)]) -> Result<Vec<Constant>, Vec<Diagnostic>> {
    let options = Options { skip_rewrite: numerics::reduced_precision(module), ..Options::default() };
    let compiler = Compiler::new(options, vec![Box::new(tricot_cpu::CpuBackend)])?;
    let bytes = compiler.compile(module.clone(), &mut Report::default(), &|_| {})?.bundle_bytes()?;
    // SAFETY: the bundle was compiled a moment ago by this very process.
    let loaded =
        unsafe { tricot_runtime::Module::load_trusted(Bundle::from_bytes(&module.name, &bytes)?, Device::Cpu)? };
    let tensors = inputs
        .iter()
        .map(|(name, c)| Ok((name.as_str(), HostTensor::from_bytes(c.dtype, &c.shape, c.bytes())?)))
        .collect::<Result<Vec<_>, Diagnostic>>()?;
    let named: Vec<(&str, &HostTensor)> = tensors.iter().map(|(n, t)| (*n, t)).collect();
    let (outputs, _) = loaded.instance().run(&named, &RunOptions::default())?;
    let constant = |t: &HostTensor| {
        Constant::new(t.dtype(), t.shape().to_vec(), Arc::new(t.bytes().to_vec()))
            .expect("a tensor's bytes fit its shape")
    };
    Ok(outputs.iter().map(constant).collect())
}
