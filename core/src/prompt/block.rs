//! The blocks of a prompt: one example or the request, a line for each field.

use super::{Example, PromptInputs, Task, words::Words};
use crate::{history::Kind, text};

/// Maximum excerpt of a review's text in a prompt, and of a plan, in words.
#[doc(hidden)]
pub const TEXT_WORDS: usize = 60;
const TITLE_WORDS: usize = 14;
const ITEM_WORDS: usize = 14;
/// Maximum excerpt of the text that an example answers, in words.
const CONTEXT_WORDS: usize = 40;
/// Maximum length of the given texts in a request, in words.
const ASKED_WORDS: usize = 160;
/// Share of content words in the notes of an example.
const NOTES_SHARE: f64 = 0.5;

/// A field of a block: its label, its value, and the maximum number of words.
type Field<'a> = (&'a str, Option<&'a str>, usize);

impl PromptInputs {
    /// Returns the given lines of the request.
    pub(super) fn asked(&self) -> String {
        let (kind, words, ask) = (&self.kind, self.words(), &self.ask);
        let item = kind.item.as_deref().map(|label| (label, ask.item_title.as_deref(), ITEM_WORDS));
        let context = Some((kind.context.as_str(), ask.context.as_deref(), ASKED_WORDS));
        let title = kind.title.as_deref().map(|label| (label, ask.title.as_deref(), ASKED_WORDS));
        let notes = Some((words.notes, ask.gist.as_deref(), ASKED_WORDS));
        let draft = Some((words.draft, ask.draft.as_deref(), 2 * ASKED_WORDS));
        let plan = ask.plan.as_ref().map(|plan| plan.line(kind.rated));
        let plan = Some((words.plan, plan.as_deref(), TEXT_WORDS));
        let text = Some((kind.label.as_str(), ask.text.as_deref(), ASKED_WORDS));
        let fields = match self.task {
            Task::Text => vec![item, context, title, notes, draft, plan],
            Task::Title => vec![item, text],
            Task::Rating => vec![item, title, text],
            Task::Synthetic => vec![item],
        };
        lines(kind, words, fields.into_iter().flatten())
    }

    /// Returns an example as a block, with its fields in the order of the request and its answer.
    pub(super) fn block(&self, e: &Example) -> String {
        let (kind, words, ask) = (&self.kind, self.words(), &self.ask);
        let path = (self.reasoning || ask.plan.is_some()).then(|| e.path().line(kind.rated));
        let stars = e.stars.map(|s| s.to_string());
        // The same notes for the same text in every prompt, so that its KV state can be kept.
        let notes = ask.gist.is_some().then(|| text::notes(&e.text, NOTES_SHARE, 1));
        let draft = ask.draft.is_some().then(|| text::neutral(&e.text));
        let item = kind.item.as_deref().map(|label| (label, e.item_title.as_deref(), ITEM_WORDS));
        let context = Some((kind.context.as_str(), e.context.as_deref(), CONTEXT_WORDS));
        let title = kind.title.as_deref().map(|label| (label, e.title.as_deref(), TITLE_WORDS));
        let notes = Some((words.notes, notes.as_deref(), ASKED_WORDS));
        let draft = Some((words.draft, draft.as_deref(), ASKED_WORDS));
        let text = Some((kind.label.as_str(), Some(e.text.as_str()), kind.excerpt_words));
        let plan = Some((words.plan, path.as_deref(), TEXT_WORDS));
        let rating = Some(("Rating", stars.as_deref(), 1));
        let fields = match self.task {
            Task::Text => vec![item, context, title, notes, draft, plan, text],
            Task::Title => vec![item, text, plan, title],
            Task::Rating => vec![item, title, text, plan, rating],
            Task::Synthetic => vec![item, plan, title, text],
        };
        lines(kind, words, fields.into_iter().flatten()) + "\n"
    }

    /// Returns a text of this kind as it stands in a prompt, of up to `most` words.
    #[doc(hidden)]
    pub fn value(&self, text: &str, most: usize) -> String {
        quoted(&self.kind, self.words(), text, most)
    }

    /// Returns the labels of the lines in a block that the model answers to a request.
    #[doc(hidden)]
    pub fn answered(&self) -> Vec<&str> {
        let title = self.kind.title.as_deref().unwrap_or("Title");
        let text = self.kind.label.as_str();
        let plan = self.reasoning.then_some(self.words().plan);
        let last = match self.task {
            Task::Text => [None, Some(text)],
            Task::Title => [None, Some(title)],
            Task::Rating => [None, Some("Rating")],
            Task::Synthetic => [Some(title), Some(text)],
        };
        plan.into_iter().chain(last.into_iter().flatten()).collect()
    }
}

/// Returns `label: value` as one line for each field with a value. Values are data: no value can
/// start a line, or look like a label or a template marker.
fn lines<'a>(kind: &Kind, words: &'static Words, fields: impl Iterator<Item = Field<'a>>) -> String {
    let mut out = String::new();
    for (label, value, most) in fields {
        let value = quoted(kind, words, value.unwrap_or_default(), most);
        if !value.is_empty() {
            out.push_str(&format!("{label}: {value}\n"));
        }
    }
    out
}

/// Returns a value as one line. Texts of kinds with paragraphs keep their line breaks as symbols,
/// and end with a whole sentence where they are cut.
fn quoted(kind: &Kind, words: &'static Words, value: &str, most: usize) -> String {
    if !kind.paragraphs {
        return text::quoted_for(value, most, words.labels(kind));
    }
    let folded = text::folded(value);
    let cut = text::quoted_for(&folded, most, words.labels(kind));
    if text::word_count(&folded) <= most { cut } else { text::whole_sentences(&cut).to_owned() }
}

/// Returns a review as a prompt shows it, with its plan and rating, followed by the complete text.
#[doc(hidden)]
pub fn shown(e: &Example) -> String {
    let inputs = PromptInputs::planned(Task::Rating);
    let whole = [
        ("Item", e.item_title.as_deref(), ITEM_WORDS),
        ("Title", e.title.as_deref(), usize::MAX),
        ("Review", Some(e.text.as_str()), usize::MAX),
    ];
    inputs.block(e) + &lines(&inputs.kind, inputs.words(), whole.into_iter())
}
