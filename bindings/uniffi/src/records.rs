//! What a person wrote, and what was written for them, as apps see it.

use locket::ReasoningPath;

/// One text by one person about one item.
#[derive(Debug, Clone, PartialEq, Default, uniffi::Record)]
pub struct Interaction {
    /// The item's id, unique in its catalogue.
    pub item: String,
    /// What the person wrote.
    #[uniffi(default)]
    pub text: String,
    /// The headline that the person gave it.
    #[uniffi(default)]
    pub title: Option<String>,
    /// The person's rating, 1 to 5.
    #[uniffi(default)]
    pub rating: Option<f32>,
    /// The item's own name.
    #[uniffi(default)]
    pub item_title: Option<String>,
    /// The item's category.
    #[uniffi(default)]
    pub category: Option<String>,
    /// When it was written, in milliseconds since 1970-01-01 UTC.
    #[uniffi(default)]
    pub time_ms: Option<i64>,
}

/// An interaction in the history, and where it comes from.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Record {
    /// The number that the store gave it, for `forget`. Never used again in this store.
    pub id: u64,
    /// The interaction.
    pub interaction: Interaction,
    /// Whether the engine wrote it.
    pub synthetic: bool,
    /// The plan that a synthetic text follows.
    pub plan: Option<Plan>,
}

/// A text that the engine wrote for an item that the person may meet.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct SyntheticText {
    /// The text and its item.
    pub interaction: Interaction,
    /// The plan that it follows.
    pub plan: Option<Plan>,
}

/// The short plan in front of a text: how the person feels, sounds, how much they write, and on what.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Plan {
    /// 1 to 5.
    pub stars: u8,
    /// How it sounds.
    pub tone: Tone,
    /// How much is written.
    pub length: Length,
    /// Up to three things to mention.
    pub points: Vec<String>,
}

/// How a text sounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Tone {
    /// Delighted, with exclamation marks.
    Enthusiastic,
    /// Friendly and content.
    Warm,
    /// Matter of fact.
    Plain,
    /// Disappointed, with reasons.
    Critical,
    /// Upset.
    Angry,
}

/// How much is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Length {
    /// Up to 12 words.
    Brief,
    /// Up to 40 words.
    Short,
    /// Up to 100 words.
    Medium,
    /// More.
    Long,
}

impl From<Interaction> for locket::Interaction {
    fn from(i: Interaction) -> Self {
        let Interaction { item, text, title, rating, item_title, category, time_ms: time } = i;
        Self { item, item_title, category, title, text, rating, time }
    }
}

impl From<locket::Interaction> for Interaction {
    fn from(i: locket::Interaction) -> Self {
        let locket::Interaction { item, item_title, category, title, text, rating, time: time_ms } = i;
        Self { item, text, title, rating, item_title, category, time_ms }
    }
}

impl From<locket::Record> for SyntheticText {
    fn from(record: locket::Record) -> Self {
        let plan = match record.origin {
            locket::Origin::Synthetic { path, .. } => Some(path.into()),
            locket::Origin::Real => None,
        };
        Self { interaction: record.interaction.into(), plan }
    }
}

impl From<locket::Entry> for Record {
    fn from(locket::Entry { id, record }: locket::Entry) -> Self {
        let synthetic = record.is_synthetic();
        let SyntheticText { interaction, plan } = record.into();
        Self { id, interaction, synthetic, plan }
    }
}

impl From<ReasoningPath> for Plan {
    fn from(path: ReasoningPath) -> Self {
        let tone = match path.tone {
            locket::Tone::Enthusiastic => Tone::Enthusiastic,
            locket::Tone::Warm => Tone::Warm,
            locket::Tone::Plain => Tone::Plain,
            locket::Tone::Critical => Tone::Critical,
            locket::Tone::Angry => Tone::Angry,
        };
        Self { stars: path.stance, tone, length: path.length.into(), points: path.points }
    }
}

impl From<locket::Length> for Length {
    fn from(length: locket::Length) -> Self {
        match length {
            locket::Length::Brief => Self::Brief,
            locket::Length::Short => Self::Short,
            locket::Length::Medium => Self::Medium,
            locket::Length::Long => Self::Long,
        }
    }
}

impl From<Length> for locket::Length {
    fn from(length: Length) -> Self {
        match length {
            Length::Brief => Self::Brief,
            Length::Short => Self::Short,
            Length::Medium => Self::Medium,
            Length::Long => Self::Long,
        }
    }
}
