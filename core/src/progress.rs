//! Progress of an operation that takes long: loading a model, applying a delta, importing a file.

use std::ops::ControlFlow;

/// Progress of an operation, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Number of bytes done.
    pub done: u64,
    /// Number of bytes in all.
    pub total: u64,
}

impl Progress {
    /// Creates the progress of `done` bytes of `total`.
    pub fn new(done: u64, total: u64) -> Self {
        Self { done, total }
    }

    /// Returns the fraction done, 0 to 1.
    pub fn fraction(self) -> f64 {
        self.done as f64 / self.total.max(1) as f64
    }
}

/// Callback for the progress of an operation. A break cancels the operation.
pub type OnProgress<'f> = &'f mut dyn FnMut(Progress) -> ControlFlow<()>;
