//! Passes of shared-memory accesses and sectors of global ones against the clock of the hardware.

#[path = "../numerics/recording/mod.rs"]
mod recording;

use recording::timings::{Pattern, Place, WARPS, patterns};
use recording::{HEADER, outputs};
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

/// A pass takes one cycle, and so does a line that is loaded or a sector that is stored, or a little more.
#[test]
fn cycles_follow_from_passes_lines_and_sectors() {
    let recorded = include_bytes!("../recordings/timings.out").as_chunks::<4>().0;
    let patterns = patterns();
    let names: Vec<&str> = patterns.iter().map(|pattern| pattern.name).collect();
    outputs::is_recorded(&outputs::folder(concat!(env!("CARGO_MANIFEST_DIR"), "/recordings")), "timings", &names);
    let mut wrong = vec![];
    for (pattern, cycles) in patterns.iter().zip(recorded) {
        let accesses = f64::from(pattern.accesses());
        let cycles = f64::from(u32::from_le_bytes(*cycles)) / accesses;
        let report = run(pattern);
        let kind = usize::from(pattern.store);
        // The program itself reads and writes a little, too.
        let each = |count: u64| (count as f64 / accesses).floor();
        let (count, most) = match (pattern.place, pattern.store) {
            (Place::Shared, _) => (each(report.passes[kind]), 1.05),
            // Bytes take twice the time of words; the counters do not know.
            (Place::Global, false) if pattern.bytes == 1 => (2.0 * each(report.lines[kind]), 1.25),
            // Loads have a latency that 16 warps do not hide where an access is one line.
            (Place::Global, false) => (each(report.lines[kind]), 1.25 + 0.5 / each(report.lines[kind])),
            (Place::Global, true) => (each(report.sectors[kind]), 1.25),
        };
        if !(0.9..most).contains(&(cycles / count)) {
            let name = pattern.name;
            wrong.push(format!("{name}: {cycles:.2} cycles for {count}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} patterns:\n{}", wrong.len(), patterns.len(), wrong.join("\n"));
}
