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
fn a_model_is_compiled_once_where_there_is_a_cache() {
    let folder = tempfile::tempdir().unwrap();
    let (model, cache) = (folder.path().join("m.tri"), folder.path().join("cache"));
    std::fs::write(&model, MODEL).unwrap();
    let run = |size: &str| {
        let args = ["run", text(&model), "--device", "cpu", "--set", size, "--json", "--cache", text(&cache)];
        let report: Value = serde_json::from_str(&stdout(&args)).unwrap();
        let entries = std::fs::read_dir(&cache).unwrap().map(|e| e.unwrap().path());
        let used = |p: &PathBuf| p.metadata().unwrap().modified().unwrap();
        (report["outputs"].clone(), entries.map(|p| (used(&p), p)).collect::<Vec<_>>())
    };
    let (outputs, first) = run("n=4");
    let (again, second) = run("n=4");
    assert_eq!(outputs, again);
    assert!(
        first.len() == 1 && second.len() == 1 && first[0].1 == second[0].1 && first[0].0 < second[0].0,
        "{second:?}"
    );
    assert_eq!(run("n=6").1.len(), 2, "other sizes are another entry");
    refused(&["run", text(&model), "--device", "cpu", "--cache", text(&model)], "TC0940");
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
    // A bundle's sizes are bound at the run, a model's fixed when it is compiled.
    let codes = [("TC0911", "TC0910"), ("TC0806", "TC0805")];
    for (subject, (promise, unknown)) in forms(folder.path()).iter().zip(codes) {
        let message = refused(&["run", subject, "--device", "cpu", "--set", "n=4", "--input", &x], "TC0804");
        assert!(message.contains("axis 0 of input `x` is 2, it should be 4"), "{message}");
        stdout(&["run", subject, "--device", "cpu", "--set", "n=2", "--input", &x]);
        let message = refused(&["run", subject, "--device", "cpu", "--set", "n=3"], promise);
        assert!(message.contains("3 is not a multiple of 2") && message.contains("help"), "{message}");
        let message = refused(&["run", subject, "--device", "cpu", "--set", "q=4"], unknown);
        assert!(
            message.contains("no symbol `q`") && message.contains("help: ") && message.contains(": n"),
            "{message}"
        );
        refused(&["run", subject, "--device", "cpu", "--set", "n"], "TC0912");
        refused(&["run", subject, "--device", "cpu", "--input", "x=random:seven"], "TC0915");
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
    let x = format!("x={}", npy(folder.path(), "x", &[2, 96, 128], &[0.5; 2 * 96 * 128]));
    let message = refused(&["run", BLOCK, "--device", "cpu", "--set", "batch=4", "--input", &x], "TC0804");
    assert!(message.contains("axis 0 of input `x` is 2, it should be 4"), "{message}");
    stdout(&["run", BLOCK, "--device", "cpu", "--input", &x, "--output", &to]);
    assert_eq!(read(&y).0[0], 2, "without --set the array decides");
}

/// A field of a protobuf message that holds bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(bytes.len()).expect("a small message")], bytes].concat()
}

/// An ONNX value of f32: sizes that are numbers stand for themselves.
fn value(name: &str, shape: &[&str]) -> Vec<u8> {
    let dim = |d: &&str| match d.parse::<u8>() {
        Ok(n) => field(1, &[1 << 3, n]),
        Err(_) => field(1, &field(2, d.as_bytes())),
    };
    let shape: Vec<u8> = shape.iter().flat_map(dim).collect();
    let tensor = [vec![1 << 3, 1], field(2, &shape)].concat();
    [field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat()
}

/// A convolution whose filter count is a symbol can be imported only when its size is given.
#[test]
fn set_reaches_the_import() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("conv.onnx");
    let node = [field(1, b"x"), field(1, b"w"), field(2, b"y"), field(3, b"the_conv"), field(4, b"Conv")].concat();
    let (x, w, y) =
        (value("x", &["1", "1", "2", "2"]), value("w", &["o", "1", "1", "1"]), value("y", &["1", "o", "2", "2"]));
    let graph = [field(1, &node), field(2, b"g"), field(11, &x), field(11, &w), field(12, &y)].concat();
    let opset = [field(1, b""), vec![2 << 3, 17]].concat();
    std::fs::write(&model, [vec![1 << 3, 8], field(7, &graph), field(8, &opset)].concat()).unwrap();
    let message = refused(&["run", text(&model), "--device", "cpu"], "TC0209");
    assert!(message.contains("the filter must have a static shape") && message.contains("the_conv"), "{message}");
    assert!(message.contains("help: give the symbols values with --set"), "{message}");
    let (x, w) = (
        npy(folder.path(), "x", &[1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0]),
        npy(folder.path(), "w", &[2, 1, 1, 1], &[2.0, -1.0]),
    );
    let out = folder.path().join("y.npy");
    let (x, w, to) = (format!("x={x}"), format!("w={w}"), format!("y={}", text(&out)));
    let run = ["run", text(&model), "--device", "cpu", "--set", "o=2", "--input", &x, "--input", &w, "--output", &to];
    stdout(&run);
    assert_eq!(read(&out), (vec![1, 2, 2, 2], vec![2.0, 4.0, 6.0, 8.0, -1.0, -2.0, -3.0, -4.0]));
    refused(&["build", text(&model), "--set", "p=2", "-o", text(&folder.path().join("m.tricot"))], "TC0209");
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
