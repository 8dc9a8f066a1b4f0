//! The form of an output: line breaks, letter case, greeting and sign-off, as the user writes them.
//!
//! The case is learnt by counting the user's texts, not by the model: a small model capitalizes the
//! first word of most texts, even after examples in lower case.

use std::collections::HashMap;

use crate::{
    prompt::{PromptInputs, Task},
    text::{BREAK, Unfolder, unfolded},
};

/// Minimum number of texts that a habit is counted in.
const TEXTS: usize = 3;
/// Minimum share of texts with a habit.
const HABIT: f64 = 0.9;

/// Letter case of a user's texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Case {
    /// No habit: as the model writes.
    #[default]
    Any,
    /// Texts begin with a capital letter.
    UpperStart,
    /// Texts begin in lower case.
    LowerStart,
    /// Texts have no capital letters.
    Lower,
}

impl Case {
    fn of<'t>(texts: impl Iterator<Item = &'t str>) -> Self {
        let cased = |c: &char| c.is_lowercase() || c.is_uppercase();
        let texts: Vec<&str> = texts.filter(|text| text.chars().any(|c| cased(&c))).collect();
        let habit = |holds: &dyn Fn(&str) -> bool| {
            let n = texts.iter().filter(|text| holds(text)).count();
            texts.len() >= TEXTS && n as f64 >= HABIT * texts.len() as f64
        };
        if habit(&|text| !text.chars().any(char::is_uppercase)) {
            Self::Lower
        } else if habit(&|text| text.chars().find(cased).is_some_and(char::is_lowercase)) {
            Self::LowerStart
        } else if habit(&|text| text.chars().find(cased).is_some_and(char::is_uppercase)) {
            Self::UpperStart
        } else {
            Self::Any
        }
    }

    /// Applies the habit to a text, or to the part of it after `begun` letters.
    fn apply(self, text: String, begun: bool) -> String {
        match self {
            Self::Any => text,
            Self::Lower => text.to_lowercase(),
            Self::UpperStart | Self::LowerStart if begun => text,
            Self::UpperStart => {
                let Some((at, first)) = text.char_indices().find(|(_, c)| !c.is_whitespace()) else { return text };
                // A name such as `iPhone` stays, and so does a text that begins with a link.
                let word = text[at..].split_whitespace().next().unwrap_or_default();
                let plain =
                    first.is_lowercase() && word.chars().skip(1).all(|c| c.is_lowercase() || !c.is_alphanumeric());
                if plain && !word.contains(['/', '@']) {
                    format!("{}{}{}", &text[..at], first.to_uppercase(), &text[at + first.len_utf8()..])
                } else {
                    text
                }
            }
            Self::LowerStart => {
                let Some((at, first)) = text.char_indices().find(|(_, c)| c.is_alphabetic()) else { return text };
                let rest = &text[at + first.len_utf8()..];
                // `I` and abbreviations stay.
                if rest.starts_with(|c: char| c.is_lowercase()) {
                    format!("{}{}{rest}", &text[..at], first.to_lowercase())
                } else {
                    text
                }
            }
        }
    }
}

/// The form of one output.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Form {
    breaks: bool,
    case: Case,
    /// Greeting and sign-off around a text, with line breaks.
    opening: String,
    closing: String,
}

impl Form {
    /// Returns the form of texts for these inputs: the kind's line breaks, and the user's case. The
    /// case of reviews, titles and ratings stays as it is.
    pub(crate) fn of(inputs: &PromptInputs) -> Self {
        if inputs.ask.grammar.is_some() {
            return Self::default();
        }
        if inputs.task != Task::Text || inputs.kind.rated {
            return Self { breaks: inputs.kind.paragraphs, ..Self::default() };
        }
        Self {
            breaks: inputs.kind.paragraphs,
            case: Case::of(inputs.own().map(|e| e.text.as_str())),
            opening: inputs.opening.clone(),
            closing: inputs.closing.clone(),
        }
    }

