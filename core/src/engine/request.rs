//! Requests to the engine.

use std::{ops::ControlFlow, time::Duration};

use crate::{
    generation::output::WriteOptions,
    llm::{Event, OnEvent},
    plan::Length,
    prompt::Task,
};

/// A request for a text, a title or a rating.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateRequest {
    /// The item's id; it need not be in the pack.
    pub item: String,
    /// The kind of output.
    pub task: Task,
    /// The item's name, if the pack has none.
    pub item_title: Option<String>,
    /// The title, for [`Task::Text`] and [`Task::Rating`].
    pub title: Option<String>,
    /// The text, for [`Task::Title`] and [`Task::Rating`].
    pub text: Option<String>,
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
            item_title: None,
            title: None,
            text: None,
            reasoning: false,
            length: None,
            personal: true,
            options: WriteOptions::default(),
            deadline: None,
        }
    }

    /// Returns whether a reasoning path is generated first: the path carries a requested length.
    pub fn planned(&self) -> bool {
        self.reasoning || (self.task == Task::Text && self.length.is_some())
    }
}

/// Wraps `on_event` to remove leading white space from each phase: it belongs to the label before
/// it.
pub(super) fn from_the_first_word(on_event: OnEvent<'_>) -> impl FnMut(Event<'_>) -> ControlFlow<()> {
    let mut begun = None;
    move |event| {
        let piece = if begun == Some(event.phase) { event.piece } else { event.piece.trim_start() };
        if !piece.is_empty() {
            begun = Some(event.phase);
        }
        on_event(Event { piece, ..event })
    }
}
