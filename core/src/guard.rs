//! Nobody else's words: what a text must not repeat, and what becomes of one that does.
//!
//! A small model that is shown texts copies from them. So no output holds a run of eight words of other people's texts on the item,
//! or of the person's own earlier texts; nor numbers, proper names, links and mail addresses that only other people's texts
//! hold. The decoder ends a text in front of a repetition ([`NoRepeat`]); it then goes on from a prompt without the text that it was
//! copying. Every text is checked once more when it is finished: what still repeats is cut, sentence by sentence.

use std::sync::Arc;

use crate::{
    Error, augment,
    generate::{self, Begun, WriteOptions, Written},
    llm::{
        Completion, Decoder, Details, Event, LlmError, Model, NoRepeat, OnEvent, OnRepeat, PhaseOutput, Repeated,
        Request, Stop,
    },
    prompt::{Example, Material, Task},
    text,
};

/// Shortest repetition in words, and the same for synthetic texts, whose gate looks at shorter runs.
const REPETITION: u16 = 8;
const SYNTHETIC_REPETITION: u16 = augment::COPY_RUN as u16;
/// How often a text may go on from another prompt. In the last round tokens that would repeat are avoided one by one.
const ROUNDS: usize = 3;
/// Longest greeting or sign-off, in words.
const FORMULA: usize = 12;

/// Title and text of an example.
fn whole(e: &Example) -> String {
    format!("{}\n{}", e.title.as_deref().unwrap_or_default(), e.text)
}

/// Other people's texts that must not be repeated.
fn others(material: &Material) -> Vec<String> {
    let elsewhere = material.neighbours.iter().map(whole).filter(|text| !material.reserved.contains(text));
    elsewhere.chain(material.reserved.iter().cloned()).collect()
}

/// All texts that must not be repeated, in the order in which [`constraint`] adds them.
fn sources(material: &Material) -> Vec<String> {
    others(material).into_iter().chain(material.history.iter().map(whole)).collect()
}

/// What a text for this material must not repeat.
pub fn constraint(material: &Material) -> Option<Arc<NoRepeat>> {
    if material.task == Task::Rating {
        return None;
    }
    let others = others(material);
    let own: Vec<String> = material.history.iter().map(whole).collect();
    let names = material.neighbours.iter().filter_map(|e| e.item_title.as_deref());
    let ask = &material.ask;
    let asked: Vec<&str> = [&ask.item_title, &ask.title, &ask.text].into_iter().flatten().map(String::as_str).collect();
    let owned = material.history.iter().filter_map(|e| e.item_title.as_deref());
    let given: Vec<&str> = asked.iter().copied().chain(own.iter().map(String::as_str)).chain(owned).collect();
    let details =
        Details::new(others.iter().map(String::as_str).chain(names), material.names.iter().map(String::as_str), &given);
    let words = if material.task == Task::Synthetic { SYNTHETIC_REPETITION } else { REPETITION };
    let mut constraint = NoRepeat::new(details, words);
    others.iter().for_each(|text| constraint.add(text));
    without_formulas(&own).into_iter().for_each(|text| constraint.add(&text));
    asked.iter().for_each(|text| constraint.grant(text));
    (!constraint.is_empty()).then(|| Arc::new(constraint))
}

