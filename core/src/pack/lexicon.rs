//! Which words are written in lower case, so that a capital letter in mid-sentence tells a proper name.

use std::collections::HashSet;

use super::{ItemId, Pack, hash};
use crate::text;

/// Most texts that are read.
const SAMPLE: usize = 4000;

/// Words that a pack's texts write in lower case.
pub(crate) struct Lexicon(HashSet<u64>);

impl Lexicon {
    /// From texts that lie evenly in the pack.
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

    /// Whether a lower-cased word is written so.
    pub(crate) fn contains(&self, word: &str) -> bool {
        self.0.contains(&hash(word))
    }
}
