//! Rewriting as the command line shows it: found, explained, proved; and a tampered proof refused.

use crate::{refused, stdout, text};

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
    let whole = std::fs::read_to_string(&proof).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let altered = folder.path().join("altered.proof");
    let mut refusals = 0;
    let steps: Vec<usize> = (0..lines.len()).filter(|i| lines[*i].trim_start().starts_with("step")).collect();
    assert!(!steps.is_empty(), "the proof has no steps");
    for at in &steps {
        let mut shorter = lines.clone();
        shorter.remove(*at);
        std::fs::write(&altered, shorter.join("\n") + "\n").unwrap();
        let out = crate::tricot(&["verify", text(&altered), "--source", BLOCK]);
        assert_eq!(out.status.code(), Some(1), "accepted without `{}`", lines[*at]);
        refusals += 1;
    }
    assert_eq!(refusals, steps.len());
    std::fs::write(&altered, whole.replacen("24", "25", 1)).unwrap();
    let out = crate::tricot(&["verify", text(&altered), "--source", BLOCK]);
    assert_eq!(out.status.code(), Some(1), "accepted with a window altered");
    refused(&["verify", text(&folder.path().join("nowhere.proof"))], "TC0900");
}
