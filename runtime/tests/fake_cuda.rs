//! Runs the tests of [`super::cuda`] against a fake libcuda (`fixtures/libcuda.rs`, compiled here), which executes
//! the fixture kernels on the host, and makes the driver fail in every way a machine can.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// Folder with the fake libcuda.so; `None` where it cannot be compiled (a carried test binary).
fn folder(lacking: bool) -> Option<PathBuf> {
    static BUILT: [OnceLock<Option<PathBuf>>; 2] = [OnceLock::new(), OnceLock::new()];
    let build = || {
        let name = if lacking { "fake-cuda-lacking" } else { "fake-cuda" };
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).ok()?;
        let source = folder.join("libcuda.rs");
        std::fs::write(&source, include_str!("fixtures/libcuda.rs")).ok()?;
        let mut rustc = Command::new("rustc");
        rustc.args(["--edition", "2024", "--crate-type", "cdylib", "-Cdebug-assertions=on", "-Awarnings"]);
        rustc.arg("-o").arg(folder.join("libcuda.so")).arg(&source);
        if lacking {
            rustc.args(["--cfg", "lacking"]);
        }
        let out = rustc.output().ok()?;
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        Some(folder)
    };
    let built = BUILT[usize::from(lacking)].get_or_init(build);
    if built.is_none() {
        println!("skipped: no rustc to compile the fake driver with");
    }
    built.clone()
}

/// Runs tests of this binary with the fake driver in one of its modes.
fn run(mode: &str, filter: &[&str]) -> Option<Output> {
    let folder = folder(mode == "lacking")?;
    let mut me = Command::new(std::env::current_exe().unwrap());
    me.args(filter).args(["--nocapture", "--test-threads", "1"]);
    me.env("LD_LIBRARY_PATH", &folder)
        .env("FAKE_CUDA", mode)
        .env_remove("TRICOT_PTXAS")
        .env_remove("TRICOT_TEST_CHILD");
    Some(me.output().unwrap())
}

#[test]
fn everything_runs_on_a_fake_driver() {
    let Some(out) = run("ok", &["cuda::", "--skip", "fake_cuda::"]) else { return };
    let (text, errors) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{text}\n{errors}");
    assert!(!text.contains("skipped"), "{text}");
    assert!(text.contains("7 passed") || text.contains("8 passed"), "{text}");
}

#[test]
fn drivers_that_do_not_work_are_coded() {
    let cases = [
        ("old", "error[TC0821]: the NVIDIA driver is too old: it supports CUDA 11.8"),
        ("lacking", "it lacks cuTensorMapEncodeTiled"),
        ("nodevice", "error[TC0822]: the driver finds no CUDA device"),
        ("stub", "error[TC0820]"),
        ("mismatch", "error[TC0821]"),
        ("zero", "found []"),
    ];
    for (mode, expected) in cases {
        let Some(out) = run(mode, &["--exact", "cuda::host_tensors_run_and_replay"]) else { return };
        let text = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success(), "{mode}: {text}\n{}", String::from_utf8_lossy(&out.stderr));
        assert!(text.contains("skipped") && text.contains(expected), "{mode}: {text}");
    }
}
