//! Devices that are not there, do not fit or are full. A fake driver (the runtime's own, compiled here) plays each part.

use crate::{root, stdout, text};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

const MODEL: &str = "module @m\nsymbol n\n\nfunc @main(%x: f32[n, 1]) {\n  \
    %y = core.broadcast %x {axes = [0, 1], shape = [n, 4096]} : f32[n, 4096]\n  return \"y\" = %y\n}\n";

/// A folder with the fake libcuda.so; tests run next to the sources, so there is a rustc.
fn driver() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fake-cuda");
        std::fs::create_dir_all(&folder).unwrap();
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        rustc.args(["--edition", "2024", "--crate-type", "cdylib", "-Awarnings", "--cfg", "older", "-o"]);
        rustc.arg(folder.join("libcuda.so")).arg(root().join("runtime/tests/fixtures/libcuda.rs"));
        let out = rustc.output().expect("rustc starts");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        folder
    })
}

/// `tricot` on a machine whose driver is in this mode.
pub fn with_driver(mode: &str, arguments: &[&str]) -> Output {
    let mut tricot = Command::new(env!("CARGO_BIN_EXE_tricot"));
    tricot.args(arguments).current_dir(root());
    tricot.env("LD_LIBRARY_PATH", driver()).env("FAKE_CUDA", mode).output().unwrap()
}

/// Standard error of a call that must end with status 1, the code, and a way out.
fn refused_with(mode: &str, arguments: &[&str], code: &str) -> String {
    let out = with_driver(mode, arguments);
    let message = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1), "{mode}: {message}");
    assert!(
        message.contains(&format!("[{code}]")) && message.contains("help:"),
        "{mode}: expected {code} in\n{message}"
    );
    assert!(!message.contains("panicked"), "{message}");
    message
}

fn bundle(folder: &Path, target: &str) -> String {
    let (model, bundle) = (folder.join("m.tri"), folder.join(target).with_extension("tricot"));
    std::fs::write(&model, MODEL).unwrap();
    stdout(&["build", text(&model), "--target", target, "-o", text(&bundle)]);
    text(&bundle).to_string()
}

#[test]
fn drivers_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let cpu = bundle(folder.path(), "cpu");
    let run = ["run", &cpu, "--device", "cuda"];
    for (mode, code, says) in [
        ("old", "TC0821", "the NVIDIA driver is too old: it supports CUDA 11.8"),
        ("mismatch", "TC0821", "the NVIDIA driver is too old"),
        ("stub", "TC0820", "the libcuda found is the toolkit's stub"),
        ("nodevice", "TC0822", "the driver finds no CUDA device"),
        ("zero", "TC0822", "there is no CUDA device 0: the driver finds 0"),
    ] {
        let message = refused_with(mode, &run, code);
        assert!(message.contains(says) && message.contains("--device cpu"), "{mode}: {message}");
        // Without a device asked for, the bundle runs on the one there is; `doctor` says what is wrong.
        let out = with_driver(mode, &["run", &cpu, "--set", "n=2"]);
        assert!(out.status.success(), "{mode}: {}", String::from_utf8_lossy(&out.stderr));
        assert!(String::from_utf8_lossy(&out.stdout).starts_with("cpu in "), "{mode}");
        assert!(with_driver(mode, &["doctor"]).status.success(), "{mode}");
    }
    let message = refused_with("ok", &["run", &cpu, "--device", "cuda:7"], "TC0822");
    assert!(message.contains("there is no CUDA device 7: the driver finds 1"), "{message}");
    let message = refused_with("ok", &["run", &cpu, "--device", "cuda:x"], "TC0829");
    assert!(message.contains("`cuda:x` is no device"), "{message}");
    let doctor = with_driver("ok", &["doctor"]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("cuda:0 fake, sm_90"));
}

#[test]
fn code_for_another_device_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cpu = bundle(folder.path(), "cpu");
    let message = refused_with("ok", &["run", &cpu, "--device", "cuda"], "TC0711");
    assert!(message.contains("holds no code for cuda:0 (sm_90)") && message.contains("its targets: cpu"), "{message}");
}

#[test]
#[cfg(feature = "sm90")]
fn gpu_code_needs_a_gpu_and_its_memory() {
    let folder = tempfile::tempdir().unwrap();
    let gpu = bundle(folder.path(), "sm_90a");
    for run in [&["run", &gpu, "--device", "cpu"][..], &["run", &gpu]] {
        let message = refused_with("nodevice", run, "TC0711");
        assert!(message.contains("holds no code for cpu") && message.contains("its targets: sm_90a"), "{message}");
    }
    // 16 KiB a row: more than the small device has.
    let y = folder.path().join("y.npy");
    let to = format!("y={}", text(&y));
    let message = refused_with("small", &["run", &gpu, "--set", "n=100", "--output", &to], "TC0823");
    assert!(message.contains("1638912 bytes wanted") && message.contains("65536 of 65536 bytes are free"), "{message}");
    assert!(!y.exists(), "no output after a failure");
    // With enough memory the kernel runs; the fake one fails, and is named.
    let out = with_driver("ok", &["run", &gpu, "--set", "n=2"]);
    let message = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{message}");
    assert!(message.contains("[TC0824]"), "{message}");
}

/// A library that is none stands in the loader's way, so that this holds on machines with a driver too.
#[test]
fn without_a_driver_the_processor_serves() {
    let folder = tempfile::tempdir().unwrap();
    let cpu = bundle(folder.path(), "cpu");
    for name in ["libcuda.so", "libcuda.so.1"] {
        std::fs::write(folder.path().join(name), "no library").unwrap();
    }
    let run = |device: &[&str]| {
        let mut tricot = Command::new(env!("CARGO_BIN_EXE_tricot"));
        tricot.args([&["run", &cpu, "--set", "n=2"], device].concat()).env("LD_LIBRARY_PATH", folder.path());
        tricot.output().unwrap()
    };
    let out = run(&["--device", "cuda"]);
    let message = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{message}");
    assert!(message.contains("[TC0820]") && message.contains("libcuda.so.1 cannot be loaded"), "{message}");
    assert!(message.contains("or use `--device cpu`"), "{message}");
    for device in [&["--device", "cpu"][..], &[]] {
        let out = run(device);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
}
