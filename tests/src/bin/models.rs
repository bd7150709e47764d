//! Model files built for both targets into one bundle, run on the cpu and, where there is one, on the GPU, and checked against the
//! float64 reference, in one table.
//!
//! `models FILE…`: *.onnx or *.tri. Status 1 if any cannot be built or is outside its bound.

use std::path::PathBuf;
use std::process::ExitCode;
use tricot_runtime::Device;
use tricot_tests::table;

fn main() -> ExitCode {
    #[cfg(feature = "sm90")]
    tricot_codegen::worker_main();
    let files: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if files.is_empty() {
        eprintln!("usage: models FILE...");
        return ExitCode::from(2);
    }
    let targets: &[&str] = if cfg!(feature = "sm90") { &["cpu", "sm_90a"] } else { &["cpu"] };
    let devices = match table::best_device() {
        Device::Cpu => vec![Device::Cpu],
        gpu => vec![Device::Cpu, gpu],
    };
    let (mut rows, mut failed) = (vec![], false);
    for file in &files {
        let name = file.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        eprintln!("{name} …");
        match table::check(&name, file, targets, &devices) {
            Ok(more) => rows.extend(more),
            Err(problems) => {
                failed = true;
                problems.iter().for_each(|p| eprintln!("{name}: {p}\n"));
            }
        }
    }
    table::print(&rows);
    let outside = rows.iter().filter(|r| !r.within).count();
    let built = rows.len() / devices.len();
    println!("{built} of {} models built, {outside} of {} results outside their bound", files.len(), rows.len());
    if failed || outside > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
