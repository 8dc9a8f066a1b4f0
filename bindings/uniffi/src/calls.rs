//! What apps ask, and what they get: the arguments and results of the engine's calls.

use std::time::Duration;

use locket::{
    GenerateRequest as CoreRequest, Sampling, Via,
    internals::{engine, prompt},
};

use crate::{Length, Plan, SyntheticText};

/// What is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, uniffi::Enum)]
pub enum WritingTask {
    /// A review.
    #[default]
    Text,
    /// A headline for `GenerateRequest.text`.
    Title,
    /// A rating for `GenerateRequest.text`.
    Rating,
}

/// A request for a text, a title or a rating in the person's voice.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct GenerateRequest {
    /// The item to write on; it need not be in the pack.
    pub item: String,
    /// What is to be written.
    pub task: WritingTask,
    /// The item's name, if the pack does not know it.
    #[uniffi(default)]
    pub item_title: Option<String>,
    /// The headline, for a text or a rating.
    #[uniffi(default)]
    pub title: Option<String>,
    /// The text, for a title or a rating.
    #[uniffi(default)]
    pub text: Option<String>,
    /// Whether a plan is written first, and told. Texts are no better for it.
    #[uniffi(default = false)]
    pub reasoning: bool,
    /// How much to write of a text, which is planned then; none: as much as the person does usually.
    #[uniffi(default)]
    pub length: Option<Length>,
    /// Whether the person's history is used.
    #[uniffi(default = true)]
    pub personal: bool,
    /// Most tokens of the text.
    #[uniffi(default = 160)]
    pub max_tokens: u32,
    /// Most tokens of the prompt.
    #[uniffi(default = 1024)]
    pub max_prompt_tokens: u32,
    /// 0 always takes the likeliest word; .7 varies.
    #[uniffi(default = 0.0)]
    pub temperature: f32,
    /// With a temperature: the same seed gives the same text.
    #[uniffi(default = 0)]
    pub seed: u32,
    /// Texts to write, eight at a time, of which the one is taken that agrees most with the others and sounds most like the person:
    /// eight make it sound more so than one does. More than one is not streamed.
    #[uniffi(default = 1)]
    pub candidates: u32,
    /// How much more a text is to be the person's than what would be written without their texts. 0 takes less time and
    /// memory.
    #[uniffi(default = 0.5)]
    pub contrast: f32,
    /// How long the call may take; a text ends there with its last whole sentence.
    #[uniffi(default)]
    pub deadline_ms: Option<u64>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Written {
    /// The plan, if one was asked for and kept to its form.
    pub plan: Option<Plan>,
    /// The text, of [`WritingTask::Text`].
    pub text: Option<String>,
    /// The headline, of [`WritingTask::Title`].
    pub title: Option<String>,
    /// The rating, of [`WritingTask::Rating`].
    pub rating: Option<u8>,
    /// Tokens written.
    pub tokens: u32,
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// How many of them did not need to be read again.
    pub reused_tokens: u32,
    /// Mean natural log-probability of a token.
    pub log_prob: f64,
}

/// What to predict.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct PredictRequest {
    /// How many items.
    #[uniffi(default = 10)]
    pub count: u32,
    /// Whether to say why.
    #[uniffi(default = false)]
    pub explain: bool,
    /// Items that must not be predicted, beside those that the person has met.
    #[uniffi(default = [])]
    pub exclude: Vec<String>,
    /// Factor on popularity, -10 to 10: 1 as learned, 0 for the person's own taste alone.
    #[uniffi(default = 1.0)]
    pub popularity: f32,
    /// How much likeness among the predictions is avoided, 0 to 1.
    #[uniffi(default = 0.0)]
    pub diversity: f32,
}

/// An item that the person would likely meet next.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Prediction {
    /// The item's id.
    pub item: String,
    /// Its name, if the catalogue has one.
    pub item_title: Option<String>,
    /// Higher is likelier; comparable within one call only.
    pub score: f32,
    /// Why, the largest share first; empty unless asked for.
    pub reasons: Vec<Reason>,
}

/// One reason for a prediction.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Reason {
    /// The item of the person's history; none for popularity.
    pub from: Option<String>,
    /// What links it to the predicted item.
    pub via: Link,
    /// Part of the score; a prediction's shares add up to 1.
    pub share: f32,
}

/// What links two items.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum Link {
    /// The same people met both.
    People {
        /// How many.
        count: u64,
    },
    /// People with similar taste met it, linked through other items.
    Taste,
    /// Alike in these words, the strongest first.
    Content {
        /// The words.
        words: Vec<String>,
    },
    /// Both of one category.
    Category {
        /// Its name.
        name: String,
    },
    /// Many people met the item.
    Popularity {
        /// How many.
        count: u64,
    },
    /// Many who met it met others too.
    Returning {
        /// How many.
        count: u64,
    },
}

