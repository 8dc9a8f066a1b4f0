//! Synthetic interactions: texts in the user's style about predicted items.
//!
//! Each text is generated after a reasoning path, conditioned on the user's history and on other
//! users' texts about the item. A [`gate`] rejects harmful texts and returns the reason.

use std::{cell::RefCell, collections::VecDeque};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    constraint::{constraint, copied, whole},
    gate::{Refusal, gate},
    output::{WriteOptions, Written},
    request,
};
use crate::{
    Error,
    context::topics::Topics,
    hash::hash,
    history::{Interaction, Record},
    llm::{Completion, Decoder, Event, Model, OnEvent, Request, RequestSource, Sampling, Stop, common_prefix},
    prompt::{Example, PromptInputs},
    text,
};

/// Maximum number of further tries for an item if all its candidates are rejected.
const RETRIES: u32 = 3;

/// A synthetic interaction to generate.
#[derive(Debug, Clone, PartialEq)]
pub struct SyntheticJob {
    /// The item's id.
    pub item: String,
    /// The inputs of the prompt.
    pub inputs: PromptInputs,
    /// The word weights that decide whether a text is about the item.
    pub topics: Topics,
    /// Seed for sampling, mixed with the item's id.
    pub seed: u32,
}

impl SyntheticJob {
    /// Returns a key that differs between jobs with different inputs or options.
    pub(crate) fn key(&self, model: &str, options: &Options) -> String {
        let Options { write, candidates, .. } = options;
        let all = format!("{model}\n{}\n{:?}\n{}\n{write:?}\n{candidates}", self.item, self.inputs, self.seed);
        text::hex(&Sha256::digest(all.as_bytes()))
    }

    fn seed(&self, round: u32) -> u32 {
        hash(&format!("{}\n{}\n{round}", self.item, self.seed)) as u32
    }
}

/// A rejected synthetic text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    /// The item's id.
    pub item: String,
    /// The rejected text.
    pub written: Written,
    /// The reason for rejecting it.
    pub reason: Refusal,
}

/// The outcome of one synthetic job.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Attempt {
    /// The record, if a text passed the gate.
    pub kept: Option<Record>,
    /// The rejected texts.
    pub refused: Vec<Refused>,
    /// Number of generated tokens.
    pub tokens: usize,
}

/// Options for augmentation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Options for each text.
    pub write: WriteOptions,
    /// Number of candidates per item. Of the candidates that pass the gate, the one with the
    /// highest mean log-probability per token is kept.
    pub candidates: usize,
    /// Maximum number of tokens of all texts. No text starts that could exceed it.
    pub max_new_tokens: Option<usize>,
}

impl From<WriteOptions> for Options {
    fn from(write: WriteOptions) -> Self {
        Self { write, candidates: 1, max_new_tokens: None }
    }
}

/// Generates one synthetic interaction per job, all jobs together.
///
/// If every candidate is rejected, up to three more follow, each with another seed. Returns one
/// attempt per job, in order, or `None` for jobs beyond the token budget. The outcome of a job does
/// not depend on the others. `finished` is called with every attempt as soon as it is complete.
///
/// # Errors
/// [`Error::Cancelled`], [`crate::llm::LlmError`].
pub fn write(
    decoder: &mut Decoder<'_>,
    jobs: &[SyntheticJob],
    options: &Options,
    finished: &mut dyn FnMut(usize, &Attempt),
    on_event: OnEvent<'_>,
) -> Result<Vec<Option<Attempt>>, Error> {
    let candidates = options.candidates.max(1) as u32;
    // All candidates of an item come before the next item, because they share a prompt.
    let open = (0..jobs.len()).flat_map(|job| (0..candidates).map(move |candidate| (job, candidate))).collect();
    let given = RefCell::new(Vec::new());
    let mut writing = Writing {
        model: decoder.model(),
        jobs,
        options,
        open,
        given: &given,
        reserved: 0,
        spent: 0,
        progress: vec![Progress { outstanding: candidates, ..Progress::default() }; jobs.len()],
        finished,
    };
    decoder.run_feed(&mut writing, &mut |e| {
        let request = given.borrow().get(e.request).map_or(0, |&(job, _)| job);
        on_event(Event { request, ..e })
    })?;
    Ok(writing.progress.into_iter().map(|p| (p.outstanding == 0).then_some(p.attempt)).collect())
}