    /// Returns a raw output, on one line, in its form; an empty one stays empty.
    pub(crate) fn finish(&self, line: String) -> String {
        let body = self.case.apply(if self.breaks { unfolded(&line) } else { line }, false);
        if body.is_empty() { body } else { format!("{}{body}{}", self.opening, self.closing) }
    }

    /// Returns the sign-off, which follows the last chunk of a text.
    pub(crate) fn closing(&self) -> &str {
        &self.closing
    }
}

/// Brings the chunks of several outputs into their form. It removes leading white space from each
/// phase: in the prompt it belongs to the label before it.
#[derive(Debug, Default)]
pub(crate) struct Former {
    form: Form,
    /// The phase of the text, which the greeting precedes.
    last: usize,
    /// The phase that each output last wrote, with the text held back.
    begun: HashMap<usize, (usize, Unfolder)>,
}

impl Former {
    /// `last` is the phase of the text.
    pub(crate) fn new(form: Form, last: usize) -> Self {
        Self { form, last, begun: HashMap::new() }
    }

    /// Returns the text to show for the next chunk of an output's phase.
    pub(crate) fn push(&mut self, output: usize, phase: usize, chunk: &str) -> String {
        let blank = |c: char| c.is_whitespace() || c == BREAK;
        let breaks = self.form.breaks;
        if let Some((_, unfolder)) = self.begun.get_mut(&output).filter(|(last, _)| *last == phase) {
            let text = if breaks { unfolder.push(chunk) } else { chunk.to_owned() };
            return self.form.case.apply(text, true);
        }
        let first = chunk.trim_start_matches(if breaks { blank } else { char::is_whitespace });
        if first.is_empty() {
            return String::new();
        }
        let mut unfolder = Unfolder::default();
        let text = if breaks { unfolder.push(first) } else { first.to_owned() };
        self.begun.insert(output, (phase, unfolder));
        let text = self.form.case.apply(text, false);
        if phase == self.last { format!("{}{text}", self.form.opening) } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{history::Kind, prompt::Example};

    fn form(kind: &str, texts: &[&str]) -> Form {
        let example = |text: &&str| Example { text: (*text).into(), ..Example::default() };
        let history = texts.iter().map(example).collect();
        Form::of(&PromptInputs { kind: Kind::named(kind).unwrap(), history, ..PromptInputs::default() })
    }

    #[test]
    fn the_case_is_the_users() {
        let lower = form("reply", &["yep, at 8", "no idea lol", "ok"]);
        assert_eq!(lower.finish("Yes, Ada and I ¶ will come".into()), "yes, ada and i\nwill come");
        let start = form("reply", &["yep, at 8", "is Ada coming", "ok"]);
        assert_eq!(start.finish("Yes, Ada will".into()), "yes, Ada will");
        assert_eq!(start.finish("I will".into()), "I will");
        for other in
            [form("reply", &["Yes.", "no", "ok"]), form("reply", &["ok", "no"]), form("review", &["a", "b", "c"])]
        {
            assert_eq!(other.finish("Yes, Ada".into()), "Yes, Ada");
        }
        let upper = form("reply", &["Yes, at 8.", "No idea", "OK"]);
        assert_eq!(upper.finish("yes, Ada will".into()), "Yes, Ada will");
        assert_eq!(upper.finish("iPhones are out".into()), "iPhones are out");
    }

    #[test]
    fn chunks_have_the_form_of_the_whole() {
        let lower = form("reply", &["yep, at 8", "no idea lol", "ok"]);
        let mut former = Former::new(lower.clone(), 0);
        let chunks = [" ¶ Yes", ", Ada", " ¶", " ¶ Bye", " "];
        let shown: String = chunks.iter().map(|chunk| former.push(0, 0, chunk)).collect();
        assert_eq!(shown, lower.finish(chunks.concat()));
        assert_eq!(former.push(0, 1, " Next"), "next");
    }
}
