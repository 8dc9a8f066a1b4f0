//! The engine object of the bindings.

use std::{
    sync::{Arc, PoisonError, RwLock},
    thread,
    time::Duration,
};

use locket::CancelToken;

use crate::{
    AugmentRequest, Augmented, Availability, Backend, Cancellation, EngineConfig, FakeScript, GenerateRequest,
    ImportListener, ImportOptions, ImportReport, ImportSource, Interaction, LocketError, MemoryLevel, ModelConfig,
    Plan, Power, PredictRequest, Prediction, Priority, Record, Stats, TextListener, Thermal, Written,
    backing::Backing,
    fake::Fake,
    real::Real,
    task::{Stop, call},
    writing::Import,
};

type Shared = Arc<Box<dyn Backing>>;

/// The engine of one user. It may be used from any thread; calls that generate text queue inside.
///
/// Asynchronous calls run on the engine's own threads. Cancelling the coroutine (Kotlin) or task
/// (Python) stops its call between two tokens. A [`Cancellation`] stops a call in every language.
#[derive(uniffi::Object)]
pub struct Engine {
    backing: RwLock<Option<Shared>>,
    closing: CancelToken,
}

impl Engine {
    fn with(backing: Box<dyn Backing>) -> Self {
        Self { backing: RwLock::new(Some(Arc::new(backing))), closing: CancelToken::new() }
    }

    fn backing(&self) -> Result<Shared, LocketError> {
        self.backing.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(LocketError::closed)
    }

    async fn call<T: Send + 'static>(
        &self,
        cancellation: Option<Arc<Cancellation>>,
        work: impl FnOnce(&dyn Backing, &Stop) -> Result<T, LocketError> + Send + 'static,
    ) -> Result<T, LocketError> {
        let backing = self.backing()?;
        call(self.closing.clone(), cancellation, move |stop| work(backing.as_ref().as_ref(), stop)).await
    }

    /// Stops every call, waits until the last one has ended, and returns the implementation.
    /// Returns `None` if the engine is closed.
    async fn close(&self) -> Option<Box<dyn Backing>> {
        let mut backing = self.backing.write().unwrap_or_else(PoisonError::into_inner).take()?;
        self.closing.cancel();
        // Resumes paused calls, so that they can end.
        backing.resume(None);
        blocking::unblock(move || {
            loop {
                match Arc::try_unwrap(backing) {
                    Ok(last) => return Some(last),
                    Err(shared) => backing = shared,
                }
                thread::sleep(Duration::from_millis(2));
            }
        })
        .await
    }
}

#[uniffi::export]
impl Engine {
    /// Opens the user's store, creating it if there is none. `key` is 32 random bytes from
    /// Android's Keystore or Apple's Keychain. The model is loaded at its first use.
    #[uniffi::constructor]
    pub async fn open(config: EngineConfig, key: Vec<u8>) -> Result<Arc<Self>, LocketError> {
        let open = move |_: &Stop| Real::open(config, &key);
        Ok(Arc::new(Self::with(Box::new(call(CancelToken::new(), None, open).await?))))
    }

    /// Returns an engine for tests of apps. It uses neither files nor a model, and generates the
    /// texts of `script`.
    #[uniffi::constructor]
    pub fn fake(script: FakeScript) -> Arc<Self> {
        Arc::new(Self::with(Box::new(Fake::new(script))))
    }

    /// Returns whether a text can be generated here, and if not, why. Loads nothing. Reads the
    /// model file once if `ModelConfig.sha256` is set.
    pub async fn availability(&self) -> Availability {
        match self.call(None, |backing, _| Ok(backing.availability())).await {
            Ok(availability) => availability,
            Err(LocketError::Closed(_)) => Availability::Closed,
            Err(e) => Availability::ModelUnusable { reason: e.to_string() },
        }
    }

    /// Returns the devices for the model, and whether the model and a decoder are in memory.
    pub async fn backend(&self) -> Result<Backend, LocketError> {
        self.call(None, |backing, _| backing.backend()).await
    }

    /// Sets the model for later calls: one imported after the engine was opened, or a replacement.
    pub async fn use_model(&self, model: ModelConfig) -> Result<(), LocketError> {
        self.call(None, |backing, _| backing.use_model(model)).await
    }

