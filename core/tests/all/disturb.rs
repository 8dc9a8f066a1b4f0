//! Disturbance tests: after cancelling, pausing, restarting, releasing or missing a deadline, the
//! next text is that of an undisturbed engine.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    ops::ControlFlow,
    path::Path,
    time::{Duration, Instant},
};

use locket::{
    AugmentOptions, Chunk, Conditions, Engine, Error, GenerateRequest, Key, LlmError, LoadOptions, MemoryLevel, Pack,
    Power, Task, Thermal,
};
use locket_builder::{pack::BuildOptions, profile::Profiles};
use locket_tests::Draw;

const KINDS: [&str; 8] = [
    "cancelled text",
    "cancelled augmentation",
    "pause",
    "restart",
    "release",
    "deadline",
    "both at once",
    "warm device",
];

fn quiet(_: Chunk) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Returns a callback that stops at the `n`-th event.
fn stop_at(n: u64) -> impl FnMut(Chunk) -> ControlFlow<()> {
    let mut seen = 0;
    move |_| {
        seen += 1;
        if seen > n { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn open(dir: &Path, store: &str, model: &Path) -> Engine {
    Engine::open(dir.join(store), &Key::new([1; 32]))
        .unwrap()
        .with_pack(Pack::open(dir.join("p.pack")).unwrap())
        .with_threads(1)
        .with_model_file(model, LoadOptions::default())
        .unwrap()
}

/// Returns whether the call ended by an expected error: cancelled, or late.
fn expected<T>(result: Result<T, Error>) -> bool {
    match result {
        Ok(_) => false,
        Err(Error::Cancelled | Error::Llm(LlmError::Cancelled | LlmError::Deadline)) => true,
        Err(e) => panic!("{e}"),
    }
}

/// Disturbs the engine, and returns whether it met a call in progress.
fn disturb(engine: &Engine, request: &GenerateRequest, kind: usize, draw: &mut Draw) -> bool {
    let augment = AugmentOptions::new(2).with_seed(draw.below(1 << 30) as u32);
    match kind {
        0 => expected(engine.generate_with(request, &mut stop_at(draw.below(30)))),
        1 => expected(engine.augment(&augment, &mut stop_at(draw.below(40)))),
        2 if draw.below(2) == 0 => {
            // At any moment: before, during or after the call.
            let mut stop = stop_at(draw.below(30));
            std::thread::scope(|scope| {
                let running = scope.spawn(move || expected(engine.generate_with(request, &mut stop)));
                for _ in 0..3 {
                    std::thread::sleep(Duration::from_micros(draw.below(2000)));
                    engine.pause();
                    std::thread::sleep(Duration::from_micros(draw.below(500)));
                    engine.resume();
                }
                running.join().unwrap();
            });
            false
        }
        2 => {
            // Pauses at a certain event, until the call is seen to wait: an event without text.
            let (at, mut stop) = (draw.below(6), stop_at(draw.below(30)));
            let (mut seen, mut waited) = (0, false);
            let mut on_event = |event: Chunk| {
                if event.text.is_empty() && seen >= at && !waited {
                    waited = true;
                    engine.resume();
                }
                seen += 1;
                if seen == at {
                    engine.pause();
                }
                stop(event)
            };
            if at == 0 {
                engine.pause();
            }
            expected(engine.generate_with(request, &mut on_event));
            engine.resume();
            waited
        }
        4 => {
            let levels = [MemoryLevel::Sessions, MemoryLevel::Kv, MemoryLevel::Model];
            engine.release_memory(levels[draw.below(3) as usize]);
            // The text before has loaded the memory to release.
            true
        }
        5 => {
            let deadline = Duration::from_micros(draw.below(20_000));
            let late = expected(engine.generate(&request.clone().with_deadline(deadline)));
            expected(engine.augment(&augment.with_deadline(deadline).with_max_new_tokens(1), &mut quiet));
            late
        }
        6 => std::thread::scope(|scope| {
            let stop = draw.below(60);
            let running = scope.spawn(move || expected(engine.augment(&augment, &mut stop_at(stop))));
            expected(engine.generate_with(request, &mut stop_at(draw.below(60))));
            let met = !running.is_finished();
            running.join().unwrap();
            met
        }),
        _ => {
            let thermal = [Thermal::Fair, Thermal::Serious, Thermal::Critical][draw.below(3) as usize];
            engine.set_conditions(Conditions::new(thermal, Power::Low));
            let stopped = expected(engine.generate_with(request, &mut stop_at(draw.below(10))));
            engine.set_conditions(Conditions::default());
            stopped
        }
    }
}

#[test]
fn the_next_text_is_that_of_an_undisturbed_engine() {
    let dir = tempfile::tempdir().unwrap();
    disturb_everywhere(&locket_tests::tiny::write(dir.path()), 1000);
}

/// On a quantized model, the chunks of a prompt affect its numbers. LOCKET_DISTURB is the number of
/// points.
#[test]
#[ignore = "needs the default model"]
fn the_next_text_is_that_of_an_undisturbed_engine_on_the_default_model() {
    let model = locket_tests::model();
    let points = std::env::var("LOCKET_DISTURB").ok().and_then(|s| s.parse().ok()).unwrap_or(40);
    disturb_everywhere(&model, points);
}

fn disturb_everywhere(model: &Path, points: usize) {
    let dir = tempfile::tempdir().unwrap();
    locket_builder::pack::build(
        &[locket_tests::sample()],
        &dir.path().join("p.pack"),
        &BuildOptions::default(),
        |_| ControlFlow::Continue(()),
    )
    .unwrap();
    let mut engine = open(dir.path(), "store", model);
    let marta =
        Profiles::open(locket_tests::sample()).unwrap().map(Result::unwrap).find(|p| p.user == "marta").unwrap();
    for interaction in marta.history.into_iter().take(3) {
        engine.record(interaction).unwrap();
    }
    let requests: Vec<GenerateRequest> = ["k1", "k5", "elsewhere"]
        .into_iter()
        .map(|item| {
            let mut request = GenerateRequest::new(item, Task::Text);
            request.title = Some("Every day".into());
            request.reasoning = item != "k5";
            request.options.max_new_tokens = 12;
            request
        })
        .collect();
    let write = |engine: &Engine, n: usize| {
        let written = engine.generate(&requests[n]).unwrap();
        ((written.path, written.text), written.reused_tokens)
    };
    // A new engine for each text, without a session.
    let other = || open(dir.path(), "other", model).with_session_bytes(0);
    for record in engine.history().unwrap() {
        other().record(record.interaction).unwrap();
    }
    let alone: Vec<_> = (0..requests.len()).map(|n| write(&other(), n).0).collect();

    let mut draw = Draw(0x5eed_1e55_c0ff_ee11);
    let (mut tried, mut met, begun) = ([0usize; KINDS.len()], [0usize; KINDS.len()], Instant::now());
    for point in 0..points {
        let (kind, n) = (draw.below(KINDS.len() as u64) as usize, draw.below(requests.len() as u64) as usize);
        let mut hit = if kind == 3 {
            drop(engine);
            engine = open(dir.path(), "store", model);
            true
        } else {
            disturb(&engine, &requests[draw.below(requests.len() as u64) as usize], kind, &mut draw)
        };
        let (written, reused) = write(&engine, n);
        assert_eq!(written, alone[n], "point {point}, after: {}", KINDS[kind]);
        // A restart counts if the next text reuses a file of the process before.
        hit &= kind != 3 || reused > 0;
        tried[kind] += 1;
        met[kind] += usize::from(hit);
        // Results of an augmentation that finished too early would change the prompt.
        let finished = engine.history().unwrap().iter().any(locket::Record::is_synthetic);
        assert!(!finished, "point {point}: an augmentation was finished");
    }
    println!(
        "{points} points, every text the same: (kind, tried, met a call) {:?}, {:.0?}",
        KINDS.iter().zip(tried).zip(met).map(|((kind, tried), met)| (kind, tried, met)).collect::<Vec<_>>(),
        begun.elapsed()
    );
    for ((kind, tried), met) in KINDS.iter().zip(tried).zip(met) {
        // The kinds and the moments of the stops do not depend on time.
        assert!(tried < 5 || 10 * met >= tried, "{kind}: of {tried} tries {met} met a call");
    }
}
