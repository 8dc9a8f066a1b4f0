//! What the engine is asked to write.

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
    /// The item to write on; it need not be in the pack.
    pub item: String,
    /// What is to be written.
    pub task: Task,
    /// The item's name, if the pack does not know it.
    pub item_title: Option<String>,
    /// The title, for [`Task::Text`] and [`Task::Rating`].
    pub title: Option<String>,
    /// The text, for [`Task::Title`] and [`Task::Rating`].
    pub text: Option<String>,
    /// Whether to write a reasoning path first, which [`crate::generation::output::Written`] tells. Texts are no better for it.
    pub reasoning: bool,
    /// How much to write, for [`Task::Text`], by way of a reasoning path; `None`: as much as the person does usually.
    pub length: Option<Length>,
    /// Whether the person's history is used; without it the text is the model's own.
    pub personal: bool,
    /// How to write.
    pub options: WriteOptions,
    /// How long the call may take. A text ends there with its last whole sentence.
    pub deadline: Option<Duration>,
}

impl GenerateRequest {
    /// A request for `task` on `item`, everything else by default.
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

    /// Whether a reasoning path is written first: it is what tells a length that is asked for.
    pub fn planned(&self) -> bool {
        self.reasoning || (self.task == Task::Text && self.length.is_some())
    }
}

/// The same events without the space that stands in front of a phase's first word: it belongs to the label before it.
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
