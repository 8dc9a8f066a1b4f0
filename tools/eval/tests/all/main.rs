//! Tests of the evaluation, in one binary.

mod metrics;
mod ratings;
