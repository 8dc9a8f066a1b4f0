//! The tables of a pack's link predictor, as a pack holds them and as the builder fits them.
//!
//! - [`Edges`]: pruned item-item edges with 16-bit weights.
//! - [`Factors`]: 8-bit item vectors.
//! - [`Tables`]: all of them borrowed, with the score of every item for one person.
//! - [`Mixture`]: the weight of each kind of evidence. A pack carries weights learned on held-out
//!   interactions of its own people.

mod edges;
mod model;

pub use edges::{Edges, EdgesView, keep_largest};
pub use model::{Factors, FactorsView, MAX_DIMENSION, Mixture, Tables, divisor, largest, popularity, recency_weights};
