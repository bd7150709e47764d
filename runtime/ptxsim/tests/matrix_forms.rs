//! Every matrix program of the recorder, run by the machine: bit for bit what an H100 gave, and with
//! small whole numbers the plain sums, from fragments written out as the figures of the PTX ISA have them.

#[path = "../numerics/recording/mod.rs"]
mod recording;
#[path = "matrix_forms/whole.rs"]
mod whole;

use recording::forms::forms;
use recording::matrix::{Acc, Elem, Form};
use recording::{HEADER, outputs};
use std::collections::BTreeSet;
use tricot_ptxsim::{Device, Launch, pack};

/// Runs one block of a form's program on its image and its threads' words; what the threads store.
fn run(form: &Form, image: &[u32], words: &[Vec<u32>], exact: bool) -> Vec<u32> {
    let mut device = Device::new();
    let text = format!("{HEADER}{}", form.ptx("k"));
    let module = device.load(&text).unwrap_or_else(|e| panic!("{}: {e}", form.opcode));
    let program = module.kernel("k").unwrap_or_else(|e| panic!("{}: {e}", form.opcode));
    let bytes = |words: &[u32]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    let pointers = [
        device.memory.add("images", Some(bytes(image)), 0),
        device.memory.add("words", Some(bytes(&words.concat())), 0),
        device.memory.add("out", None, (form.threads() * form.d_words() * 4) as usize),
    ];
    let params = pack(&program, &pointers.map(|p| p.to_le_bytes().to_vec())).expect("three pointers");
    let launch = Launch { block: [form.threads(), 1, 1], params, exact, ..Launch::default() };
    let report = device.run(&module, &program, &launch);
    assert_eq!(report.findings, [], "{}", form.opcode);
    let out = &device.memory.region(pointers[2]).expect("the output").data;
    out.chunks(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect()
}

#[test]
fn programs_give_the_bits_of_the_hardware() {
    let forms = forms();
    let folder = outputs::folder(concat!(env!("CARGO_MANIFEST_DIR"), "/recordings"));
    for (form, recorded) in forms.iter().zip(outputs::matrix(&folder, &forms)) {
        for (trial, theirs) in (0..form.trials).zip(recorded.chunks(recorded.len() / form.trials as usize)) {
            let words: Vec<_> = (0..form.threads()).map(|t| form.words(trial, t)).collect();
            let ours = run(form, &form.image(trial), &words, true);
            assert!(ours == theirs, "{} selector {} trial {trial}", form.opcode, form.selector);
        }
    }
}

#[test]
fn small_whole_numbers_give_plain_sums() {
    for form in forms() {
        for exact in [true, false] {
            whole::check(&form, exact, |image, words| run(&form, image, words, exact));
        }
    }
}

/// What the decoder takes of all combinations: each has a program in the recorder, and nothing else has.
#[test]
fn every_form_that_is_taken_has_a_program() {
    use Elem::*;
    let all = [F64, Tf32, F16, Bf16, E4m3, E5m2, S8, U8, S4, U4, B1];
    let recorded: BTreeSet<String> =
        forms().iter().filter(|f| !f.wgmma && !f.wmma && !f.quads()).map(|f| f.opcode.clone()).collect();
    let base = &forms().into_iter().find(|f| !f.wgmma && !f.wmma).expect("an mma form");
    let mut taken = BTreeSet::new();
    for (a, b) in all.iter().flat_map(|a| all.iter().map(move |b| (*a, *b))) {
        for d in [Acc::F64, Acc::F32, Acc::F16, Acc::S32] {
            for (m, k) in [8, 16].into_iter().flat_map(|m| [4, 8, 16, 32, 64, 128, 256].map(|k| (m, k))) {
                for (sp, sparse) in [("", false), (".sp", true), (".sp::ordered_metadata", true)] {
                    for (sat, op) in [("", ""), (".satfinite", ""), ("", ".xor.popc"), ("", ".and.popc")] {
                        let types = format!("{0}.{1}.{2}.{0}", d.name(), a.name(), b.name());
                        let opcode = format!("mma{sp}.sync.aligned.m{m}n8k{k}.row.col{sat}.{types}{op}");
                        let form = Form { opcode, sparse, m, k, a, b, d, c: d, ..base.clone() };
                        // Those have four layouts, which the recorder has all.
                        if form.quads() && k == 4 {
                            continue;
                        }
                        // Lists of no whole register do not parse.
                        let text = format!("{HEADER}{}", form.ptx("k"));
                        let Ok(module) = Device::new().load(&text) else { continue };
                        if module.kernel("k").is_ok() {
                            taken.insert(form.opcode);
                        }
                    }
                }
            }
        }
    }
    assert_eq!(taken, recorded);
}
