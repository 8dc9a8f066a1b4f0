//! Errors of the builder.

use std::path::PathBuf;

use locket::{DeltaError, LlmError, OutputError, PackError};

use crate::profile::ProfileError;

/// An error of a build, a trim or an evaluation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A profile file cannot be read, or a line is not a profile.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The profiles do not make a pack.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// An error of the engine.
    #[error(transparent)]
    Engine(#[from] locket::Error),
}

/// Reasons why profiles, or the parts from a cluster, do not make a pack.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// More than 2^32 items, users, edges or texts.
    #[error("too many {0} for one pack: more than {max}", max = u32::MAX)]
    TooMany(&'static str),
    /// No profile was read, or the filters dropped every item.
    #[error("no interactions in the profile files, or none left by the filters: nothing to build a pack from")]
    Empty,
    /// A part from the cluster is missing or does not fit the others. Make the parts again.
    #[error("the parts do not make a pack: {path}: {what}", path = path.display())]
    Parts {
        /// Path of the part.
        path: PathBuf,
        /// Description of the problem.
        what: String,
    },
    /// The pack exceeds its size limit even without texts.
    #[error(
        "the pack takes {least} bytes without any text, more than the {most} allowed: keep fewer items (people-per-item, categories)"
    )]
    TooLarge {
        /// Length without texts, in bytes.
        least: u64,
        /// Size limit, in bytes.
        most: u64,
    },
}

macro_rules! from_engine {
    ($($error:ty),*) => {$(
        impl From<$error> for Error {
            fn from(e: $error) -> Self {
                Self::Engine(e.into())
            }
        }
    )*};
}
from_engine!(PackError, DeltaError, LlmError, OutputError);
