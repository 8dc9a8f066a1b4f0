//! The one error type that leaves the crate, made of one small enum per layer.

use std::path::{Path, PathBuf};

use crate::{
    crypto::KeyError,
    llm::LlmError,
    output::OutputError,
    pack::{DeltaError, PackError},
    store::StoreError,
};

/// Everything that can go wrong. Each message says what was wrong and, where there is one, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The person's store could not be opened, read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key could not be made or used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A pack could not be built, opened or trusted.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A pack could not be brought up to date.
    #[error(transparent)]
    Delta(DeltaError),
    /// A model could not be loaded, or decoding failed.
    #[error(transparent)]
    Llm(LlmError),
    /// An output is a file that must not be replaced.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A file system operation outside the layers above failed.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        /// What was tried, as a verb ("create").
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The call needs something the engine was not given.
    #[error("this needs a {0}: open the engine with one")]
    Missing(&'static str),
    /// An argument is outside its range.
    #[error("{0}")]
    Argument(String),
    /// The caller cancelled; nothing was kept of the unfinished work.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// An [`Error::Io`] for `path`.
    pub fn io(action: &'static str, path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { action, path: path.as_ref().to_path_buf(), source }
    }
}

impl From<LlmError> for Error {
    /// A cancelled decoding is a cancelled call, whichever layer noticed.
    fn from(e: LlmError) -> Self {
        match e {
            LlmError::Cancelled => Self::Cancelled,
            other => Self::Llm(other),
        }
    }
}

impl From<DeltaError> for Error {
    /// As for [`LlmError`]; an output that must not be replaced is the caller's.
    fn from(e: DeltaError) -> Self {
        match e {
            DeltaError::Cancelled => Self::Cancelled,
            DeltaError::Output(e) => Self::Output(e),
            other => Self::Delta(other),
        }
    }
}
