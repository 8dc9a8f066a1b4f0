//! What a decoder is asked and what it answers.

use std::{ops::ControlFlow, sync::Arc, time::Instant};

use super::{Contrast, NoRepeat, Stars, Token};

/// How the next token is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// 0 is greedy: always the likeliest token.
    pub temperature: f32,
    /// Only the likeliest tokens that together have this probability (1 = all).
    pub top_p: f32,
    /// Only this many of the likeliest tokens, at most 256.
    pub top_k: usize,
    /// Logits of tokens among the last [`Sampling::REPEAT_WINDOW`] are divided (if positive) or multiplied (if
    /// negative) by this; 1 is off.
    pub repeat_penalty: f32,
    /// Seed of the random choice; the same request with the same seed gives the same text.
    pub seed: u32,
}

impl Sampling {
    /// Number of generated tokens that [`Sampling::repeat_penalty`] looks back on.
    pub const REPEAT_WINDOW: i32 = 64;

    /// Always the likeliest token, with a mild penalty against loops.
    pub const GREEDY: Self = Self { temperature: 0.0, top_p: 1.0, top_k: 64, repeat_penalty: 1.1, seed: 0 };

    /// Varied text, as synthetic interactions want it.
    pub const VARIED: Self = Self { temperature: 0.7, top_p: 0.92, top_k: 64, repeat_penalty: 1.1, seed: 0 };

    /// The same with another seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u32) -> Self {
        self.seed = seed;
        self
    }
}

/// How many words a phase may have. White space separates words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WordLimit {
    /// From this many words on the phase ends with its sentence.
    pub enough: usize,
    /// At this many words it ends in any case, as at [`Phase::max_tokens`].
    pub most: usize,
}

/// What happens where the likeliest token would break [`Phase::no_repeat`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnRepeat {
    /// Another token is chosen, if there is one among the candidates.
    #[default]
    Avoid,
    /// The phase ends in front of the run, with [`Stop::Repeated`].
    End,
}

/// One stretch of text that the model writes.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// Given text in front of it, appended to what stands before.
    pub lead: String,
    /// A GBNF grammar (rule `root`) that the stretch must follow.
    pub grammar: Option<String>,
    /// The stretch ends before any of these strings.
    pub stop: Vec<String>,
    /// Fewest tokens: before, none that ends the stretch (of the model's own, or with a whole stop string in it) is chosen, unless no
    /// other is among the candidates.
    pub min_new_tokens: usize,
    /// What it must not repeat.
    pub no_repeat: Option<Arc<NoRepeat>>,
    /// What happens where the next token would repeat.
    pub on_repeat: OnRepeat,
    /// The text in front of the phase that belongs to it: the constraint counts on from there.
    pub before: String,
    /// Upper bound for its words.
    pub words: Option<WordLimit>,
    /// What ratings are, if it is one that is written: where one of their tokens can follow, their corrected logits decide, and
    /// without a temperature the median is taken, not the likeliest.
    pub stars: Option<Stars>,
    /// Most tokens.
    pub max_tokens: usize,
    /// How tokens are chosen.
    pub sampling: Sampling,
}

impl Phase {
    /// Up to so many tokens, and nothing else asked of them.
    pub fn new(max_tokens: usize, sampling: Sampling) -> Self {
        let (lead, before, grammar, stop) = (String::new(), String::new(), None, Vec::new());
        let (no_repeat, on_repeat, words, stars) = (None, OnRepeat::default(), None, None);
        Self {
            lead,
            grammar,
            stop,
            min_new_tokens: 0,
            no_repeat,
            on_repeat,
            before,
            words,
            stars,
            max_tokens,
            sampling,
        }
    }
}

/// A prompt and the phases to write after it.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The prompt's tokens, see [`super::Model::prompt_tokens`].
    pub prompt: Vec<Token>,
    /// At least one.
    pub phases: Vec<Phase>,
    /// When to stop: the phase in progress ends there with [`Stop::Deadline`], and later ones are not begun.
    pub deadline: Option<Instant>,
    /// Where the beginning that later prompts have in common with this one ends, in tokens. With it a decoder of one sequence
    /// writes what it would with an empty cache: it splits the prompt at fixed places, at the boundary among them, and takes
    /// over whole pieces only. Without it every token in common is taken over, and the model's numbers can differ slightly
    /// with what was.
    pub boundary: Option<usize>,
    /// What the text is written against, but for phases with a grammar. It takes a second sequence of the decoder
    /// ([`super::DecoderOptions::contrast`]).
    pub contrast: Option<Contrast>,
}

/// Why a phase ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The model ended its text, or the grammar was complete.
    End,
    /// One of the stop strings came.
    Matched,
    /// [`Phase::max_tokens`] were written.
    Length,
    /// [`Request::deadline`] came.
    Deadline,
    /// It would have repeated what it must not, see [`OnRepeat::End`].
    Repeated,
}

/// What was written in one phase.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseOutput {
    /// The text, without the lead and the stop string.
    pub text: String,
    /// Number of tokens.
    pub tokens: usize,
    /// Sum of the natural log-probabilities of the tokens under the unconstrained model.
    pub log_prob: f64,
    /// Why it ended.
    pub stop: Stop,
    /// Of a phase that ended with [`Stop::Repeated`] the number of the text that it would have repeated, in the order of
    /// [`NoRepeat::add`]; none of a detail.
    pub source: Option<usize>,
}

/// The answer to one request: one output per phase, fewer if its deadline came.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// In the order of [`Request::phases`].
    pub phases: Vec<PhaseOutput>,
}

/// Where a decoder's requests come from and where their answers go, see [`super::Decoder::run_feed`].
pub trait RequestSource {
    /// The next request, if there is one now. Asked whenever a sequence is free.
    fn next(&mut self) -> Option<Request>;

    /// The answer to the `number`-th request that was given, counted from 0. May lead to more requests.
    fn done(&mut self, number: usize, completion: Completion);
}

/// A piece of text as it is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Event<'a> {
    /// Which request.
    pub request: usize,
    /// Which of its phases.
    pub phase: usize,
    /// The new text; whole characters. Concatenated, the pieces of a phase are its text.
    pub piece: &'a str,
}

/// Where events of a running call go; a break cancels it between two tokens.
pub type OnEvent<'f> = &'f mut dyn FnMut(Event<'_>) -> ControlFlow<()>;
