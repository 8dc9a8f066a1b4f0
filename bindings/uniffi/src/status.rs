//! Whether and on which devices the engine can generate text. Apps check this before they offer it.

use locket::internals::llm;

/// Whether a text can be generated, and if not, why.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum Availability {
    /// A text can be generated.
    Available {
        /// Number of bytes that the model and the decoder need together.
        needed_bytes: u64,
    },
    /// The engine has no model.
    NoModel,
    /// There is no file at this path.
    ModelMissing {
        /// Path of the model or the adapter.
        path: String,
    },
    /// The file is damaged or of an unsupported kind.
    ModelUnusable {
        /// Description of the problem.
        reason: String,
    },
    /// The file does not have the expected checksum: it is incomplete, or it is another file.
    BadChecksum {
        /// The SHA-256 in `ModelConfig`.
        expected: String,
        /// The SHA-256 of the file.
        actual: String,
    },
    /// There is not enough memory.
    WouldNotFit {
        /// Number of bytes that the model and the decoder would need together.
        needed_bytes: u64,
        /// Number of bytes that they may use.
        allowed_bytes: u64,
    },
    /// The engine was shut down or erased.
    Closed,
}

/// A device that a model can run on.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Device {
    /// Name of the device, such as `CPU`, `Vulkan0` or `Metal`.
    pub name: String,
    /// The manufacturer's name for the device.
    pub description: String,
    /// Whether the device is a GPU.
    pub gpu: bool,
    /// Number of free bytes of memory that the device reports; 0 if it reports none.
    pub free_bytes: u64,
}

/// The devices for the model, and the parts of it that are in memory.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Backend {
    /// All devices that this build found.
    pub devices: Vec<Device>,
    /// Number of layers on a GPU; 0 means that the model runs on the CPU.
    pub gpu_layers: u32,
    /// Reason for not using a GPU; absent if one is used.
    pub reason_no_gpu: Option<String>,
    /// Whether the model is in memory.
    pub model_loaded: bool,
    /// Whether a decoder is in memory.
    pub decoder_loaded: bool,
}

impl Backend {
    pub(crate) fn of(placement: llm::Placement, (model_loaded, decoder_loaded): (bool, bool)) -> Self {
        let device =
            |d: llm::Device| Device { name: d.name, description: d.description, gpu: d.gpu, free_bytes: d.memory_free };
        Self {
            devices: placement.devices.into_iter().map(device).collect(),
            gpu_layers: placement.gpu_layers,
            reason_no_gpu: placement.why_no_gpu,
            model_loaded,
            decoder_loaded,
        }
    }
}
