//! Tests of explanations: they show the prompt and the candidates of the very same generation.
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;

use locket::{
    Chunk, Engine, GenerateRequest, Interaction, Key, LoadOptions, Model, Task, Written,
    internals::{engine::Explanation, prompt::Source},
};

fn quiet(_: Chunk) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn engine(dir: &std::path::Path) -> Engine {
    let model = Model::load(locket_tests::tiny::write(dir), LoadOptions::default()).unwrap();
    let engine = Engine::open(dir.join("store"), &Key::new([1; 32])).unwrap().with_threads(1);
    for n in 0..12 {
        engine.record(Interaction::new(format!("k{n}"), format!("My text number {n} is here."))).unwrap();
    }
    engine.with_model(model).unwrap()
}

fn request(task: Task, candidates: usize) -> GenerateRequest {
    let mut request = GenerateRequest::new("k99", task).with_title("Asked".to_owned()).with_text("It is red.");
    request.options.max_new_tokens = 12;
    request.options.candidates = candidates;
    request
}

/// Returns the text without counts that depend on the KV cache.
fn said(written: &Written) -> Written {
    let mut written = written.clone();
    written.reused_tokens = 0;
    written
}

#[test]
fn the_explained_text_is_the_generated_one() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    for (task, candidates) in [(Task::Text, 1), (Task::Text, 3), (Task::Title, 2), (Task::Rating, 1)] {
        let request = request(task, candidates);
        let generated = engine.generate(&request).unwrap();
        let explained = engine.explain(&request, &mut quiet).unwrap();
        assert_eq!(said(&explained.written), said(&generated), "{task:?}");
        let best = &explained.drafts[explained.best].written;
        assert_eq!(
            (&best.text, &best.title, best.rating, &best.unsupported),
            (&generated.text, &generated.title, generated.rating, &generated.unsupported)
        );
        // The opening of the text is one more candidate for its title.
        let opening = usize::from(task == Task::Title);
        assert!((1..=candidates + opening).contains(&explained.drafts.len()));
    }
}

#[test]
fn the_explained_prompt_is_the_models() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let model = Model::load(dir.path().join("tiny.gguf"), LoadOptions::default()).unwrap();
    for budget in [1024, 120, 0] {
        let mut request = request(Task::Text, 1);
        request.options.max_prompt_tokens = budget;
        let Explanation { prompt, dropped, .. } = engine.explain(&request, &mut quiet).unwrap();
        let composed = engine.prompt_inputs(&request).unwrap().compose(&model, budget);
        let text: String = prompt.iter().map(|(part, _)| part.text.as_str()).collect();
        assert_eq!(text, format!("{}{}", composed.body, composed.lead));
        assert!(prompt.iter().all(|(part, tokens)| *tokens == model.tokens(&part.text).len()));
        let own = prompt.iter().filter(|(part, _)| part.source == Source::History).count();
        assert_eq!(own + dropped.len(), 8, "each text of the history is shown or dropped");
    }
}

#[test]
fn an_explanation_is_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    // Paused, so that the tiny model does not finish before the break arrives.
    engine.pause();
    let cancelled = engine.explain(&request(Task::Text, 2), &mut |_| ControlFlow::Break(()));
    assert!(matches!(cancelled, Err(locket::Error::Cancelled | locket::Error::Llm(locket::LlmError::Cancelled))));
}
