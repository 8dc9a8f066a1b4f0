//! Requests to the engine.

use std::time::Duration;

use crate::{generation::output::WriteOptions, history::Kind, plan::Length, prompt::Task, setters::setters};

/// A request for a text, a title or a rating.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GenerateRequest {
    /// The item's id; it need not be in the pack.
    pub item: String,
    /// The kind of output.
    pub task: Task,
    /// The kind of writing. Default: [`Kind::review`].
    pub kind: Kind,
    /// The item's name, if the pack has none.
    pub item_title: Option<String>,
    /// The title, for [`Task::Text`] and [`Task::Rating`].
    pub title: Option<String>,
    /// The text, for [`Task::Title`] and [`Task::Rating`].
    pub text: Option<String>,
    /// The text to answer, for [`Task::Text`].
    pub context: Option<String>,
    /// Opaque id of the recipient: earlier texts to the same recipient come first.
    pub audience: Option<String>,
    /// The content of the text in the user's few words, for [`Task::Text`].
    pub gist: Option<String>,
    /// A draft to rewrite in the user's style, for [`Task::Text`].
    pub draft: Option<String>,
    /// Whether to generate a reasoning path first, returned in
    /// [`crate::generation::output::Written`]. It does not improve texts.
    pub reasoning: bool,
    /// The length of the output, for [`Task::Text`], set through a reasoning path. `None` means the
    /// user's usual length.
    pub length: Option<Length>,
    /// Whether to use the user's history. Without it the output is not personalized.
    pub personal: bool,
    /// Options of generation.
    pub options: WriteOptions,
    /// Maximum duration of the call. At the deadline a text ends with its last complete sentence.
    pub deadline: Option<Duration>,
}

impl GenerateRequest {
    /// Creates a request for `task` on `item`, with defaults for the rest.
    pub fn new(item: impl Into<String>, task: Task) -> Self {
        Self {
            item: item.into(),
            task,
            kind: Kind::review(),
            item_title: None,
            title: None,
            text: None,
            context: None,
            audience: None,
            gist: None,
            draft: None,
            reasoning: false,
            length: None,
            personal: true,
            options: WriteOptions::default(),
            deadline: None,
        }
    }

    /// Sets [`Self::kind`], and the kind's limit of new tokens.
    #[must_use]
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.options.max_new_tokens = kind.max_new_tokens;
        self.kind = kind;
        self
    }

    /// Returns whether a reasoning path is generated first: the path carries a requested length.
    /// Plans exist for kinds with a rating.
    pub fn planned(&self) -> bool {
        self.kind.rated && (self.reasoning || (self.task == Task::Text && self.length.is_some()))
    }
}

setters!(GenerateRequest {
    #[into] with_item_title => item_title: String,
    #[into] with_title => title: String,
    #[into] with_text => text: String,
    #[into] with_context => context: String,
    #[into] with_audience => audience: String,
    #[into] with_gist => gist: String,
    #[into] with_draft => draft: String,
    with_reasoning => reasoning: bool,
    #[some] with_length => length: Length,
    with_personal => personal: bool,
    with_options => options: WriteOptions,
    #[some] with_deadline => deadline: Duration,
});
