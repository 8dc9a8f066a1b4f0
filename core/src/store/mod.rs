//! One person's own interactions on disk.
//!
//! A store is a directory with one redb file. Records are appended under increasing ids and never
//! change; a commit that returned survives a crash, one that did not leaves no trace (redb's
//! copy-on-write B-trees). Bytes pass through a [`Seal`] on their way in and out: today [`Plain`],
//! the seam for encryption at rest.

use std::{
    fs,
    path::{Path, PathBuf},
};

use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table, TableDefinition};
use serde::{Deserialize, Serialize};

use crate::{
    codec::{self, CodecError},
    interaction::Record,
};

/// Records by id, in the order of recording.
const RECORDS: TableDefinition<u64, &[u8]> = TableDefinition::new("records");
/// Facts about the store itself.
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// The layout of the tables. Policy: a newer layout is refused by name, an older one is migrated.
const LAYOUT: u64 = 1;
const FILE: &str = "locket.redb";

/// What can be wrong with a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The directory or its file cannot be created, read or removed.
    #[error("cannot {action} the store at {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The store's directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process has the store open. Close it there first.
    #[error("the store at {} is open in another process", .0.display())]
    Locked(PathBuf),
    /// The database refused.
    #[error("the store failed: {0}")]
    Database(Box<redb::Error>),
    /// The store was written by a newer Locket. Update the app.
    #[error("the store has layout {0}, newer than this build knows ({LAYOUT})")]
    Layout(u64),
    /// A record cannot be read.
    #[error("record {id}: {source}")]
    Record {
        /// The record's id.
        id: u64,
        /// What is wrong with its bytes.
        source: CodecError,
    },
    /// The interaction cannot be recorded as it is.
    #[error("not recorded: {0}")]
    Interaction(&'static str),
    /// The text to import is not an export.
    #[error("not an export of this version: {0}")]
    Export(String),
}

macro_rules! from_redb {
    ($($t:ident),*) => {$(
        impl From<redb::$t> for StoreError {
            fn from(e: redb::$t) -> Self {
                Self::Database(Box::new(e.into()))
            }
        }
    )*};
}
from_redb!(Error, TransactionError, TableError, StorageError, CommitError);

/// How record bytes are protected between the codec and the disk.
pub trait Seal: Send + Sync {
    /// Protects `plain`; `place` binds the result to its record.
    fn seal(&self, plain: Vec<u8>, place: u64) -> Vec<u8>;
    /// Undoes [`Seal::seal`], or says what is wrong.
    fn open(&self, sealed: &[u8], place: u64) -> Result<Vec<u8>, CodecError>;
}

/// No protection beyond what the device's own file encryption gives.
pub struct Plain;

impl Seal for Plain {
    fn seal(&self, plain: Vec<u8>, _: u64) -> Vec<u8> {
        plain
    }

    fn open(&self, sealed: &[u8], _: u64) -> Result<Vec<u8>, CodecError> {
        Ok(sealed.to_vec())
    }
}

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

/// One person's store.
pub struct Store {
    dir: PathBuf,
    db: Database,
    seal: Box<dyn Seal>,
}

