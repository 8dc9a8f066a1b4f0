//! The worker's queue: what is to be done, and what the callers and the thread know of each other.

use std::{
    collections::VecDeque,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{MemoryLevel, Priority};
use crate::llm::{Conditions, Decoder, LlmError, Model, Placement};

/// How often who waits looks whether it still has to.
pub(super) const PATIENCE: Duration = Duration::from_millis(20);

/// What a job is given: the model, the place of the decoder for its kind, and what to do between two tokens (until the
/// call is stopped, which the flag tells).
pub(super) struct Loaded<'a, 'm> {
    pub(super) model: &'m Model,
    pub(super) conditions: Conditions,
    pub(super) decoder: &'a mut Option<Decoder<'m>>,
    pub(super) between: &'a mut dyn FnMut(&AtomicBool),
}

pub(super) type Work = Box<dyn for<'a, 'm> FnOnce(Result<Loaded<'a, 'm>, LlmError>) + Send>;

#[derive(Default)]
pub(super) struct Queue {
    pub(super) foreground: VecDeque<Work>,
    pub(super) background: VecDeque<Work>,
    pub(super) release: Option<MemoryLevel>,
    pub(super) conditions: Conditions,
    pub(super) paused: bool,
    pub(super) closed: bool,
    /// What is in memory now: the model, a decoder.
    pub(super) loaded: (bool, bool),
    /// What the model ran on when it was last loaded.
    pub(super) placement: Option<Placement>,
}

#[derive(Default)]
pub(super) struct Shared {
    queue: Mutex<Queue>,
    pub(super) wake: Condvar,
}

pub(super) enum Next {
    Job(Priority, Work),
    Release(MemoryLevel),
    Closed,
}

impl Shared {
    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to do. Releasing goes before the next job.
    pub(super) fn next(&self) -> Next {
        let mut queue = self.queue();
        loop {
            if queue.closed {
                return Next::Closed;
            }
            if let Some(level) = queue.release.take() {
                return Next::Release(level);
            }
            if !queue.paused {
                if let Some(job) = queue.foreground.pop_front() {
                    return Next::Job(Priority::Foreground, job);
                }
                let background = queue.conditions.background();
                if let Some(job) = queue.background.pop_front_if(|_| background) {
                    return Next::Job(Priority::Background, job);
                }
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Between two tokens of a call: waits while everything is paused. A call in the background has `aside`, with which it
    /// lets those of the foreground go first, and waits while the conditions are against it. Returns at once when the call was
    /// stopped.
    pub(super) fn between(&self, stopped: &AtomicBool, mut aside: Option<&mut dyn FnMut(Work)>) {
        let mut queue = self.queue();
        while !queue.closed && !stopped.load(Ordering::Relaxed) {
            if !queue.paused {
                let Some(aside) = aside.as_mut() else { return };
                if let Some(job) = queue.foreground.pop_front() {
                    drop(queue);
                    aside(job);
                    queue = self.queue();
                    continue;
                }
                if queue.conditions.background() {
                    return;
                }
            }
            queue = self.wake.wait_timeout(queue, PATIENCE).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(super) fn set_loaded(&self, model: bool, decoder: bool) {
        self.queue().loaded = (model, decoder);
    }
}
