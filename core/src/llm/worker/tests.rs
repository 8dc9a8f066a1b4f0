//! Tests of the worker's threads on a tiny model.

use std::time::Duration;

use super::*;
use crate::llm::Gpu;

fn worker(dir: &std::path::Path) -> Worker {
    Worker::lazy(Source { path: locket_tests::tiny::write(dir), adapter: None, allowed_bytes: None, gpu: Gpu::Off })
        .unwrap()
}

fn options() -> DecoderOptions {
    DecoderOptions { context: 64, threads: 1, ..DecoderOptions::default() }
}

fn pause(worker: &Worker, which: Option<Priority>) {
    let mut control = Control::default();
    control.pause(which, true);
    worker.set(control);
}

fn resume(worker: &Worker) {
    worker.set(Control::default());
}

fn quiet(_: Event<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn a_panic_is_an_error_and_the_next_call_works() {
    let dir = tempfile::tempdir().unwrap();
    let worker = worker(dir.path());
    let failed: Result<(), LlmError> =
        worker.call(Priority::Foreground, options(), &mut quiet, |_, _| panic!("on purpose"));
    assert!(matches!(failed, Err(LlmError::Failed(what)) if what == "on purpose"));
    assert_eq!(
        worker.call(Priority::Foreground, options(), &mut quiet, |d, _| Ok::<_, LlmError>(d.context())).unwrap(),
        64
    );
}

/// The model loads on demand, memory is trimmed by level, and the model loads again.
#[test]
fn memory_is_given_back_and_taken_again() {
    let dir = tempfile::tempdir().unwrap();
    let worker = worker(dir.path());
    assert_eq!(worker.loaded(), (false, false));
    let used = || {
        worker.call(Priority::Foreground, options(), &mut quiet, |d, _| Ok::<_, LlmError>(d.usage().reused)).unwrap()
    };
    let until = |wanted| {
        // The thread updates this state just after it has answered.
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
        until((true, true));
        worker.release(level);
        until(wanted);
    }
    std::fs::remove_file(dir.path().join("tiny.gguf")).unwrap();
    let gone: Result<(), LlmError> = worker.call(Priority::Foreground, options(), &mut quiet, |_, _| Ok(()));
    assert!(matches!(gone, Err(LlmError::FileMissing(_))));
}

/// A call that waits for a long one can be cancelled at once.
#[test]
fn waiting_can_be_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let worker = worker(dir.path());
    let (go, wait) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let long = scope.spawn(|| {
            worker.call(Priority::Foreground, options(), &mut quiet, move |_, _| {
                let _ = wait.recv();
                Ok::<_, LlmError>(())
            })
        });
        while !worker.loaded().0 {
            std::thread::yield_now();
        }
        let waiting: Result<(), LlmError> =
            worker.call(Priority::Foreground, options(), &mut |_| ControlFlow::Break(()), |_, _| Ok(()));
        assert!(matches!(waiting, Err(LlmError::Cancelled)));
        go.send(()).unwrap();
        assert!(long.join().unwrap().is_ok());
    });
}

/// Generates `tokens` tokens with the given priority.
fn text(worker: &Worker, priority: Priority, tokens: usize, on_event: OnEvent<'_>) -> Result<String, LlmError> {
    let sampling = crate::llm::Sampling { temperature: 1.5, ..crate::llm::Sampling::VARIED.with_seed(5) };
    // Letters only, so that the text cannot end early.
    let grammar = Some("root ::= [a-z]{400}".to_owned());
    let phase = crate::llm::Phase { grammar, ..crate::llm::Phase::new(tokens, sampling) };
    let options = DecoderOptions { context: 512, threads: 1, ..DecoderOptions::default() };
    worker.call(priority, options, on_event, move |decoder, on_event| {
        let prompt = decoder.model().tokens("a text");
        let request =
            crate::llm::Request { prompt, phases: vec![phase], deadline: None, boundary: None, contrast: None };
        decoder.run_one(&request, on_event).map(|c| c.phases[0].text.clone())
    })
}

/// A background call runs until a foreground call was answered: it ends early because it yields.
#[test]
fn the_background_steps_aside_between_tokens() {
    let dir = tempfile::tempdir().unwrap();
    let worker = worker(dir.path());
    let answered = Arc::new(AtomicBool::new(false));
    let (begun, wait) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let (seen, worker) = (answered.clone(), &worker);
        let background = scope.spawn(move || {
            worker.call(Priority::Background, options(), &mut quiet, move |_, on_event| {
                let _ = begun.send(());
                let event = Event { request: 0, phase: 0, text: "" };
                let turns = (0..50_000_000u64).take_while(|_| !seen.load(Ordering::Relaxed)).map(|_| on_event(event));
                Ok::<_, LlmError>(turns.count())
            })
        });
        wait.recv().unwrap();
        let sets = answered.clone();
        let foreground = worker.call(Priority::Foreground, options(), &mut quiet, move |_, _| {
            sets.store(true, Ordering::Relaxed);
            Ok::<_, LlmError>(())
        });
        foreground.unwrap();
        assert!(background.join().unwrap().unwrap() < 50_000_000, "the foreground waited for all of it");
    });
}

