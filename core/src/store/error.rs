//! What can be wrong with a store.

use std::path::PathBuf;

use crate::{codec::CodecError, crypto::KeyError};

/// What can be wrong with a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The directory or one of its files cannot be created, read or removed.
    #[error("cannot {action} the store at {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The store's directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The store is open already, in another process or in this one. Close it there first.
    #[error("the store at {} is open already, here or in another process", .0.display())]
    Locked(PathBuf),
    /// A data file is there without the key file that opens it. Nothing was touched. Put the key file back, from where it was moved
    /// to or from a backup of the same time, or erase the store: [`super::Store::erase_unopened`], `locket erase`.
    #[error(
        "the key file {} is missing, without which {} cannot be read: put it back, or erase the store",
        key.display(), data.display()
    )]
    KeyFileMissing {
        /// Where the key file belongs.
        key: PathBuf,
        /// The data file that is there.
        data: PathBuf,
    },
    /// The store lies where nothing can be written, so it can only be read. Make its directory and files writable, or copy the
    /// directory to where they are.
    #[error("the store at {} cannot be written there: make its directory writable, or copy it to one that is", .0.display())]
    ReadOnly(PathBuf),
    /// No record has this id. Nothing was changed. `history` lists the ids.
    #[error("no record has the id {0}: the history shows the ids that there are")]
    NoRecord(u64),
    /// The database refused.
    #[error("the store failed: {0}")]
    Database(Box<redb::Error>),
    /// The store was written by a newer Locket. Update the app.
    #[error("the store has layout {0}, newer than this build knows ({newest})", newest = super::LAYOUT)]
    Layout(u64),
    /// The key is not the one that the store was made with. Nothing was touched. After an interrupted change of keys it is
    /// either the old key or the new one: try the other.
    #[error("wrong key: this is not the key of the store at {}", .0.display())]
    WrongKey(PathBuf),
    /// The key file or the data do not hang together: they were damaged, or files of different stores or times were mixed.
    #[error("the store at {path} is damaged: {what}", path = path.display())]
    Damaged {
        /// The store's directory.
        path: PathBuf,
        /// What does not fit.
        what: &'static str,
    },
    /// A part of the data does not pass its authentication: damaged, or moved from another place.
    #[error("part {0} of the store does not pass its authentication: it was damaged or tampered with")]
    Forged(u64),
    /// A record cannot be read.
    #[error("part {id} of the store: {source}")]
    Record {
        /// The number of the part that holds it.
        id: u64,
        /// What is wrong with its bytes.
        source: CodecError,
    },
    /// A key cannot be made or used.
    #[error(transparent)]
    Key(#[from] KeyError),
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
from_redb!(Error, DatabaseError, TransactionError, TableError, StorageError, CommitError);

impl StoreError {
    /// Whether the system does not let a file be written here.
    pub(super) fn is_read_only(&self) -> bool {
        use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem))
    }
}
