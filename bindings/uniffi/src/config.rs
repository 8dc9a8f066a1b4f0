//! What an engine is opened with, and how the device is.

use std::path::PathBuf;

use locket::{LoadOptions, internals::llm};

use crate::LocketError;

/// Where an engine finds what it needs.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct EngineConfig {
    /// The folder of the person's store; made if it is missing. It must lie in the app's private files.
    pub store_dir: String,
    /// The pack. Without one there are no predictions and no texts by others.
    #[uniffi(default)]
    pub pack_path: Option<String>,
    /// The model. It may arrive later, see `Engine.use_model`; until then the engine records, predicts and exports.
    #[uniffi(default)]
    pub model: Option<ModelConfig>,
    /// The id under which the person's texts may stand in the pack: they are never shown to them as somebody else's.
    #[uniffi(default)]
    pub user_id: Option<String>,
    /// Most threads for the model; 0 takes as many as there are processors, and more than that are never taken. ContrastBranch other busy
    /// programs fewer decode.
    #[uniffi(default = 0)]
    pub threads: u32,
    /// Most bytes of encrypted sessions on disk, with which a first text after a restart begins at once; 0 keeps none.
    #[uniffi(default = 67108864)]
    pub session_bytes: u64,
}

/// A model, and what it may take.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ModelConfig {
    /// The GGUF file.
    pub path: String,
    /// A LoRA adapter for it (GGUF).
    #[uniffi(default)]
    pub adapter_path: Option<String>,
    /// The SHA-256 that the file must have, 64 hexadecimal digits: `Engine.availability` checks it once per engine.
    #[uniffi(default)]
    pub sha256: Option<String>,
    /// Most bytes that model and decoder may take together; without it, what the system has available.
    #[uniffi(default)]
    pub max_memory_bytes: Option<u64>,
    /// Whether a GPU is used if this build and the device have one.
    #[uniffi(default = true)]
    pub gpu: bool,
}

impl ModelConfig {
    pub(crate) fn options(&self) -> LoadOptions {
        LoadOptions {
            adapter: self.adapter_path.as_ref().map(PathBuf::from),
            allowed_bytes: self.max_memory_bytes,
            gpu: self.use_of_gpu(),
            progress: None,
        }
    }

    pub(crate) fn use_of_gpu(&self) -> llm::Gpu {
        if self.gpu { llm::Gpu::Auto } else { llm::Gpu::Off }
    }
}

/// How warm the device is, in the steps of Android's `PowerManager` and Apple's `ProcessInfo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Thermal {
    /// Nothing to take care of.
    Nominal,
    /// A little warm.
    Fair,
    /// Warm enough that the system slows down: half the threads, no augmentation.
    Serious,
    /// About to stop: one thread.
    Critical,
}

/// Where the power comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Power {
    /// The mains.
    Charging,
    /// The battery.
    Battery,
    /// The battery, nearly empty or told to last: half the threads, no augmentation.
    Low,
}

/// Who waits for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Priority {
    /// The person, now: `Engine.generate` and `Engine.prewarm`.
    Foreground,
    /// Nobody: `Engine.augment`.
    Background,
}

impl From<Priority> for llm::Priority {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Foreground => Self::Foreground,
            Priority::Background => Self::Background,
        }
    }
}

/// How much memory is to be given back, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum MemoryLevel {
    /// What is kept of earlier prompts.
    Sessions,
    /// The decoder too: keys, values and intermediate results.
    Kv,
    /// The model too. The next call loads it again.
    Model,
}

impl From<MemoryLevel> for llm::MemoryLevel {
    fn from(level: MemoryLevel) -> Self {
        match level {
            MemoryLevel::Sessions => Self::Sessions,
            MemoryLevel::Kv => Self::Kv,
            MemoryLevel::Model => Self::Model,
        }
    }
}

pub(crate) fn conditions(thermal: Thermal, power: Power) -> llm::Conditions {
    let thermal = match thermal {
        Thermal::Nominal => llm::Thermal::Nominal,
        Thermal::Fair => llm::Thermal::Fair,
        Thermal::Serious => llm::Thermal::Serious,
        Thermal::Critical => llm::Thermal::Critical,
    };
    let power = match power {
        Power::Charging => llm::Power::Charging,
        Power::Battery => llm::Power::Battery,
        Power::Low => llm::Power::Low,
    };
    llm::Conditions { thermal, power }
}

pub(crate) fn not_a_checksum(sha256: &str) -> Option<LocketError> {
    let hexadecimal = sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit());
    (!hexadecimal).then(|| LocketError::BadInput(format!("a SHA-256 has 64 hexadecimal digits, not {sha256:?}")))
}
