//! `tricot bench`: its table, its JSON, its plot, on the processor and on a fake driver.

use crate::devices::with_driver;
use crate::{refused, stdout, text};
use serde_json::Value;

const MODEL: &str = "module @m\nsymbol n {multiple = 8, hint = 64}\n\nfunc @main(%x: f32[n, 32], %w: f32[32, 16]) {\n  \
    %y = core.contract %x, %w {dtype = f32, spec = \"nk,km->nm\"} : f32[n, 16]\n  \
    %z = nn.softmax %y {axis = 1} : f32[n, 16]\n  return \"z\" = %z\n}\n";

fn bundle(folder: &std::path::Path, target: &str) -> String {
    let (model, bundle) = (folder.join("m.tri"), folder.join("m.tricot"));
    std::fs::write(&model, MODEL).unwrap();
    stdout(&["build", text(&model), "--target", target, "-o", text(&bundle)]);
    text(&bundle).into()
}

const SHORT: [&str; 4] = ["--warm-up", "0", "--seconds", "0.02"];

fn positive(value: &Value) -> bool {
    value.as_f64().is_some_and(|v| v > 0.0)
}

#[test]
fn times_and_work_of_every_kernel_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path(), "cpu");
    let plot = folder.path().join("roofline.svg");
    let arguments =
        ["bench", &bundle, "--device", "cpu", "--set", "n=80", "--json", "--rotate", "1", "--plot", text(&plot)];
    let report: Value = serde_json::from_str(&stdout(&[&arguments[..], &SHORT].concat())).unwrap();
    assert_eq!(report["symbols"]["n"], 80);
    // 80 x 32 inputs, the weights and 80 x 16 outputs of four bytes; a megabyte of them.
    let each = 4 * (80 * 32 + 32 * 16 + 80 * 16);
    assert_eq!(report["sets"].as_u64().unwrap(), 1_000_000u64.div_ceil(each));
    let kernels = report["kernels"].as_array().unwrap();
    assert!(!kernels.is_empty());
    for line in kernels.iter().chain([&report["plan"]]) {
        assert!(["median", "p10", "p90", "tflops", "gbps", "roofline"].iter().all(|k| positive(&line[*k])), "{line}");
        assert!(line["p10"].as_f64() <= line["median"].as_f64() && line["median"].as_f64() <= line["p90"].as_f64());
    }
    let product = kernels.iter().find(|k| k["units"]["matrix"] == "f32").expect("a kernel multiplies");
    assert_eq!(product["flops"], 2.0 * 80.0 * 32.0 * 16.0);
    let svg = std::fs::read_to_string(plot).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains(product["name"].as_str().unwrap()), "{svg}");
}

#[test]
fn the_table_names_the_plan_and_the_ceilings() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path(), "cpu");
    let table = stdout(&[&["bench", &bundle, "--device", "cpu"][..], &SHORT].concat());
    for word in ["n = 64", "plan", "roofline", "ceilings: "] {
        assert!(table.contains(word), "no `{word}` in\n{table}");
    }
}

#[test]
#[cfg(feature = "sm90")]
fn runs_on_a_device_rotate_replay_and_are_timed_by_events() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path(), "sm_90a");
    let arguments = ["bench", &bundle, "--device", "cuda", "--json", "--rotate", "1"];
    let out = with_driver("idle", &[&arguments[..], &SHORT].concat());
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(report["target"], "sm_90a");
    assert!(report["sets"].as_u64() >= Some(3));
    assert_eq!(report["replayed"], report["kernels"].as_array().unwrap().len() > 1);
    assert!(report["kernels"].as_array().unwrap().iter().all(|k| positive(&k["flops"]) && positive(&k["samples"])));
}

#[test]
fn what_cannot_be_timed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path(), "cpu");
    refused(&["bench", &bundle, "--device", "cpu", "--set", "n=7"], "TC0806");
    refused(&["bench", &bundle, "--device", "cpu", "--set", "m=7"], "TC0805");
    refused(&["bench", text(&folder.path().join("none.tricot"))], "TC0701");
    refused(&["bench", &bundle, "--device", "cpu", "--digest", &"0".repeat(64)], "TC0709");
}
