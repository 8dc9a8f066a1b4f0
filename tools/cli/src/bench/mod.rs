//! `locket bench`

mod whole;

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use locket::{
    Kind, Model, Sampling,
    internals::llm::{Decoder, DecoderOptions, Phase, Prompt, Request},
};
use locket_eval::peak_rss_bytes;
use serde_json::{Value, json};

use crate::{open, output::say, ui};

#[derive(clap::Args)]
#[command(after_help = "Example:\n  locket bench --model gemma-3-270m --json")]
pub struct Args {
    /// Model: a name from `locket model list`, or a GGUF file
    #[arg(long)]
    model: String,
    #[command(flatten)]
    adapter: open::AdapterArg,
    /// Number of tokens in the prompt
    #[arg(long, default_value_t = 512)]
    prompt: usize,
    /// Number of tokens to generate
    #[arg(long, default_value_t = 64)]
    tokens: usize,
    /// Number of sequences decoded together
    #[arg(long, default_value_t = 8)]
    sequences: usize,
    /// Skip the measurements of the whole engine
    #[arg(long)]
    decoder_only: bool,
    /// Number of engine restarts for the time to first token; 0 skips this measurement
    #[arg(long, default_value_t = 5)]
    restarts: usize,
    /// Number of texts in the user's history, for the measurements of the whole engine
    #[arg(long, default_value_t = 8)]
    history: usize,
    /// Number of synthetic interactions to generate; 0 skips this measurement
    #[arg(long, default_value_t = 8)]
    augment: usize,
}

pub fn run(args: &Args, json: bool) -> anyhow::Result<()> {
    let started = Instant::now();
    let model = open::load_model(&args.model, args.adapter.as_deref(), Some(&Kind::review()))?;
    let load = started.elapsed();
    let mut value = decoding(&model, load, args)?;
    // Measured before a second copy of the model is loaded.
    extend(&mut value, json!({"peak_rss_bytes": peak_rss_bytes()}));
    if !args.decoder_only {
        if args.restarts > 0 {
            extend(&mut value, whole::restart(&model, args.prompt, args.restarts)?);
        }
        extend(&mut value, whole::engine(model, args.history, args.augment)?);
    }
    if json {
        return ui::print_json(&value);
    }
    if let Some(map) = value.as_object() {
        for (key, value) in map {
            say!("{key:<24} {value}")?;
        }
    }
    Ok(())
}

/// Measures one decoder.
fn decoding(model: &Model, load: Duration, args: &Args) -> anyhow::Result<Value> {
    let options = DecoderOptions {
        context: args.prompt + args.tokens + 8,
        sequences: args.sequences,
        threads: ui::threads(),
        ..DecoderOptions::default()
    };
    let mut decoder = model.decoder(options)?;
    let request = request(model, args.prompt, args.tokens)?;
    // A short run first loads the pages of the weights into memory.
    let warm_up = Request { prompt: request.prompt[..8].to_vec(), ..request.clone() };
    timed(&mut decoder, std::slice::from_ref(&warm_up))?;
    decoder.clear();
    let cold = timed(&mut decoder, std::slice::from_ref(&request))?;
    let warm = timed(&mut decoder, std::slice::from_ref(&request))?;
    decoder.clear();
    let many = vec![request.clone(); args.sequences];
    let parallel = timed(&mut decoder, &many)?;
    Ok(json!({
        "model": model.name(), "parameters": model.parameters(), "weight_bytes": model.bytes(),
        "prompt_tokens": request.prompt.len(), "written_tokens": args.tokens, "sequences": args.sequences,
        "load_ms": ms(load),
        "prefill_tps": request.prompt.len() as f64 / cold.first.as_secs_f64(),
        "decode_tps": cold.rate(1),
        "parallel_decode_tps": parallel.rate(args.sequences),
        "ttft_cold_ms": ms(load + cold.first),
        "ttft_warm_ms": ms(warm.first),
        "devices": model.placement(),
    }))
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn extend(value: &mut Value, with: Value) {
    if let (Value::Object(into), Value::Object(more)) = (value, with) {
        into.extend(more);
    }
}

struct Timing {
    first: Duration,
    rest: Duration,
    pieces: usize,
}

impl Timing {
    /// Returns the tokens per second, without the first token of each sequence.
    fn rate(&self, sequences: usize) -> f64 {
        self.pieces.saturating_sub(sequences) as f64 / self.rest.as_secs_f64()
    }
}

fn timed(decoder: &mut Decoder<'_>, requests: &[Request]) -> anyhow::Result<Timing> {
    let before = decoder.usage().written;
    let started = Instant::now();
    let mut first = None;
    decoder.run(requests, &mut |event| {
        // Events during prefill have no text.
        if !event.text.is_empty() {
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
    // Without a grammar, only a model without an end token cannot stop early. A rare early stop is
    // acceptable.
    let phase = Phase::new(tokens, Sampling::GREEDY);
    Ok(Request { prompt: all, phases: vec![phase], deadline: None, boundary: None, contrast: None })
}
