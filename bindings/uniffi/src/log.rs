//! What llama.cpp and the engine log, for the app's own log. It names files and sizes, never texts.

use std::{
    fmt::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Once, PoisonError, RwLock},
};

use tracing::{Event, Level, Subscriber, field::Field, level_filters::LevelFilter};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt, registry::LookupSpan};

use crate::ListenerError;

/// How important a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something is not as it should be.
    Warning,
    /// What happens.
    Info,
    /// Details.
    Debug,
}

/// Told every line of the log, on any thread.
#[uniffi::export(with_foreign)]
pub trait Logger: Send + Sync {
    /// A line, and the part of the program that it comes from.
    fn log(&self, level: LogLevel, target: String, message: String) -> Result<(), ListenerError>;
}

static LOGGER: RwLock<Option<(LevelFilter, Arc<dyn Logger>)>> = RwLock::new(None);

/// Sends the log of this process to `logger`, from `level` up; without one nothing is logged. May be called again.
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
        // A host that is written in Rust may have a subscriber of its own; then that one gets the log.
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
        // The log must not stop what it reports on, nor unwind into C.
        let _ = catch_unwind(AssertUnwindSafe(|| logger.log(level, target, message.trim_end().to_owned())));
    }
}
