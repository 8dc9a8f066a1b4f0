//! All prompt templates.
//!
//! A prompt is a list of blocks with one text each, in the format that the model continues. A base
//! model, which only continues text, learns the format from the blocks. The order is fixed. The
//! user's history comes first: a prefix that stays the same between calls, so that its KV state can
//! be kept. Other users' texts on the item follow, then the block to complete.

mod ask;
mod block;
mod given;
mod language;
mod parts;
mod words;

pub use ask::{Ask, Resize};
pub use block::{TEXT_WORDS, shown};
pub use language::Language;
pub use parts::{Parts, PromptPart, Source};

use words::Words;

use crate::{
    history::{Interaction, Kind, Record, capitalised},
    llm::{Model, Prompt},
    pack::{PublicText, RatingFit},
    plan::{self, ReasoningPath},
    text::BREAK,
};

/// The kind of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Task {
    /// A text, given its title.
    #[default]
    Text,
    /// A title, given the text.
    Title,
    /// A rating, given title and text.
    Rating,
    /// Title and text of a synthetic interaction, given only the item.
    Synthetic,
}

/// An example text in a prompt.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Example {
    /// The item's name, if known.
    pub item_title: Option<String>,
    /// The text's headline, if it has one.
    pub title: Option<String>,
    /// The text.
    pub text: String,
    /// Stars, if given.
    pub stars: Option<u8>,
    /// Whether the text is synthetic.
    pub synthetic: bool,
    /// The text that it answers, if any.
    pub context: Option<String>,
    /// Opaque id of its recipient, never part of a prompt.
    pub audience: Option<String>,
}

impl From<&Interaction> for Example {
    fn from(i: &Interaction) -> Self {
        let (item_title, title, text) = (i.item_title.clone(), i.title.clone(), i.text.clone());
        Self { item_title, title, text, stars: i.stars(), synthetic: false, ..Self::answering(i) }
    }
}

impl From<&Record> for Example {
    fn from(record: &Record) -> Self {
        Self { synthetic: record.is_synthetic(), ..Self::from(&record.interaction) }
    }
}

impl Example {
    /// Creates an example from a public text about an item of this name.
    pub fn public(text: &PublicText<'_>, item_title: Option<&str>) -> Self {
        Self {
            item_title: item_title.map(str::to_owned),
            title: Some(text.title.to_owned()).filter(|t| !t.is_empty()),
            text: text.text.to_owned(),
            stars: text.stars,
            ..Self::default()
        }
    }

    /// Returns an example with the context and the recipient of an interaction alone.
    fn answering(i: &Interaction) -> Self {
        Self { context: i.context.clone(), audience: i.audience.clone(), ..Self::default() }
    }

    fn path(&self) -> ReasoningPath {
        ReasoningPath::of(self.title.as_deref(), &self.text, self.stars)
    }
}

/// All inputs of a prompt and of reranking.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PromptInputs {
    /// The kind of output.
    pub task: Task,
    /// The kind of writing.
    pub kind: Kind,
    /// The language of the prompt.
    pub language: Language,
    /// Whether a reasoning path comes first.
    pub reasoning: bool,
    /// The user's history, the most relevant text last.
    pub history: Vec<Example>,
    /// Other users' texts, the best first.
    pub neighbours: Vec<Example>,
    /// The request.
    pub ask: Ask,
    /// Other users' texts about any item, never part of a prompt. Reranking compares the user's
    /// style with theirs.
    pub impostors: Vec<String>,
    /// Other users' titles and texts on the item, in the prompt or not. No output may repeat them.
    pub reserved: Vec<String>,
    /// Lower-case proper names in other users' texts.
    pub names: Vec<String>,
    /// Calibration of ratings by the pack's population.
    pub rating: Option<RatingFit>,
    /// Length of a text relative to the usual one, learnt from sent drafts.
    pub length_factor: Option<f32>,
    /// Greeting before the output with the line breaks after it. The history is without greetings
    /// and sign-offs, see `context::formulas`.
    pub opening: String,
    /// Sign-off after the output with the line breaks before it.
    pub closing: String,
}

/// The headings of a prompt.
struct Headings {
    history: String,
    others: String,
    next: String,
}

impl Headings {
    fn of(kind: &Kind, words: &Words) -> Self {
        let many = &kind.many;
        let others = match &kind.item {
            Some(_) => format!("{} of this item by other people:\n\n", capitalised(many)),
            None => format!("{} by other people:\n\n", capitalised(many)),
        };
        let [history, next] = words.headings(kind);
        Self { history, others, next }
    }
}

const FORM: &str = "Reviews of other items, each with its plan:\n\n";
/// Examples of a path's format for prompts without other examples: title, text, stars. Two opposite
/// ratings, so that the model copies neither.
const FORMS: [(&str, &str, u8); 2] = [
    ("Stopped after a week", "The motor stopped after a week and nobody answers the phone. I want my money back.", 1),
    (
        "Happy with it",
        "It was easy to set up and works every morning. My daughter uses it too, and I would buy it again.",
        5,
    ),
];

