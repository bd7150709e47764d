//! The scalar programs that are recorded on hardware (`numerics/recording`), run in the simulator.

#[path = "recorded/conversions.rs"]
mod conversions;
#[path = "../numerics/tests/evaluate/mod.rs"]
mod evaluate;
#[path = "../numerics/recording/mod.rs"]
mod recording;

use evaluate::{Expect, evaluate};
use recording::{
    HEADER, outputs,
    scalar::{Row, SETS, rows},
};
use std::collections::HashSet;
use tricot_ptxsim::{Device, Launch, isa, pack};

fn inputs(row: &Row, set: usize) -> Vec<u64> {
    (0..row.operands.len()).map(|k| row.input(set, k)).collect()
}

/// The results of a row's program for as many operand sets as are recorded, from `first` on.
fn run(row: &Row, first: usize) -> Result<Vec<u64>, String> {
    let mut device = Device::new();
    let module = device.load(&format!("{HEADER}{}", row.ptx("k"))).map_err(|e| e.to_string())?;
    let program = module.kernel("k").map_err(|e| e.to_string())?;
    let words = (first..first + SETS).flat_map(|set| (0..4).map(move |k| (set, k)));
    let input = words.flat_map(|(set, k)| if k < row.operands.len() { row.input(set, k) } else { 0 }.to_le_bytes());
    let input = device.memory.add("in", Some(input.collect()), 0);
    let output = device.memory.add("out", Some(vec![0; 8 * SETS]), 0);
    let params = pack(&program, &[input.to_le_bytes().to_vec(), output.to_le_bytes().to_vec()])?;
    let launch = Launch { block: [SETS as u32, 1, 1], params, ..Launch::default() };
    let report = device.run(&module, &program, &launch);
    if let Some(finding) = report.findings.first() {
        return Err(finding.to_string());
    }
    let out = &device.memory.region(output).ok_or("no output")?.data;
    Ok(out.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect())
}

/// Fails with the first result of each row that `wrong` complains of; it is given the row, its number, the set and the result.
fn check(first: usize, wrong: impl Fn(&Row, usize, usize, u64) -> Option<String>) {
    let mut failures = vec![];
    for (number, row) in rows().iter().enumerate() {
        let results = run(row, first).map(|results| {
            let complain = |(i, ours): (usize, &u64)| {
                let complaint = wrong(row, number, first + i, *ours)?;
                Some(format!("{:x?}: {ours:x}, not {complaint}", inputs(row, first + i)))
            };
            results.iter().enumerate().find_map(complain)
        });
        match results {
            Ok(None) => {}
            Ok(Some(e)) | Err(e) => failures.push(format!("s{number} {}: {e}", row.opcode)),
        }
    }
    assert!(failures.is_empty(), "{} rows:\n{}", failures.len(), failures.join("\n"));
}

/// Bit for bit; of approximations both results lie within the ISA's error.
#[test]
fn results_are_those_of_the_hardware() {
    let folder = outputs::folder(concat!(env!("CARGO_MANIFEST_DIR"), "/recordings"));
    let recorded = outputs::scalar(&folder, &rows());
    check(0, |row, number, set, ours| {
        let theirs = recorded[number][set];
        let want = evaluate(&row.opcode, &inputs(row, set)).unwrap_or(Expect::Unknown);
        let right =
            if want.exact() { ours == theirs } else { want.admits(ours, row.bits) && want.admits(theirs, row.bits) };
        (!right).then(|| format!("{theirs:x} as recorded"))
    });
}

/// The numerics and the simulator's faster ways agree on inputs that are not recorded, too.
#[test]
fn other_inputs_give_what_the_numerics_say() {
    check(SETS, |row, _, set, ours| {
        let want = evaluate(&row.opcode, &inputs(row, set)).unwrap_or(Expect::Unknown);
        (!want.admits(ours, row.bits)).then(|| format!("{want:x?}"))
    });
}

/// The numerics are what the simulator converts with, so conversions of other inputs are also held to a search among the
/// values of a format.
#[test]
fn conversions_are_the_right_neighbours() {
    let checked = std::cell::Cell::new(0);
    check(SETS, |row, _, set, ours| {
        let want = conversions::reference(&row.opcode, &inputs(row, set))? & (u64::MAX >> (64 - row.bits));
        checked.set(checked.get() + 1);
        (ours != want).then(|| format!("{want:x}"))
    });
    assert!(checked.get() > 30_000, "only {} conversions", checked.get());
}

/// The recorded spelling of what has two: floats round to nearest where nothing is said, and `mad` of floats is `fma`.
fn same_as(spelling: &str) -> String {
    let (name, rest) = spelling.split_once('.').unwrap_or((spelling, ""));
    let float = rest.ends_with("f16") || rest.ends_with("f16x2") || rest.ends_with("f32") || rest.ends_with("f64");
    let rounded = rest.starts_with('r');
    match name {
        "add" | "sub" | "mul" if float && !rounded => format!("{name}.rn.{rest}"),
        "mad" if float => format!("fma.{rest}"),
        _ => spelling.to_owned(),
    }
}

/// What the decode table computes is recorded, so that no row goes unchecked against hardware.
#[test]
fn every_row_of_the_decode_table_has_a_program() {
    let recorded: HashSet<String> =
        rows().iter().map(|r| r.opcode.split(';').next().unwrap_or("").to_owned()).collect();
    let missing: Vec<String> = isa::all_spellings().filter(|s| !recorded.contains(&same_as(s))).collect();
    assert!(missing.is_empty(), "{} spellings have no program: {missing:?}", missing.len());
}
