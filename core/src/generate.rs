//! Personalized text, title or rating: from material to a decoder's request, and back.

use serde::{Deserialize, Serialize};

use crate::{
    consensus::consensus,
    llm::{Completion, Model, Phase, Prompt, Request, Sampling, Stop, common_prefix},
    prompt::{Material, Task},
    reason::{self, ReasoningPath},
    text,
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
    /// Texts to write, of which the one that agrees most with the others is taken ([`consensus`](crate::consensus)): the first
    /// with [`WriteOptions::sampling`], the rest varied.
    pub candidates: usize,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { prompt_tokens: 1024, text_tokens: 160, sampling: Sampling::GREEDY, candidates: 1 }
    }
}

/// Longest reasoning path and title, in tokens.
const PATH_TOKENS: usize = 48;
const TITLE_TOKENS: usize = 24;

impl WriteOptions {
    /// Room that a decoder needs for one sequence of this kind, in tokens.
    pub fn context(&self) -> usize {
        self.prompt_tokens + self.most_written() + 64
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
    /// Mean natural log-probability of a token of the last phase.
    pub log_prob: f64,
}

/// The decoder's request for this material.
pub fn request(model: &Model, material: &Material, options: &WriteOptions) -> Request {
    request_with_prefix(model, material, options).0
}

/// The same, with how many tokens of its prompt are the person's history.
pub(crate) fn request_with_prefix(model: &Model, material: &Material, options: &WriteOptions) -> (Request, usize) {
    let prompt = material.compose(model, options.prompt_tokens);
    let mut kinds = Vec::new();
    if material.reasoning {
        kinds.push((Some(reason::grammar()), PATH_TOKENS));
    }
    match material.task {
        Task::Text => kinds.push((None, options.text_tokens)),
        Task::Title => kinds.push((None, TITLE_TOKENS)),
        Task::Rating => kinds.push((Some("root ::= \" \" [1-5]".to_owned()), 2)),
        Task::Synthetic => kinds.extend([(None, TITLE_TOKENS), (None, options.text_tokens)]),
    }
    let phases = kinds.into_iter().enumerate().map(|(n, (grammar, max_tokens))| Phase {
        // The first lead is the end of the prompt; the later ones follow a line that has just ended.
        lead: if n == 0 { String::new() } else { format!("\n{}", material.lead(n)) },
        grammar,
        stop: vec!["\n".into()],
        max_tokens,
        sampling: options.sampling,
    });
    let phases = phases.collect();
    let body = prompt.body[..Material::stable_bytes(&prompt.body)].to_owned();
    let stable = Prompt { body, lead: String::new() };
    let tokens = model.prompt_tokens(&prompt);
    // Tokens at the cut may differ from those of the whole.
    let stable = common_prefix(&model.prompt_tokens(&stable), &tokens);
    (Request { prompt: tokens, phases, deadline: None, boundary: None }, stable)
}

/// The requests for all candidates of a text: alike but for how tokens are chosen.
pub fn candidates(request: &Request, options: &WriteOptions) -> Vec<Request> {
    let varied = |n: usize| {
        let mut other = request.clone();
        if n > 0 {
            let seed = options.sampling.seed.wrapping_add(n as u32);
            other.phases.iter_mut().for_each(|p| p.sampling = Sampling::VARIED.with_seed(seed));
        }
        other
    };
    (0..options.candidates.max(1)).map(varied).collect()
}

/// What the candidate says that agrees most with the others; `tokens` counts what all of them took.
pub fn read_best(material: &Material, completions: &[Completion]) -> Written {
    let mut all: Vec<Written> = completions.iter().map(|c| read(material, c)).collect();
    let tokens = all.iter().map(|w| w.tokens).sum();
    match consensus(&all, &voices(material)) {
        Some(best) => Written { tokens, ..all.swap_remove(best) },
        None => Written::default(),
    }
}

/// What others wrote of the same item, as far as it is of the kind that is asked for.
fn voices(material: &Material) -> Vec<&str> {
    let others = material.neighbours.iter();
    match material.task {
        Task::Text | Task::Synthetic => others.map(|n| n.text.as_str()).collect(),
        Task::Title => others.filter_map(|n| n.title.as_deref()).collect(),
        Task::Rating => Vec::new(),
    }
}

/// What a decoder's answer to [`request`] says.
pub fn read(material: &Material, completion: &Completion) -> Written {
    let mut written = Written { tokens: completion.phases.iter().map(|p| p.tokens).sum(), ..Written::default() };
    let mut phases = completion.phases.iter();
    if material.reasoning {
        written.path = phases.next().and_then(|p| p.text.parse().ok());
    }
    if let Some(last) = completion.phases.last() {
        written.log_prob = last.log_prob / last.tokens.max(1) as f64;
    }
    match material.task {
        Task::Text => written.text = phases.next().map(|p| prose(&p.text, p.stop)),
        Task::Title => written.title = phases.next().map(|p| text::one_line(&p.text)),
        Task::Rating => written.rating = phases.next().and_then(|p| p.text.trim().parse().ok()),
        Task::Synthetic => {
            written.title = phases.next().map(|p| text::one_line(&p.text));
            written.text = phases.next().map(|p| prose(&p.text, p.stop));
            written.rating = written.path.as_ref().map(|p| p.stance);
        }
    }
    written
}

/// A text cut off by its length ends with its last whole sentence.
fn prose(written: &str, stop: Stop) -> String {
    let line = text::one_line(written);
    if matches!(stop, Stop::Length | Stop::Deadline) { text::whole_sentences(&line).to_owned() } else { line }
}
