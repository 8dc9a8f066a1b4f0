//! Compares the predictions of two packs, to test two builders of one population.

use std::{collections::HashSet, ops::ControlFlow};

use rayon::prelude::*;
use serde_json::{Value, json};

use super::stats::Sample;
use crate::Error;
use locket::{
    Interaction, Pack,
    internals::{context, hash::spread, predict::Predictor},
};

/// A user to predict for: item ids of the history, and item ids to find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// User id.
    pub user: String,
    /// Items of the history, the latest last.
    pub met: Vec<String>,
    /// Later items, to be found.
    pub wanted: Vec<String>,
}

/// Compares the rankings of two packs over at most `sample` of the users, drawn by their ids. JSON:
/// `people`; `same_order` and `same_items` (the share of users with the same first `k`
/// predictions); and `recall` of each pack at `reach`, over the users with items to find.
///
/// # Errors
/// [`locket::Error::Cancelled`] if `progress` stops the work. It receives the number of users done
/// since its last call.
pub fn agreement(
    packs: [&Pack; 2],
    people: &[Asked],
    (k, reach): (usize, usize),
    sample: usize,
    progress: &(dyn Fn(usize) -> ControlFlow<()> + Sync),
) -> Result<Value, Error> {
    let mut drawn: Vec<&Asked> = people.iter().filter(|p| !p.met.is_empty()).collect();
    drawn.sort_by_cached_key(|p| spread(&p.user));
    drawn.truncate(sample);
    let predictors = packs.map(Predictor::new);
    let one = |person: &&Asked| {
        if progress(1).is_break() {
            return Err(locket::Error::Cancelled.into());
        }
        let ranked = [0, 1].map(|n| {
            let pack: &Pack = packs[n];
            let met: Vec<Interaction> = person.met.iter().map(|item| Interaction::new(item, "")).collect();
            let found = predictors[n].predict(&context::query(pack, &met), reach.max(k));
            found.into_iter().map(|p| pack.item(p.item)).collect::<Vec<&str>>()
        });
        let first = |n: usize| &ranked[n][..k.min(ranked[n].len())];
        let set = |n: usize| first(n).iter().copied().collect::<HashSet<&str>>();
        let recall = (!person.wanted.is_empty()).then(|| {
            [0, 1].map(|n| {
                let hits = person.wanted.iter().filter(|w| ranked[n].iter().take(reach).any(|r| r == w)).count();
                hits as f64 / person.wanted.len() as f64
            })
        });
        Ok((first(0) == first(1), set(0) == set(1), recall))
    };
    let rows = drawn.par_iter().map(one).collect::<Result<Vec<_>, Error>>()?;
    let share = |yes: usize| yes as f64 / (rows.len() as f64).max(1.0);
    let recall = |n: usize| rows.iter().filter_map(|r| Some(r.2?[n])).collect::<Sample>().mean();
    Ok(json!({
        "people": rows.len(), "k": k, "reach": reach,
        "same_order": share(rows.iter().filter(|r| r.0).count()),
        "same_items": share(rows.iter().filter(|r| r.1).count()),
        "recall": [recall(0), recall(1)],
    }))
}
