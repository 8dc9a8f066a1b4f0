//! Measurements of the whole engine: the first text after a restart, augmentation, and texts
//! requested during an augmentation.

use std::{
    collections::HashMap,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use locket::{AugmentOptions, Engine, GenerateRequest, Interaction, Key, LoadOptions, Model, Task};
use locket_builder::pack::{BuildOptions, build};
use locket_eval::peak_rss_bytes;
use serde_json::{Value, json};

use super::ms;
use crate::{demo::SAMPLE, open, ui};

/// Returns a text for the user's history, slightly different for each `n`.
fn text(n: usize) -> Interaction {
    let [what, much] = [["kettle", "lamp", "mug"][n % 3], ["fast", "well", "often", "late"][n % 4]];
    Interaction::new(
        format!("own:{n}"),
        format!(
            "The {what} works {much} and looks good, but number {n} gets warm after a while. I would buy it again."
        ),
    )
    .with_title(format!("Works {much}"))
    .with_rating((3 + n % 3) as f32)
}

fn request() -> GenerateRequest {
    let mut request = GenerateRequest::new("new", Task::Text);
    request.title = Some("Fast".into());
    request.reasoning = false;
    request
}

/// Returns the time to the first chunk of a text, and the number of tokens in its prompt.
fn first(engine: &Engine, request: &GenerateRequest) -> anyhow::Result<(Duration, usize)> {
    let (started, mut first) = (Instant::now(), None);
    let written = engine.generate_with(request, &mut |chunk| {
        if !chunk.text.is_empty() {
            first.get_or_insert_with(|| started.elapsed());
        }
        ui::alive()
    })?;
    Ok((first.unwrap_or_else(|| started.elapsed()), written.prompt_tokens))
}

/// Measures the time to the first token of a text in a newly opened engine, for a user's history of
/// about `tokens` tokens (512 at most). There are three cases: without a session, with the session
/// of an earlier engine, and with that session restored by `prewarm`. In each the model is loaded
/// and has decoded a token before. The values are medians of `times` restarts.
pub fn restart(model: &Model, tokens: usize, times: usize) -> anyhow::Result<Value> {
    /// Approximate number of tokens of such a text with its title.
    const PER_TEXT: usize = 64;
    let dir = tempfile::tempdir()?;
    let key = Key::generate()?;
    {
        let engine = Engine::open(dir.path(), &key)?;
        // With more than eight texts, the engine selects by similarity.
        let count = (tokens / PER_TEXT).clamp(1, 8);
        for n in 0..count {
            let mut long = text(n);
            long.text = vec![long.text; 2].join(" ");
            engine.record(long)?;
        }
    }
    // Opens a new engine with at most `sessions` bytes of sessions, restored by `prewarm` if
    // `prewarmed` and otherwise at the request.
    let once = |sessions: u64, prewarmed: bool| -> anyhow::Result<(Duration, usize)> {
        let engine = open(dir.path(), &key, model)?.with_session_bytes(if prewarmed { sessions } else { 0 });
        let mut request = request();
        request.options.max_new_tokens = 2;
        engine.prewarm(&request.options, &mut |_| ui::alive())?;
        first(&engine.with_session_bytes(sessions), &request)
    };
    once(u64::MAX, false)?;
    let (mut cold, mut warm, mut prewarmed, mut prompt) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..times {
        let (time, tokens) = once(0, false)?;
        cold.push(ms(time));
        prompt = tokens;
        warm.push(ms(once(u64::MAX, false)?.0));
        prewarmed.push(ms(once(u64::MAX, true)?.0));
    }
    let (cold, warm, prewarmed) = (median(cold), median(warm), median(prewarmed));
    Ok(json!({
        "restart_prompt_tokens": prompt,
        "restart_ttft_cold_ms": cold,
        "restart_ttft_warm_ms": warm,
        "restart_ratio": warm / cold,
        "restart_ttft_prewarmed_ms": prewarmed,
        "restart_prewarmed_ratio": prewarmed / cold,
    }))
}

fn open(dir: &Path, key: &Key, model: &Model) -> anyhow::Result<Engine> {
    let engine = Engine::open(dir, key)?.with_threads(ui::threads());
    Ok(engine.with_model_file(model.path(), LoadOptions::default().with_gpu(ui::gpu()))?)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Measures one text for a user with `history` texts and, if `k` is not 0, `k` synthetic
/// interactions.
pub fn engine(model: Model, history: usize, k: usize) -> anyhow::Result<Value> {
    let dir = tempfile::tempdir()?;
    let (sample, pack) = (dir.path().join("sample.jsonl"), dir.path().join("sample.pack"));
    std::fs::write(&sample, SAMPLE)?;
    build(&[sample], &pack, &BuildOptions::default(), |_| ui::alive())?;
    let engine = Engine::open(dir.path().join("store"), &Key::generate()?)?
        .with_pack(open::open_pack(&pack)?)
        .with_threads(ui::threads())
        .with_model(model)?;
    for n in 0..history {
        engine.record(text(n))?;
    }
    let mut asked = request();
    asked.options.max_new_tokens = 32;
    let (cold, prompt) = first(&engine, &asked)?;
    let started = Instant::now();
    let (warm, _) = first(&engine, &asked)?;
    let generate = started.elapsed();
    let mut value = json!({
        "history": history,
        "history_prompt_tokens": prompt,
        "history_ttft_cold_ms": ms(cold),
        "history_ttft_warm_ms": ms(warm),
        "generate_ms": ms(generate),
        "history_peak_rss_bytes": peak_rss_bytes(),
    });
    if k > 0 {
        super::extend(&mut value, augmentation(&engine, &asked, k)?);
    }
    Ok(value)
}

/// Measures `k` synthetic interactions, generated together and one at a time, and texts requested
/// during an augmentation.
fn augmentation(engine: &Engine, asked: &GenerateRequest, k: usize) -> anyhow::Result<Value> {
    // Three ways: together, one after the other in one decoder that keeps the common prefix, and
    // each in a call of its own.
    let mut together = Run::default();
    together.add(engine, k, 0, 1)?;
    let peak = peak_rss_bytes();
    let mut in_turn = Run::default();
    in_turn.add(engine, k, 1, 1)?;
    let mut alone = Run::default();
    for seed in 0..together.finished {
        alone.add(engine, 1, 1, seed as u32)?;
    }
    // Idle, then during an augmentation; each time with the prompt in the cache.
    let idle = median((0..5).map(|_| Ok(ms(first(engine, asked)?.0))).collect::<anyhow::Result<Vec<_>>>()?);
    let begun = AtomicBool::new(false);
    let waits: anyhow::Result<Vec<f64>> = std::thread::scope(|scope| {
        let background = scope.spawn(|| {
            engine.augment(&AugmentOptions::new(k).with_seed(2), &mut |_| {
                begun.store(true, Ordering::Relaxed);
                ui::alive()
            })
        });
        let mut waits = Vec::new();
        while !background.is_finished() && waits.len() < 40 {
            // Varied delays, so that requests do not align with the background's steps.
            std::thread::sleep(Duration::from_millis(23 + 17 * (waits.len() as u64 % 5)));
            let meets_it = begun.load(Ordering::Relaxed);
            let took = ms(first(engine, asked)?.0);
            if meets_it && !background.is_finished() {
                waits.push((took - idle).max(0.0));
            }
        }
        background.join().map_err(|_| anyhow::anyhow!("the augmentation failed"))??;
        Ok(waits)
    });
    let waits = waits?;
    let token = together.token_ms();
    Ok(json!({
        "augment_items": together.finished,
        "augment_tokens": together.tokens,
        "augment_seconds": together.seconds,
        "augment_tps": together.rate(),
        "augment_in_turn_tps": in_turn.rate(),
        "augment_alone_tps": alone.rate(),
        "augment_speedup": together.rate() / alone.rate(),
        "augment_in_turn_speedup": together.rate() / in_turn.rate(),
        "augment_peak_rss_bytes": peak,
        "augment_token_ms": token,
        "foreground_ttft_idle_ms": idle,
        "foreground_waits": waits.len(),
        "foreground_wait_ms": median(waits.clone()),
        "foreground_wait_max_ms": waits.iter().copied().fold(0.0, f64::max),
        "foreground_wait_tokens": median(waits) / token,
    }))
}

/// Timings of augmentations.
#[derive(Default)]
struct Run {
    seconds: f64,
    tokens: usize,
    finished: usize,
    /// Times between two tokens of one text, in milliseconds.
    steps: Vec<f64>,
}

impl Run {
    fn add(&mut self, engine: &Engine, k: usize, sequences: usize, seed: u32) -> anyhow::Result<()> {
        let options = AugmentOptions::new(k).with_sequences(sequences).with_seed(seed);
        let started = Instant::now();
        let mut latest: HashMap<usize, Instant> = HashMap::new();
        let done = engine.augment(&options, &mut |chunk| {
            if !chunk.text.is_empty()
                && let Some(before) = latest.insert(chunk.item, Instant::now())
            {
                self.steps.push(ms(before.elapsed()));
            }
            ui::alive()
        })?;
        self.seconds += started.elapsed().as_secs_f64();
        self.tokens += done.tokens;
        self.finished += done.finished;
        Ok(())
    }

    fn rate(&self) -> f64 {
        self.tokens as f64 / self.seconds
    }

    fn token_ms(&self) -> f64 {
        median(self.steps.clone())
    }
}
