//! One text by one person about one item.

use serde::{Deserialize, Serialize};

use crate::{plan::ReasoningPath, text};

/// One (item, title, text, rating, time) by one person, as it stands in profiles, stores and exports.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Interaction {
    /// The item's id, unique in its catalogue.
    pub item: String,
    /// The item's own name, where the catalogue has one.
    #[serde(default)]
    pub item_title: Option<String>,
    /// The item's category, where the catalogue has one.
    #[serde(default)]
    pub category: Option<String>,
    /// The headline that the person gave their text.
    #[serde(default)]
    pub title: Option<String>,
    /// What the person wrote.
    pub text: String,
    /// The person's rating, 1 to 5.
    #[serde(default)]
    pub rating: Option<f32>,
    /// When it was written, in milliseconds since 1970-01-01 UTC; see [`Interaction::milliseconds`] for other units.
    #[serde(default)]
    pub time: Option<i64>,
}

impl Interaction {
    /// An interaction with `item` and `text`, everything else unknown.
    pub fn new(item: impl Into<String>, text: impl Into<String>) -> Self {
        Self { item: item.into(), text: text.into(), ..Self::default() }
    }

    /// The same with the headline that the person gave it.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// The same with a rating, 1 to 5.
    #[must_use]
    pub fn with_rating(mut self, rating: f32) -> Self {
        self.rating = Some(rating);
        self
    }

    /// The rating rounded to whole stars (1 to 5), if there is one.
    pub fn stars(&self) -> Option<u8> {
        self.rating.map(|r| r.round().clamp(1.0, 5.0) as u8)
    }

    /// Returns when it was written, in milliseconds since 1970-01-01 UTC, whatever unit `time` is in.
    ///
    /// Times of other units are told apart by their size, which leaves no overlap for anything written between 1973 and
    /// 5138: less than 10^11 are seconds, 10^14 to 10^17 microseconds, more than that nanoseconds. 0 is an unknown time.
    ///
    /// # Errors
    /// A message for a negative time: nobody wrote before 1970.
    pub fn milliseconds(&self) -> Result<Option<i64>, &'static str> {
        const SECONDS: i64 = 100_000_000_000;
        const MICROSECONDS: i64 = 100_000_000_000_000;
        const NANOSECONDS: i64 = 100_000_000_000_000_000;
        Ok(match self.time {
            None | Some(0) => None,
            Some(..0) => return Err("the time is negative: it counts milliseconds since 1970-01-01"),
            Some(t @ ..SECONDS) => Some(t * 1000),
            Some(t @ ..MICROSECONDS) => Some(t),
            Some(t @ ..NANOSECONDS) => Some(t / 1000),
            Some(t) => Some(t / 1_000_000),
        })
    }

    /// Puts the time into milliseconds; drops one that cannot be a time.
    #[doc(hidden)]
    pub fn normalize_time(&mut self) {
        self.time = self.milliseconds().unwrap_or(None);
    }

    /// What is wrong with it, if anything: an id or a text of which nothing shows, a rating outside 1 to 5, or a negative time.
    pub fn defect(&self) -> Option<&'static str> {
        if text::is_blank(&self.item) {
            Some("the item id is empty")
        } else if text::is_blank(&self.text) && self.title.as_deref().is_none_or(text::is_blank) {
            Some("both text and title are empty")
        } else if self.rating.is_some_and(|r| !(1.0..=5.0).contains(&r)) {
            Some("the rating is outside 1 to 5")
        } else {
            self.milliseconds().err()
        }
    }
}

/// Where a text comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The person wrote it.
    Real,
    /// The engine wrote it for a predicted item.
    Synthetic {
        /// The plan that the text follows.
        path: ReasoningPath,
        /// The file name of the model that wrote it.
        model: String,
    },
}

/// An interaction with its origin: what the store keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The interaction itself.
    pub interaction: Interaction,
    /// Real or synthetic.
    pub origin: Origin,
}

impl Record {
    /// A text by the person.
    pub fn real(interaction: Interaction) -> Self {
        Self { interaction, origin: Origin::Real }
    }

    /// Whether the engine wrote it.
    pub fn is_synthetic(&self) -> bool {
        matches!(self.origin, Origin::Synthetic { .. })
    }
}

/// A record with its id in the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The number that the store gave it. Never used again in this store, also after the record was forgotten.
    pub id: u64,
    /// The record.
    #[serde(flatten)]
    pub record: Record,
}

/// Sorts `items`, which stand in the order of recording, by `time`. An item without a time keeps its place behind the one that
/// was recorded before it.
pub fn sort_by_time<T>(items: &mut Vec<T>, time: impl Fn(&T) -> Option<i64>) {
    let mut last = i64::MIN;
    let mut timed: Vec<(i64, T)> = std::mem::take(items)
        .into_iter()
        .map(|item| {
            last = time(&item).unwrap_or(last);
            (last, item)
        })
        .collect();
    timed.sort_by_key(|(time, _)| *time);
    items.extend(timed.into_iter().map(|(_, item)| item));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: i64) -> Interaction {
        Interaction { time: Some(time), ..Interaction::new("i", "x") }
    }

    #[test]
    fn times_of_any_unit_become_milliseconds() {
        let now = 1_700_000_000_123;
        for (time, expected) in [
            (now, Some(now)),
            (now / 1000, Some(now / 1000 * 1000)),
            (now * 1000 + 7, Some(now)),
            (now * 1_000_000 + 7, Some(now)),
            (0, None),
            (1, Some(1000)),
            (99_999_999_999, Some(99_999_999_999_000)),
            (100_000_000_000, Some(100_000_000_000)),
            (99_999_999_999_999, Some(99_999_999_999_999)),
            (100_000_000_000_000, Some(100_000_000_000)),
            (99_999_999_999_999_999, Some(99_999_999_999_999)),
            (i64::MAX, Some(i64::MAX / 1_000_000)),
        ] {
            assert_eq!(at(time).milliseconds(), Ok(expected), "{time}");
            assert_eq!(at(time).defect(), None);
        }
        assert_eq!(Interaction::new("i", "x").milliseconds(), Ok(None));
        for time in [-1, i64::MIN] {
            assert!(at(time).defect().unwrap().contains("negative"));
        }
    }

    #[test]
    fn an_item_without_a_time_stays_behind_its_predecessor() {
        let mut items = vec![("a", None), ("b", Some(30)), ("c", None), ("d", Some(10)), ("e", None), ("f", Some(30))];
        sort_by_time(&mut items, |item| item.1);
        assert_eq!(items.iter().map(|i| i.0).collect::<String>(), "adebcf");
    }
}
