//! Running programs and finding files.

use std::path::PathBuf;
use std::process::Command;

pub type Outcome<T = ()> = Result<T, String>;

/// The repository's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_path_buf()
}

/// A command that runs in the root.
pub fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// This cargo.
pub fn cargo(arguments: &[&str]) -> Command {
    command(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()), arguments)
}

/// Runs to the end with output passed through; the message names command and status.
pub fn check(mut command: Command) -> Outcome {
    let shown = show(&command);
    eprintln!("+ {shown}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}` ended with {status}")),
        Err(e) => Err(format!("`{shown}` could not be started: {e}")),
    }
}

/// Standard output of a command that must succeed.
pub fn output(mut command: Command) -> Outcome<String> {
    let shown = show(&command);
    let out = command.output().map_err(|e| format!("`{shown}` could not be started: {e}"))?;
    if !out.status.success() {
        return Err(format!("`{shown}` ended with {}\n{}", out.status, String::from_utf8_lossy(&out.stderr)));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Whether a program can be started and succeeds.
pub fn works(program: &str, arguments: &[&str]) -> bool {
    command(program, arguments).output().is_ok_and(|o| o.status.success())
}

fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|w| w.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
