//! The policy of a pack: which sources of a review pay, measured on held-out texts of the population.

use std::{
    collections::HashMap,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use super::{
    align::{ExampleOptions, ratings},
    cases::Key,
    generation::generation,
    prediction::Prediction,
    settings::{Method, Settings, ValidationSplit},
    stats::Sample,
};
use crate::Error;
use locket::{
    Measured, Model, Pack, PackPolicy, RatingFit, Sources, Task, author_key,
    internals::{hash::spread, text},
};
use locket_builder::profile::{Profile, Profiles};

/// Minimum number of users for a policy.
pub const LEAST_PEOPLE: usize = 20;

/// Number of ratings for each measured user, for the calibration of ratings.
const RATINGS_PER_PERSON: usize = 3;

/// Options of a measurement.
#[derive(Debug, Clone)]
pub struct TuneOptions {
    /// Maximum number of users, drawn by the seed.
    pub people: usize,
    /// Seed of the draw and of sampling.
    pub seed: u64,
    /// Number of threads; 0 uses all that the machine has.
    pub threads: usize,
}

/// Measures the sources of reviews on users of `files` whose latest review is on an item that others
/// wrote about, and who wrote earlier reviews. `pack` must hold out every target. `progress` receives
/// (done, all).
///
/// # Errors
/// [`locket::Error::Argument`] if there are fewer than [`LEAST_PEOPLE`] such users, and the errors of
/// [`generation`].
pub fn tune(
    files: &[PathBuf],
    pack: &Path,
    model: &Model,
    options: &TuneOptions,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<PackPolicy, Error> {
    let people = drawn(files, &Pack::open(pack)?, options)?;
    if people.len() < LEAST_PEOPLE {
        return Err(locket::Error::Argument(format!(
            "a policy needs {LEAST_PEOPLE} people with earlier reviews whose latest one is on an item that others wrote about; \
             here are {}: leave out --tune",
            people.len()
        ))
        .into());
    }
    let scratch = tempfile::tempdir().map_err(|e| locket::Error::io("create", std::env::temp_dir(), e))?;
    let chosen = scratch.path().join("profiles.jsonl");
    let lines = people.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>();
    let io = |e| locket::Error::io("write", &chosen, e);
    fs::write(&chosen, lines.map_err(|e| io(e.into()))?.join("\n")).map_err(io)?;
    // One method for all, so that nothing but the sources differs.
    let all = [Sources::Own, Sources::Retrieved, Sources::Synthetic];
    let rated = RATINGS_PER_PERSON * people.len();
    let total = people.len() * all.len() + rated;
    let mut runs: Vec<(Sources, HashMap<Key, f64>)> = Vec::new();
    for (n, sources) in all.into_iter().enumerate() {
        let out = scratch.path().join(format!("{n}.jsonl"));
        let settings = Settings {
            sources: Some(sources),
            seed: options.seed,
            threads: options.threads,
            ..Settings::new(Task::Text, Method::Auto)
        };
        let before = n * people.len();
        let mut moved = |done: usize, of: usize| progress(before + if of > 1 { done } else { 0 }, total);
        generation(
            std::slice::from_ref(&chosen),
            Some(Pack::open(pack)?),
            Some(model),
            &settings,
            Some(&out),
            &mut moved,
        )?;
        runs.push((sources, scores(&out)?));
    }
    let own = runs.first().map(|run| run.1.clone()).unwrap_or_default();
    let measured = runs.iter().map(|(sources, scores)| {
        let gains: Sample = scores.iter().filter_map(|(key, score)| Some(score - own.get(key)?)).collect();
        let mean = scores.values().copied().collect::<Sample>().mean();
        Measured::new(*sources, mean, (gains.mean(), gains.standard_error()))
    });
    let policy = PackPolicy::of(measured.collect(), people.len(), model.name());
    let before = people.len() * all.len();
    let journal = scratch.path().join("ratings.jsonl");
    let mut moved = |done: usize, _: usize| progress(before + done.min(rated), total);
    Ok(policy.with_rating(calibrated(files, model, rated, options, &journal, &mut moved)?))
}

/// Returns the calibration of the model's ratings on up to `most` ratings of the population, if it
/// lowers the loss of held-out ones.
fn calibrated(
    files: &[PathBuf],
    model: &Model,
    most: usize,
    options: &TuneOptions,
    journal: &Path,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Option<RatingFit>, Error> {
    let (Some(_), Some(weights)) = (model.stars(), model.identity()) else { return Ok(None) };
    let examples = ExampleOptions {
        validation: ValidationSplit(0.0),
        per_person: RATINGS_PER_PERSON,
        limit: Some(most),
        seed: options.seed,
        ..ExampleOptions::default()
    };
    let found = match ratings(files, model, &examples, options.threads, journal, progress) {
        // A population without ratings.
        Err(Error::Engine(locket::Error::Argument(_))) => return Ok(None),
        found => found?,
    };
    let [before, after] = found.held_out_loss;
    let numbers = found.calibration.numbers().map(f64::from).to_vec();
    let fit = RatingFit::new(numbers, weights, found.ratings, found.held_out_loss, found.held_out_mae);
    Ok((after < before).then_some(fit))
}

/// Returns the users for a measurement, in an order drawn by the seed.
fn drawn(files: &[PathBuf], pack: &Pack, options: &TuneOptions) -> Result<Vec<Profile>, Error> {
    let mut found = Vec::new();
    for profile in Profiles::of_all(files) {
        let profile = profile?;
        let me = author_key(&profile.user);
        let by_others = pack.find(&profile.target.item).is_some_and(|item| pack.texts(item).any(|t| t.author != me));
        let reviews = profile.interactions().all(|(i, _)| i.kind == "review");
        if by_others && reviews && !profile.history.is_empty() && !text::is_blank(&profile.target.text) {
            found.push(profile);
        }
    }
    found.sort_by_cached_key(|profile| spread(&format!("{}\n{}", profile.user, options.seed)));
    found.truncate(options.people);
    Ok(found)
}

/// Reads the ROUGE-1 of each text of a predictions file.
fn scores(file: &Path) -> Result<HashMap<Key, f64>, Error> {
    let whole = fs::read_to_string(file).map_err(|e| locket::Error::io("read", file, e))?;
    let rows = whole.lines().filter_map(|line| serde_json::from_str::<Prediction>(line).ok());
    Ok(rows.filter_map(|row| Some((row.key(), *row.scores.first()?))).collect())
}
