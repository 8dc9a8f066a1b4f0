//! Calls off the app's threads: how they are stopped, and who is told what they write.

use std::{
    iter,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, channel},
    },
    thread,
};

use locket::{Event, internals::llm::guarded};

use crate::LocketError;

/// Stops the calls that it was given to, between two tokens. The engine stays usable.
///
/// Kotlin and Python stop a call by cancelling its coroutine or task; this is for Swift and for callbacks.
#[derive(Debug, Default, uniffi::Object)]
pub struct Cancellation(Arc<AtomicBool>);

#[uniffi::export]
impl Cancellation {
    /// One that was not used yet.
    #[uniffi::constructor]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the calls, those that begin later too.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was used.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Part of what is being written.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Piece {
    /// 0 for the plan if there is one, then what was asked for; of an augmentation the plan, the title and the text.
    pub phase: u32,
    /// Which of the items of an augmentation; else 0.
    pub item: u32,
    /// Whole characters. The pieces of a phase, one after the other, are its text.
    pub text: String,
}

/// What a listener's exception becomes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum ListenerError {
    /// The listener threw.
    #[error("the listener failed: {reason}")]
    Failed {
        /// What it said.
        reason: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for ListenerError {
    fn from(e: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed { reason: e.reason }
    }
}

/// Told what is written while it is written, on a thread of the call's own: the writing does not wait for it, the call's
/// result does. An exception stops the call.
#[uniffi::export(with_foreign)]
pub trait TextListener: Send + Sync {
    /// All that is new, in order: one piece as a rule, more if the listener took longer than the next one.
    fn on_pieces(&self, pieces: Vec<Piece>) -> Result<(), ListenerError>;
}

/// Most pieces that a listener is told at once: what crosses the border stays small.
const MOST_PIECES: usize = 64;

/// Everything that can stop a call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Vec<Arc<AtomicBool>>);

impl Stop {
    pub(crate) fn is_set(&self) -> bool {
        self.0.iter().any(|flag| flag.load(Ordering::Relaxed))
    }

    pub(crate) fn flow(&self) -> ControlFlow<()> {
        if self.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Runs `work` with a handler of its events that passes pieces on and stops when it is to. Every piece has been told when it
    /// returns.
    pub(crate) fn listen<T>(
        &self,
        listener: Option<&dyn TextListener>,
        work: impl FnOnce(&mut dyn FnMut(Event<'_>) -> ControlFlow<()>) -> Result<T, LocketError>,
    ) -> Result<T, LocketError> {
        let Some(listener) = listener else { return work(&mut |_| self.flow()) };
        let (pieces, news) = channel();
        thread::scope(|scope| {
            let telling = scope.spawn(|| guarded(|| tell(listener, news)));
            // A listener that fails drops its end.
            let result = work(&mut |event| {
                let text = event.piece.to_owned();
                let piece = Piece { phase: event.phase as u32, item: event.request as u32, text };
                if !piece.text.is_empty() && pieces.send(piece).is_err() { ControlFlow::Break(()) } else { self.flow() }
            });
            drop(pieces);
            let told = telling.join().expect("a guarded thread does not panic");
            told.map_err(LocketError::from)?.map_err(|e| LocketError::ListenerFailed(e.to_string()))?;
            result
        })
    }
}

/// Tells `listener` what comes, until nothing more can come.
fn tell(listener: &dyn TextListener, news: Receiver<Piece>) -> Result<(), ListenerError> {
    while let Ok(first) = news.recv() {
        listener.on_pieces(iter::once(first).chain(news.try_iter()).take(MOST_PIECES).collect())?;
    }
    Ok(())
}

/// Sets its flag when the call's future is dropped: that is how a cancelled coroutine arrives here.
struct Abandoned(Arc<AtomicBool>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `work` on a thread where it may block. A panic becomes an error.
pub(crate) async fn call<T: Send + 'static>(
    closing: Arc<AtomicBool>,
    cancellation: Option<Arc<Cancellation>>,
    work: impl FnOnce(&Stop) -> Result<T, LocketError> + Send + 'static,
) -> Result<T, LocketError> {
    let abandoned = Abandoned(Arc::default());
    let mut flags = vec![closing.clone(), abandoned.0.clone()];
    flags.extend(cancellation.map(|c| c.0.clone()));
    let stop = Stop(flags);
    let result = blocking::unblock(move || {
        let work = || if stop.is_set() { Err(LocketError::cancelled()) } else { work(&stop) };
        guarded(work).unwrap_or_else(|e| Err(e.into()))
    })
    .await;
    match result {
        Err(LocketError::Cancelled(_)) if closing.load(Ordering::Relaxed) => Err(LocketError::closed()),
        result => result,
    }
}
