//! Topic check: BM25 between a text and all known texts about each item.

use std::collections::{BTreeSet, HashMap};

use crate::text;

const K1: f32 = 1.5;
const B: f32 = 0.75;

/// Word weights for an item and for the other items that a text might be about instead.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Topics {
    /// The weight of each word, first for the item, then for each of the others.
    weights: Vec<HashMap<String, f32>>,
}

impl Topics {
    /// Creates the topics of `item` and `others`. Each string holds all known text about one item:
    /// its name, its category, and the texts written about it. `idf` returns the weight of a word.
    pub fn new(item: &str, others: &[String], idf: impl Fn(&str) -> f32) -> Self {
        let topical = |text: &str| text::words(text).filter(|w| !text::is_stopword(w)).collect::<Vec<String>>();
        let documents: Vec<Vec<String>> =
            std::iter::once(item).chain(others.iter().map(String::as_str)).map(topical).collect();
        let mean = documents.iter().map(Vec::len).sum::<usize>() as f32 / documents.len() as f32;
        let weighted = |words: &Vec<String>| {
            let mut counts: HashMap<String, f32> = HashMap::new();
            words.iter().for_each(|w| *counts.entry(w.clone()).or_default() += 1.0);
            let norm = K1 * (1.0 - B + B * words.len() as f32 / mean.max(1.0));
            let weight = |(word, f): (String, f32)| {
                let weight = idf(&word) * f * (K1 + 1.0) / (f + norm);
                (word, weight)
            };
            counts.into_iter().map(weight).collect()
        };
        Self { weights: documents.iter().map(weighted).collect() }
    }

    /// Whether `said` is closer to the item than to every other item. A text without any known word
    /// is about no item.
    pub fn about_item(&self, said: &str) -> bool {
        let words: BTreeSet<String> = text::words(said).collect();
        // Summed in word order: sums of floats depend on the order.
        let score = |weights: &HashMap<String, f32>| words.iter().filter_map(|w| weights.get(w)).sum::<f32>();
        let Some((item, others)) = self.weights.split_first() else { return true };
        others.is_empty() || score(item) > others.iter().map(score).fold(0.0, f32::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_about_the_item_whose_words_it_has() {
        let notebook = "Dot grid notebook. Ink does not bleed through. I write my lists in it.".to_owned();
        let topics = Topics::new("Bread basket. Keeps a loaf fresh, the crust stays crisp.", &[notebook], |_| 1.0);
        assert!(topics.about_item("The crust of my loaf stays crisp in it."));
        assert!(!topics.about_item("Ink does not bleed through."));
        assert!(!topics.about_item("The loaf is fine, but the ink of my lists does bleed."));
        assert!(!topics.about_item("I love it, and it works well."), "a text about nothing");
        assert!(Topics::new("Bread basket", &[], |_| 1.0).about_item("I love it."), "nothing to mistake it for");
    }
}
