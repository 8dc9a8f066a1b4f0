//! Number of decoding threads: the maximum on an idle system, fewer while other programs are busy.
//!
//! Threads that compute one graph wait for each other some hundred times, and llama.cpp lets them
//! spin. If another program takes the CPU of one thread, the others waste theirs. Two threads next
//! to two busy programs can take ten times as long as one. Probe threads therefore measure the
//! number of free CPUs before a text begins. During decoding, the process's CPU time is compared
//! with the CPU time that its threads could have used.

use std::time::{Duration, Instant};

use llama_cpp_2::DecodeError;

use super::Decoder;
use crate::sys::{self, Moment, Spent};

/// CPU time that each probe thread uses to test whether a CPU is free for it.
const PROBE: Duration = Duration::from_millis(3);
/// Time without a call after which the CPUs are probed again.
const BREAK: Duration = Duration::from_millis(100);
/// Minimum time to judge by: a kernel counts the time of other threads at its clock's tick (1 to 10
/// ms).
const WINDOW: Duration = Duration::from_millis(100);
/// Number of CPUs that other programs may take from the threads without a change.
const LOST: f64 = 0.35;
/// Number of missing CPUs up to which a span counts as undisturbed.
const NOISE: f64 = 0.1;
/// Undisturbed decoding time before more threads are tried. It doubles up to [`PATIENCE_MAX`] with
/// every failed probe.
const PATIENCE: Duration = Duration::from_millis(500);
const PATIENCE_MAX: Duration = Duration::from_secs(16);

/// Returns the maximum number of threads of one decoder: the CPUs available to this process, and at
/// most llama.cpp's own limit.
pub(super) fn limit() -> usize {
    const GGML_MAX_N_THREADS: usize = 512;
    std::thread::available_parallelism().map_or(1, |n| n.get()).min(GGML_MAX_N_THREADS)
}

/// Measures the number of free CPUs with `threads` spinning threads. Returns `None` if the system
/// does not report thread time.
fn free_processors(threads: usize) -> Option<f64> {
    let spin = |begun: Instant| {
        let before = sys::thread_time()?;
        while sys::thread_time()?.saturating_sub(before) < PROBE {
            std::hint::spin_loop();
        }
        Some(PROBE.as_secs_f64() / begun.elapsed().as_secs_f64())
    };
    std::thread::scope(|scope| {
        // The time until a thread starts counts too.
        let begin = |_| {
            let begun = Instant::now();
            std::thread::Builder::new().spawn_scoped(scope, move || spin(begun))
        };
        let others: Vec<_> = (1..threads).map(begin).collect();
        let own = spin(Instant::now());
        others.into_iter().map(|thread| thread.ok()?.join().ok()?).chain([own]).sum()
    })
}

/// Controller of the number of threads of one decoder.
#[derive(Debug)]
pub(super) struct Pace {
    most: usize,
    now: usize,
    /// End of the last call.
    last: Option<Instant>,
    /// Time spent in calls since the last decision.
    spent: Spent,
    /// Undisturbed time on fewer threads than `most`.
    quiet: Duration,
    patience: Duration,
}

impl Pace {
    pub(super) fn new(most: usize) -> Self {
        Self { most, now: most, last: None, spent: Spent::default(), quiet: Duration::ZERO, patience: PATIENCE }
    }

    /// Returns the maximum number of threads.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Returns the number of threads for the next call.
    pub(super) fn now(&self) -> usize {
        self.now
    }

    /// Whether the CPUs must be probed before the next call.
    fn due(&self) -> bool {
        self.most > 1 && (self.last.is_none_or(|last| last.elapsed() > BREAK) || self.quiet >= self.patience)
    }

    /// Updates the number of threads from a probe that found `free` free CPUs.
    fn tried(&mut self, free: f64) {
        let fewer = self.most as f64 - free > LOST;
        if self.quiet >= self.patience {
            self.patience = if fewer { (self.patience * 2).min(PATIENCE_MAX) } else { PATIENCE };
        }
        self.now = if fewer { (free as usize).clamp(1, self.most - 1) } else { self.most };
        (self.quiet, self.spent) = (Duration::ZERO, Spent::default());
    }

    /// Updates the number of threads from the time spent in a call with [`Pace::now`] threads.
    fn note(&mut self, call: Spent) {
        self.last = Some(Instant::now());
        if call.faults > 0 {
            // The call waited for the disk rather than for a CPU.
            return;
        }
        self.spent.add(call);
        if self.spent.wall < WINDOW {
            return;
        }
        let Spent { wall, process, caller, .. } = std::mem::take(&mut self.spent);
        let share = |time: Duration| time.as_secs_f64() / wall.as_secs_f64();
        // The second term detects a loss that the app's other threads hide in the first.
        let got = share(process).min(self.now as f64 * share(caller));
        let missing = self.now as f64 - got;
        if self.now > 1 && missing > LOST {
            self.now = (got as usize).clamp(1, self.now - 1);
            self.quiet = Duration::ZERO;
        } else if self.now < self.most {
            self.quiet = if missing > NOISE { Duration::ZERO } else { self.quiet + wall };
        }
    }
}

