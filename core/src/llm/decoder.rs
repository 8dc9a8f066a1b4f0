//! Continuous batching over the sequences of one llama.cpp context.

use std::{num::NonZeroU32, ops::ControlFlow};

use llama_cpp_2::{
    DecodeError,
    context::{
        LlamaContext,
        params::{KvCacheType, LlamaContextParams},
    },
    llama_batch::LlamaBatch,
};

use super::{
    Completion, Event, LlmError, Model, OnEvent, Request, Token,
    candidates::log_prob,
    common_prefix,
    slot::{Job, Slot},
};
use crate::sys;

/// How keys and values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KvType {
    /// 16-bit floats: exact.
    #[default]
    F16,
    /// Blocks of 32 numbers of 8 bits: 17/32 of the memory, a little slower.
    Q8,
}

/// How to open a decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecoderOptions {
    /// Most tokens of one sequence, prompt and answer.
    pub context: usize,
    /// Sequences decoded together.
    pub sequences: usize,
    /// Threads; 0 takes what the machine has.
    pub threads: usize,
    /// How keys and values are stored.
    pub kv: KvType,
}

impl Default for DecoderOptions {
    fn default() -> Self {
        Self { context: 2048, sequences: 1, threads: 0, kv: KvType::F16 }
    }
}

/// What a decoder has done so far, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Prompt tokens decoded.
    pub prefilled: usize,
    /// Prompt tokens found in the KV cache.
    pub reused: usize,
    /// Tokens written.
    pub written: usize,
}

/// A context on a model. Runs requests; keeps their KV state for the next ones.
pub struct Decoder<'m> {
    model: &'m Model,
    context: LlamaContext<'m>,
    batch: LlamaBatch<'static>,
    slots: Vec<Slot>,
    options: DecoderOptions,
    usage: Usage,
}

/// Tokens per call of llama.cpp. It reserves logits for all of them: 512 would take 400 MB more on a vocabulary of 262,144 and
/// prefill 2 % faster.
pub(super) const BATCH: usize = 128;

/// Cells of the KV cache, shared by all sequences.
pub(super) fn cells(options: &DecoderOptions) -> u32 {
    options.context.saturating_mul(options.sequences).min(1 << 22) as u32
}

impl Model {
    /// Opens a decoder.
    ///
    /// # Errors
    /// [`LlmError::Request`] for a size of zero, [`LlmError::WouldNotFit`], [`LlmError::Decode`] if llama.cpp cannot make the context.
    pub fn decoder(&self, options: DecoderOptions) -> Result<Decoder<'_>, LlmError> {
        if options.context == 0 || options.sequences == 0 {
            return Err(LlmError::Request("a decoder needs room for at least one token in one sequence"));
        }
        self.check_fit(&options)?;
        let threads = match options.threads {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get()),
            n => n,
        } as i32;
        let kv = match options.kv {
            KvType::F16 => KvCacheType::F16,
            KvType::Q8 => KvCacheType::Q8_0,
        };
        // swa_full: sliding-window layers keep the whole window, or a shared prefix could not be reused.
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(cells(&options)))
            .with_n_batch(BATCH as u32)
            .with_n_ubatch(BATCH as u32)
            .with_n_seq_max(options.sequences as u32)
            .with_n_threads(threads)
            .with_n_threads_batch(threads)
            .with_type_k(kv)
            .with_type_v(kv)
            .with_kv_unified(true)
            .with_swa_full(true);
        let mut context =
            self.inner.new_context(self.backend()?, params).map_err(|e| LlmError::Decode(e.to_string()))?;
        if let Some(adapter) = &self.adapter {
            let mut adapter = adapter.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            context.lora_adapter_set(&mut adapter, 1.0).map_err(|e| LlmError::Decode(e.to_string()))?;
        }
        let batch = LlamaBatch::new(BATCH, 1);
        let slots = (0..options.sequences).map(|_| Slot::default()).collect();
        Ok(Decoder { model: self, context, batch, slots, options, usage: Usage::default() })
    }
}

