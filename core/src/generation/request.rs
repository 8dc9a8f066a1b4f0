//! Conversion of prompt inputs to a decoder's request, and of its completion to a text, title or
//! rating.

use std::sync::Arc;

use super::{
    constraint,
    form::Form,
    output::{CONTRAST_PROMPT_TOKENS, MOST_CONTRAST, PATH_TOKENS, TITLE_TOKENS, WriteOptions, Written},
};
use crate::{
    llm::{
        Calibration, Completion, Contrast, Given, Model, Notes, OnRepeat, Phase, Prompt, Request, Stars, Stop,
        common_prefix,
    },
    plan,
    prompt::{PromptInputs, Task},
    text,
};

/// A partly written output to continue.
#[derive(Debug, Clone, Default)]
pub(crate) struct Begun {
    /// The texts of the finished phases.
    pub(crate) done: Vec<String>,
    /// The beginning of the current phase's text.
    pub(crate) text: String,
}

/// Returns the decoder's request for these inputs.
pub fn request(model: &Model, inputs: &PromptInputs, options: &WriteOptions) -> Request {
    request_with_prefix(model, inputs, options, None).0
}

/// Returns the request and the number of prompt tokens that hold the user's history. With `begun`,
/// the request covers the rest of the output.
pub(crate) fn request_with_prefix(
    model: &Model,
    inputs: &PromptInputs,
    options: &WriteOptions,
    begun: Option<&Begun>,
) -> (Request, usize) {
    let mut prompt = inputs.compose(model, options.max_prompt_tokens);
    let mut kinds = Vec::new();
    if inputs.reasoning {
        kinds.push((Some(plan::grammar(inputs.length(), inputs.kind.rated, None)), PATH_TOKENS));
    }
    match inputs.task {
        Task::Text => kinds.push((inputs.ask.grammar.clone(), options.max_new_tokens)),
        Task::Title => kinds.push((None, TITLE_TOKENS)),
        Task::Rating => kinds.push((Some("root ::= \" \" [1-5]".to_owned()), 2)),
        Task::Synthetic => kinds.extend([(None, TITLE_TOKENS), (None, options.max_new_tokens)]),
    }
    let last = inputs.phases() - 1;
    // The grammar of a structured text decides where it ends.
    let free = inputs.ask.grammar.is_none();
    let (no_repeat, planned) = (constraint::constraint(inputs).filter(|_| free), usize::from(inputs.reasoning));
    let content = inputs.ask.content().filter(|_| inputs.task == Task::Text && free);
    let notes = content.and_then(|content| Notes::new(model, &content)).map(Arc::new);
    let own_words = inputs.task == Task::Text && free;
    let given = own_words.then(|| Arc::new(Given::new(&inputs.given(), &inputs.seen())));
    let phases = kinds.into_iter().enumerate().map(|(n, (grammar, max_new_tokens))| Phase {
        // The first lead ends the prompt. Each later lead follows a finished line.
        lead: if n == 0 { String::new() } else { format!("\n{}", inputs.lead(n)) },
        grammar,
        stop: if free { inputs.stops() } else { Vec::new() },
        // At most half of the limit: a text that must fill the limit could not end with a sentence.
        // At least one token: a sampled text could be empty.
        min_new_tokens: if n == last && free { inputs.min_new_tokens().min(max_new_tokens / 2).max(1) } else { 0 },
        no_repeat: no_repeat.clone().filter(|_| n >= planned),
        on_repeat: OnRepeat::End,
        before: String::new(),
        words: inputs.word_limit().filter(|_| n == last && free),
        notes: notes.clone().filter(|_| n == last),
        given: given.clone().filter(|_| n == last),
        stars: if inputs.task == Task::Rating && n == last { stars(model, inputs) } else { None },
        max_new_tokens,
        sampling: options.sampling_for(inputs),
    });
    let mut phases: Vec<Phase> = phases.collect();
    let body = prompt.body[..inputs.stable_bytes(&prompt.body)].to_owned();
    let stable = Prompt { body, lead: String::new() };
    if let Some(begun) = begun {
        prompt.lead = go_on(model, inputs, begun, &mut phases);
    }
    let tokens = model.prompt_tokens(&prompt);
    // The tokens at the cut may differ from the tokens of the whole prompt.
    let stable = common_prefix(&model.prompt_tokens(&stable), &tokens);
    let contrast = contrast(model, inputs, options, begun.map(|_| prompt.lead.as_str()));
    (Request { prompt: tokens, phases, deadline: None, boundary: None, contrast }, stable)
}

