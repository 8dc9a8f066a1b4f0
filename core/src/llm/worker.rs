//! Threads that own the model and serve any number of callers.
//!
//! A model is large in memory and decodes one batch at a time, so callers queue. Each [`Priority`]
//! has a queue, a thread and a decoder; one of the two threads at a time has the turn to decode.
//! The background thread yields the turn between two tokens when a foreground call arrives. Each
//! thread yields it while its priority is paused, so that the other can continue. The first call
//! loads the model. The foreground thread keeps its decoder as long as calls use the same options.
//! Memory is trimmed as soon as the call in progress has ended; the next call loads again.

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
    Decoder, DecoderOptions, Event, Gpu, LlmError, LoadOptions, Model, OnEvent, Placement, Priority,
    conditions::Control, model::Source,
};
use queue::{Loaded, Next, PATIENCE, Shared, Work};

/// Level of memory to trim, the smallest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemoryLevel {
    /// Cached KV state of earlier prompts, which avoids a new prefill.
    Sessions,
    /// The decoder too: KV cache and intermediate results.
    Kv,
    /// The model too.
    Model,
}

/// A message from the thread to a caller.
enum Message<T> {
    Chunk { request: usize, phase: usize, text: String },
    Done(T),
}

/// Handle of the callers.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// Main function of a thread.
type Serve = fn(&Shared, &Source);

impl Worker {
    /// Starts a worker with a loaded model.
    pub(crate) fn with_model(model: Model) -> Result<Self, LlmError> {
        Self::start(model.source().clone(), Some(model))
    }

    /// Starts a worker that loads the model at the first call.
    pub(crate) fn lazy(source: Source) -> Result<Self, LlmError> {
        Self::start(source, None)
    }

    fn start(source: Source, model: Option<Model>) -> Result<Self, LlmError> {
        let shared = Arc::new(Shared::default());
        if let Some(model) = model {
            shared.put(model, false);
        }
        // If an error occurs here, dropping the worker ends the running threads.
        let mut worker = Self { shared, threads: Vec::new() };
        let served: [(&str, Serve); 2] = [("locket", serve_foreground), ("locket-bg", serve_background)];
        for (name, serve) in served {
            let (shared, source) = (worker.shared.clone(), source.clone());
            let thread = std::thread::Builder::new().name(name.into()).spawn(move || serve(&shared, &source));
            worker.threads.push(thread.map_err(|e| LlmError::Failed(e.to_string()))?);
        }
        Ok(worker)
    }

    /// Requests a trim of memory, without waiting. It runs after the call in progress and before
    /// the next one.
    pub(crate) fn release(&self, level: MemoryLevel) {
        let mut queue = self.shared.queue();
        queue.release = queue.release.max(Some(level));
        drop(queue);
        self.shared.wake.notify_all();
    }

    /// Sets the limits of the host. A paused call stops between two tokens and can be cancelled.
    pub(crate) fn set(&self, control: Control) {
        self.shared.queue().control = control;
        self.shared.wake.notify_all();
    }

    /// Returns whether the model is in memory, and whether the foreground's decoder is.
    pub(crate) fn loaded(&self) -> (bool, bool) {
        let queue = self.shared.queue();
        (queue.model.strong_count() > 0, queue.decoder)
    }

    /// Returns the placement of the model, after the first load.
    pub(crate) fn placement(&self) -> Option<Placement> {
        self.shared.queue().placement.clone()
    }

    /// Runs `work` on the thread, with a decoder opened with `options`, after all earlier calls of
    /// its priority. `on_event` runs on the caller's thread, also while the call waits, and may
    /// cancel the call.
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

    /// As `Worker::call`, with options that depend on the model.
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
        /// Maximum lead of the thread over the caller, in chunks of text.
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
                    // The decoder's state is undefined after a panic.
                    *decoder = None;
                    Err(e.into())
                })
            });
            // A caller that has gone ignores the result.
            let _ = to_caller.send(Message::Done(result));
        });
        let mut queue = self.shared.queue();
        match priority {
            Priority::Foreground => queue.foreground.push_back(job),
            Priority::Background => queue.background.push_back(job),
        }
        drop(queue);
        self.shared.wake.notify_all();

        loop {
            let answer = match messages.recv_timeout(PATIENCE) {
                Ok(Message::Done(result)) => return result,
                Ok(Message::Chunk { request, phase, text }) => on_event(Event { request, phase, text: &text }),
                Err(RecvTimeoutError::Timeout) => on_event(Event { request: 0, phase: 0, text: "" }),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(LlmError::Failed("the call was dropped".into()).into());
                }
            };
            if answer.is_break() {
                // The thread checks the flag before its next token, or when the call's turn comes.
                stopped.store(true, Ordering::Relaxed);
                return Err(LlmError::Cancelled.into());
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.wake.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Passes an event to its caller; breaks if the caller cancelled the call.
fn forward<T>(to: &SyncSender<Message<T>>, event: Event<'_>, stopped: &AtomicBool) -> ControlFlow<()> {
    if stopped.load(Ordering::Relaxed) {
        return ControlFlow::Break(());
    }
    if event.text.is_empty() {
        return ControlFlow::Continue(());
    }
    let (request, phase, text) = (event.request, event.phase, event.text.to_owned());
    match to.send(Message::Chunk { request, phase, text }) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    }
}

