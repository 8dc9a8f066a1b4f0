//! The PGraphRAG protocol: write each person's held-out text, title or rating, by one of seven methods.

use std::{
    collections::{BinaryHeap, HashMap, HashSet},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use super::{
    Authors, Items, Meteor,
    journal::Journal,
    rouge_l, rouge1,
    stats::Sample,
    writer::{Augmentation, Writer},
};
use crate::{
    Error,
    align::Share,
    generate::WriteOptions,
    interaction::Interaction,
    llm::{Model, Sampling},
    pack::{self, BuildOptions, Holdout, Pack, spread},
    profile::{Profile, Profiles},
    prompt::Task,
    text,
};

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
        json!({
            "files": files, "model": model.map(Model::name), "weights": model.map(Model::identity),
            "task": format!("{:?}", self.task), "history_cap": self.history_cap, "seed": self.seed, "synthetic": self.synthetic,
            "items": format!("{:?}", self.items),
        })
    }

    fn to_json(&self, files: &[PathBuf], model: Option<&Model>) -> Value {
        json!({
            "files": files, "model": model.map(Model::name), "weights": model.map(Model::identity),
            "task": format!("{:?}", self.task), "method": format!("{:?}", self.method), "history_cap": self.history_cap,
            "limit": self.limit, "validation": self.validation.map(|s| s.0), "seed": self.seed, "synthetic": self.synthetic,
            "items": format!("{:?}", self.items), "options": format!("{:?}", self.options), "candidates": self.options.candidates,
        })
    }
}

/// What was written for one person, and its scores.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Prediction {
    /// The person.
    pub user: String,
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

/// Random halves of the candidates of one person.
pub const HALVES: usize = 40;

