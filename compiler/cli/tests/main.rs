//! Tests of the command line as a user meets it: each runs the `tricot` program. One binary, which links no compiler itself.

mod arrays;
mod bad_input;
mod bench;
mod custom_ops;
mod determinism;
mod devices;
mod end_to_end;
mod flags;
mod places;
mod proofs;
mod running;
mod schedules;
mod snapshots;
mod terminal;
mod transcripts;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the crate lies in the repository")
}

/// `tricot` with arguments, run in the root.
pub fn tricot(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tricot")).args(arguments).current_dir(root()).output().expect("tricot starts")
}

/// Standard output of a call that must succeed.
pub fn stdout(arguments: &[&str]) -> String {
    let out = tricot(arguments);
    assert!(out.status.success(), "tricot {arguments:?} failed:\n{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("UTF-8")
}

/// Standard error of a call that must end with status 1 and the given code, without a panic.
pub fn refused(arguments: &[&str], code: &str) -> String {
    let out = tricot(arguments);
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1), "tricot {arguments:?}: {text}");
    assert!(text.contains(&format!("[{code}]")), "tricot {arguments:?}: expected {code} in\n{text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

/// Interrupts a program as Ctrl-C does, and ends it if it was started with interrupts ignored, as programs in the background of a
/// shell script are.
#[cfg(unix)]
pub fn interrupt(child: &mut std::process::Child) {
    for signal in ["-INT", "-TERM"] {
        let _ = Command::new("kill").args([signal, &child.id().to_string()]).status();
        for _ in 0..100 {
            if child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}
