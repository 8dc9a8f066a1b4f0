//! Builds population packs and trims models: Locket's work before an app ships.
//!
//! | module | contents |
//! |---|---|
//! | [`profile`] | users as JSON lines, the input of every build |
//! | [`mod@encoding`] | text files in UTF-8 and UTF-16 |
//! | [`gguf`] | writes metadata into model and adapter files |
//! | [`pack`] | builds a pack file from profiles or from the parts of a cluster; signed deltas |
//! | [`graph`] | closed-form fit of item neighbours, item vectors and evidence weights |
//! | [`trim`](mod@trim) | removes from a model the tokens that one population does not need |

pub mod encoding;
mod error;
pub mod gguf;
pub mod graph;
pub mod pack;
pub mod profile;
pub mod trim;

pub use error::{BuildError, Error};

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
