//! One training example: the tokens of a prompt and its answer, and the ranges to learn.

use std::{collections::HashSet, ops::Range};

use serde::{Deserialize, Serialize};

use locket::{
    Model, Task,
    internals::{llm::Token, prompt::PromptInputs},
};

/// A training example. The tokens are exactly those of generation, so the trainer needs no
/// tokenizer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingExample {
    /// Author of the text at the end.
    pub user: String,
    /// Task: `text`, `title`, `rating` or `synthetic`.
    pub task: String,
    /// Whether the example contains plans.
    pub reasoning: bool,
    /// Number of the user's own texts in the prompt.
    pub history: usize,
    /// Tokens of the prompt and the answer.
    pub tokens: Vec<i32>,
    /// Token ranges to learn: the answers in the prompt's own blocks first, then the answer to the
    /// request.
    pub learn: Vec<Range<usize>>,
    /// Number of prompt tokens.
    pub prompt: usize,
}

/// The answer to a request: one string per phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Phases without labels and line ends.
    pub phases: Vec<String>,
    /// Maximum number of tokens of the last phase. A longer phase is truncated, and its end is not
    /// learned.
    pub most: usize,
}

/// Builds the example of `inputs` within `budget` prompt tokens, with `answer` as its answer. A
/// block of the prompt is learned too, unless `taboo` is true for its text.
pub fn example(
    model: &Model,
    (user, inputs): (&str, &PromptInputs),
    answer: &Answer,
    budget: usize,
    taboo: &dyn Fn(&str) -> bool,
) -> TrainingExample {
    let prompt = inputs.compose(model, budget);
    let mut tokens = model.prompt_tokens(&prompt);
    let length = tokens.len();
    let spans = spans(&prompt.body, inputs, taboo);
    let mut learn = locate(model, &tokens, &format!("{}{}", prompt.body, prompt.lead), &spans);
    let mut from = tokens.len();
    for (n, phase) in answer.phases.iter().enumerate() {
        if n > 0 {
            // The model generates the line end itself; the label after it is given.
            learn.push(from..tokens.len() + 1);
            tokens.extend(model.tokens(&format!("\n{}", inputs.lead(n))));
            from = tokens.len();
        }
        tokens.extend(model.tokens(&format!(" {phase}")));
    }
    if tokens.len() - from > answer.most {
        tokens.truncate(from + answer.most);
    } else {
        tokens.extend(model.tokens("\n\n"));
    }
    learn.push(from..tokens.len());
    let task = match inputs.task {
        Task::Text => "text",
        Task::Title => "title",
        Task::Rating => "rating",
        Task::Synthetic => "synthetic",
    };
    TrainingExample {
        user: user.to_owned(),
        task: task.to_owned(),
        reasoning: inputs.reasoning,
        history: inputs.history.len(),
        tokens: tokens.iter().map(|t| t.0).collect(),
        learn,
        prompt: length,
    }
}

/// Returns the byte ranges of a prompt's body that are answers of its blocks: the values after the
/// labels that a request leaves open, including the line end.
fn spans(body: &str, inputs: &PromptInputs, taboo: &dyn Fn(&str) -> bool) -> Vec<Range<usize>> {
    let (open, most, label) = (inputs.answered(), inputs.kind.excerpt_words, inputs.kind.label.as_str());
    let shown = inputs.history.iter().chain(&inputs.neighbours);
    // A clipped text does not end at the end of its line.
    let clipped: HashSet<String> =
        shown.filter(|e| is_clipped(inputs, &e.text)).map(|e| inputs.value(&e.text, most)).collect();
    let mut spans = Vec::new();
    let mut at = 0;
    for block in body.split_inclusive("\n\n") {
        let mut line_at = at;
        at += block.len();
        // The last block is the request, and headings have no text.
        let text = block.lines().find_map(|l| l.strip_prefix(label)?.strip_prefix(": "));
        let complete = block.ends_with("\n\n");
        let Some(text) = text.filter(|t| complete && !taboo(t)) else { continue };
        for line in block.split_inclusive('\n') {
            let (name, value) = line.split_once(':').unwrap_or_default();
            if open.contains(&name) {
                let cut = name == label && clipped.contains(text);
                let end = if cut { value.trim_end_matches('\n').len() } else { value.len() };
                spans.push(line_at + name.len() + 1..line_at + name.len() + 1 + end);
            }
            line_at += line.len();
        }
    }
    spans
}

/// Whether a prompt shows only the beginning of a text.
fn is_clipped(inputs: &PromptInputs, text: &str) -> bool {
    inputs.value(text, inputs.kind.excerpt_words) != inputs.value(text, usize::MAX)
}

/// Returns the tokens that begin within each byte range of `text`, or an empty list if the tokens
/// do not spell it.
fn locate(model: &Model, tokens: &[Token], text: &str, spans: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut starts = Vec::with_capacity(tokens.len());
    let mut spelled = Vec::new();
    for &token in tokens {
        starts.push(spelled.len());
        model.spell(token, &mut spelled);
    }
    if spelled != text.as_bytes() {
        return Vec::new();
    }
    let at = |byte: usize| starts.partition_point(|&s| s < byte);
    spans.iter().map(|s| at(s.start)..at(s.end)).filter(|r| !r.is_empty()).collect()
}
