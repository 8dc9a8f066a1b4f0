//! The no-repeat n-gram constraint of an output.

use std::sync::Arc;

use super::{
    output::Written,
    overlap::{COPY_RUN, MAX_COPIED, copied_share},
};
use crate::{
    llm::{Details, NoRepeat, Repeated},
    prompt::{Example, PromptInputs, Task},
    text,
};

/// Length of a forbidden run in words, and its length for synthetic texts, because their gate
/// checks shorter runs.
const REPETITION: u16 = 8;
const SYNTHETIC_REPETITION: u16 = COPY_RUN as u16;
/// Maximum length of a greeting or sign-off, in words.
const FORMULA: usize = 12;

/// Boilerplate of review sites in the training data of common models. It is not about the item, and
/// decoding ends before it.
const BOILERPLATE: [&str; 3] = [
    "This review was collected as part of a promotion.",
    "Thank you for taking the time to write a review.",
    "Thank you for taking the time to share your feedback.",
];

/// Returns title and text of an example.
pub(super) fn whole(e: &Example) -> String {
    format!("{}\n{}", e.title.as_deref().unwrap_or_default(), e.text)
}

/// Returns other users' texts that an output must not repeat.
fn others(inputs: &PromptInputs) -> Vec<String> {
    let elsewhere = inputs.neighbours.iter().map(whole).filter(|text| !inputs.reserved.contains(text));
    elsewhere.chain(inputs.reserved.iter().cloned()).collect()
}

/// Returns the texts in a prompt that an output must not repeat, in the order in which
/// [`constraint`] adds them. Boilerplate comes after them.
pub(super) fn sources(inputs: &PromptInputs) -> Vec<String> {
    let answered = inputs.ask.context.clone();
    others(inputs).into_iter().chain(inputs.history.iter().map(whole)).chain(answered).collect()
}

/// Returns the text in the prompt with the given number in the constraint.
pub(super) fn copied(inputs: &PromptInputs, source: Option<usize>) -> Option<String> {
    source.and_then(|number| sources(inputs).into_iter().nth(number))
}

/// Returns the no-repeat constraint for `inputs`, or `None` if it is empty or the task is a
/// rating.
pub fn constraint(inputs: &PromptInputs) -> Option<Arc<NoRepeat>> {
    if inputs.task == Task::Rating {
        return None;
    }
    let others = others(inputs);
    let own: Vec<String> = inputs.history.iter().map(whole).collect();
    let names = inputs.neighbours.iter().filter_map(|e| e.item_title.as_deref());
    let ask = &inputs.ask;
    let asked = [&ask.item_title, &ask.title, &ask.text, &ask.context, &ask.gist, &ask.draft];
    let asked: Vec<&str> = asked.into_iter().flatten().map(String::as_str).collect();
    let owned = inputs.history.iter().filter_map(|e| e.item_title.as_deref());
    let given: Vec<&str> = asked.iter().copied().chain(own.iter().map(String::as_str)).chain(owned).collect();
    let details =
        Details::new(others.iter().map(String::as_str).chain(names), inputs.names.iter().map(String::as_str), &given);
    let words = if inputs.task == Task::Synthetic { SYNTHETIC_REPETITION } else { REPETITION };
    let mut constraint = NoRepeat::new(details, words);
    others.iter().for_each(|text| constraint.add(text));
    without_formulas(&own).into_iter().for_each(|text| constraint.add(&text));
    // An answer does not repeat the message.
    ask.context.iter().for_each(|message| constraint.add(message));
    if matches!(inputs.task, Task::Text | Task::Synthetic) {
        let habitual = |line: &&str| own.iter().any(|text| text.contains(line.trim_end_matches('.')));
        BOILERPLATE.iter().filter(|line| !habitual(line)).for_each(|line| constraint.add(line));
    }
    let message = ask.context.as_deref();
    asked.iter().filter(|text| Some(**text) != message).for_each(|text| constraint.grant(text));
    (!constraint.is_empty()).then(|| Arc::new(constraint))
}

/// Returns the user's texts without greetings and sign-offs that two of them share: the user may
/// repeat these.
fn without_formulas(own: &[String]) -> Vec<String> {
    let all: Vec<Vec<(usize, &str)>> = own.iter().map(|text| text::word_spans(text).collect()).collect();
    let same = |a: &(usize, &str), b: &(usize, &str)| a.1.to_lowercase() == b.1.to_lowercase();
    // If two texts share more than half of their words, one is a copy of the other, and the shared
    // words are no formula.
    let formula = |n: usize, words: usize| if words <= FORMULA && words * 2 <= all[n].len() { words } else { 0 };
    let shared = |n: usize, count: &dyn Fn(usize, usize) -> usize| {
        let others = (0..all.len()).filter(|&m| m != n).map(|m| formula(n, count(n, m)));
        others.max().unwrap_or(0)
    };
    let opening = |n: usize, m: usize| all[n].iter().zip(&all[m]).take_while(|(a, b)| same(a, b)).count();
    let closing =
        |n: usize, m: usize| all[n].iter().rev().zip(all[m].iter().rev()).take_while(|(a, b)| same(a, b)).count();
    let cut = |n: usize| {
        let (from, to) = (shared(n, &opening), all[n].len() - shared(n, &closing));
        let start = all[n].get(from).map_or(own[n].len(), |word| word.0);
        let end = all[n].get(to).map_or(own[n].len(), |word| word.0);
        own[n][start.min(end)..end].to_owned()
    };
    (0..own.len()).map(cut).collect()
}

/// Returns the kind of repetition in `written`, if there is any.
pub fn repeats(inputs: &PromptInputs, constraint: Option<&NoRepeat>, written: &Written) -> Option<Repeated> {
    let constraint = constraint?;
    let said = [written.title.as_deref(), written.text.as_deref()].into_iter().flatten();
    let repeated = said.filter_map(|said| constraint.repeated(said)).next();
    repeated.or_else(|| mostly_copied(inputs, written.text.as_deref()?).then_some(Repeated::Run))
}

/// Whether a large share of a text's runs is copied from the prompt inputs, even if no single run
/// is long enough for the constraint.
fn mostly_copied(inputs: &PromptInputs, said: &str) -> bool {
    let words: Vec<String> = text::words(said).collect();
    let shown = inputs.neighbours.iter().chain(&inputs.history).map(|e| e.text.as_str());
    let sources = shown.chain(inputs.reserved.iter().map(String::as_str));
    copied_share(&words, sources, COPY_RUN) > MAX_COPIED
}
