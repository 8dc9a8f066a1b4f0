//! The lower-case words of a pack's texts. Other words with a capital letter in mid-sentence are
//! proper names.

use std::collections::HashSet;

use super::{ItemId, Pack, hash};
use crate::text;

/// Approximate maximum number of sampled texts.
const SAMPLE: usize = 4000;

/// Words in lower case in a pack's texts, as hashes.
pub(crate) struct Lexicon(HashSet<u64>);

impl Lexicon {
    /// Builds the lexicon from a sample of texts spread evenly over the pack.
    pub(super) fn of(pack: &Pack) -> Self {
        let each = SAMPLE.div_ceil(pack.items().max(1));
        let step = pack.items().div_ceil(SAMPLE).max(1);
        let texts = (0..pack.items() as ItemId).step_by(step).flat_map(|item| pack.texts(item).take(each));
        let mut lower = HashSet::new();
        for text in texts {
            let words = text::word_spans(text.text).filter(|(_, w)| w.starts_with(char::is_lowercase));
            lower.extend(words.map(|(_, word)| hash(word)));
        }
        Self(lower)
    }

    /// Returns whether the sampled texts contain this lower-case word.
    pub(crate) fn contains(&self, word: &str) -> bool {
        self.0.contains(&hash(word))
    }
}
