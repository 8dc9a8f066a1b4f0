//! The user's records: recording, listing, forgetting, export and import.

use std::sync::PoisonError;

use super::Engine;
use super::sessions::Sessions;
use crate::{
    Error,
    history::{Entry, Interaction, Record},
    llm::MemoryLevel,
    store::{Export, Imported, StoreError},
};

impl Engine {
    /// Records a text by the user, and returns the id that [`Engine::forget`] takes. The text is on
    /// disk when this returns.
    ///
    /// # Errors
    /// [`crate::store::StoreError::Interaction`] if the interaction is not usable.
    pub fn record(&self, interaction: Interaction) -> Result<u64, Error> {
        Ok(self.store.append(&Record::real(interaction))?)
    }

    /// Returns all records, real and synthetic, sorted by time, oldest first.
    ///
    /// A record without a time comes after the one that was recorded before it.
    ///
    /// # Errors
    /// [`crate::store::StoreError`].
    pub fn history(&self) -> Result<Vec<Record>, Error> {
        Ok(self.store.records()?)
    }

    /// Returns the records of [`Engine::history`] with the ids that [`Engine::forget`] takes.
    ///
    /// # Errors
    /// [`crate::store::StoreError`].
    pub fn entries(&self) -> Result<Vec<Entry>, Error> {
        Ok(self.store.entries()?)
    }

    /// Removes the record with this id permanently; returns `false` if there is none. See
    /// [`Engine::forget_all`].
    ///
    /// # Errors
    /// [`crate::store::StoreError`].
    pub fn forget(&self, id: u64) -> Result<bool, Error> {
        match self.forget_all(&[id]) {
            Ok(()) => Ok(true),
            Err(Error::Store(StoreError::NoRecord(_))) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Removes the records with these ids permanently: all of them, or none.
    ///
    /// All data derived from them goes too: the synthetic records, the sessions, the checkpoint of
    /// an augmentation, and the decoder's cache of earlier prompts. An augmentation in progress
    /// ends with [`Error::Cancelled`]. A generation in progress ends before the decoder's cache is
    /// dropped.
    ///
    /// # Errors
    /// [`crate::store::StoreError::NoRecord`], [`crate::store::StoreError`].
    pub fn forget_all(&self, ids: &[u64]) -> Result<(), Error> {
        let done = self.store.forget_all(ids);
        let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
        *sessions = Sessions::new(self.store.caches(), sessions.most);
        drop(sessions);
        self.release_memory(MemoryLevel::Sessions);
        Ok(done?)
    }

    /// Returns the opaque id of a recipient, for [`Interaction::audience`] and
    /// [`GenerateRequest::audience`](super::GenerateRequest::audience). `address` is an address or a
    /// name; white space around it and letter case do not matter.
    ///
    /// The id is stable for this store, also when its key changes, and useless elsewhere. The first
    /// call writes a secret into the store.
    ///
    /// # Errors
    /// [`crate::store::StoreError::ReadOnly`] if the store has no secret yet and cannot be written;
    /// [`crate::store::StoreError`].
    pub fn audience(&self, address: &str) -> Result<String, Error> {
        Ok(self.store.audience(address)?)
    }

    /// Returns the content of the store, for the user to keep.
    ///
    /// # Errors
    /// [`crate::store::StoreError`].
    pub fn export(&self) -> Result<Export, Error> {
        Ok(self.store.export()?)
    }

    /// Adds the records of an export that the store does not hold yet.
    ///
    /// # Errors
    /// [`crate::store::StoreError::Export`], [`crate::store::StoreError::Interaction`],
    /// [`crate::store::StoreError`].
    pub fn import(&self, export: &Export) -> Result<Imported, Error> {
        Ok(self.store.import(export)?)
    }

    /// Deletes all data about the user.
    ///
    /// # Errors
    /// [`crate::store::StoreError::Io`] if a file cannot be removed.
    pub fn erase(self) -> Result<(), Error> {
        // The worker must end before the files go: its calls write sessions and checkpoints.
        drop(self.worker);
        Ok(self.store.erase()?)
    }
}
