//! Ratings by a model with an adapter that holds a rating calibration.
#![allow(clippy::unwrap_used)]

use locket::{
    Engine, GenerateRequest, Key, LoadOptions, Model, Sampling, Task, WriteOptions,
    internals::llm::{Calibration, STARS, gguf},
};

/// Returns an engine with the tiny model and an adapter with this calibration.
fn engine(dir: &std::path::Path, calibration: Calibration) -> Engine {
    let bytes = locket_tests::tiny::adapter_parts().bytes();
    let adapter = dir.join("rated.gguf");
    std::fs::write(
        &adapter,
        locket_builder::gguf::with_floats(&bytes, gguf::CALIBRATION, &calibration.numbers()).unwrap(),
    )
    .unwrap();
    let options = LoadOptions::default().with_adapter(adapter);
    let model = Model::load(locket_tests::tiny::write(dir), options).unwrap();
    assert_eq!(model.stars().unwrap().calibration, calibration);
    Engine::open(dir.join("me"), &Key::new([7; 32])).unwrap().with_model(model).unwrap()
}

fn rate(engine: &Engine, sampling: Sampling) -> u8 {
    let mut request = GenerateRequest::new("kettle", Task::Rating);
    request.text = Some("It boils.".into());
    request.options = WriteOptions::default().with_sampling(sampling);
    engine.generate(&request).unwrap().rating.unwrap()
}

#[test]
fn the_correction_decides() {
    for wanted in 1..=STARS {
        let dir = tempfile::tempdir().unwrap();
        let mut bias = [-30.0; STARS];
        bias[wanted - 1] = 30.0;
        let engine = engine(dir.path(), Calibration { scale: 1.0, bias });
        assert_eq!(usize::from(rate(&engine, Sampling::GREEDY)), wanted);
        assert_eq!(usize::from(rate(&engine, Sampling::VARIED)), wanted);
    }
}

#[test]
fn the_median_is_taken_not_the_likeliest() {
    let dir = tempfile::tempdir().unwrap();
    // Scale and biases remove the model's own distribution.
    let ln = |p: f64| p.ln();
    let bias = [ln(0.35), ln(0.05), ln(0.15), ln(0.1), ln(0.35)];
    let engine = engine(dir.path(), Calibration { scale: f64::from(1e-6f32), bias: bias.map(|b| f64::from(b as f32)) });
    assert_eq!(rate(&engine, Sampling::GREEDY), 3);
    // Sampling draws all likely ratings.
    let warm = |seed| Sampling::VARIED.with_seed(seed).with_temperature(1.0).with_top_p(1.0);
    let drawn: Vec<u8> = (0..60).map(|seed| rate(&engine, warm(seed))).collect();
    let share = |stars: u8| drawn.iter().filter(|&&s| s == stars).count();
    assert!(share(1) > 8 && share(5) > 8 && share(3) < 25, "{drawn:?}");
}