    /// Stores a text by the user. The text is on disk when the call returns. Returns the id of its
    /// record.
    pub async fn record(&self, interaction: Interaction) -> Result<u64, LocketError> {
        self.call(None, |backing, _| backing.record(interaction)).await
    }

    /// Returns all records, real and synthetic, oldest first in the order of their times. A record
    /// without a time follows the record stored before it.
    pub async fn history(&self) -> Result<Vec<Record>, LocketError> {
        self.call(None, |backing, _| backing.history()).await
    }

    /// Removes the record with this id ([`Record::id`]) permanently. If it is a text by the user,
    /// all synthetic texts are removed too, because they derive from the user's texts. Returns
    /// whether there was such a record. An augmentation in progress ends as cancelled.
    pub async fn forget(&self, id: u64) -> Result<bool, LocketError> {
        self.call(None, move |backing, _| backing.forget(id)).await
    }

    /// Returns the items that the user is likely to interact with next, best first.
    pub async fn predict(&self, request: PredictRequest) -> Result<Vec<Prediction>, LocketError> {
        self.call(None, |backing, _| backing.predict(request)).await
    }

    /// Generates synthetic texts for the items predicted next and replaces the earlier ones. Calls
    /// of [`Engine::generate`] take precedence meanwhile. The next call continues a stopped one.
    #[uniffi::method(default(listener = None, cancellation = None))]
    pub async fn augment(
        &self,
        request: AugmentRequest,
        listener: Option<Arc<dyn TextListener>>,
        cancellation: Option<Arc<Cancellation>>,
    ) -> Result<Augmented, LocketError> {
        let work = move |backing: &dyn Backing, stop: &Stop| backing.augment(request, listener.as_deref(), stop);
        self.call(cancellation, work).await
    }

    /// Loads the model and restores sessions: the KV state of the user's history that earlier
    /// processes kept. A text like `request` then begins at once. Call this when a request becomes
    /// likely.
    #[uniffi::method(default(cancellation = None))]
    pub async fn prewarm(
        &self,
        request: GenerateRequest,
        cancellation: Option<Arc<Cancellation>>,
    ) -> Result<(), LocketError> {
        self.call(cancellation, |backing, stop| backing.prewarm(request, stop)).await
    }

    /// Generates a text, a title or a rating in the user's style.
    #[uniffi::method(default(listener = None, cancellation = None))]
    pub async fn generate(
        &self,
        request: GenerateRequest,
        listener: Option<Arc<dyn TextListener>>,
        cancellation: Option<Arc<Cancellation>>,
    ) -> Result<Written, LocketError> {
        let work = move |backing: &dyn Backing, stop: &Stop| backing.generate(request, listener.as_deref(), stop);
        self.call(cancellation, work).await
    }

    /// Generates up to `count` (at most 8) different texts for one request, the best first.
    #[uniffi::method(default(count = 3, cancellation = None))]
    pub async fn drafts(
        &self,
        request: GenerateRequest,
        count: u32,
        cancellation: Option<Arc<Cancellation>>,
    ) -> Result<Vec<Written>, LocketError> {
        self.call(cancellation, move |backing, stop| backing.drafts(request, count, stop)).await
    }

    /// Proposes up to `count` (at most 4) different plans for a text. The user chooses and edits one,
    /// and `GenerateRequest.plan` has the text written to it.
    #[uniffi::method(default(count = 3, cancellation = None))]
    pub async fn plan(
        &self,
        request: GenerateRequest,
        count: u32,
        cancellation: Option<Arc<Cancellation>>,
    ) -> Result<Vec<Plan>, LocketError> {
        self.call(cancellation, move |backing, stop| backing.plan(request, count, stop)).await
    }

    /// Stores a text that the user sent from `draft`, a generated text. The draft is not stored, only
    /// its number of words and the share of edited words. Returns the id of the record.
    pub async fn sent(&self, draft: String, interaction: Interaction) -> Result<u64, LocketError> {
        self.call(None, move |backing, _| backing.sent(&draft, interaction)).await
    }

    /// Returns the statistics of the store and of sent drafts.
    pub async fn stats(&self) -> Result<Stats, LocketError> {
        self.call(None, |backing, _| backing.stats()).await
    }

