//! The points of a text: its key phrases.

use super::{LETTERS, MAX_POINTS, UNSPACED_LETTERS, WORD_LETTERS};
use crate::text;

/// Returns up to [`MAX_POINTS`] key phrases in the order of the text, found by RAKE (Rose et al.
/// 2010).
///
/// A phrase is a run of words between stop words and punctuation. Its score is the sum of
/// degree/frequency of its words. In scripts without spaces each run between punctuation marks is a
/// phrase, cut to [`UNSPACED_LETTERS`].
pub(super) fn key_phrases(all: &str) -> Vec<String> {
    let lower = all.to_lowercase();
    let mut phrases: Vec<Vec<&str>> = Vec::new();
    for stretch in lower.split(|c: char| !(c.is_alphanumeric() || text::is_mark(c) || matches!(c, ' ' | '\'' | '-'))) {
        let mut phrase = Vec::new();
        for word in stretch.split(' ').chain(std::iter::once("")).flat_map(scripts) {
            let (letters, unspaced) = (word.chars().count(), word.starts_with(text::is_unspaced));
            let topical = is_word(word) && letters > 2 && !text::words(word).any(|w| text::is_stopword(&w));
            if topical && phrase.len() < 3 {
                phrase.push(word);
            } else if !phrase.is_empty() {
                phrases.push(std::mem::take(&mut phrase));
            }
            if unspaced && letters > 1 {
                phrases.push(vec![beginning(word)]);
            }
        }
    }
    let score = |word: &str| {
        let with: Vec<_> = phrases.iter().filter(|p| p.contains(&word)).collect();
        with.iter().map(|p| p.len() as f32).sum::<f32>() / with.len() as f32
    };
    let mut scored: Vec<(usize, f32)> =
        phrases.iter().enumerate().map(|(n, p)| (n, p.iter().map(|w| score(w)).sum())).collect();
    scored.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut best: Vec<(usize, String)> = Vec::new();
    for (n, _) in scored {
        let phrase = phrases[n].join(" ");
        if best.len() < MAX_POINTS && !best.iter().any(|b| b.1 == phrase) {
            best.push((n, phrase));
        }
    }
    best.sort();
    best.into_iter().map(|b| b.1).collect()
}

/// Whether the grammar accepts this as a word of a point.
pub(super) fn is_word(word: &str) -> bool {
    let is_letter = |c: char| LETTERS.iter().any(|&(first, last)| (first..=last).contains(&c)) && !c.is_numeric();
    let inner = |c: char| is_letter(c) || matches!(c, '-' | '\'');
    word.starts_with(|c| is_letter(c) && !text::is_mark(c))
        && word.chars().all(inner)
        && word.chars().count() <= WORD_LETTERS
}

/// Splits a word where the script changes between spaced and unspaced.
fn scripts(word: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut within) = (0, None);
    for (at, c) in word.char_indices().filter(|&(_, c)| !text::is_mark(c)) {
        let unspaced = text::is_unspaced(c);
        if within.is_some_and(|w| w != unspaced) {
            parts.push(&word[start..at]);
            start = at;
        }
        within = Some(unspaced);
    }
    parts.push(&word[start..]);
    parts
}

/// Returns the beginning of a run without spaces, at most [`UNSPACED_LETTERS`] long, with all
/// combining marks of its last letter.
fn beginning(stretch: &str) -> &str {
    let mut ends = stretch.char_indices().filter(|&(_, c)| !text::is_mark(c)).map(|(at, _)| at);
    let most = stretch.char_indices().nth(UNSPACED_LETTERS).map_or(stretch.len(), |(at, _)| at);
    if most == stretch.len() {
        return stretch;
    }
    &stretch[..ends.rfind(|&end| end <= most).filter(|&end| end > 0).unwrap_or(most)]
}