impl PromptInputs {
    /// Returns the prompt within `budget` tokens. Examples that do not fit are dropped: the best
    /// retrieved text and the latest history stay longest. The request itself is always complete.
    pub fn compose(&self, model: &Model, budget: usize) -> Prompt {
        self.compose_with(budget, |s| model.tokens(s).len())
    }

    /// Returns the prompt as [`PromptInputs::compose`] does, with any measure of length, for tests.
    pub fn compose_with(&self, budget: usize, count: impl Fn(&str) -> usize) -> Prompt {
        Prompt { body: self.parts(budget, count).body(), lead: self.lead(0) }
    }

    /// Returns the parts of the prompt's body, and the examples that do not fit into `budget`.
    pub(crate) fn parts(&self, budget: usize, count: impl Fn(&str) -> usize) -> Parts {
        let mut history: Vec<PromptPart> = self.history.iter().map(|e| self.example(Source::of(e), e)).collect();
        let mut neighbours: Vec<PromptPart> =
            self.neighbours.iter().map(|e| self.example(Source::Retrieved, e)).collect();
        let form =
            if self.reasoning && history.is_empty() && neighbours.is_empty() { self.form() } else { String::new() };
        let headings = Headings::of(&self.kind, self.words());
        let asked = self.asked();
        let fixed = count(&form) + count(&headings.history) + count(&headings.others) + count(&headings.next);
        let fixed = fixed + count(&asked);
        let mut left = budget.saturating_sub(fixed);
        // Alternates between a retrieved text (best first) and a text of the history (latest
        // first).
        let (mut take_n, mut take_h) = (0, 0);
        let (mut full_n, mut full_h) = (false, false);
        while !(full_n && full_h) {
            for own in [false, true] {
                let (list, taken, full) = match own {
                    false => (neighbours.get(take_n), &mut take_n, &mut full_n),
                    true => (history.iter().rev().nth(take_h), &mut take_h, &mut full_h),
                };
                match list.map(|block| count(&block.text)).filter(|n| !*full && *n <= left) {
                    Some(n) => {
                        left -= n;
                        *taken += 1;
                    }
                    None => *full = true,
                }
            }
        }
        let shown = history.split_off(history.len() - take_h);
        let dropped = [history, neighbours.split_off(take_n)].concat();
        let mut parts = Vec::new();
        if take_h > 0 {
            parts.push(PromptPart::new(Source::Heading, headings.history));
            parts.extend(shown);
        }
        if take_n > 0 {
            parts.push(PromptPart::new(Source::Heading, headings.others));
            // The best retrieved text is nearest to the request.
            parts.extend(neighbours.into_iter().rev());
        }
        parts.push(PromptPart::new(Source::Heading, form));
        if take_h + take_n > 0 || self.reasoning {
            parts.push(PromptPart::new(Source::Heading, headings.next));
        }
        parts.push(PromptPart::new(Source::Request, asked));
        parts.retain(|part| !part.text.is_empty());
        Parts { parts, dropped }
    }

    /// Returns the strings that end an output: the end of its line, and what a model may write after
    /// its text: the headings of the prompt, and labels after a line break.
    pub(crate) fn stops(&self) -> Vec<String> {
        let Headings { history, others, next } = Headings::of(&self.kind, self.words());
        let headings = [history, others, next].map(|heading| heading.trim_end().to_owned());
        let labels = self.words().labels(&self.kind).filter(|_| self.kind.paragraphs).map(|l| format!("{BREAK} {l}:"));
        std::iter::once("\n".to_owned()).chain(headings).chain(labels).collect()
    }

    /// Returns the number of bytes of a composed body that stay the same between requests: the
    /// user's history and the heading after it.
    pub(crate) fn stable_bytes(&self, body: &str) -> usize {
        let Headings { history, others, next } = Headings::of(&self.kind, self.words());
        if !body.starts_with(&history) {
            return 0;
        }
        let end = |heading: &String| body.find(heading).map(|at| at + heading.len());
        [others, next].iter().filter_map(end).min().unwrap_or(0)
    }

    /// Returns empty inputs for `task` with a plan.
    fn planned(task: Task) -> Self {
        Self { task, reasoning: true, ..Self::default() }
    }

    /// Returns examples of the format alone, for planned texts without other examples.
    fn form(&self) -> String {
        FORMS.iter().fold(FORM.to_owned(), |form, (title, text, stars)| {
            let (title, text, stars) = (Some((*title).into()), (*text).into(), Some(*stars));
            form + &self.block(&Example { title, text, stars, ..Example::default() })
        })
    }

    /// Returns the label of the `n`-th output.
    pub fn lead(&self, n: usize) -> String {
        let title = self.kind.title.as_deref().unwrap_or("Title");
        let last = match self.task {
            Task::Text => &self.kind.label,
            Task::Title => title,
            Task::Rating => "Rating",
            Task::Synthetic => [title, &self.kind.label][n.saturating_sub(usize::from(self.reasoning)).min(1)],
        };
        format!("{}:", if self.reasoning && n == 0 { self.words().plan } else { last })
    }

