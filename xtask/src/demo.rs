//! `cargo xtask demo`: from nothing to three models compiled, run and checked.

use crate::run::{Outcome, cargo, check, command, root};
use crate::setup;
use std::path::PathBuf;
use std::process::Command;

/// Python packages the example and conformance scripts need.
pub const PYTHON_PACKAGES: &[&str] = &["onnx==1.23.0", "numpy"];

/// Installs, builds, and runs the first three examples on the best device present.
pub fn demo() -> Outcome {
    let tools = setup::setup()?;
    let vgg = root().join("target/examples/vgg19.onnx");
    if !vgg.exists() {
        println!("making examples/vgg: VGG-19 with seeded He-normal weights (574 MB, in target/examples)");
        check(python(&["examples/vgg/make.py", &vgg.to_string_lossy()])?)?;
    }
    let mut words = vec!["run", "--release", "--quiet", "--package", "tricot-tests", "--bin", "demo"];
    if !tools.llvm {
        words.push("--no-default-features");
    }
    println!("building in release mode (minutes the first time)");
    let mut run = cargo(&words);
    if let Some(ptxas) = tools.ptxas {
        run.env("TRICOT_PTXAS", ptxas);
    }
    check(run)
}

/// A python command with [`PYTHON_PACKAGES`] on its path, installed into `.tools/python` on first use.
pub fn python(arguments: &[&str]) -> Outcome<Command> {
    let site = site_packages()?;
    let mut python = command("python3", arguments);
    python.env("PYTHONPATH", site);
    Ok(python)
}

fn site_packages() -> Outcome<PathBuf> {
    let site = root().join(".tools/python");
    if !site.join("onnx").exists() {
        println!("installing {} from the Python package index into .tools/python", PYTHON_PACKAGES.join(", "));
        let target = site.to_string_lossy().into_owned();
        let mut words = vec!["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", &target];
        words.extend(PYTHON_PACKAGES);
        check(command("python3", &words))?;
    }
    Ok(site)
}
