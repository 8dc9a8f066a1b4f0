//! Arguments and results of the engine's calls.

use std::{collections::HashMap, time::Duration};

use locket::{
    GenerateRequest as CoreRequest, Length, Resize, Sampling, Via,
    internals::{engine, prompt},
};

use crate::{Kind, Plan, SyntheticText};

/// The kind of output to generate.
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

/// A request for a text, a title or a rating in the user's style.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct GenerateRequest {
    /// Id of the item to write about. The item need not be in the pack. Only reviews need one.
    #[uniffi(default = "")]
    pub item: String,
    /// The kind of output to generate.
    pub task: WritingTask,
    /// The kind of writing: a shipped one from `kind_named`, or the app's own. If absent, a review.
    #[uniffi(default)]
    pub kind: Option<Kind>,
    /// The text to answer, for the task text.
    #[uniffi(default)]
    pub context: Option<String>,
    /// Opaque id of the recipient: earlier texts to the same recipient come first.
    #[uniffi(default)]
    pub audience: Option<String>,
    /// The content of the text in the user's few words, for the task text.
    #[uniffi(default)]
    pub gist: Option<String>,
    /// A draft to rewrite in the user's style, for the task text.
    #[uniffi(default)]
    pub draft: Option<String>,
    /// Change of the draft's length. If absent, the draft's length stays.
    #[uniffi(default)]
    pub resize: Option<Resize>,
    /// The plan of the text, from `Engine.plan` or the user: the text has its length and points.
    #[uniffi(default)]
    pub plan: Option<Plan>,
    /// JSON schema of the text, for the task text: the text is a JSON value that fits it.
    #[uniffi(default)]
    pub schema: Option<String>,
    /// The item's name, for an item without a name in the pack.
    #[uniffi(default)]
    pub item_title: Option<String>,
    /// The headline, for the tasks text and rating.
    #[uniffi(default)]
    pub title: Option<String>,
    /// The text, for the tasks title and rating.
    #[uniffi(default)]
    pub text: Option<String>,
    /// Whether to generate a plan before the text and return it. A plan does not improve the text.
    #[uniffi(default = false)]
    pub reasoning: bool,
    /// Target length of a text. If absent, the text is about as long as the user's own texts usually
    /// are.
    #[uniffi(default)]
    pub length: Option<Length>,
    /// Whether to use the user's history.
    #[uniffi(default = true)]
    pub personal: bool,
    /// Maximum number of tokens of the text. If absent, the kind's limit.
    #[uniffi(default)]
    pub max_new_tokens: Option<u32>,
    /// Maximum number of tokens of the prompt.
    #[uniffi(default = 1024)]
    pub max_prompt_tokens: u32,
    /// Sampling temperature: 0 always takes the likeliest token, 1 is the model's own variety. If
    /// absent, 1 for a text without notes, draft, plan and schema, else 0.
    #[uniffi(default)]
    pub temperature: Option<f32>,
    /// Seed of sampling: the same request with the same seed gives the same text. Another seed gives
    /// another text, unless the temperature is 0.
    #[uniffi(default = 0)]
    pub seed: u32,
    /// Number of candidate texts, generated up to eight at a time. The engine returns the candidate
    /// that agrees most with the others and matches the user's style best. Eight candidates match
    /// the style better than one. With more than one, nothing is streamed.
    #[uniffi(default = 1)]
    pub candidates: u32,
    /// Weight of contrastive decoding against the same prompt without the user's history. Higher
    /// values make the text more specific to the user; 0 turns it off and takes less time and
    /// memory.
    #[uniffi(default = 0.5)]
    pub contrast: f32,
    /// Time limit of the call in milliseconds. A text ends at its last whole sentence before the
    /// limit.
    #[uniffi(default)]
    pub deadline_ms: Option<u64>,
}

/// Change of a draft's length when it is rewritten.
#[uniffi::remote(Enum)]
pub enum Resize {
    /// About as long as the draft.
    Keep,
    /// At most six tenths of the draft's words.
    Shorter,
    /// One and a half times the draft's words, or more.
    Longer,
}

