//! What is kept of the person: records, and their end.

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
    /// Keeps a text that the person wrote. When this returns, it is on disk.
    ///
    /// # Errors
    /// [`crate::store::StoreError::Interaction`] if it is not a usable one.
    pub fn record(&self, interaction: Interaction) -> Result<(), Error> {
        self.store.append(&Record::real(interaction))?;
        Ok(())
    }

    /// Everything recorded, real and synthetic, oldest first: in the order of their times. A record without a time stands behind
    /// the one that was recorded before it.
    ///
    /// # Errors
    /// [`crate::store::StoreError`].
    pub fn history(&self) -> Result<Vec<Record>, Error> {
        Ok(self.store.records()?)
    }

    /// As [`Engine::history`], with the ids that [`Engine::forget`] takes.
    ///
    /// # Errors
    /// [`crate::store::StoreError`].
    pub fn entries(&self) -> Result<Vec<Entry>, Error> {
        Ok(self.store.entries()?)
    }

    /// Removes the record with this id for good; `false` if there is none. See [`Engine::forget_all`].
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

    /// Removes the records with these ids for good, all of them or none, and what was derived from them: the synthetic records,
    /// the sessions, unfinished augmentations, and what the decoder holds of earlier prompts. An augmentation in progress ends
    /// with [`Error::Cancelled`]; a text that is being written ends first.
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

    /// Everything the store holds, for its owner.
    ///
    /// # Errors
    /// [`crate::store::StoreError`].
    pub fn export(&self) -> Result<Export, Error> {
        Ok(self.store.export()?)
    }

    /// Keeps the records of an export that are not here yet.
    ///
    /// # Errors
    /// [`crate::store::StoreError::Export`], [`crate::store::StoreError::Interaction`], [`crate::store::StoreError`].
    pub fn import(&self, export: &Export) -> Result<Imported, Error> {
        Ok(self.store.import(export)?)
    }

    /// Deletes everything that was kept of the person.
    ///
    /// # Errors
    /// [`crate::store::StoreError::Io`] if a file cannot be removed.
    pub fn erase(self) -> Result<(), Error> {
        // Nothing may be written any more.
        drop(self.worker);
        Ok(self.store.erase()?)
    }
}
