//! Calls on threads of their own: cancellation, and listeners for the generated text.

use std::{
    iter,
    ops::ControlFlow,
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    thread,
};

use locket::{CancelToken, OnChunk, Part, internals::llm::guarded};

use crate::LocketError;

/// A handle that stops the calls it was passed to, between two tokens. The engine stays usable.
///
/// Kotlin and Python can also stop a call by cancelling its coroutine or task. This type is for
/// Swift and for callbacks.
#[derive(Debug, Default, uniffi::Object)]
pub struct Cancellation(CancelToken);

#[uniffi::export]
impl Cancellation {
    /// Creates a handle that is not cancelled.
    #[uniffi::constructor]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the calls, including later ones with this handle.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Returns whether `cancel` was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// The part of an output that a chunk belongs to.
#[uniffi::remote(Enum)]
pub enum Part {
    /// The plan.
    Plan,
    /// The title.
    Title,
    /// The text.
    Text,
    /// The rating.
    Rating,
}

/// A chunk of the generated text.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Chunk {
    /// The part of the output.
    pub part: Part,
    /// Index of the item in an `augment` call; 0 otherwise.
    pub item: u32,
    /// Whole characters. The texts of a part's chunks, concatenated, are the part.
    pub text: String,
}

impl From<locket::Chunk> for Chunk {
    fn from(chunk: locket::Chunk) -> Self {
        Self { part: chunk.part, item: chunk.item as u32, text: chunk.text }
    }
}

/// An exception of a listener.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum ListenerError {
    /// The listener threw.
    #[error("the listener failed: {reason}")]
    Failed {
        /// Message of the exception.
        reason: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for ListenerError {
    fn from(e: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed { reason: e.reason }
    }
}

/// A listener for text while it is generated. It runs on a thread of its own: decoding does not
/// wait for it, but the call's result does. An exception stops the call.
#[uniffi::export(with_foreign)]
pub trait TextListener: Send + Sync {
    /// Receives the new chunks in order: usually one, more if the previous call of the listener
    /// took longer than the next chunk.
    fn on_chunks(&self, chunks: Vec<Chunk>) -> Result<(), ListenerError>;
}

/// Maximum number of chunks per call of a listener. It bounds the data that crosses the language
/// boundary at once.
const MOST_CHUNKS: usize = 64;

/// The flags that can stop a call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Vec<CancelToken>);

impl Stop {
    pub(crate) fn is_set(&self) -> bool {
        self.0.iter().any(CancelToken::is_cancelled)
    }

    pub(crate) fn flow(&self) -> ControlFlow<()> {
        if self.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Runs `work` with an event handler that passes chunks to `listener` and breaks once a flag is
    /// set. The listener has received every chunk when this returns, unless it failed.
    pub(crate) fn listen<T>(
        &self,
        listener: Option<&dyn TextListener>,
        work: impl FnOnce(OnChunk<'_>) -> Result<T, LocketError>,
    ) -> Result<T, LocketError> {
        let Some(listener) = listener else { return work(&mut |_| self.flow()) };
        let (chunks, news) = channel();
        thread::scope(|scope| {
            let telling = scope.spawn(|| guarded(|| tell(listener, news)));
            // A listener that fails drops its end of the channel.
            let result = work(&mut |chunk| {
                if !chunk.text.is_empty() && chunks.send(Chunk::from(chunk)).is_err() {
                    return ControlFlow::Break(());
                }
                self.flow()
            });
            drop(chunks);
            let told = telling.join().expect("a guarded thread does not panic");
            told.map_err(LocketError::from)?.map_err(|e| LocketError::ListenerFailed(e.to_string()))?;
            result
        })
    }
}

/// Passes chunks to `listener` until the channel closes.
fn tell(listener: &dyn TextListener, news: Receiver<Chunk>) -> Result<(), ListenerError> {
    while let Ok(first) = news.recv() {
        listener.on_chunks(iter::once(first).chain(news.try_iter()).take(MOST_CHUNKS).collect())?;
    }
    Ok(())
}

/// Sets its flag when the call's future is dropped, as it is when a coroutine is cancelled.
struct Abandoned(CancelToken);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Runs `work` on a thread where it may block. A panic becomes an error.
pub(crate) async fn call<T: Send + 'static>(
    closing: CancelToken,
    cancellation: Option<Arc<Cancellation>>,
    work: impl FnOnce(&Stop) -> Result<T, LocketError> + Send + 'static,
) -> Result<T, LocketError> {
    let abandoned = Abandoned(CancelToken::new());
    let mut flags = vec![closing.clone(), abandoned.0.clone()];
    flags.extend(cancellation.map(|c| c.0.clone()));
    let stop = Stop(flags);
    let result = blocking::unblock(move || {
        let work = || if stop.is_set() { Err(LocketError::cancelled()) } else { work(&stop) };
        guarded(work).unwrap_or_else(|e| Err(e.into()))
    })
    .await;
    match result {
        Err(LocketError::Cancelled(_)) if closing.is_cancelled() => Err(LocketError::closed()),
        result => result,
    }
}
