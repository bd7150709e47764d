//! How fast the simulator runs emitted kernels: lane instructions a second with all checks and without those of order, on one core.
//!
//! `cargo run --release -p tricot-codegen --example simulator_speed`

use tricot_codegen::lower::Session;
use tricot_codegen::select::select;
use tricot_kernel_tests::cases;
use tricot_kernel_tests::simulate::{Options, run};

fn main() {
    println!("{:40} {:>14} {:>14} {:>14} {:>10}", "kernel", "lane instr.", "all checks", "no order", "seconds");
    for case in cases::speed() {
        let family = select(&case.desc, &case.symbols).expect("a family");
        let lowered = Session::new().and_then(|s| s.lower(&case.desc, family.as_ref(), &[], None)).expect("a kernel");
        // The best of three, each with all checks and then without.
        let mut best = [f64::INFINITY; 2];
        let mut lanes = 0;
        for _ in 0..3 {
            for (best, order) in best.iter_mut().zip([true, false]) {
                let options = Options { order, ..Options::default() };
                let ran = run(&case, &lowered.ptx, &family.launch(), options).expect("a run");
                *best = best.min(ran.seconds);
                assert!(ran.report.findings.is_empty(), "{:?}", ran.report.findings);
                lanes = ran.report.lane_instructions;
            }
        }
        let rate = |seconds: f64| format!("{:.0} M/s", lanes as f64 / seconds / 1e6);
        println!("{:40} {lanes:>14} {:>14} {:>14} {:>10.3}", case.desc.name, rate(best[0]), rate(best[1]), best[0]);
    }
}
