//! Rating calibration: a scale and five biases for a model's rating logits, fitted on users'
//! ratings.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Corpus, Draft, ExampleOptions, inputs};
use crate::{Error, Journal};
use locket::{
    Model, WriteOptions,
    internals::{
        generation::request,
        llm::{Calibration, Decoder, DecoderOptions, STARS, Token, median},
        output,
    },
};

/// Result of a calibration fit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rated {
    /// Number of training and of validation users.
    pub people: [usize; 2],
    /// Number of ratings.
    pub ratings: usize,
    /// The fitted correction.
    pub calibration: Calibration,
    /// Mean negative log-likelihood of these ratings without and with the correction, in nats.
    pub loss: [f64; 2],
    /// Mean absolute error of the median, in stars, without and with the correction. Both are over
    /// the ratings of the fit.
    pub mae: [f64; 2],
    /// The same on held-out ratings: each half corrected by a fit on the other.
    pub held_out_loss: [f64; 2],
    /// Mean absolute error of the median on held-out ratings.
    pub held_out_mae: [f64; 2],
}

/// The model's rating logits for one text, and the author's rating.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Case {
    logits: [f64; STARS],
    /// Number of stars minus one.
    truth: usize,
}

/// Number of prompts scored together, each with all ratings.
const TOGETHER: usize = 4;

