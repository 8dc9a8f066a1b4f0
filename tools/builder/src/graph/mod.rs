//! Closed-form fit of a pack's link predictor.
//!
//! - [`Adjacency`] is the normalised user-item matrix R~ (sprs CSR, both orientations).
//! - [`Spectrum`] holds its largest singular values with their vectors, the basis of graph filters
//!   (GF-CF, Shen et al., CIKM 2021).
//! - [`FitOptions`] holds the settings for fitting pruned item neighbours and item vectors.
//! - [`Learner`] learns the weight of each kind of evidence from held-out interactions.

mod accumulator;
mod adjacency;
mod alike;
mod fit;
mod mixture;
mod spectral;

pub use adjacency::{Adjacency, Exponents};
pub use alike::content_edges;
pub use fit::{FitOptions, Fitted, dot, factors, fit, in_units};
pub use mixture::{Learner, LinkExample};
pub use spectral::{Spectrum, multiply};
