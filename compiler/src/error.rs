//! Internal errors: whatever should not happen becomes a coded diagnostic with a reproducer, never a panic in the user's face.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use tricot_types::Diagnostic;

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
