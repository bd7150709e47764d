//! Replays the scalar recording of an H100 80GB (sm_90; driver 580.159, ptxas 13.0): bit for bit, or inside the ISA's error for
//! approximations.

#[path = "../recording/mod.rs"]
mod recording;

mod evaluate;

use evaluate::{Expect, evaluate};
use recording::outputs;
use recording::scalar::{SETS, rows};

const RECORDINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../recordings");

#[test]
fn scalar_outputs_are_those_of_the_hardware() {
    let rows = rows();
    let recorded = outputs::scalar(&outputs::folder(RECORDINGS), &rows);
    let mut failures = vec![];
    for (number, (row, recorded)) in rows.iter().zip(recorded).enumerate() {
        let (mut wrong, mut first) = (0, String::new());
        for (set, theirs) in recorded.into_iter().enumerate() {
            let inputs: Vec<u64> = (0..row.operands.len()).map(|k| row.input(set, k)).collect();
            let ours = evaluate(&row.opcode, &inputs).unwrap_or(Expect::Unknown);
            if !ours.admits(theirs, row.bits) {
                if wrong == 0 {
                    first = format!("{inputs:x?}: expected {ours:x?}, recorded {theirs:x}");
                }
                wrong += 1;
            }
        }
        if wrong > 0 {
            failures.push(format!("s{number} {}: {wrong} of {SETS}; {first}", row.opcode));
        }
    }
    assert!(failures.is_empty(), "{} of {} rows differ:\n{}", failures.len(), rows.len(), failures.join("\n"));
}

/// A row that is added or moved must be recorded before the tests pass again.
#[test]
fn every_row_is_recorded() {
    let (folder, rows) = (outputs::folder(RECORDINGS), rows());
    let opcodes: Vec<&str> = rows.iter().map(|row| row.opcode.as_str()).collect();
    outputs::is_recorded(&folder, "scalar", &opcodes);
    // Panics where the lengths differ.
    outputs::scalar(&folder, &rows);
}

/// Every row of the recording has a model, so that none passes by being skipped.
#[test]
fn every_row_has_a_model() {
    let missing: Vec<_> = rows()
        .iter()
        .filter(|row| {
            let inputs: Vec<u64> = (0..row.operands.len()).map(|k| row.input(0, k)).collect();
            evaluate(&row.opcode, &inputs).is_none()
        })
        .map(|row| row.opcode.clone())
        .collect();
    assert!(missing.is_empty(), "no model for {missing:?}");
}

/// Floating-point operands of each row meet NaN, infinities, zeros and subnormals.
#[test]
fn every_row_meets_special_values() {
    use recording::inputs::Kind;
    use tricot_ptx_numerics::format::{BF16, Class, F16, F32, F64};
    for row in rows() {
        for (k, kind) in row.operands.iter().enumerate() {
            let format = match kind {
                Kind::F64 => &F64,
                Kind::F32 => &F32,
                Kind::F16 | Kind::F16x2 => &F16,
                Kind::Bf16 | Kind::Bf16x2 => &BF16,
                _ => continue,
            };
            let numbers: Vec<_> = (0..SETS).map(|i| format.unpack(row.input(i, k))).collect();
            for class in [Class::Nan, Class::Infinite, Class::Zero] {
                assert!(numbers.iter().any(|u| u.class == class), "{} operand {k}: no {class:?}", row.opcode);
            }
            let subnormal =
                |u: &tricot_ptx_numerics::format::Unpacked| u.class == Class::Finite && u.man >> format.man_bits == 0;
            assert!(numbers.iter().any(subnormal), "{} operand {k}: no subnormal", row.opcode);
        }
    }
}
