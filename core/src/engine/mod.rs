//! The facade: one user's store, with an optional pack and an optional model.

mod augmenting;
mod checkpoint;
mod chunk;
mod explaining;
mod generating;
mod inputs;
mod keeping;
mod learning;
mod planning;
mod predicting;
mod request;
mod sessions;
mod stream;

pub use augmenting::{AugmentOptions, Augmented};
pub use chunk::{Chunk, OnChunk, Part};
pub use explaining::{Counted, Draft, Explanation};
pub use learning::Stats;
pub use predicting::{Evidence, PredictOptions, Predicted};
pub use request::GenerateRequest;
pub use stream::ChunkStream;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use chunk::chunks;

use crate::{
    Error,
    crypto::Key,
    engine::sessions::Sessions,
    generation::{form::Form, output::WriteOptions},
    history::Interaction,
    llm::{
        Conditions, DecoderOptions, LoadOptions, MemoryLevel, Model, Placement, Priority, conditions::Control, gguf,
        model::Source, worker::Worker,
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

    fn decoder_options(&self, options: &WriteOptions, sequences: usize) -> DecoderOptions {
        DecoderOptions { sequences, threads: self.threads, ..options.decoder() }
    }
}
