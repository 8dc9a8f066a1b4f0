//! The search for golden paths: of several plans that the model samples, the one that leads to the
//! true text (Z* in GraSPeR; alternating sampling, selection and fitting is the EM of REST-PG).

use std::{
    collections::HashSet,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Answer, Corpus, Draft, ExampleOptions, Made, TrainingExample, inputs};
use crate::{Error, Journal, Meteor, rouge1};
use locket::{
    Model, ReasoningPath, Sampling, Task, WriteOptions,
    internals::{
        generation::request,
        hash::spread,
        llm::{Decoder, DecoderOptions, OnEvent, Phase, Request, Token},
        output, plan,
        prompt::PromptInputs,
        text,
    },
};

/// Criterion of a golden path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Judge {
    /// Mean log-probability per token of the true text, conditioned on the path.
    Likelihood,
    /// ROUGE-1 + METEOR of the text that the model generates after the path, as in the paper.
    Overlap,
}

/// Options of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchOptions {
    /// Examples to search paths for.
    pub examples: ExampleOptions,
    /// Number of paths sampled for each example.
    pub paths: usize,
    /// Whether the model also samples as many paths conditioned on the true text (rationalisation),
    /// and the path extracted from the text competes. Such paths must also be likely without the
    /// text.
    pub rationalised: bool,
    /// Criterion of a golden path.
    pub judge: Judge,
    /// Number of threads; 0 uses all that the machine has.
    pub threads: usize,
}

/// Result of a search. Log-probabilities of the true texts are means per token.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Searched {
    /// Summary of the examples.
    pub made: Made,
    /// Log-probability conditioned on the path extracted from the true text.
    pub read_off: f64,
    /// Log-probability conditioned on the sampled paths, on average.
    pub sampled: f64,
    /// Log-probability conditioned on the golden paths.
    pub golden: f64,
    /// Number of golden paths sampled without access to the text.
    pub blind: usize,
}

/// An example with the scores of its paths.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    #[serde(flatten)]
    example: TrainingExample,
    item: String,
    /// Log-probabilities of the true text: after the extracted path, mean after the sampled paths,
    /// after the golden path.
    scores: [f64; 3],
    blind: bool,
}

/// A candidate path of an example.
struct Candidate {
    path: String,
    /// The path's own log-probability without access to the text, divided by the text's number of
    /// tokens.
    prior: f64,
    blind: bool,
    likelihood: f64,
    overlap: f64,
}

impl Candidate {
    fn new(path: String, blind: bool) -> Self {
        Self { path, prior: 0.0, blind, likelihood: 0.0, overlap: 0.0 }
    }
}

/// Number of examples decoded together.
const TOGETHER: usize = 4;

