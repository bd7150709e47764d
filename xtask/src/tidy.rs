//! House rules a compiler does not check: who may depend on whom, what may not be called, how long a file may be.

use crate::run::{Outcome, cargo, output, root};
use std::fs;
use std::path::{Path, PathBuf};

/// (package, crates it must not reach).
const BANNED_DEPENDENCIES: &[(&str, &[&str])] = &[
    ("tricot-dialects", &["tricot-kernel", "tricot-compiler", "tricot-runtime", "egg", "melior", "inkwell", "cudarc"]),
    (
        "tricot-runtime",
        &["tricot-dialects", "tricot-compiler", "tricot-kernel", "egg", "melior", "inkwell", "cranelift-codegen"],
    ),
    (
        "tricot-capi",
        &["tricot-dialects", "tricot-compiler", "tricot-kernel", "egg", "melior", "inkwell", "cranelift-codegen"],
    ),
    (
        "tricot-ptxsim",
        &[
            "tricot-dialects",
            "tricot-compiler",
            "tricot-kernel",
            "tricot-runtime",
            "melior",
            "inkwell",
            "cudarc",
            "libloading",
        ],
    ),
    ("tricot-bench", &["tricot-dialects", "tricot-compiler", "tricot-kernel"]),
    ("tricot-proof", &["egg"]),
    ("tricot-kernel", &["tricot-dialects"]),
    ("tricot-codegen", &["tricot-dialects", "egg"]),
    ("tricot-python", &["melior", "inkwell", "tricot-codegen"]),
    ("tricot-cpu", &["tricot-dialects", "egg", "melior", "inkwell"]),
];

/// (folder, text that must not occur in its Rust files, why).
const BANNED_TEXT: &[(&str, &str, &str)] = &[
    ("compiler/rewrite/src", "get_flat_", "flat explanations grow quadratically; walk the tree by pointer"),
    ("compiler/rewrite/src", "MultiPattern", "its unions carry no justification"),
    ("compiler/rewrite/src/rules", "sm_90", "rewrites know no target; cost and schedule do"),
];

const MAX_LINES: usize = 800;

/// Checks them all and reports every breach.
pub fn tidy() -> Outcome {
    let mut breaches = vec![];
    for (package, banned) in BANNED_DEPENDENCIES {
        let tree = output(cargo(&["tree", "--package", package, "--edges", "normal", "--prefix", "none"]))?;
        for name in *banned {
            if tree.lines().any(|l| l.split(' ').next() == Some(name)) {
                breaches.push(format!("{package} depends on {name}"));
            }
        }
    }
    for (folder, text, why) in BANNED_TEXT {
        for file in rust_files(&root().join(folder)) {
            let content = fs::read_to_string(&file).unwrap_or_default();
            if let Some(line) = content.lines().position(|l| l.contains(text)) {
                breaches.push(format!("{}:{}: `{text}` is banned: {why}", shown(&file), line + 1));
            }
        }
    }
    for folder in ["dialects", "compiler", "runtime", "bench", "tests", "xtask", "examples", "python"] {
        for file in rust_files(&root().join(folder)) {
            let content = fs::read_to_string(&file).unwrap_or_default();
            let lines = content.lines().count();
            let generated = content.starts_with("// @generated");
            if lines > MAX_LINES && !generated {
                breaches
                    .push(format!("{} has {lines} lines, more than {MAX_LINES}; split it at a concept", shown(&file)));
            }
            let documented = generated || content.trim_start().starts_with("//!") || content.starts_with("#!");
            if !documented && content.lines().count() > 0 {
                breaches.push(format!("{} does not say what it is (no `//!` at the top)", shown(&file)));
            }
        }
    }
    match breaches.is_empty() {
        true => Ok(()),
        false => Err(format!("{} house rules are broken:\n  {}", breaches.len(), breaches.join("\n  "))),
    }
}

fn shown(file: &Path) -> String {
    file.strip_prefix(root()).unwrap_or(file).display().to_string()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return vec![] };
    let mut paths: Vec<_> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    let mut out = vec![];
    for path in paths {
        if path.is_dir() && path.file_name().is_some_and(|n| n != "target") {
            out.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
    out
}
