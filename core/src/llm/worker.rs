//! One thread that owns the model, for any number of callers.
//!
//! A model in memory is large and decodes one batch at a time, so callers queue: those whose user waits before those in the
//! background, which also step aside between two of their tokens. The thread loads the model when the first call needs it,
//! keeps one decoder for as long as calls want the same kind, and gives back what it is told to release as soon as the
//! call in progress has ended; the next call loads again. While it is paused nothing is decoded.

mod queue;

use std::{
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError, SyncSender},
    },
    thread::JoinHandle,
};

use super::{
    Conditions, Decoder, DecoderOptions, Event, LlmError, LoadOptions, Model, OnEvent, Placement, model::Source,
};
use queue::{Loaded, Next, PATIENCE, Shared, Work};

/// How much memory is to be given back, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemoryLevel {
    /// What is kept of earlier prompts, so that the next need not be read again.
    Sessions,
    /// The decoder too: keys, values and intermediate results.
    Kv,
    /// The model too.
    Model,
}

/// Who waits for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Priority {
    /// The person, now.
    Foreground,
    /// Nobody: its decoder is given up when it is done, so that the foreground's stays.
    Background,
}

/// What the thread tells a caller.
enum Message<T> {
    Piece { request: usize, phase: usize, piece: String },
    Done(T),
}

