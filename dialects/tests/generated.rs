//! Files generated from the registry are the ones checked in, and stock tools read them. `UPDATE=1` writes them anew.

use crate::samples::{SAMPLES, module};
use std::path::{Path, PathBuf};
use std::process::Command;
use tricot_dialects::irdl::{dialects, irdl};
use tricot_dialects::page::op_reference;
use tricot_dialects::text::print_mlir;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn compare(path: &Path, want: &str) {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, want).unwrap();
    }
    let have = std::fs::read_to_string(path).unwrap_or_default();
    assert!(have == want, "{} is out of step; UPDATE=1 cargo test -p tricot-dialects writes it", path.display());
}

#[test]
fn irdl_files_are_in_step() {
    let folder = root().join("irdl");
    for dialect in dialects() {
        compare(&folder.join(format!("{dialect}.mlir")), &irdl(dialect).unwrap());
    }
    let mut files: Vec<String> =
        std::fs::read_dir(&folder).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    assert_eq!(files, dialects().iter().map(|d| format!("{d}.mlir")).collect::<Vec<_>>());
    assert_eq!(irdl("nonsense"), None);
}

#[test]
fn the_op_reference_is_in_step() {
    compare(&root().join("../docs/reference/ops.md"), &op_reference());
}

fn mlir_opt() -> Option<PathBuf> {
    let known = PathBuf::from("/usr/lib/llvm-22/bin/mlir-opt");
    let on_path = || Command::new("mlir-opt-22").arg("--version").output().is_ok().then(|| "mlir-opt-22".into());
    if known.exists() { Some(known) } else { on_path() }
}

/// Runs `mlir-opt` over a text; its complaints if it refuses.
fn check(tool: &Path, folder: &Path, text: &str) -> Result<(), String> {
    let (dialect_file, graph) = (folder.join("all.mlir"), folder.join("graph.mlir"));
    let all: String = dialects().into_iter().map(|d| irdl(d).unwrap()).collect();
    std::fs::write(&dialect_file, all).unwrap();
    std::fs::write(&graph, text).unwrap();
    let out = Command::new(tool)
        .arg(format!("--irdl-file={}", dialect_file.display()))
        .args(["--split-input-file".as_ref(), graph.as_os_str()])
        .output()
        .unwrap();
    if out.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
}

#[test]
fn stock_mlir_opt_reads_printed_graphs() {
    let Some(tool) = mlir_opt() else {
        println!("no mlir-opt of LLVM 22 here; printed graphs were not checked against it");
        return;
    };
    let folder = std::env::temp_dir().join(format!("tricot-irdl-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let texts: Vec<String> = SAMPLES.iter().map(|s| print_mlir(&module(s))).collect();
    let good = check(&tool, &folder, &texts.join("// -----\n"));
    // It must be able to refuse: a wrong attribute kind, a missing operand.
    let softmax = print_mlir(&module("%x: f32[b, 4] | %y = nn.softmax %x {axis = 1} : f32[b, 4]"));
    let bad_kind = check(&tool, &folder, &softmax.replace("axis = 1 : i64", "axis = \"1\""));
    let bad_arity = check(&tool, &folder, &softmax.replace("(%x)", "(%x, %x)").replace(": (", ": (tensor<4xf32>, "));
    std::fs::remove_dir_all(&folder).unwrap();
    good.unwrap_or_else(|e| panic!("{e}"));
    assert!(bad_kind.is_err() && bad_arity.is_err());
}

#[test]
fn mlir_text_names_sizes_and_encodings() {
    let text = print_mlir(&module(
        "%x: f16[b, 3, 8*s] | %v, %m = sparse24.compress %x {axis = 2} : f16[b, 3, 4*s, sparse24<2>], u8[b, 3, s]",
    ));
    let want = r#"%v, %m = "sparse24.compress"(%x) {axis = 2 : i64, by = "magnitude"} : (tensor<?x3x?xf16, #tricot.sym<["b", "8*s"]>>) -> (tensor<?x3x?xf16, #tricot.enc<["b", "4*s"], "sparse24<2>">>, tensor<?x3x?xui8, #tricot.sym<["b", "s"]>>)"#;
    assert!(text.contains(want), "{text}");
}

#[test]
fn calls_are_those_of_mlir() {
    let text = r#"module @m
symbol b

func @half(%x: f32[b, 4], %y: f32[4]) {
  %z = nn.gelu %x : f32[b, 4]
  return "z" = %z, "y" = %y
}

func @main(%x: f32[b, 4], %y: f32[4]) {
  %z, %w = core.call %x, %y {callee = @half} : f32[b, 4], f32[4]
  return "z" = %z, "w" = %w
}
"#;
    let m = tricot_dialects::text::parse("m", text, &Default::default()).unwrap_or_else(|e| panic!("{}", e[0]));
    let printed = print_mlir(&m);
    assert!(printed.contains("%z, %w = func.call @half(%x, %y) : ("), "{printed}");
    if let Some(tool) = mlir_opt() {
        let folder = std::env::temp_dir().join(format!("tricot-irdl-call-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let result = check(&tool, &folder, &printed);
        std::fs::remove_dir_all(&folder).unwrap();
        result.unwrap_or_else(|e| panic!("{e}"));
    }
}
