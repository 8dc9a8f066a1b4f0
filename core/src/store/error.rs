//! Errors of a store.

use std::path::PathBuf;

use crate::{codec::CodecError, crypto::KeyError};

/// Errors of a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The directory or one of its files cannot be created, read, written or removed.
    #[error("cannot {action} the store at {path}: {source}", path = path.display())]
    Io {
        /// The attempted action.
        action: &'static str,
        /// The store's directory.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The store is already open, in another process or in this one. Close it there first.
    #[error("the store at {} is open already, here or in another process", .0.display())]
    Locked(PathBuf),
    /// A data file has no key file. Nothing was changed.
    ///
    /// Put the key file back, from its new place or from a backup of the same time, or erase the
    /// store: [`super::Store::erase_unopened`], `locket erase`.
    #[error(
        "the key file {} is missing, without which {} cannot be read: put it back, or erase the store",
        key.display(), data.display()
    )]
    KeyFileMissing {
        /// The expected path of the key file.
        key: PathBuf,
        /// The path of the data file.
        data: PathBuf,
    },
    /// The store is in a place without write access, so it is read-only. Make its directory and
    /// files writable, or copy the directory to a writable place.
    #[error("the store at {} cannot be written there: make its directory writable, or copy it to one that is", .0.display())]
    ReadOnly(PathBuf),
    /// No record has this id. Nothing was changed. `history` lists the ids.
    #[error("no record has the id {0}: the history shows the ids that there are")]
    NoRecord(u64),
    /// The database returned an error.
    #[error("the store failed: {0}")]
    Database(Box<dyn std::error::Error + Send + Sync>),
    /// The store was written by a newer Locket. Update the app.
    #[error("the store has layout {0}, newer than this build knows ({newest})", newest = super::LAYOUT)]
    Layout(u64),
    /// The key is not the store's key. Key file and data were not changed. After an interrupted key change the
    /// store has either the old key or the new one: try the other.
    #[error("wrong key: this is not the key of the store at {}", .0.display())]
    WrongKey(PathBuf),
    /// The key file and the data do not match: they were damaged, or files of different stores or
    /// times were mixed.
    #[error("the store at {path} is damaged: {what}", path = path.display())]
    Damaged {
        /// The store's directory.
        path: PathBuf,
        /// The mismatch.
        what: &'static str,
    },
    /// A part of the data fails its authentication: it was damaged, or moved from another place.
    /// The field is the number of the part.
    #[error("part {0} of the store does not pass its authentication: it was damaged or tampered with")]
    Forged(u64),
    /// A record cannot be decoded or encoded.
    #[error("part {id} of the store: {source}")]
    Record {
        /// The number of its segment, or its id.
        id: u64,
        /// The codec's error.
        source: CodecError,
    },
    /// A key cannot be generated or used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The interaction is not valid. The field is the reason.
    #[error("not recorded: {0}")]
    Interaction(&'static str),
    /// The data to import is not an export of this version.
    #[error("not an export of this version: {0}")]
    Export(String),
}

macro_rules! from_redb {
    ($($t:ident),*) => {$(
        impl From<redb::$t> for StoreError {
            fn from(e: redb::$t) -> Self {
                Self::Database(Box::new(redb::Error::from(e)))
            }
        }
    )*};
}
from_redb!(Error, DatabaseError, TransactionError, TableError, StorageError, CommitError);

impl StoreError {
    /// Returns whether the system denies write access.
    pub(super) fn is_read_only(&self) -> bool {
        use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem))
    }
}
