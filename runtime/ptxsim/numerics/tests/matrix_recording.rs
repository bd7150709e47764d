//! Replays the matrix recording of an H100 80GB (sm_90), bit for bit.

#[path = "../recording/mod.rs"]
mod recording;

mod model;

use std::{fs, path::PathBuf};

use model::trial;
use recording::forms::forms;

#[test]
#[ignore = "needs matrix.out, which record.py makes on a GPU"]
fn matrix_outputs_are_those_of_the_hardware() {
    let folder = std::env::var_os("PTX_RECORDING")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../recordings"), PathBuf::from);
    let Ok(recorded) = fs::read(folder.join("matrix.out")) else {
        panic!("{} has no matrix.out: see record.py for the command that makes it", folder.display());
    };
    let mut recorded = recorded.chunks(4).map(|w| u32::from_le_bytes(w.try_into().expect("4 bytes")));
    let (mut failures, mut total) = (vec![], 0);
    for (number, form) in forms().iter().enumerate() {
        let (mut wrong, mut first, mut count) = (0, String::new(), 0);
        for t in 0..form.trials {
            for (i, ours) in trial(form, t).into_iter().enumerate() {
                let theirs = recorded.next().expect("an output for each form");
                count += 1;
                if ours != theirs {
                    if wrong == 0 {
                        first = format!("trial {t} word {i}: computed {ours:08x}, recorded {theirs:08x}");
                    }
                    wrong += 1;
                }
            }
        }
        total += count;
        if wrong > 0 {
            failures.push(format!(
                "m{number} {} A in {} {:?}: {wrong} of {count}; {first}",
                form.opcode,
                if form.a_regs { "registers" } else { "memory" },
                (form.selector, form.trans_a, form.trans_b)
            ));
        }
    }
    assert!(recorded.next().is_none(), "the recording is longer than the forms");
    assert!(failures.is_empty(), "{total} words, {} forms differ:\n{}", failures.len(), failures.join("\n"));
}
