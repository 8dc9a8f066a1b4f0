//! History selection: the user's texts for a prompt, if there are more than it can hold.
//!
//! Two goals conflict. Texts that match the request help most, but a prefix shared by all requests
//! keeps its KV state and needs no prefill. Most places therefore go to a base that does not depend
//! on the request. It is chosen by marginal value: each text counts for its contribution beyond the
//! texts chosen before. The last places, nearest to the request, go to the best matches.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::{
    context::bm25::score_texts,
    history::{Interaction, Kind},
    prompt::{Example, Language},
    text,
};

/// Number of texts of a kind that show its form without texts of other kinds.
pub(crate) const ENOUGH: usize = 3;
/// Number of places for texts that match the request.
const MATCHING: usize = 2;

/// Returns up to `k` of the user's texts for the request `query`: the base in order of writing,
/// then the best matches, the best last. Returns all texts in order if there are at most `k`.
pub fn own_texts(history: &[Interaction], query: &str, k: usize) -> Vec<Example> {
    chosen_of(history.iter(), query, k)
}

/// Returns the result of [`own_texts`] for the texts of an iterator.
fn chosen_of<'h>(history: impl DoubleEndedIterator<Item = &'h Interaction>, query: &str, k: usize) -> Vec<Example> {
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

/// Returns up to `k` of the user's texts for a request of this kind to this recipient, the most
/// useful last. Texts to the same recipient come before the others, and each group is chosen as by
/// [`own_texts`]. Texts of other kinds fill the places only if there are fewer than three of the
/// kind.
pub fn for_kind(history: &[Interaction], kind: &Kind, audience: Option<&str>, query: &str, k: usize) -> Vec<Example> {
    let to_same = |i: &Interaction| audience.is_some() && i.audience.as_deref() == audience;
    let groups: [&dyn Fn(&Interaction) -> bool; 3] =
        [&|i| i.kind == kind.name && to_same(i), &|i| i.kind == kind.name && !to_same(i), &|i| i.kind != kind.name];
    let mut chosen: Vec<Example> = Vec::new();
    for (n, group) in groups.into_iter().enumerate() {
        if n == 2 && chosen.len() >= ENOUGH {
            break;
        }
        let mut found = chosen_of(history.iter().filter(|i| group(i)), query, k - chosen.len());
        found.append(&mut chosen);
        chosen = found;
    }
    chosen
}

/// Returns the language of a request that answers `context`, and the history in it; see
/// [`Language::of_request`] and [`in_language`].
pub fn for_language(history: Vec<Interaction>, kind: &Kind, context: Option<&str>) -> (Language, Vec<Interaction>) {
    let of_kind = history.iter().filter(|i| i.kind == kind.name).map(|i| i.text.as_str());
    let language = Language::of_request(context, of_kind);
    (language, in_language(history, kind, language))
}

/// Returns the texts without those of the kind in another language, if at least three of the kind
/// remain. Texts too short to tell stay, and reviews stay in any language.
pub fn in_language(history: Vec<Interaction>, kind: &Kind, language: Language) -> Vec<Interaction> {
    if kind.rated {
        return history;
    }
    let other = |i: &Interaction| i.kind == kind.name && Language::of(&i.text).is_some_and(|found| found != language);
    let kept: Vec<bool> = history.iter().map(|i| !other(i)).collect();
    let left = history.iter().zip(&kept).filter(|(i, kept)| i.kind == kind.name && **kept).count();
    if left < ENOUGH {
        return history;
    }
    history.into_iter().zip(kept).filter_map(|(i, kept)| kept.then_some(i)).collect()
}

/// Returns the `k` texts that match `query` best (BM25), the best last, as LaMP retrieves them.
/// Returns all texts in order if there are at most `k`.
pub fn matching_texts(history: &[Interaction], query: &str, k: usize) -> Vec<Example> {
    let history = &distinct(history.iter());
    if history.len() <= k {
        return history.iter().copied().map(Example::from).collect();
    }
    let mut order = best_matches(history, query);
    order.truncate(k);
    order.iter().rev().map(|&n| Example::from(history[n])).collect()
}

/// Returns the history without exact duplicates. The latest copy stays.
fn distinct<'h>(history: impl DoubleEndedIterator<Item = &'h Interaction>) -> Vec<&'h Interaction> {
    let mut seen = HashSet::new();
    let mut kept: Vec<&Interaction> = history.rev().filter(|i| seen.insert((&i.title, &i.text))).collect();
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

/// Returns the indices of `k` texts that together cover most of the user's vocabulary.
///
/// The selection is greedy: each step takes the text with the largest gain for its length. A word
/// gains less each time that it is covered again (the square root of its count). This makes the
/// value submodular and the greedy choice at least 63 % of the best one (Nemhauser et al., 1978).
/// Ties go to the later text.
fn base(history: &[&Interaction], k: usize) -> Vec<usize> {
    // Sets in word order: sums of floats depend on the order, and the base must not change between
    // calls.
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

/// Maximum length of a text's excerpt in a prompt, in words.
const CLIP: usize = 60;
/// Cost of an example beyond its text, in words: item, title, labels. Without it, texts of two
/// words would have the best ratio of gain to length.
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
        // The text with unique words is in the base, and the best match is last.
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
