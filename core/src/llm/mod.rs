//! GGUF models in llama.cpp: loading, tokenization, batched decoding, grammars, log-probabilities.
//!
//! # Overview of types
//! - [`gguf`] checks every file in safe Rust before llama.cpp reads it.
//! - [`MemoryBudget`] is the memory of a model and a decoder, computed before either is loaded.
//! - [`Model`] is a loaded file, with a LoRA [adapter](LoadOptions::adapter) if one was given.
//! - [`Decoder`] is a context on a model with room for several sequences. It runs many [`Request`]s
//!   at a time to completion. Finished slots take new requests, and a prompt reuses any prefix of
//!   it in the KV cache.
//! - A [`Request`] is a prompt and one or more [`Phase`]s, each with its own grammar, stop strings
//!   and sampling. The phases are generated one after the other on the same KV state (a reasoning
//!   path, then the text).

mod budget;
mod checksum;
pub(crate) mod conditions;
mod contrast;
mod decoder;
mod details;
mod device;
mod follower;
pub mod gguf;
mod given;
pub(crate) mod model;
mod no_repeat;
mod notes;
mod place;
mod prefill;
mod rating;
mod request;
mod slot;
mod steps;
mod symbols;
mod threads;
mod top_k;
mod unwritable;
pub(crate) mod worker;
mod writing;

pub use budget::MemoryBudget;
pub use checksum::sha256;
pub use conditions::{Conditions, Power, Priority, Thermal};
pub use contrast::Contrast;
pub use decoder::{Decoder, DecoderOptions, KvType, Usage};
pub use details::{Details, Repeated, proper_names, unsupported};
pub use device::{Device, Gpu, Placement, kernels_in};
pub use given::Given;
pub use model::{LoadOptions, Model, Prompt, placement, would_fit};
pub use no_repeat::NoRepeat;
pub use notes::{Notes, covered};
pub use rating::{Calibration, STARS, Stars, median};
pub use request::{
    Completion, Event, OnEvent, OnRepeat, Phase, PhaseOutput, Request, RequestSource, Sampling, Stop, WordLimit,
};
pub use worker::{MemoryLevel, guarded};

use std::path::PathBuf;

/// Number of a token in its model's vocabulary.
pub type Token = llama_cpp_2::token::LlamaToken;

/// Returns the length of the common prefix of two token sequences.
pub(crate) fn common_prefix<'a>(
    a: impl IntoIterator<Item = &'a Token>,
    b: impl IntoIterator<Item = &'a Token>,
) -> usize {
    a.into_iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Errors of loading and running a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LlmError {
    /// The model file does not exist. `locket model pull` downloads one.
    #[error("no model file at {}", .0.display())]
    FileMissing(PathBuf),
    /// The file exists but cannot be read.
    #[error("cannot read the model {path}: {source}", path = path.display())]
    Io {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// The file failed the checks that protect llama.cpp.
    #[error("cannot use the model file {path}: {source}", path = path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Error in the file.
        source: gguf::GgufError,
    },
    /// The model, or a decoder on it, exceeds the allowed memory. Use a smaller model or context,
    /// or allow more memory.
    #[error("this would need {needed} bytes of memory, {allowed} are allowed")]
    WouldNotFit {
        /// Bytes that would become resident, see [`MemoryBudget`].
        needed: u64,
        /// Bytes that the host has available or allows.
        allowed: u64,
    },
    /// llama.cpp refused the file (an unknown architecture, missing tensors).
    #[error("llama.cpp cannot load {path}: {what}", path = path.display())]
    Load {
        /// Path of the file.
        path: PathBuf,
        /// Error message of llama.cpp.
        what: String,
    },
    /// Prompt and generated text exceed the context. Shorten the prompt or open a larger decoder.
    #[error("{needed} tokens do not fit a context of {context}")]
    ContextOverflow {
        /// Number of tokens of prompt and generated text.
        needed: usize,
        /// Maximum number of tokens of one sequence.
        context: usize,
    },
    /// The grammar of a phase is malformed.
    #[error("the grammar cannot be parsed: {0}")]
    Grammar(String),
    /// A request is malformed.
    #[error("{0}")]
    Request(&'static str),
    /// llama.cpp failed while decoding.
    #[error("decoding failed: {0}")]
    Decode(String),
    /// The engine's thread failed on this call. The next call starts afresh.
    #[error("the engine failed inside: {0}")]
    Failed(String),
    /// No text was generated before [`crate::engine::GenerateRequest::deadline`].
    #[error("nothing was written before the deadline")]
    Deadline,
    /// The caller cancelled the call.
    #[error("cancelled")]
    Cancelled,
}

/// Returns the grammar (GBNF) of the JSON values that fit a JSON schema, or why there is none.
pub(crate) fn schema_grammar(schema: &str) -> Result<String, String> {
    serde_json::from_str::<serde::de::IgnoredAny>(schema).map_err(|e| e.to_string())?;
    llama_cpp_2::json_schema_to_grammar(schema).map_err(|e| e.to_string())
}
