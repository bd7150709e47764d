//! Errors on their way to C: a code and a message, owned by the caller.
//!
//! The central type is [`TricotError`]; [`guard`] makes one of whatever goes wrong, panics included.

use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tricot_types::Diagnostic;

/// What went wrong: every problem that was found, in the order it was found. Immutable; any thread may read it.
pub struct TricotError {
    /// Code and message of each problem.
    problems: Vec<(CString, CString)>,
    /// All messages.
    whole: CString,
}

impl TricotError {
    /// An owned error for C.
    pub fn new(problems: &[Diagnostic]) -> *mut TricotError {
        let texts: Vec<String> = problems.iter().map(Diagnostic::to_string).collect();
        let whole = c_string(&texts.join("\n"));
        let problems = problems.iter().zip(&texts).map(|(d, text)| (c_string(d.code), c_string(text))).collect();
        Box::into_raw(Box::new(TricotError { problems, whole }))
    }
}

/// The text as C reads it; a NUL inside, which would end it, is shown as `\0`.
pub fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "\\0")).unwrap_or_default()
}

/// Runs the body of an exported function: null when all is well. A panic inside becomes `TC1000`.
pub fn guard(body: impl FnOnce() -> Result<(), Vec<Diagnostic>>) -> *mut TricotError {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => std::ptr::null_mut(),
        Ok(Err(problems)) => TricotError::new(&problems),
        Err(payload) => {
            let text = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
                (Some(text), _) => text,
                (_, Some(text)) => text.as_str(),
                _ => "unknown panic",
            };
            let problem = Diagnostic::error("TC1000", format!("internal error: {text}"));
            TricotError::new(&[problem.with_help("please report it together with the bundle or model")])
        }
    }
}

/// Code of the first problem, such as `TC0804`. Belongs to the error; null when `error` is null. Any thread.
///
/// # Safety
/// `error` is null or an error not yet freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tricot_error_code(error: *const TricotError) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { tricot_error_item_code(error, 0) }
}

/// The messages of all problems, one after the other, each with its code, the place, the value, the limit and the way out.
/// UTF-8, several lines. Belongs to the error; null when `error` is null. Any thread.
///
/// # Safety
/// `error` is null or an error not yet freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tricot_error_message(error: *const TricotError) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { error.as_ref() }.map_or(std::ptr::null(), |e| e.whole.as_ptr())
}

/// Number of problems found; 0 when `error` is null. Any thread.
///
/// # Safety
/// `error` is null or an error not yet freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tricot_error_count(error: *const TricotError) -> usize {
    // SAFETY: as the caller promises.
    unsafe { error.as_ref() }.map_or(0, |e| e.problems.len())
}

/// Code of one problem. Belongs to the error; null when there is no such problem. Any thread.
///
/// # Safety
/// `error` is null or an error not yet freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tricot_error_item_code(error: *const TricotError, index: usize) -> *const c_char {
    // SAFETY: as the caller promises.
    let problem = unsafe { error.as_ref() }.and_then(|e| e.problems.get(index));
    problem.map_or(std::ptr::null(), |(code, _)| code.as_ptr())
}

/// Message of one problem. Belongs to the error; null when there is no such problem. Any thread.
///
/// # Safety
/// `error` is null or an error not yet freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tricot_error_item_message(error: *const TricotError, index: usize) -> *const c_char {
    // SAFETY: as the caller promises.
    let problem = unsafe { error.as_ref() }.and_then(|e| e.problems.get(index));
    problem.map_or(std::ptr::null(), |(_, message)| message.as_ptr())
}

/// Frees an error and its strings; null is fine. Once, from any thread.
///
/// # Safety
/// `error` is null or an error not yet freed, and no other thread reads it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tricot_error_free(error: *mut TricotError) {
    if !error.is_null() {
        // SAFETY: made by `Box::into_raw` above.
        drop(unsafe { Box::from_raw(error) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    #[test]
    fn a_panic_becomes_a_coded_error() {
        let error = guard(|| panic!("index {} is wrong", 7));
        // SAFETY: just made.
        let (code, message) = unsafe {
            (
                CStr::from_ptr(tricot_error_code(error)).to_str().unwrap(),
                CStr::from_ptr(tricot_error_message(error)).to_str().unwrap(),
            )
        };
        assert_eq!(code, "TC1000");
        assert!(message.contains("internal error: index 7 is wrong"), "{message}");
        // SAFETY: once.
        unsafe { tricot_error_free(error) };
    }
}
