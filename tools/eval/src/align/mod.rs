//! Alignment: training data that teaches a model to plan first and then write (GraSPeR, section on
//! reasoning alignment).
//!
//! # Overview
//! - [`ValidationSplit`] splits users into training and validation users.
//! - [`examples`](fn@examples) turns profiles into [`TrainingExample`]s. They hold the engine's own
//!   prompt tokens, for all tasks and kinds of writing, with and without plans, notes and drafts.
//! - [`synthesize`] generates synthetic interactions for them, which precede the histories.
//! - [`search`](fn@search) makes the same examples with golden paths: of several paths that the
//!   current model samples, the one that leads to the true text.
//! - [`ratings`](fn@ratings) fits a correction of a model's ratings.
//!
//! Every block of a prompt is an author's answer to the same kind of request. So each block is
//! learned as well, conditioned on the blocks before it: five times as many targets for the same
//! prefill. Texts by validation users are never learned, not even in another user's prompt.

mod draw;
mod example;
mod ratings;
mod search;
mod synthesis;

use std::{
    collections::HashSet,
    io::{BufWriter, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

pub use example::{Answer, TrainingExample, example};
pub use ratings::{Rated, ratings};
pub use search::{Judge, SearchOptions, Searched, search};
pub use synthesis::{SynthesisOptions, Synthesized, synthesize};

use crate::{Error, settings::ValidationSplit};
use draw::drawn;
use locket::{
    Interaction, Model, Pack, Task,
    internals::{
        context::NEIGHBOURS,
        hash::{hash, spread},
        llm::STARS,
        output,
        prompt::{PromptInputs, TEXT_WORDS},
        text,
    },
};
use locket_builder::{
    BuildError,
    pack::{BuildOptions, Holdout, build},
    profile::{Profile, Profiles},
};

/// Options of a set of examples.
#[derive(Debug, Clone, PartialEq)]
pub struct ExampleOptions {
    /// Validation users, to be held out.
    pub validation: ValidationSplit,
    /// Makes examples of the validation users instead, and learns no blocks of their prompts. They
    /// measure a loss that memorised texts do not lower.
    pub left_out: bool,
    /// Maximum number of examples per user: the target, and later texts of the history.
    pub per_person: usize,
    /// Percentage of examples that plan first.
    pub planned: u64,
    /// Percentage of examples of each task: text, title, rating, synthetic.
    pub tasks: [u64; 4],
    /// Percentage of the texts without a plan of their own whose request gives notes, a draft, or a
    /// plan. The others give nothing.
    pub given: [u64; 3],
    /// Maximum number of other users' texts in a prompt.
    pub neighbours: usize,
    /// Maximum number of tokens of a prompt, and of an answer's last phase.
    pub tokens: (usize, usize),
    /// A file of [`synthesize`], with synthetic interactions for some of the examples.
    pub synthetic: Option<PathBuf>,
    /// Maximum number of examples, drawn by the seed.
    pub limit: Option<usize>,
    /// Seed of every draw.
    pub seed: u64,
}

impl Default for ExampleOptions {
    fn default() -> Self {
        Self {
            validation: ValidationSplit(0.2),
            left_out: false,
            per_person: 6,
            planned: 70,
            tasks: [58, 14, 10, 18],
            given: [0, 0, 0],
            neighbours: NEIGHBOURS,
            tokens: (640, 200),
            synthetic: None,
            limit: None,
            seed: 1,
        }
    }
}

/// Summary of the examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Made {
    /// Number of training and of validation users.
    pub people: [usize; 2],
    /// Number of examples.
    pub examples: usize,
    /// Number of examples with synthetic interactions in their histories.
    pub mixed: usize,
    /// Total number of tokens.
    pub tokens: usize,
    /// Number of tokens to learn.
    pub learnt: usize,
}

/// Writes the examples of `files` to `out`, one line of JSON each. The graph is built with every
/// target held out.
///
/// # Errors
/// [`locket_builder::profile::ProfileError`], [`locket::PackError`], [`locket::Error::Io`],
/// [`locket::Error::Cancelled`].
pub fn examples(
    files: &[PathBuf],
    model: &Model,
    options: &ExampleOptions,
    out: &Path,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Made, Error> {
    let target = output::target(out, inputs(files, model, options))?;
    let corpus = Corpus::new(files, options, &mut || progress(0, 1))?;
    let io = |e| locket::Error::io("write", out, e);
    let mut file = BufWriter::new(output::scratch(&target).map_err(io)?);
    let mut made = Made { people: corpus.people, mixed: corpus.mixed, ..Made::default() };
    for draft in &corpus.drafts {
        let example = corpus.example(model, draft, &draft.answer, !options.left_out);
        made.count(&example);
        serde_json::to_writer(&mut file, &example).map_err(|e| io(e.into()))?;
        file.write_all(b"\n").map_err(io)?;
        if progress(made.examples, corpus.drafts.len()).is_break() {
            return Err(locket::Error::Cancelled.into());
        }
    }
    let scratch = file.into_inner().map_err(|e| io(e.into_error()))?;
    output::keep(scratch, &target).map_err(io)?;
    Ok(made)
}

/// Returns the input files of the examples.
fn inputs<'a>(files: &'a [PathBuf], model: &'a Model, options: &'a ExampleOptions) -> impl Iterator<Item = &'a Path> {
    files.iter().chain(&options.synthetic).map(PathBuf::as_path).chain([model.path()])
}

