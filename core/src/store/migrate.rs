//! Migration of a store of layout 1: one plain-text redb file, records under increasing ids.

use std::{io, path::Path};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableError};

use super::{StoreError, database_error, first::FirstRecord, keyfile, records::Numbered};
use crate::{codec, history::Record};

const FILE: &str = "locket.redb";
const RECORDS: TableDefinition<u64, &[u8]> = TableDefinition::new("records");
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");

/// Returns whether `dir` holds a store of layout 1.
pub(super) fn found(dir: &Path) -> bool {
    dir.join(FILE).exists()
}

/// Returns its records; empty if there is no such store.
pub(super) fn read(dir: &Path) -> Result<Vec<Record>, StoreError> {
    if !found(dir) {
        return Ok(Vec::new());
    }
    let db = Database::open(dir.join(FILE)).map_err(|e| database_error(e, dir))?;
    let txn = db.begin_read()?;
    let table = match txn.open_table(RECORDS) {
        Ok(table) => table,
        // Its creation was interrupted, so it holds no records.
        Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        Err(e) => return Err(e.into()),
    };
    let layout = txn.open_table(META)?.get("layout")?.map_or(1, |v| v.value());
    if layout != 1 {
        return Err(StoreError::Layout(layout));
    }
    let mut records = Vec::new();
    for entry in table.iter()? {
        let (id, bytes) = entry?;
        let id = id.value();
        records.push(
            codec::decode(bytes.value(), |r: FirstRecord| r.into())
                .map_err(|source| StoreError::Record { id, source })?,
        );
    }
    Ok(records)
}

/// Overwrites and removes its file once all its records are among `taken`, the new store's records.
/// A file with other records stays.
pub(super) fn remove_taken(dir: &Path, taken: &Numbered) -> Result<(), StoreError> {
    let Ok(left) = read(dir) else { return Ok(()) };
    if left.iter().all(|record| taken.iter().any(|(_, t)| t == record)) {
        remove(dir).map_err(|source| StoreError::Io { action: "clean", path: dir.to_path_buf(), source })?;
    }
    Ok(())
}

/// Overwrites and removes its file.
pub(super) fn remove(dir: &Path) -> io::Result<()> {
    keyfile::destroy(&dir.join(FILE))
}
