//! GGUF files, checked in safe Rust before llama.cpp sees them.
//!
//! llama.cpp ends the process on many kinds of malformed file (`GGML_ASSERT`), and an app cannot catch that. So every
//! model and adapter passes here first: the container (`parse`), then what a model must say of itself ([`ModelFacts`])
//! or an adapter of itself and its base ([`check_adapter`]). What is not understood is refused. The format is described in
//! `docs/gguf.md` of the ggml repository; the limits are ours and lie well above every released model.
//!
//! # Overview of types
//! - [`Gguf`] is a parsed view of a file's bytes: metadata by key, tensors by position. It copies nothing.
//! - [`ModelFacts`] is what a checked model file says: sizes that budgets are made of.
//! - [`GgufError`] says what is wrong.

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

/// Maps `path` for parsing.
#[doc(hidden)]
pub fn map(path: &Path) -> Result<Mapped, LlmError> {
    let io = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => LlmError::FileMissing(path.to_path_buf()),
        _ => LlmError::Io { path: path.to_path_buf(), source },
    };
    let meta = File::open(path).and_then(|f| f.metadata()).map_err(io)?;
    if !meta.is_file() || meta.len() == 0 {
        // Nothing can be mapped there.
        return Err(LlmError::File { path: path.to_path_buf(), source: GgufError::Magic });
    }
    Mapped::open(path).map_err(io)
}

/// Checks that the file at `path` is a model that llama.cpp can be trusted with, and says what it is. Reads the
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
