//! Link prediction: which items would this person meet next?
//!
//! # Overview of types
//! - [`Adjacency`] is the normalised user-item matrix R~ = D_U^-1/2 R D_I^-1/2 (sprs CSR, both
//!   orientations). One propagation step over it is the linear graph filter P = R~^T R~ of GF-CF
//!   (Shen et al., CIKM 2021), the limit of LightGCN without training.
//! - [`Predictor`] adds content edges (TF-IDF rows of a [`Pack`](crate::pack::Pack)) and popularity, folds one person in by a
//!   few sparse products, without any table of users, and ranks.
//! - [`Prediction`] carries its [`Path`]s: every score is a sum over (history item, kind of edge), so the
//!   shares are exact.

mod adjacency;
mod predict;

pub use adjacency::Adjacency;
pub use predict::{Path, Prediction, Predictor, Query, Via, Weights};