/// Statistics of the store and of sent drafts.
#[derive(Debug, Clone, PartialEq, Default, uniffi::Record)]
pub struct Stats {
    /// Number of the user's texts by kind.
    pub texts: HashMap<String, u64>,
    /// Number of synthetic texts.
    pub synthetic: u64,
    /// Number of drafts sent without a change.
    pub unchanged: u64,
    /// Number of drafts sent with up to a fifth of the words edited.
    pub lightly_edited: u64,
    /// Number of drafts sent with more edits.
    pub heavily_edited: u64,
    /// Median share of edited words, 0 to 1.
    pub median_edits: Option<f32>,
    /// Length of sent texts relative to their drafts, 0.5 to 1.5: the engine writes texts of this
    /// length. Absent before five drafts were sent.
    pub length: Option<f32>,
}

impl From<locket::Stats> for Stats {
    fn from(stats: locket::Stats) -> Self {
        Self {
            texts: stats.texts.into_iter().map(|(kind, count)| (kind, count as u64)).collect(),
            synthetic: stats.synthetic as u64,
            unchanged: stats.unchanged as u64,
            lightly_edited: stats.lightly_edited as u64,
            heavily_edited: stats.heavily_edited as u64,
            median_edits: stats.median_edits,
            length: stats.length,
        }
    }
}

/// The result of `Engine.generate`.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Written {
    /// The plan, if the request asked for one and the output follows the plan's grammar.
    pub plan: Option<Plan>,
    /// The text, for [`WritingTask::Text`].
    pub text: Option<String>,
    /// The headline, for [`WritingTask::Title`].
    pub title: Option<String>,
    /// The rating, 1 to 5, for [`WritingTask::Rating`].
    pub rating: Option<u8>,
    /// Number of generated tokens.
    pub tokens: u32,
    /// Number of tokens in the prompt.
    pub prompt_tokens: u32,
    /// Number of prompt tokens that prefill skipped, because an earlier call or session kept their
    /// state.
    pub reused_tokens: u32,
    /// Numbers, proper names, links and mail addresses in the text that stand neither in the request
    /// nor in the user's earlier texts (to the same recipient, if the request names one). The model
    /// invented them: show them, so that the user checks them.
    pub unsupported: Vec<String>,
    /// Mean natural log-probability of a token of the last phase; 0 for a title copied from the
    /// text's opening.
    pub log_prob: f64,
}

/// A request for predictions.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct PredictRequest {
    /// Number of items.
    #[uniffi(default = 10)]
    pub count: u32,
    /// Whether to return the reasons for each prediction.
    #[uniffi(default = false)]
    pub explain: bool,
    /// Ids of items to exclude, in addition to the items in the user's history.
    #[uniffi(default = [])]
    pub exclude: Vec<String>,
    /// Factor on popularity, -10 to 10: 1 is the learned weight, 0 ranks by the user's taste alone.
    #[uniffi(default = 1.0)]
    pub popularity: f32,
    /// Weight of diversity among the predictions, 0 to 1.
    #[uniffi(default = 0.0)]
    pub diversity: f32,
}

/// An item that the user is likely to interact with next.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Prediction {
    /// The item's id.
    pub item: String,
    /// The item's name, if the catalogue has one.
    pub item_title: Option<String>,
    /// Score of the item; higher is likelier. Scores are comparable within one call only.
    pub score: f32,
    /// Reasons for the prediction, the largest share first; empty unless requested.
    pub reasons: Vec<Reason>,
}

/// One reason for a prediction.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Reason {
    /// Id of the item in the user's history that the reason starts from; absent for popularity and
    /// repeat-user popularity.
    pub from: Option<String>,
    /// The link between that item and the predicted item.
    pub via: Link,
    /// Fraction of the score; the shares of a prediction add up to 1.
    pub share: f32,
}

