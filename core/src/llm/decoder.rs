//! Continuous batching over the sequences of one llama.cpp context.

use std::{num::NonZeroU32, ops::ControlFlow};

use llama_cpp_2::{
    context::{
        LlamaContext,
        params::{KvCacheType, LlamaContextParams},
    },
    llama_batch::LlamaBatch,
};

use super::{
    Completion, LlmError, Model, OnEvent, Request, RequestSource, Token, common_prefix,
    prefill::{PIECE, PrefillChunks},
    slot::Slot,
    steps::{List, Outcome, Work, WorkSource},
    threads::{self, Pace},
};
use crate::sys::{self, ThreadPool};

/// Storage type of the KV cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KvType {
    /// 16-bit floats: exact.
    #[default]
    F16,
    /// Blocks of 32 numbers of 8 bits: 17/32 of the memory, slightly slower.
    Q8,
}

/// Options for opening a decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecoderOptions {
    /// Maximum number of tokens of one sequence, prompt and generated text.
    pub context: usize,
    /// Number of sequences decoded together.
    pub sequences: usize,
    /// Number of leading tokens that all sequences share: they occupy the KV cache once. Requests
    /// with a shorter common prefix may then not fit.
    pub shared: usize,
    /// Maximum number of threads. 0 uses one per CPU; the number of CPUs is the upper bound in any
    /// case. Fewer threads decode while other programs are busy, see
    /// `docs/src/concepts/decoder.md`.
    pub threads: usize,
    /// Storage type of keys and values.
    pub kv: KvType,
    /// Maximum number of tokens per call of llama.cpp. Between two calls, work can be cancelled or
    /// yield to other work.
    pub batch: usize,
    /// Room per sequence for its contrast branch, in tokens: the contrast prompt and the text once
    /// more. 0 disables contrast.
    pub contrast: usize,
}

impl Default for DecoderOptions {
    fn default() -> Self {
        Self { context: 2048, sequences: 1, shared: 0, threads: 0, kv: KvType::F16, batch: BATCH, contrast: 0 }
    }
}

impl DecoderOptions {
    /// Returns the resolved number of threads, at most the number of CPUs.
    pub(super) fn all_threads(&self) -> usize {
        match self.threads {
            0 => threads::limit(),
            n => n.min(threads::limit()),
        }
    }

    /// Returns the number of sequences, contrast branches included.
    pub(super) fn all_sequences(&self) -> usize {
        if self.contrast > 0 { self.sequences.saturating_mul(2) } else { self.sequences }
    }

    /// Returns the tokens per call: at least one for every sequence.
    pub(super) fn batch(&self) -> usize {
        self.batch.clamp(1, BATCH).max(self.all_sequences())
    }
}

/// Totals of a decoder so far, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Prompt tokens decoded.
    pub prefilled: usize,
    /// Prompt tokens found in the KV cache.
    pub reused: usize,
    /// Tokens generated.
    pub written: usize,
}

/// A llama.cpp context on a model. It runs requests and keeps their KV state for later ones.
pub struct Decoder<'m> {
    pub(super) model: &'m Model,
    pub(super) context: LlamaContext<'m>,
    /// Thread pool, declared after the context, which computes on it and must be dropped first.
    pub(crate) pool: Option<ThreadPool>,
    pub(super) pace: Pace,
    pub(super) batch: LlamaBatch<'static>,
    pub(super) slots: Vec<Slot>,
    pub(super) options: DecoderOptions,
    pub(super) usage: Usage,
    /// Whether the latest batch was prefill rather than decode.
    pub(super) read_last: bool,
}

/// Default number of tokens per call of llama.cpp, and the maximum unless there are more sequences.
/// llama.cpp reserves logits for all of them. With 512, a vocabulary of 262,144 tokens would take
/// 400 MB more and prefill 2 % faster.
pub(super) const BATCH: usize = 128;

/// Returns the number of KV cache cells, shared by all sequences.
pub(super) fn cells(options: &DecoderOptions) -> u32 {
    let own = options.context.saturating_sub(options.shared);
    let each = own.saturating_add(options.contrast);
    each.saturating_mul(options.sequences).saturating_add(options.context - own).min(1 << 22) as u32
}

