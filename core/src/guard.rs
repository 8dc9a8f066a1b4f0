//! Nobody else's words: what a text must not repeat, and what becomes of one that does.
//!
//! A small model that is shown texts copies from them. So no output holds a run of eight words of other people's texts on the item,
//! or of the person's own earlier texts; nor numbers, proper names, links and mail addresses that only other people's texts
//! hold. The decoder keeps to that while it writes ([`NoRepeat`]), and every text is checked once more when it is finished. What fails
//! is written again without other people's texts, then without any; if that fails too, the sentences that repeat are cut.

use std::{sync::Arc, time::Instant};

use crate::{
    Error, augment,
    generate::{self, WriteOptions, Written},
    llm::{Decoder, Details, LlmError, NoRepeat, OnEvent, Repeated, Request, Sampling},
    prompt::{Example, Material, Task},
    text,
};

/// Shortest repetition in words, and the same for synthetic texts, whose gate looks at shorter runs.
const REPETITION: u16 = 8;
const SYNTHETIC_REPETITION: u16 = augment::COPY_RUN as u16;
/// Longest greeting or sign-off, in words.
const FORMULA: usize = 12;

/// What a text for this material must not repeat.
pub(crate) fn constraint(material: &Material) -> Option<Arc<NoRepeat>> {
    if material.task == Task::Rating {
        return None;
    }
    let whole = |e: &Example| format!("{}\n{}", e.title.as_deref().unwrap_or_default(), e.text);
    let elsewhere = material.neighbours.iter().map(whole).filter(|text| !material.reserved.contains(text));
    let others: Vec<String> = elsewhere.chain(material.reserved.iter().cloned()).collect();
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
pub(crate) fn repeats(material: &Material, constraint: Option<&NoRepeat>, written: &Written) -> Option<Repeated> {
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

/// Those of `all` that repeat nobody; if there are none, one that was written again from less.
///
/// # Errors
/// [`LlmError`] if decoding fails; [`LlmError::Failed`] if every sentence of every try repeats somebody.
pub(crate) fn originals(
    decoder: &mut Decoder<'_>,
    material: &Material,
    all: Vec<Written>,
    options: &WriteOptions,
    deadline: Option<Instant>,
    on_event: OnEvent<'_>,
) -> Result<Vec<Written>, Error> {
    let constraint = constraint(material);
    let clean = |written: &Written| repeats(material, constraint.as_deref(), written).is_none();
    // Nothing was written before the deadline: there is nothing to check or to mend.
    if all.is_empty() {
        return Ok(all);
    }
    let (good, mut bad): (Vec<Written>, Vec<Written>) = all.into_iter().partition(clean);
    if !good.is_empty() {
        return Ok(good);
    }
    let mut tokens: usize = bad.iter().map(|w| w.tokens).sum();
    let alone = Material { neighbours: Vec::new(), ..material.clone() };
    let bare = Material { history: Vec::new(), reasoning: false, ..alone.clone() };
    for (shown, seed) in [(&alone, 1), (&bare, 2)] {
        let sampling = Sampling::VARIED.with_seed(options.sampling.seed.wrapping_add(seed));
        let request = generate::request(decoder.model(), shown, &WriteOptions { sampling, ..*options });
        let guarded = Request { deadline, ..guarded(request, constraint.as_ref()) };
        // Pieces of another text than the one that was streamed are of no use to anybody.
        let again = decoder.run_one(&guarded, &mut |event| on_event(crate::llm::Event { piece: "", ..event }))?;
        if again.phases.len() != shown.phases() {
            break;
        }
        let written = generate::read(shown, &again);
        tokens += written.tokens;
        if clean(&written) && !is_empty(&written) {
            return Ok(vec![Written { tokens, ..written }]);
        }
        bad.push(written);
    }
    if let Some(opening) = generate::opening(material) {
        return Ok(vec![Written { title: Some(opening), tokens, ..Written::default() }]);
    }
    let mended = bad.iter().rev().filter_map(|written| mend(material, constraint.as_deref(), written)).next();
    let nothing = || LlmError::Failed("every text repeated somebody else's words, and was not returned".into());
    Ok(vec![Written { tokens, ..mended.ok_or_else(nothing)? }])
}

/// The request under a constraint that knows more texts than its own prompt shows.
fn guarded(mut request: Request, constraint: Option<&Arc<NoRepeat>>) -> Request {
    for phase in &mut request.phases {
        if phase.no_repeat.is_some() || phase.grammar.is_none() {
            phase.no_repeat = constraint.cloned();
        }
    }
    request
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