/// The person's texts without the greetings and sign-offs that two of them share: those are theirs to repeat.
fn without_formulas(own: &[String]) -> Vec<String> {
    let all: Vec<Vec<(usize, &str)>> = own.iter().map(|text| text::word_spans(text).collect()).collect();
    let same = |a: &(usize, &str), b: &(usize, &str)| a.1.to_lowercase() == b.1.to_lowercase();
    // Of texts that share half of their words one is a copy of the other.
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

/// What `written` repeats, if anything.
pub fn repeats(material: &Material, constraint: Option<&NoRepeat>, written: &Written) -> Option<Repeated> {
    let constraint = constraint?;
    let said = [written.title.as_deref(), written.text.as_deref()].into_iter().flatten();
    let repeated = said.filter_map(|said| constraint.repeated(said)).next();
    repeated.or_else(|| mostly_copied(material, written.text.as_deref()?).then_some(Repeated::Run))
}

/// Whether much of a text stands in one that was shown, if not in one run.
fn mostly_copied(material: &Material, said: &str) -> bool {
    let words: Vec<String> = text::words(said).collect();
    let shown = material.neighbours.iter().chain(&material.history).map(|e| e.text.as_str());
    let sources = shown.chain(material.reserved.iter().map(String::as_str));
    augment::copied_share(&words, sources, augment::COPY_RUN) > augment::MAX_COPIED
}

/// A text to write: what it is written from, and the request.
pub struct Job {
    pub material: Material,
    pub request: Request,
}

/// Runs all jobs. A text that would repeat somebody goes on in front of the repetition, with the text that it was taken from left out of
/// its prompt. `first` gets the decoder when the first prompts are read and before any other is.
///
/// # Errors
/// As [`Decoder::run`].
pub fn run(
    decoder: &mut Decoder<'_>,
    jobs: Vec<Job>,
    options: &WriteOptions,
    on_event: OnEvent<'_>,
    first: &mut dyn FnMut(&mut Decoder<'_>),
) -> Result<Vec<Completion>, Error> {
    let requests: Vec<Request> = jobs.iter().map(|job| job.request.clone()).collect();
    let mut completions = decoder.run(&requests, on_event)?;
    first(decoder);
    let mut shown: Vec<Material> = jobs.iter().map(|job| job.material.clone()).collect();
    for round in 1..=ROUNDS {
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

/// The text with the given number in the constraint, which is always that of the first prompt.
fn copied(first: &Material, source: Option<usize>) -> Option<String> {
    source.and_then(|number| sources(first).into_iter().nth(number))
}

/// The material without the text that was copied; from the second round on, and where nobody knows which one it was, without any text by
/// others.
fn without(material: &Material, copied: Option<String>, round: usize) -> Material {
    let mut less = material.clone();
    less.history.retain(|e| Some(whole(e)) != copied);
    less.neighbours.retain(|e| copied.is_some() && round == 1 && Some(whole(e)) != copied);
    less
}

/// The request for the rest of a text.
fn rest(
    model: &Model,
    material: &Material,
    job: &Job,
    completion: &Completion,
    options: &WriteOptions,
    avoid: bool,
) -> Request {
    let (done, text) = completion.phases.split_at(completion.phases.len() - 1);
    let done = done.iter().map(|phase| phase.text.clone()).collect();
    let text = text.iter().map(|phase| phase.text.clone()).collect();
    let (request, stable) = generate::request_with_prefix(model, material, options, Some(&Begun { done, text }));
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
pub fn originals(material: &Material, all: Vec<Written>) -> Result<Vec<Written>, Error> {
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
    if let Some(opening) = generate::opening(material) {
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
fn mend(material: &Material, constraint: Option<&NoRepeat>, written: &Written) -> Option<Written> {
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

    fn shown(text: &str) -> Example {
        Example { text: text.into(), ..Example::default() }
    }

    fn texts(examples: &[Example]) -> Vec<&str> {
        examples.iter().map(|e| e.text.as_str()).collect()
    }

    #[test]
    fn removes_the_copied_text_in_every_round() {
        let first = Material {
            neighbours: vec![shown("their first"), shown("their second")],
            history: vec![shown("my first"), shown("my second")],
            ..Material::default()
        };
        let second = without(&first, copied(&first, Some(0)), 1);
        assert_eq!(texts(&second.neighbours), ["their second"]);
        // The number of a source does not change when the prompt loses a text.
        let third = without(&second, copied(&first, Some(2)), 2);
        assert_eq!((texts(&third.neighbours), texts(&third.history)), (vec![], vec!["my second"]));
    }

    #[test]
    fn removes_all_texts_by_others_if_the_source_is_unknown() {
        let first = Material { neighbours: vec![shown("theirs")], history: vec![shown("mine")], ..Material::default() };
        let second = without(&first, copied(&first, None), 1);
        assert_eq!((texts(&second.neighbours), texts(&second.history)), (vec![], vec!["mine"]));
    }
}
