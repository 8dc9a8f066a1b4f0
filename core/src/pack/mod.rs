//! The population artifact that ships with an app: catalogue, interaction graph, public texts.
//!
//! # Overview of types
//! - [`Pack`] is the read-only view. The file is memory-mapped, every section is checked on
//!   opening, and matrices are sprs views directly over the mapped bytes.
//!
//! Authors are kept as 64-bit hashes. These suffice to exclude a user's own texts from retrieved
//! texts.

#[doc(hidden)]
pub mod delta;
#[doc(hidden)]
pub mod format;
mod lexicon;
mod policy;
mod read;
#[doc(hidden)]
pub mod words;

pub use delta::{DeltaError, DeltaReport, apply};
pub use policy::{Measured, Policy, RatingFit, Sources};
pub use read::{ItemId, Pack, PublicText};

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{graph::Mixture, hash::hash};

/// Errors of packs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The file cannot be read or written.
    #[error("cannot {action} the pack {path}: {source}", path = path.display())]
    Io {
        /// The attempted action.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file does not begin with a pack's magic. Build a pack with the builder.
    #[error("not a pack: the file does not begin with LOCKPACK")]
    NotAPack,
    /// The pack was built for another version of Locket. Build it again.
    #[error("pack version {0}, this build reads {version}: build the pack again", version = format::VERSION)]
    Version(u32),
    /// The length of the file differs from the length in its header. Copy it again.
    #[error("the pack is truncated: {have} bytes of {want}; copy it again")]
    Truncated {
        /// Actual length in bytes.
        have: u64,
        /// Length in bytes according to the header.
        want: u64,
    },
    /// The file's contents contradict each other. Copy or build it again.
    #[error("the pack is damaged: {0}; copy or build it again")]
    Damaged(String),
}

/// Metadata of a pack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// Number of items in the catalogue.
    pub items: usize,
    /// Number of users in the interaction graph.
    pub users: usize,
    /// Number of distinct (user, item) edges.
    pub edges: usize,
    /// Number of public texts.
    pub texts: usize,
    /// Number of texts in the term counts; larger than [`Meta::texts`] if some texts were not
    /// stored.
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
    /// Weight of each kind of evidence, learned from the pack's own users.
    pub mixture: Mixture,
    /// Number of held-out interactions that the weights were learned from; 0 means the default
    /// weights.
    pub learned_from: usize,
    /// Version of Locket that built the pack.
    pub built_by: String,
    /// Sources of reviews, if they were measured when the pack was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

/// Returns the key of an author in a pack.
pub fn author_key(user: &str) -> u64 {
    hash(user)
}
