//! Changing a store's key, and forgetting records: both encrypt the remaining records again.

use std::collections::HashSet;

use super::{Step, Store, StoreError, generation, onward, records::Numbered};
use crate::crypto::Key;

impl Store {
    /// Changes the host's key to `new`.
    ///
    /// All records are encrypted again under a fresh key of the store's own, and the old key file
    /// and data are destroyed. The change is one atomic rename. If the process ends before this
    /// returns, the store opens with either the old key or the new one, complete.
    ///
    /// # Errors
    /// [`StoreError::Io`]; the store then still has the old key. [`StoreError::ReadOnly`].
    pub fn change_key(&mut self, new: &Key) -> Result<(), StoreError> {
        self.change_key_by_steps(new, &mut onward)
    }

    pub(super) fn change_key_by_steps(&self, new: &Key, step: Step<'_>) -> Result<(), StoreError> {
        self.need_writable()?;
        let mut now = self.now_mut();
        let (records, lasting) = now.records.read_whole()?;
        generation::replace(&self.dir, &mut now, new, &records, &lasting, step)
    }

    /// Removes the record with this id permanently; returns `false` if there is none. See
    /// [`Store::forget_all`].
    ///
    /// # Errors
    /// As [`Store::forget_all`].
    pub fn forget(&self, id: u64) -> Result<bool, StoreError> {
        match self.forget_all(&[id]) {
            Ok(()) => Ok(true),
            Err(StoreError::NoRecord(_)) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Removes the records with these ids permanently: all of them, or none.
    ///
    /// The remaining records are encrypted again under a fresh key. The old key and data are
    /// destroyed, with the sessions and the checkpoint of an augmentation. Synthetic records derive
    /// from real ones, so all of them go with any real record. If the process ends before this
    /// returns, the store is either unchanged or without the records.
    ///
    /// # Errors
    /// [`StoreError::NoRecord`], [`StoreError::ReadOnly`], [`StoreError::Io`].
    pub fn forget_all(&self, ids: &[u64]) -> Result<(), StoreError> {
        self.forget_by_steps(ids, &mut onward)
    }

    pub(super) fn forget_by_steps(&self, ids: &[u64], step: Step<'_>) -> Result<(), StoreError> {
        self.need_writable()?;
        let mut now = self.now_mut();
        let (records, lasting) = now.records.read_whole()?;
        let kept = without(records, ids)?;
        let host = now.host.clone();
        generation::replace(&self.dir, &mut now, &host, &kept, &lasting, step)
    }
}

/// Returns the remaining records after the records with these ids are forgotten.
pub(super) fn without(records: Numbered, ids: &[u64]) -> Result<Numbered, StoreError> {
    let here: HashSet<u64> = records.iter().map(|r| r.0).collect();
    if let Some(&id) = ids.iter().find(|id| !here.contains(id)) {
        return Err(StoreError::NoRecord(id));
    }
    let (gone, mut kept): (Numbered, Numbered) = records.into_iter().partition(|(id, _)| ids.contains(id));
    if gone.iter().any(|(_, record)| !record.is_synthetic()) {
        kept.retain(|(_, record)| !record.is_synthetic());
    }
    Ok(kept)
}
