//! Sentiment of English texts by word lists.

use crate::text;

/// Returns the number of positive words minus the number of negative words. A negation in the three
/// words before a word inverts it. Returns `None` if too few words are English for the lists.
pub fn sentiment(text: &str) -> Option<i32> {
    let words: Vec<String> = text::words(text).collect();
    let listed = |word: &str| GOOD.contains(&word) || BAD.contains(&word);
    let known = words.iter().filter(|w| text::is_stopword(w) || listed(w)).count();
    if known * LEAST_KNOWN < words.len() || words.is_empty() {
        return None;
    }
    let negated = |at: usize| {
        words[at.saturating_sub(3)..at].iter().any(|w| matches!(w.as_str(), "not" | "no" | "never" | "t" | "without"))
    };
    let values = words.iter().enumerate().map(|(at, word)| {
        let value = i32::from(GOOD.contains(&word.as_str())) - i32::from(BAD.contains(&word.as_str()));
        if negated(at) { -value } else { value }
    });
    Some(values.sum())
}

/// A text counts as English if at least one in this many words is a stop word or in the lists. In
/// English reviews it is more than half.
const LEAST_KNOWN: usize = 5;

const GOOD: &[&str] = &[
    "amazing",
    "awesome",
    "beautiful",
    "best",
    "better",
    "charming",
    "clean",
    "comfortable",
    "comfy",
    "cozy",
    "delicious",
    "easy",
    "enjoy",
    "enjoyed",
    "excellent",
    "fantastic",
    "favorite",
    "favourite",
    "fine",
    "friendly",
    "fun",
    "glad",
    "good",
    "gorgeous",
    "great",
    "happy",
    "helpful",
    "impressed",
    "lovely",
    "love",
    "loved",
    "loves",
    "nice",
    "perfect",
    "perfectly",
    "pleased",
    "quality",
    "recommend",
    "soft",
    "sturdy",
    "super",
    "tasty",
    "wonderful",
    "works",
    "worth",
    "yummy",
];
const BAD: &[&str] = &[
    "awful",
    "bad",
    "bland",
    "broke",
    "broken",
    "cheap",
    "cheaply",
    "defective",
    "dirty",
    "disappointed",
    "disappointing",
    "disappointment",
    "disgusting",
    "dry",
    "fail",
    "failed",
    "fell",
    "flimsy",
    "hate",
    "hated",
    "horrible",
    "junk",
    "leaked",
    "mess",
    "noisy",
    "overpriced",
    "poor",
    "poorly",
    "refund",
    "return",
    "returned",
    "returning",
    "rude",
    "smelled",
    "terrible",
    "tiny",
    "uncomfortable",
    "unfortunately",
    "useless",
    "waste",
    "weak",
    "worse",
    "worst",
    "wrong",
    "stale",
    "soggy",
];
