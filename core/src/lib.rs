//! Locket is an embedded, on-device personalization engine.
//!
//! From the few texts in a user's history it predicts, on a population graph, the items that the
//! user would meet next. It generates reasoning-aligned synthetic texts for these items. From real
//! and synthetic history it generates new text in the user's style. Everything runs offline, on a
//! quantized GGUF model through llama.cpp; this crate contains no network code.
//!
//! It implements GraSPeR, "Reasoning-Based Personalized Generation for Users with Sparse Data"
//! (arXiv 2602.21219).
//!
//! # Example
//!
//! ```
//! use locket::{Engine, Interaction, Key};
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

mod cancel;
mod codec;
mod context;
mod crypto;
mod engine;
mod error;
mod generation;
mod graph;
mod hash;
mod history;
#[doc(hidden)]
pub mod internals;
mod llm;
mod output;
mod pack;
mod plan;
mod predict;
mod progress;
mod prompt;
mod setters;
mod store;
mod style;
mod sys;
mod text;

pub use cancel::CancelToken;
pub use crypto::{Key, KeyError};
pub use engine::{
    AugmentOptions, Augmented, Chunk, ChunkStream, Engine, Evidence, GenerateRequest, OnChunk, Part, PredictOptions,
    Predicted, Stats,
};
pub use error::Error;
pub use generation::gate::Refusal;
pub use generation::output::{WriteOptions, Written};
pub use generation::synthetic::Refused;
pub use history::{Entry, Interaction, Kind, Origin, Record};
pub use llm::{
    Conditions, Device, Gpu, KvType, LlmError, LoadOptions, MemoryBudget, MemoryLevel, Model, Placement, Power,
    Priority, Sampling, Thermal, kernels_in,
};
pub use output::OutputError;
pub use pack::{
    DeltaError, DeltaReport, Measured, Meta as PackMeta, Pack, PackError, Policy as PackPolicy, RatingFit, Sources,
    apply as apply_delta, author_key,
};
pub use plan::{Length, ReasoningPath, Tone};
pub use predict::Via;
pub use progress::{OnProgress, Progress};
pub use prompt::{Resize, Task};
pub use store::{Export, Imported, Store, StoreError};

/// Compiles the examples of the README, the quick start and the guide to kinds.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../README.md")]
    struct Readme;
    #[doc = include_str!("../../docs/src/quickstart/rust.md")]
    struct QuickStart;
    #[doc = include_str!("../../docs/src/guides/kinds.md")]
    struct Kinds;
}

/// Entry points for fuzzers into code that no caller reaches.
#[cfg(fuzzing)]
#[allow(missing_docs)]
pub mod fuzzing {
    pub use crate::store::fuzz_records as records;
}

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
