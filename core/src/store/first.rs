//! Records as version 1 of the codec wrote them: every text was a review.

use serde::Deserialize;

use crate::history::{Interaction, Origin, Record};

/// An interaction without kind, context and audience.
#[derive(Deserialize)]
struct First {
    item: String,
    item_title: Option<String>,
    category: Option<String>,
    title: Option<String>,
    text: String,
    rating: Option<f32>,
    time: Option<i64>,
}

/// A record of version 1.
#[derive(Deserialize)]
pub(super) struct FirstRecord {
    interaction: First,
    origin: Origin,
}

impl From<FirstRecord> for Record {
    fn from(FirstRecord { interaction, origin }: FirstRecord) -> Self {
        let First { item, item_title, category, title, text, rating, time } = interaction;
        let interaction =
            Interaction { item, item_title, category, title, text, rating, time, ..Interaction::default() };
        Self { interaction, origin }
    }
}
