//! Log messages for C: the runtime's (and compiler's) `tracing` events handed to a callback.
//!
//! One callback for the whole process. It knows nothing of who logs.

use crate::arguments::wrong;
use crate::error::{TricotError, c_string, guard};
use std::ffi::{c_char, c_void};
use std::fmt::Write;
use std::sync::{Once, PoisonError, RwLock};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, span};
use tricot_types::Diagnostic;

/// Nothing is logged.
pub const TRICOT_LOG_OFF: u32 = 0;
pub const TRICOT_LOG_ERROR: u32 = 1;
pub const TRICOT_LOG_WARN: u32 = 2;
pub const TRICOT_LOG_INFO: u32 = 3;
pub const TRICOT_LOG_DEBUG: u32 = 4;
pub const TRICOT_LOG_TRACE: u32 = 5;

/// Hears a message: its level, the part of Tricot it comes from, its text. The strings are valid during the call only. Any
/// thread may call it, several at once, Tricot's own worker threads among them. It must not call Tricot, and must not throw
/// or jump out.
pub type TricotLogCallback =
    Option<unsafe extern "C" fn(user: *mut c_void, level: u32, target: *const c_char, message: *const c_char)>;

#[derive(Clone, Copy)]
struct Sink {
    callback: unsafe extern "C" fn(*mut c_void, u32, *const c_char, *const c_char),
    user: *mut c_void,
    level: LevelFilter,
}

// SAFETY: the header says which threads call the callback.
unsafe impl Send for Sink {}
// SAFETY: as above.
unsafe impl Sync for Sink {}

static SINK: RwLock<Option<Sink>> = RwLock::new(None);

fn sink() -> Option<Sink> {
    *SINK.read().unwrap_or_else(PoisonError::into_inner)
}

/// Hands messages of this level and more important ones to `callback`, instead of to the one before; null turns logging
/// off. `user` is handed to the callback and must live until another call replaces it and messages under way have been
/// heard. Any thread.
///
/// # Safety
/// `callback` is null or may be called as `TricotLogCallback` says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn tricot_log_set(
    callback: TricotLogCallback,
    user: *mut c_void,
    level: u32,
) -> *mut TricotError {
    guard(|| {
        let level = [
            LevelFilter::OFF,
            LevelFilter::ERROR,
            LevelFilter::WARN,
            LevelFilter::INFO,
            LevelFilter::DEBUG,
            LevelFilter::TRACE,
        ]
        .get(level as usize)
        .copied()
        .ok_or_else(|| wrong(format!("`level` is {level}, TRICOT_LOG_TRACE is {TRICOT_LOG_TRACE}")))?;
        static INSTALL: Once = Once::new();
        let mut installed = true;
        INSTALL.call_once(|| installed = tracing::subscriber::set_global_default(Collector).is_ok());
        if !installed {
            return Err(vec![
                Diagnostic::error("TC0896", "this program has a log collector of its own already")
                    .with_help("a Rust program that links Tricot sets up `tracing` itself"),
            ]);
        }
        let new = callback.map(|callback| Sink { callback, user, level });
        *SINK.write().unwrap_or_else(PoisonError::into_inner) = new;
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    })
}

/// Sends events to the sink; keeps no spans.
struct Collector;

impl tracing::Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && sink().is_some_and(|s| *metadata.level() <= s.level)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(sink().map_or(LevelFilter::OFF, |s| s.level))
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let Some(sink) = sink() else { return };
        let mut line = Line::default();
        event.record(&mut line);
        let (target, message) = (c_string(event.metadata().target()), c_string(&(line.message + &line.fields)));
        // SAFETY: the caller gave this function for this purpose; the strings live until it returns.
        unsafe { (sink.callback)(sink.user, number(*event.metadata().level()), target.as_ptr(), message.as_ptr()) }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// `the message field=value …`.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

fn number(level: Level) -> u32 {
    match level {
        Level::ERROR => TRICOT_LOG_ERROR,
        Level::WARN => TRICOT_LOG_WARN,
        Level::INFO => TRICOT_LOG_INFO,
        Level::DEBUG => TRICOT_LOG_DEBUG,
        Level::TRACE => TRICOT_LOG_TRACE,
    }
}
