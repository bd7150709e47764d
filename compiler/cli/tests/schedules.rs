//! Schedules as text that builds: what was emitted gives the same kernels, plan and numbers when it is read back.

use crate::{refused, stdout, text};
use std::collections::BTreeMap;
use std::path::Path;

const BLOCK: &str = "examples/simplex/block.onnx";

/// The text files of a dump folder.
fn dumped(bundle: &Path) -> BTreeMap<String, String> {
    let folder = std::fs::read_dir(bundle.with_extension("dump")).unwrap();
    let files = folder.flatten().filter(|f| f.path().extension().is_some_and(|e| e != "safetensors"));
    files.map(|f| (f.file_name().to_string_lossy().into_owned(), std::fs::read_to_string(f.path()).unwrap())).collect()
}

/// What `inspect` tells of a bundle, without the proof, which a schedule does not carry.
fn manifest(bundle: &Path, target: &str) -> serde_json::Value {
    let mut manifest: serde_json::Value = serde_json::from_str(&stdout(&["inspect", text(bundle), "--json"])).unwrap();
    manifest["targets"][target]["proof"] = serde_json::Value::Null;
    manifest["entries"].as_object_mut().unwrap().remove(&format!("{target}/rewrite.proof"));
    manifest
}

#[test]
fn an_emitted_schedule_builds_the_same_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let mut targets = vec![("cpu", "schedule,plan")];
    if cfg!(feature = "sm90") {
        targets.push(("sm_90a", "schedule,ptx,plan"));
    }
    for (target, stages) in targets {
        for model in [BLOCK, "examples/ffn24/ffn24.tri", "tests/headline/trilinear.tri"] {
            let (first, second) = (folder.path().join("first.tricot"), folder.path().join("second.tricot"));
            let common = ["--target", target, "--emit", stages];
            stdout(&[&["build", model, "-o", text(&first)], &common[..]].concat());
            let schedule = first.with_extension("dump").join(format!("{target}.schedule.sched"));
            stdout(&[&["build", text(&schedule), "--from", "schedule", "-o", text(&second)], &common[..]].concat());
            let (a, b) = (dumped(&first), dumped(&second));
            assert!(a.len() >= if target == "cpu" { 2 } else { 3 }, "{:?}", a.keys());
            assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>(), "{model}");
            for (name, content) in &a {
                assert!(*content == b[name], "{model}: {name} differs");
            }
            // Digests of every entry, code and weights included.
            let (a, b) = (manifest(&first, target), manifest(&second, target));
            assert!(a["entries"].as_object().is_some_and(|e| !e.is_empty()), "{a}");
            assert_eq!(a, b, "{model}");
            if target == "cpu" && model == BLOCK {
                let run = |bundle: &Path| {
                    let out = folder.path().join("y.npy");
                    let output = format!("y={}", text(&out));
                    stdout(&["run", text(bundle), "--set", "batch=2", "--device", "cpu", "--output", &output]);
                    std::fs::read(out).unwrap()
                };
                assert!(run(&first) == run(&second));
            }
            std::fs::remove_dir_all(first.with_extension("dump")).unwrap();
            std::fs::remove_dir_all(second.with_extension("dump")).unwrap();
        }
    }
}

#[test]
fn a_schedule_that_does_not_hold_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("m.tricot");
    stdout(&["build", BLOCK, "--emit", "schedule", "-o", text(&bundle)]);
    let schedule = bundle.with_extension("dump").join("cpu.schedule.sched");
    let weights = schedule.with_extension("safetensors");
    let whole = std::fs::read_to_string(&schedule).unwrap();
    let other = folder.path().join("other.sched");
    let build = |weights: &[&str]| {
        [&["build", text(&other), "--from", "schedule", "--stop-after", "schedule"], weights].concat().join("\n")
    };
    let refuse = |content: &str, weights: &[&str], code: &str| {
        std::fs::write(&other, content).unwrap();
        refused(&build(weights).split('\n').collect::<Vec<_>>(), code)
    };
    // All weights that are missing are named; given, the text is accepted.
    let message = refuse(&whole, &[], "TC0421");
    assert!(message.matches("TC0421").count() >= 4, "{message}");
    let given = ["--weights", text(&weights)];
    stdout(&build(&given).split('\n').collect::<Vec<_>>());
    let edit = |from: &str, to: &str| {
        let edited = whole.replacen(from, to, 1);
        assert_ne!(edited, whole, "{from} is not there");
        edited
    };
    refuse(&edit("schedule ", "plan "), &given, "TC0420");
    refuse(&edit("output \"y\" f32 [(batch) (96) (128)]", "output \"y\" f32 [(batch) (96) (64)]"), &given, "TC0422");
    refuse(&edit("output \"y\" f32 [(batch) (96) (128)]\n", ""), &given, "TC0422");
    refuse(&edit("bf16 [(128) (384)] weight", "bf16 [(128) (64)] weight"), &given, "TC0422");
    refuse(&edit("buffers 0 2 3", "buffers 0 2 99"), &given, "TC0422");
    refused(&["build", text(&schedule), "--from", "schedule", "--set", "batch=2"], "TC0918");
    refused(&["build", BLOCK, "--from", "ptx"], "TC0913");
}
