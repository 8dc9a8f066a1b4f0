//! Synthetic interactions: what this person would write about items they would meet next.
//!
//! Each is written reasoning first, grounded in the person's own texts and other people's texts on the
//! item. A [`gate`] refuses those that would do harm in a prompt, with the reason.

use std::{cell::RefCell, collections::VecDeque};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    gate::{Refusal, gate},
    output::{WriteOptions, Written},
    request,
};
use crate::{
    Error,
    context::topics::Topics,
    hash::hash,
    history::{Interaction, Origin, Record},
    llm::{Completion, Decoder, Event, Model, OnEvent, Request, RequestSource, Stop, common_prefix},
    prompt::PromptInputs,
    text,
};

/// Most times that an item's text is tried again where all candidates were refused.
const RETRIES: u32 = 3;

/// One synthetic interaction to write.
#[derive(Debug, Clone, PartialEq)]
pub struct SyntheticJob {
    /// The item's id.
    pub item: String,
    /// What the prompt is made of.
    pub material: PromptInputs,
    /// What tells whether a text is about the item.
    pub topics: Topics,
    /// Seed of sampling, mixed with the item's id.
    pub seed: u32,
}

impl SyntheticJob {
    /// Differs between jobs that could be written differently.
    pub(crate) fn key(&self, model: &str, options: &Options) -> String {
        let Options { write, candidates, .. } = options;
        let all = format!("{model}\n{}\n{:?}\n{}\n{write:?}\n{candidates}", self.item, self.material, self.seed);
        text::hex(&Sha256::digest(all.as_bytes()))
    }

    fn seed(&self, round: u32) -> u32 {
        hash(&format!("{}\n{}\n{round}", self.item, self.seed)) as u32
    }
}

/// A synthetic text that was not kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    /// The item's id.
    pub item: String,
    /// What was written.
    pub written: Written,
    /// Why it was not kept.
    pub reason: Refusal,
}

/// What became of one synthetic interaction.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Attempt {
    /// The record, if a text passed the gate.
    pub kept: Option<Record>,
    /// Texts that did not.
    pub refused: Vec<Refused>,
    /// Tokens written.
    pub tokens: usize,
}

/// How to augment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// How each text is written.
    pub write: WriteOptions,
    /// Texts per item, of which the one is kept that passes the gate and has the highest mean log-probability of a token.
    pub candidates: usize,
    /// Most tokens of all texts: none is begun that could go beyond.
    pub max_tokens: Option<usize>,
}

impl From<WriteOptions> for Options {
    fn from(write: WriteOptions) -> Self {
        Self { write, candidates: 1, max_tokens: None }
    }
}

/// Writes one synthetic interaction per job, all together; where every candidate is refused, up to three more are tried, each with
/// another seed. One attempt per job, in order; none for a job that the token budget did not allow. What one job gets does not
/// depend on the others. `finished` hears of every attempt as soon as it is over.
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
    // All of an item's candidates before the next item's: their prompts are the same.
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

/// The context that a decoder needs for these jobs, and how many tokens all of them begin with.
pub(crate) fn room(model: &Model, jobs: &[SyntheticJob], options: &WriteOptions) -> (usize, usize) {
    let prompts: Vec<_> = jobs.iter().map(|job| request::request(model, &job.material, options).prompt).collect();
    let longest = prompts.iter().map(Vec::len).max().unwrap_or(0);
    let Some((first, others)) = prompts.split_first() else { return (options.context(), 0) };
    let shared = others.iter().map(|p| common_prefix(first, p)).min().unwrap_or(0);
    (options.context() - options.prompt_tokens + longest, shared)
}

/// One job's state.
#[derive(Debug, Clone, Default)]
struct Progress {
    attempt: Attempt,
    /// Score and number of the kept candidate.
    best: f64,
    candidate: u32,
    /// How many more were tried because all were refused.
    retries: u32,
    /// Texts that are still to come.
    outstanding: u32,
}

impl Progress {
    fn rank(&self) -> (f64, i64) {
        (self.best, -i64::from(self.candidate))
    }
}

/// What a decoder is fed while it augments.
struct Writing<'a> {
    model: &'a Model,
    jobs: &'a [SyntheticJob],
    options: &'a Options,
    /// Jobs and the number of the candidate, which is the round of its seed.
    open: VecDeque<(usize, u32)>,
    given: &'a RefCell<Vec<(usize, u32)>>,
    /// Tokens that the texts in progress may take.
    reserved: usize,
    spent: usize,
    progress: Vec<Progress>,
    finished: &'a mut dyn FnMut(usize, &Attempt),
}

impl RequestSource for Writing<'_> {
    fn next(&mut self) -> Option<Request> {
        let most = self.options.write.most_written();
        let budget = self.options.max_tokens.unwrap_or(usize::MAX);
        if self.spent + self.reserved + most > budget {
            return None;
        }
        let (job, candidate) = self.open.pop_front()?;
        self.reserved += most;
        self.given.borrow_mut().push((job, candidate));
        let SyntheticJob { material, .. } = &self.jobs[job];
        let sampling = self.options.write.sampling.with_seed(self.jobs[job].seed(candidate));
        Some(request::request(self.model, material, &WriteOptions { sampling, ..self.options.write }))
    }

    fn done(&mut self, number: usize, completion: Completion) {
        let (job, candidate) = self.given.borrow()[number];
        let SyntheticJob { item, material, topics, .. } = &self.jobs[job];
        let written = request::read(material, &completion);
        self.reserved -= self.options.write.most_written();
        self.spent += written.tokens;
        let progress = &mut self.progress[job];
        progress.attempt.tokens += written.tokens;
        progress.outstanding -= 1;
        let score = written.log_prob;
        // A text that ended in front of a repetition is no whole one.
        let whole = completion.phases.iter().all(|phase| phase.stop != Stop::Repeated);
        let judged = if whole { gate(&written, material, topics) } else { Err(Refusal::Repeated) };
        match judged {
            // Of equals the earlier candidate, whichever is done first: so that it does not depend on the others.
            Ok(()) if progress.attempt.kept.is_none() || (score, -i64::from(candidate)) > progress.rank() => {
                (progress.best, progress.candidate) = (score, candidate);
                progress.attempt.kept = Some(synthetic_record(item, material, written, &self.model.name()));
            }
            Ok(()) => {}
            Err(reason) => progress.attempt.refused.push(Refused { item: item.clone(), written, reason }),
        }
        let none_kept = progress.outstanding == 0 && progress.attempt.kept.is_none();
        if none_kept && progress.retries < RETRIES {
            let round = self.options.candidates.max(1) as u32 + progress.retries;
            progress.retries += 1;
            progress.outstanding = 1;
            // At once: an item that is finished is kept if the call is stopped.
            self.open.push_front((job, round));
        }
        if progress.outstanding == 0 {
            (self.finished)(job, &progress.attempt);
        }
    }
}

fn synthetic_record(item: &str, material: &PromptInputs, written: Written, model: &str) -> Record {
    let path = written.path.unwrap_or_default();
    let interaction = Interaction {
        item: item.to_owned(),
        item_title: material.ask.item_title.clone(),
        category: None,
        title: written.title.filter(|t| !t.is_empty()),
        text: written.text.unwrap_or_default(),
        rating: Some(f32::from(path.stance)),
        time: None,
    };
    Record { interaction, origin: Origin::Synthetic { path, model: model.to_owned() } }
}
