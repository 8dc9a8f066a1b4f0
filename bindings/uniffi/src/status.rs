//! Whether a text can be written here, and on what: to be asked before a button is shown.

use locket::internals::llm;

/// Whether a text can be written, and if not, why.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum Availability {
    /// It can.
    Available {
        /// Bytes that model and decoder will take together.
        needed_bytes: u64,
    },
    /// The engine was opened without a model.
    NoModel,
    /// There is no file at this path.
    ModelMissing {
        /// The model's or the adapter's path.
        path: String,
    },
    /// The file is damaged or of a kind that cannot be used.
    ModelUnusable {
        /// What is wrong with it.
        reason: String,
    },
    /// The file does not have the checksum that it should: it was cut off, or it is another one.
    BadChecksum {
        /// The SHA-256 that the app named.
        expected: String,
        /// The file's.
        actual: String,
    },
    /// There is not enough memory.
    WouldNotFit {
        /// Bytes that model and decoder would take together.
        needed_bytes: u64,
        /// Bytes that there are.
        allowed_bytes: u64,
    },
    /// The engine was shut down or erased.
    Closed,
}

/// Something that a model can run on.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Device {
    /// Such as `CPU`, `Vulkan0` or `Metal`.
    pub name: String,
    /// Its maker's name for it.
    pub description: String,
    /// Whether it is a GPU.
    pub gpu: bool,
    /// Bytes of memory that it says are free; 0 if it does not say.
    pub free_bytes: u64,
}

/// What the model runs on, and what of it is in memory.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Backend {
    /// Everything that this build found here.
    pub devices: Vec<Device>,
    /// Layers that run on a GPU; 0 runs on the processor.
    pub gpu_layers: u32,
    /// Why no GPU is used; none if one is.
    pub reason_no_gpu: Option<String>,
    /// Whether the model is in memory.
    pub model_loaded: bool,
    /// Whether a decoder is.
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
