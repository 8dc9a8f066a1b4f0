//! Tests of the engine with a real store, a real pack and a real (if tiny) model.
#![allow(clippy::unwrap_used)]

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use locket::{
    AugmentOptions, Chunk, ChunkStream, Conditions, Engine, Error, GenerateRequest, Interaction, Key, Length, LlmError,
    LoadOptions, Model, Pack, Part, Power, PredictOptions, Priority, ReasoningPath, Record, Store, Task, Thermal,
};
use locket_builder::{
    pack::BuildOptions,
    profile::{Profile, Profiles},
};

fn quiet(_: Chunk) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn marta() -> Profile {
    Profiles::open(locket_tests::sample()).unwrap().map(Result::unwrap).find(|p| p.user == "marta").unwrap()
}

/// Reopens the engine that [`engine`] has created, as a new process would.
pub(crate) fn reopened(dir: &std::path::Path) -> Engine {
    Engine::open(dir.join("store"), &Key::new([1; 32]))
        .unwrap()
        .with_pack(Pack::open(dir.join("p.pack")).unwrap())
        .with_threads(1)
}

pub(crate) fn engine(dir: &std::path::Path) -> Engine {
    let files = [locket_tests::sample()];
    locket_builder::pack::build(&files, &dir.join("p.pack"), &BuildOptions::default(), |_| ControlFlow::Continue(()))
        .unwrap();
    let engine = reopened(dir);
    for interaction in marta().history {
        engine.record(interaction).unwrap();
    }
    engine
}

#[test]
fn a_person_in_the_pack_is_not_shown_their_own_text() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let target = marta().target;
    let mut request = GenerateRequest::new(&target.item, Task::Text).with_reasoning(true);
    request.options.candidates = 2;
    request.title.clone_from(&target.title);
    let shown =
        |engine: &Engine| engine.prompt_inputs(&request).unwrap().neighbours.iter().any(|n| n.text == target.text);
    assert!(shown(&engine), "her text matches her own title best");
    assert!(!shown(&engine.with_user("marta")));
}

#[test]
fn history_comes_before_the_request_and_can_be_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let mut request = GenerateRequest::new("k1", Task::Text).with_reasoning(true);
    request.options.candidates = 2;
    let inputs = engine.prompt_inputs(&request).unwrap();
    assert_eq!(inputs.ask.item_title.as_deref(), Some("Copper Kettle, 1.2 l"));
    assert_eq!((inputs.history.len(), inputs.neighbours.len()), (5, 4));
    request.personal = false;
    let bare = engine.prompt_inputs(&request).unwrap();
    assert!(bare.history.is_empty() && bare.neighbours.is_empty());
    assert_eq!(bare.ask, inputs.ask);
}

#[test]
fn what_a_text_is_written_from() {
    let dir = tempfile::tempdir().unwrap();
    drop(engine(dir.path()));
    let invented = Record::synthetic(Interaction::new("k11", "Nobody wrote this."), ReasoningPath::default(), "m");
    Store::open(dir.path().join("store"), &Key::new([1; 32])).unwrap().append(&invented).unwrap();
    let engine = reopened(dir.path());
    // Returns whether the text is planned, and the numbers of the user's, synthetic and other
    // users' texts.
    let shown = |item: &str, candidates: usize, reasoning: bool, length: Option<Length>, task: Task| {
        let mut request = GenerateRequest::new(item, task).with_reasoning(reasoning).with_length(length);
        (request.item_title, request.title) = (Some("Garden shears".into()), Some("Sharp".into()));
        request.text = Some("They cut.".into());
        request.options.candidates = candidates;
        let inputs = engine.prompt_inputs(&request).unwrap();
        assert_eq!(inputs.reasoning, request.planned());
        let invented = inputs.history.iter().filter(|e| e.synthetic).count();
        (inputs.reasoning, inputs.history.len() - invented, invented, inputs.neighbours.len())
    };
    // An item with texts by other users, and one without.
    for (item, others) in [("k1", 4), ("elsewhere", 0)] {
        assert_eq!(shown(item, 1, false, None, Task::Text), (false, 5, 0, others));
        assert_eq!(shown(item, 1, true, None, Task::Text), (true, 5, 0, others));
        assert_eq!(shown(item, 8, false, None, Task::Text), (false, 5, 0, others));
        assert_eq!(shown(item, 8, true, None, Task::Text), (true, 5, 1, others));
        for candidates in [1, 8] {
            assert_eq!(shown(item, candidates, false, Some(Length::Brief), Task::Text), (true, 5, 0, others));
            // A rating takes other users' texts on similar items.
            assert_eq!(shown(item, candidates, false, Some(Length::Brief), Task::Rating), (false, 5, 1, 4));
        }
    }
    // A user without history gets other users' texts.
    let empty = tempfile::tempdir().unwrap();
    let nobody = Engine::open(empty.path(), &Key::new([1; 32])).unwrap();
    let nobody = nobody.with_pack(Pack::open(dir.path().join("p.pack")).unwrap());
    let mut request = GenerateRequest::new("elsewhere", Task::Text);
    request.item_title = Some("Garden shears".into());
    let inputs = nobody.prompt_inputs(&request).unwrap();
    assert_eq!((inputs.history.len(), inputs.neighbours.len()), (0, 4));
}

