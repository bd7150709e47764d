//! Hostile bytes: every input is a model or coded diagnostics, never a panic.

use crate::make::*;
use std::time::{Duration, Instant};
use tricot_import::{ImportOptions, import_onnx_bytes};

/// A small, seeded generator (splitmix64), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

fn check(bytes: Vec<u8>) {
    let options = ImportOptions { max_nodes: 2000, ..ImportOptions::default() };
    if let Err(problems) = import_onnx_bytes(bytes, "hostile.onnx", &options) {
        assert!(!problems.is_empty());
        for p in problems {
            assert!(p.code.starts_with("TC02"), "{p}");
        }
    }
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
    let mut random = Random(7);
    let seeds = models();
    let end = Instant::now() + Duration::from_secs(20);
    let mut rounds = 0;
    while Instant::now() < end && rounds < 40_000 {
        let mut bytes = seeds[random.below(seeds.len())].clone();
        for _ in 0..1 + random.below(6) {
            let at = random.below(bytes.len());
            match random.below(5) {
                0 => bytes[at] = random.next() as u8,
                1 => bytes[at] = [0, 0x7f, 0x80, 0xff][random.below(4)],
                2 => drop(bytes.remove(at)),
                3 => bytes.insert(at, random.next() as u8),
                _ => {
                    // A piece of the model in another place.
                    let (from, len) = (random.below(bytes.len()), random.below(40));
                    let piece: Vec<u8> = bytes[from..(from + len).min(bytes.len())].to_vec();
                    bytes.splice(at..at, piece);
                }
            }
        }
        check(bytes);
        rounds += 1;
    }
    for length in 0..300 {
        check((0..length).map(|_| random.next() as u8).collect());
    }
    assert!(rounds > 100);
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
