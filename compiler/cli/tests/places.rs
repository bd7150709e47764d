//! Places that cannot be written, disks that are full, work that is interrupted: one coded error and no partial file.

use crate::{refused, root, stdout, text};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const BLOCK: &str = "examples/simplex/block.onnx";
const FFN: &str = "examples/ffn24/ffn24.tri";

/// Files of a folder, hidden ones included.
fn names(folder: &Path) -> Vec<String> {
    let mut out: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    out.sort();
    out
}

/// `tricot` in a shell, so that limits and redirections apply.
#[cfg(unix)]
fn shell(before: &str, arguments: &[&str], after: &str) -> Output {
    let quoted: Vec<String> = arguments.iter().map(|a| format!("'{a}'")).collect();
    let script = format!("{before} '{}' {} {after}", env!("CARGO_BIN_EXE_tricot"), quoted.join(" "));
    Command::new("sh").args(["-c", &script]).current_dir(root()).output().unwrap()
}

/// Calls that write: what they are given, and where they write (the last argument, with a prefix of its own).
fn writers(bundle: &str, to: &Path) -> Vec<Vec<String>> {
    let to = text(to);
    [
        vec!["build", FFN, "-o", to],
        vec!["opt", FFN, "-o", to],
        vec!["run", bundle, "--device", "cpu", "--output", &format!("y={to}")],
    ]
    .map(|args| args.into_iter().map(str::to_string).collect())
    .into()
}

/// A bundle to run, in a folder of its own.
fn bundle() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ffn.tricot");
    stdout(&["build", FFN, "-o", text(&path)]);
    let path = text(&path).to_string();
    (folder, path)
}

#[test]
fn places_that_cannot_be_written_are_named() {
    let (_kept, bundle) = bundle();
    let folder = tempfile::tempdir().unwrap();
    // A folder that is not there, and one where a file should be.
    for to in [folder.path().join("no/such/folder/out"), folder.path().to_path_buf()] {
        for args in writers(&bundle, &to) {
            let message = refused(&args.iter().map(String::as_str).collect::<Vec<_>>(), "TC0720");
            assert!(message.contains(text(&to)) && message.contains("help:"), "{message}");
            assert!(names(folder.path()).is_empty(), "{args:?}: {:?}", names(folder.path()));
        }
    }
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let args = ["build", FFN, "--emit", "graph", "--stop-after", "rewrite", "--dump-dir", text(&file)];
    let message = refused(&args, "TC0902");
    assert!(message.contains(text(&file)) && message.contains("--dump-dir"), "{message}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "in the way");
}

#[test]
#[cfg(unix)]
fn a_full_disk_leaves_nothing() {
    let (_kept, bundle) = bundle();
    let folder = tempfile::tempdir().unwrap();
    // One block of 512 or 1024 bytes: less than any of them writes.
    for args in writers(&bundle, &folder.path().join("out")) {
        let out = shell("ulimit -f 1; exec", &args.iter().map(String::as_str).collect::<Vec<_>>(), "");
        let message = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{args:?}: {message}");
        assert!(message.contains("[TC0721]") && message.contains("help: free some space"), "{args:?}: {message}");
        assert!(names(folder.path()).is_empty(), "{args:?}: {:?}", names(folder.path()));
    }
    // Stages fit or do not, each by itself.
    let dump = folder.path().join("dump");
    let args = ["build", FFN, "--emit", "graph,schedule", "--stop-after", "plan", "--dump-dir", text(&dump)];
    let out = shell("ulimit -f 1; exec", &args, "");
    let message = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{message}");
    assert!(message.contains("[TC0721]") && message.contains("cpu.schedule.sched"), "{message}");
    for name in names(&dump) {
        let whole = stdout(&["build", FFN, "--emit", "graph", "--stop-after", "graph"]);
        assert_eq!(name, "graph.tri");
        assert_eq!(std::fs::read_to_string(dump.join(name)).unwrap(), whole);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_standard_output_is_an_error() {
    let (_kept, bundle) = bundle();
    for args in [&["opt", FFN][..], &["inspect", &bundle], &["man"], &["completions", "bash"], &["doctor"]] {
        let out = shell("exec", args, ">/dev/full");
        let message = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{args:?}: {message}");
        assert!(message.contains("[TC0902]") && message.contains("standard output"), "{args:?}: {message}");
    }
}

#[test]
#[cfg(unix)]
fn an_interrupt_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let whole = stdout(&["build", BLOCK, "--emit", "graph", "--stop-after", "graph"]);
    for wait in [5, 20, 60, 150, 300] {
        let (bundle, dump) = (folder.path().join("m.tricot"), folder.path().join("dump"));
        let mut child = Command::new(env!("CARGO_BIN_EXE_tricot"))
            .args(["build", BLOCK, "--emit", "graph,schedule", "--dump-dir", text(&dump), "-o", text(&bundle)])
            .current_dir(root())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait));
        crate::interrupt(&mut child);
        child.wait().unwrap();
        if bundle.exists() {
            // Too late to interrupt: then it must be whole.
            stdout(&["inspect", text(&bundle)]);
            std::fs::remove_file(&bundle).unwrap();
        }
        if dump.exists() {
            // Stages are written one by one; each is whole.
            if let Ok(graph) = std::fs::read_to_string(dump.join("graph.tri")) {
                assert_eq!(graph, whole, "after {wait} ms");
            }
            assert!(names(&dump).iter().all(|n| !n.starts_with('.')), "{:?}", names(&dump));
            std::fs::remove_dir_all(&dump).unwrap();
        }
        assert!(names(folder.path()).is_empty(), "after {wait} ms: {:?}", names(folder.path()));
    }
}

#[test]
#[cfg(unix)]
fn an_interrupted_run_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let to = format!("y={}", text(&folder.path().join("y.npy")));
    for wait in [10, 50, 150, 300] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tricot"))
            .args(["run", BLOCK, "--device", "cpu", "--repeat", "1000000", "--output", &to])
            .current_dir(root())
            .env("TMPDIR", folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait));
        crate::interrupt(&mut child);
        assert!(!child.wait().unwrap().success(), "a million runs were done in {wait} ms");
        assert!(names(folder.path()).is_empty(), "after {wait} ms: {:?}", names(folder.path()));
    }
}
