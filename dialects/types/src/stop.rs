//! Stopping work that takes long: cancelled by the user, or over its memory.
//!
//! The central type is [`Stop`]; [`within`] puts work under it, and [`check`], called from the work's loops on the same
//! thread, ends it by unwinding to there. Knows nothing of the work.
//!
//! Unwinding rather than results, because loops deep inside rewriting and scheduling have no error to return; nothing is
//! printed and no panic hook runs.

use crate::Diagnostic;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// Says whether work must end, and why. Asked often, from any thread.
#[derive(Clone)]
pub struct Stop(Arc<dyn Fn() -> Option<Diagnostic> + Send + Sync>);

/// What [`check`] unwinds with; whoever catches panics on the way hands it on.
pub struct Stopped(pub Diagnostic);

thread_local! {
    static CURRENT: RefCell<Option<Stop>> = const { RefCell::new(None) };
}

impl Stop {
    pub fn new(reason: impl Fn() -> Option<Diagnostic> + Send + Sync + 'static) -> Stop {
        Stop(Arc::new(reason))
    }

    /// Why work must end; `None` while it may go on.
    pub fn reason(&self) -> Option<Diagnostic> {
        (self.0)()
    }
}

/// Runs `work` on this thread; ends early with the reason once `stop` has one and the work calls [`check`].
pub fn within<T>(stop: Stop, work: impl FnOnce() -> Result<T, Vec<Diagnostic>>) -> Result<T, Vec<Diagnostic>> {
    let before = CURRENT.replace(Some(stop));
    let result = catch_unwind(AssertUnwindSafe(work));
    CURRENT.set(before);
    match result {
        Ok(result) => result,
        Err(payload) => match payload.downcast::<Stopped>() {
            Ok(stopped) => Err(vec![stopped.0]),
            Err(other) => resume_unwind(other),
        },
    }
}

/// Ends the work of [`within`] if it must end. Does nothing elsewhere.
pub fn check() {
    if let Some(reason) = current().and_then(|stop| stop.reason()) {
        resume_unwind(Box::new(Stopped(reason)));
    }
}

/// What this thread's work is under, to be asked by threads that help it.
pub fn current() -> Option<Stop> {
    CURRENT.with_borrow(Clone::clone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn work_ends_at_the_first_check_after_the_reason() {
        let rounds = Arc::new(AtomicU32::new(0));
        let counted = rounds.clone();
        let reason = move || (counted.load(Ordering::Relaxed) == 3).then(|| Diagnostic::error("TC0931", "enough"));
        let result: Result<(), _> = within(Stop::new(reason), || {
            loop {
                rounds.fetch_add(1, Ordering::Relaxed);
                check();
            }
        });
        assert_eq!((result.unwrap_err()[0].code, rounds.load(Ordering::Relaxed)), ("TC0931", 3));
        check(); // Outside, nothing stops.
    }

    #[test]
    fn results_and_panics_pass() {
        assert_eq!(within(Stop::new(|| None), || Ok(7)), Ok(7));
        let panic = catch_unwind(|| within::<()>(Stop::new(|| None), || resume_unwind(Box::new("other"))));
        assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"other"));
    }
}
