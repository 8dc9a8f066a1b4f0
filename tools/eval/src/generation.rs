//! The PGraphRAG protocol: generate each user's held-out text, title or rating by one of eight
//! methods.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use super::{
    Authors, Meteor,
    card::{card, compare, own_run},
    cases::{Case, Key, by_person, draw, pack_for, reference},
    journal::Journal,
    prediction::Prediction,
    rouge_l, rouge1,
    settings::Settings,
    stats::Sample,
    writer::{Augmentation, Writer},
};
use crate::Error;
use locket::{
    Model, Pack, Task,
    internals::{output, text},
};
use locket_builder::profile::{Profile, Profiles};

/// Runs the protocol. `pack` defaults to one built from `files` with every target held out. `out`
/// is the predictions file, which a later run with the same settings resumes. `progress` receives
/// (done, all) and may stop the run; finished predictions stay in `out`.
///
/// JSON: `n` users and their `texts`; `rouge1`, `rougeL`, `meteor` (or `mae`, `rmse`), each with
/// `_se` over users (the mean counts for several texts of one user); the same under `history0` and
/// `history1plus`; `tokens_per_user`; for texts of users with history `author_mrr` ([`Authors`]);
/// `scorecard` (see `card.rs`) for texts; and in `refused` the number of synthetic texts that the gate refused, by reason.
///
/// # Errors
/// [`locket::Error::MissingModel`] for a method that generates,
/// [`locket::Error::Argument`] for a predictions file of other settings, and the errors of the
/// layers below.
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
    // Chosen and scored again, so that one rule and one measure apply to all rows, even those of an
    // earlier build.
    let before = predictions.rows.clone();
    let known: HashMap<Key, &Case> = cases.iter().map(|c| (c.key(), c)).collect();
    for row in &mut predictions.rows {
        if let Some(case) = known.get(&row.key()) {
            writer.choose_again(case.prompted(), row);
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
            let own = case.person.history.iter().map(|i| i.text.as_str());
            row.own_run = (settings.task == Task::Text).then(|| own_run(&row.prediction, own));
            predictions.push(row)?;
        }
        if progress(predictions.rows.len(), total).is_break() {
            return Err(locket::Error::Cancelled.into());
        }
    }
    let mut out = summary(&predictions.rows, settings, &meteor);
    if matches!(settings.task, Task::Text | Task::Synthetic) {
        let everyone: Vec<Profile> = Profiles::of_all(files).collect::<Result<_, _>>()?;
        identification(&everyone, &cases, &predictions.rows, &mut out);
        if let Some(Value::Object(card)) = out.get_mut("scorecard") {
            compare(&predictions.rows, &cases, &everyone, &pack, card);
        }
    }
    Ok(Value::Object(out))
}

/// Minimum number of authors with history for author identification.
const AUTHORS: usize = 100;

/// Adds the reciprocal rank of the author by three texts: generated, true, and the title alone (the
/// floor). Each is computed among any authors, and among authors of the same category.
fn identification(everyone: &[Profile], cases: &[Case], rows: &[Prediction], out: &mut Map<String, Value>) {
    let authors = Authors::new(everyone);
    if authors.len() < AUTHORS {
        return;
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
}

/// Returns ROUGE-1, ROUGE-L and METEOR of a text, or the absolute error of a rating.
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
    if settings.task == Task::Text {
        out.insert("scorecard".into(), card(rows));
    }
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
