//! Background generation of synthetic interactions for the user.

use std::{
    ops::ControlFlow,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{
    Engine, OWN_TEXTS, OnChunk,
    chunk::{SYNTHETIC, chunks},
};
use crate::{
    Error,
    context::{self, ContextBuilder, selection},
    engine::checkpoint::Checkpoint,
    generation::{
        form::Form,
        output::WriteOptions,
        synthetic::{self, Attempt, Refused},
    },
    history::Record,
    llm::{Decoder, DecoderOptions, Event, LlmError, Model, OnEvent, Priority},
    predict::Predictor,
    setters::setters,
};

/// Default number of texts decoded together. Larger batches gain little: the output projection onto
/// the vocabulary then takes most of the time.
const SEQUENCES: usize = 8;
/// Maximum number of tokens per llama.cpp call, which bounds how long a foreground call waits. 128
/// would prefill 7 % faster.
const BACKGROUND_BATCH: usize = 32;

/// The result of an augmentation.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[non_exhaustive]
pub struct Augmented {
    /// Synthetic records that passed the gate. They are in the store if `unfinished` is 0.
    pub kept: Vec<Record>,
    /// Texts that the gate refused, each with its reason.
    pub refused: Vec<Refused>,
    /// Number of generated tokens, including refused texts and resumed items.
    pub tokens: usize,
    /// Number of finished items, including refused and resumed ones.
    pub finished: usize,
    /// Number of items that an earlier, interrupted call had finished; 0 if the deadline ended this
    /// call.
    pub resumed: usize,
    /// Number of items that the deadline or the token budget left to the next call. The store stays
    /// unchanged while this is not 0.
    pub unfinished: usize,
}

/// Options of `Engine::augment`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AugmentOptions {
    /// Number of items.
    pub k: usize,
    /// Seed of the sampler.
    pub seed: u32,
    /// Candidate texts per item; the best one is kept, see [`synthetic::Options::candidates`].
    pub candidates: usize,
    /// Maximum number of texts decoded together, each in its own sequence of the KV cache. 0 means
    /// 8.
    pub sequences: usize,
    /// Maximum duration of the call. Items finished by then are kept for the next call.
    pub deadline: Option<Duration>,
    /// Maximum number of generated tokens. A text that could exceed it is left to the next call.
    pub max_new_tokens: Option<usize>,
}

setters!(AugmentOptions {
    with_seed => seed: u32,
    with_candidates => candidates: usize,
    with_sequences => sequences: usize,
    #[some] with_deadline => deadline: Duration,
    #[some] with_max_new_tokens => max_new_tokens: usize,
});

impl AugmentOptions {
    /// Creates options for `k` items, with defaults for the rest.
    pub fn new(k: usize) -> Self {
        Self { k, seed: 1, candidates: 1, sequences: 0, deadline: None, max_new_tokens: None }
    }

    fn writing(&self) -> synthetic::Options {
        synthetic::Options {
            write: WriteOptions::synthetic(),
            candidates: self.candidates,
            max_new_tokens: self.max_new_tokens,
        }
    }

    fn sequences(&self, jobs: usize) -> usize {
        let wanted = if self.sequences == 0 { SEQUENCES } else { self.sequences };
        wanted.min(jobs * self.candidates.max(1)).max(1)
    }
}

