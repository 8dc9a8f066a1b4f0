//! Requests to a decoder, and its completions.

use std::{ops::ControlFlow, sync::Arc, time::Instant};

use super::{Contrast, Given, NoRepeat, Notes, Stars, Token};
use crate::setters::setters;

/// Sampling parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Sampling {
    /// Temperature; 0 is greedy: always the most likely token.
    pub temperature: f32,
    /// Keeps only the most likely tokens that together have this probability (1 = all).
    pub top_p: f32,
    /// Keeps only this many of the most likely tokens, at most 256.
    pub top_k: usize,
    /// Repetition penalty. Logits of tokens among the last [`Sampling::REPEAT_WINDOW`] are divided
    /// (if positive) or multiplied (if negative) by it; 1 turns it off.
    pub repeat_penalty: f32,
    /// Seed of the random choice. The same request with the same seed gives the same text.
    pub seed: u32,
}

impl Sampling {
    /// Number of generated tokens that [`Sampling::repeat_penalty`] covers.
    pub const REPEAT_WINDOW: i32 = 64;

    /// Greedy decoding with a mild penalty against loops.
    pub const GREEDY: Self = Self { temperature: 0.0, top_p: 1.0, top_k: 64, repeat_penalty: 1.1, seed: 0 };

    /// Text as people write it: from the model's own distribution without its unlikely end, and
    /// without a penalty, which would make frequent words rarer than in true texts.
    pub const NATURAL: Self = Self { temperature: 1.0, top_p: 0.95, top_k: 64, repeat_penalty: 1.0, seed: 0 };

    /// Varied text, for synthetic interactions.
    pub const VARIED: Self = Self { temperature: 0.7, top_p: 0.92, top_k: 64, repeat_penalty: 1.1, seed: 0 };

    /// Returns [`Sampling::GREEDY`] for a temperature of 0, else [`Sampling::NATURAL`] at that
    /// temperature.
    pub fn at(temperature: f32) -> Self {
        if temperature > 0.0 { Self::NATURAL.with_temperature(temperature) } else { Self::GREEDY }
    }
}

setters!(Sampling {
    with_temperature => temperature: f32,
    with_top_p => top_p: f32,
    with_top_k => top_k: usize,
    with_repeat_penalty => repeat_penalty: f32,
    with_seed => seed: u32,
});

/// Limits on the number of words of a phase. White space separates words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WordLimit {
    /// Number of words from which the phase ends at the end of a sentence.
    pub enough: usize,
    /// Maximum number of words. The phase ends when an additional word begins, as at
    /// [`Phase::max_new_tokens`].
    pub most: usize,
}

/// Handling of a token that would break [`Phase::no_repeat`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnRepeat {
    /// The sampler chooses another token, if one is among the candidates.
    #[default]
    Avoid,
    /// The phase ends before the run, with [`Stop::Repeated`].
    End,
}

/// One section of generated text, with its own parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// Fixed text before the phase, appended to the preceding tokens.
    pub lead: String,
    /// GBNF grammar (rule `root`) of the phase's text.
    pub grammar: Option<String>,
    /// Stop strings: the phase ends before any of them.
    pub stop: Vec<String>,
    /// Minimum number of tokens. Until then, tokens that end the phase are excluded, unless no
    /// other candidate remains. These are end-of-generation tokens, and tokens with a whole stop
    /// string in them.
    pub min_new_tokens: usize,
    /// No-repeat n-gram constraint.
    pub no_repeat: Option<Arc<NoRepeat>>,
    /// Handling of a token that would repeat.
    pub on_repeat: OnRepeat,
    /// Earlier text that belongs to the phase. The no-repeat constraint and the word limit count
    /// from its beginning.
    pub before: String,
    /// Limits on the number of words.
    pub words: Option<WordLimit>,
    /// Words that the phase has to contain.
    pub notes: Option<Arc<Notes>>,
    /// Texts that all numbers, names, links and addresses in the phase come from.
    pub given: Option<Arc<Given>>,
    /// Rating tokens, if the phase writes a rating. Where one of these tokens can follow, their
    /// calibrated logits decide. With temperature 0 the sampler takes the median rating instead of
    /// the most likely one.
    pub stars: Option<Stars>,
    /// Maximum number of tokens.
    pub max_new_tokens: usize,
    /// Sampling parameters.
    pub sampling: Sampling,
}