/// The callers' side.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// A worker that has its model already.
    pub(crate) fn with_model(model: Model) -> Result<Self, LlmError> {
        Self::start(model.source().clone(), Some(model))
    }

    /// A worker that loads the model when it is first needed.
    pub(crate) fn lazy(source: Source) -> Result<Self, LlmError> {
        Self::start(source, None)
    }

    fn start(source: Source, model: Option<Model>) -> Result<Self, LlmError> {
        let shared = Arc::new(Shared::default());
        shared.set_loaded(model.is_some(), false);
        let theirs = shared.clone();
        let thread = std::thread::Builder::new().name("locket".into()).spawn(move || serve(&theirs, &source, model));
        let thread = thread.map_err(|e| LlmError::Failed(e.to_string()))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Gives memory back, without waiting: after the call in progress, before the next.
    pub(crate) fn release(&self, level: MemoryLevel) {
        let mut queue = self.shared.queue();
        queue.release = queue.release.max(Some(level));
        drop(queue);
        self.shared.wake.notify_one();
    }

    /// Stops decoding between two tokens, or goes on. Calls wait meanwhile, and can be cancelled.
    pub(crate) fn pause(&self, paused: bool) {
        self.shared.queue().paused = paused;
        self.shared.wake.notify_one();
    }

    /// Takes note of how the device is.
    pub(crate) fn set_conditions(&self, conditions: Conditions) {
        self.shared.queue().conditions = conditions;
        self.shared.wake.notify_one();
    }

    /// Is paused, and under the conditions, as `other` is.
    pub(crate) fn follow(&self, other: &Self) {
        let (paused, conditions) = {
            let queue = other.shared.queue();
            (queue.paused, queue.conditions)
        };
        self.pause(paused);
        self.set_conditions(conditions);
    }

    /// Whether the model is in memory, and whether a decoder is.
    pub(crate) fn loaded(&self) -> (bool, bool) {
        self.shared.queue().loaded
    }

    /// What the model runs on, once it was loaded.
    pub(crate) fn placement(&self) -> Option<Placement> {
        self.shared.queue().placement.clone()
    }

    /// Runs `work` on the thread with a decoder opened like `options`, after everything of its priority that was asked before.
    /// `on_event` is called here, also while the call waits, and may stop it.
    pub(crate) fn call<T, E>(
        &self,
        priority: Priority,
        options: DecoderOptions,
        on_event: OnEvent<'_>,
        work: impl FnOnce(&mut Decoder<'_>, OnEvent<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<LlmError> + Send + 'static,
    {
        self.call_with(priority, move |_| options, on_event, work)
    }

    /// The same where how the decoder is opened depends on the model.
    pub(crate) fn call_with<T, E>(
        &self,
        priority: Priority,
        options: impl FnOnce(&Model) -> DecoderOptions + Send + 'static,
        on_event: OnEvent<'_>,
        work: impl FnOnce(&mut Decoder<'_>, OnEvent<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<LlmError> + Send + 'static,
    {
        /// How far the thread may run ahead of the caller, in pieces of text.
        const AHEAD: usize = 16;
        let (to_caller, messages) = mpsc::sync_channel(AHEAD);
        let stopped = Arc::new(AtomicBool::new(false));
        let theirs = stopped.clone();
        let job: Work = Box::new(move |loaded| {
            let result = loaded.map_err(E::from).and_then(|Loaded { model, conditions, decoder, between }| {
                if theirs.load(Ordering::Relaxed) {
                    return Err(LlmError::Cancelled.into());
                }
                let run = || {
                    let options = options(model);
                    let threads = conditions.threads(options.all_threads());
                    let decoder = opened(model, decoder, DecoderOptions { threads, ..options })?;
                    work(decoder, &mut |event| {
                        between(&theirs);
                        forward(&to_caller, event, &theirs)
                    })
                };
                guarded(run).unwrap_or_else(|e| {
                    // Nobody knows what state it is in.
                    *decoder = None;
                    Err(e.into())
                })
            });
            // A caller that has gone does not want it.
            let _ = to_caller.send(Message::Done(result));
        });
        let mut queue = self.shared.queue();
        match priority {
            Priority::Foreground => queue.foreground.push_back(job),
            Priority::Background => queue.background.push_back(job),
        }
        drop(queue);
        self.shared.wake.notify_one();

        loop {
            let answer = match messages.recv_timeout(PATIENCE) {
                Ok(Message::Done(result)) => return result,
                Ok(Message::Piece { request, phase, piece }) => on_event(Event { request, phase, piece: &piece }),
                Err(RecvTimeoutError::Timeout) => on_event(Event { request: 0, phase: 0, piece: "" }),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(LlmError::Failed("the call was dropped".into()).into());
                }
            };
            if answer.is_break() {
                // The thread notices before its next token, or when the call's turn comes.
                stopped.store(true, Ordering::Relaxed);
                return Err(LlmError::Cancelled.into());
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Passes an event on to its caller, who may have stopped the call.
fn forward<T>(to: &SyncSender<Message<T>>, event: Event<'_>, stopped: &AtomicBool) -> ControlFlow<()> {
    if stopped.load(Ordering::Relaxed) {
        return ControlFlow::Break(());
    }
    if event.piece.is_empty() {
        return ControlFlow::Continue(());
    }
    let (request, phase, piece) = (event.request, event.phase, event.piece.to_owned());
    match to.send(Message::Piece { request, phase, piece }) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    }
}

/// The decoder in `kept` if it is of this kind, else a new one in its place.
fn opened<'a, 'm>(
    model: &'m Model,
    kept: &'a mut Option<Decoder<'m>>,
    options: DecoderOptions,
) -> Result<&'a mut Decoder<'m>, LlmError> {
    if kept.as_ref().is_none_or(|d| d.options() != options) {
        // First the old one goes: both may not fit. What it has read is kept if only the threads change.
        let threads = options.threads;
        let old = kept.take().filter(|d| DecoderOptions { threads, ..d.options() } == options);
        let read = old.and_then(|mut d| d.export_read());
        let mut new = model.decoder(options)?;
        if let Some((tokens, state)) = read {
            new.import_prefix(&tokens, &state);
        }
        *kept = Some(new);
    }
    kept.as_mut().ok_or(LlmError::Request("there is no decoder"))
}

/// Turns a panic into an error: callers of other languages cannot catch one.
///
/// # Errors
/// [`LlmError::Failed`] with what the panic said.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, LlmError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let what = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
        LlmError::Failed(what.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default())
    })
}

/// The thread: jobs until the worker is dropped.
fn serve(shared: &Shared, source: &Source, mut model: Option<Model>) {
    loop {
        match shared.next() {
            Next::Closed => return,
            Next::Release(MemoryLevel::Model) => model = None,
            Next::Release(_) => {}
            Next::Job(priority, job) => {
                let loaded = model.take().map_or_else(|| guarded(|| load(source)).and_then(|loaded| loaded), Ok);
                match loaded {
                    Err(e) => job(Err(e)),
                    Ok(loaded) => {
                        shared.set_loaded(true, false);
                        if !serve_with(shared, &loaded, (priority, job)) {
                            model = Some(loaded);
                        }
                    }
                }
            }
        }
        shared.set_loaded(model.is_some(), false);
    }
}

/// Jobs on one loaded model, until it is to be released (true) or there are no more.
fn serve_with(shared: &Shared, model: &Model, first: (Priority, Work)) -> bool {
    shared.queue().placement = Some(model.placement().clone());
    let mut kept = None;
    let mut job = Some(first);
    loop {
        match job.take() {
            Some((Priority::Foreground, job)) => foreground(shared, model, &mut kept, job),
            Some((Priority::Background, job)) => {
                let mut decoder = None;
                let mut aside = |job| foreground(shared, model, &mut kept, job);
                let mut between = |stopped: &AtomicBool| shared.between(stopped, Some(&mut aside));
                let conditions = shared.queue().conditions;
                job(Ok(Loaded { model, conditions, decoder: &mut decoder, between: &mut between }));
            }
            None => {}
        }
        shared.set_loaded(true, kept.is_some());
        match shared.next() {
            Next::Job(priority, next) => job = Some((priority, next)),
            Next::Release(MemoryLevel::Sessions) => kept.iter_mut().for_each(Decoder::clear),
            Next::Release(MemoryLevel::Kv) => kept = None,
            Next::Release(MemoryLevel::Model) => return true,
            Next::Closed => return false,
        }
        shared.set_loaded(true, kept.is_some());
    }
}

fn foreground<'m>(shared: &Shared, model: &'m Model, decoder: &mut Option<Decoder<'m>>, job: Work) {
    let mut between = |stopped: &AtomicBool| shared.between(stopped, None);
    let conditions = shared.queue().conditions;
    job(Ok(Loaded { model, conditions, decoder, between: &mut between }));
}

fn load(source: &Source) -> Result<Model, LlmError> {
    let Source { path, adapter, allowed_bytes, gpu } = source.clone();
    Model::load(path, LoadOptions { adapter, allowed_bytes, gpu, progress: None })
}

#[cfg(test)]
mod tests;
