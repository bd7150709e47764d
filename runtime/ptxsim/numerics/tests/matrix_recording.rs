//! Replays the matrix recording of an H100 80GB (sm_90), bit for bit.

#[path = "../recording/mod.rs"]
mod recording;

mod model;

use model::trial;
use recording::{forms::forms, outputs};

#[test]
fn matrix_outputs_are_those_of_the_hardware() {
    let forms = forms();
    let folder = outputs::folder(concat!(env!("CARGO_MANIFEST_DIR"), "/../recordings"));
    let recorded = outputs::matrix(&folder, &forms);
    let (mut failures, mut outputs) = (vec![], 0);
    for (number, (form, theirs)) in forms.iter().zip(&recorded).enumerate() {
        let ours: Vec<u32> = (0..form.trials).flat_map(|t| trial(form, t)).collect();
        assert_eq!(ours.len(), theirs.len(), "{}", form.opcode);
        outputs += form.m * form.n * form.trials;
        let wrong: Vec<usize> = (0..ours.len()).filter(|i| ours[*i] != theirs[*i]).collect();
        if let Some(first) = wrong.first() {
            failures.push(format!(
                "m{number} {} A in {} {:?}: {} of {}; word {first}: computed {:08x}, recorded {:08x}",
                form.opcode,
                if form.a_regs { "registers" } else { "memory" },
                (form.selector, form.trans_a, form.trans_b),
                wrong.len(),
                ours.len(),
                ours[*first],
                theirs[*first]
            ));
        }
    }
    assert!(failures.is_empty(), "{} forms differ:\n{}", failures.len(), failures.join("\n"));
    assert!(outputs > 1_000_000, "only {outputs} outputs");
}

/// A form without a recording fails here, not by a shifted comparison.
#[test]
fn every_form_is_recorded() {
    let forms = forms();
    let opcodes: Vec<&str> = forms.iter().map(|form| form.opcode.as_str()).collect();
    outputs::is_recorded(&outputs::folder(concat!(env!("CARGO_MANIFEST_DIR"), "/../recordings")), "matrix", &opcodes);
}