    /// Forgets the draft of every sent text. The texts stay.
    pub async fn reset_learning(&self) -> Result<(), LocketError> {
        self.call(None, |backing, _| backing.reset_learning()).await
    }

    /// Returns the whole content of the store as JSON, for its owner.
    pub async fn export(&self) -> Result<String, LocketError> {
        self.call(None, |backing, _| backing.export()).await
    }

    /// Adds the records of an export that the store does not have yet; all of them or none. Returns
    /// the number of new records.
    pub async fn import_export(&self, json: String) -> Result<u64, LocketError> {
        self.call(None, move |backing, _| backing.import(&json)).await
    }

    /// Adds the user's own texts from mail, chats, notes and tables that the store does not have yet;
    /// all of them or none. Messages by others only become the context of answers to them. The store
    /// gets an opaque id in place of each recipient.
    #[uniffi::method(default(listener = None, cancellation = None))]
    pub async fn import_writing(
        &self,
        source: ImportSource,
        options: ImportOptions,
        listener: Option<Arc<dyn ImportListener>>,
        cancellation: Option<Arc<Cancellation>>,
    ) -> Result<ImportReport, LocketError> {
        let work = move |backing: &dyn Backing, stop: &Stop| {
            let listener = listener.as_deref();
            backing.import_writing(Import { source: &source, options, listener, stop, dry_run: false })
        };
        self.call(cancellation, work).await
    }

    /// Returns the report of [`Engine::import_writing`] without a change of the store.
    #[uniffi::method(default(listener = None, cancellation = None))]
    pub async fn preview_writing(
        &self,
        source: ImportSource,
        options: ImportOptions,
        listener: Option<Arc<dyn ImportListener>>,
        cancellation: Option<Arc<Cancellation>>,
    ) -> Result<ImportReport, LocketError> {
        let work = move |backing: &dyn Backing, stop: &Stop| {
            let listener = listener.as_deref();
            backing.import_writing(Import { source: &source, options, listener, stop, dry_run: true })
        };
        self.call(cancellation, work).await
    }

    /// Returns the opaque id of a recipient, for `audience` of records and requests. `address` is an
    /// address or a name; white space around it and letter case do not matter. The id stays the same
    /// in this store and is useless elsewhere.
    pub async fn audience(&self, address: String) -> Result<String, LocketError> {
        self.call(None, move |backing, _| backing.audience(&address)).await
    }

    /// Stops every call, deletes all data kept about the user, and closes the engine.
    pub async fn erase(&self) -> Result<(), LocketError> {
        let Some(backing) = self.close().await else { return Err(LocketError::closed()) };
        call(CancelToken::new(), None, move |_| backing.erase()).await
    }

    /// Stops every call and closes the store, so that it can be opened again. Records stay on disk.
    pub async fn shutdown(&self) {
        let backing = self.close().await;
        blocking::unblock(move || drop(backing)).await;
    }

    /// Frees memory. Returns at once: a call in progress ends first, and the next one reloads the
    /// parts that it needs.
    pub fn release_memory(&self, level: MemoryLevel) {
        if let Ok(backing) = self.backing() {
            backing.release_memory(level);
        }
    }

    /// Stops decoding between two tokens until [`Engine::resume`]. Calls wait and can be cancelled.
    /// With a priority, only its calls pause; calls of the other priority continue.
    #[uniffi::method(default(priority = None))]
    pub fn pause(&self, priority: Option<Priority>) {
        if let Ok(backing) = self.backing() {
            backing.pause(priority);
        }
    }

    /// Continues after [`Engine::pause`]; with a priority, only its calls.
    #[uniffi::method(default(priority = None))]
    pub fn resume(&self, priority: Option<Priority>) {
        if let Ok(backing) = self.backing() {
            backing.resume(priority);
        }
    }

    /// Sets whether later calls may use a GPU, if the model was opened with one. Pass false where
    /// the system ends apps that use a GPU in the background.
    pub fn allow_gpu(&self, allowed: bool) {
        if let Ok(backing) = self.backing() {
            backing.allow_gpu(allowed);
        }
    }

    /// Sets the state of the device. On a warm device or with low power, calls use fewer threads
    /// and augmentation waits.
    pub fn set_conditions(&self, thermal: Thermal, power: Power) {
        if let Ok(backing) = self.backing() {
            backing.set_conditions(thermal, power);
        }
    }
}
