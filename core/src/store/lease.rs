//! The permission to keep caches that derive from the records of a store.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{crypto::Key, output};

/// The directory of caches, the key that seals them, and the lease on them.
#[derive(Clone)]
pub(crate) struct Caches {
    pub(crate) dir: PathBuf,
    pub(crate) key: Key,
    pub(crate) lease: Lease,
}

impl Caches {
    /// Writes a cache file atomically if the lease holds. Returns whether it did.
    pub(crate) fn keep(&self, name: &str, sealed: &[u8]) -> bool {
        self.lease.keep(|| output::replace_cache(&self.dir.join(name), sealed).ok()).is_some()
    }
}

/// The permission of sessions and checkpoints to write files. It ends when a record is forgotten,
/// so that calls from before write no files derived from it.
#[derive(Clone)]
pub(crate) struct Lease(Arc<RwLock<bool>>);

impl Lease {
    pub(crate) fn new(held: bool) -> Self {
        Self(Arc::new(RwLock::new(held)))
    }

    /// Returns whether the lease still holds.
    pub(crate) fn holds(&self) -> bool {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` if the lease holds. The lease cannot end meanwhile.
    pub(crate) fn keep<T>(&self, work: impl FnOnce() -> Option<T>) -> Option<T> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if *held { work() } else { None }
    }

    /// Ends the lease, after any running `Lease::keep`.
    pub(super) fn end(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = false;
    }
}
