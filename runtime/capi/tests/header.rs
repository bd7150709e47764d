//! `include/*.h` are what cbindgen makes of the sources. `UPDATE=1` writes them anew.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The header that cbindgen makes of these sources.
fn generate(config: &str, sources: &str) -> String {
    let config = cbindgen::Config::from_file(root().join(config)).unwrap();
    let mut builder = cbindgen::Builder::new().with_config(config);
    let mut files: Vec<_> = std::fs::read_dir(root().join(sources)).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    for file in files.into_iter().filter(|f| f.extension().is_some_and(|e| e == "rs")) {
        builder = builder.with_src(file);
    }
    let mut out = vec![];
    builder.generate().unwrap().write(&mut out);
    // What Rust calls safety, C calls a precondition.
    String::from_utf8(out).unwrap().replace(" * # Safety\n", " * Requires:\n")
}

fn check(header: &str, config: &str, sources: &str) {
    let (path, fresh) = (root().join("include").join(header), generate(config, sources));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let line = committed.lines().zip(fresh.lines()).position(|(a, b)| a != b);
    assert!(
        committed == fresh,
        "include/{header} differs from the sources (line {line:?}); `cargo xtask docs` writes it anew"
    );
}

#[test]
fn the_header_of_the_runtime_is_up_to_date() {
    check("tricot.h", "runtime/capi/cbindgen.toml", "runtime/capi/src");
}

#[test]
fn the_header_of_the_compiler_is_up_to_date() {
    check("tricot_compiler.h", "compiler/capi/cbindgen.toml", "compiler/capi/src");
}

/// Every function says which threads may call it; what C can look at carries its version.
#[test]
fn every_function_says_its_thread_rule() {
    let mut seen = 0;
    for header in ["tricot.h", "tricot_compiler.h"] {
        let text = std::fs::read_to_string(root().join("include").join(header)).unwrap();
        for block in text.split("/**").skip(1) {
            let Some((comment, declaration)) = block.split_once("*/") else { continue };
            let declaration = declaration.split(';').next().unwrap_or_default();
            if !declaration.contains(" *tricot_") && !declaration.contains(" tricot_") {
                continue; // A type or a constant.
            }
            let comment: String =
                comment.split([' ', '\n', '*']).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ");
            let told = ["Any thread.", "One thread at a time.", "Once, from any thread."];
            assert!(told.iter().any(|w| comment.contains(w)), "{header} does not say who may call{declaration}");
            seen += 1;
        }
    }
    assert!(seen >= 30, "only {seen} functions were found");
}
