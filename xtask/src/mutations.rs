//! Mutation tests: a small change of meaning must be seen by exactly the snapshots that show it.
//!
//! The table is in [`table`]. Everything happens in a copy of the sources under `target/mutations`; the working tree is only read.
//! The copy carries another version number, so that its crates never stand in for the tree's own in the shared build folder.

mod table;

use crate::run::{Outcome, output, root};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use table::{MUTATIONS, Mutation};

/// Names of tests.
type Tests = BTreeSet<String>;

/// Runs the unmutated copy, then each mutation (or those named), and compares the failing snapshots with the listed ones.
pub fn mutations(names: &[String]) -> Outcome {
    let unknown: Vec<_> = names.iter().filter(|n| MUTATIONS.iter().all(|m| m.name != **n)).cloned().collect();
    if !unknown.is_empty() {
        let known: Vec<_> = MUTATIONS.iter().map(|m| m.name).collect();
        return Err(format!("there is no mutation {}; there are {}", unknown.join(", "), known.join(", ")));
    }
    let tree = root().join("target/mutations/tree");
    copy_sources(&tree)?;
    let ptxas = match std::env::var_os("TRICOT_PTXAS") {
        Some(path) => Some(PathBuf::from(path)),
        None => crate::setup::setup()?.ptxas,
    };
    let ptxas = ptxas.ok_or("the snapshots of sm_90a need ptxas")?;
    let (all, failing, seconds) = snapshots(&tree, &ptxas)?;
    println!("{:24} {:>3} of {} snapshots fail, {seconds:.0} s", "(unmutated)", failing.len(), all.len());
    if !failing.is_empty() {
        return Err(format!("snapshots fail without any mutation:\n  {}", list(&failing)));
    }
    let mut problems = vec![];
    for m in MUTATIONS.iter().filter(|m| names.is_empty() || names.iter().any(|n| n == m.name)) {
        let listed: Tests = m.fails.iter().map(|t| t.to_string()).collect();
        if let Some(ghost) = listed.iter().find(|t| !all.contains(*t)) {
            return Err(format!("{}: there is no snapshot test `{ghost}`", m.name));
        }
        let file = tree.join(m.file);
        let whole = read(&file)?;
        write(&file, mutated(m, &whole)?.as_bytes())?;
        let result = snapshots(&tree, &ptxas);
        write(&file, whole.as_bytes())?;
        let (_, failing, seconds) = result.map_err(|e| format!("{}: {e}", m.name))?;
        let wrong = differences(m.name, &listed, &failing);
        let verdict = if wrong.is_empty() { "as listed" } else { "NOT as listed" };
        println!(
            "{:24} {:>3} of {} snapshots fail, {verdict}, {seconds:.0} s ({})",
            m.name,
            failing.len(),
            all.len(),
            m.what
        );
        println!("{:24}     {}", "", list(&failing));
        problems.extend(wrong);
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n  ")) }
}

/// The text with the mutation in it; what it replaces must occur exactly once.
fn mutated(m: &Mutation, whole: &str) -> Outcome<String> {
    match whole.matches(m.find).count() {
        1 => Ok(whole.replacen(m.find, m.replace, 1)),
        n => Err(format!("{}: `{}` occurs {n} times in {}, not once; adapt the table", m.name, m.find, m.file)),
    }
}

/// Makes `tree` a copy of every file git does not ignore. Files that are the same already keep their time stamps.
fn copy_sources(tree: &Path) -> Outcome {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root());
    let listing = output(git)?;
    let names: BTreeSet<&str> = listing.split('\0').filter(|n| !n.is_empty()).collect();
    let mut kept = BTreeSet::new();
    for name in names {
        let (from, to) = (root().join(name), tree.join(name));
        // A tracked file may be deleted in the working tree.
        let Ok(mut bytes) = fs::read(&from) else { continue };
        if name == "Cargo.toml" {
            bytes = other_version(&String::from_utf8_lossy(&bytes))?.into_bytes();
        }
        if fs::read(&to).ok().as_ref() != Some(&bytes) {
            write(&to, &bytes)?;
        }
        kept.insert(to);
    }
    remove_others(tree, &kept)
}

