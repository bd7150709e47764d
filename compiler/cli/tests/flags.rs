//! Flags of `build` and `opt`: where stages go, what is compiled for whom, and what each format says.

use crate::{refused, root, stdout, text, tricot};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

const SPARSE: &str = "tests/headline/sparse24.tri";
const WINOGRAD: &str = "tests/headline/winograd.tri";

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

/// The stages a folder holds, with their targets: `cpu.schedule.sched`, and `sm_90a.*.ptx` for a kernel's.
fn stages(folder: &Path) -> BTreeSet<String> {
    let kernel = |n: &String| match n.split('.').collect::<Vec<_>>()[..] {
        [target, _, stage, _] => format!("{target}.*.{stage}"),
        _ => n.clone(),
    };
    names(folder).iter().map(kernel).collect()
}

#[test]
fn stages_go_into_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("m.tricot");
    stdout(&["build", SPARSE, "-o", text(&bundle), "--emit", "graph,rewrite,schedule,mlir,plan"]);
    let expected = ["graph.tri", "cpu.rewrite.tri", "cpu.proof", "cpu.schedule.sched", "cpu.*.mlir", "cpu.plan.json"];
    assert_eq!(stages(&folder.path().join("m.dump")), expected.map(String::from).into());
    // Elsewhere where asked, and only what is asked.
    let dump = folder.path().join("deep/elsewhere");
    stdout(&["build", SPARSE, "-o", text(&bundle), "--emit", "plan", "--dump-dir", text(&dump)]);
    assert_eq!(stages(&dump), ["cpu.plan.json".to_string()].into());
    assert_eq!(names(folder.path()), ["deep", "m.dump", "m.tricot"].map(String::from).into());
}

#[test]
#[cfg(feature = "sm90")]
fn two_targets_share_a_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, dump) = (folder.path().join("m.tricot"), folder.path().join("dump"));
    let emit = "rewrite,mlir,llvm,ptx";
    let to = [text(&bundle), text(&dump)];
    stdout(&["build", SPARSE, "--target", "cpu,sm_90a", "-o", to[0], "--emit", emit, "--dump-dir", to[1]]);
    let expected = [
        "cpu.rewrite.tri",
        "cpu.proof",
        "cpu.*.mlir",
        "sm_90a.rewrite.tri",
        "sm_90a.proof",
        "sm_90a.*.mlir",
        "sm_90a.*.llvm",
        "sm_90a.*.ptx",
    ];
    assert_eq!(stages(&dump), expected.map(String::from).into());
    let manifest: Value = serde_json::from_str(&stdout(&["inspect", to[0], "--json"])).unwrap();
    let targets: Vec<_> = manifest["targets"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(targets, ["cpu", "sm_90a"]);
    refused(&["build", SPARSE, "--target", "cpu,abacus", "-o", to[0]], "TC0930");
}

#[test]
fn the_last_stage_goes_to_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let shown = stdout(&["build", SPARSE, "--emit", "schedule", "--stop-after", "schedule"]);
    assert!(shown.starts_with("schedule ") && shown.contains("\nkernel "), "{shown}");
    // The others go to the folder, and with -o this one does too.
    let dump = folder.path().join("dump");
    let to = ["--dump-dir", text(&dump)];
    let again = stdout(&[&["build", SPARSE, "--emit", "graph,schedule", "--stop-after", "schedule"], &to[..]].concat());
    assert_eq!(again, shown);
    assert_eq!(stages(&dump), ["graph.tri".to_string()].into());
    let bundle = folder.path().join("m.tricot");
    let args = ["build", SPARSE, "--emit", "schedule", "--stop-after", "schedule", "-o", text(&bundle)];
    assert_eq!(stdout(&args), "");
    assert_eq!(std::fs::read_to_string(folder.path().join("m.dump/cpu.schedule.sched")).unwrap(), shown);
    assert!(!bundle.exists(), "--stop-after writes no bundle");
    // Stopping without emitting only checks.
    assert_eq!(stdout(&["build", SPARSE, "--stop-after", "rewrite"]), "");
    let message = refused(&["build", SPARSE, "--emit", "graph,plan", "--stop-after", "rewrite"], "TC0918");
    assert!(message.contains("`plan`") && message.contains("`rewrite`"), "{message}");
}