/// The kind of evidence that links an item to a prediction.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum Link {
    /// Co-occurrence: the same users interacted with both items.
    People {
        /// Number of those users.
        count: u64,
    },
    /// Latent factors: users with similar taste interacted with the item, linked through other
    /// items.
    Taste,
    /// Content: the two items share these words.
    Content {
        /// The shared words, the strongest first.
        words: Vec<String>,
    },
    /// Category: both items are in the same one.
    Category {
        /// Name of the category.
        name: String,
    },
    /// Popularity: many users interacted with the item.
    Popularity {
        /// Number of those users.
        count: u64,
    },
    /// Repeat-user popularity: many users of the item interacted with other items, too.
    Returning {
        /// Number of those users.
        count: u64,
    },
}

/// A request for synthetic texts, generated in the background.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct AugmentRequest {
    /// Number of synthetic texts, one for each of the items predicted next.
    #[uniffi(default = 4)]
    pub count: u32,
    /// Number of candidate texts per item. The engine keeps the best one.
    #[uniffi(default = 1)]
    pub candidates: u32,
    /// Seed of sampling: the same seed on the same history gives the same texts.
    #[uniffi(default = 1)]
    pub seed: u32,
    /// Time limit of the call in milliseconds. Texts finished by then are kept for the next call.
    #[uniffi(default)]
    pub deadline_ms: Option<u64>,
    /// Maximum number of tokens to generate.
    #[uniffi(default)]
    pub max_new_tokens: Option<u32>,
}

/// The result of an augmentation.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Augmented {
    /// Synthetic texts that passed the quality gate. They are in the history once `unfinished` is
    /// 0.
    pub kept: Vec<SyntheticText>,
    /// Number of texts that the quality gate rejected.
    pub refused: u32,
    /// Number of generated tokens, rejected texts included.
    pub tokens: u32,
    /// Number of items with texts from an earlier call that was stopped.
    pub resumed: u32,
    /// Number of items left to the next call. While it is above 0, the history is unchanged.
    pub unfinished: u32,
}

impl From<GenerateRequest> for CoreRequest {
    fn from(r: GenerateRequest) -> Self {
        let task = match r.task {
            WritingTask::Text => prompt::Task::Text,
            WritingTask::Title => prompt::Task::Title,
            WritingTask::Rating => prompt::Task::Rating,
        };
        let sampling = r.temperature.map(|t| Sampling::at(t).with_seed(r.seed));
        let kind = r.kind.map_or_else(locket::Kind::review, Into::into);
        let most = r.max_new_tokens.map_or(kind.max_new_tokens, |n| n as usize);
        let options = locket::WriteOptions::default()
            .with_max_prompt_tokens(r.max_prompt_tokens as usize)
            .with_max_new_tokens(most)
            .with_sampling(sampling)
            .with_seed(r.seed)
            .with_candidates(r.candidates as usize)
            .with_contrast(r.contrast);
        let mut request = Self::new(r.item, task).with_kind(kind).with_reasoning(r.reasoning).with_personal(r.personal);
        request.options = options;
        request.context = r.context;
        request.audience = r.audience;
        request.gist = r.gist;
        request.draft = r.draft;
        request.resize = r.resize.unwrap_or_default();
        request.plan = r.plan.map(Into::into);
        request.schema = r.schema;
        request.item_title = r.item_title;
        request.title = r.title;
        request.text = r.text;
        request.length = r.length;
        request.deadline = r.deadline_ms.map(Duration::from_millis);
        request
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
            unsupported: w.unsupported,
            log_prob: w.log_prob,
        }
    }
}

impl From<PredictRequest> for engine::PredictOptions {
    fn from(r: PredictRequest) -> Self {
        Self::new(r.count as usize)
            .with_explain(r.explain)
            .with_exclude(r.exclude)
            .with_popularity(r.popularity)
            .with_diversity(r.diversity)
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
        let mut options = Self::new(r.count as usize).with_seed(r.seed).with_candidates(r.candidates as usize);
        options.deadline = r.deadline_ms.map(Duration::from_millis);
        options.max_new_tokens = r.max_new_tokens.map(|n| n as usize);
        options
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