/// Returns the decoder in `kept` if it has these options, else opens a new one in its place.
fn opened<'a, 'm>(
    model: &'m Model,
    kept: &'a mut Option<Decoder<'m>>,
    options: DecoderOptions,
) -> Result<&'a mut Decoder<'m>, LlmError> {
    if kept.as_ref().is_none_or(|d| d.options() != options) {
        // The old decoder is dropped first, because both may not fit. Its prefilled prefix is kept
        // if only the number of threads changes.
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

/// Turns a panic into an error: callers in other languages cannot catch one.
///
/// # Errors
/// [`LlmError::Failed`] with the panic's message.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, LlmError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let what = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
        LlmError::Failed(what.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default())
    })
}

/// Main loop of the foreground thread: runs calls and trims memory until the worker is dropped.
fn serve_foreground(shared: &Shared, source: &Source) {
    let mut next = None;
    loop {
        match next.take().unwrap_or_else(|| shared.next_foreground()) {
            Next::Closed => return,
            Next::Release(MemoryLevel::Model) => *shared.resident() = None,
            Next::Release(_) => {}
            Next::Job(job) => match shared.model(source) {
                Ok(model) => next = keep_decoder(shared, &model, job),
                Err(e) => {
                    job(Err(e));
                    shared.ended(Priority::Foreground);
                }
            },
        }
        shared.queue().decoder = false;
    }
}

/// Runs foreground calls on one model, with a decoder kept between them. Returns the next action
/// that needs the decoder dropped.
fn keep_decoder(shared: &Shared, model: &Arc<Model>, first: Work) -> Option<Next> {
    let mut kept = None;
    let mut job = first;
    loop {
        shared.run(Priority::Foreground, model, &mut kept, job);
        job = loop {
            shared.queue().decoder = kept.is_some();
            match shared.next_foreground() {
                Next::Job(next) if shared.is_current(model) => break next,
                Next::Release(MemoryLevel::Sessions) => kept.iter_mut().for_each(Decoder::clear),
                Next::Release(MemoryLevel::Kv) => kept = None,
                other => return Some(other),
            }
        };
    }
}

/// Main loop of the background thread: runs each call with its own decoder until the worker is
/// dropped.
fn serve_background(shared: &Shared, source: &Source) {
    while let Some(job) = shared.next_background() {
        match shared.model(source) {
            Ok(model) => shared.run(Priority::Background, &model, &mut None, job),
            Err(e) => {
                job(Err(e));
                shared.ended(Priority::Background);
            }
        }
    }
}

impl Shared {
    /// Runs a call that has the turn.
    fn run<'m>(&self, priority: Priority, model: &'m Model, decoder: &mut Option<Decoder<'m>>, job: Work) {
        let mut between = |stopped: &AtomicBool| self.between(priority, stopped);
        let conditions = self.queue().control.conditions;
        job(Ok(Loaded { model, conditions, decoder, between: &mut between }));
        self.ended(priority);
    }

    /// Stores a loaded model for this and later calls.
    fn put(&self, model: Model, kept_from_gpu: bool) -> Arc<Model> {
        let model = Arc::new(model);
        let mut queue = self.queue();
        (queue.model, queue.kept_from_gpu) = (Arc::downgrade(&model), kept_from_gpu);
        queue.placement = Some(model.placement().clone());
        drop(queue);
        *self.resident() = Some(model.clone());
        model
    }

    /// Returns the model in memory if its placement is allowed now, else loads it again. A model in
    /// use by another call stays in memory until that call ends.
    fn model(&self, source: &Source) -> Result<Arc<Model>, LlmError> {
        let (current, denied) = {
            let queue = self.queue();
            (queue.current(), queue.control.gpu_denied)
        };
        // The old model is dropped first, because both may not fit.
        self.resident().clone_from(&current);
        if let Some(model) = current {
            return Ok(model);
        }
        let Source { path, adapter, allowed_bytes, gpu } = source.clone();
        let gpu = if denied { Gpu::Off } else { gpu };
        let options = LoadOptions { adapter, allowed_bytes, gpu, progress: None };
        let model = guarded(|| Model::load(path, options)).and_then(|loaded| loaded)?;
        let kept_from_gpu = denied && source.gpu != Gpu::Off && model.placement().devices.iter().any(|d| d.gpu);
        Ok(self.put(model, kept_from_gpu))
    }

    /// Whether new calls use this model.
    fn is_current(&self, model: &Arc<Model>) -> bool {
        self.queue().current().is_some_and(|current| Arc::ptr_eq(&current, model))
    }
}

#[cfg(test)]
mod tests;
