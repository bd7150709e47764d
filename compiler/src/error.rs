//! Internal errors: whatever should not happen becomes a coded diagnostic with a reproducer, never a panic in the user's face.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use tricot_types::Diagnostic;
use tricot_types::stop::Stopped;

/// The code of errors that are Tricot's own fault; the command line ends with status 70 on them.
pub const INTERNAL: &str = "TC1000";

/// Runs a stage; a panic inside becomes an internal error. `reproducer` produces the text that reproduces it (the stage's input).
pub fn guard<T>(
    stage: &str,
    reproducer: impl FnOnce() -> String,
    run: impl FnOnce() -> Result<T, Vec<Diagnostic>>,
) -> Result<T, Vec<Diagnostic>> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result,
        Err(payload) => {
            // No fault: the user wanted the work to end.
            let payload = match payload.downcast::<Stopped>() {
                Ok(stopped) => return Err(vec![stopped.0]),
                Err(other) => other,
            };
            let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
                (Some(s), _) => s.to_string(),
                (_, Some(s)) => s.clone(),
                _ => "unknown panic".into(),
            };
            let problem = Diagnostic::error(INTERNAL, format!("internal error in stage `{stage}`: {message}"));
            // Producing the reproducer walks the same data; it must not bring the process down either.
            let text = catch_unwind(AssertUnwindSafe(reproducer)).ok();
            Err(vec![match text.and_then(|t| save(stage, &t)) {
                Some(path) => problem
                    .with_note(format!("the input of the stage is in {}", path.display()))
                    .with_help("please report it together with that file"),
                None => problem.with_help("please report it together with the model"),
            }])
        }
    }
}

/// Writes a reproducer into the temporary folder, named by its content.
fn save(stage: &str, text: &str) -> Option<PathBuf> {
    let digest = blake3::hash(text.as_bytes()).to_hex();
    let path = std::env::temp_dir().join(format!("tricot-{stage}-{}.txt", &digest[..16]));
    std::fs::write(&path, text).ok()?;
    Some(path)
}

/// Whether any of these is Tricot's own fault.
pub fn is_internal(problems: &[Diagnostic]) -> bool {
    problems.iter().any(|p| p.code.starts_with("TC10") || p.code == "TC0590")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_coded_error_with_a_reproducer() {
        let input = "module @only_for_this_test\n";
        let problems = guard("rewrite", || input.into(), || -> Result<(), _> { panic!("index {} is wrong", 7) });
        let problems = problems.unwrap_err();
        assert!(is_internal(&problems) && problems[0].code == INTERNAL);
        assert_eq!(problems[0].message, "internal error in stage `rewrite`: index 7 is wrong");
        let path = PathBuf::from(problems[0].notes[0].strip_prefix("the input of the stage is in ").unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), input);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_reproducer_that_fails_does_not_bring_the_process_down() {
        let problems = guard("schedule", || panic!("twice"), || -> Result<(), _> { panic!("once") }).unwrap_err();
        assert!(problems[0].message.ends_with("once") && problems[0].notes.is_empty(), "{}", problems[0]);
        assert!(problems[0].help.as_ref().is_some_and(|h| h.contains("report")));
    }

    #[test]
    fn what_the_user_did_is_no_internal_error() {
        let mistake = || -> Result<(), _> { Err(vec![Diagnostic::error("TC0101", "a typo")]) };
        let problems = guard("command", String::new, mistake).unwrap_err();
        assert!(!is_internal(&problems));
    }
}
