//! How much of a text is copied from other texts, and how much of it repeats itself.

use crate::text;

/// Length of the word runs that count as copied.
pub const COPY_RUN: usize = 6;
/// Largest share of copied runs.
pub const MAX_COPIED: f32 = 0.25;

/// The share of runs of `n` words that are distinct (1 for texts shorter than a run): distinct-n.
pub fn distinct_share(words: &[String], n: usize) -> f32 {
    let all = words.windows(n).count();
    let distinct: std::collections::HashSet<_> = words.windows(n).collect();
    if all == 0 { 1.0 } else { distinct.len() as f32 / all as f32 }
}

/// The share of `words`' runs of `n` that stand in one of the sources (0 for texts shorter than a run).
pub fn copied_share<'a>(words: &[String], sources: impl Iterator<Item = &'a str>, n: usize) -> f32 {
    let all = words.windows(n).count();
    if all == 0 {
        return 0.0;
    }
    let sources: Vec<Vec<String>> = sources.map(|s| text::words(s).collect()).collect();
    let known: std::collections::HashSet<&[String]> = sources.iter().flat_map(|s| s.windows(n)).collect();
    words.windows(n).filter(|run| known.contains(*run)).count() as f32 / all as f32
}
