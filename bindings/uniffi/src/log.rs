//! Forwards the log of llama.cpp and the engine to the app. It contains file names and sizes, never
//! texts.

use std::{
    fmt::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Once, PoisonError, RwLock},
};

use tracing::{Event, Level, Subscriber, field::Field, level_filters::LevelFilter};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt, registry::LookupSpan};

use crate::ListenerError;

/// Severity of a line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum LogLevel {
    /// A failure.
    Error,
    /// An unexpected state.
    Warning,
    /// Progress of normal operation.
    Info,
    /// Details.
    Debug,
}

/// A receiver of log lines. Its method is called on any thread.
#[uniffi::export(with_foreign)]
pub trait Logger: Send + Sync {
    /// Receives one line, with the part of the program that it comes from as `target`.
    fn log(&self, level: LogLevel, target: String, message: String) -> Result<(), ListenerError>;
}

static LOGGER: RwLock<Option<(LevelFilter, Arc<dyn Logger>)>> = RwLock::new(None);

/// Sends the log of this process to `logger`: lines at `level` and more severe ones. Without a
/// logger, nothing is logged. May be called again.
#[uniffi::export]
pub fn set_logger(logger: Option<Arc<dyn Logger>>, level: LogLevel) {
    static INSTALLED: Once = Once::new();
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    *LOGGER.write().unwrap_or_else(PoisonError::into_inner) = logger.map(|logger| (level, logger));
    INSTALLED.call_once(|| {
        // A Rust host may have a subscriber of its own, which then gets the log.
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Forward));
    });
}

struct Forward;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Forward {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let logger = LOGGER.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((_, logger)) = logger.filter(|(level, _)| metadata.level() <= level) else { return };
        let level = match *metadata.level() {
            Level::ERROR => LogLevel::Error,
            Level::WARN => LogLevel::Warning,
            Level::INFO => LogLevel::Info,
            _ => LogLevel::Debug,
        };
        let mut message = String::new();
        event.record(&mut |field: &Field, value: &dyn std::fmt::Debug| {
            if field.name() == "message" {
                let _ = write!(message, "{value:?}");
            }
        });
        let target = metadata.target().to_owned();
        // A failing logger must not stop the call that it reports on, nor unwind into C.
        let _ = catch_unwind(AssertUnwindSafe(|| logger.log(level, target, message.trim_end().to_owned())));
    }
}
