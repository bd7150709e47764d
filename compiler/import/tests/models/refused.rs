//! What is refused: everything wrong is listed at once, each with its node.

use crate::make::*;
use tricot_import::onnx::proto::tensor_proto::DataType;
use tricot_import::{ImportOptions, import_onnx_bytes, supported_ops};
use tricot_types::{Diagnostic, Place};

fn problems(graph: tricot_import::onnx::proto::GraphProto) -> Vec<Diagnostic> {
    import_onnx_bytes(model(graph), "m.onnx", &ImportOptions::default()).expect_err("the model must be refused")
}

fn nodes(problems: &[Diagnostic], code: &str) -> Vec<String> {
    let named = problems.iter().filter(|d| d.code == code).flat_map(|d| &d.labels);
    let mut out: Vec<String> = named
        .filter_map(|l| match &l.place {
            Place::Node { node, .. } => Some(node.clone()),
            _ => None,
        })
        .collect();
    out.sort();
    out
}

#[test]
fn all_unsupported_ops_and_types_are_listed() {
    let hidden = body(vec![node("StringConcat", &["x", "x"], &["t"])], vec![], vec![], &["t"]);
    let other = body(vec![node("Identity", &["x"], &["e"])], vec![], vec![], &["e"]);
    let branch = graph(graph(node("If", &["c"], &["y"]), "then_branch", hidden), "else_branch", other);
    let list = vec![
        node("Unique", &["x"], &["a"]),
        node("NonZero", &["a"], &["b"]),
        branch,
        node("Frobnicate", &["b"], &["z"]),
        node("And", &["x", "x"], &["w"]),
    ];
    let c = value("c", DataType::Bool, &[]);
    let found = problems(body(list, vec![], vec![float("x", &["3"]), c, value("s", DataType::String, &["1"])], &["z"]));
    assert_eq!(nodes(&found, "TC0203"), ["Frobnicate_z", "NonZero_b", "StringConcat_t", "Unique_a"]);
    assert_eq!(nodes(&found, "TC0204"), ["And_w"]);
    assert!(found.iter().any(|d| d.code == "TC0204" && d.to_string().contains("string")), "{found:?}");
    assert!(found.iter().all(|d| d.help.is_some()), "{found:?}");
}

#[test]
fn each_kind_of_mistake_has_its_code() {
    let x = || vec![float("x", &["2", "3"])];
    let cases: Vec<(&str, tricot_import::onnx::proto::GraphProto)> = vec![
        ("TC0206", body(vec![node("Relu", &["nowhere"], &["y"])], vec![], x(), &["y"])),
        ("TC0206", body(vec![node("Relu", &["x"], &["y"])], vec![], x(), &["other"])),
        ("TC0207", body(vec![ints(node("Softmax", &["x"], &["y"]), "axis", &[1])], vec![], x(), &["y"])),
        ("TC0208", body(vec![node("MatMul", &["x", "x"], &["y"])], vec![], x(), &["y"])),
        ("TC0208", body(vec![int(node("Softmax", &["x"], &["y"]), "axis", 7)], vec![], x(), &["y"])),
        ("TC0208", body(vec![node("Reshape", &["x", "s"], &["y"])], vec![longs("s", &[2], &[4, -1])], x(), &["y"])),
        (
            "TC0208",
            body(vec![node("Reshape", &["x", "s"], &["y"])], vec![longs("s", &[2], &[1 << 40, 1 << 40])], x(), &["y"]),
        ),
        (
            "TC0209",
            body(
                vec![node("Reshape", &["x", "s"], &["y"])],
                vec![],
                vec![float("x", &["6"]), value("s", DataType::Int64, &["2"])],
                &["y"],
            ),
        ),
        ("TC0212", body(vec![node("Add", &["x", "w"], &["y"])], vec![floats("w", &[2, 3], &[1.0; 5])], x(), &["y"])),
        ("TC0212", body(vec![node("Add", &["x", "w"], &["y"])], vec![floats("w", &[-2, 3], &[1.0; 6])], x(), &["y"])),
    ];
    for (code, graph) in cases {
        let found = problems(graph);
        assert_eq!(found[0].code, code, "{}", found[0]);
        assert!(!found[0].labels.is_empty() && found[0].help.is_some(), "no place or no way out: {}", found[0]);
    }
    let branch = |x: &str| body(vec![node("Identity", &[x], &["r"])], vec![], vec![], &["r"]);
    let list = vec![graph(graph(node("If", &["c"], &["y"]), "then_branch", branch("x")), "else_branch", branch("x"))];
    let found = problems(body(list, vec![], vec![float("x", &["2"]), value("c", DataType::Bool, &[])], &["y"]));
    assert_eq!(found[0].code, "TC0210", "{}", found[0]);
}

#[test]
fn contradicting_outputs_and_old_opsets_are_named() {
    let mut g = body(vec![node("Relu", &["x"], &["y"])], vec![], vec![float("x", &["2"])], &["y"]);
    g.output = vec![float("y", &["3"])];
    assert_eq!(problems(g)[0].code, "TC0208");
    let mut old = whole(body(vec![node("Gelu", &["x"], &["y"])], vec![], vec![float("x", &["2"])], &["y"]));
    old.opset_import[0].version = Some(13);
    let found =
        import_onnx_bytes(prost::Message::encode_to_vec(&old), "m.onnx", &ImportOptions::default()).unwrap_err();
    assert_eq!(found[0].code, "TC0205");
}

#[test]
fn the_table_is_sound() {
    let rows = supported_ops();
    assert!(rows.len() >= 180, "{} ops", rows.len());
    assert!(rows.windows(2).all(|w| w[0].name < w[1].name), "names are distinct");
    assert!(rows.iter().all(|r| !r.dtypes.is_empty() && r.since >= 1));
}
