//! The interface between the exported engine and its implementation, real or fake.

use crate::{
    AugmentRequest, Augmented, Availability, Backend, GenerateRequest, ImportReport, Interaction, LocketError,
    MemoryLevel, ModelConfig, Plan, Power, PredictRequest, Prediction, Priority, Record, Stats, TextListener, Thermal,
    Written, task::Stop, writing::Import,
};

pub(crate) type Listener<'a> = Option<&'a dyn TextListener>;

/// The calls of an engine. Each of them may block.
pub(crate) trait Backing: Send + Sync {
    fn availability(&self) -> Availability;
    fn backend(&self) -> Result<Backend, LocketError>;
    fn use_model(&self, model: ModelConfig) -> Result<(), LocketError>;
    fn record(&self, interaction: Interaction) -> Result<u64, LocketError>;
    fn history(&self) -> Result<Vec<Record>, LocketError>;
    fn forget(&self, id: u64) -> Result<bool, LocketError>;
    fn predict(&self, request: PredictRequest) -> Result<Vec<Prediction>, LocketError>;
    fn augment(&self, request: AugmentRequest, listener: Listener<'_>, stop: &Stop) -> Result<Augmented, LocketError>;
    fn prewarm(&self, request: GenerateRequest, stop: &Stop) -> Result<(), LocketError>;
    fn generate(&self, request: GenerateRequest, listener: Listener<'_>, stop: &Stop) -> Result<Written, LocketError>;
    fn drafts(&self, request: GenerateRequest, count: u32, stop: &Stop) -> Result<Vec<Written>, LocketError>;
    fn plan(&self, request: GenerateRequest, count: u32, stop: &Stop) -> Result<Vec<Plan>, LocketError>;
    fn sent(&self, draft: &str, interaction: Interaction) -> Result<u64, LocketError>;
    fn stats(&self) -> Result<Stats, LocketError>;
    fn reset_learning(&self) -> Result<(), LocketError>;
    fn export(&self) -> Result<String, LocketError>;
    fn import(&self, json: &str) -> Result<u64, LocketError>;
    /// Imports the user's texts, or only returns the report.
    fn import_writing(&self, import: Import<'_>) -> Result<ImportReport, LocketError>;
    fn audience(&self, address: &str) -> Result<String, LocketError>;
    fn erase(self: Box<Self>) -> Result<(), LocketError>;
    fn release_memory(&self, level: MemoryLevel);
    /// Pauses the calls of `priority`, or all calls if it is `None`.
    fn pause(&self, priority: Option<Priority>);
    fn resume(&self, priority: Option<Priority>);
    fn allow_gpu(&self, allowed: bool);
    fn set_conditions(&self, thermal: Thermal, power: Power);
}