/// Writes the planned examples of `files` with golden paths to `out`. A later call resumes an
/// interrupted search.
///
/// # Errors
/// As [`super::examples`](fn@super::examples), and [`locket::LlmError`].
pub fn search(
    files: &[PathBuf],
    model: &Model,
    options: &SearchOptions,
    out: &Path,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Searched, Error> {
    let out = &output::target(out, inputs(files, model, &options.examples))?;
    let mut corpus = Corpus::new(files, &options.examples, &mut || progress(0, 1))?;
    corpus.drafts.retain(|d| d.inputs.reasoning);
    let settings = json!({ "files": files, "model": model.name(), "options": format!("{options:?}") });
    let mut journal = Journal::<Row>::open(Some(out), &settings)?;
    let write = WriteOptions::default().with_max_prompt_tokens(options.examples.tokens.0).with_contrast(0.0);
    let sequences = TOGETHER * options.paths.max(1);
    let context = write.context() + options.examples.tokens.1;
    let threads = options.threads;
    let mut decoder = model.decoder(DecoderOptions { context, sequences, threads, ..DecoderOptions::default() })?;
    let meteor = Meteor::new();
    let known: HashSet<(String, String)> =
        journal.rows.iter().map(|r| (r.example.user.clone(), r.item.clone())).collect();
    let total = corpus.drafts.len();
    // A resumed search has the same groups: rounding depends on the requests decoded together.
    for group in corpus.drafts.chunks(TOGETHER) {
        let new = |d: &&Draft| !known.contains(&(d.user.clone(), d.item.clone()));
        if !group.iter().any(|d| new(&d)) {
            continue;
        }
        let done = journal.rows.len();
        let found = golden(&mut decoder, group, options, &write, &meteor, &mut |_| progress(done, total))?;
        for (draft, (best, scores)) in group.iter().zip(found).filter(|(d, _)| new(d)) {
            let mut answer = draft.answer.clone();
            answer.phases[0].clone_from(&best.path);
            // The plans of the prompt's blocks are extracted from their texts. A model trained on
            // them would rely too much on its own plans.
            let example = corpus.example(model, draft, &answer, false);
            journal.push(Row { example, item: draft.item.clone(), scores, blind: best.blind })?;
        }
        if progress(journal.rows.len(), total).is_break() {
            return Err(locket::Error::Cancelled.into());
        }
    }
    let mut found = Searched { made: Made { people: corpus.people, ..Made::default() }, ..Searched::default() };
    let n = journal.rows.len().max(1) as f64;
    for row in &journal.rows {
        found.made.count(&row.example);
        found.read_off += row.scores[0] / n;
        found.sampled += row.scores[1] / n;
        found.golden += row.scores[2] / n;
        found.blind += usize::from(row.blind);
    }
    Ok(found)
}

/// Returns the golden path of each draft, with the scores of its row.
fn golden(
    decoder: &mut Decoder<'_>,
    group: &[Draft],
    options: &SearchOptions,
    write: &WriteOptions,
    meteor: &Meteor,
    on_event: OnEvent<'_>,
) -> Result<Vec<(Candidate, [f64; 3])>, Error> {
    let model = decoder.model();
    let mut candidates: Vec<Vec<Candidate>> = group.iter().map(|_| Vec::new()).collect();
    for seeing in [false, true] {
        if seeing && !options.rationalised {
            continue;
        }
        let mut requests = Vec::new();
        for draft in group {
            for n in 0..options.paths {
                let seed = spread(&format!("{}\n{}\n{n}\n{seeing}\n{}", draft.user, draft.item, options.examples.seed));
                requests.push(plan_request(model, draft, write, seeing, (seed >> 32) as u32));
            }
        }
        let completions = decoder.run(&requests, on_event)?;
        for (n, completion) in completions.iter().enumerate() {
            let Some(path) = completion.phases.first().map(|p| p.text.trim().to_owned()) else { continue };
            let all = &mut candidates[n / options.paths.max(1)];
            if !all.iter().any(|c| c.path == path) && path.parse::<ReasoningPath>().is_ok() {
                all.push(Candidate::new(path, !seeing));
            }
        }
    }
    for (draft, all) in group.iter().zip(&mut candidates) {
        all.push(Candidate::new(draft.answer.phases[0].clone(), false));
    }
    judge(decoder, group, &mut candidates, options, write, meteor, on_event)?;
    let best = |(draft, all): (&Draft, Vec<Candidate>)| {
        let read_off = all.last().map_or(0.0, |c| c.likelihood);
        let sampled: Vec<f64> = all.iter().filter(|c| c.blind).map(|c| c.likelihood).collect();
        let mean = sampled.iter().sum::<f64>() / (sampled.len().max(1) as f64);
        let value = |c: &Candidate| match options.judge {
            Judge::Likelihood => c.likelihood + if c.blind { 0.0 } else { c.prior },
            Judge::Overlap => c.overlap,
        };
        // Only paths sampled without access to the text, unless rationalised, or unless no such
        // path was found.
        let some_blind = !sampled.is_empty();
        let open = all.into_iter().filter(|c| options.rationalised || c.blind || !some_blind);
        let best = open.max_by(|a, b| value(a).total_cmp(&value(b)));
        let best = best.unwrap_or_else(|| Candidate::new(draft.answer.phases[0].clone(), false));
        let scores = [read_off, mean, best.likelihood];
        (best, scores)
    };
    Ok(group.iter().zip(candidates).map(best).collect())
}

/// Returns the request for a path: as in generation, or, if `seeing` the true text, as for a title
/// of a given text.
fn plan_request(model: &Model, draft: &Draft, write: &WriteOptions, seeing: bool, seed: u32) -> Request {
    let mut inputs = draft.inputs.clone();
    if seeing && inputs.task != Task::Rating {
        inputs.task = Task::Title;
        inputs.ask.text = draft.answer.phases.last().cloned();
    }
    let sampling = Sampling::VARIED.with_seed(seed).with_temperature(1.0).with_top_p(0.98).with_repeat_penalty(1.0);
    let mut request = request::request(model, &inputs, &write.with_sampling(sampling));
    request.phases.truncate(1);
    // The true text may be of any length, even one that is unusual for this user.
    request.phases[0].grammar = Some(plan::grammar(None, true, None));
    request
}

/// Returns the tokens before the text, with these phases.
fn behind(model: &Model, inputs: &PromptInputs, prompt: &[Token], phases: &[String]) -> Vec<Token> {
    let mut tokens = prompt.to_vec();
    for (n, phase) in phases.iter().enumerate() {
        tokens.extend(model.tokens(&format!(" {phase}")));
        tokens.extend(model.tokens(&format!("\n{}", inputs.lead(n + 1))));
    }
    tokens
}

/// Scores every candidate.
fn judge(
    decoder: &mut Decoder<'_>,
    group: &[Draft],
    candidates: &mut [Vec<Candidate>],
    options: &SearchOptions,
    write: &WriteOptions,
    meteor: &Meteor,
    on_event: OnEvent<'_>,
) -> Result<(), Error> {
    let model = decoder.model();
    let mut pairs = Vec::new();
    let mut priors = Vec::new();
    let mut requests = Vec::new();
    for (draft, all) in group.iter().zip(candidates.iter()) {
        let request = request::request(model, &draft.inputs, write);
        let Answer { phases, most } = &draft.answer;
        let last = phases.len() - 1;
        let mut truth = model.tokens(&format!(" {}", phases[last]));
        truth.truncate(*most);
        for candidate in all {
            let mut given = phases[..last].to_vec();
            given[0].clone_from(&candidate.path);
            let front = behind(model, &draft.inputs, &request.prompt, &given);
            if options.rationalised {
                priors.push((request.prompt.clone(), model.tokens(&format!(" {}", candidate.path))));
            }
            if options.judge == Judge::Overlap {
                let phases = request.phases[last..].iter().map(|p| Phase { lead: String::new(), ..p.clone() });
                requests.push(Request { prompt: front.clone(), phases: phases.collect(), ..request.clone() });
            }
            pairs.push((front, truth.clone()));
        }
    }
    let lengths: Vec<usize> = pairs.iter().map(|p| p.1.len()).collect();
    let likelihoods = decoder.score_all(pairs, on_event)?;
    let priors = decoder.score_all(priors, on_event)?;
    let written = decoder.run(&requests, on_event)?;
    let all = group.iter().zip(candidates).flat_map(|(draft, all)| all.iter_mut().map(move |c| (draft, c)));
    for (n, (draft, candidate)) in all.enumerate() {
        candidate.likelihood = likelihoods[n].iter().sum::<f64>() / lengths[n].max(1) as f64;
        candidate.prior = priors.get(n).map_or(0.0, |p| p.iter().sum::<f64>() / lengths[n].max(1) as f64);
        if let (Some(completion), Some(truth)) = (written.get(n), draft.answer.phases.last()) {
            let text = text::one_line(completion.phases.last().map_or("", |p| p.text.as_str()));
            candidate.overlap = rouge1(&text, truth) + meteor.score(&text, truth);
        }
    }
    Ok(())
}
