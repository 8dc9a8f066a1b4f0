//! The population artifact that ships with an app: catalogue, interaction graph, public texts.
//!
//! # Overview of types
//! - [`PackBuilder`] turns profiles into a pack file, streaming: text goes through a spool file, so
//!   memory grows with items, edges and vocabulary.
//! - [`Pack`] is the read-only view: the file is memory-mapped, every section checked on opening, and
//!   matrices are sprs views straight over the mapped bytes.
//!
//! Authors are kept as 64-bit hashes, enough to never show a person their own text as a neighbour's.

#[cfg(feature = "parts")]
mod assemble;
#[cfg(feature = "build")]
mod build;
#[cfg(feature = "build")]
mod clean;
mod delta;
#[cfg(feature = "build")]
mod diff;
#[cfg(feature = "build")]
mod filter;
mod format;
mod lexicon;
#[cfg(feature = "build")]
mod link;
mod read;
#[cfg(feature = "build")]
mod select;
#[cfg(feature = "build")]
mod terms;
mod words;
#[cfg(feature = "build")]
mod write;

#[cfg(feature = "parts")]
pub use assemble::assemble;
#[cfg(feature = "build")]
pub use build::{BadLine, BuildOptions, BuildReport, Built, Holdout, PackBuilder, build, build_edges};
#[cfg(feature = "build")]
pub use clean::Cleaned;
pub use delta::{DeltaError, DeltaReport, apply};
#[cfg(feature = "build")]
pub use diff::{diff, public_key};
#[cfg(feature = "build")]
pub use filter::{Dropped, Filters};
#[cfg(feature = "eval")]
pub(crate) use format::{keep, scratch};
pub use read::{ItemId, Pack, PublicText};

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::graph::Mixture;

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
    /// More than 2^32 items, users, edges or texts.
    #[error("too many {0} for one pack: more than {max}", max = u32::MAX)]
    TooMany(&'static str),
    /// No profile was read, or filters left out every item.
    #[error("no interactions in the profile files, or none left by the filters: nothing to build a pack from")]
    Empty,
    /// A part that a cluster made is missing or does not fit the others. Make the parts again.
    #[error("the parts do not make a pack: {path}: {what}", path = path.display())]
    Parts {
        /// The part.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Without any text the pack is longer than it may be.
    #[error(
        "the pack takes {least} bytes without any text, more than the {most} allowed: keep fewer items (people-per-item, categories)"
    )]
    TooLarge {
        /// Its length without texts.
        least: u64,
        /// The limit.
        most: u64,
    },
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

/// A [`hash`] whose upper bits change with every character (FNV's hardly do with the last ones of short texts): for draws.
#[cfg(feature = "eval")]
pub(crate) fn spread(text: &str) -> u64 {
    hash(text).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// FNV-1a, 64 bits, the same on every machine: of what was written so far.
pub(crate) struct Fnv(pub(crate) u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    pub(crate) fn write(&mut self, text: &str) {
        self.0 = text.bytes().fold(self.0, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    }
}

/// The same of a whole text.
pub(crate) fn hash(text: &str) -> u64 {
    let mut hash = Fnv::default();
    hash.write(text);
    hash.0
}