impl Decoder<'_> {
    /// Computes the batch in llama.cpp, with as many threads as there are free CPUs.
    pub(super) fn compute(&mut self) -> Result<(), DecodeError> {
        if self.pace.due()
            && let Some(free) = free_processors(self.pace.most())
        {
            self.change(|pace| pace.tried(free));
        }
        let adapts = self.pace.most() > 1;
        let before = adapts.then(Moment::now).flatten();
        let result = self.context.decode(&mut self.batch);
        if let Some(spent) = before.and_then(|moment| moment.spent()) {
            self.change(|pace| pace.note(spent));
        }
        result
    }

    fn change(&mut self, change: impl FnOnce(&mut Pace)) {
        let threads = self.pace.now();
        change(&mut self.pace);
        if let (true, Some(pool)) = (self.pace.now() != threads, &self.pool) {
            pool.set(&mut self.context, self.pace.now() as i32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a call of 20 ms: the process got `processors` CPUs, and its calling thread the share
    /// `caller` of one.
    fn call(processors: f64, caller: f64) -> Spent {
        let wall = Duration::from_millis(20);
        Spent { wall, process: wall.mul_f64(processors), caller: wall.mul_f64(caller), faults: 0 }
    }

    /// Returns the number of threads after `calls` calls with `free` CPUs, and the number of
    /// probes.
    fn after(pace: &mut Pace, calls: usize, free: f64) -> (usize, usize) {
        let mut tried = 0;
        for _ in 0..calls {
            // Prevents a break, even if the test itself is slow.
            pace.last = Some(Instant::now() + Duration::from_secs(3600));
            if pace.due() {
                pace.tried(free.min(pace.most as f64));
                tried += 1;
            }
            let got = free.min(pace.now() as f64);
            pace.note(call(got, got / pace.now() as f64));
        }
        (pace.now(), tried)
    }

    #[test]
    fn an_idle_processor_keeps_all_threads() {
        for most in [1, 2, 8] {
            let mut pace = Pace::new(most);
            for turn in 0..500 {
                // A clock that counts in ticks reads alternately too little and too much.
                let error = if turn % 2 == 0 { 0.2 } else { -0.2 };
                pace.note(call(most as f64 - error, 1.0));
                assert_eq!(pace.now(), most);
            }
        }
    }

    #[test]
    fn threads_follow_the_processors_that_are_free() {
        let mut pace = Pace::new(8);
        assert_eq!(after(&mut pace, 6, 6.5).0, 6);
        assert_eq!(after(&mut pace, 6, 0.4).0, 1);
        let mut pace = Pace::new(2);
        assert_eq!(after(&mut pace, 6, 1.0).0, 1);
        // The caller lost half its time; the app's other threads hide the loss.
        let mut pace = Pace::new(2);
        (0..6).for_each(|_| pace.note(call(2.0, 0.5)));
        assert_eq!(pace.now(), 1);
    }

    #[test]
    fn one_long_call_is_enough() {
        let mut pace = Pace::new(2);
        let second = Duration::from_secs(1);
        pace.note(Spent { wall: second, process: second, caller: second / 2, faults: 0 });
        assert_eq!(pace.now(), 1);
    }

    #[test]
    fn all_threads_come_back_when_the_others_have_gone() {
        let mut pace = Pace::new(4);
        assert_eq!(after(&mut pace, 10, 1.0).0, 1);
        assert_eq!(after(&mut pace, 100, 0.6), (1, 0), "still disturbed: not even tried");
        assert_eq!(after(&mut pace, 60, 4.0), (4, 1));
    }

    #[test]
    fn tries_that_fail_become_rare() {
        // One busy program on two CPUs: a single thread is undisturbed. 200 seconds.
        let (threads, tried) = after(&mut Pace::new(2), 10_000, 1.5);
        assert_eq!(threads, 1);
        assert!((10..25).contains(&tried), "{tried}");
    }

    #[test]
    fn processors_are_tried_before_the_first_call_and_after_a_break() {
        let mut pace = Pace::new(2);
        assert!(pace.due());
        pace.tried(1.2);
        assert_eq!(pace.now(), 1);
        pace.note(call(1.0, 1.0));
        assert!(pace.last.is_some());
        pace.last = Some(Instant::now() + Duration::from_secs(3600));
        assert!(!pace.due());
        pace.last = Instant::now().checked_sub(BREAK * 2);
        assert!(pace.due());
        pace.tried(1.9);
        assert_eq!(pace.now(), 2);
        assert!(!Pace::new(1).due());
    }

    #[test]
    fn free_processors_are_at_most_those_that_were_tried() {
        for threads in [1, 2] {
            let free = free_processors(threads).unwrap();
            assert!(free > 0.0 && free <= threads as f64, "{free} of {threads}");
        }
    }

    #[test]
    fn reading_the_model_from_disk_is_no_disturbance() {
        let mut pace = Pace::new(2);
        (0..50).for_each(|_| pace.note(Spent { faults: 3, ..call(0.1, 0.05) }));
        assert_eq!(pace.now(), 2);
    }
}
