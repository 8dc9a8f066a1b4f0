//! Nobody else's words: what a text must not repeat, and what becomes of one that does.
//!
//! A small model that is shown texts copies from them. So no output holds a run of eight words of other people's texts on the item,
//! or of the person's own earlier texts; nor numbers, proper names, links and mail addresses that only other people's texts
//! hold. The decoder ends a text in front of a repetition ([`NoRepeat`]); it then goes on from a prompt without the text that it was
//! copying. Every text is checked once more when it is finished: what still repeats is cut, sentence by sentence.

use super::{
    constraint::{constraint, repeats, sources, whole},
    output::{WriteOptions, Written},
    request::{Begun, request_with_prefix},
    reranking::opening,
};
use crate::{
    Error,
    llm::{Completion, Decoder, Event, LlmError, Model, NoRepeat, OnEvent, OnRepeat, PhaseOutput, Request, Stop},
    prompt::PromptInputs,
    text,
};

/// How often a text may go on from another prompt. In the last round tokens that would repeat are avoided one by one.
const ROUNDS: usize = 3;

/// A text to write: what it is written from, and the request.
pub struct GuardedRequest {
    /// What it is written from.
    pub material: PromptInputs,
    /// The request.
    pub request: Request,
}

/// Runs all jobs. A text that would repeat somebody goes on in front of the repetition, with the text that it was taken from left out of
/// its prompt. `first` gets the decoder when the first prompts are read and before any other is.
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
    let mut shown: Vec<PromptInputs> = jobs.iter().map(|job| job.material.clone()).collect();
    for round in 1..=ROUNDS {
        for (completion, job) in completions.iter_mut().zip(&jobs) {
            end_before_boilerplate(completion, &job.material);
        }
        let open: Vec<usize> = (0..jobs.len()).filter(|&n| repeated(&completions[n]).is_some()).collect();
        if open.is_empty() {
            break;
        }
        let mut again = Vec::new();
        for &n in &open {
            let source = repeated(&completions[n]).and_then(|phase| phase.source);
            shown[n] = without(&shown[n], copied(&jobs[n].material, source), round);
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

/// The last phase, if it ended because it would have repeated somebody.
fn repeated(completion: &Completion) -> Option<&PhaseOutput> {
    completion.phases.last().filter(|phase| phase.stop == Stop::Repeated)
}

/// Takes a text as finished that ended in front of boilerplate, if it has a whole sentence.
fn end_before_boilerplate(completion: &mut Completion, material: &PromptInputs) {
    let prompted = sources(material).len();
    let boilerplate = |phase: &&mut PhaseOutput| {
        let whole = phase.text.trim_end().ends_with(['.', '!', '?']);
        phase.stop == Stop::Repeated && phase.source.is_some_and(|n| n >= prompted) && whole
    };
    if let Some(phase) = completion.phases.last_mut().filter(boilerplate) {
        phase.stop = Stop::End;
    }
}

/// The text with the given number in the constraint, which is always that of the first prompt.
fn copied(first: &PromptInputs, source: Option<usize>) -> Option<String> {
    source.and_then(|number| sources(first).into_iter().nth(number))
}

/// The material without the text that was copied; from the second round on, and where nobody knows which one it was, without any text by
/// others.
fn without(material: &PromptInputs, copied: Option<String>, round: usize) -> PromptInputs {
    let mut less = material.clone();
    less.history.retain(|e| Some(whole(e)) != copied);
    less.neighbours.retain(|e| copied.is_some() && round == 1 && Some(whole(e)) != copied);
    less
}

/// The request for the rest of a text.
fn rest(
    model: &Model,
    material: &PromptInputs,
    job: &GuardedRequest,
    completion: &Completion,
    options: &WriteOptions,
    avoid: bool,
) -> Request {
    let (done, text) = completion.phases.split_at(completion.phases.len() - 1);
    let done = done.iter().map(|phase| phase.text.clone()).collect();
    let text = text.iter().map(|phase| phase.text.clone()).collect();
    let (request, stable) = request_with_prefix(model, material, options, Some(&Begun { done, text }));
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

/// Puts the rest of a text behind its beginning.
fn join(completion: &mut Completion, mut rest: Completion) {
    if rest.phases.is_empty() {
        // The deadline came first: the beginning is all there is.
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

/// Those of `all` that repeat nobody; if there are none, the first without the sentences that do.
///
/// # Errors
/// [`LlmError::Failed`] if every sentence of every text repeats somebody.
pub fn originals(material: &PromptInputs, all: Vec<Written>) -> Result<Vec<Written>, Error> {
    let constraint = constraint(material);
    let clean = |written: &Written| repeats(material, constraint.as_deref(), written).is_none() && !is_empty(written);
    // Nothing was written before the deadline: there is nothing to check or to mend.
    if all.is_empty() {
        return Ok(all);
    }
    let (good, bad): (Vec<Written>, Vec<Written>) = all.into_iter().partition(clean);
    if !good.is_empty() {
        return Ok(good);
    }
    let tokens: usize = bad.iter().map(|w| w.tokens).sum();
    if let Some(opening) = opening(material) {
        return Ok(vec![Written { title: Some(opening), tokens, ..Written::default() }]);
    }
    let mended = bad.iter().find_map(|written| mend(material, constraint.as_deref(), written));
    let nothing = || LlmError::Failed("every text repeated somebody else's words, and was not returned".into());
    Ok(vec![Written { tokens, ..mended.ok_or_else(nothing)? }])
}

fn is_empty(written: &Written) -> bool {
    let said = written.text.as_deref().or(written.title.as_deref());
    said.is_some_and(|said| said.trim().is_empty())
}

/// The sentences of a text that repeat nobody.
fn mend(material: &PromptInputs, constraint: Option<&NoRepeat>, written: &Written) -> Option<Written> {
    let text = written.text.as_deref()?;
    let mut kept = String::new();
    let mut rest = text;
    while !rest.trim().is_empty() {
        let sentence = text::first_sentence(rest);
        let longer = format!("{kept} {}", sentence.trim());
        let whole = Written { text: Some(longer.clone()), title: None, ..Written::default() };
        if repeats(material, constraint, &whole).is_none() {
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
        // The number of a source does not change when the prompt loses a text.
        let third = without(&second, copied(&first, Some(2)), 2);
        assert_eq!((texts(&third.neighbours), texts(&third.history)), (vec![], vec!["my second"]));
    }

    #[test]
    fn ends_before_boilerplate() {
        let material = PromptInputs { neighbours: vec![shown("theirs")], ..PromptInputs::default() };
        let ended = |text: &str, source| {
            let phase = PhaseOutput {
                text: text.into(),
                tokens: 1,
                stop: Stop::Repeated,
                log_prob: -1.0,
                source: Some(source),
            };
            let mut completion = Completion { phases: vec![phase] };
            end_before_boilerplate(&mut completion, &material);
            completion.phases[0].stop
        };
        assert_eq!(ended("It pours well. ", 1), Stop::End);
        assert_eq!(ended("It pours well. ", 0), Stop::Repeated, "a text in the prompt");
        assert_eq!(ended("It pours ", 1), Stop::Repeated, "not a whole sentence");
        let boilerplate = "It pours well. This review was collected as part of a promotion.";
        let known = constraint(&PromptInputs { task: crate::prompt::Task::Text, ..material.clone() }).unwrap();
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
