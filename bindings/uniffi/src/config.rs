//! Configuration of an engine, and the state of the device.

use std::path::PathBuf;

use locket::{LoadOptions, MemoryLevel, Power, Priority, Thermal, internals::llm};

use crate::LocketError;

/// Paths and limits that an engine opens with.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct EngineConfig {
    /// Folder of the user's store, created if missing. It must be among the app's private files.
    pub store_dir: String,
    /// Path of the pack. Without a pack there are no predictions and no retrieved texts.
    #[uniffi(default)]
    pub pack_path: Option<String>,
    /// The model. `Engine.use_model` can set it later; until then the engine records, predicts and
    /// exports.
    #[uniffi(default)]
    pub model: Option<ModelConfig>,
    /// The user's id in the pack, if the pack may contain their texts. The engine never treats
    /// these as other users' texts.
    #[uniffi(default)]
    pub user_id: Option<String>,
    /// Maximum number of threads for the model. 0 uses one per processor, and the number never
    /// exceeds the number of processors. Fewer threads decode while other programs are busy.
    #[uniffi(default = 0)]
    pub threads: u32,
    /// Maximum number of bytes on disk for sessions: encrypted KV state of the user's history. With
    /// a session, the first text after a restart skips most of the prefill. 0 keeps no sessions.
    #[uniffi(default = 67108864)]
    pub session_bytes: u64,
}

/// A model and its limits.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ModelConfig {
    /// Path of the model file (GGUF).
    pub path: String,
    /// Path of a LoRA adapter for the model (GGUF).
    #[uniffi(default)]
    pub adapter_path: Option<String>,
    /// Expected SHA-256 of the model file, 64 hexadecimal digits. `Engine.availability` compares
    /// it, reading the file once per engine and model.
    #[uniffi(default)]
    pub sha256: Option<String>,
    /// Maximum number of bytes for the model and the decoder together. If absent, the limit is the
    /// memory that the system has available.
    #[uniffi(default)]
    pub max_memory_bytes: Option<u64>,
    /// Whether to use a GPU, if this build supports one and the device has one.
    #[uniffi(default = true)]
    pub gpu: bool,
}

impl ModelConfig {
    pub(crate) fn options(&self) -> LoadOptions {
        let mut options = LoadOptions::default().with_gpu(self.use_of_gpu());
        options.adapter = self.adapter_path.as_ref().map(PathBuf::from);
        options.allowed_bytes = self.max_memory_bytes;
        options
    }

    pub(crate) fn use_of_gpu(&self) -> llm::Gpu {
        if self.gpu { llm::Gpu::Auto } else { llm::Gpu::Off }
    }
}

/// Thermal state of the device, in the steps of Android's `PowerManager` and Apple's `ProcessInfo`.
#[uniffi::remote(Enum)]
pub enum Thermal {
    /// Normal temperature, without restrictions.
    Nominal,
    /// Slightly warm, without restrictions.
    Fair,
    /// So warm that the system slows down: half the threads, no augmentation.
    Serious,
    /// Close to a thermal shutdown: one thread, no augmentation.
    Critical,
}

/// Power source of the device.
#[uniffi::remote(Enum)]
pub enum Power {
    /// External power.
    Charging,
    /// Battery.
    Battery,
    /// Battery low, or power saving on: half the threads, no augmentation.
    Low,
}

/// Priority of a call.
#[uniffi::remote(Enum)]
pub enum Priority {
    /// The user waits for the result: `Engine.generate` and `Engine.prewarm`.
    Foreground,
    /// Nobody waits for the result: `Engine.augment`.
    Background,
}

/// Amount of memory to free, from least to most.
#[uniffi::remote(Enum)]
pub enum MemoryLevel {
    /// The KV cache entries of earlier prompts.
    Sessions,
    /// Also the decoder: the whole KV cache and the intermediate results.
    Kv,
    /// Also the model. The next call loads it again.
    Model,
}

pub(crate) fn not_a_checksum(sha256: &str) -> Option<LocketError> {
    let hexadecimal = sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit());
    (!hexadecimal).then(|| LocketError::BadInput(format!("a SHA-256 has 64 hexadecimal digits, not {sha256:?}")))
}
