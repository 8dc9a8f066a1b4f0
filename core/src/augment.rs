//! Synthetic interactions: what this person would write about items they would meet next.
//!
//! Each is written reasoning first, grounded in the person's own texts and other people's texts on the
//! item. A [`gate`] then refuses what would do harm in a prompt, and says why.

use std::{cell::RefCell, collections::VecDeque};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    Error,
    generate::{self, WriteOptions, Written},
    interaction::{Interaction, Origin, Record},
    llm::{Completion, Decoder, Event, Feed, Model, OnEvent, Request, common_prefix},
    pack::hash,
    prompt::{Example, Material},
    reason, text,
};

/// Why a synthetic text was refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Fewer than [`MIN_WORDS`] words.
    Empty,
    /// The path did not keep to its grammar.
    NoPath,
    /// It repeats itself: this share of its word pairs are distinct.
    Loop(f32),
    /// This share of its runs of [`COPY_RUN`] words stands in a text that it was shown.
    Copy(f32),
    /// The path says this many stars and the words say the opposite.
    OffStance(u8),
    /// It contains a label of the prompt's own format.
    Format,
}

impl Refusal {
    /// One word for counting.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NoPath => "no_path",
            Self::Loop(_) => "loop",
            Self::Copy(_) => "copy",
            Self::OffStance(_) => "off_stance",
            Self::Format => "format",
        }
    }
}

/// One synthetic interaction to write.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The item's id.
    pub item: String,
    /// What the prompt is made of.
    pub material: Material,
    /// Seed of sampling, mixed with the item's id.
    pub seed: u32,
}

impl Job {
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

/// Writes one synthetic interaction per job, all together; where every candidate is refused, one more is tried with another
/// seed. One attempt per job, in order; none for a job that the token budget did not allow. What one job gets does not
/// depend on the others. `finished` hears of every attempt as soon as it is over.
///
/// # Errors
/// [`Error::Cancelled`], [`crate::llm::LlmError`].
pub fn write(
    decoder: &mut Decoder<'_>,
    jobs: &[Job],
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
pub(crate) fn room(model: &Model, jobs: &[Job], options: &WriteOptions) -> (usize, usize) {
    let prompts: Vec<_> = jobs.iter().map(|job| generate::request(model, &job.material, options).prompt).collect();
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
    /// Whether one more was tried because all were refused.
    retried: bool,
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
    jobs: &'a [Job],
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

impl Feed for Writing<'_> {
    fn next(&mut self) -> Option<Request> {
        let most = self.options.write.most_written();
        let budget = self.options.max_tokens.unwrap_or(usize::MAX);
        if self.spent + self.reserved + most > budget {
            return None;
        }
        let (job, candidate) = self.open.pop_front()?;
        self.reserved += most;
        self.given.borrow_mut().push((job, candidate));
        let Job { material, .. } = &self.jobs[job];
        let sampling = self.options.write.sampling.with_seed(self.jobs[job].seed(candidate));
        Some(generate::request(self.model, material, &WriteOptions { sampling, ..self.options.write }))
    }

    fn done(&mut self, number: usize, completion: Completion) {
        let (job, candidate) = self.given.borrow()[number];
        let Job { item, material, .. } = &self.jobs[job];
        let written = generate::read(material, &completion);
        self.reserved -= self.options.write.most_written();
        self.spent += written.tokens;
        let progress = &mut self.progress[job];
        progress.attempt.tokens += written.tokens;
        progress.outstanding -= 1;
        let shown: Vec<Example> = material.neighbours.iter().chain(&material.history).cloned().collect();
        let score = written.log_prob;
        match gate(&written, &shown) {
            // Of equals the earlier candidate, whichever is done first: so that it does not depend on the others.
            Ok(()) if progress.attempt.kept.is_none() || (score, -i64::from(candidate)) > progress.rank() => {
                (progress.best, progress.candidate) = (score, candidate);
                progress.attempt.kept = Some(synthetic_record(item, material, written, &self.model.name()));
            }
            Ok(()) => {}
            Err(reason) => progress.attempt.refused.push(Refused { item: item.clone(), written, reason }),
        }
        let none_kept = progress.outstanding == 0 && progress.attempt.kept.is_none();
        if none_kept && !progress.retried {
            progress.retried = true;
            progress.outstanding = 1;
            self.open.push_back((job, self.options.candidates.max(1) as u32));
        }
        if progress.outstanding == 0 {
            (self.finished)(job, &progress.attempt);
        }
    }
}

fn synthetic_record(item: &str, material: &Material, written: Written, model: &str) -> Record {
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

/// Fewest words of a synthetic text.
pub const MIN_WORDS: usize = 4;
/// Length of the word runs that count as copied.
pub const COPY_RUN: usize = 6;
/// Largest share of copied runs.
pub const MAX_COPIED: f32 = 0.25;
/// Smallest share of distinct word pairs.
pub const MIN_DISTINCT: f32 = 0.6;

/// Whether a synthetic text may be kept.
///
/// # Errors
/// The first reason against it.
pub fn gate(written: &Written, shown: &[Example]) -> Result<(), Refusal> {
    let path = written.path.as_ref().ok_or(Refusal::NoPath)?;
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
    let copied = copied_share(&words, shown.iter().map(|e| e.text.as_str()), COPY_RUN);
    if copied > MAX_COPIED {
        return Err(Refusal::Copy(copied));
    }
    let feeling = reason::sentiment(body).unwrap_or(0);
    if (path.stance >= 4 && feeling <= -2) || (path.stance <= 2 && feeling >= 2) {
        return Err(Refusal::OffStance(path.stance));
    }
    Ok(())
}

/// The share of runs of `n` words that are distinct (1 for texts shorter than a run): distinct-n.
pub fn distinct_share(words: &[String], n: usize) -> f32 {
    let all = words.windows(n).count();
    let distinct: std::collections::HashSet<_> = words.windows(n).collect();
    if all == 0 { 1.0 } else { distinct.len() as f32 / all as f32 }
}

/// The share of `words`' runs of `n` that stand in one of the sources (0 for texts shorter than a run).
pub fn copied_share<'a>(words: &[String], sources: impl Iterator<Item = &'a str>, n: usize) -> f32 {
    let all = words.windows(n).count();
    if all == 0 {
        return 0.0;
    }
    let sources: Vec<Vec<String>> = sources.map(|s| text::words(s).collect()).collect();
    let known: std::collections::HashSet<&[String]> = sources.iter().flat_map(|s| s.windows(n)).collect();
    words.windows(n).filter(|run| known.contains(*run)).count() as f32 / all as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::ReasoningPath;

    fn verdict(text: &str, stance: u8) -> Result<(), Refusal> {
        let path = Some(ReasoningPath { stance, ..Default::default() });
        let shown = [Example { text: "the handle came off after two days of normal use".into(), ..Default::default() }];
        gate(&Written { path, text: Some(text.into()), ..Default::default() }, &shown)
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
        assert_eq!(gate(&no_path, &[]), Err(Refusal::NoPath));
    }
}
