//! Session tests: the text is the same, cold or warm, and no session stays longer than it should.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use locket::{Engine, GenerateRequest, Interaction, Key, LoadOptions, Store, Task, WriteOptions, Written};

const KEY: Key = Key::new([3; 32]);

/// Returns an engine as a new process would open it.
fn engine(dir: &Path, model: &Path, adapter: Option<PathBuf>) -> Engine {
    let mut options = LoadOptions::default();
    options.adapter = adapter;
    Engine::open(dir.join("me"), &KEY).unwrap().with_threads(2).with_model_file(model, options).unwrap()
}

fn record(engine: &Engine, n: usize) {
    let text = format!("Number {n} keeps tea warm for an hour, and my hands too; I would buy it again at once.");
    engine.record(Interaction::new(format!("i{n}"), text).with_title("A warm one").with_rating(4.0)).unwrap();
}

fn write(engine: &Engine) -> Written {
    let mut request = GenerateRequest::new("new", Task::Text);
    request.title = Some("Warm hands".into());
    request.options.max_new_tokens = 24;
    engine.generate(&request).unwrap()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir.join("me/sessions")).into_iter().flatten().map(|e| e.unwrap().path()).collect()
}

/// Runs all session checks on one model.
fn warm_and_cold(model: &Path, dir: &Path) {
    let first = engine(dir, model, None);
    (0..4).for_each(|n| record(&first, n));
    let cold = write(&first);
    assert_eq!(cold.reused_tokens, 0);
    drop(first);
    assert_eq!(files(dir).len(), 1);

    let warm = write(&engine(dir, model, None));
    assert_eq!((&warm.text, &warm.path), (&cold.text, &cold.path));
    assert!(warm.reused_tokens > 64 && warm.reused_tokens < warm.prompt_tokens, "{warm:?}");
    let prewarmed = engine(dir, model, None);
    let options = WriteOptions::default().with_max_new_tokens(24);
    prewarmed.prewarm(&options, &mut |_| ControlFlow::Continue(())).unwrap();
    // No file is read from here on: the restored state is in the cache.
    let ready = write(&prewarmed.with_session_bytes(0));
    assert_eq!((&ready.text, ready.reused_tokens), (&cold.text, warm.reused_tokens));
    let without = write(&engine(dir, model, None).with_session_bytes(0));
    assert_eq!((without.text, without.reused_tokens), (cold.text.clone(), 0));

    // A history with one more text begins with the same texts.
    let grown = engine(dir, model, None);
    record(&grown, 4);
    let longer = write(&grown);
    assert!(longer.reused_tokens > 64, "{longer:?}");
    let again = write(&grown);
    drop(grown);
    let more = write(&engine(dir, model, None).with_session_bytes(0));
    assert_eq!((&longer.text, &again.text), (&more.text, &more.text));
    assert!(write(&engine(dir, model, None)).reused_tokens > longer.reused_tokens);

    // A damaged file, a truncated file, or a file under another key counts as missing.
    let file = files(dir).pop().unwrap();
    let whole = fs::read(&file).unwrap();
    assert_eq!((whole.len() - 40) % (1 << 20), 0, "padded");
    for wrong in [vec![0; 5], whole[..whole.len() / 2].to_vec(), {
        let mut w = whole.clone();
        w[100] ^= 1;
        w
    }] {
        fs::write(&file, wrong).unwrap();
        let cold = write(&engine(dir, model, None));
        assert_eq!((&cold.text, cold.reused_tokens), (&more.text, 0));
        assert_eq!(files(dir).len(), 1, "a new one in its place");
    }
    let mut store = Store::open(dir.join("me"), &KEY).unwrap();
    store.change_key(&KEY).unwrap();
    drop(store);
    assert!(files(dir).is_empty(), "nothing under the old key stays");
    fs::create_dir_all(dir.join("me/sessions")).unwrap();
    fs::write(&file, &whole).unwrap();
    assert_eq!(write(&engine(dir, model, None)).reused_tokens, 0);

    engine(dir, model, None).erase().unwrap();
    assert!(!dir.join("me").exists());
}

#[test]
fn the_same_text_cold_or_warm() {
    let dir = tempfile::tempdir().unwrap();
    warm_and_cold(&locket_tests::tiny::write(dir.path()), dir.path());
}

/// Gemma uses a sliding window in most layers: the restored state must be complete.
#[test]
#[ignore = "needs the default model"]
fn the_same_text_cold_or_warm_from_the_default_model() {
    let model = locket_tests::model();
    let dir = tempfile::tempdir().unwrap();
    warm_and_cold(&model, dir.path());
}

#[test]
fn another_model_or_adapter_has_sessions_of_its_own_and_old_ones_go() {
    let dir = tempfile::tempdir().unwrap();
    let model = locket_tests::tiny::write(dir.path());
    let adapter = locket_tests::tiny::write_adapter(dir.path(), 32);
    let plain = engine(dir.path(), &model, None);
    (0..4).for_each(|n| record(&plain, n));
    let text = write(&plain).text;
    drop(plain);
    let adapted = write(&engine(dir.path(), &model, Some(adapter)));
    assert_eq!(adapted.reused_tokens, 0);
    assert_ne!(adapted.text, text);
    assert_eq!(files(dir.path()).len(), 2);
    // Another file under the same name is another model.
    let mut bytes = fs::read(&model).unwrap();
    let at = bytes.len() - 4096;
    bytes[at..].fill(0);
    fs::write(&model, bytes).unwrap();
    let size = fs::metadata(&files(dir.path())[0]).unwrap().len();
    let small = engine(dir.path(), &model, None).with_session_bytes(2 * size);
    assert_eq!(write(&small).reused_tokens, 0);
    drop(small);
    assert_eq!(files(dir.path()).len(), 2, "the one that was used least recently went");
}
