//! Runs compiled kernel cases in the simulator and compares with the oracle.
//!
//! `kernel_cases DIR [NAME-PART]`: DIR holds `<case>.json` (a `GpuLaunch`) and `<case>.ptx`, and with the suffix `.generic`
//! for kernels that avoid tensor cores; `TRICOT_EMIT_CASES=DIR cargo test -p tricot-codegen --lib cases` writes them.
//! `TRICOT_SIM_SEEDS=N` runs each case under N seeds as well; `TRICOT_SIM_PLAIN` leaves the checks of order out, `TRICOT_SIM_FAST` the
//! exact matrix products.

use std::path::Path;
use std::time::Instant;
use tricot_kernel_tests::cases::{self, Case};
use tricot_kernel_tests::simulate::{Options, simulate};
use tricot_plan::GpuLaunch;
use tricot_ptxsim::Report;

fn run(folder: &Path, case: &Case, name: &str, seed: Option<u64>) -> Result<(f64, Report, f64), String> {
    let read = |end: &str| std::fs::read_to_string(folder.join(format!("{name}.{end}"))).map_err(|e| e.to_string());
    let launch: GpuLaunch = serde_json::from_str(&read("json")?).map_err(|e| e.to_string())?;
    let set = |name: &str| std::env::var_os(name).is_some();
    let options =
        Options { seed, order: !set("TRICOT_SIM_PLAIN"), exact: !set("TRICOT_SIM_FAST"), ..Options::default() };
    let expected = case.expected(&case.inputs());
    let start = Instant::now();
    let (error, report) = simulate(case, &read("ptx")?, &launch, &expected, options)?;
    Ok((error, report, start.elapsed().as_secs_f64()))
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let folder = Path::new(&args[0]);
    let part = args.get(1).cloned().unwrap_or_default();
    let seeds: u64 = std::env::var("TRICOT_SIM_SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    let (mut good, mut bad) = (0, 0);
    let start = Instant::now();
    for case in cases::all().into_iter().filter(|c| c.desc.name.contains(&part)) {
        for suffix in ["", ".generic"] {
            let name = format!("{}{suffix}", case.desc.name);
            if !folder.join(format!("{name}.ptx")).is_file() {
                continue;
            }
            for seed in std::iter::once(None).chain((0..seeds).map(Some)) {
                match std::panic::catch_unwind(|| run(folder, &case, &name, seed)) {
                    Ok(Ok((error, report, time))) => {
                        good += 1;
                        if time > 0.3 || args.len() > 1 {
                            let speed = report.lane_instructions as f64 / time / 1e6;
                            println!(
                                "ok {name} {error:.1e} {time:.2} s, {} lane instructions, {speed:.0} M/s",
                                report.lane_instructions
                            );
                        }
                    }
                    Ok(Err(e)) => {
                        bad += 1;
                        println!("BAD {name} (seed {seed:?}): {e}");
                    }
                    Err(_) => {
                        bad += 1;
                        println!("BAD {name} (seed {seed:?}): panics");
                    }
                }
            }
        }
    }
    println!("{good} right, {bad} wrong, {:.1} s", start.elapsed().as_secs_f64());
    if bad > 0 {
        std::process::exit(1);
    }
}