impl Engine {
    /// Generates synthetic interactions for up to `k` predicted items, which replace the earlier
    /// ones.
    ///
    /// If the gate refuses all of them, the earlier ones stay. The records do not change before the
    /// call returns. [`Chunk::item`](super::Chunk::item) is an index into the items that this call
    /// still has to generate.
    ///
    /// Finished texts go into a checkpoint. If a call is cancelled, reaches its deadline or dies
    /// with its process, the next call with the same options and history continues it.
    ///
    /// # Errors
    /// [`Error::MissingPack`], [`Error::MissingModel`]; [`Error::Cancelled`], also if a record was
    /// forgotten during the call; [`crate::store::StoreError::ReadOnly`]; [`crate::llm::LlmError`].
    pub fn augment(&self, options: &AugmentOptions, on_chunk: OnChunk<'_>) -> Result<Augmented, Error> {
        let (pack, worker) = (self.need_pack()?, self.need_model()?);
        self.store.need_writable()?;
        // Taken before the history is read, so that a record forgotten in between ends the lease.
        let checkpoint = Checkpoint::new(self.store.caches());
        let deadline = options.deadline.map(|d| Instant::now() + d);
        let real = self.real()?;
        let predictor = Predictor::new(pack);
        let items = context::predict_written(pack, &predictor, &context::query(pack, &real), options.k);
        let grounding = ContextBuilder::new(pack, self.me);
        let job = |&i: &u32| {
            let history = selection::own_texts(&real, pack.item_title(i).unwrap_or_default(), OWN_TEXTS);
            synthetic::SyntheticJob {
                item: pack.item(i).to_owned(),
                inputs: grounding.synthetic(i, history),
                topics: grounding.topics(i, &real),
                seed: options.seed,
            }
        };
        let jobs: Vec<synthetic::SyntheticJob> = items.iter().map(job).collect();
        let count = jobs.len();
        let how = options.writing();
        let decoder =
            DecoderOptions { batch: BACKGROUND_BATCH, ..self.decoder_options(&how.write, options.sequences(count)) };
        let jobs = Arc::new(jobs);
        let sized = jobs.clone();
        let decoder = move |model: &Model| {
            let (context, shared) = synthetic::room(model, &sized, &how.write);
            DecoderOptions { context, shared, ..decoder }
        };
        let mut late = false;
        let lease = checkpoint.lease().clone();
        let mut told = chunks(&SYNTHETIC, Form::default(), on_chunk);
        let mut on_event = |event: Event<'_>| {
            late = deadline.is_some_and(|d| Instant::now() >= d);
            if late || !lease.holds() { ControlFlow::Break(()) } else { told(event) }
        };
        // Set when the call's turn has come: the keys depend on the model.
        let keys = Arc::new(OnceLock::new());
        let (kept, theirs) = (checkpoint.clone(), keys.clone());
        let outcome = worker.call_with(Priority::Background, decoder, &mut on_event, move |decoder, on_event| {
            resume(decoder, &jobs, &how, &kept, &theirs, on_event)
        });
        let (attempts, resumed) = match outcome {
            Ok(outcome) => outcome,
            Err(Error::Cancelled | Error::Llm(LlmError::Cancelled)) if late => {
                // Takes only the attempts of this call: the file may still hold another call's.
                let mut finished = checkpoint.read();
                (keys.get().into_iter().flatten().map(|key: &String| finished.remove(key)).collect(), 0)
            }
            Err(e) => return Err(e),
        };
        let mut done = Augmented { resumed, ..Augmented::default() };
        for attempt in attempts.into_iter().flatten() {
            done.finished += 1;
            done.kept.extend(attempt.kept);
            done.refused.extend(attempt.refused);
            done.tokens += attempt.tokens;
        }
        done.unfinished = count - done.finished;
        if done.unfinished == 0 {
            if !done.kept.is_empty() && !self.store.replace_synthetic_under(checkpoint.lease(), &done.kept)? {
                return Err(Error::Cancelled);
            }
            checkpoint.clear();
        }
        Ok(done)
    }
}

/// The attempts of the jobs in order (`None` if unfinished), and the number finished by earlier
/// calls.
type Resumed = (Vec<Option<Attempt>>, usize);

/// Generates the texts that are missing in `checkpoint` and adds each attempt to it under its job's
/// key.
fn resume(
    decoder: &mut Decoder<'_>,
    jobs: &[synthetic::SyntheticJob],
    how: &synthetic::Options,
    checkpoint: &Checkpoint,
    keys: &OnceLock<Vec<String>>,
    on_event: OnEvent<'_>,
) -> Result<Resumed, Error> {
    let model = decoder.model().identity().map_or_else(|| decoder.model().name(), str::to_owned);
    let keys = keys.get_or_init(|| jobs.iter().map(|job| job.key(&model, how)).collect());
    let mut kept = checkpoint.read();
    let before = kept.len();
    kept.retain(|key, _| keys.contains(key));
    if kept.len() < before {
        checkpoint.write(&kept);
    }
    let open: Vec<usize> = (0..jobs.len()).filter(|&n| !kept.contains_key(&keys[n])).collect();
    let todo: Vec<synthetic::SyntheticJob> = open.iter().map(|&n| jobs[n].clone()).collect();
    let mut finished = |n: usize, attempt: &Attempt| {
        kept.insert(keys[open[n]].clone(), attempt.clone());
        checkpoint.write(&kept);
    };
    synthetic::write(decoder, &todo, how, &mut finished, on_event)?;
    Ok((keys.iter().map(|key| kept.remove(key)).collect(), jobs.len() - todo.len()))
}