impl<'m> Decoder<'m> {
    /// The model it runs.
    pub fn model(&self) -> &'m Model {
        self.model
    }

    /// Most tokens of one sequence.
    pub fn context(&self) -> usize {
        self.options.context
    }

    /// How it was opened.
    pub fn options(&self) -> DecoderOptions {
        self.options
    }

    /// What was decoded so far.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Runs one request.
    ///
    /// # Errors
    /// As [`Decoder::run`].
    pub fn run_one(&mut self, request: &Request, on_event: OnEvent<'_>) -> Result<Completion, LlmError> {
        let mut all = self.run(std::slice::from_ref(request), on_event)?;
        all.pop().ok_or(LlmError::Request("no request"))
    }

    /// Runs all requests, as many at a time as there are sequences, and returns their answers in order.
    /// `on_event` hears every piece of text and may stop the work between two tokens; the decoder stays usable
    /// after that and after every error.
    ///
    /// # Errors
    /// [`LlmError::ContextOverflow`] before anything is decoded if one request is too long,
    /// [`LlmError::Grammar`], [`LlmError::Cancelled`], [`LlmError::Decode`].
    pub fn run(&mut self, requests: &[Request], on_event: OnEvent<'_>) -> Result<Vec<Completion>, LlmError> {
        requests.iter().try_for_each(|r| self.check(r))?;
        let mut done: Vec<Option<Completion>> = requests.iter().map(|_| None).collect();
        let result = self.work(requests, &mut done, on_event);
        // Whatever happened, no slot keeps half a request; tokens that were decoded stay reusable.
        for slot in &mut self.slots {
            slot.job = None;
            slot.pending.clear();
        }
        if matches!(result, Err(LlmError::Decode(_))) {
            self.clear();
        }
        result?;
        done.into_iter().collect::<Option<Vec<_>>>().ok_or(LlmError::Request("a request was not finished"))
    }

    fn check(&self, request: &Request) -> Result<(), LlmError> {
        if request.prompt.is_empty() || request.phases.is_empty() || request.phases.iter().any(|p| p.max_tokens == 0) {
            return Err(LlmError::Request("a request needs a prompt and phases of at least one token"));
        }
        let leads: usize = request.phases.iter().skip(1).map(|p| self.model.tokens(&p.lead).len() + 1).sum();
        let written: usize = request.phases.iter().map(|p| p.max_tokens).sum();
        let needed = request.prompt.len() + leads + written;
        if needed > self.options.context {
            return Err(LlmError::ContextOverflow { needed, context: self.options.context });
        }
        Ok(())
    }

    fn work(
        &mut self,
        requests: &[Request],
        done: &mut [Option<Completion>],
        on_event: OnEvent<'_>,
    ) -> Result<(), LlmError> {
        let mut next = 0;
        loop {
            while next < requests.len() && self.start(next, &requests[next])? {
                next += 1;
            }
            if self.slots.iter().all(|s| s.job.is_none()) {
                return Ok(());
            }
            let rows = self.decode_pending()?;
            if rows.is_empty() {
                // Within a long prompt too there is a chance to stop, and for others to go first.
                let request = self.slots.iter().find_map(|s| s.job.as_ref()).map_or(0, |job| job.number);
                if on_event(Event { request, phase: 0, piece: "" }).is_break() {
                    return Err(LlmError::Cancelled);
                }
            }
            for (n, row) in rows {
                let logits = self.context.get_logits_ith(row);
                let slot = &mut self.slots[n];
                let Some(job) = slot.job.as_mut() else { continue };
                let mut go_on = ControlFlow::Continue(());
                let number = job.number;
                slot.pending = job.step(self.model, logits, &mut |phase, piece| {
                    if go_on.is_continue() {
                        go_on = on_event(Event { request: number, phase, piece });
                    }
                })?;
                self.usage.written += 1;
                if slot.pending.is_empty() {
                    done[number] = slot.job.take().map(Job::finish);
                } else if go_on.is_continue() {
                    // A chance to stop also where a token brought no text.
                    go_on = on_event(Event { request: number, phase: job.phase(), piece: "" });
                }
                if go_on.is_break() {
                    return Err(LlmError::Cancelled);
                }
            }
        }
    }

    /// Gives a request to a free slot; false if it has to wait for one, or for a prefix that another
    /// slot is just decoding.
    fn start(&mut self, number: usize, request: &Request) -> Result<bool, LlmError> {
        let prompt = &request.prompt;
        // At least the last token is decoded again: its logits are needed.
        let limit = prompt.len() - 1;
        let shared = |slot: &Slot| common_prefix(slot.planned(), &prompt[..limit]);
        let Some(source) = (0..self.slots.len()).max_by_key(|&n| shared(&self.slots[n])) else {
            return Ok(false);
        };
        let planned = shared(&self.slots[source]);
        if planned > self.slots[source].cached.len() {
            return Ok(false);
        }
        let free = |n: &usize| self.slots[*n].job.is_none();
        let reuse_in_place = free(&source);
        let target = if reuse_in_place {
            source
        } else {
            // The least useful cache is given up.
            match (0..self.slots.len()).filter(free).min_by_key(|&n| self.slots[n].cached.len()) {
                Some(n) => n,
                None => return Ok(false),
            }
        };
        let seq = |n: usize| n as i32;
        let failed = |e: llama_cpp_2::context::kv_cache::KvCacheConversionError| LlmError::Decode(e.to_string());
        if reuse_in_place {
            self.context.kv_cache_seq_rm(seq(target), Some(planned as u32), None).map_err(failed)?;
            self.slots[target].cached.truncate(planned);
        } else {
            self.context.kv_cache_seq_rm(seq(target), None, None).map_err(failed)?;
            self.slots[target].cached.clear();
            if planned > 0 {
                let end = Some(planned as u32);
                self.context.kv_cache_seq_cp(seq(source), seq(target), Some(0), end).map_err(failed)?;
                self.slots[target].cached = prompt[..planned].to_vec();
            }
        }
        self.usage.reused += planned;
        self.usage.prefilled += prompt.len() - planned;
        let slot = &mut self.slots[target];
        slot.pending = prompt[planned..].to_vec();
        slot.job = Some(Job::new(self.model, number, request)?);
        Ok(true)
    }

    /// Decodes up to one batch of what is pending. Returns (slot, row of logits) for every slot that
    /// has nothing pending any more.
    fn decode_pending(&mut self) -> Result<Vec<(usize, i32)>, LlmError> {
        self.batch.clear();
        let mut rows = Vec::new();
        let mut taken = Vec::new();
        let mut room = BATCH;
        // Slots that wait for a single token go first: prefill must not hold up running texts.
        let mut order: Vec<usize> = (0..self.slots.len()).filter(|&n| self.slots[n].job.is_some()).collect();
        order.sort_by_key(|&n| self.slots[n].pending.len() > 1);
        for n in order {
            let slot = &self.slots[n];
            let count = slot.pending.len().min(room);
            for (at, &token) in slot.pending[..count].iter().enumerate() {
                let last = at + 1 == slot.pending.len();
                if last {
                    rows.push((n, self.batch.n_tokens()));
                }
                let position = (slot.cached.len() + at) as i32;
                self.batch.add(token, position, &[n as i32], last).map_err(|e| LlmError::Decode(e.to_string()))?;
            }
            taken.push((n, count));
            room -= count;
        }
        self.decode_batch()?;
        for (n, count) in taken {
            let slot = &mut self.slots[n];
            slot.cached.extend(slot.pending.drain(..count));
        }
        Ok(rows)
    }

    fn decode_batch(&mut self) -> Result<(), LlmError> {
        match self.context.decode(&mut self.batch) {
            Ok(()) => Ok(()),
            Err(DecodeError::NoKvCacheSlot) => {
                // Caches of idle slots are only kept while there is room.
                for n in (0..self.slots.len()).filter(|&n| self.slots[n].job.is_none()).collect::<Vec<_>>() {
                    let _ = self.context.kv_cache_seq_rm(n as i32, None, None);
                    self.slots[n].cached.clear();
                }
                self.context.decode(&mut self.batch).map_err(|e| LlmError::Decode(e.to_string()))
            }
            Err(e) => Err(LlmError::Decode(e.to_string())),
        }
    }

    /// The natural log-probability of each token of `continuation` after `prompt`.
    ///
    /// # Errors
    /// [`LlmError::ContextOverflow`], [`LlmError::Request`] if either is empty, [`LlmError::Decode`].
    pub fn score(&mut self, prompt: &[Token], continuation: &[Token]) -> Result<Vec<f64>, LlmError> {
        let (needed, context) = (prompt.len() + continuation.len(), self.options.context);
        if prompt.is_empty() || continuation.is_empty() {
            return Err(LlmError::Request("scoring needs a prompt and a continuation"));
        }
        if needed > context {
            return Err(LlmError::ContextOverflow { needed, context });
        }
        // Scoring has its own use of sequence 0; what stands there is given up.
        self.context.kv_cache_seq_rm(0, None, None).map_err(|e| LlmError::Decode(e.to_string()))?;
        self.slots[0].cached.clear();
        let tokens = [prompt, continuation].concat();
        let mut scores = Vec::with_capacity(continuation.len());
        // Each scored token takes a row of the vocabulary, twice: score in small steps.
        const STEP: usize = 16;
        for start in (0..tokens.len() - 1).step_by(STEP) {
            self.batch.clear();
            let end = (start + STEP).min(tokens.len() - 1);
            for (at, &token) in tokens.iter().enumerate().take(end).skip(start) {
                let wanted = at + 1 >= prompt.len();
                self.batch.add(token, at as i32, &[0], wanted).map_err(|e| LlmError::Decode(e.to_string()))?;
            }
            self.decode_batch()?;
            self.slots[0].cached.extend(&tokens[start..end]);
            for at in start.max(prompt.len() - 1)..end {
                scores.push(log_prob(self.context.get_logits_ith((at - start) as i32), tokens[at + 1]));
            }
        }
        Ok(scores)
    }

    /// How many tokens of `prompt` stand in a sequence's cache.
    pub(crate) fn cached_prefix(&self, prompt: &[Token]) -> usize {
        self.slots.iter().map(|s| common_prefix(&s.cached, prompt)).max().unwrap_or(0)
    }

    /// The KV state of `prefix`, if it stands in a cache; what stood behind it there is given up.
    pub(crate) fn export_prefix(&mut self, prefix: &[Token]) -> Option<Vec<u8>> {
        let n = self.slots.iter().position(|s| s.job.is_none() && common_prefix(&s.cached, prefix) == prefix.len())?;
        self.context.kv_cache_seq_rm(n as i32, Some(prefix.len() as u32), None).ok()?;
        self.slots[n].cached.truncate(prefix.len());
        Some(sys::kv_state(&self.context, n as i32))
    }

    /// Puts the KV state of `tokens` into the first sequence's cache; false, and an empty cache there, if it does not fit.
    pub(crate) fn import_prefix(&mut self, tokens: &[Token], state: &[u8]) -> bool {
        let cleared = self.context.kv_cache_seq_rm(0, None, None).is_ok();
        self.slots[0].cached.clear();
        let taken = cleared
            && tokens.len() < self.options.context
            && self.slots[0].job.is_none()
            && sys::set_kv_state(&mut self.context, 0, state);
        if taken {
            self.slots[0].cached = tokens.to_vec();
        } else {
            let _ = self.context.kv_cache_seq_rm(0, None, None);
        }
        taken
    }

    /// Forgets all KV state.
    pub fn clear(&mut self) {
        self.context.clear_kv_cache();
        self.slots.iter_mut().for_each(|s| s.cached.clear());
    }
}