/// Returns the context that a decoder needs for these jobs, and the length of their common prefix,
/// in tokens.
pub(crate) fn room(model: &Model, jobs: &[SyntheticJob], options: &WriteOptions) -> (usize, usize) {
    let prompts: Vec<_> = jobs.iter().map(|job| request::request(model, &job.inputs, options).prompt).collect();
    let longest = prompts.iter().map(Vec::len).max().unwrap_or(0);
    let Some((first, others)) = prompts.split_first() else { return (options.context(), 0) };
    let shared = others.iter().map(|p| common_prefix(first, p)).min().unwrap_or(0);
    (options.context() - options.max_prompt_tokens + longest, shared)
}

/// The progress of one job.
#[derive(Debug, Clone, Default)]
struct Progress {
    attempt: Attempt,
    /// Score and number of the kept candidate.
    best: f64,
    candidate: u32,
    /// Number of further tries after all candidates were rejected.
    retries: u32,
    /// Number of candidates in progress.
    outstanding: u32,
    /// Retrieved texts that refused candidates copied. Retries do not show them.
    copied: Vec<Example>,
}

impl Progress {
    fn rank(&self) -> (f64, i64) {
        (self.best, -i64::from(self.candidate))
    }

    /// Returns the request of the next candidate. The history stays whole: all candidates share the
    /// KV cache of their common prefix. The constraint is that of all texts.
    fn request(&self, model: &Model, inputs: &PromptInputs, options: &WriteOptions) -> Request {
        if self.copied.is_empty() {
            return request::request(model, inputs, options);
        }
        let mut less = inputs.clone();
        less.neighbours.retain(|neighbour| !self.copied.contains(neighbour));
        let mut request = request::request(model, &less, options);
        let constraint = constraint(inputs);
        for phase in request.phases.iter_mut().filter(|phase| phase.no_repeat.is_some()) {
            phase.no_repeat.clone_from(&constraint);
        }
        request
    }
}

/// The decoder's request source during augmentation.
struct Writing<'a> {
    model: &'a Model,
    jobs: &'a [SyntheticJob],
    options: &'a Options,
    /// Open candidates: the job, and the candidate's number, which selects its seed.
    open: VecDeque<(usize, u32)>,
    given: &'a RefCell<Vec<(usize, u32)>>,
    /// Maximum number of tokens of the texts in progress.
    reserved: usize,
    spent: usize,
    progress: Vec<Progress>,
    finished: &'a mut dyn FnMut(usize, &Attempt),
}

