//! The scalar programs that are recorded on hardware (`numerics/recording`), run in the simulator.

#[path = "recorded/conversions.rs"]
mod conversions;
#[path = "../numerics/tests/evaluate/mod.rs"]
mod evaluate;
#[path = "../numerics/recording/mod.rs"]
mod recording;

use evaluate::{Expect, evaluate};
use recording::{
    HEADER,
    scalar::{Row, SETS, rows},
};
use std::collections::HashSet;
use tricot_ptxsim::{Device, Launch, isa, pack};

/// The results of a row's program for all its operand sets.
fn run(row: &Row) -> Result<Vec<u64>, String> {
    let mut device = Device::new();
    let module = device.load(&format!("{HEADER}{}", row.ptx("k"))).map_err(|e| e.to_string())?;
    let program = module.kernel("k").map_err(|e| e.to_string())?;
    let words = (0..SETS).flat_map(|set| (0..4).map(move |k| (set, k)));
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

#[test]
fn recorded_programs_give_what_the_numerics_say() {
    let mut failures = vec![];
    for row in rows() {
        let results = match run(&row) {
            Ok(results) => results,
            Err(e) => {
                failures.push(format!("{}: {e}", row.opcode));
                continue;
            }
        };
        let wrong = results.iter().enumerate().find_map(|(set, ours)| {
            let inputs: Vec<u64> = (0..row.operands.len()).map(|k| row.input(set, k)).collect();
            let want = evaluate(&row.opcode, &inputs).unwrap_or(Expect::Unknown);
            (!want.admits(*ours, row.bits)).then(|| format!("{}: {inputs:x?}: {ours:x}, not {want:x?}", row.opcode))
        });
        failures.extend(wrong);
    }
    assert!(failures.is_empty(), "{} rows:\n{}", failures.len(), failures.join("\n"));
}

/// The numerics are what the simulator converts with, so conversions are also held to a search among the values of a format.
#[test]
fn conversions_are_the_right_neighbours() {
    let (mut failures, mut checked) = (vec![], 0);
    for row in rows() {
        if conversions::reference(&row.opcode, &[0; 3]).is_none() {
            continue;
        }
        let results = run(&row).unwrap_or_else(|e| panic!("{}: {e}", row.opcode));
        for (set, ours) in results.iter().enumerate() {
            let inputs: Vec<u64> = (0..row.operands.len()).map(|k| row.input(set, k)).collect();
            let want = conversions::reference(&row.opcode, &inputs).unwrap_or(0) & (u64::MAX >> (64 - row.bits));
            if *ours != want {
                failures.push(format!("{}: {inputs:x?}: {ours:x}, not {want:x}", row.opcode));
                break;
            }
            checked += 1;
        }
    }
    assert!(failures.is_empty(), "{} rows:\n{}", failures.len(), failures.join("\n"));
    assert!(checked > 30_000, "only {checked} conversions");
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
