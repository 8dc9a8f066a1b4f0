//! Learning from sent texts: the share of a draft that the user kept, and two rules that use it.
//!
//! Two rules follow, both visible in [`Stats`] and both undone by [`Engine::reset_learning`]:
//!
//! - Texts have the length that the user cuts drafts to: the median of sent words over draft words.
//! - A draft sent without a change holds no word by the user. It joins the prompt only if there are
//!   few other texts of its kind.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Engine;
use crate::{
    Error,
    history::{Interaction, Origin, Record},
    text,
};

/// Maximum share of edited words in a lightly edited draft.
const LIGHT: f32 = 0.2;
/// Number of latest sent drafts that count, and the minimum for a length.
const LATEST: usize = 20;
const LENGTHS: usize = 5;
/// Bounds of the learnt length.
const SHORTEST: f32 = 0.5;
const LONGEST: f32 = 1.5;

/// Statistics of the store and of sent drafts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stats {
    /// Number of the user's texts by kind.
    pub texts: BTreeMap<String, usize>,
    /// Number of synthetic texts.
    pub synthetic: usize,
    /// Number of texts sent from a draft: without a change, with up to a fifth of the words edited,
    /// and with more.
    pub unchanged: usize,
    /// See [`Stats::unchanged`].
    pub lightly_edited: usize,
    /// See [`Stats::unchanged`].
    pub heavily_edited: usize,
    /// Median share of edited words (0 to 1); `None` without sent drafts.
    pub median_edits: Option<f32>,
    /// Length of sent texts relative to their drafts, 0.5 to 1.5: the engine writes texts of this
    /// length. `None` before five drafts were sent.
    pub length: Option<f32>,
}

impl Stats {
    /// Returns the statistics of these records, oldest first.
    #[doc(hidden)]
    pub fn of(records: &[Record]) -> Self {
        let mut stats = Self::default();
        let (mut edits, mut lengths) = (Vec::new(), Vec::new());
        for record in records {
            if record.is_synthetic() {
                stats.synthetic += 1;
                continue;
            }
            *stats.texts.entry(record.interaction.kind.clone()).or_default() += 1;
            let Origin::Sent { edits: share, draft_words } = record.origin else { continue };
            match share {
                0.0 => stats.unchanged += 1,
                ..=LIGHT => stats.lightly_edited += 1,
                _ => stats.heavily_edited += 1,
            }
            edits.push(share);
            lengths.push(text::word_count(&record.interaction.text) as f32 / draft_words.max(1) as f32);
        }
        stats.median_edits = median(&edits[edits.len().saturating_sub(LATEST)..]);
        let latest = &lengths[lengths.len().saturating_sub(LATEST)..];
        stats.length = median(latest).filter(|_| latest.len() >= LENGTHS).map(|l| l.clamp(SHORTEST, LONGEST));
        stats
    }
}

/// Returns the lower median.
fn median(values: &[f32]) -> Option<f32> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

impl Engine {
    /// Records a text that the user sent from `draft`, a text of [`Engine::generate`]. The draft
    /// itself is not stored, only its number of words and the share of edited words. Returns the id
    /// that [`Engine::forget`] takes.
    ///
    /// # Errors
    /// As [`Engine::record`].
    pub fn sent(&self, draft: &str, interaction: Interaction) -> Result<u64, Error> {
        Ok(self.store.append(&Record::sent(interaction, draft))?)
    }

    /// Returns the statistics of the store and of sent drafts.
    ///
    /// # Errors
    /// [`crate::store::StoreError`].
    pub fn stats(&self) -> Result<Stats, Error> {
        Ok(Stats::of(&self.history()?))
    }

    /// Forgets the draft of every sent text. The texts stay.
    ///
    /// # Errors
    /// [`crate::store::StoreError`].
    pub fn reset_learning(&self) -> Result<(), Error> {
        Ok(self.store.forget_drafts()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(draft: &str, text: &str) -> Record {
        Record::sent(Interaction::new("", text).with_kind("reply".into()), draft)
    }

    #[test]
    fn edits_are_counted_in_words() {
        let edits = |draft, text| match sent(draft, text).origin {
            Origin::Sent { edits, .. } => edits,
            _ => unreachable!(),
        };
        assert_eq!(edits("see you at eight", "see you at eight"), 0.0);
        assert_eq!(edits("see you at eight", "see you at nine"), 0.25);
        assert_eq!(edits("see you", "no"), 1.0);
        assert_eq!(edits("", "no"), 1.0);
    }

    #[test]
    fn five_shortened_drafts_shorten_texts() {
        let mut records = vec![sent("one two three four", "one two three four")];
        records.extend((0..3).map(|_| sent("one two three four five six", "one two three")));
        let stats = Stats::of(&records);
        assert_eq!((stats.unchanged, stats.lightly_edited, stats.heavily_edited), (1, 0, 3));
        assert_eq!((stats.texts["reply"], stats.median_edits, stats.length), (4, Some(0.5), None));
        records.push(sent("a b c d e f g h i j", "a"));
        assert_eq!(Stats::of(&records).length, Some(0.5));
        assert_eq!(Stats::of(&[]), Stats::default());
    }
}