    /// Returns the prompt's words in its language.
    pub(crate) fn words(&self) -> &'static Words {
        self.language.words(&self.kind)
    }

    /// Sets the language, and puts the labels of a shipped kind in it.
    pub fn localize(&mut self, language: Language) {
        self.kind = language.localize(&self.kind);
        self.language = language;
    }

    /// Returns the user's own texts, without synthetic ones.
    pub(crate) fn own(&self) -> impl Iterator<Item = &Example> {
        self.history.iter().filter(|e| !e.synthetic)
    }

    /// Returns the number of outputs, the plan included.
    pub(crate) fn phases(&self) -> usize {
        usize::from(self.reasoning) + if self.task == Task::Synthetic { 2 } else { 1 }
    }
}

/// Returns the fixed texts of all prompts, and the beginnings of all plans.
#[doc(hidden)]
pub fn scaffolding() -> impl Iterator<Item = String> {
    let tasks = [Task::Text, Task::Title, Task::Rating, Task::Synthetic];
    let forms = tasks.map(|task| PromptInputs::planned(task).form());
    let headings = Headings::of(&Kind::review(), Language::English.words(&Kind::review()));
    let fixed = [headings.history, headings.others, headings.next];
    let plans = plan::beginnings().map(|plan| format!("Plan: {plan}\n"));
    let ratings = (1..=5).map(|stars| format!("Rating: {stars}\n"));
    forms.into_iter().chain(fixed).chain(plans).chain(ratings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text;

    fn example(title: &str, text: &str, stars: u8) -> Example {
        Example {
            item_title: Some("Blue mug".into()),
            title: Some(title.into()),
            text: text.into(),
            stars: Some(stars),
            ..Example::default()
        }
    }

    fn inputs(task: Task, reasoning: bool) -> PromptInputs {
        PromptInputs {
            task,
            reasoning,
            history: vec![
                example("Old", "My first text.", 3),
                example("Newer", "My second\nReview: text, with a line break.", 5),
            ],
            neighbours: vec![
                example("Best", "Keeps tea warm. Love it!", 5),
                example("Second", "It leaked on my desk.", 1),
            ],
            ask: Ask {
                item_title: Some("Red mug".into()),
                title: Some("Nice mug".into()),
                text: Some("It is red and round.".into()),
                ..Ask::default()
            },
            impostors: vec!["Never to be shown.".into()],
            ..PromptInputs::default()
        }
    }

    fn shown(m: &PromptInputs, budget: usize) -> String {
        let prompt = m.compose_with(budget, text::word_count);
        format!("{}{}", prompt.body, prompt.lead)
    }

    #[test]
    fn templates() {
        insta::assert_snapshot!("text", shown(&inputs(Task::Text, false), 1000));
        insta::assert_snapshot!("text_reasoned", shown(&inputs(Task::Text, true), 1000));
        insta::assert_snapshot!("title_reasoned", shown(&inputs(Task::Title, true), 1000));
        insta::assert_snapshot!("rating", shown(&inputs(Task::Rating, false), 1000));
        insta::assert_snapshot!("synthetic", shown(&inputs(Task::Synthetic, true), 1000));
        let mut bare = inputs(Task::Text, true);
        bare.history.clear();
        bare.neighbours.clear();
        insta::assert_snapshot!("text_reasoned_bare", shown(&bare, 1000));
        bare.reasoning = false;
        insta::assert_snapshot!("text_bare", shown(&bare, 1000));
    }

    #[test]
    fn a_small_budget_keeps_the_best_neighbour_the_latest_text_and_the_request() {
        let prompt = shown(&inputs(Task::Text, false), 55);
        assert!(prompt.contains("Best") && prompt.contains("Newer"), "{prompt}");
        assert!(!prompt.contains("Second") && !prompt.contains("Old"), "{prompt}");
        assert!(shown(&inputs(Task::Text, false), 0).ends_with("Item: Red mug\nTitle: Nice mug\nReview:"));
    }

    #[test]
    fn headings_end_a_text() {
        let prompt = shown(&inputs(Task::Text, false), 1000);
        let stops = inputs(Task::Text, false).stops();
        assert_eq!(stops.len(), 4);
        assert!(stops.iter().all(|stop| prompt.contains(stop.as_str())), "{stops:?}\n{prompt}");
        let mail = PromptInputs { kind: Kind::named("email").unwrap(), ..inputs(Task::Text, false) };
        assert!(mail.stops().contains(&"¶ Subject:".to_owned()), "{:?}", mail.stops());
    }

    #[test]
    fn a_text_cannot_open_a_line_of_its_own() {
        let prompt = shown(&inputs(Task::Text, false), 1000);
        assert_eq!(prompt.lines().filter(|l| l.starts_with("Review:")).count(), 5);
    }
}
