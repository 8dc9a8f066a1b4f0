//! The PGraphRAG protocol: write each person's held-out text, title or rating, by one of seven methods.

use std::{
    collections::{BinaryHeap, HashMap, HashSet},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use super::{
    Meteor,
    journal::Journal,
    rouge_l, rouge1,
    stats::Sample,
};
use crate::{
    Error,
    engine::write_synthetic,
    generate::{self, WriteOptions},
    graph::Predictor,
    ground::{self, Grounding, NEIGHBOURS, Target},
    interaction::{Interaction, Record},
    llm::{Decoder, DecoderOptions, LlmError, Model, Sampling},
    pack::{self, BuildOptions, Holdout, Pack, author_key},
    profile::{Profile, Profiles},
    prompt::{Example, Material, Task},
    retrieve::Bm25,
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
    /// From history and other people's texts on the item (PGraphRAG).
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
    fn augments(self) -> bool {
        matches!(self, Self::Synthetic | Self::Full)
    }
}

/// The task's and the run's settings. Everything here is written into the predictions file.
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
    /// Seed of the draw and of sampling.
    pub seed: u64,
    /// Synthetic interactions per person for the methods that augment.
    pub synthetic: usize,
    /// Where the methods that augment keep their synthetic interactions, and find those of an earlier run.
    pub synthetic_file: Option<PathBuf>,
    /// How to write. Greedy by default.
    pub options: WriteOptions,
    /// Sequences decoded together.
    pub sequences: usize,
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
            seed: 1,
            synthetic: 2,
            synthetic_file: None,
            options,
            sequences: 16,
        }
    }

    fn reasoning(&self) -> bool {
        matches!(self.method, Method::Reasoning | Method::Full)
    }

    /// What synthetic interactions depend on.
    fn synthetic_json(&self, files: &[PathBuf], model: Option<&Model>) -> Value {
        json!({
            "files": files, "model": model.map(Model::name), "task": format!("{:?}", self.task),
            "history_cap": self.history_cap, "seed": self.seed, "synthetic": self.synthetic,
        })
    }

    fn to_json(&self, files: &[PathBuf], model: Option<&Model>) -> Value {
        json!({
            "files": files, "model": model.map(Model::name), "task": format!("{:?}", self.task),
            "method": format!("{:?}", self.method), "history_cap": self.history_cap, "limit": self.limit,
            "seed": self.seed, "synthetic": self.synthetic, "options": format!("{:?}", self.options),
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
    /// The plan, if one was written.
    pub path: Option<String>,
    /// Number of synthetic interactions in the prompt.
    pub synthetic: usize,
    /// Why the gate refused synthetic texts, one word each.
    pub refused: Vec<String>,
    /// Tokens written, synthetic texts included.
    pub tokens: usize,
}

/// The synthetic interactions of one person, kept between runs: written once, used by every method.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
struct Augmentation {
    user: String,
    records: Vec<Record>,
    refused: Vec<String>,
    tokens: usize,
}

/// The person's own texts in a prompt, as the benchmark retrieves them.
const OWN_TEXTS: usize = NEIGHBOURS;

/// Runs the protocol. `pack` defaults to one built from `files` with every target held out; `out` is the
/// predictions file, which a later run with the same settings continues. `progress` is told (done, all) and
/// may stop the run; what is done then stays in `out`.
///
/// JSON: `n`, `rouge1`, `rougeL`, `meteor` (or `mae`, `rmse`), each with `_se`, the same under `history0` and
/// `history1plus`, `tokens_per_user`, and in `refused` how many synthetic texts the gate refused for which reason.
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
    let scratch = tempfile::tempdir().map_err(|e| Error::io("create", std::env::temp_dir(), e))?;
    let pack = match pack {
        Some(pack) => pack,
        None => {
            let path = scratch.path().join("eval.pack");
            let options = BuildOptions { holdout: Holdout::All, ..BuildOptions::default() };
            pack::build(files, &path, &options, |_| progress(0, 1))?;
            Pack::open(&path)?
        }
    };
    let mut predictions = Journal::<Prediction>::open(out, &settings.to_json(files, model))?;
    let people = draw(files, settings)?;
    let done: HashSet<String> = predictions.rows.iter().map(|r| r.user.clone()).collect();
    let open: Vec<&Profile> = people.iter().filter(|p| !done.contains(&p.user)).collect();
    let meteor = Meteor::new();
    // Scored again, so that what an earlier build wrote is measured by this one.
    predictions.rows.iter_mut().for_each(|row| row.scores = scores(row, settings.task, &meteor));
    let journal = match (&settings.synthetic_file, settings.method.augments()) {
        (Some(path), true) => Some(path.as_path()),
        _ => None,
    };
    let kept = Journal::<Augmentation>::open(journal, &settings.synthetic_json(files, model))?;
    let mut writer = Writer::new(&pack, model, settings, kept)?;
    let total = people.len();
    for chunk in open.chunks(2 * settings.sequences.max(1)) {
        let finished = predictions.rows.len();
        let rows = writer.write(chunk, &mut || progress(finished, total))?;
        for (profile, mut row) in chunk.iter().zip(rows) {
            row.reference = reference(&profile.target, settings.task);
            row.scores = scores(&row, settings.task, &meteor);
            predictions.push(row)?;
        }
        if progress(predictions.rows.len(), total).is_break() {
            return Err(Error::Cancelled);
        }
    }
    Ok(summary(&predictions.rows, settings, &meteor))
}

/// The evaluated people: those whose task can be scored, in an order drawn by the seed.
fn draw(files: &[PathBuf], settings: &Settings) -> Result<Vec<Profile>, Error> {
    let limit = settings.limit.unwrap_or(usize::MAX);
    let key = |user: &str| author_key(&format!("{user}\n{}", settings.seed)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut best: BinaryHeap<(u64, String)> = BinaryHeap::new();
    let mut kept: HashMap<String, Profile> = HashMap::new();
    for file in files {
        for profile in Profiles::open(file)? {
            let profile = profile?;
            if reference(&profile.target, settings.task).is_empty() {
                continue;
            }
            best.push((key(&profile.user), profile.user.clone()));
            kept.insert(profile.user.clone(), profile);
            if best.len() > limit {
                if let Some((_, user)) = best.pop() {
                    kept.remove(&user);
                }
            }
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

fn scores(row: &Prediction, task: Task, meteor: &Meteor) -> Vec<f64> {
    let (prediction, reference) = (&row.prediction, &row.reference);
    match task {
        Task::Rating => vec![(number(prediction) - number(reference)).abs()],
        _ => vec![rouge1(prediction, reference), rouge_l(prediction, reference), meteor.score(prediction, reference)],
    }
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or(0.0)
}

/// Writes for a few people at a time.
struct Writer<'a> {
    pack: &'a Pack,
    predictor: Predictor<'a>,
    settings: &'a Settings,
    decoder: Option<Decoder<'a>>,
    kept: Journal<Augmentation>,
}

impl<'a> Writer<'a> {
    fn new(
        pack: &'a Pack,
        model: Option<&'a Model>,
        settings: &'a Settings,
        kept: Journal<Augmentation>,
    ) -> Result<Self, Error> {
        let decoder = match (settings.method, model) {
            (Method::Copy, _) => None,
            (_, None) => return Err(Error::Missing("model")),
            (_, Some(model)) => {
                let (context, sequences) = (settings.options.context(), settings.sequences);
                Some(model.decoder(DecoderOptions { context, sequences, threads: 0 })?)
            }
        };
        Ok(Self { pack, predictor: Predictor::new(pack), settings, decoder, kept })
    }

    fn write(
        &mut self,
        people: &[&Profile],
        alive: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Vec<Prediction>, Error> {
        let mut rows: Vec<Prediction> = people.iter().map(|p| self.blank(p)).collect();
        let Some(decoder) = &mut self.decoder else {
            for (row, person) in rows.iter_mut().zip(people) {
                row.prediction = copy(self.pack, self.settings.task, person);
            }
            return Ok(rows);
        };
        let model = decoder.model();
        let mut synthetic: Vec<Vec<Example>> = vec![Vec::new(); people.len()];
        if self.settings.method.augments() {
            let known: HashSet<&str> = self.kept.rows.iter().map(|r| r.user.as_str()).collect();
            let open: Vec<&Profile> = people.iter().copied().filter(|p| !known.contains(p.user.as_str())).collect();
            for row in augment(self.pack, &self.predictor, self.settings, decoder, &open, alive)? {
                self.kept.push(row)?;
            }
            let known: HashMap<&str, &Augmentation> = self.kept.rows.iter().map(|r| (r.user.as_str(), r)).collect();
            for ((person, row), synthetic) in people.iter().zip(&mut rows).zip(&mut synthetic) {
                let Some(kept) = known.get(person.user.as_str()) else { continue };
                *synthetic = kept.records.iter().map(|r| Example::from(&r.interaction)).collect();
                row.synthetic = synthetic.len();
                row.refused.clone_from(&kept.refused);
                row.tokens += kept.tokens;
            }
        }
        let materials: Vec<Material> = people
            .iter()
            .zip(synthetic)
            .map(|(person, synthetic)| material(self.pack, self.settings, person, synthetic))
            .collect();
        let requests: Vec<_> =
            materials.iter().map(|m| generate::request(model, m, &self.settings.options)).collect();
        let completions = decoder.run(&requests, &mut |_| alive()).map_err(|e| match e {
            LlmError::Cancelled => Error::Cancelled,
            other => other.into(),
        })?;
        for ((row, material), completion) in rows.iter_mut().zip(&materials).zip(&completions) {
            let written = generate::read(material, completion);
            row.tokens += written.tokens;
            row.path = written.path.map(|p| p.to_string());
            let rating = written.rating.map(|r| r.to_string());
            row.prediction = written.text.or(written.title).or(rating).unwrap_or_default();
        }
        Ok(rows)
    }

    fn blank(&self, person: &Profile) -> Prediction {
        Prediction {
            user: person.user.clone(),
            history: capped(self.settings, person).len(),
            prediction: String::new(),
            reference: String::new(),
            scores: Vec::new(),
            path: None,
            synthetic: 0,
            refused: Vec::new(),
            tokens: 0,
        }
    }
}

fn capped<'p>(settings: &Settings, person: &'p Profile) -> &'p [Interaction] {
    let cap = settings.history_cap.unwrap_or(usize::MAX);
    &person.history[person.history.len().saturating_sub(cap)..]
}

/// The person's own texts that match the request best, the best last; all of them in order if they are few.
fn own_texts(history: &[Interaction], query: &str) -> Vec<Example> {
    if history.len() <= OWN_TEXTS {
        return history.iter().map(Example::from).collect();
    }
    let documents: Vec<Vec<String>> = history
        .iter()
        .map(|i| text::words(&format!("{} {}", i.title.as_deref().unwrap_or_default(), i.text)).collect())
        .collect();
    let scores = Bm25::new(&documents).scores(&text::words(query).collect::<Vec<_>>());
    let mut order: Vec<usize> = (0..history.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(b.cmp(&a)));
    order.truncate(OWN_TEXTS);
    order.iter().rev().map(|&n| Example::from(&history[n])).collect()
}

fn material(pack: &Pack, settings: &Settings, person: &Profile, synthetic: Vec<Example>) -> Material {
    let target = Target::of(&person.target, settings.task);
    let grounding = Grounding::new(pack, Some(author_key(&person.user)));
    let query = [target.title, target.text].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let mut history = synthetic;
    if settings.method != Method::None {
        history.extend(own_texts(capped(settings, person), &query));
    }
    let mut material = grounding.material(settings.task, settings.reasoning(), history, &target);
    if settings.method != Method::Graph && !settings.method.augments() {
        material.neighbours.clear();
    }
    material
}

/// Writes the synthetic interactions of a few people together.
fn augment(
    pack: &Pack,
    predictor: &Predictor<'_>,
    settings: &Settings,
    decoder: &mut Decoder<'_>,
    people: &[&Profile],
    alive: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Vec<Augmentation>, Error> {
    let mut owners = Vec::new();
    let mut jobs = Vec::new();
    for (n, person) in people.iter().enumerate() {
        for job in synthetic_jobs(pack, predictor, settings, person) {
            owners.push(n);
            jobs.push(job);
        }
    }
    let sampling = Sampling::VARIED.with_seed(settings.seed as u32);
    let options = WriteOptions { sampling, ..settings.options };
    let attempts = write_synthetic(decoder, &jobs, &options, &mut |_| alive())?;
    let blank = |p: &&Profile| Augmentation { user: p.user.clone(), records: Vec::new(), refused: Vec::new(), tokens: 0 };
    let mut out: Vec<Augmentation> = people.iter().map(blank).collect();
    for (owner, attempt) in owners.into_iter().zip(attempts) {
        let row = &mut out[owner];
        row.tokens += attempt.tokens;
        row.records.extend(attempt.kept);
        row.refused.extend(attempt.refused.iter().map(|r| r.reason.word().to_owned()));
    }
    Ok(out)
}

/// What to write for the person before the request: one synthetic interaction per predicted item.
fn synthetic_jobs(pack: &Pack, predictor: &Predictor<'_>, settings: &Settings, person: &Profile) -> Vec<(String, Material)> {
    let grounding = Grounding::new(pack, Some(author_key(&person.user)));
    let target = Target::of(&person.target, settings.task);
    let words = grounding.target_words(&target);
    let history = capped(settings, person);
    let query = crate::graph::Query {
        target: pack.find(target.item),
        target_text: Some(&words),
        ..ground::query(pack, history)
    };
    let items = ground::predict_written(pack, predictor, &query, settings.synthetic);
    let job = |item| (pack.item(item).to_owned(), grounding.synthetic(item, own_texts(history, &words)));
    items.into_iter().map(job).collect()
}

/// The floor that needs no model.
fn copy(pack: &Pack, task: Task, person: &Profile) -> String {
    let target = Target::of(&person.target, task);
    let neighbours = Grounding::new(pack, Some(author_key(&person.user))).neighbours(&target, NEIGHBOURS);
    match task {
        Task::Title => {
            let text = target.text.unwrap_or_default();
            text::one_line(text.split_inclusive(['.', '!', '?']).next().unwrap_or_default())
        }
        Task::Rating => {
            let mut stars: Vec<u8> = neighbours.iter().filter_map(|n| n.text.stars).collect();
            stars.sort_unstable();
            stars.get(stars.len() / 2).copied().unwrap_or(5).to_string()
        }
        _ => format!(
            "{} {}",
            target.title.unwrap_or_default(),
            neighbours.first().map(|n| n.text.text).unwrap_or_default()
        ),
    }
}

fn summary(rows: &[Prediction], settings: &Settings, meteor: &Meteor) -> Value {
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
    Value::Object(out)
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
