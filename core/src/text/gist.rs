//! The gist of a text: what its author could have jotted down before writing it.
//!
//! Prompts show the gist of each earlier text where a request brings one, so that the model sees in
//! the user's own examples how notes become a text. Evaluations make requests from it.

use super::{is_mark, is_stopword, word_spans};
use crate::hash::draw;

/// Returns the content words of `text` in order, thinned to `share` (0 to 1) by `seed`.
///
/// Words are lower-cased but for names: words with a capital letter in mid-sentence, and words with
/// several capitals. Numbers stay. A text of stop words alone keeps all of its words, thinned. At
/// least one word stays.
pub fn gist(text: &str, share: f64, seed: u64) -> String {
    thinned(text, share, seed, false)
}

/// Returns the gist of `text` with all of its names and numbers: people do not leave them out of
/// their notes. Prompts and training examples have these notes, so that a model learns to take
/// facts from the notes and not to invent them.
pub fn notes(text: &str, share: f64, seed: u64) -> String {
    thinned(text, share, seed, true)
}

fn thinned(text: &str, share: f64, seed: u64, facts: bool) -> String {
    let all: Vec<(usize, &str)> = word_spans(text).collect();
    let content = |(_, word): &&(usize, &str)| !is_stopword(&word.to_lowercase());
    let mut words: Vec<&(usize, &str)> = all.iter().filter(content).collect();
    if words.is_empty() {
        words = all.iter().collect();
    }
    let kept = |n: usize| (draw(seed, n as u64) >> 11) as f64 / (1u64 << 53) as f64;
    let mut out: Vec<String> = Vec::new();
    for (n, (at, word)) in words.iter().enumerate() {
        if kept(n) < share || facts && is_fact(text, *at, word) {
            out.push(jotted(text, *at, word));
        }
    }
    if out.is_empty() {
        out.extend(words.first().map(|(at, word)| jotted(text, *at, word)));
    }
    out.join(" ")
}

/// Returns a word as in a note: in lower case, unless it is a name.
fn jotted(text: &str, at: usize, word: &str) -> String {
    if is_name(text, at, word) { word.to_owned() } else { word.to_lowercase() }
}

/// Whether a word is a number or a name.
fn is_fact(text: &str, at: usize, word: &str) -> bool {
    word.contains(|c: char| c.is_ascii_digit()) || is_name(text, at, word)
}

/// Whether a word has several capital letters, or one in mid-sentence.
fn is_name(text: &str, at: usize, word: &str) -> bool {
    let mut letters = word.chars().filter(|c| !is_mark(*c));
    let capital = letters.next().is_some_and(char::is_uppercase);
    capital && (letters.any(char::is_uppercase) || inside(&text[..at]))
}

/// Whether a word after `before` is in the middle of a sentence and of a line.
fn inside(before: &str) -> bool {
    let end = before.trim_end_matches([' ', '"', '\'', '(', '*', '“', '‘']);
    end.ends_with(|c: char| c.is_alphanumeric() || matches!(c, ',' | ';' | '-' | '&' | '/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gist_keeps_names_numbers_and_order() {
        let text = "Thanks for the parts. We need 12 more from Ada by Monday, says IBM.\nPlease call me.";
        assert_eq!(gist(text, 1.0, 1), "thanks parts need 12 Ada Monday says IBM please call");
        let half = gist(text, 0.5, 1);
        assert!(half.split(' ').count() < 9 && !half.is_empty(), "{half}");
        assert_eq!(half, gist(text, 0.5, 1));
        assert_ne!((1..9).map(|seed| gist(text, 0.5, seed)).collect::<std::collections::HashSet<_>>().len(), 1);
        assert_eq!(notes(text, 0.0, 1), "12 Ada Monday IBM");
        assert!(notes(text, 0.5, 1).split(' ').count() < 10);
        assert_eq!(gist("It is what it is", 0.0, 1), "it");
        assert_eq!(gist("", 0.5, 1), "");
    }
}
