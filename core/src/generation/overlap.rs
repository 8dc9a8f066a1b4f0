//! Shares of copied and of repeated words in a text.

use crate::text;

/// Length of the runs that count as copied, in words.
pub const COPY_RUN: usize = 6;
/// Maximum share of copied runs.
pub const MAX_COPIED: f32 = 0.25;

/// Returns the share of distinct runs of `n` words: distinct-n. Returns 1 for texts shorter than a
/// run.
pub fn distinct_share(words: &[String], n: usize) -> f32 {
    let all = words.windows(n).count();
    let distinct: std::collections::HashSet<_> = words.windows(n).collect();
    if all == 0 { 1.0 } else { distinct.len() as f32 / all as f32 }
}

/// Returns the share of runs of `n` words that occur in one of the sources. Returns 0 for texts
/// shorter than a run.
pub fn copied_share<'a>(words: &[String], sources: impl Iterator<Item = &'a str>, n: usize) -> f32 {
    let all = words.windows(n).count();
    if all == 0 {
        return 0.0;
    }
    let sources: Vec<Vec<String>> = sources.map(|s| text::words(s).collect()).collect();
    let known: std::collections::HashSet<&[String]> = sources.iter().flat_map(|s| s.windows(n)).collect();
    words.windows(n).filter(|run| known.contains(*run)).count() as f32 / all as f32
}
