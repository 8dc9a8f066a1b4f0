//! Sampling of texts on a tiny model.
#![allow(clippy::unwrap_used)]

use locket::{GenerateRequest, LoadOptions, Model, Task, WriteOptions};

#[test]
fn a_seed_gives_the_same_text_and_another_seed_another() {
    let dir = tempfile::tempdir().unwrap();
    let model = Model::load(locket_tests::tiny::write(dir.path()), LoadOptions::default()).unwrap();
    let engine = crate::engine::engine(dir.path()).with_model(model).unwrap();
    let text = |seed: u32, gist: Option<&str>| {
        let mut request = GenerateRequest::new("k1", Task::Text);
        request.options = WriteOptions::default().with_max_new_tokens(12).with_seed(seed);
        request.gist = gist.map(str::to_owned);
        engine.generate(&request).unwrap().text.unwrap()
    };
    assert_eq!(text(1, None), text(1, None));
    assert_ne!(text(1, None), text(2, None));
    assert!((0..20).all(|seed| !text(seed, None).is_empty()));
    // With notes, the likeliest text.
    assert_eq!(text(1, Some("kettle")), text(2, Some("kettle")));
}