/// Returns the tokens of the ratings, calibrated for the pack's population if it was measured with
/// these weights.
fn stars(model: &Model, inputs: &PromptInputs) -> Option<Stars> {
    let fit = inputs.rating.as_ref().filter(|fit| model.identity() == Some(fit.weights.as_str()));
    let numbers = fit.map(|fit| fit.numbers.iter().map(|n| *n as f32).collect::<Vec<f32>>());
    let calibration = numbers.and_then(|numbers| Calibration::of_numbers(&numbers));
    let stars = model.stars()?;
    Some(Stars { calibration: calibration.unwrap_or(stars.calibration), ..stars })
}

/// Removes the finished phases from `phases`, and returns the lead with all text written so far.
fn go_on(model: &Model, inputs: &PromptInputs, begun: &Begun, phases: &mut Vec<Phase>) -> String {
    let mut lead = String::new();
    for (n, done) in begun.done.iter().enumerate() {
        lead.push_str(&format!("{}{done}\n", inputs.lead(n)));
    }
    lead.push_str(&inputs.lead(begun.done.len()));
    lead.push_str(&begun.text);
    phases.drain(..begun.done.len().min(phases.len()));
    if let Some(phase) = phases.first_mut() {
        let written = model.tokens(&begun.text).len();
        phase.lead.clear();
        phase.before.clone_from(&begun.text);
        phase.max_new_tokens = phase.max_new_tokens.saturating_sub(written).max(1);
        phase.min_new_tokens = phase.min_new_tokens.saturating_sub(written).min(phase.max_new_tokens / 2);
    }
    lead
}

/// Returns the contrast branch: the same inputs without history. Returns `None` if the user has no
/// history, or if the prompt is too long.
///
/// The retrieved texts stay in the contrast prompt, because amplifying them too makes texts worse.
/// `lead` replaces the usual lead.
fn contrast(model: &Model, inputs: &PromptInputs, options: &WriteOptions, lead: Option<&str>) -> Option<Contrast> {
    let wanted = options.contrast > 0.0 && inputs.task == Task::Text && inputs.own().next().is_some();
    let without = wanted.then(|| PromptInputs {
        task: inputs.task,
        kind: inputs.kind.clone(),
        language: inputs.language,
        reasoning: inputs.reasoning,
        neighbours: inputs.neighbours.clone(),
        ask: inputs.ask.clone(),
        ..PromptInputs::default()
    })?;
    let mut prompt = without.compose(model, CONTRAST_PROMPT_TOKENS);
    if let Some(lead) = lead {
        prompt.lead = lead.to_owned();
    }
    let prompt = model.prompt_tokens(&prompt);
    (prompt.len() <= CONTRAST_PROMPT_TOKENS).then_some(Contrast { prompt, weight: options.contrast.min(MOST_CONTRAST) })
}

/// Reads the completion of [`request`].
pub fn read(inputs: &PromptInputs, completion: &Completion) -> Written {
    let mut written = Written { tokens: completion.phases.iter().map(|p| p.tokens).sum(), ..Written::default() };
    let mut phases = completion.phases.iter();
    written.path.clone_from(&inputs.ask.plan);
    if inputs.reasoning {
        written.path = phases.next().and_then(|p| p.text.parse().ok());
    }
    if let Some(last) = completion.phases.last() {
        written.log_prob = last.log_prob / last.tokens.max(1) as f64;
    }
    match inputs.task {
        Task::Text if inputs.ask.grammar.is_some() => written.text = phases.next().map(|p| p.text.trim().to_owned()),
        Task::Text => written.text = phases.next().map(|p| inputs.prose(&p.text, p.stop)),
        Task::Title => written.title = phases.next().map(|p| text::one_line(&p.text)),
        Task::Rating => written.rating = phases.next().and_then(|p| p.text.trim().parse().ok()),
        Task::Synthetic => {
            written.title = phases.next().map(|p| text::one_line(&p.text));
            written.text = phases.next().map(|p| inputs.prose(&p.text, p.stop));
            written.rating = written.path.as_ref().map(|p| p.stance);
        }
    }
    written
}

