//! Which of the person's own texts stand in a prompt, when there are more than it can hold.
//!
//! Two wishes pull apart: texts that match the request help most, and a beginning that is the same for every request need not be
//! read again (its KV state is kept). So most places go to a base that does not depend on the request, chosen by marginal value:
//! each text counts for what it adds to those chosen before. The last places, nearest to the request, go to the best matches.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::{context::bm25::score_texts, history::Interaction, prompt::Example, text};

/// How many of the places go to texts that match the request.
const MATCHING: usize = 2;

/// Up to `k` of the person's texts for a request that says `query`: the base in the order in which it was written, then those
/// that match best, the best last. All of them in order if there are at most `k`.
pub fn own_texts(history: &[Interaction], query: &str, k: usize) -> Vec<Example> {
    let history = &distinct(history);
    if history.len() <= k {
        return history.iter().copied().map(Example::from).collect();
    }
    let mut base = base(history, k.saturating_sub(MATCHING));
    base.sort_unstable();
    let matching = best_matches(history, query).into_iter().filter(|n| !base.contains(n)).take(k - base.len());
    let matching: Vec<usize> = matching.collect();
    base.iter().chain(matching.iter().rev()).map(|&n| Example::from(history[n])).collect()
}

/// The `k` texts that match `query` best (BM25), the best last, as LaMP retrieves them; all in order if there are at most `k`.
pub fn matching_texts(history: &[Interaction], query: &str, k: usize) -> Vec<Example> {
    let history = &distinct(history);
    if history.len() <= k {
        return history.iter().copied().map(Example::from).collect();
    }
    let mut order = best_matches(history, query);
    order.truncate(k);
    order.iter().rev().map(|&n| Example::from(history[n])).collect()
}

/// Without the texts that the person has written again, word for word, later.
fn distinct(history: &[Interaction]) -> Vec<&Interaction> {
    let mut seen = HashSet::new();
    let mut kept: Vec<&Interaction> = history.iter().rev().filter(|i| seen.insert((&i.title, &i.text))).collect();
    kept.reverse();
    kept
}

fn best_matches(history: &[&Interaction], query: &str) -> Vec<usize> {
    let texts = history.iter().map(|i| (i.title.as_deref().unwrap_or_default(), i.text.as_str()));
    let scores = score_texts(texts, query);
    let mut order: Vec<usize> = (0..history.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(b.cmp(&a)));
    order
}

/// `k` texts that together show most of how and about what the person writes: greedily, each time the one with the largest gain
/// for its length. A word gains less each time that it is covered again (the square root of its count), which makes the value
/// submodular and the greedy choice at least 63 % of the best one (Nemhauser et al., 1978). Of equals the later text.
fn base(history: &[&Interaction], k: usize) -> Vec<usize> {
    // In a fixed order: sums of floats depend on it, and the base must be the same in every call.
    let distinct = |i: &&Interaction| text::words(&text::clip_words(&i.text, CLIP)).collect::<BTreeSet<String>>();
    let words: Vec<BTreeSet<String>> = history.iter().map(distinct).collect();
    let mut covered: HashMap<&str, f32> = HashMap::new();
    let mut chosen: Vec<usize> = Vec::new();
    while chosen.len() < k.min(history.len()) {
        let gain = |n: usize| {
            let times = |w: &String| covered.get(w.as_str()).copied().unwrap_or_default();
            let gained: f32 = words[n].iter().map(|w| (times(w) + 1.0).sqrt() - times(w).sqrt()).sum();
            gained / (OVERHEAD + words[n].len() as f32)
        };
        let open = (0..history.len()).filter(|n| !chosen.contains(n));
        let Some(best) = open.max_by(|&a, &b| gain(a).total_cmp(&gain(b)).then(a.cmp(&b))) else { break };
        words[best].iter().for_each(|w| *covered.entry(w).or_default() += 1.0);
        chosen.push(best);
    }
    chosen
}

/// Longest excerpt of a text that a prompt shows, in words.
const CLIP: usize = 60;
/// What an example costs beside its text, in words: item, title, labels. Keeps texts of two words from looking like bargains.
const OVERHEAD: f32 = 20.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn history(n: usize) -> Vec<Interaction> {
        let text = |n| {
            let [what, how] = [["kettle", "lamp", "mug"][n % 3], ["fast", "well", "often", "late"][n % 4]];
            format!("The {what} works {how} and looks good, but number {n} gets warm after a while.")
        };
        (0..n).map(|n| Interaction::new(format!("i{n}"), text(n))).collect()
    }

    fn texts(examples: &[Example]) -> Vec<&str> {
        examples.iter().map(|e| e.text.as_str()).collect()
    }

    #[test]
    fn the_base_is_the_same_for_every_request_and_call() {
        let mut history = history(200);
        history[3].text = "Nobody ever answers the telephone in this hotel at night".into();
        let first = own_texts(&history, "a lamp that works late", 8);
        for query in ["a lamp that works late", "telephone", "", "number 150"] {
            let again = own_texts(&history, query, 8);
            assert_eq!(texts(&again)[..6], texts(&first)[..6], "{query}");
            let mut distinct = texts(&again);
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len(), 8, "{query}");
        }
        // What nothing else says is part of it; what matches best stands last.
        assert!(texts(&first)[..6].contains(&history[3].text.as_str()));
        assert_eq!(own_texts(&history, "number 150", 8)[7].text, history[150].text);
        assert_eq!(matching_texts(&history, "number 150", 3)[2].text, history[150].text);
    }

    #[test]
    fn few_texts_are_all_shown_in_order() {
        let history = history(5);
        let all: Vec<&str> = history.iter().map(|i| i.text.as_str()).collect();
        assert_eq!(texts(&own_texts(&history, "lamp", 8)), all);
        assert_eq!(texts(&own_texts(&history, "lamp", 5)), all);
        assert_eq!(own_texts(&history, "lamp", 1).len(), 1);
        assert!(own_texts(&[], "lamp", 8).is_empty());
    }
}
