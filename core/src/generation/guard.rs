//! Decoding under the no-repeat constraint, and the check of every finished text.
//!
//! A small model copies from the texts in its prompt. An output therefore holds no run of eight
//! words of other users' texts on the item, or of the user's own earlier texts. It also holds no
//! numbers, proper names, links and mail addresses that occur only in other users' texts. The
//! decoder ends a text before a repetition ([`NoRepeat`]). Decoding then continues from a prompt
//! without the copied text. A final check removes the remaining repetitions, sentence by sentence.

use super::{
    constraint::{constraint, copied, repeats, sources, whole},
    form::Form,
    output::{WriteOptions, Written},
    request::{Begun, request_with_prefix},
    reranking::opening,
};
use crate::{
    Error,
    llm::{Completion, Decoder, Event, LlmError, Model, NoRepeat, OnEvent, OnRepeat, PhaseOutput, Request, Stop},
    prompt::{PromptInputs, Task},
    text,
};

/// Maximum number of continuations of a text. The last one avoids repeating tokens one by one
/// instead of ending.
const ROUNDS: usize = 3;

/// A request with its prompt inputs.
pub struct GuardedRequest {
    /// The inputs of the prompt.
    pub inputs: PromptInputs,
    /// The decoder's request.
    pub request: Request,
}

