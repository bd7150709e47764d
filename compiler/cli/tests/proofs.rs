//! Rewriting as the command line shows it: found, explained, proved; and a tampered proof refused.

use crate::{refused, stdout, text};
use serde_json::Value;

const BLOCK: &str = "examples/simplex/block.onnx";

#[test]
fn trilinear_attention_is_found_in_standard_onnx() {
    let graph = stdout(&["build", BLOCK, "--emit", "graph", "--stop-after", "graph"]);
    assert!(!graph.contains("trilinear."), "the source already holds it");
    let rewritten = stdout(&["build", BLOCK, "--emit", "rewrite", "--stop-after", "rewrite"]);
    assert!(rewritten.contains("trilinear.attention"), "{rewritten}");
    assert!(rewritten.contains("w1 = 24") && rewritten.contains("w2 = 8"), "{rewritten}");
}

#[test]
fn the_steps_have_names() {
    let steps = stdout(&["explain", BLOCK]);
    assert!(steps.contains("trilinear"), "{steps}");
}

#[test]
fn the_proof_holds_and_a_tampered_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("dump");
    stdout(&[
        "build",
        BLOCK,
        "--emit",
        "rewrite",
        "--stop-after",
        "rewrite",
        "-o",
        "unused",
        "--dump-dir",
        text(&dump),
    ]);
    let proof = dump.join("cpu.proof");
    stdout(&["verify", text(&proof), "--source", BLOCK]);
    let whole: Value = serde_json::from_str(&std::fs::read_to_string(&proof).unwrap()).unwrap();
    let count = steps(&mut whole.clone()).len();
    assert!(count > 5, "the proof has {count} steps");
    let altered = folder.path().join("altered.proof");
    let refuses = |what: &str, edit: &dyn Fn(&mut Value)| {
        let mut proof = whole.clone();
        edit(&mut proof);
        assert_ne!(proof, whole, "{what} changes nothing");
        std::fs::write(&altered, proof.to_string()).unwrap();
        let out = crate::tricot(&["verify", text(&altered), "--source", BLOCK]);
        assert_eq!(out.status.code(), Some(1), "accepted with {what}: {}", String::from_utf8_lossy(&out.stdout));
    };
    for at in 0..count {
        refuses(&format!("step {at} removed"), &|p| drop(steps(p).remove(at)));
        refuses(&format!("the rule of step {at} renamed"), &|p| steps(p)[at]["rule"] = "pow-two ".into());
    }
    refuses("a condition altered", &|p| {
        let step = steps(p).iter_mut().find(|s| s["rule"] == "trilinear-attention").expect("the raising step");
        step["conditions"]["w1"] = "25".into();
    });
    refused(&["verify", text(&folder.path().join("nowhere.proof"))], "TC0900");
}

/// The steps of the proof's one function.
fn steps(proof: &mut Value) -> &mut Vec<Value> {
    proof["functions"][0]["steps"].as_array_mut().expect("a list of steps")
}
