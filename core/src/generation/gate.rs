//! The quality gate for synthetic texts.

use serde::{Deserialize, Serialize};

use super::{
    constraint::{constraint, repeats},
    output::Written,
    overlap::{COPY_RUN, MAX_COPIED, copied_share, distinct_share},
};
use crate::{context::topics::Topics, plan, prompt::PromptInputs, text};

/// The reason for rejecting a synthetic text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Fewer than [`MIN_WORDS`] words.
    Empty,
    /// The path does not match its grammar.
    NoPath,
    /// The text repeats itself. The value is the share of distinct word pairs.
    Loop(f32),
    /// The text copies from its prompt. The value is the share of its runs of [`COPY_RUN`] words
    /// that occur in a prompt text.
    Copy(f32),
    /// The text repeats another text, or takes a name, a number or an address from another user's
    /// text.
    Repeated,
    /// The text is not in the language of the user's texts. The value is its ISO 639-3 code.
    Language(String),
    /// The text is no closer to its item than to an item in the user's history.
    OffItem,
    /// The words contradict the stars of the path. The value is the number of stars.
    OffStance(u8),
    /// The text contains a label of the prompt format.
    Format,
}

impl Refusal {
    /// Returns the reason as one word, for statistics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NoPath => "no_path",
            Self::Loop(_) => "loop",
            Self::Copy(_) => "copy",
            Self::Repeated => "repeated",
            Self::Language(_) => "language",
            Self::OffItem => "off_item",
            Self::OffStance(_) => "off_stance",
            Self::Format => "format",
        }
    }
}

/// Minimum number of words of a synthetic text.
pub const MIN_WORDS: usize = 4;
/// Minimum share of distinct word pairs.
pub const MIN_DISTINCT: f32 = 0.6;

/// Checks whether a synthetic text written from `inputs` may be kept. `topics` decides whether it
/// is about its item.
///
/// # Errors
/// The first reason for rejecting it.
pub fn gate(written: &Written, inputs: &PromptInputs, topics: &Topics) -> Result<(), Refusal> {
    let path = written.path.as_ref().ok_or(Refusal::NoPath)?;
    let title = written.title.as_deref().unwrap_or_default();
    let body = written.text.as_deref().unwrap_or_default();
    let words: Vec<String> = text::words(body).collect();
    if words.len() < MIN_WORDS {
        return Err(Refusal::Empty);
    }
    if ["Plan:", "Review:", "Title:", "Item:", "Rating:"].iter().any(|label| body.contains(label)) {
        return Err(Refusal::Format);
    }
    let distinct = distinct_share(&words, 2);
    if distinct < MIN_DISTINCT {
        return Err(Refusal::Loop(distinct));
    }
    let shown = inputs.neighbours.iter().chain(&inputs.history);
    let copied = copied_share(&words, shown.map(|e| e.text.as_str()), COPY_RUN);
    if copied > MAX_COPIED {
        return Err(Refusal::Copy(copied));
    }
    if repeats(inputs, constraint(inputs).as_deref(), written).is_some() {
        return Err(Refusal::Repeated);
    }
    let own: Vec<&str> = inputs.own().map(|e| e.text.as_str()).collect();
    if let Some(language) = other_language(body, &own.join("\n")) {
        return Err(Refusal::Language(language.to_owned()));
    }
    if !topics.about_item(&format!("{title}\n{body}")) {
        return Err(Refusal::OffItem);
    }
    let feeling = plan::sentiment(body).unwrap_or(0);
    if (path.stance >= 4 && feeling <= -2) || (path.stance <= 2 && feeling >= 2) {
        return Err(Refusal::OffStance(path.stance));
    }
    Ok(())
}

/// Returns the ISO 639-3 code of the language of `said`, if it is reliably different from the
/// language of `own`.
fn other_language(said: &str, own: &str) -> Option<&'static str> {
    let (said, own) = (whatlang::detect(said)?, whatlang::detect(own)?);
    let sure = said.is_reliable() && own.is_reliable() && said.lang() != own.lang();
    (said.script() != own.script() || sure).then(|| said.lang().code())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::ReasoningPath,
        prompt::{Example, Task},
    };

    fn shown(text: &str) -> Example {
        Example { text: text.into(), ..Example::default() }
    }

    fn judged(text: &str, stance: u8, inputs: &PromptInputs, topics: &Topics) -> Result<(), Refusal> {
        let path = Some(ReasoningPath { stance, ..Default::default() });
        gate(&Written { path, text: Some(text.into()), ..Default::default() }, inputs, topics)
    }

    fn verdict(text: &str, stance: u8) -> Result<(), Refusal> {
        let neighbours = vec![shown("the handle came off after two days of normal use")];
        let inputs = PromptInputs { task: Task::Synthetic, neighbours, ..PromptInputs::default() };
        judged(text, stance, &inputs, &Topics::default())
    }

    #[test]
    fn each_reason() {
        assert_eq!(verdict("A sturdy pot that pours well and cleans up fast.", 5), Ok(()));
        assert_eq!(verdict("Nice.", 5), Err(Refusal::Empty));
        assert!(matches!(verdict("so good so good so good so good so good", 5), Err(Refusal::Loop(_))));
        assert!(matches!(verdict("Sadly the handle came off after two days of normal use", 2), Err(Refusal::Copy(_))));
        assert_eq!(verdict("Terrible thing, it broke and I want a refund", 5), Err(Refusal::OffStance(5)));
        assert_eq!(verdict("It is fine. Title: another one follows here", 3), Err(Refusal::Format));
        let no_path = Written { text: Some("A sturdy pot that pours well".into()), ..Default::default() };
        assert_eq!(gate(&no_path, &PromptInputs::default(), &Topics::default()), Err(Refusal::NoPath));
    }

    #[test]
    fn refuses_a_text_about_another_item() {
        let topics = Topics::new("bread basket loaf crust", &["notebook ink paper".into()], |_| 1.0);
        let judged = |text: &str| judged(text, 4, &PromptInputs::default(), &topics);
        assert_eq!(judged("The ink does not bleed through at all."), Err(Refusal::OffItem));
        assert_eq!(judged("The loaf keeps its crust for a day."), Ok(()));
    }

    #[test]
    fn refuses_a_near_copy_and_another_language() {
        let own = "Die Lampe flackert abends, und der Kundendienst hat mir bis heute nicht geantwortet, schade.";
        let inputs = PromptInputs { task: Task::Synthetic, history: vec![shown(own)], ..PromptInputs::default() };
        let judged = |text: &str| judged(text, 3, &inputs, &Topics::default());
        let near = "Ja, der Kundendtienst hat mir bis heute nicht gesagt, wann der neue Schirm kommt, und ich warte weiter darauf.";
        assert_eq!(judged(near), Err(Refusal::Repeated));
        let english = "The lamp is bright enough for the whole room and it looks good on the table.";
        assert_eq!(judged(english), Err(Refusal::Language("eng".into())));
        assert_eq!(judged("Der Schirm ist hell genug und sieht auf dem Tisch gut aus."), Ok(()));
    }
}
