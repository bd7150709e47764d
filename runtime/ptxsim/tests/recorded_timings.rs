//! Passes of shared-memory accesses and sectors of global ones against the clock of the hardware.

#[path = "../numerics/recording/mod.rs"]
mod recording;

use recording::HEADER;
use recording::timings::{Pattern, Place, WARPS, patterns};
use tricot_ptxsim::{Device, Launch, Report, pack};

fn run(pattern: &Pattern) -> Report {
    let mut device = Device::new();
    let module =
        device.load(&format!("{HEADER}{}", pattern.ptx("k"))).unwrap_or_else(|e| panic!("{}: {e}", pattern.name));
    let program = module.kernel("k").unwrap_or_else(|e| panic!("{}: {e}", pattern.name));
    let offsets = pattern.offsets.iter().flat_map(|o| o.to_le_bytes()).collect();
    let pointers = [
        device.memory.add("offsets", Some(offsets), 0),
        device.memory.add("buffer", Some(vec![0; Pattern::buffer()]), 0),
        device.memory.add("out", None, 4 * 32 * WARPS as usize),
    ];
    let params = pack(&program, &pointers.map(|p| p.to_le_bytes().to_vec())).expect("three pointers");
    let launch = Launch { block: [32 * WARPS, 1, 1], params, counters: true, ..Launch::default() };
    let report = device.run(&module, &program, &launch);
    assert_eq!(report.findings, [], "{}", pattern.name);
    report
}

#[test]
fn cycles_follow_from_passes_and_sectors() {
    let recorded = include_bytes!("../recordings/timings.out").as_chunks::<4>().0;
    let patterns = patterns();
    assert_eq!(recorded.len(), patterns.len(), "record the patterns anew: see record.py");
    for (pattern, cycles) in patterns.iter().zip(recorded) {
        let accesses = f64::from(pattern.accesses());
        let cycles = f64::from(u32::from_le_bytes(*cycles)) / accesses;
        let report = run(pattern);
        let lanes = f64::from(pattern.active.count_ones());
        let least = (lanes * f64::from(pattern.bytes) / 128.0).max(1.0);
        let extra = report.bank_conflicts.values().sum::<u64>() as f64 / accesses;
        let sectors = report.sectors[usize::from(pattern.store)] as f64 / accesses;
        println!("{cycles:8.3} {:8.3} {sectors:8.3}  {:?} {}", least + extra, pattern.place, pattern.name);
        let _ = Place::Global;
    }
}