/// Runs the protocol. `pack` defaults to one built from `files` with every target held out; `out` is the
/// predictions file, which a later run with the same settings continues. `progress` is told (done, all) and
/// may stop the run; what is done then stays in `out`.
///
/// JSON: `n`, `rouge1`, `rougeL`, `meteor` (or `mae`, `rmse`), each with `_se`, the same under `history0` and
/// `history1plus`, `tokens_per_user`, for texts of people with histories `author_mrr` ([`Authors`]), and in `refused` how many
/// synthetic texts the gate refused for which reason.
///
/// # Errors
/// [`Error::Missing`] without a model for a method that writes, [`Error::Argument`] for a foreign predictions file,
/// and whatever the layers below say.
pub fn generation(
    files: &[PathBuf],
    pack: Option<Pack>,
    model: Option<&Model>,
    settings: &Settings,
    out: Option<&Path>,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Value, Error> {
    let (pack, _scratch) = pack_for(files, pack, progress)?;
    let header = settings.to_json(files, model);
    let mut predictions = Journal::<Prediction>::open(out, &header)?;
    let people = draw(files, settings)?;
    let done: HashSet<String> = predictions.rows.iter().map(|r| r.user.clone()).collect();
    let open: Vec<&Profile> = people.iter().filter(|p| !done.contains(&p.user)).collect();
    let meteor = Meteor::new();
    let journal = match (&settings.synthetic_file, settings.method.augments()) {
        (Some(path), true) => Some(path.as_path()),
        _ => None,
    };
    let kept = Journal::<Augmentation>::open(journal, &settings.synthetic_json(files, model))?;
    let mut writer = Writer::new(&pack, model, settings, kept)?;
    // Chosen and scored again, so that one rule and one measure hold for all, whichever build wrote them.
    let before = predictions.rows.clone();
    let known: HashMap<&str, &Profile> = people.iter().map(|p| (p.user.as_str(), p)).collect();
    for row in &mut predictions.rows {
        if let Some(person) = known.get(row.user.as_str()) {
            writer.choose_again(person, row);
        }
        row.scores = score(row, settings.task, &meteor);
    }
    // A scratch file begins without rows.
    if predictions.rows != before {
        predictions.rewrite(&header)?;
    }
    let total = people.len();
    for chunk in open.chunks(2 * settings.sequences.max(1)) {
        let finished = predictions.rows.len();
        let rows = writer.write(chunk, &mut || progress(finished, total))?;
        for (profile, mut row) in chunk.iter().zip(rows) {
            row.reference = reference(&profile.target, settings.task);
            row.scores = score(&row, settings.task, &meteor);
            predictions.push(row)?;
        }
        if progress(predictions.rows.len(), total).is_break() {
            return Err(Error::Cancelled);
        }
    }
    let mut out = summary(&predictions.rows, settings, &meteor);
    if matches!(settings.task, Task::Text | Task::Synthetic) {
        identification(files, &people, &predictions.rows, &mut out)?;
    }
    Ok(Value::Object(out))
}

/// Fewest people with a history among whom an author can be looked for.
const AUTHORS: usize = 100;

/// How often the author is found by the text: written, real, and by the title alone (the floor); among any authors,
/// and among those of the same category.
fn identification(
    files: &[PathBuf],
    people: &[Profile],
    rows: &[Prediction],
    out: &mut Map<String, Value>,
) -> Result<(), Error> {
    let all: Vec<Profile> = Profiles::of_all(files).collect::<Result<_, _>>()?;
    let authors = Authors::new(&all);
    if authors.len() < AUTHORS {
        return Ok(());
    }
    let title = |p: &Profile| p.target.title.clone().unwrap_or_default();
    let titles: HashMap<&str, String> = people.iter().map(|p| (p.user.as_str(), title(p))).collect();
    for (alike, suffix) in [(false, ""), (true, "_alike")] {
        authors
            .mrr(rows.iter().map(|r| (r.user.as_str(), r.prediction.as_str())), alike)
            .write(&format!("author_mrr{suffix}"), out);
        authors
            .mrr(rows.iter().map(|r| (r.user.as_str(), r.reference.as_str())), alike)
            .write(&format!("author_real{suffix}"), out);
        let by_title = rows.iter().filter_map(|r| Some((r.user.as_str(), titles.get(r.user.as_str())?.as_str())));
        authors.mrr(by_title, alike).write(&format!("author_title{suffix}"), out);
    }
    Ok(())
}

/// The given pack, or one built from `files` with every target held out, in a folder that lives as long as it is used.
pub(super) fn pack_for(
    files: &[PathBuf],
    pack: Option<Pack>,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<(Pack, Option<tempfile::TempDir>), Error> {
    if let Some(pack) = pack {
        return Ok((pack, None));
    }
    let scratch = tempfile::tempdir().map_err(|e| Error::io("create", std::env::temp_dir(), e))?;
    let path = scratch.path().join("eval.pack");
    let options = BuildOptions { holdout: Holdout::All, ..BuildOptions::default() };
    pack::build(files, &path, &options, |_| progress(0, 1))?;
    Ok((Pack::open(&path)?, Some(scratch)))
}

/// The evaluated people: those whose task can be scored, in an order drawn by the seed.
pub(super) fn draw(files: &[PathBuf], settings: &Settings) -> Result<Vec<Profile>, Error> {
    let limit = settings.limit.unwrap_or(usize::MAX);
    let key = |user: &str| spread(&format!("{user}\n{}", settings.seed));
    let mut best: BinaryHeap<(u64, String)> = BinaryHeap::new();
    let mut kept: HashMap<String, Profile> = HashMap::new();
    for profile in Profiles::of_all(files) {
        let profile = profile?;
        let learnt = settings.validation.is_some_and(|share| !share.validates(&profile.user));
        if learnt || reference(&profile.target, settings.task).is_empty() {
            continue;
        }
        best.push((key(&profile.user), profile.user.clone()));
        kept.insert(profile.user.clone(), profile);
        if best.len() > limit
            && let Some((_, user)) = best.pop()
        {
            kept.remove(&user);
        }
    }
    Ok(best.into_sorted_vec().into_iter().filter_map(|(_, user)| kept.remove(&user)).collect())
}

fn reference(target: &Interaction, task: Task) -> String {
    match task {
        Task::Title => text::one_line(target.title.as_deref().unwrap_or_default()),
        Task::Rating => target.rating.map(|r| r.to_string()).unwrap_or_default(),
        _ => text::one_line(&target.text),
    }
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
    let sample = |n: usize| rows.clone().filter_map(move |r| r.scores.get(n).copied()).collect::<Sample>();
    out.insert("n".into(), json!(rows.clone().count()));
    if task == Task::Rating {
        let errors = sample(0);
        errors.write("mae", out);
        let squares: Sample = rows.filter_map(|r| r.scores.first().map(|e| e * e)).collect();
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
