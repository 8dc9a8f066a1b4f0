//! One text by one person about one item.

use serde::{Deserialize, Serialize};

use crate::{reason::ReasoningPath, text};

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
    /// When it was written, in milliseconds since 1970-01-01 UTC.
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

    /// What is wrong with it, if anything: an id or a text of which nothing shows, or a rating outside 1 to 5.
    pub fn defect(&self) -> Option<&'static str> {
        if text::is_blank(&self.item) {
            Some("the item id is empty")
        } else if text::is_blank(&self.text) && self.title.as_deref().is_none_or(text::is_blank) {
            Some("both text and title are empty")
        } else if self.rating.is_some_and(|r| !(1.0..=5.0).contains(&r)) {
            Some("the rating is outside 1 to 5")
        } else {
            None
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
