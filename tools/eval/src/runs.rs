//! Runs of consecutive words, the features of several measures.

use std::collections::HashSet;

use locket::internals::{hash::hash, text};

/// Returns the hashes of all runs of `length` words of a text, in text order.
pub(super) fn runs(said: &str, length: usize) -> Vec<u64> {
    let words: Vec<String> = text::words(said).collect();
    words.windows(length).map(|run| hash(&run.join(" "))).collect()
}

/// Returns the hashes of the distinct words and pairs of words of a text.
pub(super) fn words_and_pairs(said: &str) -> HashSet<u64> {
    runs(said, 1).into_iter().chain(runs(said, 2)).collect()
}

/// Returns the number of distinct runs.
pub(super) fn distinct(runs: &[u64]) -> usize {
    runs.iter().collect::<HashSet<_>>().len()
}
