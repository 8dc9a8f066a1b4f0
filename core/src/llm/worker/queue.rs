//! Queue of the worker: calls, pending trims of memory, and the turn to decode.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{MemoryLevel, Priority};
use crate::llm::{Conditions, Decoder, LlmError, Model, Placement, conditions::Control};

/// Polling interval of blocked calls.
pub(super) const PATIENCE: Duration = Duration::from_millis(20);

/// Inputs of a call. `decoder` is the place for the decoder of its priority. `between` runs between
/// two tokens; it returns at once if its flag marks the call as cancelled.
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
    pub(super) control: Control,
    pub(super) closed: bool,
    /// Priority of the call that decodes now.
    turn: Option<Priority>,
    /// Whether a foreground call in progress waits for its turn.
    resuming: bool,
    /// The model loaded last, while any reference to it exists.
    pub(super) model: Weak<Model>,
    /// Whether that model was kept off an available GPU.
    pub(super) kept_from_gpu: bool,
    /// Whether the foreground thread keeps a decoder.
    pub(super) decoder: bool,
    /// Placement of the model at its last load.
    pub(super) placement: Option<Placement>,
}

impl Queue {
    /// Whether a foreground call is waiting and may decode now.
    fn foreground_wants(&self) -> bool {
        self.control.runs(Priority::Foreground) && (self.resuming || !self.foreground.is_empty())
    }

    /// Whether a call of this priority has the turn now. It takes the turn if it is free. It leaves
    /// the turn if it may not decode or a foreground call goes first.
    fn take_turn(&mut self, priority: Priority) -> bool {
        let first = priority == Priority::Foreground || !self.foreground_wants();
        if !first || !self.control.runs(priority) {
            self.leave_turn(priority);
            return false;
        }
        let free = self.turn.is_none_or(|turn| turn == priority);
        if free {
            self.turn = Some(priority);
        }
        free
    }

    /// Returns the model in memory, if its placement is allowed now.
    pub(super) fn current(&self) -> Option<Arc<Model>> {
        let model = self.model.upgrade()?;
        let suits = if self.control.gpu_denied { model.placement().gpu_layers == 0 } else { !self.kept_from_gpu };
        suits.then_some(model)
    }

    fn leave_turn(&mut self, priority: Priority) {
        if self.turn == Some(priority) {
            self.turn = None;
        }
    }
}

#[derive(Default)]
pub(super) struct Shared {
    queue: Mutex<Queue>,
    /// Keeps the model in memory between calls.
    pub(super) resident: Mutex<Option<Arc<Model>>>,
    pub(super) wake: Condvar,
}

pub(super) enum Next {
    Job(Work),
    Release(MemoryLevel),
    Closed,
}

impl Shared {
    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn resident(&self) -> MutexGuard<'_, Option<Arc<Model>>> {
        self.resident.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next action of the foreground thread. Trims of memory go before the next call.
    /// A call takes the turn.
    pub(super) fn next_foreground(&self) -> Next {
        let mut queue = self.queue();
        loop {
            if queue.closed {
                return Next::Closed;
            }
            if let Some(level) = queue.release.take() {
                return Next::Release(level);
            }
            if !queue.foreground.is_empty()
                && queue.take_turn(Priority::Foreground)
                && let Some(job) = queue.foreground.pop_front()
            {
                return Next::Job(job);
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for a background call, which takes the turn. Returns `None` once the worker is closed.
    pub(super) fn next_background(&self) -> Option<Work> {
        let mut queue = self.queue();
        loop {
            if queue.closed {
                return None;
            }
            if !queue.background.is_empty()
                && queue.take_turn(Priority::Background)
                && let Some(job) = queue.background.pop_front()
            {
                return Some(job);
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Runs between two tokens of a call. It waits while the priority is paused or the conditions
    /// forbid it. A background call also waits while a foreground call is ready to decode. The
    /// other priority may decode meanwhile. Returns at once if the call was cancelled.
    pub(super) fn between(&self, priority: Priority, stopped: &AtomicBool) {
        let mut queue = self.queue();
        while !queue.closed && !stopped.load(Ordering::Relaxed) {
            let had = queue.turn == Some(priority);
            if queue.take_turn(priority) {
                break;
            }
            queue.resuming |= priority == Priority::Foreground;
            if had {
                self.wake.notify_all();
            }
            queue = self.wake.wait_timeout(queue, PATIENCE).unwrap_or_else(PoisonError::into_inner).0;
        }
        if priority == Priority::Foreground {
            queue.resuming = false;
        }
    }

    /// Leaves the turn after a call has ended.
    pub(super) fn ended(&self, priority: Priority) {
        self.queue().leave_turn(priority);
        self.wake.notify_all();
    }
}
