//! The script of a fake engine.

use crate::Availability;
#[cfg(doc)]
use crate::LocketError;

/// The behaviour of a fake engine.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct FakeScript {
    /// Text that it generates for every request, word by word.
    #[uniffi(default = "A text that was not written by a model.")]
    pub text: String,
    /// Rating that it returns for every rating request.
    #[uniffi(default = 5)]
    pub rating: u8,
    /// Ids of the items that it predicts, in this order.
    #[uniffi(default = [])]
    pub items: Vec<String>,
    /// Time per word in milliseconds.
    #[uniffi(default = 0)]
    pub word_ms: u32,
    /// Return value of `availability`.
    pub availability: Availability,
    /// Error of every call that can fail, to test how an app handles it. `availability` is not
    /// affected.
    #[uniffi(default)]
    pub fails: Option<Failure>,
}

/// The case of [`LocketError`] that a fake engine fails with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Failure {
    /// [`LocketError::NoModel`]
    NoModel,
    /// [`LocketError::NoPack`]
    NoPack,
    /// [`LocketError::ModelMissing`]
    ModelMissing,
    /// [`LocketError::ModelUnusable`]
    ModelUnusable,
    /// [`LocketError::WouldNotFit`]
    WouldNotFit,
    /// [`LocketError::WrongKey`]
    WrongKey,
    /// [`LocketError::StoreLocked`]
    StoreLocked,
    /// [`LocketError::StoreDamaged`]
    StoreDamaged,
    /// [`LocketError::KeyFileMissing`]
    KeyFileMissing,
    /// [`LocketError::StoreReadOnly`]
    StoreReadOnly,
    /// [`LocketError::StoreTooNew`]
    StoreTooNew,
    /// [`LocketError::PackUnusable`]
    PackUnusable,
    /// [`LocketError::UpdateRefused`]
    UpdateRefused,
    /// [`LocketError::BadInput`]
    BadInput,
    /// [`LocketError::Deadline`]
    Deadline,
    /// [`LocketError::Cancelled`]
    Cancelled,
    /// [`LocketError::Closed`]
    Closed,
    /// [`LocketError::ListenerFailed`]
    ListenerFailed,
    /// [`LocketError::Storage`]
    Storage,
    /// [`LocketError::Internal`], raised by a panic.
    Internal,
}
