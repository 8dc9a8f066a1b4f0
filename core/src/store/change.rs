//! Changing the key of a store, and forgetting records: both write everything that stays anew.

use std::collections::HashSet;

use super::{Step, Store, StoreError, generation, onward, records::Numbered};
use crate::crypto::Key;

impl Store {
    /// Changes the host's key to `new`: everything is encrypted anew under a fresh key of the store's own, and the old key
    /// file and data are destroyed. The moment of change is one rename. If the process ends before this returns, the
    /// store opens with the old key or with the new one, whole.
    ///
    /// # Errors
    /// [`StoreError::Io`]; the store then still has the old key. [`StoreError::ReadOnly`].
    pub fn change_key(&mut self, new: &Key) -> Result<(), StoreError> {
        self.change_key_by_steps(new, &mut onward)
    }

    pub(super) fn change_key_by_steps(&self, new: &Key, step: Step<'_>) -> Result<(), StoreError> {
        self.need_writable()?;
        let mut now = self.now_mut();
        let (records, next_id) = now.records.read_with_next()?;
        generation::replace(&self.dir, &mut now, new, &records, next_id, step)
    }

    /// Removes the record with this id for good; `false` if there is none. See [`Store::forget_all`].
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

    /// Removes the records with these ids for good: all of them, or none. The rest is encrypted anew under a fresh key, the old
    /// key and data are destroyed, and so are the sessions and what an augmentation had begun. Synthetic records were written
    /// from real ones, so they go with a real record. If the process ends before this returns, the store is as it was or
    /// without the records.
    ///
    /// # Errors
    /// [`StoreError::NoRecord`], [`StoreError::ReadOnly`], [`StoreError::Io`].
    pub fn forget_all(&self, ids: &[u64]) -> Result<(), StoreError> {
        self.forget_by_steps(ids, &mut onward)
    }

    pub(super) fn forget_by_steps(&self, ids: &[u64], step: Step<'_>) -> Result<(), StoreError> {
        self.need_writable()?;
        let mut now = self.now_mut();
        let (records, next_id) = now.records.read_with_next()?;
        let kept = without(records, ids)?;
        let host = now.host.clone();
        generation::replace(&self.dir, &mut now, &host, &kept, next_id, step)
    }
}

/// The records that stay when those with these ids are forgotten.
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
