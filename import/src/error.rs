//! Errors of an import.

use std::{io, path::PathBuf};

use crate::senders::listed;

/// An error that ends an import. Nothing was added to a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The format is unknown, or the file does not have the given one. Pass the format, or export
    /// the texts again.
    #[error("{name}: {problem}")]
    Format {
        /// Name of the file or folder.
        name: String,
        /// The problem and its remedy.
        problem: String,
    },
    /// The file is larger than its format allows.
    #[error("{name} has more than {most} bytes: export a shorter period, or one chat at a time")]
    TooLarge {
        /// Name of the file.
        name: String,
        /// Maximum number of bytes.
        most: u64,
    },
    /// The user is unknown: none was given, and the file does not show it. Pass one of `found` as
    /// `me`.
    #[error("whose texts are yours? Give one of these as `me`: {}", listed(found))]
    WhoIsMe {
        /// The most frequent senders with their numbers of messages.
        found: Vec<(String, u64)>,
    },
    /// No message is by the user that was given. Pass one of `found` as `me`.
    #[error("no message is by {}: give one of these as `me`: {}", me.join(" or "), listed(found))]
    NotFound {
        /// The given addresses or names.
        me: Vec<String>,
        /// The most frequent senders with their numbers of messages.
        found: Vec<(String, u64)>,
    },
    /// The progress callback stopped the import.
    #[error("cancelled: nothing was imported")]
    Cancelled,
    /// An error of the store.
    #[cfg(feature = "engine")]
    #[error(transparent)]
    Engine(#[from] locket::Error),
}