impl RequestSource for Writing<'_> {
    fn next(&mut self) -> Option<Request> {
        let most = self.options.write.most_written();
        let budget = self.options.max_new_tokens.unwrap_or(usize::MAX);
        if self.spent + self.reserved + most > budget {
            return None;
        }
        let (job, candidate) = self.open.pop_front()?;
        self.reserved += most;
        self.given.borrow_mut().push((job, candidate));
        let sampling = self.options.write.sampling.unwrap_or(Sampling::VARIED);
        let write = self.options.write.with_sampling(sampling.with_seed(self.jobs[job].seed(candidate)));
        Some(self.progress[job].request(self.model, &self.jobs[job].inputs, &write))
    }

    fn done(&mut self, number: usize, completion: Completion) {
        let (job, candidate) = self.given.borrow()[number];
        let SyntheticJob { item, inputs, topics, .. } = &self.jobs[job];
        let written = request::read(inputs, &completion);
        self.reserved -= self.options.write.most_written();
        self.spent += written.tokens;
        let progress = &mut self.progress[job];
        progress.attempt.tokens += written.tokens;
        progress.outstanding -= 1;
        let score = written.log_prob;
        // A text that ended before a repetition is incomplete.
        let whole = completion.phases.iter().all(|phase| phase.stop != Stop::Repeated);
        let judged = if whole { gate(&written, inputs, topics) } else { Err(Refusal::Repeated) };
        progress.copied.extend(completion.phases.last().and_then(|phase| copied_neighbour(inputs, phase.source)));
        match judged {
            // Ties go to the earlier candidate, so that the result does not depend on the order of
            // completion.
            Ok(()) if progress.attempt.kept.is_none() || (score, -i64::from(candidate)) > progress.rank() => {
                (progress.best, progress.candidate) = (score, candidate);
                progress.attempt.kept = Some(synthetic_record(item, inputs, written, &self.model.name()));
            }
            Ok(()) => {}
            Err(reason) => progress.attempt.refused.push(Refused { item: item.clone(), written, reason }),
        }
        let none_kept = progress.outstanding == 0 && progress.attempt.kept.is_none();
        if none_kept && progress.retries < RETRIES {
            let round = self.options.candidates.max(1) as u32 + progress.retries;
            progress.retries += 1;
            progress.outstanding = 1;
            // Runs next: finished items are kept if the call is cancelled.
            self.open.push_front((job, round));
        }
        if progress.outstanding == 0 {
            (self.finished)(job, &progress.attempt);
        }
    }
}

/// Returns the retrieved text with the given number in the constraint.
fn copied_neighbour(inputs: &PromptInputs, source: Option<usize>) -> Option<Example> {
    let text = copied(inputs, source)?;
    inputs.neighbours.iter().find(|neighbour| whole(neighbour) == text).cloned()
}

fn synthetic_record(item: &str, inputs: &PromptInputs, written: Written, model: &str) -> Record {
    let path = written.path.unwrap_or_default();
    let interaction = Interaction {
        item: item.to_owned(),
        item_title: inputs.ask.item_title.clone(),
        title: written.title.filter(|t| !t.is_empty()),
        text: written.text.unwrap_or_default(),
        rating: Some(f32::from(path.stance)),
        kind: inputs.kind.name.clone(),
        ..Interaction::default()
    };
    Record::synthetic(interaction, path, model)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{llm::LoadOptions, prompt::Task};

    #[test]
    fn a_retry_does_not_show_the_copied_text_and_still_must_not_repeat_it() {
        let dir = tempfile::tempdir().unwrap();
        let model = Model::load(locket_tests::tiny::write(dir.path()), LoadOptions::default()).unwrap();
        let shown = |text: &str| Example { text: text.into(), ..Example::default() };
        let inputs = PromptInputs {
            task: Task::Synthetic,
            reasoning: true,
            neighbours: vec![shown("Their first."), shown("It boils fast and pours without a drip.")],
            history: vec![shown("Mine.")],
            ..PromptInputs::default()
        };
        assert_eq!(copied_neighbour(&inputs, Some(1)).as_ref(), inputs.neighbours.get(1));
        assert_eq!((copied_neighbour(&inputs, Some(2)), copied_neighbour(&inputs, None)), (None, None));
        let options = WriteOptions::synthetic();
        let first = Progress::default().request(&model, &inputs, &options);
        let retry = Progress { copied: vec![inputs.neighbours[1].clone()], ..Progress::default() };
        let retry = retry.request(&model, &inputs, &options);
        let spelled = |request: &Request| {
            let mut bytes = Vec::new();
            request.prompt.iter().for_each(|&token| model.spell(token, &mut bytes));
            String::from_utf8(bytes).unwrap()
        };
        assert!(spelled(&first).contains("pours without") && !spelled(&retry).contains("pours without"));
        assert!(spelled(&retry).contains("Their first.") && spelled(&retry).contains("Mine."));
        let constraint = |request: &Request| request.phases.last().unwrap().no_repeat.clone();
        assert!(constraint(&first).is_some() && constraint(&retry) == constraint(&first));
    }
}
