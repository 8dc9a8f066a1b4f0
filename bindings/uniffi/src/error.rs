//! The one error type of the bindings: stable cases, with messages that name the remedy.

use locket::{DeltaError, Error, KeyError, LlmError, PackError, StoreError};

/// An error of Locket. The cases are stable; the messages are for developers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
#[uniffi(flat_error)]
pub enum LocketError {
    /// The engine was opened without a model and has none yet. Predictions and history work without
    /// one.
    #[error("{0}")]
    NoModel(String),
    /// The engine was opened without a pack, so that there is nothing to predict from.
    #[error("{0}")]
    NoPack(String),
    /// There is no file at the path of the model or its adapter. Import it first.
    #[error("{0}")]
    ModelMissing(String),
    /// The file of the model or its adapter is damaged, has another checksum than expected, or is
    /// of a kind that llama.cpp does not support. Import it again.
    #[error("{0}")]
    ModelUnusable(String),
    /// The model and the decoder would need more memory than there is. Nothing was loaded.
    #[error("{0}")]
    WouldNotFit(String),
    /// The key is not the store's key. Nothing was changed.
    #[error("{0}")]
    WrongKey(String),
    /// The store is already open, in another engine or another process.
    #[error("{0}")]
    StoreLocked(String),
    /// The store's files are damaged or were tampered with.
    #[error("{0}")]
    StoreDamaged(String),
    /// The store's `locket.key` is missing next to its data. Nothing was changed. Put the file
    /// back, or erase the store with `eraseStore` (Python: `erase_store`) and start over.
    #[error("{0}")]
    KeyFileMissing(String),
    /// The store is on read-only storage: it can be read but not changed.
    #[error("{0}")]
    StoreReadOnly(String),
    /// The store was written by a newer version of the app.
    #[error("{0}")]
    StoreTooNew(String),
    /// The pack is missing, damaged, or built for another version.
    #[error("{0}")]
    PackUnusable(String),
    /// A delta is not signed with the key, is damaged, or belongs to another pack. The pack is
    /// unchanged.
    #[error("{0}")]
    UpdateRefused(String),
    /// An argument is invalid; the message names it.
    #[error("{0}")]
    BadInput(String),
    /// The deadline passed before any text was generated.
    #[error("{0}")]
    Deadline(String),
    /// The call was cancelled. The history is unchanged. Texts that a cancelled `augment` had
    /// finished are kept for the next one.
    #[error("{0}")]
    Cancelled(String),
    /// The engine was shut down or erased.
    #[error("{0}")]
    Closed(String),
    /// The app's listener threw, and the call was stopped.
    #[error("{0}")]
    ListenerFailed(String),
    /// A file system operation failed, for example because the disk is full or a permission is
    /// missing.
    #[error("{0}")]
    Storage(String),
    /// A bug in Locket, or an error without a case of its own. The next call starts from a clean
    /// state.
    #[error("{0}")]
    Internal(String),
}

impl LocketError {
    pub(crate) fn cancelled() -> Self {
        Error::Cancelled.into()
    }

    pub(crate) fn closed() -> Self {
        Self::Closed("the engine was shut down or erased: open it again".into())
    }
}

impl From<Error> for LocketError {
    fn from(error: Error) -> Self {
        let what = error.to_string();
        match error {
            Error::Store(e) => store(&e, what),
            Error::Pack(_) => Self::PackUnusable(what),
            Error::Delta(DeltaError::Io { .. }) => Self::Storage(what),
            Error::Delta(DeltaError::Key) => Self::BadInput(what),
            Error::Delta(_) => Self::UpdateRefused(what),
            Error::Llm(e) => llm(&e, what),
            Error::Io { .. } => Self::Storage(what),
            Error::MissingModel => Self::NoModel(what),
            Error::Key(error) => key(&error, what),
            Error::MissingPack => Self::NoPack(what),
            Error::Argument(_) | Error::Output(_) => Self::BadInput(what),
            Error::Cancelled => Self::Cancelled(what),
            _ => Self::Internal(what),
        }
    }
}

impl From<StoreError> for LocketError {
    fn from(error: StoreError) -> Self {
        Error::from(error).into()
    }
}

impl From<KeyError> for LocketError {
    fn from(error: KeyError) -> Self {
        Error::from(error).into()
    }
}

impl From<LlmError> for LocketError {
    fn from(error: LlmError) -> Self {
        Error::from(error).into()
    }
}

impl From<PackError> for LocketError {
    fn from(error: PackError) -> Self {
        Error::from(error).into()
    }
}

fn store(error: &StoreError, what: String) -> LocketError {
    match error {
        StoreError::Locked(_) => LocketError::StoreLocked(what),
        StoreError::Layout(_) => LocketError::StoreTooNew(what),
        StoreError::KeyFileMissing { .. } => LocketError::KeyFileMissing(what),
        StoreError::ReadOnly(_) => LocketError::StoreReadOnly(what),
        StoreError::WrongKey(_) => LocketError::WrongKey(what),
        StoreError::Interaction(_) | StoreError::Export(_) | StoreError::NoRecord(_) => LocketError::BadInput(what),
        StoreError::Io { .. } | StoreError::Database(_) => LocketError::Storage(what),
        StoreError::Key(error) => key(error, what),
        // Also for parts of the store that fail their authentication.
        _ => LocketError::StoreDamaged(what),
    }
}

fn key(error: &KeyError, what: String) -> LocketError {
    match error {
        KeyError::Random(_) => LocketError::Internal(what),
        _ => LocketError::BadInput(what),
    }
}

fn llm(error: &LlmError, what: String) -> LocketError {
    match error {
        LlmError::FileMissing(path) => LocketError::ModelMissing(format!("no model file at {}", path.display())),
        LlmError::Io { .. } | LlmError::File { .. } | LlmError::Load { .. } => LocketError::ModelUnusable(what),
        LlmError::WouldNotFit { .. } => LocketError::WouldNotFit(what),
        LlmError::ContextOverflow { .. } | LlmError::Grammar(_) => LocketError::BadInput(what),
        LlmError::Deadline => LocketError::Deadline(what),
        LlmError::Cancelled => LocketError::Cancelled(what),
        _ => LocketError::Internal(what),
    }
}
