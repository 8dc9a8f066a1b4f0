//! Export of a store's records for the user, and import.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{Store, StoreError};
use crate::{codec, history::Record};

/// The content of a store, as JSON for the user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Export {
    /// Always `"locket-export"`.
    pub format: String,
    /// Version of the format, 1.
    pub version: u32,
    /// All records, oldest first.
    pub records: Vec<Record>,
}

/// The result of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Imported {
    /// Number of added records.
    pub added: usize,
    /// Number of records that the store already held. They were not added again.
    pub known: usize,
}

impl Store {
    /// Returns all records, for the user.
    ///
    /// # Errors
    /// As [`Store::records`].
    pub fn export(&self) -> Result<Export, StoreError> {
        Ok(Export { format: "locket-export".into(), version: 1, records: self.records()? })
    }

    /// Removes from every record that its text was sent from a draft, in one transaction. The texts
    /// stay.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`], [`StoreError`].
    pub fn forget_drafts(&self) -> Result<(), StoreError> {
        self.need_writable()?;
        let now = self.now_mut();
        let (mut records, lasting) = now.records.read_whole()?;
        records.iter_mut().for_each(|(_, record)| record.forget_draft());
        now.records.fill(&records, &lasting)
    }

    /// Appends the records of an export that the store does not hold yet: all of them, or none.
    ///
    /// Two records are equal if interaction and origin are. A missing record is added as often as
    /// the export contains it, so that an export restores its store into an empty one.
    ///
    /// # Errors
    /// [`StoreError::Export`] for another format or version; as [`Store::append`].
    pub fn import(&self, export: &Export) -> Result<Imported, StoreError> {
        if export.format != "locket-export" || export.version != 1 {
            return Err(StoreError::Export(format!("{} {}", export.format, export.version)));
        }
        let records = self.usable(&export.records)?;
        // The write lock prevents other records between the comparison and the append.
        let now = self.now_mut();
        let here = Self::entries_of(&now)?;
        let here: HashSet<Vec<u8>> = here.iter().map(|entry| identity(&entry.record)).collect::<Result<_, _>>()?;
        let mut new = Vec::new();
        for record in records {
            if !here.contains(&identity(&record)?) {
                new.push(record);
            }
        }
        let imported = Imported { added: new.len(), known: export.records.len() - new.len() };
        if !new.is_empty() {
            now.records.append(&new)?;
        }
        Ok(imported)
    }
}

/// Returns equal bytes for equal records.
fn identity(record: &Record) -> Result<Vec<u8>, StoreError> {
    codec::encode(record).map_err(|source| StoreError::Record { id: 0, source })
}
