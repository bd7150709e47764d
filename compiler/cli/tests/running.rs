//! `tricot run` with values: arrays in and out, sizes, comparison, devices.

use crate::arrays::{npy, npz, read};
use crate::{refused, stdout, text, tricot};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// `y = relu(x)²` for any number of rows, a multiple of two; `z` sums each row.
const MODEL: &str = "module @m\nsymbol n {multiple = 2}\n\nfunc @main(%x: f32[n, 3]) {\n  \
    %r = core.map %x {fn = \"relu\"} : f32[n, 3]\n  %y = core.map %r {fn = \"square\"} : f32[n, 3]\n  \
    %z = core.reduce %x {axes = [1], kind = \"sum\"} : f32[n]\n  return \"y\" = %y, \"z\" = %z\n}\n";

/// The model as text and as a bundle.
fn forms(folder: &Path) -> [String; 2] {
    let (model, bundle) = (folder.join("m.tri"), folder.join("m.tricot"));
    std::fs::write(&model, MODEL).unwrap();
    stdout(&["build", text(&model), "-o", text(&bundle)]);
    [model, bundle].map(|p: PathBuf| text(&p).to_string())
}

const BLOCK: &str = "examples/simplex/block.onnx";

const X: [f32; 6] = [1.5, -2.0, 3.0, -0.5, 0.25, 4.0];
const Y: [f32; 6] = [2.25, 0.0, 9.0, 0.0, 0.0625, 16.0];
const Z: [f32; 2] = [2.5, 3.75];

#[test]
fn arrays_go_in_and_come_out() {
    let folder = tempfile::tempdir().unwrap();
    let x = npy(folder.path(), "x", &[2, 3], &X);
    for subject in forms(folder.path()) {
        let (y, z) = (folder.path().join("y.npy"), folder.path().join("z.npy"));
        let (to_y, to_z) = (format!("y={}", text(&y)), format!("z={}", text(&z)));
        let x = format!("x={x}");
        stdout(&["run", &subject, "--device", "cpu", "--input", &x, "--output", &to_y, "--output", &to_z]);
        assert_eq!(read(&y), (vec![2, 3], Y.to_vec()), "{subject}");
        assert_eq!(read(&z), (vec![2], Z.to_vec()), "{subject}");
        refused(&["run", &subject, "--device", "cpu", "--output", "w=w.npy"], "TC0915");
        std::fs::remove_file(&y).unwrap();
    }
}

#[test]
fn set_gives_random_inputs_their_size() {
    let folder = tempfile::tempdir().unwrap();
    for subject in forms(folder.path()) {
        let run = |seed: &str| {
            let y = folder.path().join("y.npy");
            let to = format!("y={}", text(&y));
            let input = format!("x=random:{seed}");
            let args =
                ["run", &subject, "--device", "cpu", "--set", "n=4", "--input", &input, "--output", &to, "--json"];
            let report: Value = serde_json::from_str(&stdout(&args)).unwrap();
            assert_eq!(report["outputs"]["y"]["shape"], serde_json::json!([4, 3]), "{report}");
            assert_eq!(report["device"], "cpu");
            assert!(report["outputs"]["y"]["rms"].as_f64().is_some_and(|r| r > 0.0), "{report}");
            read(&y)
        };
        let (shape, values) = run("7");
        assert_eq!(shape, [4, 3]);
        assert_eq!(run("7").1, values, "the same seed gives the same values");
        assert_ne!(run("8").1, values, "another seed gives others");
    }
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let x = format!("x={}", npy(folder.path(), "x", &[2, 3], &X));
    for subject in forms(folder.path()) {
        let message = refused(&["run", &subject, "--device", "cpu", "--set", "n=4", "--input", &x], "TC0804");
        assert!(message.contains("axis 0 of input `x` is 2, it should be 4"), "{message}");
        stdout(&["run", &subject, "--device", "cpu", "--set", "n=2", "--input", &x]);
        let message = refused(&["run", &subject, "--device", "cpu", "--set", "n=3"], "TC0806");
        assert!(message.contains("3 is not a multiple of 2") && message.contains("help"), "{message}");
        let message = refused(&["run", &subject, "--device", "cpu", "--set", "q=4"], "TC0805");
        assert!(message.contains("there is no symbol `q`") && message.contains("the symbols are: n"), "{message}");
        refused(&["run", &subject, "--device", "cpu", "--set", "n"], "TC0912");
        refused(&["run", &subject, "--device", "cpu", "--input", "x=random:seven"], "TC0915");
    }
}

