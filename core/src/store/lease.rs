//! The right to keep caches that derive from the records of a store.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{crypto::Key, output};

/// Where caches lie, the key that seals them, and the right to keep them.
#[derive(Clone)]
pub(crate) struct Caches {
    pub(crate) dir: PathBuf,
    pub(crate) key: Key,
    pub(crate) lease: Lease,
}

impl Caches {
    /// Puts a cache file in place, whole or not at all, if the lease holds. Returns whether it did.
    pub(crate) fn keep(&self, name: &str, sealed: &[u8]) -> bool {
        self.lease.keep(|| output::replace_cache(&self.dir.join(name), sealed).ok()).is_some()
    }
}

/// Held by sessions and unfinished augmentations; ends when a record is forgotten, so that a call that began before keeps
/// nothing of it.
#[derive(Clone)]
pub(crate) struct Lease(Arc<RwLock<bool>>);

impl Lease {
    pub(crate) fn new(held: bool) -> Self {
        Self(Arc::new(RwLock::new(held)))
    }

    /// Whether it still holds.
    pub(crate) fn holds(&self) -> bool {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does the work if the lease holds, and not beside its end.
    pub(crate) fn keep<T>(&self, work: impl FnOnce() -> Option<T>) -> Option<T> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if *held { work() } else { None }
    }

    /// Ends it, once nothing is being kept.
    pub(super) fn end(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = false;
    }
}
