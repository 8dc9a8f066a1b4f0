//! The facade: one user's store, with an optional pack and an optional model.

mod augmenting;
mod checkpoint;
mod chunk;
mod explaining;
mod inputs;
mod keeping;
mod predicting;
mod request;
mod sessions;
mod stream;

pub use augmenting::{AugmentOptions, Augmented};
pub use chunk::{Chunk, OnChunk, Part};
pub use explaining::{Counted, Draft, Explanation};
pub use predicting::{Evidence, PredictOptions, Predicted};
pub use request::GenerateRequest;
pub use stream::ChunkStream;

use std::{
    ops::ControlFlow,
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use chunk::{chunks, parts};
use explaining::Drafts;

use crate::{
    Error,
    crypto::Key,
    engine::sessions::Sessions,
    generation::{
        candidates::{candidates, read_all},
        form::Form,
        guard,
        output::{WriteOptions, Written},
        request::request_with_prefix,
    },
    history::Interaction,
    llm::{
        Conditions, Decoder, DecoderOptions, Event, LoadOptions, MemoryLevel, Model, Placement, Priority, Request,
        conditions::Control, gguf, model::Source, worker::Worker,
    },
    pack::{Pack, author_key},
    store::Store,
};

/// Maximum number of the user's own texts in a prompt. A longer history is reduced by
/// `selection::own_texts`.
#[doc(hidden)]
pub const OWN_TEXTS: usize = 8;
/// Maximum number of candidate texts decoded together.
const CANDIDATES: usize = 8;
/// Default for the maximum total size of session files, in bytes.
const SESSION_BYTES: u64 = 64 << 20;

/// The personalization engine of one user.
pub struct Engine {
    store: Store,
    pack: Option<Pack>,
    worker: RwLock<Option<Arc<Worker>>>,
    /// Applies to every worker, including later ones.
    control: Mutex<Control>,
    threads: usize,
    me: Option<u64>,
    /// Replaced when a record is forgotten.
    sessions: RwLock<Sessions>,
}

impl Engine {
    /// Opens the store in `dir` (created if missing) with the host's `key`, without a pack or a
    /// model.
    ///
    /// # Errors
    /// [`crate::store::StoreError`].
    pub fn open(dir: impl AsRef<Path>, key: &Key) -> Result<Self, Error> {
        Self::open_within(dir, key, Duration::ZERO)
    }

    /// As [`Engine::open`], but waits while the store is open elsewhere, see
    /// [`Store::open_within`].
    ///
    /// # Errors
    /// [`crate::store::StoreError`].
    pub fn open_within(dir: impl AsRef<Path>, key: &Key, wait: Duration) -> Result<Self, Error> {
        let store = Store::open_within(dir, key, wait)?;
        let sessions = RwLock::new(Sessions::new(store.caches(), SESSION_BYTES));
        Ok(Self {
            store,
            pack: None,
            worker: RwLock::default(),
            control: Mutex::default(),
            threads: 0,
            me: None,
            sessions,
        })
    }

    /// Adds a pack, for predictions and retrieval context.
    #[must_use]
    pub fn with_pack(mut self, pack: Pack) -> Self {
        self.pack = Some(pack);
        self
    }

    /// Adds a model, for generation. After its memory was released, it is loaded again from its
    /// file.
    ///
    /// # Errors
    /// [`crate::llm::LlmError::Failed`] if the system cannot start a thread.
    pub fn with_model(self, model: Model) -> Result<Self, Error> {
        self.set_worker(Worker::with_model(model)?);
        Ok(self)
    }

    /// Adds a model file, which is loaded on first use.
    ///
    /// # Errors
    /// [`crate::llm::LlmError::FileMissing`], [`crate::llm::LlmError::File`]: the file is checked
    /// at once.
    pub fn with_model_file(self, path: impl AsRef<Path>, options: LoadOptions) -> Result<Self, Error> {
        self.use_model_file(path, options)?;
        Ok(self)
    }

    /// Uses this model file from the next call on, whether or not the engine has a model.
    ///
    /// Calls in progress finish with the model that they started with.
    ///
    /// # Errors
    /// [`crate::llm::LlmError::FileMissing`], [`crate::llm::LlmError::File`]: the file is checked
    /// at once.
    pub fn use_model_file(&self, path: impl AsRef<Path>, options: LoadOptions) -> Result<(), Error> {
        gguf::check_model(path.as_ref())?;
        let LoadOptions { adapter, allowed_bytes, gpu, .. } = options;
        let path = path.as_ref().to_path_buf();
        self.set_worker(Worker::lazy(Source { path, adapter, allowed_bytes, gpu })?);
        Ok(())
    }

    /// Sets the maximum number of decoding threads. 0, the default, means the number of processors,
    /// which is also the upper bound. With other busy programs on the device, fewer threads decode.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Sets the id under which the user's own texts may be in the pack. They are never used as
    /// other users' texts.
    #[must_use]
    pub fn with_user(mut self, user: &str) -> Self {
        self.me = Some(author_key(user));
        self
    }

    /// Sets the maximum total size of session files in bytes; 0 keeps none. Default: 64 MiB.
    ///
    /// Sessions hold the encrypted KV state of the user's history, so that the first text after a
    /// restart does not prefill it again.
    #[must_use]
    pub fn with_session_bytes(mut self, most: u64) -> Self {
        self.sessions.get_mut().unwrap_or_else(PoisonError::into_inner).most = most;
        self
    }

    fn sessions(&self) -> Sessions {
        self.sessions.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Returns the pack, if there is one.
    pub fn pack(&self) -> Option<&Pack> {
        self.pack.as_ref()
    }

    fn need_pack(&self) -> Result<&Pack, Error> {
        self.pack.as_ref().ok_or(Error::MissingPack)
    }

    fn worker(&self) -> Option<Arc<Worker>> {
        self.worker.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_worker(&self, worker: Worker) {
        let control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        worker.set(*control);
        let old = self.worker.write().unwrap_or_else(PoisonError::into_inner).replace(Arc::new(worker));
        drop(control);
        // Dropped outside the locks, because this waits for the last calls of its threads.
        drop(old);
    }

    /// Changes the decoding controls of the current worker and of later ones.
    fn control(&self, change: impl FnOnce(&mut Control)) {
        let mut control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut control);
        if let Some(worker) = self.worker() {
            worker.set(*control);
        }
    }

    fn need_model(&self) -> Result<Arc<Worker>, Error> {
        self.worker().ok_or(Error::MissingModel)
    }

    /// Releases memory. Returns at once: calls in progress end first. The next call reloads its
    /// data.
    pub fn release_memory(&self, level: MemoryLevel) {
        if let Some(worker) = self.worker() {
            worker.release(level);
        }
    }

    /// Loads the model and restores the KV state of the user's history from an earlier process.
    ///
    /// A text requested later then starts at once. Call this when a request becomes likely: a field
    /// gets the focus, a sheet opens. Pass the `options` of the coming request.
    ///
    /// # Errors
    /// [`Error::MissingModel`], [`Error::Cancelled`], [`crate::llm::LlmError`].
    pub fn prewarm(&self, options: &WriteOptions, on_chunk: OnChunk<'_>) -> Result<(), Error> {
        let (worker, sessions) = (self.need_model()?, self.sessions());
        let mut on_event = chunks(&[Part::Text], Form::default(), on_chunk);
        worker.call(Priority::Foreground, self.decoder_options(options, 1), &mut on_event, move |decoder, _| {
            sessions.restore_all(decoder);
            Ok(decoder.warm_up()?)
        })
    }

    /// Stops decoding between two tokens until [`Engine::resume`]. Calls wait and can be cancelled.
    /// Applies to later models too.
    pub fn pause(&self) {
        self.control(|c| c.pause(None, true));
    }

    /// Ends [`Engine::pause`] and [`Engine::pause_calls`].
    pub fn resume(&self) {
        self.control(|c| c.pause(None, false));
    }

    /// As [`Engine::pause`], for the calls of one priority. Calls of the other priority continue,
    /// even if a paused call is in progress.
    pub fn pause_calls(&self, priority: Priority) {
        self.control(|c| c.pause(Some(priority), true));
    }

    /// Ends [`Engine::pause_calls`] for one priority.
    pub fn resume_calls(&self, priority: Priority) {
        self.control(|c| c.pause(Some(priority), false));
    }

    /// Sets whether later calls may use the GPU that the model was loaded for. Default: true.
    ///
    /// A system may end apps that use the GPU in the background. For calls without it, the model is
    /// loaded again on the CPU.
    pub fn allow_gpu(&self, allowed: bool) {
        self.control(|c| c.gpu_denied = !allowed);
    }

    /// Sets the state of the device: temperature and power, see [`Conditions`].
    ///
    /// Later calls use fewer threads on a warm device or at low power. Augmentation waits until
    /// conditions allow it. Applies to later models too.
    pub fn set_conditions(&self, conditions: Conditions) {
        self.control(|c| c.conditions = conditions);
    }

    /// Returns whether the model is in memory, and whether a decoder (KV cache and intermediate
    /// results) is.
    pub fn in_memory(&self) -> (bool, bool) {
        self.worker().map_or((false, false), |worker| worker.loaded())
    }

    /// Returns the devices and the placement of the model; `None` before it was first loaded.
    pub fn placement(&self) -> Option<Placement> {
        self.worker()?.placement()
    }

    fn real(&self) -> Result<Vec<Interaction>, Error> {
        Ok(self.history()?.into_iter().filter(|r| !r.is_synthetic()).map(|r| r.interaction).collect())
    }

    /// Generates a text, a title or a rating.
    ///
    /// # Errors
    /// As [`Engine::generate_with`].
    pub fn generate(&self, request: &GenerateRequest) -> Result<Written, Error> {
        self.generate_with(request, &mut |_| ControlFlow::Continue(()))
    }

    /// Generates a text, a title or a rating. `on_chunk` gets every chunk as it is decoded; a break
    /// cancels the call.
    ///
    /// # Errors
    /// [`Error::MissingModel`]; [`Error::Argument`] if the request lacks an input of its
    /// task; [`crate::llm::LlmError::Deadline`] if the deadline came before the text began;
    /// [`Error::Cancelled`]; [`crate::llm::LlmError`].
    pub fn generate_with(&self, request: &GenerateRequest, on_chunk: OnChunk<'_>) -> Result<Written, Error> {
        self.drafts(request, on_chunk)?.best()
    }

    /// Writes all candidates of a request.
    fn drafts(&self, request: &GenerateRequest, on_chunk: OnChunk<'_>) -> Result<Drafts, Error> {
        let worker = self.need_model()?;
        let deadline = request.deadline.map(|d| Instant::now() + d);
        // Taken before the history is read, so that a record forgotten in between ends the lease.
        let sessions = self.sessions();
        let inputs = self.prompt_inputs(request)?;
        let (options, asked, given) = (request.options, inputs.clone(), sessions.clone());
        let called = worker.call(
            Priority::Foreground,
            self.decoder_options(&options, options.candidates.clamp(1, CANDIDATES)),
            &mut chunks(&parts(request.task, request.planned()), Form::of(&inputs), on_chunk),
            move |decoder, on_event| {
                let (request, stable) = request_with_prefix(decoder.model(), &asked, &options, None);
                let request = Request { deadline, boundary: Some(stable), ..request };
                sessions.restore(decoder, &request.prompt);
                let (before, mut reused) = (decoder.usage().reused, 0);
                let mut first = |decoder: &mut Decoder<'_>| {
                    reused = decoder.usage().reused - before;
                    sessions.keep(decoder, &request.prompt[..stable]);
                };
                let completions = if options.candidates > 1 {
                    // Chunks of several candidates would interleave: events carry no text.
                    let mut alive = |e: Event<'_>| on_event(Event { text: "", ..e });
                    let jobs = candidates(decoder.model(), &asked, &request, &options);
                    guard::run(decoder, jobs, &options, &mut alive, &mut first)?
                } else {
                    let job = guard::GuardedRequest { inputs: asked.clone(), request: request.clone() };
                    guard::run(decoder, vec![job], &options, on_event, &mut first)?
                };
                let whole = read_all(&asked, &completions);
                let written = guard::originals(&asked, whole)?;
                Ok::<_, Error>((written, request.prompt.len(), reused))
            },
        );
        if given.ended() && self.store.need_writable().is_ok() {
            // The prompt in the decoder's cache contains a forgotten record.
            self.release_memory(MemoryLevel::Sessions);
        }
        let (written, prompt_tokens, reused_tokens) = called?;
        Ok(Drafts { inputs, written, prompt_tokens, reused_tokens })
    }

    fn decoder_options(&self, options: &WriteOptions, sequences: usize) -> DecoderOptions {
        DecoderOptions { sequences, threads: self.threads, ..options.decoder() }
    }
}