#[test]
fn what_is_missing_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), &Key::new([1; 32])).unwrap();
    assert!(matches!(engine.predict(&PredictOptions::new(3)), Err(Error::MissingPack)));
    let request = GenerateRequest::new("k1", Task::Text);
    assert!(matches!(engine.generate(&request), Err(Error::MissingModel)));
    assert!(matches!(engine.augment(&AugmentOptions::new(2), &mut quiet), Err(Error::MissingPack)));
    assert!(engine.record(Interaction::new("", "x")).is_err());
    assert!(engine.history().unwrap().is_empty());
}

#[test]
fn cancelled_work_keeps_nothing_and_harms_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let model = Model::load(locket_tests::tiny::write(dir.path()), LoadOptions::default()).unwrap();
    let engine = engine(dir.path()).with_model(model).unwrap();
    let before = engine.export().unwrap();
    for stop_after in [0, 1, 5, 40] {
        let mut seen = 0;
        let mut stop = |_: Chunk| {
            seen += 1;
            if seen > stop_after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        assert!(matches!(engine.augment(&AugmentOptions::new(4), &mut stop), Err(Error::Cancelled)));
        assert_eq!(engine.export().unwrap(), before);
    }
    let request = GenerateRequest::new("k1", Task::Text);
    assert!(engine.generate(&request).unwrap().text.is_some());
    engine.erase().unwrap();
    assert!(!dir.path().join("store").exists());
}

/// A text is generated while an augmentation is in progress, and a pause stops both.
#[test]
fn writing_goes_before_augmenting() {
    let dir = tempfile::tempdir().unwrap();
    let model = Model::load(locket_tests::tiny::write(dir.path()), LoadOptions::default()).unwrap();
    let engine = engine(dir.path()).with_model(model).unwrap();
    let request = GenerateRequest::new("k1", Task::Text);
    let alone = engine.generate(&request).unwrap();
    let before = engine.history().unwrap().len();
    std::thread::scope(|scope| {
        let (begun, wait) = std::sync::mpsc::channel::<()>();
        let engine = &engine;
        let background = scope.spawn(move || {
            engine.augment(&AugmentOptions::new(4), &mut |_| {
                let _ = begun.send(());
                ControlFlow::Continue(())
            })
        });
        wait.recv().unwrap();
        engine.pause();
        let mut polls = 0;
        let paused = engine.generate_with(&request, &mut |_| {
            polls += 1;
            if polls == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(paused, Err(Error::Cancelled)));
        engine.resume();
        assert_eq!(engine.generate(&request).unwrap().text, alone.text);
        // The pause and the text only delayed the augmentation: it generated texts for all its
        // items, and stored the texts that passed the gate.
        let done = background.join().unwrap().unwrap();
        assert_eq!((done.finished, done.resumed, done.unfinished), (4, 0, 0));
        assert!(done.kept.len() + done.refused.len() >= 4, "{done:?}");
        let history = engine.history().unwrap();
        let (synthetic, real): (Vec<_>, Vec<_>) = history.into_iter().partition(Record::is_synthetic);
        assert_eq!((synthetic, real.len()), (done.kept, before));
    });
}

/// Returns a callback that stops at the `n`-th event. A waiting call has one every few
/// milliseconds.
fn impatient(n: usize) -> impl FnMut(Chunk) -> ControlFlow<()> {
    let mut polls = 0;
    move |_| {
        polls += 1;
        if polls == n { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[test]
fn pause_and_conditions_hold_for_models_that_come_later() {
    let dir = tempfile::tempdir().unwrap();
    let file = locket_tests::tiny::write(dir.path());
    let engine = engine(dir.path());
    let request = GenerateRequest::new("k1", Task::Text);
    let waits = |result: Result<_, Error>| matches!(result, Err(Error::Cancelled | Error::Llm(LlmError::Cancelled)));
    engine.pause();
    engine.set_conditions(Conditions::new(Thermal::Serious, Power::Charging));
    // Before the first model, and before a replacement.
    for _ in 0..2 {
        engine.use_model_file(&file, LoadOptions::default()).unwrap();
        assert!(waits(engine.generate_with(&request, &mut impatient(3)).map(drop)));
        assert_eq!(engine.in_memory(), (false, false), "a paused call loads nothing");
    }
    engine.resume();
    assert!(engine.generate(&request).unwrap().text.is_some());
    assert!(waits(engine.augment(&AugmentOptions::new(1), &mut impatient(3)).map(drop)), "the device is warm");
    engine.set_conditions(Conditions::default());
    assert_eq!(engine.augment(&AugmentOptions::new(1), &mut quiet).unwrap().finished, 1);
}

#[test]
fn each_priority_is_paused_alone() {
    let dir = tempfile::tempdir().unwrap();
    let model = Model::load(locket_tests::tiny::write(dir.path()), LoadOptions::default()).unwrap();
    let engine = engine(dir.path()).with_model(model).unwrap();
    let request = GenerateRequest::new("k1", Task::Text);
    let alone = engine.generate(&request).unwrap();

    // The app is in the background: its texts wait, and augmentation finishes.
    engine.pause_calls(Priority::Foreground);
    let cancelled = engine.generate_with(&request, &mut impatient(3));
    assert!(matches!(cancelled, Err(Error::Cancelled)), "{cancelled:?}");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| engine.generate(&request));
        assert_eq!(engine.augment(&AugmentOptions::new(2), &mut quiet).unwrap().finished, 2);
        assert!(!waiting.is_finished());
        engine.resume_calls(Priority::Foreground);
        assert_eq!(waiting.join().unwrap().unwrap().text, alone.text);
    });

    // The reverse case.
    engine.pause_calls(Priority::Background);
    let cancelled = engine.augment(&AugmentOptions::new(2), &mut impatient(3));
    assert!(matches!(cancelled, Err(Error::Cancelled)), "{cancelled:?}");
    assert!(engine.generate(&request).unwrap().text.is_some());
    engine.resume();
    let other = AugmentOptions::new(2).with_seed(3);
    assert_eq!(engine.augment(&other, &mut quiet).unwrap().finished, 2);
}

#[test]
fn more_threads_than_processors_are_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let model = Model::load(locket_tests::tiny::write(dir.path()), LoadOptions::default()).unwrap();
    let engine = engine(dir.path()).with_threads(100_000).with_model(model).unwrap();
    assert!(engine.generate(&GenerateRequest::new("k1", Task::Text)).unwrap().text.is_some());
}