impl Model {
    /// Opens a decoder.
    ///
    /// # Errors
    /// [`LlmError::Request`] for a size of zero, [`LlmError::WouldNotFit`], [`LlmError::Decode`] if
    /// llama.cpp cannot create the context.
    pub fn decoder(&self, options: DecoderOptions) -> Result<Decoder<'_>, LlmError> {
        if options.context == 0 || options.sequences == 0 {
            return Err(LlmError::Request("a decoder needs room for at least one token in one sequence"));
        }
        self.check_fit(&options)?;
        let options = DecoderOptions { threads: options.all_threads(), ..options };
        let threads = options.threads as i32;
        let kv = match options.kv {
            KvType::F16 => KvCacheType::F16,
            KvType::Q8 => KvCacheType::Q8_0,
        };
        // swa_full: sliding-window layers keep all cells. Otherwise a shared prefix could not be
        // reused.
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(cells(&options)))
            .with_n_batch(options.batch() as u32)
            .with_n_ubatch(options.batch() as u32)
            .with_n_seq_max(options.all_sequences() as u32)
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
        let pool = (threads > 1).then(|| ThreadPool::attach(&mut context, threads)).flatten();
        // On a GPU the CPU only waits, so the number of its threads does not matter.
        let adapts = pool.is_some() && self.placement().gpu_layers == 0;
        let pace = Pace::new(if adapts { options.threads } else { 1 });
        let batch = LlamaBatch::new(options.batch(), 1);
        let slots = (0..options.all_sequences()).map(|_| Slot::default()).collect();
        Ok(Decoder {
            model: self,
            context,
            pool,
            pace,
            batch,
            slots,
            options,
            usage: Usage::default(),
            read_last: false,
        })
    }
}

