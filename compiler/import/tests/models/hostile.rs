//! Hostile bytes: every input is a model or coded diagnostics, never a panic.

use crate::make::*;
use arbitrary::{Arbitrary, Unstructured};
use std::time::{Duration, Instant};
use tricot_import::{ImportOptions, import_onnx_bytes};

/// Time spent on damaged models.
const TIME: Duration = Duration::from_secs(20);

/// Random bytes for `Unstructured` from a fixed seed (splitmix64), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

/// One way to damage a model.
#[derive(Arbitrary, Debug)]
enum Edit {
    Set {
        at: u16,
        value: u8,
    },
    /// Bytes that lengths, tags and varints are sensitive to.
    Extreme {
        at: u16,
        which: u8,
    },
    Remove {
        at: u16,
        length: u8,
    },
    Insert {
        at: u16,
        bytes: [u8; 3],
    },
    /// A piece of the model in another place.
    Copy {
        from: u16,
        length: u8,
        to: u16,
    },
    Truncate {
        at: u16,
    },
}

fn apply(bytes: &mut Vec<u8>, edit: &Edit) {
    let place = |at: u16| usize::from(at) % (bytes.len() + 1);
    let piece = |at: u16, length: u8| place(at)..(place(at) + usize::from(length)).min(bytes.len());
    match *edit {
        Edit::Set { at, value } => {
            let at = place(at);
            bytes.get_mut(at).into_iter().for_each(|b| *b = value);
        }
        Edit::Extreme { at, which } => {
            let at = place(at);
            bytes.get_mut(at).into_iter().for_each(|b| *b = [0, 0x7f, 0x80, 0xff][usize::from(which) % 4]);
        }
        Edit::Remove { at, length } => drop(bytes.drain(piece(at, length % 8))),
        Edit::Insert { at, bytes: new } => {
            let at = place(at);
            drop(bytes.splice(at..at, new));
        }
        Edit::Copy { from, length, to } => {
            let (piece, to) = (bytes[piece(from, length % 64)].to_vec(), place(to));
            drop(bytes.splice(to..to, piece));
        }
        Edit::Truncate { at } => bytes.truncate(place(at)),
    }
}

/// Imports; whether it was a model after all.
fn check(bytes: Vec<u8>) -> bool {
    let options = ImportOptions { max_nodes: 2000, ..ImportOptions::default() };
    let result = import_onnx_bytes(bytes, "hostile.onnx", &options);
    if let Err(problems) = &result {
        assert!(!problems.is_empty());
        for p in problems {
            assert!(p.code.starts_with("TC02"), "{p}");
        }
    }
    result.is_ok()
}

fn models() -> Vec<Vec<u8>> {
    let inner = body(
        vec![node("Add", &["v", "v"], &["n"]), node("Identity", &["c"], &["k"])],
        vec![],
        vec![open("i"), open("c"), open("v")],
        &["k", "n"],
    );
    let looped = graph(node("Loop", &["t", "", "x"], &["y"]), "body", inner);
    vec![
        model(dynamic_block()),
        model(body(vec![looped], vec![longs("t", &[], &[4])], vec![float("x", &["2"])], &["y"])),
        model(body(
            vec![
                ints(node("Conv", &["x", "w"], &["a"]), "pads", &[1, 1, 1, 1]),
                ints(node("MaxPool", &["a"], &["b"]), "kernel_shape", &[2, 2]),
                node("Pad", &["b", "p"], &["y"]),
                node("Resize", &["y", "", "", "z"], &["u"]),
            ],
            vec![
                floats("w", &[2, 1, 3, 3], &[0.5; 18]),
                longs("p", &[8], &[0, 0, 1, 1, 0, 0, 1, 1]),
                longs("z", &[4], &[1, 2, 9, 9]),
            ],
            vec![float("x", &["1", "1", "6", "6"])],
            &["u"],
        )),
    ]
}

#[test]
fn truncated_models_are_refused() {
    for whole in models() {
        assert!(import_onnx_bytes(whole.clone(), "m", &ImportOptions::default()).is_ok());
        for cut in 0..whole.len() {
            check(whole[..cut].to_vec());
        }
    }
}

#[test]
fn every_flipped_bit_is_survived() {
    for whole in models() {
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            check(bytes);
        }
    }
}

#[test]
fn arbitrary_damage_is_survived() {
    let (mut random, seeds) = (Random(7), models());
    let (start, mut runs, mut accepted) = (Instant::now(), 0usize, 0usize);
    while start.elapsed() < TIME {
        let noise = random.bytes(64);
        let mut u = Unstructured::new(&noise);
        let mut bytes = seeds[runs % seeds.len()].clone();
        for _ in 0..u.int_in_range(1..=6).unwrap() {
            let edit = Edit::arbitrary(&mut u);
            edit.into_iter().for_each(|e| apply(&mut bytes, &e));
        }
        accepted += usize::from(check(bytes));
        runs += 1;
    }
    for length in 0..300 {
        check(random.bytes(length));
    }
    println!("{runs} models, {accepted} of them legal");
    assert!(runs > 100 && accepted > 0 && accepted < runs);
}

#[test]
fn unbounded_loops_and_recursion_end() {
    let forever = body(
        vec![node("Identity", &["c"], &["k"]), node("Identity", &["v"], &["n"])],
        vec![],
        vec![open("i"), open("c"), open("v")],
        &["k", "n"],
    );
    let looped = graph(node("Loop", &["t", "", "x"], &["y"]), "body", forever);
    let bytes = model(body(vec![looped], vec![longs("t", &[], &[i64::MAX])], vec![float("x", &["2"])], &["y"]));
    let options = ImportOptions { max_nodes: 5000, ..ImportOptions::default() };
    let found = import_onnx_bytes(bytes, "m", &options).unwrap_err();
    assert!(found.iter().any(|d| d.code == "TC0213"), "{}", found[0]);
    // A function that calls itself twice.
    let mut twice = whole(body(vec![custom("F", "x", "y")], vec![], vec![float("x", &["2"])], &["y"]));
    twice.functions = vec![tricot_import::onnx::proto::FunctionProto {
        name: Some("F".into()),
        domain: Some("own".into()),
        input: vec!["a".into()],
        output: vec!["b".into()],
        node: vec![custom("F", "a", "t"), custom("F", "t", "b")],
        ..Default::default()
    }];
    let found = import_onnx_bytes(prost::Message::encode_to_vec(&twice), "m", &options).unwrap_err();
    assert!(found.iter().any(|d| d.code == "TC0213"), "{}", found[0]);
}

fn custom(op: &str, input: &str, output: &str) -> tricot_import::onnx::proto::NodeProto {
    tricot_import::onnx::proto::NodeProto { domain: Some("own".into()), ..node(op, &[input], &[output]) }
}