/// An augmentation that is cancelled, out of time, out of tokens or ended with its process resumes.
/// Finished items are not generated again, and the outcome is that of an undisturbed call.
#[test]
fn an_augmentation_goes_on_where_it_was_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let file = locket_tests::tiny::write(dir.path());
    drop(engine(dir.path()));
    let open = || reopened(dir.path()).with_model_file(&file, LoadOptions::default()).unwrap();
    // One sequence, so that the finished items at a stop are fixed. The gate's verdict counts, not
    // the text of a tiny model.
    let options = AugmentOptions::new(4).with_sequences(1).with_candidates(2);
    let other = tempfile::tempdir().unwrap();
    let undisturbed = engine(other.path()).with_threads(1).with_model_file(&file, LoadOptions::default()).unwrap();
    let expected = undisturbed.augment(&options, &mut quiet).unwrap();
    assert_eq!((expected.finished, expected.resumed, expected.unfinished), (4, 0, 0));

    let first = open();
    let before = first.export().unwrap();
    let mut stop = |chunk: Chunk| if chunk.item == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    assert!(matches!(first.augment(&options, &mut stop), Err(Error::Cancelled)));
    assert_eq!(first.export().unwrap(), before);
    drop(first);

    // No time at all: nothing is generated, and nothing is lost.
    let second = open();
    let late = options.clone().with_deadline(Duration::ZERO);
    let stopped = second.augment(&late, &mut quiet).unwrap();
    assert!(stopped.finished <= 2 && stopped.finished + stopped.unfinished == 4, "{stopped:?}");
    // A call that never ran does not take the kept items of another call.
    second.pause();
    let foreign = second
        .augment(
            &AugmentOptions::new(2).with_seed(7).with_sequences(1).with_candidates(2).with_deadline(Duration::ZERO),
            &mut quiet,
        )
        .unwrap();
    second.resume();
    assert_eq!((foreign.finished, foreign.unfinished), (0, 2));
    // Tokens for one of two candidates.
    let some = options.clone().with_max_new_tokens(250);
    let stopped = second.augment(&some, &mut quiet).unwrap();
    assert_eq!((stopped.resumed, stopped.finished, stopped.unfinished), (2, 2, 2), "{stopped:?}");
    assert_eq!(second.export().unwrap(), before);
    drop(second);

    let third = open();
    let done = third.augment(&options, &mut quiet).unwrap();
    assert_eq!((done.resumed, done.finished, done.unfinished), (2, 4, 0));
    assert_eq!((&done.kept, &done.refused, done.tokens), (&expected.kept, &expected.refused, expected.tokens));
    let again = third.augment(&options, &mut quiet).unwrap();
    assert_eq!(again.resumed, 0, "what is in the store is not unfinished any more");
}