impl Phase {
    /// Creates a phase of up to `max_new_tokens` tokens without any other constraint.
    pub fn new(max_new_tokens: usize, sampling: Sampling) -> Self {
        let (lead, before, grammar, stop) = (String::new(), String::new(), None, Vec::new());
        let (no_repeat, on_repeat, words, notes, given, stars) = (None, OnRepeat::default(), None, None, None, None);
        Self {
            lead,
            grammar,
            stop,
            min_new_tokens: 0,
            no_repeat,
            on_repeat,
            before,
            words,
            notes,
            given,
            stars,
            max_new_tokens,
            sampling,
        }
    }
}

/// A prompt and the phases to generate after it.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Tokens of the prompt, see [`super::Model::prompt_tokens`].
    pub prompt: Vec<Token>,
    /// Phases; at least one.
    pub phases: Vec<Phase>,
    /// Deadline: the phase in progress ends with [`Stop::Deadline`], and later phases do not begin.
    pub deadline: Option<Instant>,
    /// Prefix length: number of leading tokens that later prompts share with this one. With it, a
    /// decoder of one sequence generates the same text as with an empty cache. It splits the prompt
    /// at fixed places, including this one, and reuses only whole prefill chunks. Without it, all
    /// tokens in common are reused, and the logits can differ slightly from those of an empty
    /// cache.
    pub boundary: Option<usize>,
    /// Contrast prompt; phases with a grammar ignore it. It takes a second sequence of the decoder
    /// ([`super::DecoderOptions::contrast`]).
    pub contrast: Option<Contrast>,
}

/// Reason that a phase ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The model ended its text, the grammar was complete, or a sentence ended after
    /// `WordLimit::enough` words.
    End,
    /// The text reached a stop string.
    Matched,
    /// The text reached [`Phase::max_new_tokens`] or `WordLimit::most`.
    Length,
    /// [`Request::deadline`] passed.
    Deadline,
    /// The next token would have broken [`Phase::no_repeat`], see [`OnRepeat::End`].
    Repeated,
}

/// Output of one phase.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseOutput {
    /// Text, without the lead and the stop string.
    pub text: String,
    /// Number of tokens.
    pub tokens: usize,
    /// Sum of the natural log-probabilities of the tokens under the unconstrained model.
    pub log_prob: f64,
    /// Reason that the phase ended.
    pub stop: Stop,
    /// Number of the text that would have been repeated, in the order of [`NoRepeat::add`]. `None`
    /// unless the phase ended with [`Stop::Repeated`], and `None` if it would have copied a detail.
    pub source: Option<usize>,
}

/// Completion of a request: one output per phase, fewer if its deadline passed or a phase ended
/// with [`Stop::Repeated`].
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// Outputs, in the order of [`Request::phases`].
    pub phases: Vec<PhaseOutput>,
}

/// A source of requests that also receives their completions, see [`super::Decoder::run_feed`].
pub trait RequestSource {
    /// Returns the next request, if there is one now. Called whenever a sequence is free.
    fn next(&mut self) -> Option<Request>;

    /// Receives the completion of the `number`-th request, counted from 0. It may lead to more
    /// requests.
    fn done(&mut self, number: usize, completion: Completion);
}

/// A chunk of text during generation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Event<'a> {
    /// Number of the request.
    pub request: usize,
    /// Number of the phase in the request.
    pub phase: usize,
    /// New text, in whole characters. The concatenated chunks of a phase are its text. Empty if the
    /// event only offers a chance to cancel.
    pub text: &'a str,
}

/// Callback for the events of a running call; a break cancels the call between two tokens.
pub type OnEvent<'f> = &'f mut dyn FnMut(Event<'_>) -> ControlFlow<()>;