/// Fits a [`Calibration`] for `model` on the ratings of the examples that
/// [`super::examples`](fn@super::examples) would make of `files`. It uses only rating requests
/// without plans, regardless of [`ExampleOptions::tasks`]. `journal` stores the logits, so that a
/// later call resumes an interrupted one.
///
/// # Errors
/// [`locket::Error::Argument`] if there are no ratings, or if the model's vocabulary has no digits;
/// as [`super::examples`](fn@super::examples), and [`locket::LlmError`].
pub fn ratings(
    files: &[PathBuf],
    model: &Model,
    options: &ExampleOptions,
    threads: usize,
    journal: &Path,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Rated, Error> {
    let stars =
        model.stars().ok_or_else(|| locket::Error::Argument("the model has no tokens for the digits 1 to 5".into()))?;
    let options = ExampleOptions { tasks: [0, 0, 1, 0], planned: 0, ..options.clone() };
    let journal = &output::target(journal, inputs(files, model, &options))?;
    let mut corpus = Corpus::new(files, &options, &mut || progress(0, 1))?;
    corpus.drafts.retain(|draft| draft.truth().is_some());
    let total = corpus.drafts.len();
    if total == 0 {
        return Err(locket::Error::Argument("no rating in these profiles may be learnt from".into()).into());
    }
    // The prompt length of generation: these prompts are not for training.
    let write = WriteOptions::default().with_contrast(0.0);
    let (context, sequences) = (write.context(), TOGETHER * STARS);
    let mut decoder = model.decoder(DecoderOptions { context, sequences, threads, ..DecoderOptions::default() })?;
    let settings = json!({ "files": files, "model": model.identity(), "options": format!("{options:?}") });
    let mut cases = Journal::<Case>::open(Some(journal), &settings)?;
    while let Some(rest) = corpus.drafts.get(cases.rows.len()..).filter(|rest| !rest.is_empty()) {
        let group = &rest[..rest.len().min(TOGETHER)];
        let prompts = group.iter().map(|d| request::request(model, &d.inputs, &write).prompt).collect();
        let done = cases.rows.len();
        let logits = logits(&mut decoder, prompts, &stars.tokens, &mut || progress(done, total))?;
        for (logits, truth) in logits.into_iter().zip(group.iter().filter_map(Draft::truth)) {
            cases.push(Case { logits, truth })?;
        }
    }
    let cases = cases.rows;
    let (plain, calibration) = (Calibration::default(), fit(&cases));
    let both = |of: fn(&[Case], &Calibration) -> f64| [of(&cases, &plain), of(&cases, &calibration)];
    let [held_out_loss, held_out_mae] = held_out(&cases);
    let (loss, mae) = (both(loss), both(mae));
    Ok(Rated { people: corpus.people, ratings: total, calibration, loss, mae, held_out_loss, held_out_mae })
}

/// Returns the log-probability of each rating after each prompt.
fn logits(
    decoder: &mut Decoder<'_>,
    prompts: Vec<Vec<Token>>,
    stars: &[Token; STARS],
    alive: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Vec<[f64; STARS]>, Error> {
    let space = decoder.model().tokens(" ");
    let rating = |token: &Token| space.iter().chain([token]).copied().collect::<Vec<_>>();
    let pairs = prompts.into_iter().flat_map(|prompt| stars.iter().map(move |s| (prompt.clone(), rating(s)))).collect();
    let scores = decoder.score_all(pairs, &mut |_| alive())?;
    let last = |of: &[Vec<f64>]| {
        let mut all = [f64::NEG_INFINITY; STARS];
        all.iter_mut().zip(of).for_each(|(to, scores)| *to = scores.last().copied().unwrap_or(*to));
        all
    };
    Ok(scores.chunks_exact(STARS).map(last).collect())
}

/// Returns the most likely scale and biases. Newton's method on one of the six parameters at a time
/// suffices, as the loss is convex. A normal prior of variance 1 holds the biases near 0.
fn fit(cases: &[Case]) -> Calibration {
    const ROUNDS: usize = 200;
    const HOLD: f64 = 1.0;
    const LEAST_SCALE: f64 = 0.05;
    let mut calibration = Calibration::default();
    // A constant added to all logits has no effect; centring avoids large numbers.
    let centred = |case: &Case| {
        let mean = case.logits.iter().sum::<f64>() / STARS as f64;
        Case { logits: case.logits.map(|l| l - mean), truth: case.truth }
    };
    let cases: Vec<Case> = cases.iter().map(centred).collect();
    for _ in 0..ROUNDS {
        for parameter in 0..=STARS {
            let (mut slope, mut curve) = match parameter.checked_sub(1) {
                Some(n) => (HOLD * calibration.bias[n], HOLD),
                None => (0.0, HOLD),
            };
            for &Case { logits, truth } in &cases {
                let p = calibration.probabilities(&logits);
                if let Some(n) = parameter.checked_sub(1) {
                    slope += p[n] - f64::from(u8::from(truth == n));
                    curve += p[n] * (1.0 - p[n]);
                } else {
                    let mean: f64 = p.iter().zip(logits).map(|(p, l)| p * l).sum();
                    slope += mean - logits[truth];
                    curve += p.iter().zip(logits).map(|(p, l)| p * (l - mean).powi(2)).sum::<f64>();
                }
            }
            let step = (slope / curve).clamp(-1.0, 1.0);
            match parameter.checked_sub(1) {
                Some(n) => calibration.bias[n] -= step,
                None => calibration.scale = (calibration.scale - step).max(LEAST_SCALE),
            }
        }
    }
    calibration
}

/// Returns loss and absolute error, each without and with the correction, where each half of the cases
/// is corrected by a fit on the other half.
fn held_out(cases: &[Case]) -> [[f64; 2]; 2] {
    let half = |rest: usize| cases.iter().copied().skip(rest).step_by(2).collect::<Vec<Case>>();
    let (halves, plain) = ([half(0), half(1)], Calibration::default());
    let alone = halves.iter().any(Vec::is_empty);
    let fits = if alone { [plain; 2] } else { [fit(&halves[1]), fit(&halves[0])] };
    [loss, mae].map(|of: fn(&[Case], &Calibration) -> f64| {
        let parts = halves.iter().zip(&fits).filter(|(half, _)| !half.is_empty());
        let corrected: f64 = parts.map(|(half, fit)| of(half, fit) * half.len() as f64).sum();
        [of(cases, &plain), corrected / cases.len() as f64]
    })
}

fn loss(cases: &[Case], calibration: &Calibration) -> f64 {
    let of = |case: &Case| -calibration.probabilities(&case.logits)[case.truth].max(f64::MIN_POSITIVE).ln();
    cases.iter().map(of).sum::<f64>() / cases.len() as f64
}

fn mae(cases: &[Case], calibration: &Calibration) -> f64 {
    let of = |case: &Case| median(&calibration.probabilities(&case.logits)).abs_diff(case.truth) as f64;
    cases.iter().map(of).sum::<f64>() / cases.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cases of a model with a known miscalibration: each rating is as frequent as the corrected
    /// model expects.
    fn cases(true_one: Calibration) -> Vec<Case> {
        let mut cases = Vec::new();
        for k in 0..40 {
            let logits = [0, 1, 2, 3, 4].map(|n| 3.0 * (f64::from(k * (n + 3) * 7 % 11) / 11.0 - 0.5));
            for (truth, p) in true_one.probabilities(&logits).into_iter().enumerate() {
                (0..(500.0 * p).round() as usize).for_each(|_| cases.push(Case { logits, truth }));
            }
        }
        cases
    }

    #[test]
    fn the_fit_finds_what_was_off() {
        let wanted = Calibration { scale: 0.6, bias: [-0.8, -0.3, 0.0, 0.2, 0.9] };
        let cases = cases(wanted);
        let found = fit(&cases);
        assert!((found.scale - wanted.scale).abs() < 0.02, "{found:?}");
        // A shift common to all biases has no effect.
        let shift = found.bias[2] - wanted.bias[2];
        let off = found.bias.iter().zip(wanted.bias).map(|(f, w)| (f - shift - w).abs()).fold(0.0, f64::max);
        assert!(off < 0.05, "{found:?}");
        assert!(loss(&cases, &found) < loss(&cases, &Calibration::default()));
        assert!(mae(&cases, &found) < mae(&cases, &Calibration::default()));
        let [[before, after], _] = held_out(&cases);
        assert!((before - loss(&cases, &Calibration::default())).abs() < 1e-9 && after < before, "{before} {after}");
    }

    #[test]
    fn what_is_right_stays() {
        let found = fit(&cases(Calibration::default()));
        assert!((found.scale - 1.0).abs() < 0.03, "{found:?}");
        let spread = |f: fn(f64, f64) -> f64, from| found.bias.into_iter().fold(from, f);
        assert!(spread(f64::max, f64::MIN) - spread(f64::min, f64::MAX) < 0.05, "{found:?}");
    }

    #[test]
    fn few_ratings_of_one_kind_do_not_run_away() {
        let all_five: Vec<Case> = (0..20).map(|_| Case { logits: [0.0, 0.0, 0.0, 0.0, 1.0], truth: 4 }).collect();
        let found = fit(&all_five);
        assert!(found.numbers().iter().all(|n| n.is_finite() && n.abs() < 20.0), "{found:?}");
        assert_eq!(Calibration::of_numbers(&found.numbers()).is_some(), found.scale > 0.0);
    }
}