#[test]
fn a_warm_device_waits_with_what_nobody_waits_for() {
    let dir = tempfile::tempdir().unwrap();
    let model = Model::load(locket_tests::tiny::write(dir.path()), LoadOptions::default()).unwrap();
    let engine = engine(dir.path()).with_threads(2).with_model(model).unwrap();
    let request = GenerateRequest::new("k1", Task::Text);
    engine.generate(&request).unwrap();
    engine.set_conditions(Conditions::new(Thermal::Serious, Power::Charging));
    let mut polls = 0;
    let mut patience = |_: Chunk| {
        polls += 1;
        if polls == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    assert!(matches!(engine.augment(&AugmentOptions::new(2), &mut patience), Err(Error::Cancelled)));
    // On fewer threads, the prompt still needs no second prefill.
    let warm = engine.generate(&request).unwrap();
    assert!(warm.reused_tokens > 64, "{warm:?}");
    engine.set_conditions(Conditions::default());
    assert_eq!(engine.augment(&AugmentOptions::new(2), &mut quiet).unwrap().finished, 2);
}

#[test]
fn a_text_that_is_late_is_short_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let model = Model::load(locket_tests::tiny::write(dir.path()), LoadOptions::default()).unwrap();
    let engine = engine(dir.path()).with_model(model).unwrap();
    let mut request = GenerateRequest::new("k1", Task::Text).with_deadline(Duration::ZERO);
    assert!(matches!(engine.generate(&request), Err(Error::Llm(LlmError::Deadline))));
    request.deadline = Some(Duration::from_secs(3600));
    assert!(engine.generate(&request).unwrap().text.is_some());
}

#[test]
fn of_several_candidates_one_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let model = Model::load(locket_tests::tiny::write(dir.path()), LoadOptions::default()).unwrap();
    let engine = engine(dir.path()).with_model(model).unwrap();
    let mut request = GenerateRequest::new("k1", Task::Text);
    request.options.max_new_tokens = 12;
    let one = engine.generate(&request).unwrap();
    request.options.candidates = 9;
    let mut heard = String::new();
    let mut hear = |chunk: Chunk| {
        heard.push_str(&chunk.text);
        ControlFlow::Continue(())
    };
    let best = engine.generate_with(&request, &mut hear).unwrap();
    assert!(best.tokens > 3 * one.tokens, "{} {}", best.tokens, one.tokens);
    assert!(best.text.is_some() && heard.is_empty(), "pieces of several texts are of no use: {heard:?}");
    // The next single text is unaffected.
    request.options.candidates = 1;
    assert_eq!(engine.generate(&request).unwrap().text, one.text);
}

#[test]
fn streams_the_text_that_generate_returns() {
    let dir = tempfile::tempdir().unwrap();
    let model = Model::load(locket_tests::tiny::write(dir.path()), LoadOptions::default()).unwrap();
    let engine = Arc::new(engine(dir.path()).with_model(model).unwrap());
    let request = GenerateRequest::new("k1", Task::Text).with_reasoning(true);
    let whole = engine.generate(&request).unwrap();
    let mut stream = engine.stream(request.clone()).unwrap();
    let chunks: Vec<Chunk> = stream.by_ref().collect();
    let of = |part| chunks.iter().filter(|c| c.part == part).map(|c| c.text.as_str()).collect::<String>();
    let written = stream.finish().unwrap();
    assert_eq!(written.text, whole.text);
    let output = locket::internals::text::one_line(&of(Part::Text));
    assert!(output.starts_with(written.text.as_deref().unwrap()), "{chunks:?} {written:?}");
    assert_eq!(of(Part::Plan).parse().ok(), written.path);
    // A dropped stream cancels its call, even before it starts.
    let mut streams: Vec<_> = (0..3).map(|_| engine.stream(request.clone()).unwrap()).collect();
    assert!(streams[0].next().is_some());
    drop(streams);
    assert_eq!(engine.generate(&request).unwrap().text, whole.text);
}

#[test]
fn a_stream_without_a_model_ends_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Arc::new(engine(dir.path()));
    let mut stream = engine.stream(GenerateRequest::new("k1", Task::Text)).unwrap();
    assert_eq!(stream.next(), None);
    assert!(matches!(stream.finish(), Err(Error::MissingModel)));
}

/// Engines can be shared between threads, and streams can be sent.
#[test]
fn engines_and_streams_can_be_shared_and_sent() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<Engine>();
    shared::<Error>();
    sent::<ChunkStream>();
}
