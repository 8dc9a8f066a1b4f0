//! Cancellation of a call from another thread.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// A flag that cancels calls from any thread. Clones share the flag.
///
/// Generation looks at it between two tokens. It cannot be reset: use a new token for a new call.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Creates a token that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels every call that looks at this token.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns whether [`CancelToken::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Returns a break once the token is cancelled: the value that a callback of the engine
    /// returns.
    ///
    /// ```
    /// use locket::CancelToken;
    ///
    /// let token = CancelToken::new();
    /// assert!(token.flow().is_continue());
    /// token.cancel();
    /// assert!(token.flow().is_break());
    /// ```
    pub fn flow(&self) -> ControlFlow<()> {
        if self.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
