//! Symbolic shapes: what dynamic exports compute with shape tensors is known at import.

use crate::make::*;
use std::collections::BTreeMap;
use tricot_dialects::verify::verify;
use tricot_import::{ImportOptions, import_onnx_bytes};
use tricot_reference::{Options, Tensor, evaluate};
use tricot_types::{DType, Symbol};

fn import(graph: tricot_import::onnx::proto::GraphProto, options: &ImportOptions) -> tricot_dialects::Module {
    let module = import_onnx_bytes(model(graph), "block.onnx", options).unwrap_or_else(|p| panic!("{}", p[0]));
    verify(&module).unwrap_or_else(|p| panic!("{}", p[0]));
    module
}

#[test]
fn shape_arithmetic_folds_to_polynomials() {
    let module = import(dynamic_block(), &ImportOptions::default());
    let main = module.main().unwrap();
    let types: Vec<String> = main.output_types().iter().map(ToString::to_string).collect();
    assert_eq!(types, ["f32[batch, seq, 8]", "i64[seq]"]);
    // The table has 16 rows, so the length may not exceed them.
    assert_eq!(module.symbols[&Symbol::new("seq").unwrap()].max, 16);
    let ops: Vec<&str> = main.live_order().into_iter().map(|n| main.node(n).op.name).collect();
    assert!(!ops.contains(&"core.gather") && !ops.contains(&"core.size"), "shape arithmetic is left: {ops:?}");
    assert!(ops.contains(&"nn.softmax"));
}

#[test]
fn given_sizes_and_symbols_agree() {
    let x: Vec<f64> = (0..2 * 5 * 8).map(|i| f64::from((i * 3 % 13) as u8) / 13.0 - 0.5).collect();
    let input = [Tensor::floats(DType::F32, &[2, 5, 8], x)];
    let dynamic = import(dynamic_block(), &ImportOptions::default());
    let set = BTreeMap::from([("batch".to_string(), 2), ("seq".to_string(), 5)]);
    let fixed = import(dynamic_block(), &ImportOptions { set, ..ImportOptions::default() });
    assert!(fixed.symbols.is_empty());
    assert_eq!(fixed.main().unwrap().output_types()[0].to_string(), "f32[2, 5, 8]");
    let run = |m: &tricot_dialects::Module| evaluate(m, &input, &Options::default()).unwrap()[0].to_f64();
    let (a, b) = (run(&dynamic), run(&fixed));
    assert_eq!(a.len(), 80);
    assert!(a.iter().zip(&b).all(|(x, y)| (x - y).abs() < 1e-12));
}

#[test]
fn loops_with_known_trip_counts_unroll() {
    let inner = body(
        vec![
            node("Add", &["v", "x"], &["next"]),
            node("Identity", &["cond"], &["more"]),
            node("Identity", &["next"], &["seen"]),
        ],
        vec![],
        vec![open("i"), open("cond"), open("v")],
        &["more", "next", "seen"],
    );
    let looped = graph(node("Loop", &["trips", "", "x"], &["last", "all"]), "body", inner);
    let outer = body(vec![looped], vec![longs("trips", &[], &[3])], vec![float("x", &["2"])], &["last", "all"]);
    let module = import(outer, &ImportOptions::default());
    let out = evaluate(&module, &[Tensor::floats(DType::F32, &[2], vec![1.0, -2.0])], &Options::default()).unwrap();
    assert_eq!(out[0].to_f64(), [4.0, -8.0]);
    assert_eq!(out[1].to_f64(), [2.0, -4.0, 3.0, -6.0, 4.0, -8.0]);
}
