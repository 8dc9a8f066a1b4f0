//! One thread that owns the model, for any number of callers.
//!
//! A model in memory is large and decodes one batch at a time, so callers queue. The thread loads the model when the first
//! call needs it, keeps one decoder for as long as calls want the same kind, and gives back what it is told to release as
//! soon as the call in progress has ended; the next call loads again.

use std::{
    collections::VecDeque,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError, SyncSender},
    },
    thread::JoinHandle,
    time::Duration,
};

use super::{Decoder, DecoderOptions, Event, LlmError, LoadOptions, Model, OnEvent};

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

/// Where the model comes from, each time it is loaded.
#[derive(Clone)]
struct Source {
    path: PathBuf,
    adapter: Option<PathBuf>,
    allowed_bytes: Option<u64>,
}

/// What a job is given: the decoder of its kind, or why there is none.
type Work = Box<dyn for<'a, 'm> FnOnce(Result<(&'m Model, &'a mut Option<Decoder<'m>>), LlmError>) + Send>;

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Work>,
    release: Option<MemoryLevel>,
    closed: bool,
    /// What is in memory now: the model, a decoder.
    loaded: (bool, bool),
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
}

enum Next {
    Job(Work),
    Release(MemoryLevel),
    Closed,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to do. Releasing goes before the next job.
    fn next(&self) -> Next {
        let mut queue = self.queue();
        loop {
            if queue.closed {
                return Next::Closed;
            }
            if let Some(level) = queue.release.take() {
                return Next::Release(level);
            }
            if let Some(job) = queue.jobs.pop_front() {
                return Next::Job(job);
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn set_loaded(&self, model: bool, decoder: bool) {
        self.queue().loaded = (model, decoder);
    }
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
        let (path, adapter, allowed_bytes) = model.source();
        Self::start(Source { path, adapter, allowed_bytes }, Some(model))
    }

    /// A worker that loads the model when it is first needed.
    pub(crate) fn lazy(path: PathBuf, adapter: Option<PathBuf>, allowed_bytes: Option<u64>) -> Result<Self, LlmError> {
        Self::start(Source { path, adapter, allowed_bytes }, None)
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

    /// Whether the model is in memory, and whether a decoder is.
    pub(crate) fn loaded(&self) -> (bool, bool) {
        self.shared.queue().loaded
    }

    /// Runs `work` on the thread with a decoder opened like `options`, after everything that was asked before. `on_event`
    /// is called here, also while the call waits, and may stop it.
    pub(crate) fn call<T, E>(
        &self,
        options: DecoderOptions,
        on_event: OnEvent<'_>,
        work: impl FnOnce(&mut Decoder<'_>, OnEvent<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<LlmError> + Send + 'static,
    {
        /// How far the thread may run ahead of the caller, in pieces of text.
        const AHEAD: usize = 16;
        /// How often a caller that waits is asked whether it still does.
        const PATIENCE: Duration = Duration::from_millis(20);
        let (to_caller, messages) = mpsc::sync_channel(AHEAD);
        let stopped = Arc::new(AtomicBool::new(false));
        let theirs = stopped.clone();
        let job: Work = Box::new(move |loaded| {
            let result = loaded.map_err(E::from).and_then(|(model, decoder)| {
                if theirs.load(Ordering::Relaxed) {
                    return Err(LlmError::Cancelled.into());
                }
                let run = || {
                    let decoder = opened(model, decoder, options)?;
                    work(decoder, &mut |event| forward(&to_caller, event, &theirs))
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
        queue.jobs.push_back(job);
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
        // First the old one goes: both may not fit.
        *kept = None;
        *kept = Some(model.decoder(options)?);
    }
    kept.as_mut().ok_or(LlmError::Request("there is no decoder"))
}

/// Turns a panic into an error: callers of other languages cannot catch one.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, LlmError> {
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
            Next::Job(job) => {
                let loaded = model.take().map_or_else(|| guarded(|| load(source)).and_then(|loaded| loaded), Ok);
                match loaded {
                    Err(e) => job(Err(e)),
                    Ok(loaded) => {
                        shared.set_loaded(true, false);
                        if !serve_with(shared, &loaded, job) {
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
fn serve_with(shared: &Shared, model: &Model, first: Work) -> bool {
    let mut decoder = None;
    let mut job = Some(first);
    loop {
        if let Some(job) = job.take() {
            job(Ok((model, &mut decoder)));
            shared.set_loaded(true, decoder.is_some());
        }
        match shared.next() {
            Next::Job(next) => job = Some(next),
            Next::Release(MemoryLevel::Sessions) => decoder.iter_mut().for_each(Decoder::clear),
            Next::Release(MemoryLevel::Kv) => decoder = None,
            Next::Release(MemoryLevel::Model) => return true,
            Next::Closed => return false,
        }
        shared.set_loaded(true, decoder.is_some());
    }
}

fn load(source: &Source) -> Result<Model, LlmError> {
    let Source { path, adapter, allowed_bytes } = source.clone();
    Model::load(path, LoadOptions { adapter, allowed_bytes, progress: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(dir: &std::path::Path) -> Worker {
        Worker::lazy(locket_tests::tiny::write(dir), None, None).unwrap()
    }

    fn options() -> DecoderOptions {
        DecoderOptions { context: 64, threads: 1, ..DecoderOptions::default() }
    }

    fn quiet(_: Event<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    #[test]
    fn a_panic_is_an_error_and_the_next_call_works() {
        let dir = tempfile::tempdir().unwrap();
        let worker = worker(dir.path());
        let failed: Result<(), LlmError> = worker.call(options(), &mut quiet, |_, _| panic!("on purpose"));
        assert!(matches!(failed, Err(LlmError::Failed(what)) if what == "on purpose"));
        assert_eq!(worker.call(options(), &mut quiet, |d, _| Ok::<_, LlmError>(d.context())).unwrap(), 64);
    }

    /// Loads on demand, gives back by level, loads again.
    #[test]
    fn memory_is_given_back_and_taken_again() {
        let dir = tempfile::tempdir().unwrap();
        let worker = worker(dir.path());
        assert_eq!(worker.loaded(), (false, false));
        let used = || worker.call(options(), &mut quiet, |d, _| Ok::<_, LlmError>(d.usage().reused)).unwrap();
        let settled = |level, wanted| {
            worker.release(level);
            while worker.loaded() != wanted {
                std::thread::yield_now();
            }
        };
        for (level, wanted) in [
            (MemoryLevel::Sessions, (true, true)),
            (MemoryLevel::Kv, (true, false)),
            (MemoryLevel::Model, (false, false)),
            (MemoryLevel::Model, (false, false)),
        ] {
            used();
            assert_eq!(worker.loaded(), (true, true));
            settled(level, wanted);
        }
        std::fs::remove_file(dir.path().join("tiny.gguf")).unwrap();
        let gone: Result<(), LlmError> = worker.call(options(), &mut quiet, |_, _| Ok(()));
        assert!(matches!(gone, Err(LlmError::FileMissing(_))));
    }

    /// A call that waits behind a long one can be cancelled at once.
    #[test]
    fn waiting_can_be_cancelled() {
        let dir = tempfile::tempdir().unwrap();
        let worker = worker(dir.path());
        let (go, wait) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let long = scope.spawn(|| {
                worker.call(options(), &mut quiet, move |_, _| {
                    let _ = wait.recv();
                    Ok::<_, LlmError>(())
                })
            });
            while !worker.loaded().0 {
                std::thread::yield_now();
            }
            let waiting: Result<(), LlmError> = worker.call(options(), &mut |_| ControlFlow::Break(()), |_, _| Ok(()));
            assert!(matches!(waiting, Err(LlmError::Cancelled)));
            go.send(()).unwrap();
            assert!(long.join().unwrap().is_ok());
        });
    }
}