impl<'m> Decoder<'m> {
    /// Returns the model that the decoder runs.
    pub fn model(&self) -> &'m Model {
        self.model
    }

    /// Returns the maximum number of tokens of one sequence.
    pub fn context(&self) -> usize {
        self.options.context
    }

    /// Returns the options that the decoder was opened with.
    pub fn options(&self) -> DecoderOptions {
        self.options
    }

    /// Returns the maximum number of tokens of a prefill chunk.
    pub(crate) fn chunk_size(&self) -> usize {
        PIECE.min(self.options.batch())
    }

    /// Returns the totals so far.
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

    /// Runs all requests and returns their completions in order. At most as many run at a time as
    /// there are sequences. `on_event` receives every chunk of text and may cancel the call between
    /// two tokens. The decoder stays usable after a cancellation and after every error.
    ///
    /// # Errors
    /// [`LlmError::ContextOverflow`] before anything is decoded if one request is too long,
    /// [`LlmError::Grammar`], [`LlmError::Request`] for a malformed request,
    /// [`LlmError::Cancelled`], [`LlmError::Decode`].
    pub fn run(&mut self, requests: &[Request], on_event: OnEvent<'_>) -> Result<Vec<Completion>, LlmError> {
        requests.iter().try_for_each(|r| check(self.model, self.options, r))?;
        let mut list = List::new(requests.iter().cloned().map(Work::Write));
        self.work(&mut list, on_event)?;
        list.all(|o| match o {
            Outcome::Written(completion) => Some(completion),
            Outcome::Scored(_) => None,
        })
    }

    /// Runs the requests of `feed` until it has no more, as many at a time as there are sequences.
    /// A finished sequence takes the next request at once, even one that resulted from a
    /// completion.
    ///
    /// # Errors
    /// As [`Decoder::run`]; a request that is too long fails when its turn comes.
    pub fn run_feed(&mut self, feed: &mut dyn RequestSource, on_event: OnEvent<'_>) -> Result<(), LlmError> {
        struct Checked<'f> {
            feed: &'f mut dyn RequestSource,
            model: &'f Model,
            options: DecoderOptions,
            refused: Option<LlmError>,
        }
        impl WorkSource for Checked<'_> {
            fn next(&mut self) -> Option<Work> {
                if self.refused.is_some() {
                    return None;
                }
                let request = self.feed.next()?;
                match check(self.model, self.options, &request) {
                    Ok(()) => Some(Work::Write(request)),
                    Err(e) => {
                        self.refused = Some(e);
                        None
                    }
                }
            }
            fn done(&mut self, number: usize, outcome: Outcome) {
                if let Outcome::Written(completion) = outcome {
                    self.feed.done(number, completion);
                }
            }
        }
        let (model, options) = (self.model, self.options);
        let mut checked = Checked { feed, model, options, refused: None };
        self.work(&mut checked, on_event)?;
        checked.refused.map_or(Ok(()), Err)
    }

    /// Returns the natural log-probability of each token of `continuation` after `prompt`.
    ///
    /// # Errors
    /// As [`Decoder::score_all`].
    pub fn score(&mut self, prompt: &[Token], continuation: &[Token]) -> Result<Vec<f64>, LlmError> {
        let pair = (prompt.to_vec(), continuation.to_vec());
        let mut all = self.score_all(vec![pair], &mut |_| ControlFlow::Continue(()))?;
        all.pop().ok_or(LlmError::Request("nothing to score"))
    }

    /// Returns the natural log-probability of each token of each continuation after its prompt.
    /// Several pairs run at a time; a common prefix of prompts is prefilled once.
    ///
    /// # Errors
    /// [`LlmError::ContextOverflow`], [`LlmError::Request`] if a prompt or a continuation is empty,
    /// [`LlmError::Cancelled`], [`LlmError::Decode`].
    pub fn score_all(
        &mut self,
        pairs: Vec<(Vec<Token>, Vec<Token>)>,
        on_event: OnEvent<'_>,
    ) -> Result<Vec<Vec<f64>>, LlmError> {
        for (prompt, continuation) in &pairs {
            if prompt.is_empty() || continuation.is_empty() {
                return Err(LlmError::Request("scoring needs a prompt and a continuation"));
            }
            let (needed, context) = (prompt.len() + continuation.len(), self.options.context);
            if needed > context {
                return Err(LlmError::ContextOverflow { needed, context });
            }
        }
        let mut list = List::new(pairs.into_iter().map(|(prompt, continuation)| Work::Score(prompt, continuation)));
        self.work(&mut list, on_event)?;
        list.all(|o| match o {
            Outcome::Scored(scores) => Some(scores),
            Outcome::Written(_) => None,
        })
    }

    /// Returns the number of leading tokens of `prompt` that a sequence's cache holds from a
    /// chunked prefill.
    pub(crate) fn cached_prefix(&self, prompt: &[Token]) -> usize {
        self.slots.iter().map(|s| common_prefix(&s.cached[..s.read.tokens], prompt)).max().unwrap_or(0)
    }

    /// Returns the KV state of `prefix`, if an idle sequence holds a prompt with that prefix
    /// length. Drops the tokens after the prefix.
    pub(crate) fn export_prefix(&mut self, prefix: &[Token]) -> Option<Vec<u8>> {
        let read = |s: &Slot| {
            let boundary = s.read.grid.is_some_and(|g| g.boundary == prefix.len());
            s.job.is_none() && boundary && s.cached[..s.read.tokens].starts_with(prefix)
        };
        let n = self.slots.iter().position(read)?;
        self.drop_behind(n, prefix.len()).ok()?;
        Some(sys::kv_state(&self.context, n as i32))
    }

    /// Returns the prefix that a sequence has prefilled, with its KV state.
    pub(crate) fn export_read(&mut self) -> Option<(Vec<Token>, Vec<u8>)> {
        let read = |s: &Slot| Some(s.cached[..s.read.tokens].get(..s.read.grid?.boundary)?.to_vec());
        let tokens = self.slots.iter().filter_map(read).find(|tokens| !tokens.is_empty())?;
        let state = self.export_prefix(&tokens)?;
        Some((tokens, state))
    }

    /// Restores the KV state of `tokens`, prefilled with a prefix length of all of them, into the
    /// first sequence. Returns false and leaves that sequence empty if the state does not fit.
    pub(crate) fn import_prefix(&mut self, tokens: &[Token], state: &[u8]) -> bool {
        if self.options.sequences == 1 {
            // The contents of the other sequences would decide which cells this one gets.
            self.clear();
        }
        let cleared = self.context.kv_cache_seq_rm(0, None, None).is_ok();
        self.slots[0].truncate(0);
        let taken = cleared
            && tokens.len() < self.options.context
            && self.slots[0].job.is_none()
            && sys::set_kv_state(&mut self.context, 0, state);
        if taken {
            let grid = PrefillChunks { boundary: tokens.len(), size: self.chunk_size() };
            self.slots[0].cached = tokens.to_vec();
            self.slots[0].begin(Some(grid), tokens.len(), tokens.len());
        } else {
            let _ = self.context.kv_cache_seq_rm(0, None, None);
        }
        taken
    }

    /// Decodes one token and drops it. The first call of llama.cpp fetches the weights and takes
    /// several times as long as later ones.
    ///
    /// # Errors
    /// [`LlmError::Decode`].
    pub(crate) fn warm_up(&mut self) -> Result<(), LlmError> {
        let (token, position) = (self.model.inner.vocab().bos(), self.slots[0].cached.len());
        self.batch.clear();
        let added = self.batch.add(token, position as i32, &[0], true);
        added.map_err(|e| LlmError::Decode(e.to_string()))?;
        self.decode_batch()?;
        self.slots[0].cached.push(token);
        self.drop_behind(0, position)
    }

    /// Drops all KV state.
    pub fn clear(&mut self) {
        self.context.clear_kv_cache();
        self.slots.iter_mut().for_each(|s| s.truncate(0));
    }
}

/// Checks that a request is well-formed and fits the context.
fn check(model: &Model, options: DecoderOptions, request: &Request) -> Result<(), LlmError> {
    if request.prompt.is_empty() || request.phases.is_empty() || request.phases.iter().any(|p| p.max_new_tokens == 0) {
        return Err(LlmError::Request("a request needs a prompt and phases of at least one token"));
    }
    let leads: usize = request.phases.iter().skip(1).map(|p| model.tokens(&p.lead).len() + 1).sum();
    let written: usize = request.phases.iter().map(|p| p.max_new_tokens).sum();
    let fits = |prompt: &[Token], context| {
        let needed = prompt.len() + leads + written;
        if needed > context { Err(LlmError::ContextOverflow { needed, context }) } else { Ok(()) }
    };
    fits(&request.prompt, options.context)?;
    let Some(contrast) = &request.contrast else { return Ok(()) };
    if contrast.prompt.is_empty() || options.contrast == 0 {
        return Err(LlmError::Request("a text written against a prompt needs one, and room for it in the decoder"));
    }
    fits(&contrast.prompt, options.contrast)
}
