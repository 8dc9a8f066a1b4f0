//! The real engine, as the implementation of the calls.

use std::{
    io,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use locket::{Conditions, Engine, Export, GenerateRequest as CoreRequest, Key, LlmError, Pack, internals::llm};

use crate::{
    AugmentRequest, Augmented, Availability, Backend, EngineConfig, GenerateRequest, ImportReport, Interaction,
    LocketError, MemoryLevel, ModelConfig, Plan, Power, PredictRequest, Prediction, Priority, Record, Stats, Thermal,
    Written,
    backing::{Backing, Listener},
    config::not_a_checksum,
    task::Stop,
    writing::Import,
};

pub(crate) struct Real {
    engine: Engine,
    model: Mutex<Chosen>,
}

/// The model that the app chose.
#[derive(Default)]
struct Chosen {
    config: Option<ModelConfig>,
    /// Whether the engine has the model. Otherwise the next call tries again, since a missing file
    /// may have arrived.
    taken: bool,
    /// SHA-256 of the model file, once computed.
    checksum: Option<String>,
}

impl Real {
    pub(crate) fn open(config: EngineConfig, key: &[u8]) -> Result<Self, LocketError> {
        let EngineConfig { store_dir, pack_path, model, user_id, threads, session_bytes } = config;
        check(model.as_ref())?;
        // Opens the pack first: if that fails, no store is created.
        let pack = pack_path.map(Pack::open).transpose()?;
        let mut engine = Engine::open(store_dir, &Key::try_from(key)?)?;
        if let Some(pack) = pack {
            engine = engine.with_pack(pack);
        }
        if let Some(user) = user_id {
            engine = engine.with_user(&user);
        }
        let engine = engine.with_threads(threads as usize).with_session_bytes(session_bytes);
        let chosen = Chosen { config: model, ..Chosen::default() };
        Ok(Self { engine, model: Mutex::new(chosen) })
    }

    fn chosen(&self) -> MutexGuard<'_, Chosen> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ensures that the engine has the model that the app chose, if any.
    fn need_model(&self) -> Result<(), LocketError> {
        let mut chosen = self.chosen();
        if let (false, Some(config)) = (chosen.taken, &chosen.config) {
            self.engine.use_model_file(&config.path, config.options())?;
            chosen.taken = true;
        }
        Ok(())
    }

    fn checksum(&self, path: &str) -> io::Result<String> {
        let mut chosen = self.chosen();
        if let Some(known) = &chosen.checksum {
            return Ok(known.clone());
        }
        let sum = llm::sha256(Path::new(path), &mut |_| ControlFlow::Continue(()))?;
        chosen.checksum = Some(sum.clone());
        Ok(sum)
    }
}

/// Parses the JSON of an export.
pub(crate) fn read_export(json: &str) -> Result<Export, LocketError> {
    serde_json::from_str(json).map_err(|e| LocketError::BadInput(format!("not an export of Locket: {e}")))
}

fn check(model: Option<&ModelConfig>) -> Result<(), LocketError> {
    model.and_then(|m| m.sha256.as_deref()).and_then(not_a_checksum).map_or(Ok(()), Err)
}

impl Backing for Real {
    fn availability(&self) -> Availability {
        let config = self.chosen().config.clone();
        let Some(config) = config else { return Availability::NoModel };
        let unusable = |reason: String| Availability::ModelUnusable { reason };
        let missing = |path: &str| Availability::ModelMissing { path: path.to_owned() };
        for path in [Some(&config.path), config.adapter_path.as_ref()].into_iter().flatten() {
            if !Path::new(path).exists() {
                return missing(path);
            }
        }
        if let Some(expected) = &config.sha256 {
            match self.checksum(&config.path) {
                Ok(actual) if actual.eq_ignore_ascii_case(expected) => {}
                Ok(actual) => return Availability::BadChecksum { expected: expected.clone(), actual },
                Err(e) => return unusable(format!("cannot read {}: {e}", config.path)),
            }
        }
        let adapter = config.adapter_path.as_ref().map(PathBuf::from);
        let loaded = self.engine.in_memory().0;
        // A loaded model already has its memory.
        let allowed = config.max_memory_bytes.or(loaded.then_some(u64::MAX));
        let decoder = locket::WriteOptions::default().decoder();
        match llm::would_fit(&config.path, adapter.as_deref(), allowed, &decoder) {
            Ok(budget) => Availability::Available { needed_bytes: budget.resident() },
            Err(LlmError::WouldNotFit { needed, allowed }) => {
                Availability::WouldNotFit { needed_bytes: needed, allowed_bytes: allowed }
            }
            Err(LlmError::FileMissing(path)) => missing(&path.to_string_lossy()),
            Err(e) => unusable(e.to_string()),
        }
    }

    fn backend(&self) -> Result<Backend, LocketError> {
        let wanted = self.chosen().config.as_ref().map_or(llm::Gpu::Auto, ModelConfig::use_of_gpu);
        let placement = self.engine.placement().map_or_else(|| llm::placement(wanted), Ok)?;
        Ok(Backend::of(placement, self.engine.in_memory()))
    }

    fn use_model(&self, model: ModelConfig) -> Result<(), LocketError> {
        check(Some(&model))?;
        *self.chosen() = Chosen { config: Some(model), ..Chosen::default() };
        self.need_model()
    }

    fn record(&self, interaction: Interaction) -> Result<u64, LocketError> {
        Ok(self.engine.record(interaction.into())?)
    }

    fn history(&self) -> Result<Vec<Record>, LocketError> {
        Ok(self.engine.entries()?.into_iter().map(Record::from).collect())
    }

    fn forget(&self, id: u64) -> Result<bool, LocketError> {
        Ok(self.engine.forget(id)?)
    }

    fn predict(&self, request: PredictRequest) -> Result<Vec<Prediction>, LocketError> {
        Ok(self.engine.predict(&request.into())?.into_iter().map(Prediction::from).collect())
    }

    fn augment(&self, request: AugmentRequest, listener: Listener<'_>, stop: &Stop) -> Result<Augmented, LocketError> {
        self.need_model()?;
        stop.listen(listener, |on_chunk| Ok(self.engine.augment(&request.into(), on_chunk)?.into()))
    }

    fn prewarm(&self, request: GenerateRequest, stop: &Stop) -> Result<(), LocketError> {
        self.need_model()?;
        let request = CoreRequest::from(request);
        stop.listen(None, |on_chunk| Ok(self.engine.prewarm(&request.options, on_chunk)?))
    }

    fn generate(&self, request: GenerateRequest, listener: Listener<'_>, stop: &Stop) -> Result<Written, LocketError> {
        self.need_model()?;
        stop.listen(listener, |on_chunk| Ok(self.engine.generate_with(&request.into(), on_chunk)?.into()))
    }

    fn drafts(&self, request: GenerateRequest, count: u32, stop: &Stop) -> Result<Vec<Written>, LocketError> {
        self.need_model()?;
        let all = stop.listen(None, |on_chunk| Ok(self.engine.drafts(&request.into(), count as usize, on_chunk)?))?;
        Ok(all.into_iter().map(Written::from).collect())
    }

    fn plan(&self, request: GenerateRequest, count: u32, stop: &Stop) -> Result<Vec<Plan>, LocketError> {
        self.need_model()?;
        let all = stop.listen(None, |on_chunk| Ok(self.engine.plan(&request.into(), count as usize, on_chunk)?))?;
        Ok(all.into_iter().map(Plan::from).collect())
    }

    fn sent(&self, draft: &str, interaction: Interaction) -> Result<u64, LocketError> {
        Ok(self.engine.sent(draft, interaction.into())?)
    }

    fn stats(&self) -> Result<Stats, LocketError> {
        Ok(self.engine.stats()?.into())
    }

    fn reset_learning(&self) -> Result<(), LocketError> {
        Ok(self.engine.reset_learning()?)
    }

    fn export(&self) -> Result<String, LocketError> {
        serde_json::to_string_pretty(&self.engine.export()?).map_err(|e| LocketError::Internal(e.to_string()))
    }

    fn import(&self, json: &str) -> Result<u64, LocketError> {
        Ok(self.engine.import(&read_export(json)?)?.added as u64)
    }

    fn import_writing(&self, import: Import<'_>) -> Result<ImportReport, LocketError> {
        let work = if import.dry_run { locket_import::preview } else { locket_import::import };
        let (source, options) = (import.source.as_source(), import.options.clone().into());
        Ok(import.listened(|on_progress| work(&self.engine, source, &options, on_progress))?.into())
    }

    fn audience(&self, address: &str) -> Result<String, LocketError> {
        Ok(self.engine.audience(address)?)
    }

    fn erase(self: Box<Self>) -> Result<(), LocketError> {
        Ok(self.engine.erase()?)
    }

    fn release_memory(&self, level: MemoryLevel) {
        self.engine.release_memory(level);
    }

    fn pause(&self, priority: Option<Priority>) {
        match priority {
            None => self.engine.pause(),
            Some(priority) => self.engine.pause_calls(priority),
        }
    }

    fn resume(&self, priority: Option<Priority>) {
        match priority {
            None => self.engine.resume(),
            Some(priority) => self.engine.resume_calls(priority),
        }
    }

    fn allow_gpu(&self, allowed: bool) {
        self.engine.allow_gpu(allowed);
    }

    fn set_conditions(&self, thermal: Thermal, power: Power) {
        self.engine.set_conditions(Conditions::new(thermal, power));
    }
}
