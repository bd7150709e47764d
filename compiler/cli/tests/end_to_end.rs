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

#[cfg(feature = "sm90")]
#[test]
fn constant_weights_reach_the_tensor_cores_however_they_lie() {
    // Ragged columns and 8-bit floats are no layout for bulk copies; as an input they stay what they are, as constants they are packed.
    for (dtype, columns) in [("bf16", 50), ("f8e4m3", 48)] {
        let values: Vec<String> = (0..64 * columns).map(|i| format!("{}.0", i % 7 - 3)).collect();
        let constant =
            format!("  %w = core.constant {{value = dense<[{}]>}} : {dtype}[64, {columns}]\n", values.join(", "));
        for (input, body, family) in
            [(String::new(), constant, "wgmma"), (format!(", %w: {dtype}[64, {columns}]"), String::new(), "simt")]
        {
            let text_of_model = format!(
                "module @ragged\nsymbol t {{min = 1}}\n\nfunc @main(%x: {dtype}[t, 64]{input}) {{\n{body}  %y = core.contract %x, %w {{spec = \"mk,kn->mn\", dtype = bf16}} : bf16[t, {columns}]\n  return \"y\" = %y\n}}\n"
            );
            let folder = tempfile::tempdir().unwrap();
            let (model, bundle) = (folder.path().join("m.tri"), folder.path().join("m.tricot"));
            std::fs::write(&model, text_of_model).unwrap();
            let report = stdout(&["build", text(&model), "--target", "sm_90a", "-o", text(&bundle), "--json"]);
            let report: serde_json::Value = serde_json::from_str(&report).unwrap();
            let choice = report["targets"]["sm_90a"]["launches"][0]["choice"].as_str().unwrap();
            assert!(choice.starts_with(family), "{dtype}: {choice}");
        }
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
