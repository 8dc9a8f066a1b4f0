//! The facade on a real store, a real pack and a real (if tiny) model.
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;

use locket::{
    Error,
    engine::{Engine, GenerateRequest, PredictOptions},
    interaction::Interaction,
    llm::{Event, LoadOptions, Model},
    pack::{self, BuildOptions, Pack},
    profile::{Profile, Profiles},
    prompt::Task,
    store::Key,
};

fn quiet(_: Event<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn marta() -> Profile {
    Profiles::open(locket_tests::sample()).unwrap().map(Result::unwrap).find(|p| p.user == "marta").unwrap()
}

fn engine(dir: &std::path::Path) -> Engine {
    let out = dir.join("p.pack");
    let files = [locket_tests::sample()];
    pack::build(&files, &out, &BuildOptions::default(), |_| ControlFlow::Continue(())).unwrap();
    let engine = Engine::open(dir.join("store"), &Key::new([1; 32]))
        .unwrap()
        .with_pack(Pack::open(out).unwrap())
        .with_threads(1);
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
    let mut request = GenerateRequest::new(&target.item, Task::Text);
    request.title.clone_from(&target.title);
    let shown = |engine: &Engine| engine.material(&request).unwrap().neighbours.iter().any(|n| n.text == target.text);
    assert!(shown(&engine), "her text matches her own title best");
    assert!(!shown(&engine.with_user("marta")));
}

#[test]
fn history_comes_before_the_request_and_can_be_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let mut request = GenerateRequest::new("k1", Task::Text);
    let material = engine.material(&request).unwrap();
    assert_eq!(material.ask.item_title.as_deref(), Some("Copper Kettle, 1.2 l"));
    assert_eq!((material.history.len(), material.neighbours.len()), (5, 4));
    request.personal = false;
    let bare = engine.material(&request).unwrap();
    assert!(bare.history.is_empty() && bare.neighbours.is_empty());
    assert_eq!(bare.ask, material.ask);
}

#[test]
fn what_is_missing_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), &Key::new([1; 32])).unwrap();
    assert!(matches!(engine.predict(&PredictOptions::new(3)), Err(Error::Missing("pack"))));
    let request = GenerateRequest::new("k1", Task::Text);
    assert!(matches!(engine.generate(&request, &mut quiet), Err(Error::Missing("model"))));
    assert!(matches!(engine.augment(2, 1, &mut quiet), Err(Error::Missing("pack"))));
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
        let mut stop = |_: Event<'_>| {
            seen += 1;
            if seen > stop_after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        assert!(matches!(engine.augment(4, 1, &mut stop), Err(Error::Cancelled)));
        assert_eq!(engine.export().unwrap(), before);
    }
    let request = GenerateRequest::new("k1", Task::Text);
    assert!(engine.generate(&request, &mut quiet).unwrap().text.is_some());
    engine.erase().unwrap();
    assert!(!dir.path().join("store").exists());
}

/// A text is written while an augmentation is in progress, and a pause holds up both.
#[test]
fn writing_goes_before_augmenting() {
    let dir = tempfile::tempdir().unwrap();
    let model = Model::load(locket_tests::tiny::write(dir.path()), LoadOptions::default()).unwrap();
    let engine = engine(dir.path()).with_model(model).unwrap();
    let request = GenerateRequest::new("k1", Task::Text);
    let alone = engine.generate(&request, &mut quiet).unwrap();
    let before = engine.history().unwrap().len();
    std::thread::scope(|scope| {
        let (begun, wait) = std::sync::mpsc::channel::<()>();
        let engine = &engine;
        let background = scope.spawn(move || {
            engine.augment(4, 1, &mut |_| {
                let _ = begun.send(());
                ControlFlow::Continue(())
            })
        });
        wait.recv().unwrap();
        engine.pause();
        let mut polls = 0;
        let paused = engine.generate(&request, &mut |_| {
            polls += 1;
            if polls == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(paused, Err(Error::Cancelled)));
        engine.resume();
        assert_eq!(engine.generate(&request, &mut quiet).unwrap().text, alone.text);
        background.join().unwrap().unwrap();
    });
    assert!(engine.history().unwrap().len() >= before);
}
