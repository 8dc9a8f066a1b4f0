//! Load test: a hundred callers on one engine cancel at random, while its memory is released again
//! and again.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use locket::{
    AugmentOptions, Chunk, Engine, Error, GenerateRequest, Interaction, Key, LlmError, LoadOptions, MemoryLevel, Pack,
    Task,
};
use locket_builder::pack::BuildOptions;

const CALLERS: u64 = 100;

fn go_on_event(_: Chunk) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Runs for LOCKET_SOAK seconds (default 6) on the tiny model, or on the model at
/// LOCKET_SOAK_MODEL.
#[test]
fn a_hundred_callers() {
    let seconds = std::env::var("LOCKET_SOAK").ok().and_then(|s| s.parse().ok()).unwrap_or(6);
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("p.pack");
    let go_on = |_| ControlFlow::Continue(());
    locket_builder::pack::build(&[locket_tests::sample()], &out, &BuildOptions::default(), go_on).unwrap();
    let model = std::env::var_os("LOCKET_SOAK_MODEL").map_or_else(|| locket_tests::tiny::write(dir.path()), Into::into);
    let engine = Engine::open(dir.path().join("store"), &Key::new([1; 32]))
        .unwrap()
        .with_pack(Pack::open(out).unwrap())
        .with_threads(if seconds > 60 { 2 } else { 1 })
        .with_model_file(model, LoadOptions::default())
        .unwrap();
    engine.record(Interaction::new("k1", "It whistles when the water boils.").with_rating(5.0)).unwrap();

    let begun = Instant::now();
    let end = begun + Duration::from_secs(seconds);
    let [finished, cancelled, augmented] = [const { AtomicU64::new(0) }; 3];
    let mut samples: Vec<u64> = Vec::new();
    std::thread::scope(|scope| {
        // A background caller that never gives up. All others go first, so its last call may end
        // after the load. Each call ends with all of its items.
        scope.spawn(|| {
            for seed in 0.. {
                let done = engine.augment(&AugmentOptions::new(2).with_seed(seed), &mut go_on_event).unwrap();
                assert_eq!((done.finished, done.unfinished), (2, 0));
                augmented.fetch_add(1, Ordering::Relaxed);
                if Instant::now() > end {
                    break;
                }
            }
        });
        for caller in 0..CALLERS {
            let (engine, finished, cancelled, augmented) = (&engine, &finished, &cancelled, &augmented);
            scope.spawn(move || {
                let mut random = locket_tests::Draw(caller.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
                let mut draw = move |below| random.below(below);
                while Instant::now() < end {
                    // Half of the calls are cancelled, after some chunks or while they wait.
                    let mut left = if draw(2) == 0 { draw(60) } else { u64::MAX };
                    let mut on_event = |_: Chunk| {
                        left = left.saturating_sub(1);
                        let stop = left == 0 || Instant::now() > end;
                        if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                    };
                    let result = if draw(20) == 0 {
                        let done = engine
                            .augment(&AugmentOptions::new(2).with_seed(draw(1000) as u32), &mut on_event)
                            .map(drop);
                        augmented.fetch_add(u64::from(done.is_ok()), Ordering::Relaxed);
                        done
                    } else {
                        let task = [Task::Text, Task::Rating][draw(2) as usize];
                        let mut request = GenerateRequest::new(format!("k{}", 1 + draw(9)), task);
                        request.text = Some("A text.".into());
                        request.reasoning = draw(2) == 0;
                        request.options.max_new_tokens = 24;
                        engine.generate_with(&request, &mut on_event).map(drop)
                    };
                    match result {
                        Ok(()) => finished.fetch_add(1, Ordering::Relaxed),
                        Err(Error::Cancelled | Error::Llm(LlmError::Cancelled)) => {
                            cancelled.fetch_add(1, Ordering::Relaxed)
                        }
                        Err(e) => panic!("{e}"),
                    };
                }
            });
        }
        let levels = [MemoryLevel::Sessions, MemoryLevel::Kv, MemoryLevel::Model];
        for n in 0.. {
            if Instant::now() >= end {
                break;
            }
            std::thread::sleep(Duration::from_millis(if seconds > 60 { 500 } else { 50 }));
            engine.release_memory(levels[n % 3]);
            samples.push(locket_tests::resident_bytes() >> 20);
        }
    });
    let [finished, cancelled, augmented] = [finished, cancelled, augmented].map(AtomicU64::into_inner);
    // The first third is warm-up. After it, memory must not grow.
    let third = samples.len() / 3;
    let peak = |s: &[u64]| s.iter().copied().max().unwrap_or_default();
    let (middle, last) = (peak(&samples[third..2 * third]), peak(&samples[2 * third..]));
    println!(
        "{CALLERS} callers, {seconds} s: {finished} finished, {augmented} augmentations, {cancelled} cancelled, {} releases; \
         peak resident {middle} MB in the second third, {last} MB in the last",
        samples.len()
    );
    assert!(finished > 20 && cancelled > 20 && augmented > 0, "{finished} {cancelled} {augmented}");
    assert!(last <= middle + middle / 10 + 16, "memory grows: {samples:?}");
    // Afterwards the engine works as before.
    assert!(engine.generate_with(&GenerateRequest::new("k1", Task::Text), &mut go_on_event).unwrap().text.is_some());
    assert_eq!(engine.augment(&AugmentOptions::new(2), &mut go_on_event).unwrap().finished, 2);
}
