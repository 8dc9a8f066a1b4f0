//! GGUF models through llama.cpp: loading, tokens, batched decoding, grammars, log-probabilities.
//!
//! # Overview of types
//! - [`gguf`] checks every file in safe Rust before llama.cpp sees it.
//! - [`MemoryBudget`] is what a model and a decoder on it will take, computed before either is loaded.
//! - [`Model`] is a loaded file, with a LoRA [adapter](LoadOptions::adapter) if one was given.
//! - [`Decoder`] is a context on it with room for several sequences. It runs [`Request`]s to completion,
//!   many at a time: finished slots are refilled, and a prompt reuses whatever prefix of it already
//!   stands in the KV cache.
//! - A [`Request`] is a prompt and one or more [`Phase`]s, each with its own grammar, stops and sampling,
//!   written one after the other on the same KV state (a reasoning path, then the text).

mod budget;
mod checksum;
pub(crate) mod conditions;
mod contrast;
mod decoder;
mod details;
mod device;
mod follower;
pub mod gguf;
pub(crate) mod model;
mod no_repeat;
mod place;
mod prefill;
mod rating;
mod request;
mod slot;
mod steps;
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
pub use details::{Details, proper_names};
pub use device::{Device, Gpu, Placement, kernels_in};
pub use model::{LoadOptions, Model, Prompt, placement, would_fit};
pub use no_repeat::{NoRepeat, Repeated};
pub use rating::{Calibration, STARS, Stars, median};
pub use request::{
    Completion, Event, OnEvent, OnRepeat, Phase, PhaseOutput, Request, RequestSource, Sampling, Stop, WordLimit,
};
pub use worker::{MemoryLevel, guarded};

use std::path::PathBuf;

/// A token's number in its model's vocabulary.
pub type Token = llama_cpp_2::token::LlamaToken;

/// How many tokens two sequences have in common at their beginning.
pub(crate) fn common_prefix<'a>(
    a: impl IntoIterator<Item = &'a Token>,
    b: impl IntoIterator<Item = &'a Token>,
) -> usize {
    a.into_iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// What can go wrong with a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LlmError {
    /// There is no such file. `locket model pull` gets one.
    #[error("no model file at {}: `locket model list` shows what can be had, `locket model pull NAME` gets it", .0.display())]
    FileMissing(PathBuf),
    /// The file is there but cannot be read.
    #[error("cannot read the model {path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not one that llama.cpp can be trusted with.
    #[error("cannot use the model file {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: gguf::GgufError,
    },
    /// The model, or a decoder on it, does not fit the memory that it may use. Take a smaller model or context, or allow more.
    #[error("this would need {needed} bytes of memory, {allowed} are allowed")]
    WouldNotFit {
        /// Bytes that would become resident, see [`MemoryBudget`].
        needed: u64,
        /// Bytes that the host has or allows.
        allowed: u64,
    },
    /// llama.cpp refused the file (an unknown architecture, missing tensors).
    #[error("llama.cpp cannot load {path}: {what}", path = path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// What it said.
        what: String,
    },
    /// Prompt and answer are longer than the context. Shorten the prompt or open a larger decoder.
    #[error("{needed} tokens do not fit a context of {context}")]
    ContextOverflow {
        /// Tokens of prompt and answer.
        needed: usize,
        /// Tokens that one sequence may have.
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
    /// The engine's thread failed on this call; the next one starts afresh.
    #[error("the engine failed inside: {0}")]
    Failed(String),
    /// Nothing was written before [`crate::engine::GenerateRequest::deadline`].
    #[error("nothing was written before the deadline")]
    Deadline,
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
}
