//! Everything a store holds, for its owner, and the way back.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{Store, StoreError};
use crate::{codec, history::Record};

/// Everything a store holds, as JSON for its owner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Export {
    /// Always `"locket-export"`.
    pub format: String,
    /// The version of this shape, 1.
    pub version: u32,
    /// All records, oldest first.
    pub records: Vec<Record>,
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Imported {
    /// Number of records that are new in the store.
    pub added: usize,
    /// Number of records that were there already, and were not added again.
    pub known: usize,
}

impl Store {
    /// Everything, for its owner.
    ///
    /// # Errors
    /// As [`Store::records`].
    pub fn export(&self) -> Result<Export, StoreError> {
        Ok(Export { format: "locket-export".into(), version: 1, records: self.records()? })
    }

    /// Appends the records of an export that are not here yet (same interaction and origin); all or nothing. A record that is
    /// new here is added as often as the export holds it, so that an export fills an empty store with what it was made of.
    ///
    /// # Errors
    /// [`StoreError::Export`] if it is another format or version; as [`Store::append`].
    pub fn import(&self, export: &Export) -> Result<Imported, StoreError> {
        if export.format != "locket-export" || export.version != 1 {
            return Err(StoreError::Export(format!("{} {}", export.format, export.version)));
        }
        let records = self.usable(&export.records)?;
        // Nothing is recorded between looking and adding.
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

/// Equal bytes for equal records.
fn identity(record: &Record) -> Result<Vec<u8>, StoreError> {
    codec::encode(record).map_err(|source| StoreError::Record { id: 0, source })
}
