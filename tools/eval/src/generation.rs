//! The PGraphRAG protocol: write each person's held-out text, title or rating, by one of seven methods.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use super::{
    Authors, Items, Meteor,
    cases::{Case, Key, by_person, draw, pack_for, reference},
    journal::Journal,
    rouge_l, rouge1,
    stats::Sample,
    writer::{Augmentation, Writer},
};
use crate::{Error, align::Share};
use locket::{
    generate::WriteOptions,
    llm::{Model, Sampling},
    output,
    pack::Pack,
    prompt::Task,
    text,
};
use locket_builder::profile::{Profile, Profiles};

/// How the text is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// From what the task gives alone.
    None,
    /// No model: the title and the best neighbour's text (the first sentence of the text as title, the
    /// neighbours' median rating).
    Copy,
    /// From the person's own history (LaMP).
    History,
    /// From history and other people's texts on the item, found by their words (PGraphRAG).
    Graph,
    /// From history, reasoning first (REST-PG).
    Reasoning,
    /// From real and synthetic history and other people's texts, the text itself without reasoning.
    Synthetic,
    /// From real and synthetic history and other people's texts, reasoning first (GraSPeR).
    Full,
}

impl Method {
    /// Whether it writes synthetic interactions first.
    pub(super) fn augments(self) -> bool {
        matches!(self, Self::Synthetic | Self::Full)
    }
}

/// The task's and the run's settings. What a prediction depends on is written into the predictions file.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Text, title or rating.
    pub task: Task,
    /// How the text is made.
    pub method: Method,
    /// At most this many of the latest history interactions are used.
    pub history_cap: Option<usize>,
    /// At most this many people, drawn by `seed`.
    pub limit: Option<usize>,
    /// So many of each person's latest texts are written, each from what came before it; 1 is the profile's target alone.
    pub targets: usize,
    /// Only people whom an adapter trained with the same share has not learnt from.
    pub validation: Option<Share>,
    /// Seed of the draw and of sampling.
    pub seed: u64,
    /// Synthetic interactions per person for the methods that augment.
    pub synthetic: usize,
    /// For which items those are written.
    pub items: Items,
    /// Where the methods that augment keep their synthetic interactions, and find those of an earlier run.
    pub synthetic_file: Option<PathBuf>,
    /// How to write. Greedy by default.
    pub options: WriteOptions,
    /// Sequences decoded together.
    pub sequences: usize,
    /// Threads; 0 takes what the machine has.
    pub threads: usize,
}

impl Settings {
    /// `task` by `method` with the settings of the published tables.
    pub fn new(task: Task, method: Method) -> Self {
        let options = WriteOptions { sampling: Sampling::GREEDY, text_tokens: 128, ..WriteOptions::default() };
        Self {
            task,
            method,
            history_cap: None,
            limit: None,
            targets: 1,
            validation: None,
            seed: 1,
            synthetic: 2,
            items: Items::Predicted,
            synthetic_file: None,
            options,
            sequences: 16,
            threads: 0,
        }
    }

    pub(super) fn reasoning(&self) -> bool {
        matches!(self.method, Method::Reasoning | Method::Full)
    }

    /// What synthetic interactions depend on.
    fn synthetic_json(&self, files: &[PathBuf], model: Option<&Model>) -> Value {
        self.with_targets(json!({
            "files": files, "model": model.map(Model::name), "weights": model.map(Model::identity),
            "task": format!("{:?}", self.task), "history_cap": self.history_cap, "seed": self.seed, "synthetic": self.synthetic,
            "items": format!("{:?}", self.items),
        }))
    }

    fn to_json(&self, files: &[PathBuf], model: Option<&Model>) -> Value {
        self.with_targets(json!({
            "files": files, "model": model.map(Model::name), "weights": model.map(Model::identity),
            "task": format!("{:?}", self.task), "method": format!("{:?}", self.method), "history_cap": self.history_cap,
            "limit": self.limit, "validation": self.validation.map(|s| s.0), "seed": self.seed, "synthetic": self.synthetic,
            "items": format!("{:?}", self.items), "options": format!("{:?}", self.options), "candidates": self.options.candidates,
        }))
    }

    /// One is not told: files of runs that knew of no more go on.
    fn with_targets(&self, mut settings: Value) -> Value {
        if self.targets > 1 {
            settings["targets"] = json!(self.targets);
        }
        settings
    }
}

