//! The examples through the whole corridor on the cpu target, numbers against the float64 reference.

use crate::{stdout, text};

fn verified(model: &str) {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("m.tricot");
    stdout(&["build", model, "-o", text(&bundle)]);
    let report = stdout(&["verify", text(&bundle), "--source", model, "--numerics"]);
    assert!(report.contains("relative error"), "{report}");
}

#[test]
fn simplex() {
    verified("examples/simplex/block.onnx");
}

#[test]
fn ffn24() {
    verified("examples/ffn24/ffn24.tri");
}

#[test]
fn the_projections_of_a_block_are_one_product() {
    let targets: &[&str] = if cfg!(feature = "sm90") { &["cpu", "sm_90a"] } else { &["cpu"] };
    for target in targets {
        let model = "examples/simplex/block.onnx";
        let schedule = stdout(&["build", model, "--target", target, "--emit", "schedule", "--stop-after", "schedule"]);
        let launches = |kind: &str| schedule.lines().filter(|l| l.starts_with(&format!("launch {kind}"))).count();
        // The five projections, the output's, and the two of the feed-forward part.
        assert_eq!((launches("contraction"), launches("attention")), (4, 1), "{target}: {schedule}");
    }
}

#[test]
fn a_build_reports_its_stages_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("m.tricot");
    let text_report = stdout(&["build", "examples/ffn24/ffn24.tri", "-o", text(&bundle), "--json"]);
    let report: serde_json::Value = serde_json::from_str(&text_report).unwrap();
    for stage in ["import", "rewrite", "schedule", "codegen", "bundle", "total"] {
        assert!(report["seconds"][stage].as_f64().is_some_and(|s| s >= 0.0), "{stage}: {text_report}");
    }
    assert!(report["targets"]["cpu"]["launches"].as_array().is_some_and(|l| !l.is_empty()), "{text_report}");
    assert_eq!(report["bundle_bytes"].as_u64(), Some(std::fs::metadata(&bundle).unwrap().len()));
}