/// Runs all jobs under the no-repeat constraint.
///
/// If a text would repeat another text, decoding continues from the place before the repetition,
/// with the copied text removed from the prompt. `first` gets the decoder after the first prompts
/// and before any other prefill.
///
/// # Errors
/// As [`Decoder::run`].
pub fn run(
    decoder: &mut Decoder<'_>,
    jobs: Vec<GuardedRequest>,
    options: &WriteOptions,
    on_event: OnEvent<'_>,
    first: &mut dyn FnMut(&mut Decoder<'_>),
) -> Result<Vec<Completion>, Error> {
    let requests: Vec<Request> = jobs.iter().map(|job| job.request.clone()).collect();
    let mut completions = decoder.run(&requests, on_event)?;
    first(decoder);
    let mut shown: Vec<PromptInputs> = jobs.iter().map(|job| job.inputs.clone()).collect();
    for round in 1..=ROUNDS {
        for (completion, job) in completions.iter_mut().zip(&jobs).filter(|(c, _)| repeated(c).is_some()) {
            end_before_boilerplate(completion, &job.inputs);
        }
        let open: Vec<usize> = (0..jobs.len()).filter(|&n| repeated(&completions[n]).is_some()).collect();
        if open.is_empty() {
            break;
        }
        let mut again = Vec::new();
        for &n in &open {
            let source = repeated(&completions[n]).and_then(|phase| phase.source);
            // Source numbers always refer to the first prompt.
            shown[n] = without(&shown[n], copied(&jobs[n].inputs, source), round);
            again.push(rest(decoder.model(), &shown[n], &jobs[n], &completions[n], options, round == ROUNDS));
        }
        let phase = |n: usize| completions[n].phases.len() - 1;
        let places: Vec<(usize, usize)> = open.iter().map(|&n| (n, phase(n))).collect();
        let rests = decoder.run(&again, &mut |event| {
            let (request, first) = places[event.request];
            on_event(Event { request, phase: first + event.phase, ..event })
        })?;
        for (&n, rest) in open.iter().zip(rests) {
            join(&mut completions[n], rest);
        }
    }
    Ok(completions)
}

/// Returns the last phase, if it ended before a repetition.
fn repeated(completion: &Completion) -> Option<&PhaseOutput> {
    completion.phases.last().filter(|phase| phase.stop == Stop::Repeated)
}

/// Marks a text that ended before boilerplate as finished, if it ends with a whole sentence.
fn end_before_boilerplate(completion: &mut Completion, inputs: &PromptInputs) {
    let prompted = sources(inputs).len();
    let boilerplate = |phase: &&mut PhaseOutput| {
        let whole = phase.text.trim_end().ends_with(['.', '!', '?']);
        phase.stop == Stop::Repeated && phase.source.is_some_and(|n| n >= prompted) && whole
    };
    if let Some(phase) = completion.phases.last_mut().filter(boilerplate) {
        phase.stop = Stop::End;
    }
}

/// Returns the inputs without the copied text. From the second round on, or if the source is
/// unknown, they hold no retrieved texts at all.
fn without(inputs: &PromptInputs, copied: Option<String>, round: usize) -> PromptInputs {
    let mut less = inputs.clone();
    less.history.retain(|e| Some(whole(e)) != copied);
    less.neighbours.retain(|e| copied.is_some() && round == 1 && Some(whole(e)) != copied);
    less
}

/// Returns the request for the rest of a text.
fn rest(
    model: &Model,
    inputs: &PromptInputs,
    job: &GuardedRequest,
    completion: &Completion,
    options: &WriteOptions,
    avoid: bool,
) -> Request {
    let (done, text) = completion.phases.split_at(completion.phases.len() - 1);
    let done = done.iter().map(|phase| phase.text.clone()).collect();
    let text = text.iter().map(|phase| phase.text.clone()).collect();
    let (request, stable) = request_with_prefix(model, inputs, options, Some(&Begun { done, text }));
    let boundary = job.request.boundary.map(|_| stable);
    let mut request = Request { deadline: job.request.deadline, boundary, ..request };
    let first = job.request.phases.len() - request.phases.len();
    for (phase, asked) in request.phases.iter_mut().zip(&job.request.phases[first..]) {
        phase.sampling = asked.sampling;
        phase.no_repeat.clone_from(&asked.no_repeat);
        if avoid {
            phase.on_repeat = OnRepeat::Avoid;
        }
    }
    request
}

/// Appends the rest of a text to its beginning.
fn join(completion: &mut Completion, mut rest: Completion) {
    if rest.phases.is_empty() {
        // The deadline passed before the rest: only the beginning remains.
        if let Some(last) = completion.phases.last_mut() {
            last.stop = Stop::Deadline;
        }
        return;
    }
    if let (Some(begun), Some(first)) = (completion.phases.pop(), rest.phases.first_mut()) {
        first.text.insert_str(0, &begun.text);
        first.tokens += begun.tokens;
        first.log_prob += begun.log_prob;
    }
    completion.phases.append(&mut rest.phases);
}

/// Returns the texts without repetitions. If there are none, a title becomes the opening of its
/// text, and a text loses its repeating sentences. A text without any other sentence becomes the
/// user's notes.
///
/// # Errors
/// [`LlmError::Failed`] if every sentence of every text repeats another text.
pub fn originals(inputs: &PromptInputs, all: Vec<Written>) -> Result<Vec<Written>, Error> {
    let constraint = constraint(inputs);
    let clean = |written: &Written| repeats(inputs, constraint.as_deref(), written).is_none() && !is_empty(written);
    // No text was finished before the deadline: there is nothing to check. A structured text cannot
    // lose a sentence.
    if all.is_empty() || inputs.ask.grammar.is_some() {
        return Ok(all);
    }
    let (good, bad): (Vec<Written>, Vec<Written>) = all.into_iter().partition(clean);
    if !good.is_empty() {
        return Ok(good);
    }
    let tokens: usize = bad.iter().map(|w| w.tokens).sum();
    if let Some(opening) = opening(inputs) {
        return Ok(vec![Written { title: Some(opening), tokens, ..Written::default() }]);
    }
    let mended = bad.iter().find_map(|written| mend(inputs, constraint.as_deref(), written));
    let mended = mended.or_else(|| notes_alone(inputs));
    let nothing = || {
        LlmError::Failed(
            "every sentence repeated an earlier text or another user's, and the text was not returned; another seed may give one"
                .into(),
        )
    };
    Ok(vec![Written { tokens, ..mended.ok_or_else(nothing)? }])
}

/// Returns the user's notes as the text, in its form.
fn notes_alone(inputs: &PromptInputs) -> Option<Written> {
    let notes = inputs.ask.gist.clone().filter(|_| inputs.task == Task::Text && !inputs.kind.rated)?;
    Some(Written { text: Some(Form::of(inputs).finish(text::one_line(&notes))), ..Written::default() })
}

fn is_empty(written: &Written) -> bool {
    let said = written.text.as_deref().or(written.title.as_deref());
    said.is_some_and(|said| said.trim().is_empty())
}

/// Returns `written` with only the sentences that repeat no other text.
fn mend(inputs: &PromptInputs, constraint: Option<&NoRepeat>, written: &Written) -> Option<Written> {
    let text = written.text.as_deref()?;
    let mut kept = String::new();
    let mut rest = text;
    while !rest.trim().is_empty() {
        let sentence = text::first_sentence(rest);
        // With the white space before it, which may be a line break.
        let longer = format!("{kept}{sentence}");
        let whole = Written { text: Some(longer.clone()), title: None, ..Written::default() };
        if repeats(inputs, constraint, &whole).is_none() {
            kept = longer;
        }
        rest = &rest[sentence.len()..];
    }
    let kept = kept.trim().to_owned();
    (!kept.is_empty()).then(|| Written { text: Some(kept), ..written.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::Example;

    fn shown(text: &str) -> Example {
        Example { text: text.into(), ..Example::default() }
    }

    fn texts(examples: &[Example]) -> Vec<&str> {
        examples.iter().map(|e| e.text.as_str()).collect()
    }

    #[test]
    fn removes_the_copied_text_in_every_round() {
        let first = PromptInputs {
            neighbours: vec![shown("their first"), shown("their second")],
            history: vec![shown("my first"), shown("my second")],
            ..PromptInputs::default()
        };
        let second = without(&first, copied(&first, Some(0)), 1);
        assert_eq!(texts(&second.neighbours), ["their second"]);
        // Source numbers do not change if the prompt loses a text.
        let third = without(&second, copied(&first, Some(2)), 2);
        assert_eq!((texts(&third.neighbours), texts(&third.history)), (vec![], vec!["my second"]));
    }

    #[test]
    fn a_copy_becomes_the_notes() {
        let copy = "late implies it intends to arrive";
        let mut inputs = PromptInputs {
            task: Task::Text,
            kind: crate::history::Kind::named("reply").unwrap(),
            history: vec![shown(&format!("the bus is not late, {copy}"))],
            ..PromptInputs::default()
        };
        let written = || vec![Written { text: Some(copy.into()), ..Written::default() }];
        assert!(originals(&inputs, written()).is_err());
        inputs.ask.gist = Some("late".into());
        assert_eq!(originals(&inputs, written()).unwrap()[0].text.as_deref(), Some("late"));
    }

    #[test]
    fn ends_before_boilerplate() {
        let inputs = PromptInputs { neighbours: vec![shown("theirs")], ..PromptInputs::default() };
        let ended = |text: &str, source| {
            let phase = PhaseOutput {
                text: text.into(),
                tokens: 1,
                stop: Stop::Repeated,
                log_prob: -1.0,
                source: Some(source),
            };
            let mut completion = Completion { phases: vec![phase] };
            end_before_boilerplate(&mut completion, &inputs);
            completion.phases[0].stop
        };
        assert_eq!(ended("It pours well. ", 1), Stop::End);
        assert_eq!(ended("It pours well. ", 0), Stop::Repeated, "a text in the prompt");
        assert_eq!(ended("It pours ", 1), Stop::Repeated, "not a whole sentence");
        let boilerplate = "It pours well. This review was collected as part of a promotion.";
        let known = constraint(&PromptInputs { task: Task::Text, ..inputs.clone() }).unwrap();
        assert!(known.repeated(boilerplate).is_some());
    }

    #[test]
    fn removes_all_texts_by_others_if_the_source_is_unknown() {
        let first =
            PromptInputs { neighbours: vec![shown("theirs")], history: vec![shown("mine")], ..PromptInputs::default() };
        let second = without(&first, copied(&first, None), 1);
        assert_eq!((texts(&second.neighbours), texts(&second.history)), (vec![], vec!["mine"]));
    }
}
