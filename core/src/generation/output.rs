//! Options for writing a text, and the written text.

use serde::{Deserialize, Serialize};

use crate::{
    llm::{DecoderOptions, Sampling},
    plan::ReasoningPath,
    prompt::{PromptInputs, Task},
    setters::setters,
};

/// Options for writing a text.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct WriteOptions {
    /// Maximum number of prompt tokens.
    pub max_prompt_tokens: usize,
    /// Maximum number of tokens of the text.
    pub max_new_tokens: usize,
    /// Sampling parameters. `None` chooses by the request: [`Sampling::NATURAL`] for a text that is
    /// written without notes, draft, plan (given, or to be written first) and schema, else
    /// [`Sampling::GREEDY`].
    pub sampling: Option<Sampling>,
    /// Seed of the random choices if `sampling` is `None`: the same request with the same seed gives
    /// the same text.
    pub seed: u32,
    /// Number of candidates. The best candidate agrees most with the others and is closest to the
    /// user's style ([`consensus`](crate::generation::reranking)). The first uses
    /// [`WriteOptions::sampling`], the others use it too if its temperature is above 0, else
    /// [`Sampling::VARIED`].
    pub candidates: usize,
    /// Strength of the contrast with the same prompt without the user's texts. A higher value moves
    /// the text closer to the user's style (context-aware decoding, arXiv 2305.14739, the paper's
    /// alpha). 0 disables the contrast and takes two thirds of the time.
    pub contrast: f32,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            max_prompt_tokens: 1024,
            max_new_tokens: 160,
            sampling: None,
            seed: 0,
            candidates: 1,
            contrast: CONTRAST,
        }
    }
}

/// Default value of [`WriteOptions::contrast`].
pub const CONTRAST: f32 = 0.5;
/// Upper bound for `contrast`.
pub(super) const MOST_CONTRAST: f32 = 4.0;
/// Maximum length of the contrast prompt, in tokens.
pub(super) const CONTRAST_PROMPT_TOKENS: usize = 640;

/// Maximum length of a reasoning path and of a title, in tokens.
pub(super) const PATH_TOKENS: usize = 48;
pub(super) const TITLE_TOKENS: usize = 24;
setters!(WriteOptions {
    with_max_prompt_tokens => max_prompt_tokens: usize,
    with_max_new_tokens => max_new_tokens: usize,
    #[some] with_sampling => sampling: Sampling,
    with_seed => seed: u32,
    with_candidates => candidates: usize,
    with_contrast => contrast: f32,
});

impl WriteOptions {
    /// Returns the context length that a decoder needs for one sequence, in tokens.
    pub fn context(&self) -> usize {
        self.max_prompt_tokens + self.most_written() + 64
    }

    /// Returns decoder options with that context, and with a contrast branch if `contrast` is
    /// positive.
    pub fn decoder(&self) -> DecoderOptions {
        let beside = if self.contrast > 0.0 { CONTRAST_PROMPT_TOKENS + self.most_written() + 64 } else { 0 };
        DecoderOptions { context: self.context(), contrast: beside, ..DecoderOptions::default() }
    }

    /// Returns the options for synthetic interactions: varied sampling, no contrast.
    #[doc(hidden)]
    pub fn synthetic() -> Self {
        Self { sampling: Some(Sampling::VARIED), contrast: 0.0, ..Self::default() }
    }

    /// Returns the sampling parameters for a request with these inputs.
    pub(crate) fn sampling_for(&self, inputs: &PromptInputs) -> Sampling {
        let open = inputs.task == Task::Text && !inputs.reasoning && inputs.ask.grammar.is_none();
        let natural = open && inputs.ask.content().is_none();
        let chosen = if natural { Sampling::NATURAL } else { Sampling::GREEDY };
        self.sampling.unwrap_or(chosen.with_seed(self.seed))
    }

    /// Returns the maximum number of tokens of one output: path, title and text.
    pub(crate) fn most_written(&self) -> usize {
        PATH_TOKENS + TITLE_TOKENS + self.max_new_tokens
    }
}

/// A written text.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Written {
    /// The plan, if one was requested and it matches its grammar.
    pub path: Option<ReasoningPath>,
    /// The title, for tasks that write one.
    pub title: Option<String>,
    /// The text, for tasks that write one.
    pub text: Option<String>,
    /// The rating, for tasks that write one.
    pub rating: Option<u8>,
    /// Number of generated tokens in all phases.
    pub tokens: usize,
    /// Number of tokens in the prompt.
    pub prompt_tokens: usize,
    /// Number of prompt tokens without prefill: their KV state comes from an earlier call or
    /// session.
    pub reused_tokens: usize,
    /// Numbers, proper names, links and mail addresses in the text that stand neither in the
    /// request nor in the user's earlier texts (to the same recipient, if the request names one; of
    /// reviews, in two of them). The model invented them: show them, so that the user checks them.
    #[serde(default)]
    pub unsupported: Vec<String>,
    /// Mean natural log-probability of a token in the last phase; 0 for a title that is the opening
    /// of the text.
    pub log_prob: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::Ask;

    #[test]
    fn texts_without_given_content_are_sampled_and_all_else_is_the_likeliest() {
        let options = WriteOptions::default().with_seed(7);
        let of = |task, ask: Ask, reasoning| {
            options.sampling_for(&PromptInputs { task, ask, reasoning, ..PromptInputs::default() })
        };
        let some = |text: &str| Some(text.to_owned());
        let natural = Sampling::NATURAL.with_seed(7);
        let greedy = Sampling::GREEDY.with_seed(7);
        let reply = Ask { context: some("Lunch?"), title: some("Food"), ..Ask::default() };
        assert_eq!(of(Task::Text, Ask::default(), false), natural);
        assert_eq!(of(Task::Text, reply.clone(), false), natural);
        let plan = || Some("4 stars, warm, brief: good tea".parse::<ReasoningPath>().unwrap());
        for ask in [
            Ask { gist: some("yes, noon"), ..reply.clone() },
            Ask { draft: some("I shall come."), ..reply.clone() },
            Ask { plan: plan(), ..reply.clone() },
            Ask { grammar: some("root ::= [0-9]"), ..reply.clone() },
        ] {
            assert_eq!(of(Task::Text, ask.clone(), false), greedy, "{ask:?}");
        }
        assert_eq!(of(Task::Text, reply.clone(), true), greedy, "a plan is written first");
        for task in [Task::Title, Task::Rating] {
            assert_eq!(of(task, reply.clone(), false), greedy);
        }
        // Sampling parameters of the request apply to all.
        let fixed = options.with_sampling(Sampling::VARIED);
        for task in [Task::Text, Task::Title] {
            assert_eq!(fixed.sampling_for(&PromptInputs { task, ..PromptInputs::default() }), Sampling::VARIED);
        }
    }
}
