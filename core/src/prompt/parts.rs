//! The parts of a prompt by their source.
//!
//! A prompt is composed of these parts: [`Parts::body`] concatenates them. An explanation shows the
//! same parts, so it cannot differ from the prompt.

use super::{Example, PromptInputs};

/// The source of a part of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// A fixed text of the template: a heading, a label, or an example of the format.
    Heading,
    /// A text by the user.
    History,
    /// A synthetic interaction.
    Synthetic,
    /// A text by another user.
    Retrieved,
    /// The given lines of the request.
    Request,
}

impl Source {
    /// Returns the source of an example of the history.
    pub(super) fn of(example: &Example) -> Self {
        if example.synthetic { Self::Synthetic } else { Self::History }
    }
}

/// A part of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptPart {
    /// The source.
    pub source: Source,
    /// The text, with its line ends.
    pub text: String,
}

impl PromptPart {
    pub(crate) fn new(source: Source, text: String) -> Self {
        Self { source, text }
    }
}

/// A prompt's body in parts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parts {
    /// The parts, in the order of the prompt.
    pub parts: Vec<PromptPart>,
    /// The examples that did not fit into the budget.
    pub dropped: Vec<PromptPart>,
}

impl Parts {
    /// Returns the prompt's body.
    pub fn body(&self) -> String {
        self.parts.iter().map(|part| part.text.as_str()).collect()
    }
}

impl PromptInputs {
    /// Returns an example as a part.
    pub(super) fn example(&self, source: Source, e: &Example) -> PromptPart {
        PromptPart::new(source, self.block(e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        prompt::{Ask, Task},
        text,
    };

    fn example(text: &str, synthetic: bool) -> Example {
        Example { item_title: Some("Mug".into()), text: text.into(), synthetic, ..Example::default() }
    }

    fn inputs(task: Task, reasoning: bool) -> PromptInputs {
        PromptInputs {
            task,
            reasoning,
            history: vec![example("An invented text.", true), example("My old text.", false), example("Mine.", false)],
            neighbours: vec![example("Theirs, the best.", false), example("Theirs.", false)],
            ask: Ask { item_title: Some("Red mug".into()), text: Some("Red.".into()), ..Ask::default() },
            ..PromptInputs::default()
        }
    }

    #[test]
    fn the_concatenated_parts_are_the_prompt() {
        for task in [Task::Text, Task::Title, Task::Rating, Task::Synthetic] {
            for (reasoning, budget) in [(false, 1000), (true, 1000), (false, 55), (false, 0), (true, 0)] {
                let mut inputs = inputs(task, reasoning);
                for bare in [false, true] {
                    if bare {
                        inputs.history.clear();
                        inputs.neighbours.clear();
                    }
                    let parts = inputs.parts(budget, text::word_count);
                    assert_eq!(parts.body(), inputs.compose_with(budget, text::word_count).body);
                    let examples =
                        parts.parts.iter().filter(|p| !matches!(p.source, Source::Heading | Source::Request));
                    let all = inputs.history.len() + inputs.neighbours.len();
                    assert_eq!(examples.count() + parts.dropped.len(), all, "each example is shown or dropped");
                }
            }
        }
    }

    #[test]
    fn each_part_has_its_source() {
        let inputs = inputs(Task::Text, false);
        let sources = |parts: &[PromptPart]| parts.iter().map(|p| p.source).collect::<Vec<_>>();
        use Source::{Heading, History, Request, Retrieved, Synthetic};
        let whole = inputs.parts(1000, text::word_count);
        let expected = [Heading, Synthetic, History, History, Heading, Retrieved, Retrieved, Heading, Request];
        assert_eq!(sources(&whole.parts), expected);
        assert!(whole.parts[1].text.contains("invented") && whole.parts[6].text.contains("the best"));
        assert_eq!(whole.dropped, []);
        let none = inputs.parts(0, text::word_count);
        assert_eq!(sources(&none.parts), [Request]);
        assert_eq!(sources(&none.dropped), [Synthetic, History, History, Retrieved, Retrieved]);
    }
}
