//! Metrics and protocols for Locket's evaluations.
//!
//! # Overview
//! - [`rouge1`], [`rouge_l`], [`Meteor`]: text metrics, equal to the public Python packages to 4
//!   decimals.
//! - [`generation`](mod@generation): the PGraphRAG protocol for texts, titles and ratings, with
//!   seven methods.
//! - [`link`](fn@link): leave-last-out link prediction. [`graph`]: full ranking on a fixed split.
//!
//! Leakage rules: only the history of an evaluated user is visible; graph and content are built
//! without the targets; other users' texts stay retrievable.

mod about;
mod agreement;
pub mod align;
mod author;
mod card;
mod cases;
mod copying;
mod filters;
pub mod generation;
mod habits;
mod inputs;
mod items;
mod journal;
mod judge;
mod lightgcn;
mod link;
mod meteor;
mod natural;
mod plot;
mod population;
mod porter;
mod prediction;
mod ranking;
mod report;
mod rouge;
mod runs;
mod scale;
mod settings;
mod stance;
mod stats;
mod tune;
mod wordnet;
mod writer;

pub use agreement::{Asked, agreement};
pub use author::Authors;
pub use filters::RankBy;
pub(crate) use journal::Journal;
pub use judge::{Judged, judged, write_sheet};
pub use link::link;
pub use locket_builder::{Error, Result};
pub use meteor::Meteor;
pub use population::{Population, population};
pub use porter::stem;
pub use ranking::{Split, asked, graph};
pub use report::report;
pub use rouge::{rouge_l, rouge1};
pub use scale::{from_edges, generate, scale};
pub use settings::{Items, Method, Settings, ValidationSplit};
pub use stats::{Sample, peak_rss_bytes};
pub use tune::{LEAST_PEOPLE, TuneOptions, tune};
pub use wordnet::WordNet;
