//! The engine that apps hold.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{
    AugmentRequest, Augmented, Availability, Backend, Cancellation, EngineConfig, FakeScript, GenerateRequest,
    Interaction, LocketError, MemoryLevel, ModelConfig, Power, PredictRequest, Prediction, Priority, Record,
    TextListener, Thermal, Written,
    backing::Backing,
    fake::Fake,
    real::Real,
    task::{Stop, call},
};

type Shared = Arc<Box<dyn Backing>>;

/// One person's Locket. May be used from any thread; calls that write queue inside.
///
/// Asynchronous calls run on threads of the engine's own. A cancelled coroutine (Kotlin) or task (Python) stops its call
/// between two tokens; everywhere a [`Cancellation`] does.
#[derive(uniffi::Object)]
pub struct Engine {
    backing: RwLock<Option<Shared>>,
    closing: Arc<AtomicBool>,
}

impl Engine {
    fn with(backing: Box<dyn Backing>) -> Self {
        Self { backing: RwLock::new(Some(Arc::new(backing))), closing: Arc::default() }
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

    /// Stops every call, waits until the last has ended, and gives what stood behind the engine.
    async fn close(&self) -> Option<Box<dyn Backing>> {
        let mut backing = self.backing.write().unwrap_or_else(PoisonError::into_inner).take()?;
        self.closing.store(true, Ordering::Relaxed);
        // A paused call sees neither.
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
    /// Opens the person's store with the host's key (32 random bytes from Android's Keystore or Apple's Keychain), making it if
    /// there is none. The model is loaded when it is first needed.
    #[uniffi::constructor]
    pub async fn open(config: EngineConfig, key: Vec<u8>) -> Result<Arc<Self>, LocketError> {
        let open = move |_: &Stop| Real::open(config, &key);
        Ok(Arc::new(Self::with(Box::new(call(Arc::default(), None, open).await?))))
    }

    /// An engine for tests of apps: no files, no model, and it writes what it is told to.
    #[uniffi::constructor]
    pub fn fake(script: FakeScript) -> Arc<Self> {
        Arc::new(Self::with(Box::new(Fake::new(script))))
    }

    /// Whether a text can be written here, and if not, why. Loads nothing; reads the model's file once if it is to have a
    /// checksum.
    pub async fn availability(&self) -> Availability {
        match self.call(None, |backing, _| Ok(backing.availability())).await {
            Ok(availability) => availability,
            Err(LocketError::Closed(_)) => Availability::Closed,
            Err(e) => Availability::ModelUnusable { reason: e.to_string() },
        }
    }

    /// What the model runs on (or would), and what of it is in memory.
    pub async fn backend(&self) -> Result<Backend, LocketError> {
        self.call(None, |backing, _| backing.backend()).await
    }

    /// Takes a model from the next call on: one that was imported after the engine was opened, or another one.
    pub async fn use_model(&self, model: ModelConfig) -> Result<(), LocketError> {
        self.call(None, |backing, _| backing.use_model(model)).await
    }

    /// Keeps a text that the person wrote. When this returns, it is on disk.
    pub async fn record(&self, interaction: Interaction) -> Result<(), LocketError> {
        self.call(None, |backing, _| backing.record(interaction)).await
    }

    /// Everything recorded, real and synthetic, oldest first: in the order of their times. A record without a time stands behind
    /// the one that was recorded before it.
    pub async fn history(&self) -> Result<Vec<Record>, LocketError> {
        self.call(None, |backing, _| backing.history()).await
    }

    /// Removes the record with this id ([`Record::id`]) for good, and with a text of the person all synthetic texts, which were
    /// written from it. Returns whether there was one. An augmentation in progress ends as cancelled.
    pub async fn forget(&self, id: u64) -> Result<bool, LocketError> {
        self.call(None, move |backing, _| backing.forget(id)).await
    }

    /// The items that the person would likely meet next, best first.
    pub async fn predict(&self, request: PredictRequest) -> Result<Vec<Prediction>, LocketError> {
        self.call(None, |backing, _| backing.predict(request)).await
    }

    /// Writes synthetic texts for the items predicted next and puts them in place of the earlier ones. Calls of
    /// [`Engine::generate`] go first meanwhile. A stopped call is continued by the next one.
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

    /// Loads the model and what earlier processes have read of the person's history, so that a text like `request` begins at
    /// once. To be called when it becomes likely that one will be wanted.
    #[uniffi::method(default(cancellation = None))]
    pub async fn prewarm(
        &self,
        request: GenerateRequest,
        cancellation: Option<Arc<Cancellation>>,
    ) -> Result<(), LocketError> {
        self.call(cancellation, |backing, stop| backing.prewarm(request, stop)).await
    }

    /// Writes a text, a title or a rating in the person's voice.
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

    /// Everything the store holds, for its owner: JSON.
    pub async fn export(&self) -> Result<String, LocketError> {
        self.call(None, |backing, _| backing.export()).await
    }

    /// Keeps what an export holds and the store does not; all of it or nothing. Returns the number of new records.
    pub async fn import_export(&self, json: String) -> Result<u64, LocketError> {
        self.call(None, move |backing, _| backing.import(&json)).await
    }

    /// Stops every call and deletes everything that was kept of the person. The engine is closed then.
    pub async fn erase(&self) -> Result<(), LocketError> {
        let Some(backing) = self.close().await else { return Err(LocketError::closed()) };
        call(Arc::default(), None, move |_| backing.erase()).await
    }

    /// Stops every call and closes the store, so that it can be opened again. What was recorded stays.
    pub async fn shutdown(&self) {
        let backing = self.close().await;
        blocking::unblock(move || drop(backing)).await;
    }

    /// Gives memory back. Returns at once: a call in progress ends first, and the next one loads what it needs again.
    pub fn release_memory(&self, level: MemoryLevel) {
        if let Ok(backing) = self.backing() {
            backing.release_memory(level);
        }
    }

    /// Stops decoding between two tokens until [`Engine::resume`]. Calls wait, and can be cancelled. With a priority: only its
    /// calls; those of the other go on meanwhile.
    #[uniffi::method(default(priority = None))]
    pub fn pause(&self, priority: Option<Priority>) {
        if let Ok(backing) = self.backing() {
            backing.pause(priority);
        }
    }

    /// Goes on after [`Engine::pause`], with a priority only its calls.
    #[uniffi::method(default(priority = None))]
    pub fn resume(&self, priority: Option<Priority>) {
        if let Ok(backing) = self.backing() {
            backing.resume(priority);
        }
    }

    /// Whether calls that begin later may use a GPU, where the model was opened for one. Not to be allowed where the system ends
    /// apps that use it in the background.
    pub fn allow_gpu(&self, allowed: bool) {
        if let Ok(backing) = self.backing() {
            backing.allow_gpu(allowed);
        }
    }

    /// Sets how the device is: on a warm one calls take fewer threads and augmentation waits.
    pub fn set_conditions(&self, thermal: Thermal, power: Power) {
        if let Ok(backing) = self.backing() {
            backing.set_conditions(thermal, power);
        }
    }
}
