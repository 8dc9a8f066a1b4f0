//! The request in a prompt.

use crate::{
    plan::{Length, ReasoningPath},
    text,
};

/// The request of the user.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ask {
    /// The item's name, if known.
    pub item_title: Option<String>,
    /// The title, for tasks that take one.
    pub title: Option<String>,
    /// The text, for tasks that take one.
    pub text: Option<String>,
    /// Requested length. The default is the user's usual length.
    pub length: Option<Length>,
    /// The text to answer.
    pub context: Option<String>,
    /// Opaque id of the recipient, never part of a prompt.
    pub audience: Option<String>,
    /// The content of the text in the user's few words.
    pub gist: Option<String>,
    /// A draft to rewrite in the user's style.
    pub draft: Option<String>,
    /// Length of the rewritten draft.
    pub resize: Resize,
    /// The plan of the text.
    pub plan: Option<ReasoningPath>,
    /// Grammar (GBNF) of a structured text.
    pub grammar: Option<String>,
}

impl Ask {
    /// Returns the given content of a text: notes, points of the plan, and the draft.
    pub(crate) fn content(&self) -> Option<String> {
        let points = self.plan.as_ref().map(|plan| plan.points.join(" "));
        let draft = self.draft.as_deref().map(|draft| match self.resize {
            Resize::Shorter => text::notes(draft, SHORTER_SHARE, 1),
            Resize::Keep | Resize::Longer => draft.to_owned(),
        });
        let parts: Vec<String> = [self.gist.clone(), points, draft].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    }
}

/// Share of a draft's content words that a shorter text must have.
const SHORTER_SHARE: f64 = 0.5;

/// Change of a draft's length when it is rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resize {
    /// About as long as the draft.
    #[default]
    Keep,
    /// At most six tenths of the draft's words.
    Shorter,
    /// At least one and a half times the draft's words, where the model has enough to say.
    Longer,
}