/// The workspace manifest with a version of its own.
fn other_version(manifest: &str) -> Outcome<String> {
    let line = manifest.lines().find(|l| l.starts_with("version = \"")).ok_or("the workspace has no version")?;
    let marked = format!("{}-mutations\"", line.trim_end_matches('"'));
    Ok(manifest.replacen(line, &marked, 1))
}

/// Removes files of the copy that the tree no longer has, such as snapshots awaiting review.
fn remove_others(folder: &Path, kept: &BTreeSet<PathBuf>) -> Outcome {
    for entry in fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            remove_others(&path, kept)?;
        } else if !kept.contains(&path) {
            fs::remove_file(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        }
    }
    Ok(())
}

/// Runs the snapshot tests of the copy: all of them, those that fail, and the seconds it took.
fn snapshots(tree: &Path, ptxas: &Path) -> Outcome<(Tests, Tests, f64)> {
    let start = Instant::now();
    let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    // The whole workspace is named for its features only: with those of one package, crates of the registry would be built anew.
    cargo.args(["test", "--offline", "--workspace", "--test", "cli", "--no-fail-fast", "snapshots::"]);
    // Crates of the registry are shared with the tree's own build; programs go elsewhere, lest a mutated one is used by mistake.
    cargo
        .env("CARGO_BUILD_BUILD_DIR", root().join("target"))
        .env("CARGO_TARGET_DIR", root().join("target/mutations/out"));
    cargo.env("INSTA_UPDATE", "no").env("CARGO_TERM_COLOR", "never").env("TRICOT_PTXAS", ptxas).current_dir(tree);
    let out = cargo.output().map_err(|e| format!("cargo could not be started: {e}"))?;
    let (all, failing) = results(&String::from_utf8_lossy(&out.stdout));
    // Not one result means that it did not compile.
    match all.is_empty() {
        true => Err(format!("the tests did not run\n{}", String::from_utf8_lossy(&out.stderr))),
        false => Ok((all, failing, start.elapsed().as_secs_f64())),
    }
}

/// What a test run printed: every snapshot test, and those that did not pass.
fn results(text: &str) -> (Tests, Tests) {
    let (mut all, mut failing) = (Tests::new(), Tests::new());
    for line in text.lines() {
        let Some((name, result)) = line.strip_prefix("test snapshots::").and_then(|l| l.split_once(" ... ")) else {
            continue;
        };
        all.insert(name.to_string());
        if result != "ok" {
            failing.insert(name.to_string());
        }
    }
    (all, failing)
}

/// Both ways to differ from the list are errors.
fn differences(name: &str, listed: &Tests, failing: &Tests) -> Vec<String> {
    let missing: Tests = listed.difference(failing).cloned().collect();
    let extra: Tests = failing.difference(listed).cloned().collect();
    let said = |tests: Tests, what: &str| (!tests.is_empty()).then(|| format!("{name}: {what}: {}", list(&tests)));
    said(missing, "these should fail and pass").into_iter().chain(said(extra, "these should pass and fail")).collect()
}

fn list(tests: &Tests) -> String {
    tests.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Outcome {
    let folder = path.parent().expect("a file lies in a folder");
    fs::create_dir_all(folder).and_then(|()| fs::write(path, bytes)).map_err(|e| format!("{}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> Tests {
        names.iter().map(|n| n.to_string()).collect()
    }

    #[test]
    fn every_mutation_applies_to_the_tree() {
        for m in MUTATIONS {
            let whole = read(&root().join(m.file)).unwrap();
            assert_ne!(mutated(m, &whole).unwrap_or_else(|e| panic!("{e}")), whole, "{}", m.name);
            assert!(!m.fails.is_empty(), "{} is listed as unseen", m.name);
        }
    }

    #[test]
    fn what_is_not_there_once_is_refused() {
        let m = &MUTATIONS[0];
        assert!(mutated(m, "nothing of it").is_err() && mutated(m, &m.find.repeat(2)).is_err());
    }

    #[test]
    fn runs_are_read_and_compared() {
        let text = "test snapshots::a ... ok\ntest snapshots::b ... FAILED\ntest other::c ... FAILED\n";
        let (all, failing) = results(text);
        assert_eq!((all, failing.clone()), (set(&["a", "b"]), set(&["b"])));
        assert!(differences("m", &set(&["b"]), &failing).is_empty());
        assert_eq!(differences("m", &set(&["a"]), &failing).len(), 2, "one missing, one extra");
    }
}
