//! What can be wrong with a GGUF file.

/// Why a file is refused. For nearly all of these the remedy is the same: get the file again from a place you trust.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GgufError {
    /// The first four bytes are not `GGUF`.
    #[error("it does not begin with GGUF")]
    Magic,
    /// Version 2 and 3 are read.
    #[error("it has version {0}, not 2 or 3")]
    Version(u32),
    /// More metadata entries or tensors than any model has.
    #[error("it announces {count} {what}, more than {most}")]
    Count {
        /// Of what.
        what: &'static str,
        /// How many it announces.
        count: u64,
        /// How many are read at most.
        most: u64,
    },
    /// The file ends within this part. Get it again.
    #[error("it is cut off in {0}")]
    Truncated(&'static str),
    /// A string is longer than is read.
    #[error("a string of {0} bytes is too long")]
    Long(u64),
    /// A key or name is not UTF-8.
    #[error("a name is not UTF-8")]
    NotText,
    /// A key or tensor name comes twice, or is empty.
    #[error("the name {0:?} comes twice or is empty")]
    Name(String),
    /// A value's type number is none, or an array holds arrays.
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
    /// A value is of another type than its key demands.
    #[error("{0} is of the wrong type")]
    Type(String),
    /// A value is outside what is possible.
    #[error("{key} cannot be {value}")]
    Value {
        /// The key.
        key: String,
        /// Its value.
        value: String,
    },
    /// A tensor's number of dimensions, its size in bytes or its data type is impossible or not supported.
    #[error("tensor {name}: {what}")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong.
        what: &'static str,
    },
    /// This engine checks and runs dense decoder models of the listed kinds only.
    #[error("its architecture {0:?} is not supported")]
    Architecture(String),
    /// The vocabulary is damaged.
    #[error("vocabulary: {0}")]
    Vocabulary(String),
    /// The file is no adapter, or not one for this model. Use it with the model that it was trained on.
    #[error("it is not an adapter for this model: {0}")]
    Adapter(String),
}
