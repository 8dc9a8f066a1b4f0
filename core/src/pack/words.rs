//! Terms and their weights: the same when a pack is built and when a text is matched against it.

use crate::text;

/// Longest term, in bytes; longer ones are noise.
const TERM_BYTES: usize = 24;

/// Smoothed inverse document frequency, never negative.
pub(super) fn idf(texts: usize, documents: u32) -> f32 {
    let (n, d) = (texts as f32, documents as f32);
    (1.0 + (n - d + 0.5).max(0.0) / (d + 0.5)).ln()
}

/// The topical terms of a text.
pub(super) fn terms(text: &str) -> impl Iterator<Item = String> + '_ {
    text::words(text).filter(|w| w.len() > 1 && w.len() <= TERM_BYTES && !text::is_stopword(w))
}