impl PromptInputs {
    /// Returns the text of a raw output in its form. A text cut off
    /// by a limit or a deadline ends with its last whole sentence. Without one, it is clipped to the
    /// word limit, if there is one.
    fn prose(&self, written: &str, stop: Stop) -> String {
        let mut line = text::one_line(written);
        if matches!(stop, Stop::Length | Stop::Deadline) {
            let whole = text::whole_sentences(&line).to_owned();
            line = match self.word_limit() {
                // The limit stopped decoding at the first token of an extra word.
                Some(limit) if text::word_count(&whole) > limit.most => text::clip_words(&whole, limit.most),
                _ => whole,
            };
        }
        Form::of(self).finish(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        generation::candidates::tests::{inputs, shown},
        llm::LoadOptions,
        pack::RatingFit,
    };

    #[test]
    fn a_text_is_written_against_what_others_alone_would_have_it_say() {
        let dir = tempfile::tempdir().unwrap();
        let model = Model::load(locket_tests::tiny::write(dir.path()), LoadOptions::default()).unwrap();
        let mut inputs = inputs();
        let against = |m: &PromptInputs, contrast| {
            let contrast = request(&model, m, &WriteOptions { contrast, ..WriteOptions::default() }).contrast?;
            let mut bytes = Vec::new();
            contrast.prompt.iter().for_each(|&t| model.spell(t, &mut bytes));
            Some((String::from_utf8(bytes).unwrap(), contrast.weight))
        };
        let (prompt, weight) = against(&inputs, 0.5).unwrap();
        assert!(prompt.contains("A text by another.") && prompt.contains("Asked"), "{prompt}");
        assert!(!prompt.contains("An own text.") && !prompt.contains("invented"), "{prompt}");
        assert_eq!((weight, against(&inputs, 1e9).unwrap().1), (0.5, MOST_CONTRAST));
        assert!([0.0, -1.0, f32::NAN].iter().all(|&none| against(&inputs, none).is_none()));
        // Synthetic history is not by the user, and only the text task uses a contrast.
        inputs.history.truncate(1);
        assert_eq!(against(&inputs, 0.5), None);
        inputs.history.push(shown("An own text.", false));
        inputs.task = Task::Title;
        assert_eq!(against(&inputs, 0.5), None);
        // Examples that do not fit the contrast prompt are dropped. A request that does not fit has
        // no contrast.
        inputs.task = Task::Text;
        inputs.neighbours = vec![shown(&"word ".repeat(60), false); 9];
        assert!(against(&inputs, 0.5).unwrap().0.len() < CONTRAST_PROMPT_TOKENS + 100);
        inputs.ask.title = Some("asked ".repeat(160));
        assert_eq!(against(&inputs, 0.5), None);
    }

    #[test]
    fn a_population_calibrates_the_ratings_of_its_model_alone() {
        let dir = tempfile::tempdir().unwrap();
        let model = Model::load(locket_tests::tiny::write(dir.path()), LoadOptions::default()).unwrap();
        let numbers = vec![1.0, 9.0, 0.0, 0.0, 0.0, 0.0];
        let fit = |weights: &str| Some(RatingFit::new(numbers.clone(), weights, 60, [1.0, 0.9], [0.4, 0.3]));
        let bias = |rating: Option<RatingFit>| {
            let inputs = PromptInputs { task: Task::Rating, rating, ..PromptInputs::default() };
            let request = request(&model, &inputs, &WriteOptions::default());
            request.phases[0].stars.unwrap().calibration.bias[0]
        };
        assert_eq!(bias(fit(model.identity().unwrap())), 9.0);
        assert_eq!(bias(fit("another model")), bias(None));
    }
}
