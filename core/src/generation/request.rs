//! Personalized text, title or rating: from material to a decoder's request, and back.

use super::{
    constraint,
    output::{BESIDE_TOKENS, MOST_CONTRAST, PATH_TOKENS, TITLE_TOKENS, WriteOptions, Written},
};
use crate::{
    llm::{Completion, Contrast, Model, OnRepeat, Phase, Prompt, Request, Stop, WordLimit, common_prefix},
    plan,
    prompt::{PromptInputs, Task},
    text,
};

/// A text that is begun: it goes on behind what stands there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Begun {
    /// The finished phases in front of the text, each with its end.
    pub(crate) done: Vec<String>,
    /// The beginning of the text.
    pub(crate) text: String,
}

/// The decoder's request for this material.
pub fn request(model: &Model, material: &PromptInputs, options: &WriteOptions) -> Request {
    request_with_prefix(model, material, options, None).0
}

/// The same, with how many tokens of its prompt are the person's history; of a text that is `begun`, the rest of it.
pub(crate) fn request_with_prefix(
    model: &Model,
    material: &PromptInputs,
    options: &WriteOptions,
    begun: Option<&Begun>,
) -> (Request, usize) {
    let mut prompt = material.compose(model, options.prompt_tokens);
    let mut kinds = Vec::new();
    if material.reasoning {
        kinds.push((Some(plan::grammar(material.length())), PATH_TOKENS));
    }
    match material.task {
        Task::Text => kinds.push((None, options.text_tokens)),
        Task::Title => kinds.push((None, TITLE_TOKENS)),
        Task::Rating => kinds.push((Some("root ::= \" \" [1-5]".to_owned()), 2)),
        Task::Synthetic => kinds.extend([(None, TITLE_TOKENS), (None, options.text_tokens)]),
    }
    let last = material.phases() - 1;
    let (no_repeat, planned) = (constraint::constraint(material), usize::from(material.reasoning));
    let phases = kinds.into_iter().enumerate().map(|(n, (grammar, max_tokens))| Phase {
        // The first lead is the end of the prompt; the later ones follow a line that has just ended.
        lead: if n == 0 { String::new() } else { format!("\n{}", material.lead(n)) },
        grammar,
        stop: vec!["\n".into()],
        // Half of the room: a text that has to fill all of it could not end with a sentence.
        min_new_tokens: if n == last { material.min_new_tokens().min(max_tokens / 2) } else { 0 },
        no_repeat: no_repeat.clone().filter(|_| n >= planned),
        on_repeat: OnRepeat::End,
        before: String::new(),
        words: material.word_limit().filter(|_| n == last),
        stars: if material.task == Task::Rating && n == last { model.stars() } else { None },
        max_tokens,
        sampling: options.sampling,
    });
    let mut phases: Vec<Phase> = phases.collect();
    let body = prompt.body[..PromptInputs::stable_bytes(&prompt.body)].to_owned();
    let stable = Prompt { body, lead: String::new() };
    if let Some(begun) = begun {
        prompt.lead = go_on(model, material, begun, &mut phases);
    }
    let tokens = model.prompt_tokens(&prompt);
    // Tokens at the cut may differ from those of the whole.
    let stable = common_prefix(&model.prompt_tokens(&stable), &tokens);
    let contrast = contrast(model, material, options, begun.map(|_| prompt.lead.as_str()));
    (Request { prompt: tokens, phases, deadline: None, boundary: None, contrast }, stable)
}

/// Leaves of `phases` what is still to be written, and returns what stands in front of that.
fn go_on(model: &Model, material: &PromptInputs, begun: &Begun, phases: &mut Vec<Phase>) -> String {
    let mut lead = String::new();
    for (n, done) in begun.done.iter().enumerate() {
        lead.push_str(&format!("{}{done}\n", material.lead(n)));
    }
    lead.push_str(material.lead(begun.done.len()));
    lead.push_str(&begun.text);
    phases.drain(..begun.done.len().min(phases.len()));
    if let Some(phase) = phases.first_mut() {
        let written = model.tokens(&begun.text).len();
        phase.lead.clear();
        phase.before.clone_from(&begun.text);
        phase.max_tokens = phase.max_tokens.saturating_sub(written).max(1);
        phase.min_new_tokens = phase.min_new_tokens.saturating_sub(written).min(phase.max_tokens / 2);
    }
    lead
}

