//! The three headline ops at every stage. Text that people read is kept whole, kernel code as a count of its instructions.

use crate::{stdout, text};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};

type Files = BTreeMap<String, String>;

/// Dumps of (op, target), made once a process.
static DUMPS: LazyLock<Mutex<BTreeMap<(String, String), Files>>> = LazyLock::new(Mutex::default);

fn dump(op: &str, target: &str) -> Files {
    let mut dumps = DUMPS.lock().unwrap_or_else(|e| e.into_inner());
    let key = (op.to_string(), target.to_string());
    if let Some(files) = dumps.get(&key) {
        return files.clone();
    }
    let folder = tempfile::tempdir().unwrap();
    let model = format!("tests/headline/{op}.tri");
    let bundle = folder.path().join("m.tricot");
    let stages = if target == "cpu" { "graph,rewrite,schedule,plan" } else { "rewrite,schedule,mlir,llvm,ptx,plan" };
    let winograd = if op == "winograd" { "f43" } else { "auto" };
    let budget = if op == "winograd" { "1e-4" } else { "0" };
    stdout(&[
        "build",
        &model,
        "--target",
        target,
        "--emit",
        stages,
        "-o",
        text(&bundle),
        "--winograd",
        winograd,
        "--max-rel-err",
        budget,
    ]);
    let mut files = Files::new();
    for entry in std::fs::read_dir(bundle.with_extension("dump")).unwrap().flatten() {
        files.insert(entry.file_name().to_string_lossy().into_owned(), std::fs::read_to_string(entry.path()).unwrap());
    }
    dumps.insert(key, files.clone());
    files
}

/// How often each instruction occurs, without its operands and register numbers.
fn count(code: &str) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in code.lines().map(str::trim) {
        let after = line.split_once(" = ").map_or(line, |(_, right)| right);
        let after = after.strip_prefix('@').and_then(|p| p.split_once(' ')).map_or(after, |(_, right)| right.trim());
        let word = after.split([' ', '(', '\t', ';', '<']).next().unwrap_or_default().trim_matches('"');
        let instruction =
            !word.is_empty() && word.starts_with(|c: char| c.is_ascii_lowercase()) && !word.ends_with(':');
        if instruction {
            *counts.entry(word).or_default() += 1;
        }
    }
    counts.iter().map(|(word, n)| format!("{n:6} {word}\n")).collect()
}

fn check(op: &str, target: &str, stage: &str) {
    let files = dump(op, target);
    let mut out = String::new();
    for (name, content) in &files {
        let of_stage = name.contains(&format!("{stage}.")) && !name.ends_with(".proof");
        if !of_stage {
            continue;
        }
        let body = if matches!(stage, "mlir" | "llvm" | "ptx") { count(content) } else { content.clone() };
        out += &format!("== {name}\n{body}");
    }
    assert!(!out.is_empty(), "{op} for {target} has no stage {stage}: {:?}", files.keys());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(format!("{op}.{target}.{stage}"), out));
}

macro_rules! snapshots {
    ($($name:ident: $op:literal $target:literal $stage:literal;)*) => {
        $(#[test] fn $name() { check($op, $target, $stage); })*
    };
}

snapshots! {
    trilinear_cpu_graph: "trilinear" "cpu" "graph";
    trilinear_cpu_rewrite: "trilinear" "cpu" "rewrite";
    trilinear_cpu_schedule: "trilinear" "cpu" "schedule";
    trilinear_cpu_plan: "trilinear" "cpu" "plan";
    sparse24_cpu_graph: "sparse24" "cpu" "graph";
    sparse24_cpu_rewrite: "sparse24" "cpu" "rewrite";
    sparse24_cpu_schedule: "sparse24" "cpu" "schedule";
    sparse24_cpu_plan: "sparse24" "cpu" "plan";
    winograd_cpu_graph: "winograd" "cpu" "graph";
    winograd_cpu_rewrite: "winograd" "cpu" "rewrite";
    winograd_cpu_schedule: "winograd" "cpu" "schedule";
    winograd_cpu_plan: "winograd" "cpu" "plan";
}

#[cfg(feature = "sm90")]
snapshots! {
    trilinear_sm90_rewrite: "trilinear" "sm_90a" "rewrite";
    trilinear_sm90_schedule: "trilinear" "sm_90a" "schedule";
    trilinear_sm90_mlir: "trilinear" "sm_90a" "mlir";
    trilinear_sm90_llvm: "trilinear" "sm_90a" "llvm";
    trilinear_sm90_ptx: "trilinear" "sm_90a" "ptx";
    trilinear_sm90_plan: "trilinear" "sm_90a" "plan";
    sparse24_sm90_rewrite: "sparse24" "sm_90a" "rewrite";
    sparse24_sm90_schedule: "sparse24" "sm_90a" "schedule";
    sparse24_sm90_mlir: "sparse24" "sm_90a" "mlir";
    sparse24_sm90_llvm: "sparse24" "sm_90a" "llvm";
    sparse24_sm90_ptx: "sparse24" "sm_90a" "ptx";
    sparse24_sm90_plan: "sparse24" "sm_90a" "plan";
    winograd_sm90_rewrite: "winograd" "sm_90a" "rewrite";
    winograd_sm90_schedule: "winograd" "sm_90a" "schedule";
    winograd_sm90_mlir: "winograd" "sm_90a" "mlir";
    winograd_sm90_llvm: "winograd" "sm_90a" "llvm";
    winograd_sm90_ptx: "winograd" "sm_90a" "ptx";
    winograd_sm90_plan: "winograd" "sm_90a" "plan";
}