/// `y` repeats `x` as often as `n` says; no input's shape tells `n`.
const FREE: &str = "module @m\nsymbol n {hint = 5}\n\nfunc @main(%x: f32[3]) {\n  \
    %y = core.broadcast %x {axes = [1], shape = [n, 3]} : f32[n, 3]\n  return \"y\" = %y\n}\n";

#[test]
fn sizes_that_no_input_tells_must_be_set() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("free.tri");
    std::fs::write(&model, FREE).unwrap();
    let y = folder.path().join("y.npy");
    let (to, x) = (format!("y={}", text(&y)), format!("x={}", npy(folder.path(), "x", &[3], &X[..3])));
    let run = ["run", text(&model), "--device", "cpu", "--input", &x, "--output", &to];
    let message = refused(&run, "TC0805");
    assert!(message.contains("symbol `n` is not bound") && message.contains("`--set n=5`"), "{message}");
    assert!(!y.exists());
    stdout(&[&run[..], &["--set", "n=2"]].concat());
    assert_eq!(read(&y), (vec![2, 3], [&X[..3], &X[..3]].concat()));
}

#[test]
fn an_onnx_model_runs_at_the_batch_that_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let y = folder.path().join("y.npy");
    let to = format!("y={}", text(&y));
    for batch in ["batch=4", "batch=1"] {
        stdout(&["run", BLOCK, "--device", "cpu", "--set", batch, "--input", "x=random:3", "--output", &to]);
        assert_eq!(format!("batch={}", read(&y).0[0]), batch);
    }
}

#[test]
fn comparison_measures_and_judges() {
    let folder = tempfile::tempdir().unwrap();
    let [_, bundle] = forms(folder.path());
    let x = format!("x={}", npy(folder.path(), "x", &[2, 3], &X));
    let run = |reference: &str, more: &[&str]| {
        let args = ["run", &bundle, "--device", "cpu", "--input", &x, "--compare", reference, "--json"];
        tricot(&[&args[..], more].concat())
    };
    let good = npz(folder.path(), "good", "y", &[2, 3], &Y);
    let out = run(&good, &[]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(report["outputs"]["y"]["relative_error"], 0.0, "{report}");
    assert!(report["outputs"]["z"].get("relative_error").is_none(), "{report}");

    let off = npz(folder.path(), "off", "y", &[2, 3], &Y.map(|v| v * 1.1));
    let out = run(&off, &[]);
    assert_eq!(out.status.code(), Some(1));
    let message = String::from_utf8_lossy(&out.stderr);
    assert!(message.contains("TC0920") && message.contains("output `y` is off by 9.09"), "{message}");
    assert!(run(&off, &["--bound", "0.2"]).status.success());

    for (name, array, shape) in [("other", "w", [2, 3]), ("turned", "y", [3, 2])] {
        let out = run(&npz(folder.path(), name, array, &shape, &Y), &[]);
        assert_eq!(out.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&out.stderr).contains("TC0916"), "{name}");
    }
    refused(&["run", &bundle, "--device", "cpu", "--compare", text(&folder.path().join("none.npz"))], "TC0903");
}

#[test]
fn the_digest_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let [_, bundle] = forms(folder.path());
    let listing = stdout(&["inspect", &bundle]);
    let digest = listing.lines().find_map(|l| l.strip_prefix("digest  ")).expect("a digest");
    stdout(&["run", &bundle, "--device", "cpu", "--digest", digest]);
    refused(&["run", &bundle, "--device", "cpu", "--digest", &"0".repeat(64)], "TC0709");
    refused(&["run", &bundle, "--device", "cpu", "--digest", "short"], "TC0914");
}

#[test]
fn a_model_may_be_rewritten_with_a_budget() {
    let run = |more: &[&str]| stdout(&[&["run", "tests/headline/winograd.tri", "--device", "cpu"], more].concat());
    for more in [&[][..], &["--max-rel-err", "1e-4", "--winograd", "f43"]] {
        assert!(run(more).contains("y: f32[1, 64, 28, 28]"));
    }
    for bad in [["--max-rel-err", "-1"], ["--max-rel-err", "nan"], ["--winograd", "f99"]] {
        let args = [&["run", "tests/headline/winograd.tri"][..], &bad].concat();
        assert_eq!(tricot(&args).status.code(), Some(2), "{bad:?}");
    }
}
