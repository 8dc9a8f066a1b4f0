//! Errors in GGUF files.

/// Reason that a GGUF file is refused. For nearly all of them the remedy is to download the file
/// again from a trusted source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GgufError {
    /// The first four bytes are not `GGUF`.
    #[error("it does not begin with GGUF")]
    Magic,
    /// The version is neither 2 nor 3.
    #[error("it has version {0}, not 2 or 3")]
    Version(u32),
    /// More metadata entries, tensors or array elements than any model has.
    #[error("it announces {count} {what}, more than {most}")]
    Count {
        /// Kind of the counted items.
        what: &'static str,
        /// Number in the file.
        count: u64,
        /// Maximum number that the parser accepts.
        most: u64,
    },
    /// The file ends within this part. Download it again.
    #[error("it is cut off in {0}")]
    Truncated(&'static str),
    /// A string exceeds the maximum length. The value is its length in bytes.
    #[error("a string of {0} bytes is too long")]
    Long(u64),
    /// A key, a name or a text value is not UTF-8.
    #[error("a name is not UTF-8")]
    NotText,
    /// A key or tensor name is empty or occurs twice.
    #[error("the name {0:?} comes twice or is empty")]
    Name(String),
    /// A value's type number is unknown, or an array holds arrays.
    #[error("{key} has the unknown type {kind}")]
    ValueType {
        /// The key.
        key: String,
        /// The type number.
        kind: u32,
    },
    /// A required key is missing.
    #[error("it lacks {0}")]
    Missing(String),
    /// The value of this key has the wrong type.
    #[error("{0} is of the wrong type")]
    Type(String),
    /// A value is outside the valid range.
    #[error("{key} cannot be {value}")]
    Value {
        /// The key.
        key: String,
        /// Its value.
        value: String,
    },
    /// A tensor's dimensions, size in bytes, position or data type is invalid or unsupported.
    #[error("tensor {name}: {what}")]
    Tensor {
        /// Its name.
        name: String,
        /// Description of the error.
        what: &'static str,
    },
    /// The architecture is not on the list of supported dense decoders.
    #[error("its architecture {0:?} is not supported")]
    Architecture(String),
    /// The vocabulary is damaged.
    #[error("vocabulary: {0}")]
    Vocabulary(String),
    /// The file is not an adapter, or not one for this model. Use an adapter with the model that it
    /// was trained on.
    #[error("it is not an adapter for this model: {0}")]
    Adapter(String),
}
