//! How a text is written, and the text that comes out.

use serde::{Deserialize, Serialize};

use crate::{
    llm::{DecoderOptions, Sampling},
    plan::ReasoningPath,
};

/// How to write.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WriteOptions {
    /// Most tokens of the prompt.
    pub prompt_tokens: usize,
    /// Most tokens of the text.
    pub text_tokens: usize,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Texts to write, of which the one is taken that agrees most with the others and sounds most like the person
    /// ([`consensus`](crate::generation::reranking)): the first with [`WriteOptions::sampling`], the rest varied.
    pub candidates: usize,
    /// How much more a text is to be the person's than it would be anyway: it is written against what the model would write without
    /// their texts (context-aware decoding, arXiv 2305.14739, the paper's alpha). 0 takes the model as it is, in
    /// two thirds of the time.
    pub contrast: f32,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { prompt_tokens: 1024, text_tokens: 160, sampling: Sampling::GREEDY, candidates: 1, contrast: CONTRAST }
    }
}

/// The usual [`WriteOptions::contrast`].
pub const CONTRAST: f32 = 0.5;
/// More than that is another person.
pub(super) const MOST_CONTRAST: f32 = 4.0;
/// Longest prompt without the person's texts, in tokens.
pub(super) const BESIDE_TOKENS: usize = 640;

/// Longest reasoning path and title, in tokens.
pub(super) const PATH_TOKENS: usize = 48;
pub(super) const TITLE_TOKENS: usize = 24;
impl WriteOptions {
    /// Room that a decoder needs for one sequence of this kind, in tokens.
    pub fn context(&self) -> usize {
        self.prompt_tokens + self.most_written() + 64
    }

    /// A decoder with that room, and with room beside it where texts are written against another prompt.
    pub fn decoder(&self) -> DecoderOptions {
        let beside = if self.contrast > 0.0 { BESIDE_TOKENS + self.most_written() + 64 } else { 0 };
        DecoderOptions { context: self.context(), contrast: beside, ..DecoderOptions::default() }
    }

    /// How synthetic interactions are written: varied, and as the model is.
    #[doc(hidden)]
    pub fn synthetic() -> Self {
        Self { sampling: Sampling::VARIED, contrast: 0.0, ..Self::default() }
    }

    /// Most tokens that one text takes: path, title and text.
    pub(crate) fn most_written(&self) -> usize {
        PATH_TOKENS + TITLE_TOKENS + self.text_tokens
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Written {
    /// The plan, if one was asked for and kept to its grammar.
    pub path: Option<ReasoningPath>,
    /// The title, for the tasks that write one.
    pub title: Option<String>,
    /// The text, for the tasks that write one.
    pub text: Option<String>,
    /// The rating, for the task that writes one.
    pub rating: Option<u8>,
    /// Number of tokens written, all phases.
    pub tokens: usize,
    /// Number of tokens in the prompt.
    pub prompt_tokens: usize,
    /// How many of them did not need to be read: their state was kept from an earlier call or session.
    pub reused_tokens: usize,
    /// Mean natural log-probability of a token of the last phase; 0 for a title that is the text's own opening.
    pub log_prob: f64,
}
