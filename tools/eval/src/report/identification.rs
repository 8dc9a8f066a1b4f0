//! Author identification by the texts of a run.

use std::collections::BTreeMap;

use super::{
    Rows,
    set::{FEWEST, Set},
};
use crate::{
    Sample,
    cases::{Key, by_person},
};

/// Reciprocal ranks of the true author.
pub(super) struct Found {
    /// By the generated texts.
    by_text: BTreeMap<Key, f64>,
    /// By the titles alone.
    pub(super) title: Sample,
    /// By the true texts.
    pub(super) real: Sample,
}

/// Returns the ranks of a run; `None` if too few of its users have history.
pub(super) fn found(set: &Set, rows: &Rows) -> Option<Found> {
    let rank = |text: &dyn Fn(&Key) -> String| -> BTreeMap<Key, f64> {
        rows.keys().filter_map(|key| Some((key.clone(), set.rank(key, &text(key))?))).collect()
    };
    let by_text = rank(&|key| rows[key].prediction.clone());
    if sample(&by_text).n() < FEWEST {
        return None;
    }
    let real = sample(&rank(&|key| rows[key].reference.clone()));
    let title = sample(&rank(&|key| set.title(key)));
    Some(Found { by_text, title, real })
}

fn sample(ranks: &BTreeMap<Key, f64>) -> Sample {
    by_person(ranks.iter().map(|((user, _), rank)| (user.as_str(), *rank)))
}

impl Found {
    pub(super) fn written(&self) -> Sample {
        sample(&self.by_text)
    }

    /// Returns the difference of the ranks, per user.
    pub(super) fn minus(&self, other: &Self) -> Sample {
        let pairs = self.by_text.iter().map(|(key, rank)| (key, rank, other.by_text.get(key)));
        by_person(pairs.filter_map(|(key, rank, other)| Some((key.0.as_str(), rank - other?))))
    }
}
