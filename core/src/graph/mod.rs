//! Link prediction: which items would this person meet next?
//!
//! # Overview of types
//! - [`Adjacency`] is the normalised user-item matrix R~ (sprs CSR, both orientations) and [`Spectrum`] its largest
//!   singular values with their vectors: what graph filters (GF-CF, Shen et al., CIKM 2021) are made of.
//! - [`FitOptions`] says how a pack's tables are fitted from it, in closed form: pruned item neighbours, and
//!   item vectors for what no neighbour reaches.
//! - [`Mixture`] weighs co-interaction, taste, content and popularity; a pack carries weights learned on held-out
//!   interactions of its own people.
//! - [`Predictor`] folds one person in without any table of users, and ranks.
//! - [`Path`]: every score is a sum over (history item, kind of evidence), so explanations are exact.

#[cfg(feature = "build")]
mod accumulator;
#[cfg(feature = "build")]
mod adjacency;
#[cfg(feature = "build")]
mod alike;
mod diversity;
mod edges;
#[cfg(feature = "build")]
mod fit;
mod mixture;
mod model;
mod predict;
#[cfg(feature = "build")]
mod spectral;

#[cfg(feature = "build")]
pub use adjacency::{Adjacency, Exponents};
#[cfg(feature = "build")]
pub use fit::FitOptions;
pub use model::Mixture;
pub use predict::{Path, Prediction, Predictor, Query, Via};
#[cfg(feature = "build")]
pub use spectral::Spectrum;
#[cfg(feature = "build")]
pub(crate) use spectral::{draw, multiply, uniform};

#[cfg(feature = "build")]
pub(crate) use alike::content_edges;
pub(crate) use edges::{Edges, EdgesView};
#[cfg(feature = "build")]
pub(crate) use fit::{Fitted, dot, fit};
#[cfg(feature = "parts")]
pub(crate) use fit::{factors, in_units};
pub(crate) use mixture::{Example, Learner, recency_weights};
pub(crate) use model::{FactorsView, MAX_DIMENSION, Tables, largest, popularity};