/// Calls that take turns generate the same text as each call alone.
#[test]
fn stepping_aside_changes_no_text() {
    let dir = tempfile::tempdir().unwrap();
    let worker = worker(dir.path());
    let long = text(&worker, Priority::Background, 400, &mut quiet).unwrap();
    let short = text(&worker, Priority::Foreground, 20, &mut quiet).unwrap();
    assert_eq!((long.len(), short.len()), (400, 20));
    for after in [1, 7, 50] {
        let (begun, wait) = mpsc::channel::<()>();
        let (worker, long, short) = (&worker, &long, &short);
        std::thread::scope(|scope| {
            let background = scope.spawn(move || {
                let mut chunks = 0;
                text(worker, Priority::Background, 400, &mut |e| {
                    chunks += usize::from(!e.text.is_empty());
                    if chunks == after {
                        let _ = begun.send(());
                    }
                    ControlFlow::Continue(())
                })
            });
            wait.recv().unwrap();
            assert_eq!(&text(worker, Priority::Foreground, 20, &mut quiet).unwrap(), short);
            assert_eq!(&background.join().unwrap().unwrap(), long);
        });
    }
}

/// Hundreds of pauses at varied moments leave the text unchanged.
#[test]
fn a_pause_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let worker = worker(dir.path());
    let undisturbed = text(&worker, Priority::Foreground, 200, &mut quiet).unwrap();
    for round in 0..20u32 {
        let mut seen = 0;
        let mut pausing = |e: Event<'_>| {
            seen += u32::from(!e.text.is_empty());
            if seen % (7 + round) == 3 {
                pause(&worker, None);
                std::thread::sleep(Duration::from_micros(u64::from(round) * 40));
                resume(&worker);
            }
            ControlFlow::Continue(())
        };
        let priority = if round % 2 == 0 { Priority::Foreground } else { Priority::Background };
        assert_eq!(text(&worker, priority, 200, &mut pausing).unwrap(), undisturbed, "{round}");
    }
    // A paused call waits and can be cancelled. Later calls run normally.
    pause(&worker, None);
    let mut asked = 0;
    let waiting = text(&worker, Priority::Foreground, 5, &mut |e| {
        asked += 1;
        assert!(e.text.is_empty());
        if asked == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(waiting, Err(LlmError::Cancelled)));
    resume(&worker);
    assert_eq!(text(&worker, Priority::Foreground, 200, &mut quiet).unwrap(), undisturbed);
}

/// A call paused in mid-text lets calls of the other priority run.
#[test]
fn a_paused_call_lets_the_other_priority_go_on() {
    use Priority::{Background, Foreground};
    let dir = tempfile::tempdir().unwrap();
    let worker = worker(dir.path());
    let (long, short) =
        (text(&worker, Foreground, 200, &mut quiet).unwrap(), text(&worker, Background, 20, &mut quiet));
    let short = short.unwrap();
    for (paused, other) in [(Foreground, Background), (Background, Foreground)] {
        // Number of chunks of text after which the pause begins.
        for after in [1, 30] {
            let (worker, long, short) = (&worker, &long, &short);
            let (stopped, wait) = mpsc::channel::<()>();
            std::thread::scope(|scope| {
                let held = scope.spawn(move || {
                    let mut chunks = 0;
                    text(worker, paused, 200, &mut |e| {
                        chunks += usize::from(!e.text.is_empty());
                        if chunks == after && !e.text.is_empty() {
                            pause(worker, Some(paused));
                            let _ = stopped.send(());
                        }
                        ControlFlow::Continue(())
                    })
                });
                wait.recv().unwrap();
                for _ in 0..3 {
                    assert_eq!(&text(worker, other, 20, &mut quiet).unwrap(), short);
                }
                assert!(!held.is_finished(), "it was paused");
                resume(worker);
                assert_eq!(&held.join().unwrap().unwrap(), long);
            });
        }
    }
}

#[test]
fn a_paused_call_can_be_cancelled_while_the_other_priority_goes_on() {
    use Priority::{Background, Foreground};
    let dir = tempfile::tempdir().unwrap();
    let worker = worker(dir.path());
    for (paused, other) in [(Foreground, Background), (Background, Foreground)] {
        pause(&worker, Some(paused));
        let mut asked = 0;
        let waiting = text(&worker, paused, 20, &mut |_| {
            asked += 1;
            if asked == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(waiting, Err(LlmError::Cancelled)));
        assert_eq!(text(&worker, other, 20, &mut quiet).unwrap().len(), 20);
        resume(&worker);
        assert_eq!(text(&worker, paused, 20, &mut quiet).unwrap().len(), 20);
    }
}

/// Without a GPU the model is not loaded again.
#[test]
fn denying_a_gpu_that_is_not_there_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let worker = worker(dir.path());
    let first = text(&worker, Priority::Foreground, 20, &mut quiet).unwrap();
    std::fs::remove_file(dir.path().join("tiny.gguf")).unwrap();
    for gpu_denied in [true, false] {
        worker.set(Control { gpu_denied, ..Control::default() });
        assert_eq!(text(&worker, Priority::Foreground, 20, &mut quiet).unwrap(), first);
    }
}
