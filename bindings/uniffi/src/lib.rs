//! Locket for Kotlin, Swift and Python, through UniFFI.
//!
//! The object model mirrors the engine's nouns. Everything that may take long is asynchronous and runs on threads of its own; a
//! panic becomes [`LocketError::Internal`] and never crosses.
//!
//! | module | what it is for |
//! |---|---|
//! | [`engine`] | the object that apps hold |
//! | [`calls`] | arguments and results of its calls |
//! | [`records`] | texts of the person and for the person |
//! | [`config`], [`status`] | what it is opened with; whether and on what it can write |
//! | [`task`] | streams and cancellation |
//! | [`update`] | newer packs |
//! | [`error`], [`log`] | what went wrong, what happened |
//! | [`fake`] | an engine for tests of apps |

mod backing;
pub mod calls;
pub mod config;
pub mod engine;
pub mod error;
pub mod fake;
pub mod log;
mod real;
pub mod records;
pub mod status;
pub mod task;
pub mod update;

pub use calls::{
    AugmentRequest, Augmented, GenerateRequest, Link, PredictRequest, Prediction, Reason, WritingTask, Written,
};
pub use config::{EngineConfig, MemoryLevel, ModelConfig, Power, Priority, Thermal};
pub use engine::Engine;
pub use error::LocketError;
pub use fake::{Failure, FakeScript};
pub use log::{LogLevel, Logger, set_logger};
pub use records::{Interaction, Length, Plan, Record, SyntheticText, Tone};
pub use status::{Availability, Backend, Device};
pub use task::{Cancellation, ListenerError, Piece, TextListener};

use std::sync::Arc;

uniffi::setup_scaffolding!("locket");

/// The version of this library.
#[uniffi::export]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// The folder with llama.cpp's kernels for every kind of processor, for a build with `cpu-variants`; on Android
/// `ApplicationInfo.nativeLibraryDir`. To be called before the first model is loaded.
#[uniffi::export]
pub fn set_kernel_dir(folder: String) {
    locket::kernels_in(folder);
}

/// Deletes everything that a store holds without its key: for a store whose key is lost, or whose files are damaged. Its engine must be
/// closed. Files in the folder that are not the store's stay.
#[uniffi::export]
pub async fn erase_store(store_dir: String) -> Result<(), LocketError> {
    let erase = move |_: &task::Stop| Ok(locket::Store::erase_unopened(store_dir)?);
    task::call(Arc::default(), None, erase).await
}

/// A fresh random key of 32 bytes for a new store.
#[uniffi::export]
pub fn generate_key() -> Result<Vec<u8>, LocketError> {
    Ok(locket::Key::generate()?.as_bytes().to_vec())
}
