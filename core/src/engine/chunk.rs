//! Chunks of an output, as callbacks and streams receive them.

use std::ops::ControlFlow;

use crate::{
    generation::form::{Form, Former},
    llm::Event,
    prompt::Task,
};

/// The part of an output that a chunk belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The reasoning path.
    Plan,
    /// The title.
    Title,
    /// The text.
    Text,
    /// The rating.
    Rating,
}

/// A chunk of an output. It consists of whole characters.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Chunk {
    /// The part of the output. The texts of a part's chunks, concatenated, are the part.
    pub part: Part,
    /// Index of the item in a call of [`Engine::augment`](crate::Engine::augment), among the items
    /// that the call generates; 0 otherwise.
    pub item: usize,
    /// The text. Empty if the call only offers a chance to cancel: in a prefill, in the queue, or
    /// for several candidates, whose chunks would interleave.
    pub text: String,
}

impl Chunk {
    /// Creates a chunk, for fakes of the engine.
    pub fn new(part: Part, item: usize, text: impl Into<String>) -> Self {
        Self { part, item, text: text.into() }
    }
}

/// Callback for the chunks of a call. A break cancels the call between two tokens.
pub type OnChunk<'f> = &'f mut dyn FnMut(Chunk) -> ControlFlow<()>;

/// The parts of a synthetic interaction, in their order.
pub(super) const SYNTHETIC: [Part; 3] = [Part::Plan, Part::Title, Part::Text];

/// Returns the parts of an output in their order.
pub(super) fn parts(task: Task, planned: bool) -> Vec<Part> {
    let output = match task {
        Task::Text => Part::Text,
        Task::Title => Part::Title,
        Task::Rating => Part::Rating,
        Task::Synthetic => return SYNTHETIC.to_vec(),
    };
    if planned { vec![Part::Plan, output] } else { vec![output] }
}

/// Returns a handler of decoder events that passes chunks in their form to `on_chunk`. `parts` are
/// the parts of each request's phases.
pub(super) fn chunks<'f>(
    parts: &'f [Part],
    form: Form,
    on_chunk: OnChunk<'f>,
) -> impl FnMut(Event<'_>) -> ControlFlow<()> + 'f {
    let mut former = Former::new(form, parts.len() - 1);
    move |event| {
        let text = former.push(event.request, event.phase, event.text);
        on_chunk(Chunk { part: parts[event.phase.min(parts.len() - 1)], item: event.request, text })
    }
}