impl Made {
    fn count(&mut self, example: &TrainingExample) {
        self.examples += 1;
        self.tokens += example.tokens.len();
        self.learnt += example.learn.iter().map(ExactSizeIterator::len).sum::<usize>();
    }
}

/// A request with its true answer.
struct Draft {
    user: String,
    item: String,
    inputs: PromptInputs,
    answer: Answer,
    /// The part of the user's history in the prompt.
    history: Vec<Interaction>,
}

impl Draft {
    /// The true number of stars minus one, for a rating request.
    fn truth(&self) -> Option<usize> {
        let rating = self.answer.phases.last().filter(|_| self.inputs.task == Task::Rating)?;
        rating.parse::<usize>().ok()?.checked_sub(1).filter(|&n| n < STARS)
    }
}

/// All requests of some profiles that may be learned.
struct Corpus<'o> {
    drafts: Vec<Draft>,
    /// Number of training and of validation users.
    people: [usize; 2],
    taboo: HashSet<u64>,
    /// Number of drafts with synthetic interactions.
    mixed: usize,
    options: &'o ExampleOptions,
    /// The graph and the public texts; `None` if no text has an item.
    pack: Option<Pack>,
    _scratch: tempfile::TempDir,
}

impl<'o> Corpus<'o> {
    fn new(
        files: &[PathBuf],
        options: &'o ExampleOptions,
        alive: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Self, Error> {
        let scratch = tempfile::tempdir().map_err(|e| locket::Error::io("create", std::env::temp_dir(), e))?;
        let path = scratch.path().join("align.pack");
        let built =
            build(files, &path, &BuildOptions { holdout: Holdout::All, ..BuildOptions::default() }, |_| alive());
        let pack = match built {
            // Texts without items make no pack, and need none.
            Err(Error::Build(BuildError::Empty)) => None,
            built => built.and_then(|_| Ok(Some(Pack::open(&path)?)))?,
        };
        let taboo = if options.left_out { HashSet::new() } else { taboo(files, options.validation)? };
        let mut this = Self { drafts: Vec::new(), people: [0; 2], taboo, mixed: 0, options, pack, _scratch: scratch };
        for profile in Profiles::of_all(files) {
            let profile = profile?;
            let left_out = options.validation.validates(&profile.user);
            this.people[usize::from(left_out)] += 1;
            if left_out != options.left_out {
                continue;
            }
            for (answered, earlier) in moments(&profile, options.per_person) {
                let (inputs, answer, history) = drawn(this.pack.as_ref(), &profile.user, answered, earlier, options);
                if answer.phases.iter().all(|p| !p.is_empty()) && !this.taboo(&text::quoted(&answered.text, TEXT_WORDS))
                {
                    let (user, item) = (profile.user.clone(), answered.item.clone());
                    this.drafts.push(Draft { user, item, inputs, answer, history: history.to_vec() });
                }
            }
            if alive().is_break() {
                return Err(locket::Error::Cancelled.into());
            }
        }
        let key = |d: &Draft| spread(&format!("{}\n{}\n{}", d.user, d.item, options.seed));
        this.drafts.sort_by_cached_key(key);
        this.drafts.truncate(options.limit.unwrap_or(usize::MAX));
        if let Some(file) = &options.synthetic {
            this.mixed = this.mix(file)?;
        }
        Ok(this)
    }

    fn taboo(&self, review: &str) -> bool {
        self.taboo.contains(&hash(review))
    }

    /// Builds an example; with `blocks`, the prompt's own blocks are learned too.
    fn example(&self, model: &Model, draft: &Draft, answer: &Answer, blocks: bool) -> TrainingExample {
        let request = (draft.user.as_str(), &draft.inputs);
        example(model, request, answer, self.options.tokens.0, &|review| !blocks || self.taboo(review))
    }
}

/// Returns hashes of the texts that must not be learned, as they appear in prompts.
fn taboo(files: &[PathBuf], validation: ValidationSplit) -> Result<HashSet<u64>, Error> {
    let mut all = HashSet::new();
    for profile in Profiles::of_all(files) {
        let profile = profile?;
        if validation.validates(&profile.user) {
            all.extend(profile.interactions().map(|(i, _)| hash(&text::quoted(&i.text, TEXT_WORDS))));
        }
    }
    Ok(all)
}

/// Returns the texts of a user to learn, each with the earlier history: the target, then the latest
/// others.
fn moments(profile: &Profile, most: usize) -> impl Iterator<Item = (&Interaction, &[Interaction])> {
    let history = &profile.history;
    let later = (1..history.len()).rev().map(|n| (&history[n], &history[..n]));
    std::iter::once((&profile.target, &history[..])).chain(later).take(most)
}

#[cfg(test)]
mod tests;
