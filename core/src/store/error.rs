//! What can be wrong with a store.

use std::path::PathBuf;

use crate::codec::CodecError;

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
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
    /// A key has another length than 32 bytes.
    #[error("a key has 32 bytes, not {0}")]
    KeyLength(usize),
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
