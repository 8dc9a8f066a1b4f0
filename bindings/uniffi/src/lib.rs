//! Locket for Kotlin, Swift and Python, through UniFFI.
//!
//! The object model mirrors the engine's nouns. Every call that may take long is asynchronous and
//! runs on the engine's own threads. A panic becomes [`LocketError::Internal`] and never crosses
//! the language boundary.
//!
//! | module | contents |
//! |---|---|
//! | [`engine`] | the engine object |
//! | [`calls`] | arguments and results of its calls |
//! | [`kind`] | kinds of writing |
//! | [`records`] | the user's texts and synthetic texts |
//! | [`config`], [`status`] | configuration; whether and on which devices the engine can generate |
//! | [`task`] | streams and cancellation |
//! | [`update`] | pack updates |
//! | [`writing`] | import of mail, chats, notes and tables |
//! | [`error`], [`log`] | errors and logging |
//! | [`fake`] | an engine for tests of apps |

mod backing;
pub mod calls;
pub mod config;
pub mod engine;
pub mod error;
pub mod fake;
pub mod kind;
pub mod log;
mod real;
pub mod records;
pub mod script;
pub mod status;
pub mod task;
pub mod update;
pub mod writing;

pub use calls::{
    AugmentRequest, Augmented, GenerateRequest, Link, PredictRequest, Prediction, Reason, Stats, WritingTask, Written,
};
pub use config::{EngineConfig, ModelConfig};
pub use engine::Engine;
pub use error::LocketError;
pub use kind::Kind;
pub use log::{LogLevel, Logger, set_logger};
pub use records::{Interaction, Plan, Record, SyntheticText};
pub use script::{Failure, FakeScript};
pub use status::{Availability, Backend, Device};
pub use task::{Cancellation, Chunk, ListenerError, TextListener};
pub use writing::{
    ImportFormat, ImportListener, ImportOptions, ImportReport, ImportSource, SkipReason, SkippedMessages,
};

use locket::CancelToken;
pub use locket::{Length, MemoryLevel, Part, Power, Priority, Resize, Thermal, Tone};

uniffi::setup_scaffolding!("locket");

/// Returns the version of this library.
#[uniffi::export]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// Sets the folder with llama.cpp's kernels for every kind of CPU, for a build with `cpu-variants`.
/// On Android this is `ApplicationInfo.nativeLibraryDir`. Call it before the first model is loaded.
#[uniffi::export]
pub fn set_kernel_dir(folder: String) {
    locket::kernels_in(folder);
}

/// Deletes the whole content of a store without its key, for a store with a lost key or damaged
/// files. Its engine must be closed. Other files in the folder stay.
#[uniffi::export]
pub async fn erase_store(store_dir: String) -> Result<(), LocketError> {
    let erase = move |_: &task::Stop| Ok(locket::Store::erase_unopened(store_dir)?);
    task::call(CancelToken::new(), None, erase).await
}

/// Returns a new random key of 32 bytes for a new store.
#[uniffi::export]
pub fn generate_key() -> Result<Vec<u8>, LocketError> {
    Ok(locket::Key::generate()?.as_bytes().to_vec())
}
