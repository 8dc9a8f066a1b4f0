//! Locket is an embedded, on-device personalization engine: from the few texts that one person has
//! written it predicts, on a population graph, what that person would meet next, writes
//! reasoning-aligned synthetic texts for it, and from real plus synthetic history writes new text in
//! that person's voice. Everything runs offline, on a quantized GGUF model through llama.cpp; this
//! crate contains no network code.
//!
//! It implements GraSPeR, "Reasoning-Based Personalized Generation for Users with Sparse Data"
//! (arXiv 2602.21219).
//!
//! # Overview of modules, in the data's order
//!
//! | module | what it is for |
//! |---|---|
//! | [`interaction`] | one text by one person about one item, real or synthetic |
//! | [`store`] | one person's own interactions on disk, encrypted |
//! | [`pack`] | the population artifact: catalogue, graph, public texts; memory-mapped |
//! | [`graph`] | the tables of the link predictor |
//! | [`predict`] | link prediction: fold one person into the graph, rank items, explain |
//! | [`retrieve`] | BM25 over other people's texts, within a token budget |
//! | [`llm`] | GGUF models through llama.cpp: batched decoding, grammars, log-probabilities |
//! | [`ground`] | what graph and retrieval contribute to a prompt |
//! | [`prompt`] | every prompt template, in one place |
//! | [`reason`] | reasoning paths: the short structured plan before a text |
//! | [`augment`] | synthetic interactions for predicted items, with a quality gate |
//! | [`generate`] | personalized text, title or rating |
//! | [`engine`] | the facade over all of it |
//!
//! # Example
//!
//! ```
//! use locket::{engine::Engine, interaction::Interaction, store::Key};
//!
//! # fn main() -> Result<(), locket::Error> {
//! # let dir = tempfile::tempdir().map_err(|e| locket::Error::io("create", "scratch", e))?;
//! # let dir = dir.path();
//! // In an app the key comes from Android's Keystore or Apple's Keychain.
//! let key = Key::generate()?;
//! let engine = Engine::open(dir, &key)?;
//! engine.record(Interaction::new("mug:42", "Keeps tea warm for an hour. My hands too.").with_rating(5.0))?;
//! assert_eq!(engine.history()?.len(), 1);
//! # Ok(())
//! # }
//! ```

pub mod augment;
pub mod choose;
mod codec;
pub mod consensus;
pub mod engine;
mod error;
pub mod escapes;
mod gate;
pub mod generate;
pub mod graph;
pub mod ground;
#[doc(hidden)]
pub mod guard;
#[doc(hidden)]
pub mod hash;
pub mod interaction;
mod length;
pub mod llm;
pub mod output;
pub mod pack;
pub mod predict;
pub mod prompt;
pub mod reason;
pub mod retrieve;
#[doc(hidden)]
pub mod session;
pub mod store;
#[doc(hidden)]
pub mod style;
#[doc(hidden)]
pub mod sys;
pub mod text;
mod unfinished;
#[doc(hidden)]
pub mod views;

pub use error::Error;

/// Ways in for fuzzers to what no caller reaches.
#[cfg(fuzzing)]
#[allow(missing_docs)]
pub mod fuzzing {
    pub use crate::store::fuzz_records as records;
}

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
