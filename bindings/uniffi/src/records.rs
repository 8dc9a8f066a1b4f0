//! The user's texts and the synthetic texts, as apps see them.

use locket::{Length, ReasoningPath, Tone};

/// A text by the user, with its metadata.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Interaction {
    /// Id of the item, unique in its catalogue. Only reviews need one.
    #[uniffi(default = "")]
    pub item: String,
    /// The text.
    #[uniffi(default)]
    pub text: String,
    /// Headline of the text.
    #[uniffi(default)]
    pub title: Option<String>,
    /// The user's rating, 1 to 5.
    #[uniffi(default)]
    pub rating: Option<f32>,
    /// Name of the item.
    #[uniffi(default)]
    pub item_title: Option<String>,
    /// Category of the item.
    #[uniffi(default)]
    pub category: Option<String>,
    /// Time of writing, in milliseconds since 1970-01-01 UTC.
    #[uniffi(default)]
    pub time_ms: Option<i64>,
    /// Name of the kind of writing, such as `email` or a name that the app chose.
    #[uniffi(default = "review")]
    pub kind: String,
    /// The text that it answers, such as the message before a reply.
    #[uniffi(default)]
    pub context: Option<String>,
    /// Opaque id of the recipient. It never appears in a prompt.
    #[uniffi(default)]
    pub audience: Option<String>,
}

/// An interaction in the history, with its origin.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Record {
    /// Id of the record, for `forget`. The store assigns it and never reuses it.
    pub id: u64,
    /// The interaction.
    pub interaction: Interaction,
    /// Whether the engine generated it.
    pub synthetic: bool,
    /// The plan of a synthetic text.
    pub plan: Option<Plan>,
}

/// A text that the engine generated for an item that the user is likely to interact with.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct SyntheticText {
    /// The text and its item.
    pub interaction: Interaction,
    /// The plan of the text.
    pub plan: Option<Plan>,
}

/// The short plan before a text: rating, tone, length and points.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Plan {
    /// Rating, 1 to 5; kinds without a rating ignore it.
    #[uniffi(default = 3)]
    pub stars: u8,
    /// Tone of the text.
    pub tone: Tone,
    /// Length of the text.
    pub length: Length,
    /// Up to three points to mention.
    pub points: Vec<String>,
}

/// Tone of a text.
#[uniffi::remote(Enum)]
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

/// Length of a text.
#[uniffi::remote(Enum)]
pub enum Length {
    /// Up to 12 words.
    Brief,
    /// Up to 40 words.
    Short,
    /// Up to 100 words.
    Medium,
    /// More than 100 words.
    Long,
}

impl From<Interaction> for locket::Interaction {
    fn from(i: Interaction) -> Self {
        let mut interaction = Self::new(i.item, i.text).with_rating(i.rating).with_time(i.time_ms).with_kind(i.kind);
        interaction.context = i.context;
        interaction.audience = i.audience;
        interaction.title = i.title;
        interaction.item_title = i.item_title;
        interaction.category = i.category;
        interaction
    }
}

impl From<locket::Interaction> for Interaction {
    fn from(i: locket::Interaction) -> Self {
        let locket::Interaction { item, item_title, category, title, text, rating, time: time_ms, .. } = i;
        let locket::Interaction { kind, context, audience, .. } = i;
        Self { item, text, title, rating, item_title, category, time_ms, kind, context, audience }
    }
}

impl From<locket::Record> for SyntheticText {
    fn from(record: locket::Record) -> Self {
        let plan = match record.origin {
            locket::Origin::Synthetic { path, .. } => Some(path.into()),
            locket::Origin::Real | locket::Origin::Sent { .. } => None,
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
        Self { stars: path.stance, tone: path.tone, length: path.length, points: path.points }
    }
}

impl From<Plan> for ReasoningPath {
    fn from(plan: Plan) -> Self {
        Self { stance: plan.stars.clamp(1, 5), ..Self::new(plan.tone, plan.length, plan.points) }
    }
}
