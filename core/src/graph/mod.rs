//! The tables of a pack's link predictor, as stored in a pack and as fitted by the builder.
//!
//! - [`Edges`]: pruned item-item edges with 16-bit weights.
//! - [`Factors`]: 8-bit item vectors.
//! - [`Tables`]: all tables, borrowed; computes the score of every item for one user.
//! - [`Mixture`]: the weight of each kind of evidence. A pack contains weights learned on held-out
//!   interactions of its own users.

mod edges;
mod model;

pub use edges::{Edges, EdgesView, keep_largest};
pub use model::{Factors, FactorsView, MAX_DIMENSION, Mixture, Tables, divisor, largest, popularity, recency_weights};
