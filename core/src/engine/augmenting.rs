//! Synthetic interactions for the person, written in the background.

use std::{
    ops::ControlFlow,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{Engine, OWN_TEXTS};
use crate::{
    Error,
    context::{self, ContextBuilder, selection},
    engine::checkpoint::Checkpoint,
    generation::{
        output::WriteOptions,
        synthetic::{self, Attempt, Refused},
    },
    history::Record,
    llm::{Decoder, DecoderOptions, Event, LlmError, Model, OnEvent, Priority},
    predict::Predictor,
};

/// Texts written together by default. More give little: the vocabulary's matrix then takes most of the time.
const SEQUENCES: usize = 8;
/// Most tokens per call of llama.cpp, so that who comes in the foreground waits for no more. 128 would read prompts 7 % faster.
const BACKGROUND_BATCH: usize = 32;

/// What an augmentation did.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Augmented {
    /// Synthetic records that the gate let pass. They are in the store now if nothing is left to write.
    pub kept: Vec<Record>,
    /// Texts that the gate refused, each with its reason.
    pub refused: Vec<Refused>,
    /// Tokens written, refused texts included.
    pub tokens: usize,
    /// Items that were written about, refused texts included.
    pub finished: usize,
    /// Items whose texts an earlier, stopped call had finished.
    pub resumed: usize,
    /// Items that the deadline or the token budget left to the next call. While there are any, the store is unchanged.
    pub unfinished: usize,
}

/// How to augment.
#[derive(Debug, Clone, PartialEq)]
pub struct AugmentOptions {
    /// How many items.
    pub k: usize,
    /// Seed of sampling.
    pub seed: u32,
    /// Texts per item, of which the best is kept, see [`synthetic::Options::candidates`].
    pub candidates: usize,
    /// Items written together, each with its part of the KV cache; 0 writes up to 8.
    pub sequences: usize,
    /// How long the call may take; what is finished then is kept for the next one.
    pub deadline: Option<Duration>,
    /// Most tokens that the call writes; a text that could go beyond is left to the next one.
    pub max_tokens: Option<usize>,
}

impl AugmentOptions {
    /// `k` items, everything else by default.
    pub fn new(k: usize) -> Self {
        Self { k, seed: 1, candidates: 1, sequences: 0, deadline: None, max_tokens: None }
    }

    fn writing(&self) -> synthetic::Options {
        synthetic::Options {
            write: WriteOptions::synthetic(),
            candidates: self.candidates,
            max_tokens: self.max_tokens,
        }
    }

    fn sequences(&self, jobs: usize) -> usize {
        let wanted = if self.sequences == 0 { SEQUENCES } else { self.sequences };
        wanted.min(jobs * self.candidates.max(1)).max(1)
    }
}

impl Engine {
    /// Writes up to `k` synthetic interactions for predicted items and puts them in place of the earlier ones; if the
    /// gate keeps none, those stay. Until it returns, the records are untouched. `Event::request` counts the items that are
    /// still to be written.
    ///
    /// Finished texts are kept aside: a call that was cancelled, ran into its deadline or died with its process is continued by
    /// the next one with the same options on the same history.
    ///
    /// # Errors
    /// [`Error::Missing`] without pack or model, [`Error::Cancelled`], also if a record was forgotten meanwhile,
    /// [`crate::store::StoreError::ReadOnly`], [`crate::llm::LlmError`].
    pub fn augment(&self, options: &AugmentOptions, on_event: OnEvent<'_>) -> Result<Augmented, Error> {
        let (pack, worker) = (self.need_pack()?, self.need_model()?);
        self.store.need_writable()?;
        // Before the history is read: what is forgotten in between is not kept.
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
                material: grounding.synthetic(i, history),
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
        let mut on_event = |event: Event<'_>| {
            late = deadline.is_some_and(|d| Instant::now() >= d);
            if late || !lease.holds() { ControlFlow::Break(()) } else { on_event(event) }
        };
        // Known once the call's turn has come: they depend on the model.
        let keys = Arc::new(OnceLock::new());
        let (kept, theirs) = (checkpoint.clone(), keys.clone());
        let outcome = worker.call_with(Priority::Background, decoder, &mut on_event, move |decoder, on_event| {
            resume(decoder, &jobs, &how, &kept, &theirs, on_event)
        });
        let (attempts, resumed) = match outcome {
            Ok(outcome) => outcome,
            Err(Error::Cancelled | Error::Llm(LlmError::Cancelled)) if late => {
                // Only what belongs to this call: the file may still hold another's.
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

/// What the jobs gave, in order and as far as they are finished, and how many of them an earlier call had finished.
type Resumed = (Vec<Option<Attempt>>, usize);

/// Writes what is not in `checkpoint` yet and keeps it there, each attempt under its job's key.
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