#[test]
fn compilation_starts_where_the_text_is_from() {
    let folder = tempfile::tempdir().unwrap();
    let stage = |model: &str, more: &[&str], last: &str| {
        stdout(&[&["build", model, "--emit", last, "--stop-after", last], more].concat())
    };
    for (name, emitted) in [("graph", stage(SPARSE, &[], "graph")), ("rewrite", stage(SPARSE, &[], "rewrite"))] {
        let path = folder.path().join(name).with_extension("tri");
        std::fs::write(&path, emitted).unwrap();
        assert_eq!(stage(text(&path), &["--from", name], "plan"), stage(SPARSE, &[], "plan"), "from {name}");
    }
    // What `--from rewrite` is given is not rewritten again.
    let source = std::fs::read_to_string(root().join(WINOGRAD)).unwrap();
    let path = folder.path().join("plain.tri");
    std::fs::write(&path, source).unwrap();
    let budget = ["--max-rel-err", "1e-4", "--winograd", "f43"];
    let plain = stage(text(&path), &[&["--from", "rewrite"], &budget[..]].concat(), "schedule");
    let found = stage(text(&path), &budget, "schedule");
    assert!(found.contains("winograd.input") && !plain.contains("winograd.input"), "{plain}");
    let message = refused(&["build", SPARSE, "--from", "ptx"], "TC0913");
    assert!(message.contains("`ptx` cannot be read back"), "{message}");
}

#[test]
fn set_fixes_a_size_while_compiling() {
    let graph = stdout(&["build", SPARSE, "--set", "t=128", "--emit", "graph", "--stop-after", "graph"]);
    assert!(graph.contains("%x: bf16[128, 512]") && !graph.contains("symbol t"), "{graph}");
}

#[test]
fn buckets_are_variants() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("m.tricot");
    stdout(&["build", SPARSE, "--bucket", "t=128", "--bucket", "t=256", "-o", text(&bundle)]);
    let manifest: Value = serde_json::from_str(&stdout(&["inspect", text(&bundle), "--json"])).unwrap();
    let variants = manifest["targets"]["cpu"]["variants"].as_array().unwrap();
    let limits: Vec<_> = variants.iter().map(|v| v["symbols"]["t"]["max"].as_i64().unwrap()).collect();
    assert_eq!(limits, [128, 256, i64::MAX]);
    // In a bucket and outside: the same numbers as without.
    for size in ["t=128", "t=192"] {
        let args = ["verify", text(&bundle), "--source", SPARSE, "--numerics", "--set", size];
        assert!(stdout(&args).contains("relative error"), "{size}");
    }
    refused(&["build", SPARSE, "--bucket", "t=12", "-o", text(&bundle)], "TC0911");
    refused(&["build", SPARSE, "--bucket", "s=12", "-o", text(&bundle)], "TC0910");
    refused(&["build", SPARSE, "--bucket", "t", "-o", text(&bundle)], "TC0912");
}

#[test]
fn lossy_transforms_need_a_budget() {
    let opt = |more: &[&str]| stdout(&[&["opt", WINOGRAD], more].concat());
    let budget = ["--max-rel-err", "1e-4"];
    assert!(!opt(&["--winograd", "f43"]).contains("winograd."), "the budget is 0 by default");
    for (choice, tile) in [("off", None), ("f23", Some("m = 2")), ("f43", Some("m = 4"))] {
        let found = opt(&[&budget[..], &["--winograd", choice]].concat());
        assert_eq!(found.contains("winograd.input"), tile.is_some(), "{choice}: {found}");
        assert!(tile.is_none_or(|t| found.contains(t)), "{choice}: {found}");
    }
    for bad in ["-1e-4", "nan", "much"] {
        let flag = format!("--max-rel-err={bad}");
        assert_eq!(tricot(&["opt", WINOGRAD, &flag]).status.code(), Some(2), "{bad}");
    }
}

#[test]
fn opt_writes_text_that_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.tri");
    assert_eq!(stdout(&["opt", "examples/ffn24/ffn24.tri", "-o", text(&path)]), "");
    assert_eq!(names(folder.path()), ["out.safetensors", "out.tri"].map(String::from).into());
    let again = stdout(&["opt", text(&path)]);
    assert_eq!(again, std::fs::read_to_string(&path).unwrap());
    let mlir = stdout(&["opt", SPARSE, "--format", "mlir"]);
    assert!(mlir.contains("\"sparse24.select\"("), "{mlir}");
}

#[test]
fn reports_are_json() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("m.tricot");
    let json = |args: &[&str]| -> Value {
        let text = stdout(&[args, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{args:?}: {e}\n{text}"))
    };
    assert_eq!(json(&["build", SPARSE, "-o", text(&bundle)])["bundle"], text(&bundle));
    assert!(json(&["run", text(&bundle), "--device", "cpu", "--set", "t=64"])["median_seconds"].is_f64());
    assert_eq!(json(&["inspect", text(&bundle)])["name"], "sparse24");
    assert!(json(&["verify", text(&bundle)])["verified"].is_array());
    assert_eq!(json(&["explain", SPARSE, "--target", "cpu"])["target"], "cpu");
    assert!(json(&["doctor"]).is_object());
}

#[test]
fn weights_may_lie_beside_the_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("m.tricot");
    stdout(&["build", "examples/ffn24/ffn24.tri", "--store-weights", "external", "-o", text(&bundle)]);
    assert_eq!(names(folder.path()).len(), 2, "{:?}", names(folder.path()));
    stdout(&["run", text(&bundle), "--device", "cpu"]);
}
