//! GGUF files, checked in safe Rust before llama.cpp reads them.
//!
//! llama.cpp aborts the process on many kinds of malformed file (`GGML_ASSERT`), and an app cannot
//! catch that. Every model and adapter therefore passes two checks first. The first checks the
//! container (`parse`). The second checks the metadata of a model ([`ModelFacts`]), or of an
//! adapter and its base ([`check_adapter`]). Anything unknown is refused. `docs/gguf.md` of the
//! ggml repository describes the format. The limits are Locket's own and well above every released
//! model.
//!
//! # Overview of types
//! - [`Gguf`] is a parsed view of a file's bytes: metadata by key, tensors by position. It copies
//!   nothing.
//! - [`ModelFacts`] holds the sizes of a checked model file, from which memory budgets are
//!   computed.
//! - [`GgufError`] is the reason that a file is refused.

mod adapter;
mod error;
mod facts;
#[doc(hidden)]
pub mod parse;
mod tensor;
#[doc(hidden)]
pub mod vocabulary;

pub use adapter::{CALIBRATION, calibration, check_adapter};
pub use error::GgufError;
pub use facts::{ModelFacts, TRIMMED};
pub use parse::{Array, Gguf, Value, parse};
pub use tensor::{Tensor, TensorType};

use std::{fs::File, path::Path};

use super::LlmError;
use crate::sys::Mapped;

/// Memory-maps `path` for parsing.
#[doc(hidden)]
pub fn map(path: &Path) -> Result<Mapped, LlmError> {
    let io = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => LlmError::FileMissing(path.to_path_buf()),
        _ => LlmError::Io { path: path.to_path_buf(), source },
    };
    let meta = File::open(path).and_then(|f| f.metadata()).map_err(io)?;
    if !meta.is_file() || meta.len() == 0 {
        // A directory or an empty file cannot be mapped.
        return Err(LlmError::File { path: path.to_path_buf(), source: GgufError::Magic });
    }
    Mapped::open(path).map_err(io)
}

/// Checks that llama.cpp can safely load the model file at `path`, and returns its sizes. Reads the
/// metadata, not the weights.
///
/// # Errors
/// [`LlmError::FileMissing`], [`LlmError::Io`], [`LlmError::File`].
pub fn check_model(path: &Path) -> Result<ModelFacts, LlmError> {
    let bytes = map(path)?;
    parse(&bytes)
        .and_then(|gguf| ModelFacts::of(&gguf))
        .map_err(|source| LlmError::File { path: path.to_path_buf(), source })
}