impl Store {
    /// Opens the store in `dir`, creating both if they are missing.
    ///
    /// # Errors
    /// [`StoreError::Io`], [`StoreError::Locked`] if another process holds it, [`StoreError::Layout`] if
    /// a newer Locket wrote it.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, StoreError> {
        let dir = dir.as_ref().to_path_buf();
        let io = |action| {
            let path = dir.clone();
            move |source| StoreError::Io { action, path, source }
        };
        fs::create_dir_all(&dir).map_err(io("create"))?;
        let db = Database::create(dir.join(FILE)).map_err(|e| match e {
            redb::DatabaseError::DatabaseAlreadyOpen => StoreError::Locked(dir.clone()),
            redb::DatabaseError::Storage(redb::StorageError::Io(source)) => io("open")(source),
            other => StoreError::Database(Box::new(other.into())),
        })?;
        let txn = db.begin_write()?;
        {
            let mut meta = txn.open_table(META)?;
            let layout = meta.get("layout")?.map(|v| v.value());
            match layout {
                Some(layout) if layout > LAYOUT => return Err(StoreError::Layout(layout)),
                Some(_) => {}
                None => {
                    meta.insert("layout", LAYOUT)?;
                }
            }
            txn.open_table(RECORDS)?;
        }
        txn.commit()?;
        Ok(Self { dir, db, seal: Box::new(Plain) })
    }

    /// Whether `dir` already holds a store.
    pub fn exists(dir: impl AsRef<Path>) -> bool {
        dir.as_ref().join(FILE).exists()
    }

    /// Where the store lives.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Appends one record and returns its id. When this returns, the record is on disk.
    ///
    /// # Errors
    /// [`StoreError::Interaction`] if it has no item, no text or a rating outside 1 to 5.
    pub fn append(&self, record: &Record) -> Result<u64, StoreError> {
        Ok(self.append_all(std::slice::from_ref(record))?[0])
    }

    /// Appends all `records` in one transaction: all of them are kept, or none.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn append_all(&self, records: &[Record]) -> Result<Vec<u64>, StoreError> {
        if let Some(defect) = records.iter().find_map(|r| r.interaction.defect()) {
            return Err(StoreError::Interaction(defect));
        }
        let txn = self.db.begin_write()?;
        let ids = self.insert(&mut txn.open_table(RECORDS)?, records)?;
        txn.commit()?;
        Ok(ids)
    }

    /// Puts `records` behind the last one of `table`.
    fn insert(&self, table: &mut Table<'_, u64, &'static [u8]>, records: &[Record]) -> Result<Vec<u64>, StoreError> {
        let first = table.last()?.map_or(0, |(k, _)| k.value() + 1);
        for (id, record) in (first..).zip(records) {
            let bytes = codec::encode(record).map_err(|source| StoreError::Record { id, source })?;
            table.insert(id, self.seal.seal(bytes, id).as_slice())?;
        }
        Ok((first..first + records.len() as u64).collect())
    }

    /// All records, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Record`] names the first record that cannot be read.
    pub fn records(&self) -> Result<Vec<Record>, StoreError> {
        let table = self.db.begin_read()?.open_table(RECORDS)?;
        Ok(self.read(&table)?.into_iter().map(|(_, record)| record).collect())
    }

    fn read(&self, table: &impl ReadableTable<u64, &'static [u8]>) -> Result<Vec<(u64, Record)>, StoreError> {
        let mut out = Vec::new();
        for entry in table.iter()? {
            let (key, value) = entry?;
            let id = key.value();
            let plain = self.seal.open(value.value(), id);
            let record = plain.and_then(|b| codec::decode(&b)).map_err(|source| StoreError::Record { id, source })?;
            out.push((id, record));
        }
        Ok(out)
    }

    /// Number of records.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn len(&self) -> Result<u64, StoreError> {
        Ok(self.db.begin_read()?.open_table(RECORDS)?.len()?)
    }

    /// Whether nothing is recorded.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.len()? == 0)
    }

    /// Replaces all synthetic records by `synthetic` in one transaction; real ones stay.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn replace_synthetic(&self, synthetic: &[Record]) -> Result<(), StoreError> {
        if synthetic.iter().any(|r| !r.is_synthetic()) {
            return Err(StoreError::Interaction("a real text was offered as a synthetic one"));
        }
        let txn = self.db.begin_write()?;
        {
            // Within the one write transaction, so that nothing recorded meanwhile can be lost.
            let mut table = txn.open_table(RECORDS)?;
            for (id, _) in self.read(&table)?.iter().filter(|(_, r)| r.is_synthetic()) {
                table.remove(id)?;
            }
            self.insert(&mut table, synthetic)?;
        }
        txn.commit()?;
        Ok(())
    }

    /// Everything, for its owner.
    ///
    /// # Errors
    /// As [`Store::records`].
    pub fn export(&self) -> Result<Export, StoreError> {
        Ok(Export { format: "locket-export".into(), version: 1, records: self.records()? })
    }

    /// Appends what an export holds; all or nothing. Returns the number of records.
    ///
    /// # Errors
    /// [`StoreError::Export`] if it is another format or version.
    pub fn import(&self, export: &Export) -> Result<usize, StoreError> {
        if export.format != "locket-export" || export.version != 1 {
            return Err(StoreError::Export(format!("{} {}", export.format, export.version)));
        }
        Ok(self.append_all(&export.records)?.len())
    }

    /// Deletes the store's file, and its directory if nothing else is in it.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the file cannot be removed.
    pub fn erase(self) -> Result<(), StoreError> {
        let Self { dir, db, .. } = self;
        drop(db);
        fs::remove_file(dir.join(FILE)).map_err(|source| StoreError::Io {
            action: "erase",
            path: dir.clone(),
            source,
        })?;
        // A directory with other files in it is the app's own and stays.
        let _ = fs::remove_dir(&dir);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        interaction::{Interaction, Origin},
        reason::ReasoningPath,
    };

    fn synthetic(item: &str) -> Record {
        let origin = Origin::Synthetic { path: ReasoningPath::default(), model: "m".into() };
        Record { interaction: Interaction::new(item, "made up"), origin }
    }

    #[test]
    fn records_survive_reopening_and_export() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/store");
        let store = Store::open(&path).unwrap();
        store.append(&Record::real(Interaction::new("a", "first").with_rating(4.0))).unwrap();
        store.append(&synthetic("b")).unwrap();
        drop(store);
        let store = Store::open(&path).unwrap();
        assert_eq!(store.len().unwrap(), 2);
        let export = store.export().unwrap();
        let json = serde_json::to_string(&export).unwrap();
        let other = Store::open(dir.path().join("other")).unwrap();
        assert_eq!(other.import(&serde_json::from_str(&json).unwrap()).unwrap(), 2);
        assert_eq!(other.records().unwrap(), store.records().unwrap());
    }

    #[test]
    fn a_bad_record_keeps_the_whole_batch_out() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let good = Record::real(Interaction::new("a", "x"));
        let bad = Record::real(Interaction::new("a", "x").with_rating(7.0));
        assert!(matches!(store.append_all(&[good, bad]), Err(StoreError::Interaction(_))));
        assert!(store.is_empty().unwrap());
    }

    #[test]
    fn synthetic_records_are_replaced_and_real_ones_stay() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let real = Record::real(Interaction::new("a", "x"));
        store.append_all(&[synthetic("old"), real.clone()]).unwrap();
        store.replace_synthetic(&[synthetic("new")]).unwrap();
        assert_eq!(store.records().unwrap(), [real.clone(), synthetic("new")]);
        assert!(store.replace_synthetic(&[real]).is_err());
        assert_eq!(store.len().unwrap(), 2);
    }

    #[test]
    fn two_openers_are_told_and_erase_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let store = Store::open(&path).unwrap();
        assert!(matches!(Store::open(&path), Err(StoreError::Locked(_))));
        store.append(&Record::real(Interaction::new("a", "secret"))).unwrap();
        store.erase().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_is_no_database_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), vec![7u8; 5000]).unwrap();
        assert!(Store::open(dir.path()).is_err());
    }
}
