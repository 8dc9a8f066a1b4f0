//! Writes pack files and signed deltas between them.
//!
//! [`PackBuilder`] streams: texts go through a spool file, so memory grows with items, edges and
//! vocabulary. [`assemble`] writes the same file from the parts of a Spark job.

mod assemble;
mod build;
mod clean;
mod diff;
mod filter;
mod link;
mod rows;
mod select;
mod terms;
mod write;

pub use assemble::assemble;
pub use build::{BadLine, BuildOptions, BuildReport, Built, Holdout, PackBuilder, build, build_edges};
pub use clean::Cleaned;
pub use diff::{diff, public_key};
pub use filter::{Dropped, Filters};
