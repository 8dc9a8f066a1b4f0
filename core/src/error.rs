//! The error type of the crate, made of one small enum per layer.

use std::path::{Path, PathBuf};

use crate::{
    crypto::KeyError,
    llm::LlmError,
    output::OutputError,
    pack::{DeltaError, PackError},
    store::StoreError,
};

/// All errors of the crate. Each message names the problem and, if there is one, the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The user's store could not be opened, read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key could not be created or used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A pack could not be built, opened or trusted.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A pack could not be updated.
    #[error(transparent)]
    Delta(DeltaError),
    /// A model could not be loaded, or decoding failed.
    #[error(transparent)]
    Llm(LlmError),
    /// The output path is a file that must not be replaced.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A file system operation outside the layers above failed.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        /// The failed operation, as a verb ("create").
        action: &'static str,
        /// The path of the operation.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The call needs a pack, see [`crate::Engine::with_pack`].
    #[error("this needs a pack: open the engine with one")]
    MissingPack,
    /// The call needs a model, see [`crate::Engine::with_model_file`].
    #[error("this needs a model: open the engine with one")]
    MissingModel,
    /// An argument is outside its range.
    #[error("{0}")]
    Argument(String),
    /// The caller cancelled the call. Nothing of the unfinished work is kept.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// Returns an [`Error::Io`] for `path`.
    pub fn io(action: &'static str, path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { action, path: path.as_ref().to_path_buf(), source }
    }
}

impl From<LlmError> for Error {
    /// Cancelled decoding becomes a cancelled call, in any layer.
    fn from(e: LlmError) -> Self {
        match e {
            LlmError::Cancelled => Self::Cancelled,
            other => Self::Llm(other),
        }
    }
}

impl From<DeltaError> for Error {
    /// Converts as for [`LlmError`]. An output that must not be replaced becomes `Error::Output`.
    fn from(e: DeltaError) -> Self {
        match e {
            DeltaError::Cancelled => Self::Cancelled,
            DeltaError::Output(e) => Self::Output(e),
            other => Self::Delta(other),
        }
    }
}
