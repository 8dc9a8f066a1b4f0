//! Requests to the engine.

use std::time::Duration;

use crate::{
    generation::output::WriteOptions,
    history::Kind,
    plan::{Length, ReasoningPath},
    prompt::{Resize, Task},
    setters::setters,
};

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
    /// Change of the draft's length.
    pub resize: Resize,
    /// The plan of the text, for [`Task::Text`]: one that [`Engine::plan`](crate::Engine::plan)
    /// proposed, or the user's own. The text has its length and its points.
    pub plan: Option<ReasoningPath>,
    /// JSON schema of the text, for [`Task::Text`]: the text is a JSON value that fits it.
    pub schema: Option<String>,
    /// Whether to generate a reasoning path first, returned in
    /// [`crate::generation::output::Written`]. It does not improve texts.
    pub reasoning: bool,
    /// The length of the output, for [`Task::Text`]. `None` means the plan's length, else the user's
    /// usual one. Reviews of a requested length get a reasoning path.
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
            resize: Resize::Keep,
            plan: None,
            schema: None,
            reasoning: false,
            length: None,
            personal: true,
            options: WriteOptions::default(),
            deadline: None,
        }
    }

    /// Creates a request for a reply to `message`.
    pub fn reply(message: impl Into<String>) -> Self {
        Self::compose(Kind::named("reply").unwrap_or_default()).with_context(message.into())
    }

    /// Creates a request for a text of this kind. Give it a title or notes.
    pub fn compose(kind: Kind) -> Self {
        Self::new("", Task::Text).with_kind(kind)
    }

    /// Creates a request for `draft` in the user's style, as a text of this kind.
    pub fn rewrite(kind: Kind, draft: impl Into<String>) -> Self {
        Self::compose(kind).with_draft(draft.into())
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
        self.kind.rated && self.plan.is_none() && (self.reasoning || (self.task == Task::Text && self.length.is_some()))
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
    with_resize => resize: Resize,
    #[some] with_plan => plan: ReasoningPath,
    #[into] with_schema => schema: String,
    with_reasoning => reasoning: bool,
    #[some] with_length => length: Length,
    with_personal => personal: bool,
    with_options => options: WriteOptions,
    #[some] with_deadline => deadline: Duration,
});