/// What a text is written against: the same material without what the person wrote, if there is any of it. To count what others wrote
/// twice too makes texts worse.
/// `lead`: how the answer begins, if it does not as usual.
fn contrast(model: &Model, material: &PromptInputs, options: &WriteOptions, lead: Option<&str>) -> Option<Contrast> {
    let wanted = options.contrast > 0.0 && material.task == Task::Text && material.own().next().is_some();
    let without = wanted.then(|| PromptInputs {
        task: material.task,
        reasoning: material.reasoning,
        neighbours: material.neighbours.clone(),
        ask: material.ask.clone(),
        ..PromptInputs::default()
    })?;
    let mut prompt = without.compose(model, BESIDE_TOKENS);
    if let Some(lead) = lead {
        prompt.lead = lead.to_owned();
    }
    let prompt = model.prompt_tokens(&prompt);
    (prompt.len() <= BESIDE_TOKENS).then_some(Contrast { prompt, weight: options.contrast.min(MOST_CONTRAST) })
}

/// What a decoder's answer to [`request`] says.
pub fn read(material: &PromptInputs, completion: &Completion) -> Written {
    let mut written = Written { tokens: completion.phases.iter().map(|p| p.tokens).sum(), ..Written::default() };
    let mut phases = completion.phases.iter();
    if material.reasoning {
        written.path = phases.next().and_then(|p| p.text.parse().ok());
    }
    if let Some(last) = completion.phases.last() {
        written.log_prob = last.log_prob / last.tokens.max(1) as f64;
    }
    match material.task {
        Task::Text => written.text = phases.next().map(|p| prose(&p.text, p.stop, material.word_limit())),
        Task::Title => written.title = phases.next().map(|p| text::one_line(&p.text)),
        Task::Rating => written.rating = phases.next().and_then(|p| p.text.trim().parse().ok()),
        Task::Synthetic => {
            written.title = phases.next().map(|p| text::one_line(&p.text));
            written.text = phases.next().map(|p| prose(&p.text, p.stop, None));
            written.rating = written.path.as_ref().map(|p| p.stance);
        }
    }
    written
}

/// A text cut off by its length ends with its last whole sentence; without one, with its last whole word.
fn prose(written: &str, stop: Stop, limit: Option<WordLimit>) -> String {
    let line = text::one_line(written);
    if !matches!(stop, Stop::Length | Stop::Deadline) {
        return line;
    }
    let whole = text::whole_sentences(&line).to_owned();
    match limit {
        // What stopped it was the first token of one word more.
        Some(limit) if text::word_count(&whole) > limit.most => text::clip_words(&whole, limit.most),
        _ => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        generation::candidates::tests::{material, shown},
        llm::LoadOptions,
    };

    #[test]
    fn a_text_is_written_against_what_others_alone_would_have_it_say() {
        let dir = tempfile::tempdir().unwrap();
        let model = Model::load(locket_tests::tiny::write(dir.path()), LoadOptions::default()).unwrap();
        let mut material = material();
        let against = |m: &PromptInputs, contrast| {
            let contrast = request(&model, m, &WriteOptions { contrast, ..WriteOptions::default() }).contrast?;
            let mut bytes = Vec::new();
            contrast.prompt.iter().for_each(|&t| model.spell(t, &mut bytes));
            Some((String::from_utf8(bytes).unwrap(), contrast.weight))
        };
        let (prompt, weight) = against(&material, 0.5).unwrap();
        assert!(prompt.contains("A text by another.") && prompt.contains("Asked"), "{prompt}");
        assert!(!prompt.contains("An own text.") && !prompt.contains("invented"), "{prompt}");
        assert_eq!((weight, against(&material, 1e9).unwrap().1), (0.5, MOST_CONTRAST));
        assert!([0.0, -1.0, f32::NAN].iter().all(|&none| against(&material, none).is_none()));
        // There is nothing of the person in what was invented for them, and nothing but one word in a rating.
        material.history.truncate(1);
        assert_eq!(against(&material, 0.5), None);
        material.history.push(shown("An own text.", false));
        material.task = Task::Title;
        assert_eq!(against(&material, 0.5), None);
        // What does not fit beside is left out of it; a request that does not is written as it is.
        material.task = Task::Text;
        material.neighbours = vec![shown(&"word ".repeat(60), false); 9];
        assert!(against(&material, 0.5).unwrap().0.len() < BESIDE_TOKENS + 100);
        material.ask.title = Some("asked ".repeat(160));
        assert_eq!(against(&material, 0.5), None);
    }
}
