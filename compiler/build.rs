//! Gives the compiler a fingerprint of its own sources, by which cached bundles of another compiler are told apart.

use std::path::{Path, PathBuf};

/// What decides about a bundle's bytes, relative to the repository's root.
const SOURCES: [&str; 4] = ["dialects", "compiler", "runtime/plan", "Cargo.lock"];
/// Folders below them that do not.
const OTHERS: [&str; 5] = ["tests", "target", "capi", "cli", "snapshots"];

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = vec![];
    for source in SOURCES {
        println!("cargo:rerun-if-changed={}", root.join(source).display());
        collect(&root.join(source), &mut files);
    }
    files.sort();
    let mut hasher = blake3::Hasher::new();
    for file in files {
        let name = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
        let bytes = std::fs::read(&file).unwrap_or_default();
        hasher.update(format!("{name}\0{}\0", bytes.len()).as_bytes()).update(&bytes);
    }
    println!("cargo:rustc-env=TRICOT_SOURCES={}", hasher.finalize().to_hex());
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if path.is_dir() && !OTHERS.contains(&&*name) {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            collect(&entry.path(), files);
        }
    } else if name.ends_with(".rs") || name == "Cargo.lock" {
        files.push(path.to_path_buf());
    }
}