/// What to write in the background.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct AugmentRequest {
    /// Synthetic texts to have, for the items predicted next.
    #[uniffi(default = 4)]
    pub count: u32,
    /// Texts per item, of which the best is kept.
    #[uniffi(default = 1)]
    pub candidates: u32,
    /// The same seed on the same history gives the same texts.
    #[uniffi(default = 1)]
    pub seed: u32,
    /// How long the call may take; what is finished then is kept for the next one.
    #[uniffi(default)]
    pub deadline_ms: Option<u64>,
    /// Most tokens to write.
    #[uniffi(default)]
    pub max_tokens: Option<u32>,
}

/// What an augmentation did.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Augmented {
    /// Synthetic texts that passed the quality gate. They are in the history if nothing is left to write.
    pub kept: Vec<SyntheticText>,
    /// Number of texts that the gate refused.
    pub refused: u32,
    /// Tokens written.
    pub tokens: u32,
    /// Items whose texts an earlier, stopped call had finished.
    pub resumed: u32,
    /// Items left to the next call; while there are any, the history is unchanged.
    pub unfinished: u32,
}

impl From<GenerateRequest> for CoreRequest {
    fn from(r: GenerateRequest) -> Self {
        let task = match r.task {
            WritingTask::Text => prompt::Task::Text,
            WritingTask::Title => prompt::Task::Title,
            WritingTask::Rating => prompt::Task::Rating,
        };
        let sampling = if r.temperature > 0.0 {
            Sampling { temperature: r.temperature, ..Sampling::VARIED.with_seed(r.seed) }
        } else {
            Sampling::GREEDY
        };
        let options = locket::WriteOptions {
            prompt_tokens: r.max_prompt_tokens as usize,
            text_tokens: r.max_tokens as usize,
            sampling,
            candidates: r.candidates as usize,
            contrast: r.contrast,
        };
        Self {
            item_title: r.item_title,
            title: r.title,
            text: r.text,
            reasoning: r.reasoning,
            length: r.length.map(Into::into),
            personal: r.personal,
            options,
            deadline: r.deadline_ms.map(Duration::from_millis),
            ..Self::new(r.item, task)
        }
    }
}

impl From<locket::Written> for Written {
    fn from(w: locket::Written) -> Self {
        Self {
            plan: w.path.map(Plan::from),
            text: w.text,
            title: w.title,
            rating: w.rating,
            tokens: w.tokens as u32,
            prompt_tokens: w.prompt_tokens as u32,
            reused_tokens: w.reused_tokens as u32,
            log_prob: w.log_prob,
        }
    }
}

impl From<PredictRequest> for engine::PredictOptions {
    fn from(r: PredictRequest) -> Self {
        let PredictRequest { count, explain, exclude, popularity, diversity } = r;
        Self { explain, exclude, popularity, diversity, ..Self::new(count as usize) }
    }
}

impl From<engine::Predicted> for Prediction {
    fn from(p: engine::Predicted) -> Self {
        let reasons = p.paths.into_iter().map(Reason::from).collect();
        Self { item: p.item, item_title: p.item_title, score: p.score, reasons }
    }
}

impl From<engine::Evidence> for Reason {
    fn from(r: engine::Evidence) -> Self {
        let via = match r.via {
            Via::People(n) => Link::People { count: n as u64 },
            Via::Taste => Link::Taste,
            Via::Content(words) => Link::Content { words },
            Via::Category(name) => Link::Category { name },
            Via::Popularity(n) => Link::Popularity { count: n as u64 },
            Via::Returning(n) => Link::Returning { count: n as u64 },
        };
        Self { from: r.from, via, share: r.share }
    }
}

impl From<AugmentRequest> for engine::AugmentOptions {
    fn from(r: AugmentRequest) -> Self {
        Self {
            seed: r.seed,
            candidates: r.candidates as usize,
            deadline: r.deadline_ms.map(Duration::from_millis),
            max_tokens: r.max_tokens.map(|n| n as usize),
            ..Self::new(r.count as usize)
        }
    }
}

impl From<engine::Augmented> for Augmented {
    fn from(a: engine::Augmented) -> Self {
        Self {
            kept: a.kept.into_iter().map(SyntheticText::from).collect(),
            refused: a.refused.len() as u32,
            tokens: a.tokens as u32,
            resumed: a.resumed as u32,
            unfinished: a.unfinished as u32,
        }
    }
}
