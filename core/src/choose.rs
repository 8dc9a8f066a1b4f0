//! Which of the person's own texts stand in a prompt, when there are more than it can hold.
//!
//! Two wishes pull apart: texts that match the request help most, and a beginning that is the same for every request need not be
//! read again (its KV state is kept). So most places go to a base that does not depend on the request, chosen by marginal value:
//! each text counts for what it adds to those chosen before. The last places, nearest to the request, go to the best matches.

use std::collections::{HashMap, HashSet};

use crate::{interaction::Interaction, prompt::Example, retrieve::score_texts, text};

/// How many of the places go to texts that match the request.
const MATCHING: usize = 2;

/// Up to `k` of the person's texts for a request that says `query`: the base in the order in which it was written, then those
/// that match best, the best last. All of them in order if there are at most `k`.
pub fn own_texts(history: &[Interaction], query: &str, k: usize) -> Vec<Example> {
    if history.len() <= k {
        return history.iter().map(Example::from).collect();
    }
    let mut base = base(history, k.saturating_sub(MATCHING));
    base.sort_unstable();
    let matching = best_matches(history, query).into_iter().filter(|n| !base.contains(n)).take(k - base.len());
    let matching: Vec<usize> = matching.collect();
    base.iter().chain(matching.iter().rev()).map(|&n| Example::from(&history[n])).collect()
}

/// The `k` texts that match `query` best (BM25), the best last, as LaMP retrieves them; all in order if there are at most `k`.
pub fn matching_texts(history: &[Interaction], query: &str, k: usize) -> Vec<Example> {
    if history.len() <= k {
        return history.iter().map(Example::from).collect();
    }
    let mut order = best_matches(history, query);
    order.truncate(k);
    order.iter().rev().map(|&n| Example::from(&history[n])).collect()
}

fn best_matches(history: &[Interaction], query: &str) -> Vec<usize> {
    let texts = history.iter().map(|i| (i.title.as_deref().unwrap_or_default(), i.text.as_str()));
    let scores = score_texts(texts, query);
    let mut order: Vec<usize> = (0..history.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(b.cmp(&a)));
    order
}

/// `k` texts that together show most of how and about what the person writes: greedily, each time the one with the largest gain
/// for its length. A word gains less each time that it is covered again (the square root of its count), which makes the value
/// submodular and the greedy choice at least 63 % of the best one (Nemhauser et al., 1978). Of equals the later text.
fn base(history: &[Interaction], k: usize) -> Vec<usize> {
    let words: Vec<HashSet<String>> =
        history.iter().map(|i| text::words(&text::clip_words(&i.text, CLIP)).collect()).collect();
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
