//! Chunks of an output, as callbacks and streams receive them.

use std::{collections::HashMap, ops::ControlFlow};

use crate::{
    llm::Event,
    prompt::Task,
    text::{BREAK, Unfolder},
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

/// Returns a handler of decoder events that passes chunks to `on_chunk`. `parts` are the parts of
/// each request's phases. It removes leading white space from each part: in the prompt it belongs
/// to the label before it.
/// With `breaks`, the symbol for a line break becomes one.
pub(super) fn chunks<'f>(
    parts: &'f [Part],
    breaks: bool,
    on_chunk: OnChunk<'f>,
) -> impl FnMut(Event<'_>) -> ControlFlow<()> + 'f {
    // The phase that each request last wrote text of, with the text held back.
    let mut begun: HashMap<usize, (usize, Unfolder)> = HashMap::new();
    let blank = |c: char| c.is_whitespace() || c == BREAK;
    move |event| {
        let text = match begun.get_mut(&event.request).filter(|(phase, _)| *phase == event.phase) {
            Some((_, unfolder)) if breaks => unfolder.push(event.text),
            Some(_) => event.text.to_owned(),
            None => {
                let first = event.text.trim_start_matches(if breaks { blank } else { char::is_whitespace });
                let mut unfolder = Unfolder::default();
                let text = if breaks { unfolder.push(first) } else { first.to_owned() };
                if !first.is_empty() {
                    begun.insert(event.request, (event.phase, unfolder));
                }
                text
            }
        };
        let last = parts.len() - 1;
        on_chunk(Chunk { part: parts[event.phase.min(last)], item: event.request, text })
    }
}
