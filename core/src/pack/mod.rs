//! The population artifact that ships with an app: catalogue, interaction graph, public texts.
//!
//! # Overview of types
//! - [`Pack`] is the read-only view: the file is memory-mapped, every section checked on opening, and
//!   matrices are sprs views straight over the mapped bytes.
//!
//! Authors are kept as 64-bit hashes, enough to never show a person their own text as a neighbour's.

#[doc(hidden)]
pub mod delta;
#[doc(hidden)]
pub mod format;
mod lexicon;
mod read;
#[doc(hidden)]
pub mod words;

pub use delta::{DeltaError, DeltaReport, apply};
pub use read::{ItemId, Pack, PublicText};

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{graph::Mixture, hash::hash};

/// What can be wrong with a pack.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The file cannot be read or written.
    #[error("cannot {action} the pack {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file does not begin as a pack does. Build one with `locket pack build`.
    #[error("not a pack: the file does not begin with LOCKPACK")]
    NotAPack,
    /// The pack was built for another version of Locket. Build it again.
    #[error("pack version {0}, this build reads {version}: build the pack again", version = format::VERSION)]
    Version(u32),
    /// The file is shorter or longer than it says. Copy it again.
    #[error("the pack is truncated: {have} bytes of {want}; copy it again")]
    Truncated {
        /// Bytes there are.
        have: u64,
        /// Bytes the header names.
        want: u64,
    },
    /// The file's contents contradict each other. Copy or build it again.
    #[error("the pack is damaged: {0}; copy or build it again")]
    Damaged(String),
}

/// What a pack says about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// Number of items in the catalogue.
    pub items: usize,
    /// Number of people in the graph.
    pub users: usize,
    /// Number of distinct (person, item) edges.
    pub edges: usize,
    /// Number of public texts.
    pub texts: usize,
    /// Number of texts that words were counted in; more than [`Meta::texts`] where some found no room.
    #[serde(default)]
    pub documents: usize,
    /// Number of terms in the vocabulary.
    pub terms: usize,
    /// Mean number of words in a public text.
    pub mean_words: f64,
    /// Number of interactions whose edge was held out of the graph.
    pub held_out: usize,
    /// Dimension of the item vectors.
    pub dimension: usize,
    /// Number of co-interaction edges between items, after pruning.
    pub people_edges: usize,
    /// Number of content edges between items.
    pub content_edges: usize,
    /// How much each kind of evidence counts, learned from the pack's own people.
    pub mixture: Mixture,
    /// Number of held-out interactions that it was learned from; 0 means the default.
    pub learned_from: usize,
    /// Version of the Locket that built it.
    pub built_by: String,
}

/// The key under which a pack knows an author.
pub fn author_key(user: &str) -> u64 {
    hash(user)
}
