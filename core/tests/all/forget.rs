//! Tests of forgetting a record during engine calls: no file and no memory keeps data derived from
//! it.
#![allow(clippy::unwrap_used)]

use std::{fs, ops::ControlFlow, path::Path};

use locket::{
    AugmentOptions, Chunk, Engine, Error, GenerateRequest, Interaction, Key, LoadOptions, Pack, Record, Task, Written,
};
use locket_builder::pack::BuildOptions;

fn quiet(_: Chunk) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn engine(dir: &Path, name: &str, model: &Path) -> Engine {
    let engine = Engine::open(dir.join(name), &Key::new([3; 32])).unwrap().with_threads(1);
    engine.with_model_file(model, LoadOptions::default()).unwrap()
}

fn record(engine: &Engine, n: usize) {
    let text = format!("Number {n} keeps tea warm for an hour, and my hands too; I would buy it again at once.");
    engine.record(Interaction::new(format!("i{n}"), text).with_title("A warm one").with_rating(4.0)).unwrap();
}

fn request() -> GenerateRequest {
    let mut request = GenerateRequest::new("new", Task::Text);
    request.title = Some("Warm hands".into());
    request.options.max_new_tokens = 24;
    request
}

fn write(engine: &Engine) -> Written {
    engine.generate(&request()).unwrap()
}

fn sessions(dir: &Path) -> usize {
    fs::read_dir(dir.join("me/sessions")).map_or(0, Iterator::count)
}

#[test]
fn no_session_of_a_forgotten_text_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let model = locket_tests::tiny::write(dir.path());
    let me = engine(dir.path(), "me", &model);
    (0..4).for_each(|n| record(&me, n));
    write(&me);
    assert_eq!(sessions(dir.path()), 1);
    // The history has grown, so this text would store a session of its own.
    (4..6).for_each(|n| record(&me, n));
    let gone = me.entries().unwrap()[1].id;
    let mut forgotten = false;
    let during = me.generate_with(&request(), &mut |_| {
        forgotten = forgotten || me.forget(gone).unwrap();
        ControlFlow::Continue(())
    });
    assert!(during.is_ok() && forgotten);
    assert_eq!(sessions(dir.path()), 0, "a call that began before keeps nothing");
    assert!(!me.forget(gone).unwrap());

    let after = write(&me);
    assert_eq!(after.reused_tokens, 0, "nothing of it stands in the cache");
    assert_eq!(sessions(dir.path()), 1);
    // As if the text had never been recorded.
    let other = engine(dir.path(), "other", &model);
    [0, 2, 3, 4, 5].into_iter().for_each(|n| record(&other, n));
    assert_eq!(write(&other).text, after.text);
    drop(me);
    let again = engine(dir.path(), "me", &model);
    assert_eq!(again.history().unwrap(), other.history().unwrap());
    assert!(write(&again).reused_tokens > 64);
}

#[test]
fn an_augmentation_ends_when_a_record_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let model = locket_tests::tiny::write(dir.path());
    let files = [locket_tests::sample()];
    locket_builder::pack::build(&files, &dir.path().join("p.pack"), &BuildOptions::default(), |_| {
        ControlFlow::Continue(())
    })
    .unwrap();
    let me = engine(dir.path(), "me", &model).with_pack(Pack::open(dir.path().join("p.pack")).unwrap());
    for item in ["k9", "k4", "k3"] {
        me.record(Interaction::new(item, format!("What I think of {item}: slow, and good."))).unwrap();
    }
    let mut forgotten = false;
    let ended = me.augment(&AugmentOptions::new(4), &mut |_| {
        forgotten = forgotten || me.forget(0).unwrap();
        ControlFlow::Continue(())
    });
    assert!(matches!(ended, Err(Error::Cancelled)), "{ended:?}");
    assert!(forgotten && !me.history().unwrap().iter().any(Record::is_synthetic));
    assert_eq!(sessions(dir.path()), 0, "nothing is left to go on from");
    assert_eq!(me.augment(&AugmentOptions::new(4), &mut quiet).unwrap().resumed, 0);
}
