//! `locket bench`

use std::{
    ops::ControlFlow,
    path::PathBuf,
    time::{Duration, Instant},
};

use locket::{
    engine::{Engine, GenerateRequest},
    eval::peak_rss_bytes,
    interaction::Interaction,
    llm::{Decoder, DecoderOptions, LoadOptions, Model, Phase, Prompt, Request, Sampling},
    prompt::Task,
    store::Key,
};
use serde_json::json;

use crate::ui;

#[derive(clap::Args)]
#[command(after_help = "Example:\n  locket bench --model gemma-3-270m --json")]
pub struct Args {
    /// Model: a name from `locket model list`, or a GGUF file
    #[arg(long)]
    model: String,
    /// LoRA adapter (GGUF)
    #[arg(long)]
    adapter: Option<PathBuf>,
    /// Tokens of the prompt
    #[arg(long, default_value_t = 512)]
    prompt: usize,
    /// Tokens to write
    #[arg(long, default_value_t = 64)]
    tokens: usize,
    /// Sequences decoded together
    #[arg(long, default_value_t = 8)]
    sequences: usize,
}

pub fn run(args: &Args, json: bool) -> anyhow::Result<()> {
    let started = Instant::now();
    let model = ui::load_model(&args.model, args.adapter.as_deref())?;
    let load = started.elapsed();
    let options = DecoderOptions {
        context: args.prompt + args.tokens + 8,
        sequences: args.sequences,
        threads: ui::threads(),
        ..DecoderOptions::default()
    };
    let mut decoder = model.decoder(options)?;
    let request = request(&model, args.prompt, args.tokens)?;
    // One short run first, so that the pages of the weights are in memory for what follows.
    let warm_up = Request { prompt: request.prompt[..8].to_vec(), ..request.clone() };
    timed(&mut decoder, std::slice::from_ref(&warm_up))?;
    decoder.clear();
    let cold = timed(&mut decoder, std::slice::from_ref(&request))?;
    let warm = timed(&mut decoder, std::slice::from_ref(&request))?;
    decoder.clear();
    let many = vec![request.clone(); args.sequences];
    let parallel = timed(&mut decoder, &many)?;
    drop(decoder);
    // Before a second copy of the model is loaded.
    let peak = peak_rss_bytes();
    let (restart_cold, restart_warm, prefix) = restart(&model, args.prompt)?;
    let ms = |d: Duration| d.as_secs_f64() * 1000.0;
    let value = json!({
        "model": model.name(), "parameters": model.parameters(), "weight_bytes": model.bytes(),
        "prompt_tokens": request.prompt.len(), "written_tokens": args.tokens, "sequences": args.sequences,
        "load_ms": ms(load),
        "prefill_tps": request.prompt.len() as f64 / cold.first.as_secs_f64(),
        "decode_tps": cold.rate(1),
        "parallel_decode_tps": parallel.rate(args.sequences),
        "ttft_cold_ms": ms(load + cold.first),
        "ttft_warm_ms": ms(warm.first),
        "restart_prefix_tokens": prefix,
        "restart_ttft_cold_ms": ms(restart_cold),
        "restart_ttft_warm_ms": ms(restart_warm),
        "peak_rss_bytes": peak,
    });
    if json {
        return ui::print_json(&value);
    }
    if let Some(map) = value.as_object() {
        for (key, value) in map {
            println!("{key:<20} {value}");
        }
    }
    Ok(())
}

/// Time to the first token of a text by a person whose history takes about `tokens` tokens, in an engine that was just opened:
/// without a session and with the one that an earlier engine left. The model is loaded and has read a few tokens before.
fn restart(model: &Model, tokens: usize) -> anyhow::Result<(Duration, Duration, usize)> {
    let dir = tempfile::tempdir()?;
    let key = Key::generate()?;
    let text = "The kettle boils fast and pours well, but the handle gets warm after a while.";
    let per_text = model.tokens(text).len() + model.tokens("Title: Fast\nReview:\n\n").len();
    {
        let engine = Engine::open(dir.path(), &key)?;
        // Beyond eight texts the engine chooses by likeness; make them long enough instead.
        let count = 8.min(tokens / per_text).max(1);
        for n in 0..count {
            let times = (tokens / count / per_text).clamp(1, 4);
            engine.record(Interaction::new(format!("i{n}"), [text].repeat(times).join(" ")).with_title("Fast"))?;
        }
    }
    let first = |sessions: u64| -> anyhow::Result<(Duration, usize)> {
        let engine = Engine::open(dir.path(), &key)?
            .with_threads(ui::threads())
            .with_session_bytes(sessions)
            .with_model_file(model.path(), LoadOptions::default())?;
        let mut request = GenerateRequest::new("new", Task::Text);
        request.title = Some("Fast".into());
        request.reasoning = false;
        request.options.text_tokens = 2;
        let bare = GenerateRequest { personal: false, ..request.clone() };
        engine.generate(&bare, &mut |_| ui::alive())?;
        let (started, mut first) = (Instant::now(), None);
        let written = engine.generate(&request, &mut |event| {
            if !event.piece.is_empty() {
                first.get_or_insert_with(|| started.elapsed());
            }
            ui::alive()
        })?;
        Ok((first.unwrap_or_else(|| started.elapsed()), written.prompt_tokens))
    };
    let (cold, prompt) = first(0)?;
    first(u64::MAX)?;
    Ok((cold, first(u64::MAX)?.0, prompt))
}

struct Timing {
    first: Duration,
    rest: Duration,
    pieces: usize,
}

impl Timing {
    /// Tokens per second after the first of each sequence.
    fn rate(&self, sequences: usize) -> f64 {
        self.pieces.saturating_sub(sequences) as f64 / self.rest.as_secs_f64()
    }
}

fn timed(decoder: &mut Decoder<'_>, requests: &[Request]) -> anyhow::Result<Timing> {
    let before = decoder.usage().written;
    let started = Instant::now();
    let mut first = None;
    decoder.run(requests, &mut |event| {
        // Events without text come while the prompt is read.
        if !event.piece.is_empty() {
            first.get_or_insert_with(|| started.elapsed());
        }
        if ui::interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let first = first.unwrap_or_default();
    Ok(Timing { first, rest: started.elapsed() - first, pieces: decoder.usage().written - before })
}

fn request(model: &Model, prompt: usize, tokens: usize) -> anyhow::Result<Request> {
    let text = "The kettle boils fast and pours well, but the handle gets warm after a while. ";
    let body = text.repeat(prompt / 8 + 2);
    let mut all = model.prompt_tokens(&Prompt { body, lead: String::new() });
    anyhow::ensure!(prompt > 8 && all.len() >= prompt, "the prompt needs more than 8 tokens");
    all.truncate(prompt);
    // A grammar-free phase that cannot end early would need a model without an end token; a rare stop is fine.
    let phase =
        Phase { lead: String::new(), grammar: None, stop: Vec::new(), max_tokens: tokens, sampling: Sampling::GREEDY };
    Ok(Request { prompt: all, phases: vec![phase] })
}
