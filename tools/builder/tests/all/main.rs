//! Tests of the builder, in one binary.

mod delta;
mod filters;
mod graph;
mod link;
mod pack;
mod trim;
