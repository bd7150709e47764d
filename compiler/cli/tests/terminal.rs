//! What a terminal sees and a pipe does not; completions and the manual; internal errors.

use crate::{root, stdout, text, tricot};
use std::process::{Command, Stdio};

const SPARSE: &str = "tests/headline/sparse24.tri";

/// Names of the commands and the long flags of each, as `--help` lists them.
fn commands() -> Vec<(String, Vec<String>)> {
    let words = |help: &str| -> Vec<String> {
        let lines = help.lines().skip_while(|l| *l != "Commands:").skip(1).take_while(|l| !l.is_empty());
        lines.filter_map(|l| l.split_whitespace().next()).map(str::to_string).collect()
    };
    let names = words(&stdout(&["--help"])).into_iter().filter(|n| n != "help");
    let flags = |name: &str| -> Vec<String> {
        let help = stdout(&[name, "--help"]);
        let flag = |l: &str| Some(l[l.find("--")?..].split([' ', '[', '.', ',']).next()?.to_string());
        help.lines().filter(|l| l.trim_start().starts_with('-')).filter_map(flag).collect()
    };
    names.map(|n| (n.clone(), flags(&n))).collect()
}

#[test]
fn completions_and_manual_know_every_flag() {
    let commands = commands();
    assert!(commands.len() >= 8 && commands.iter().any(|(n, f)| n == "build" && f.iter().any(|f| f == "--bucket")));
    let scripts = ["bash", "zsh", "fish"].map(|s| (s, stdout(&["completions", s])));
    let manual = stdout(&["man"]).replace("\\-", "-");
    for (name, flags) in &commands {
        assert!(manual.contains(&format!("tricot-{name}")), "the manual lacks `{name}`");
        for flag in flags {
            assert!(manual.contains(flag), "the manual lacks `{name} {flag}`");
            for (shell, script) in &scripts {
                // fish writes a long flag without its dashes.
                let word = if *shell == "fish" { flag.trim_start_matches('-') } else { flag };
                assert!(script.contains(name) && script.contains(word), "{shell} lacks `{name} {flag}`");
            }
        }
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    for arguments in [&["completions", "bash"][..], &["man"], &["opt", SPARSE], &["explain", SPARSE]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tricot"));
        child.args(arguments).current_dir(root()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = child.spawn().unwrap();
        drop(child.stdout.take());
        let out = child.wait_with_output().unwrap();
        assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    }
}

#[test]
fn colour_is_for_terminals_or_on_request() {
    let message = |more: &[&str]| {
        let out = tricot(&[&["opt", "compiler/cli/tests/cli/misspelt.tri"], more].concat());
        assert_eq!(out.status.code(), Some(1));
        String::from_utf8_lossy(&out.stderr).into_owned()
    };
    assert!(!message(&[]).contains('\x1b') && !message(&["--color", "never"]).contains('\x1b'));
    assert!(message(&["--color", "always"]).contains("\x1b["));
    assert_eq!(tricot(&["opt", SPARSE, "--color", "mauve"]).status.code(), Some(2));
}

#[test]
fn progress_stays_out_of_pipes() {
    let folder = tempfile::tempdir().unwrap();
    let out = tricot(&["build", SPARSE, "-o", text(&folder.path().join("m.tricot"))]);
    assert!(out.status.success());
    assert_eq!(String::from_utf8_lossy(&out.stderr), "");
}

/// Runs with standard error on a terminal, and gives what the terminal got.
#[cfg(target_os = "linux")]
fn on_a_terminal(arguments: &[&str]) -> String {
    use std::io::Read;
    use std::os::fd::FromRawFd;
    let (mut ours, mut theirs) = (0, 0);
    let null = std::ptr::null_mut();
    // SAFETY: two places for descriptors, and no name, settings or size asked for.
    let result = unsafe { libc::openpty(&mut ours, &mut theirs, null, null.cast(), null.cast()) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: fresh descriptors that nobody else owns.
    let (mut ours, theirs) = unsafe { (std::fs::File::from_raw_fd(ours), std::fs::File::from_raw_fd(theirs)) };
    let mut child = Command::new(env!("CARGO_BIN_EXE_tricot"));
    child.args(arguments).current_dir(root()).env("TERM", "xterm").stdout(Stdio::null()).stderr(theirs);
    let mut running = child.spawn().unwrap();
    // Our copy of the terminal's end lives in the command; reading ends when the last one is closed.
    drop(child);
    let mut seen = vec![];
    // Linux ends the reading with an error once the other end is closed.
    let _ = ours.read_to_end(&mut seen);
    running.wait().unwrap();
    String::from_utf8_lossy(&seen).into_owned()
}

#[test]
#[cfg(target_os = "linux")]
fn a_terminal_sees_progress_and_colour() {
    let folder = tempfile::tempdir().unwrap();
    let seen = on_a_terminal(&["build", "examples/simplex/block.onnx", "-o", text(&folder.path().join("m.tricot"))]);
    assert!(seen.contains("rewriting for cpu"), "{seen:?}");
    let seen = on_a_terminal(&["opt", "compiler/cli/tests/cli/misspelt.tri"]);
    assert!(seen.contains("\x1b[") && seen.contains("TC0103"), "{seen:?}");
}

/// The code generator's worker is made to die: status 70, and a file that reproduces it.
#[test]
#[cfg(feature = "sm90")]
fn an_internal_error_leaves_a_reproducer() {
    let folder = tempfile::tempdir().unwrap();
    let schedule = stdout(&["build", SPARSE, "--target", "sm_90a", "--emit", "schedule", "--stop-after", "schedule"]);
    let kernel = schedule.lines().find_map(|l| l.strip_prefix("kernel ")?.split('(').next()).expect("a kernel");
    let bundle = folder.path().join("m.tricot");
    let mut tricot = Command::new(env!("CARGO_BIN_EXE_tricot"));
    tricot.args(["build", SPARSE, "--target", "sm_90a", "-o", text(&bundle)]).current_dir(root());
    tricot.env("TRICOT_CODEGEN_ABORT_AT", kernel).env("TMPDIR", folder.path());
    let out = tricot.output().unwrap();
    let message = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(70), "{message}");
    assert!(message.contains("[TC0590]") && message.contains(kernel), "{message}");
    assert!(!bundle.exists());
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
    let [reproducer] = left.as_slice() else { panic!("{left:?}") };
    assert!(message.contains(text(reproducer)), "{message}");
    assert!(std::fs::read_to_string(reproducer).unwrap().contains(kernel));
}
