//! Of several texts for one request, the one that agrees most with the others.
//!
//! Minimum Bayes risk decoding (Kumar and Byrne, 2004; Eikema and Aziz, 2022): texts that a model samples stand for what the
//! person may write, and the one that is expected to share most with it is taken, where the likeliest text alone is often short
//! and unlike most.

use std::collections::HashMap;

use crate::{generate::Written, text};

/// The place of the candidate with the highest mean agreement with the others and with the `voices`, texts by people in the same
/// case; of equals the first. `None` of none.
pub fn consensus(candidates: &[Written], voices: &[&str]) -> Option<usize> {
    let bags: Vec<HashMap<String, usize>> = candidates.iter().map(|c| bag(said(c))).collect();
    let voices: Vec<HashMap<String, usize>> = voices.iter().map(|v| bag(v)).collect();
    let value = |n: usize| {
        let others = (0..candidates.len()).filter(|&m| m != n);
        let others: f64 = others.map(|m| agreement(&candidates[n], &candidates[m], &bags[n], &bags[m])).sum();
        others + voices.iter().map(|voice| overlap(&bags[n], voice)).sum::<f64>()
    };
    let values: Vec<f64> = (0..candidates.len()).map(value).collect();
    (0..candidates.len()).max_by(|&a, &b| values[a].total_cmp(&values[b]).then(b.cmp(&a)))
}

/// What was asked for.
fn said(written: &Written) -> &str {
    written.text.as_deref().or(written.title.as_deref()).unwrap_or_default()
}

fn bag(text: &str) -> HashMap<String, usize> {
    let mut bag = HashMap::new();
    text::words(text).for_each(|word| *bag.entry(word).or_default() += 1);
    bag
}

/// How well `a` would do if the person wrote `b`: for ratings the nearness.
fn agreement(a: &Written, b: &Written, words: &HashMap<String, usize>, wanted: &HashMap<String, usize>) -> f64 {
    match (a.rating, b.rating) {
        (Some(a), Some(b)) => -f64::from(a.abs_diff(b)),
        _ => overlap(words, wanted),
    }
}

/// The mean of ROUGE-1 and of recall, which METEOR weighs most.
fn overlap(words: &HashMap<String, usize>, wanted: &HashMap<String, usize>) -> f64 {
    let both: usize = words.iter().map(|(word, n)| n.min(wanted.get(word).unwrap_or(&0))).sum();
    let size = |bag: &HashMap<String, usize>| bag.values().sum::<usize>() as f64;
    let (a, b) = (size(words), size(wanted));
    if both == 0 {
        return 0.0;
    }
    let (f1, recall) = (2.0 * both as f64 / (a + b), both as f64 / b);
    (f1 + recall) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(said: &str) -> Written {
        Written { text: Some(said.into()), ..Written::default() }
    }

    #[test]
    fn the_middle_of_the_crowd() {
        let all =
            ["I love it.", "It broke after a week of use.", "It broke after one week.", "Broke within a week, sadly."];
        let all: Vec<Written> = all.map(text).into();
        assert_eq!(consensus(&all, &[]), Some(1));
        assert_eq!(consensus(&all[..1], &[]), Some(0));
        assert_eq!(consensus(&[], &[]), None);
        let same = vec![text("the same"); 3];
        assert_eq!(consensus(&same, &[]), Some(0), "of equals the first");
        assert_eq!(consensus(&[text(""), text("something"), text("something else")], &[]), Some(2));
    }

    #[test]
    fn voices_count_like_candidates() {
        let two = [text("it was loud"), text("it was warm")];
        assert_eq!(consensus(&two, &[]), Some(0));
        assert_eq!(consensus(&two, &["warm and good"]), Some(1));
    }

    #[test]
    fn ratings_take_the_median() {
        let stars = |n| Written { rating: Some(n), ..Written::default() };
        assert_eq!(consensus(&[stars(1), stars(5), stars(4), stars(5), stars(3)], &[]), Some(2));
    }
}
