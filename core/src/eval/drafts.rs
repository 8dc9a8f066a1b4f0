//! What looked-up drafts save on real prompts: each text written with and without, side by side.

use std::{
    ops::ControlFlow,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    cases::{Case, draw, pack_for},
    generation::Settings,
    writer::material,
};
use crate::{
    Error,
    generate::{self, WriteOptions},
    llm::{Decoder, DecoderOptions, Model, Usage},
    pack::Pack,
};

/// Writes the text of every drawn person twice, token by token and with drafts of up to `draft` tokens, and compares texts and
/// times from the first token on. Keys: `n`, `same` (share of equal texts), `speedup` (median over texts), `total_speedup` (of
/// the summed times), `tokens_per_call`, `held` (share of drafted tokens that held),
/// `noise` (how much a token's log-probability depends on how many are decoded at once).
///
/// # Errors
/// [`crate::llm::LlmError`], [`Error::Cancelled`].
pub fn drafts(
    files: &[PathBuf],
    pack: Option<Pack>,
    model: &Model,
    settings: &Settings,
    draft: usize,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Value, Error> {
    let (pack, _scratch) = pack_for(files, pack, settings, progress)?;
    let cases = draw(files, settings)?;
    // Nothing is drafted for a text that is written against another prompt.
    let options = WriteOptions { contrast: 0.0, ..settings.options };
    let open = |draft| model.decoder(DecoderOptions { threads: settings.threads, draft, ..options.decoder() });
    let (mut plain, mut drafted) = (open(0)?, open(draft)?);
    let (mut ratios, mut same, mut times) = (Vec::new(), 0, [Duration::ZERO; 2]);
    for (n, case) in cases.iter().enumerate() {
        let request = generate::request(model, &material(&pack, settings, &case.person, Vec::new()), &options);
        let mut one = |decoder: &mut Decoder<'_>| {
            let mut first = None;
            let done = decoder.run_one(&request, &mut |event| {
                if !event.piece.is_empty() {
                    first.get_or_insert_with(Instant::now);
                }
                progress(n, cases.len())
            })?;
            Ok::<_, Error>((done, first.map_or(Duration::ZERO, |f| f.elapsed())))
        };
        // Whoever goes first may find the machine in another state.
        let (a, b) = if n % 2 == 0 {
            let a = one(&mut plain)?;
            (a, one(&mut drafted)?)
        } else {
            let b = one(&mut drafted)?;
            (one(&mut plain)?, b)
        };
        let texts = |done: &crate::llm::Completion| done.phases.iter().map(|p| p.text.clone()).collect::<Vec<_>>();
        same += usize::from(texts(&a.0) == texts(&b.0));
        times[0] += a.1;
        times[1] += b.1;
        if !b.1.is_zero() {
            ratios.push(a.1.as_secs_f64() / b.1.as_secs_f64());
        }
    }
    ratios.sort_by(f64::total_cmp);
    let noise = noise(&pack, model, settings, &cases)?;
    let Usage { written, drafted: guessed, held, .. } = drafted.usage();
    Ok(json!({
        "n": cases.len(),
        "draft": draft,
        "same": same as f64 / cases.len().max(1) as f64,
        "speedup": ratios.get(ratios.len() / 2),
        "total_speedup": times[0].as_secs_f64() / times[1].as_secs_f64(),
        "tokens": written,
        "tokens_per_call": written as f64 / (written - held).max(1) as f64,
        "drafted": guessed,
        "held": held as f64 / guessed.max(1) as f64,
        "noise": noise,
    }))
}

/// The largest difference in a token's log-probability between decoding one token per call and several, on the real texts of
/// two people: sums in another order, by other kernels. Where the two likeliest tokens are closer than that, texts part.
fn noise(pack: &Pack, model: &Model, settings: &Settings, cases: &[Case]) -> Result<f64, Error> {
    let mut most: f64 = 0.0;
    for Case { person, .. } in cases.iter().take(2) {
        let prompt = generate::request(model, &material(pack, settings, person, Vec::new()), &settings.options).prompt;
        let mut text = model.tokens(&crate::text::quoted(&person.target.text, 60));
        text.truncate(100);
        let score = |batch| {
            let (context, threads) = (settings.options.context(), settings.threads);
            let options = DecoderOptions { context, threads, batch, ..DecoderOptions::default() };
            model.decoder(options)?.score(&prompt, &text)
        };
        let (one, many) = (score(1)?, score(8)?);
        most = one.iter().zip(&many).map(|(a, b)| (a - b).abs()).fold(most, f64::max);
    }
    Ok(most)
}
