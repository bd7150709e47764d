//! Proof that the snapshots can fail: each of five named mutations of the source must make exactly its listed snapshots fail.
//!
//! A mutation is one textual replacement in one file, undone afterwards whatever happens.

use crate::run::{Outcome, cargo, root};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

struct Mutation {
    name: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    /// Tests of `snapshots` that must fail; all others must pass.
    fails: &'static [&'static str],
}

const MUTATIONS: &[Mutation] = &[];

/// Puts a file's content back when dropped.
struct Restore(PathBuf, String);

impl Drop for Restore {
    fn drop(&mut self) {
        if let Err(e) = fs::write(&self.0, &self.1) {
            eprintln!("{} could not be restored: {e}; use git", self.0.display());
        }
    }
}

/// Applies each mutation in turn and runs the snapshot tests.
pub fn mutations() -> Outcome {
    let mut wrong = vec![];
    for mutation in MUTATIONS {
        let path = root().join(mutation.file);
        let original = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        if original.matches(mutation.from).count() != 1 {
            return Err(format!(
                "mutation {}: `{}` does not occur once in {}",
                mutation.name, mutation.from, mutation.file
            ));
        }
        let _restore = Restore(path.clone(), original.clone());
        fs::write(&path, original.replace(mutation.from, mutation.to)).map_err(|e| e.to_string())?;
        let failed = failing_snapshots()?;
        let expected: BTreeSet<String> = mutation.fails.iter().map(|s| s.to_string()).collect();
        if failed == expected {
            println!("{}: {} snapshots fail, as listed", mutation.name, failed.len());
        } else {
            let extra: Vec<_> = failed.difference(&expected).collect();
            let missing: Vec<_> = expected.difference(&failed).collect();
            wrong.push(format!("{}: unexpected {extra:?}, missing {missing:?}", mutation.name));
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n")),
    }
}

fn failing_snapshots() -> Outcome<BTreeSet<String>> {
    let mut tests =
        cargo(&["test", "--quiet", "--package", "tricot", "--test", "main", "snapshots", "--", "--format", "pretty"]);
    tests.env("INSTA_UPDATE", "no").env("INSTA_FORCE_PASS", "0");
    let out = tests.output().map_err(|e| format!("cargo test could not be started: {e}"))?;
    let text = String::from_utf8_lossy(&out.stdout);
    if !text.contains("test result:") {
        return Err(format!("the mutated source does not build:\n{}", String::from_utf8_lossy(&out.stderr)));
    }
    let failed = text.lines().filter_map(|l| l.strip_prefix("test snapshots::")?.strip_suffix(" ... FAILED"));
    Ok(failed.map(str::to_string).collect())
}
