//! Synthetic interactions for training: a model for mixed real and synthetic history must learn
//! from both (GraSPeR, section on reasoning alignment).

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Corpus, Draft, ExampleOptions, inputs};
use crate::{Error, Journal};
use locket::{
    Model, Pack, Record, Task, WriteOptions, author_key,
    internals::{
        context::{self, ContextBuilder, NEIGHBOURS, Target, selection::matching_texts},
        generation::synthetic::{self, SyntheticJob},
        hash::spread,
        llm::{DecoderOptions, Event},
        output,
        predict::{Predictor, Query},
        prompt::Example,
    },
};
use locket_builder::BuildError;

/// Options of a synthesis.
#[derive(Debug, Clone, PartialEq)]
pub struct SynthesisOptions {
    /// Examples to generate for.
    pub examples: ExampleOptions,
    /// Number of synthetic interactions per example, as in an evaluation.
    pub each: usize,
    /// Percentage of examples with synthetic interactions.
    pub share: u64,
    /// Number of threads; 0 uses all that the machine has.
    pub threads: usize,
}

/// The synthetic interactions of one example.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    user: String,
    item: String,
    records: Vec<Record>,
}

/// Result of a synthesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Synthesized {
    /// Number of examples processed, including those without accepted interactions.
    pub examples: usize,
    /// Number of synthetic interactions that passed the gate.
    pub kept: usize,
}

/// Number of examples generated together.
const TOGETHER: usize = 16;

/// Writes to `out` synthetic interactions for a part of the examples of `files`. `model` writes
/// them for the items that the graph predicts from each history, as the engine does before
/// generation. [`super::examples`](fn@super::examples) puts them in front of the history. A later
/// call resumes an interrupted one.
///
/// # Errors
/// As [`super::examples`](fn@super::examples), and [`locket::LlmError`].
pub fn synthesize(
    files: &[PathBuf],
    model: &Model,
    options: &SynthesisOptions,
    out: &Path,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Synthesized, Error> {
    let out = &output::target(out, inputs(files, model, &options.examples))?;
    let corpus = Corpus::new(files, &options.examples, &mut || progress(0, 1))?;
    let drawn = |d: &&Draft| {
        let draw = spread(&format!("{}\n{}\nsynthetic\n{}", d.user, d.item, options.examples.seed)) >> 32;
        d.inputs.task != Task::Synthetic && draw % 100 < options.share
    };
    let drafts: Vec<&Draft> = corpus.drafts.iter().filter(drawn).collect();
    let settings = json!({
        "files": files, "model": model.name(), "weights": model.identity(), "options": format!("{options:?}"),
    });
    let mut journal = Journal::<Row>::open(Some(out), &settings)?;
    let known: HashSet<(String, String)> = journal.rows.iter().map(|r| (r.user.clone(), r.item.clone())).collect();
    let open: Vec<&Draft> =
        drafts.iter().copied().filter(|d| !known.contains(&(d.user.clone(), d.item.clone()))).collect();
    let write = WriteOptions::synthetic();
    let (sequences, threads) = (TOGETHER, options.threads);
    let mut decoder = model.decoder(DecoderOptions { sequences, threads, ..write.decoder() })?;
    let pack = corpus.pack.as_ref().ok_or(BuildError::Empty)?;
    let predictor = Predictor::new(pack);
    for group in open.chunks(TOGETHER) {
        let done = journal.rows.len();
        let mut jobs = Vec::new();
        let mut owners = Vec::new();
        for (n, draft) in group.iter().enumerate() {
            let these = jobs_of(pack, draft, &predictor, options);
            owners.extend(std::iter::repeat_n(n, these.len()));
            jobs.extend(these);
        }
        let mut alive = |_: Event<'_>| progress(done, drafts.len());
        let attempts = synthetic::write(&mut decoder, &jobs, &write.into(), &mut |_, _| (), &mut alive)?;
        let mut records: Vec<Vec<Record>> = vec![Vec::new(); group.len()];
        for (owner, attempt) in owners.into_iter().zip(attempts.into_iter().flatten()) {
            records[owner].extend(attempt.kept);
        }
        for (draft, records) in group.iter().zip(records) {
            journal.push(Row { user: draft.user.clone(), item: draft.item.clone(), records })?;
        }
        if progress(journal.rows.len(), drafts.len()).is_break() {
            return Err(locket::Error::Cancelled.into());
        }
    }
    let kept = journal.rows.iter().map(|r| r.records.len()).sum();
    Ok(Synthesized { examples: journal.rows.len(), kept })
}

/// Returns one job for each of the items that are predicted next.
fn jobs_of(pack: &Pack, draft: &Draft, predictor: &Predictor<'_>, options: &SynthesisOptions) -> Vec<SyntheticJob> {
    let grounding = ContextBuilder::new(pack, Some(author_key(&draft.user)));
    let target = Target { item: &draft.item, ..Target::default() };
    let words = grounding.target_words(&target);
    let query =
        Query { target: pack.find(&draft.item), target_text: Some(&words), ..context::query(pack, &draft.history) };
    let items = context::predict_written(pack, predictor, &query, options.each);
    let seed = spread(&format!("{}\n{}", draft.user, options.examples.seed)) as u32;
    let job = |item| SyntheticJob {
        item: pack.item(item).to_owned(),
        inputs: grounding.synthetic(item, matching_texts(&draft.history, &words, NEIGHBOURS)),
        topics: grounding.topics(item, &draft.history),
        seed,
    };
    items.into_iter().map(job).collect()
}

impl Corpus<'_> {
    /// Puts the synthetic interactions in `file`, written by [`synthesize`], in front of their
    /// histories. Returns the number of examples with synthetic interactions.
    pub(super) fn mix(&mut self, file: &Path) -> Result<usize, Error> {
        let lines = std::fs::read_to_string(file).map_err(|e| locket::Error::io("read", file, e))?;
        let bad = |e: serde_json::Error| {
            locket::Error::Argument(format!("{} is no file of synthetic interactions: {e}", file.display()))
        };
        // The first line holds the settings.
        let rows: Vec<Row> = lines.lines().skip(1).map(serde_json::from_str).collect::<Result<_, _>>().map_err(bad)?;
        let rows: HashMap<(&str, &str), &Row> = rows.iter().map(|r| ((&r.user[..], &r.item[..]), r)).collect();
        let mut mixed = 0;
        for draft in self.drafts.iter_mut().filter(|d| d.inputs.task != Task::Synthetic) {
            let Some(row) = rows.get(&(&draft.user[..], &draft.item[..])) else { continue };
            let synthetic = row.records.iter().map(Example::from);
            draft.inputs.history.splice(0..0, synthetic);
            mixed += usize::from(!row.records.is_empty());
        }
        Ok(mixed)
    }
}
