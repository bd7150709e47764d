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

#[test]
fn every_way_to_ask_shows_the_candidate_that_is_built() {
    for (model, target) in [("tests/headline/sparse24.tri", "cpu"), (BLOCK, "cpu")] {
        let folder = tempfile::tempdir().unwrap();
        let bundle = folder.path().join("m.tricot");
        stdout(&["build", model, "--target", target, "--emit", "rewrite", "-o", text(&bundle)]);
        let dump = bundle.with_extension("dump");
        let built = std::fs::read_to_string(dump.join(format!("{target}.rewrite.tri"))).unwrap();
        let stopped = stdout(&["build", model, "--target", target, "--emit", "rewrite", "--stop-after", "rewrite"]);
        assert_eq!(stopped, built, "{model}");
        assert_eq!(stdout(&["opt", model, "--target", target]), built, "{model}");
        let proof = std::fs::read_to_string(dump.join(format!("{target}.proof"))).unwrap();
        let stored = stdout(&["inspect", text(&bundle), "--entry", &format!("{target}/rewrite.proof")]);
        assert_eq!(stored, proof, "{model}");
        stdout(&["verify", text(&bundle), "--source", model]);
        // As many steps explained as proved.
        let steps: usize = serde_json::from_str::<Value>(&proof).unwrap()["functions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| f["steps"].as_array().unwrap().len())
            .sum();
        let explained = stdout(&["explain", model, "--target", target]);
        let lines = explained.lines().filter(|l| l.trim_start().starts_with(|c: char| c.is_ascii_digit())).count();
        assert_eq!(lines, steps, "{explained}");
    }
}

#[test]
fn the_candidates_and_what_they_cost_are_shown() {
    let model = "tests/headline/sparse24.tri";
    let explained = stdout(&["explain", model]);
    let lines: Vec<&str> = explained.lines().filter(|l| l.starts_with("candidate ")).collect();
    assert!(lines.len() >= 2, "{explained}");
    assert_eq!(lines.iter().filter(|l| l.contains("(chosen)")).count(), 1, "{explained}");
    assert!(lines.iter().any(|l| l.contains("sparse24.matmul")), "{explained}");
    let reason = stdout(&["explain", model, "--why-not", "sparse24.matmul"]);
    assert!(reason.contains("when scheduled"), "{reason}");
}
