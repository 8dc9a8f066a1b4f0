//! Runs of consecutive words, the features of several measures.

use locket::internals::{hash::hash, text};

/// Returns the hashes of all runs of `length` words of a text, in text order.
pub(super) fn runs(said: &str, length: usize) -> Vec<u64> {
    let words: Vec<String> = text::words(said).collect();
    words.windows(length).map(|run| hash(&run.join(" "))).collect()
}