/// What was written for one person, and its scores.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Prediction {
    /// The person.
    pub user: String,
    /// How many later texts of the person are left out.
    #[serde(default, skip_serializing_if = "none")]
    pub earlier: usize,
    /// Number of history interactions that were used.
    pub history: usize,
    /// What was written.
    pub prediction: String,
    /// What the person wrote.
    pub reference: String,
    /// ROUGE-1, ROUGE-L, METEOR for texts and titles; absolute error for ratings.
    pub scores: Vec<f64>,
    /// The plan, if one was written; none of a text that another rule chooses from a file of an earlier build.
    pub path: Option<String>,
    /// Number of synthetic interactions in the prompt.
    pub synthetic: usize,
    /// Why the gate refused synthetic texts, one word each.
    pub refused: Vec<String>,
    /// Tokens written, synthetic texts included.
    pub tokens: usize,
    /// Wall time, synthetic texts included: the part of one person in that of all who were written for together.
    #[serde(default)]
    pub seconds: f64,
    /// All texts among which the prediction was chosen, if there were several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<String>,
    /// How often each of them is taken out of a random half of them: what was taken is one draw, these are [`HALVES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken: Vec<u32>,
}

impl Prediction {
    /// Which text it is.
    pub(super) fn key(&self) -> Key {
        (self.user.clone(), self.earlier)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn none(earlier: &usize) -> bool {
    *earlier == 0
}

/// Random halves of the candidates of one person.
pub const HALVES: usize = 40;

/// Runs the protocol. `pack` defaults to one built from `files` with every target held out; `out` is the
/// predictions file, which a later run with the same settings continues. `progress` is told (done, all) and
/// may stop the run; what is done then stays in `out`.
///
/// JSON: `n` people and their `texts`, `rouge1`, `rougeL`, `meteor` (or `mae`, `rmse`), each with `_se` over people (of several texts of
/// one person the mean counts), the same under `history0` and
/// `history1plus`, `tokens_per_user`, for texts of people with histories `author_mrr` ([`Authors`]), and in `refused` how many
/// synthetic texts the gate refused for which reason.
///
/// # Errors
/// [`locket::Error::Missing`] without a model for a method that writes, [`locket::Error::Argument`] for a foreign predictions file,
/// and whatever the layers below say.
pub fn generation(
    files: &[PathBuf],
    pack: Option<Pack>,
    model: Option<&Model>,
    settings: &Settings,
    out: Option<&Path>,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Value, Error> {
    let journal = match (&settings.synthetic_file, settings.method.augments()) {
        (Some(path), true) => Some(path.as_path()),
        _ => None,
    };
    let inputs = || files.iter().map(PathBuf::as_path).chain(model.map(Model::path));
    let journal = journal.map(|path| output::target(path, inputs())).transpose()?;
    let out = out.map(|path| output::target(path, inputs().chain(journal.as_deref()))).transpose()?;
    let (pack, _scratch) = pack_for(files, pack, settings, progress)?;
    let header = settings.to_json(files, model);
    let mut predictions = Journal::<Prediction>::open(out.as_deref(), &header)?;
    let cases = draw(files, settings)?;
    let done: HashSet<Key> = predictions.rows.iter().map(Prediction::key).collect();
    let open: Vec<&Case> = cases.iter().filter(|c| !done.contains(&c.key())).collect();
    let meteor = Meteor::new();
    let kept = Journal::<Augmentation>::open(journal.as_deref(), &settings.synthetic_json(files, model))?;
    let mut writer = Writer::new(&pack, model, settings, kept)?;
    // Chosen and scored again, so that one rule and one measure hold for all, whichever build wrote them.
    let before = predictions.rows.clone();
    let known: HashMap<Key, &Case> = cases.iter().map(|c| (c.key(), c)).collect();
    for row in &mut predictions.rows {
        if let Some(case) = known.get(&row.key()) {
            writer.choose_again(&case.person, row);
        }
        row.scores = score(row, settings.task, &meteor);
    }
    // A scratch file begins without rows.
    if predictions.rows != before {
        predictions.rewrite(&header)?;
    }
    let total = cases.len();
    for chunk in open.chunks(2 * settings.sequences.max(1)) {
        let finished = predictions.rows.len();
        let rows = writer.write(chunk, &mut || progress(finished, total))?;
        for (case, mut row) in chunk.iter().zip(rows) {
            row.reference = reference(&case.person.target, settings.task);
            row.scores = score(&row, settings.task, &meteor);
            predictions.push(row)?;
        }
        if progress(predictions.rows.len(), total).is_break() {
            return Err(locket::Error::Cancelled.into());
        }
    }
    let mut out = summary(&predictions.rows, settings, &meteor);
    if matches!(settings.task, Task::Text | Task::Synthetic) {
        identification(files, &cases, &predictions.rows, &mut out)?;
    }
    Ok(Value::Object(out))
}

/// Fewest people with a history among whom an author can be looked for.
const AUTHORS: usize = 100;

/// How often the author is found by the text: written, real, and by the title alone (the floor); among any authors,
/// and among those of the same category.
fn identification(
    files: &[PathBuf],
    cases: &[Case],
    rows: &[Prediction],
    out: &mut Map<String, Value>,
) -> Result<(), Error> {
    let all: Vec<Profile> = Profiles::of_all(files).collect::<Result<_, _>>()?;
    let authors = Authors::new(&all);
    if authors.len() < AUTHORS {
        return Ok(());
    }
    let title = |c: &Case| c.person.target.title.clone().unwrap_or_default();
    let titles: HashMap<Key, String> = cases.iter().map(|c| (c.key(), title(c))).collect();
    for (alike, suffix) in [(false, ""), (true, "_alike")] {
        let mut found = |name: &str, text: &dyn Fn(&Prediction) -> Option<String>| {
            let rank = |r: &Prediction| authors.reciprocal_rank(&r.user, r.earlier, &text(r)?, alike);
            let ranks = rows.iter().filter_map(|r| Some((r.user.as_str(), rank(r)?)));
            by_person(ranks).write(&format!("author_{name}{suffix}"), out);
        };
        found("mrr", &|r| Some(r.prediction.clone()));
        found("real", &|r| Some(r.reference.clone()));
        found("title", &|r| titles.get(&r.key()).cloned());
    }
    Ok(())
}

/// ROUGE-1, ROUGE-L and METEOR of a text, or the absolute error of a rating.
pub(super) fn score(row: &Prediction, task: Task, meteor: &Meteor) -> Vec<f64> {
    let (prediction, reference) = (&row.prediction, &row.reference);
    match task {
        Task::Rating => vec![(number(prediction) - number(reference)).abs()],
        _ => vec![rouge1(prediction, reference), rouge_l(prediction, reference), meteor.score(prediction, reference)],
    }
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or(0.0)
}

fn summary(rows: &[Prediction], settings: &Settings, meteor: &Meteor) -> Map<String, Value> {
    let mut out = Map::new();
    metrics(rows.iter(), settings.task, &mut out);
    for (name, with_history) in [("history0", false), ("history1plus", true)] {
        let mut group = Map::new();
        metrics(rows.iter().filter(|r| (r.history > 0) == with_history), settings.task, &mut group);
        out.insert(name.into(), Value::Object(group));
    }
    if settings.task != Task::Rating {
        out.insert("meteor_variant".into(), json!(meteor.variant()));
    }
    let mean = |f: fn(&Prediction) -> usize| rows.iter().map(f).sum::<usize>() as f64 / (rows.len() as f64).max(1.0);
    out.insert("tokens_per_user".into(), json!(mean(|r| r.tokens)));
    out.insert("synthetic_per_user".into(), json!(mean(|r| r.synthetic)));
    let mut reasons: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    rows.iter().flat_map(|r| &r.refused).for_each(|word| *reasons.entry(word).or_default() += 1);
    out.insert("refused".into(), json!(reasons));
    out.insert("words".into(), json!(mean(|r| text::word_count(&r.prediction))));
    out.insert("words_true".into(), json!(mean(|r| text::word_count(&r.reference))));
    out.insert("seed".into(), json!(settings.seed));
    out
}

fn metrics<'r>(rows: impl Iterator<Item = &'r Prediction> + Clone, task: Task, out: &mut Map<String, Value>) {
    let sample = |n: usize| -> Sample {
        by_person(rows.clone().filter_map(move |r| Some((r.user.as_str(), r.scores.get(n).copied()?))))
    };
    let errors = sample(0);
    out.insert("n".into(), json!(errors.n()));
    out.insert("texts".into(), json!(rows.clone().count()));
    if task == Task::Rating {
        errors.write("mae", out);
        let squares = by_person(rows.filter_map(|r| Some((r.user.as_str(), r.scores.first()?.powi(2)))));
        let rmse = squares.mean().sqrt();
        out.insert("rmse".into(), json!(rmse));
        // By the delta method: se(sqrt(m)) = se(m) / (2 sqrt(m)).
        out.insert("rmse_se".into(), json!(squares.standard_error() / (2.0 * rmse).max(f64::MIN_POSITIVE)));
        return;
    }
    for (n, name) in ["rouge1", "rougeL", "meteor"].into_iter().enumerate() {
        sample(n).write(name, out);
    }
}
