//! Full-ranking recall@k and NDCG@k on a fixed train/test split of edges, the protocol of LightGCN.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Instant,
};

use rayon::prelude::*;
use serde_json::{Value, json};

use super::{
    Asked,
    filters::{Filter, RankBy},
    stats::{Sample, peak_rss_bytes},
};
use crate::Error;
use locket::internals::graph::largest;
use locket::internals::hash::draw;
use locket_builder::{
    graph::FitOptions,
    profile::{Lines, ProfileError},
};

/// Source of the test edges.
#[derive(Debug, Clone, PartialEq)]
pub enum Split {
    /// Another file.
    File(PathBuf),
    /// A part of each user's training edges, drawn by a seed.
    Cut {
        /// The share of edges to cut, 0 to 1.
        part: f32,
        /// The seed.
        seed: u64,
    },
}

pub(super) type Edges = BTreeMap<u32, Vec<u32>>;

/// Reads `user item item ...` lines, plain or zstd-compressed. Items are sorted and distinct.
pub(super) fn read_edges(path: &Path) -> Result<Edges, Error> {
    let mut edges = Edges::new();
    for (n, line) in Lines::open(path)?.texts().enumerate() {
        let line = line?;
        let bad = || ProfileError::Line {
            path: PathBuf::from(path),
            line: n + 1,
            what: "expected user and item numbers".into(),
        };
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        let Some(user) = numbers.next() else { continue };
        let items = numbers.collect::<Result<Vec<u32>, _>>().map_err(|_| bad())?;
        edges.entry(user.map_err(|_| bad())?).or_default().extend(items);
    }
    for items in edges.values_mut() {
        items.sort_unstable();
        items.dedup();
    }
    Ok(edges)
}

/// Returns the users of a file of edges, with their later items from another file.
///
/// # Errors
/// [`ProfileError`] for a missing file or a malformed line.
pub fn asked(train: &Path, test: Option<&Path>) -> Result<Vec<Asked>, Error> {
    let train = read_edges(train)?;
    let test = test.map(read_edges).transpose()?.unwrap_or_default();
    let ids = |items: Option<&Vec<u32>>| items.into_iter().flatten().map(u32::to_string).collect();
    Ok(train
        .iter()
        .map(|(user, items)| Asked { user: user.to_string(), met: ids(Some(items)), wanted: ids(test.get(user)) })
        .collect())
}

/// Moves a part of each user's edges from `train` to the returned test edges.
fn cut(train: &mut Edges, part: f32, seed: u64) -> Edges {
    let mut test = Edges::new();
    for (user, items) in train {
        let chance = draw(seed, u64::from(*user));
        let mut drawn: Vec<(u64, u32)> = items.iter().map(|&i| (draw(chance, u64::from(i)), i)).collect();
        drawn.sort_unstable();
        let taken = (items.len() as f32 * part).round() as usize;
        let mut held: Vec<u32> = drawn[..taken.min(items.len())].iter().map(|d| d.1).collect();
        held.sort_unstable();
        items.retain(|i| held.binary_search(i).is_err());
        if !held.is_empty() {
            test.insert(*user, held);
        }
    }
    test
}

/// Ranks every item for every test user, except the user's items in the train file. JSON: `recall`,
/// `ndcg` (each with `_se`), `users`, `items`, `fit_seconds`, `seconds` (reading, fitting and
/// ranking), `peak_rss_bytes`. `progress` receives the number of users ranked since its last call.
///
/// # Errors
/// [`ProfileError`] for a missing file or a malformed line; [`locket::Error::Argument`] without
/// test users; [`locket::Error::Cancelled`].
pub fn graph(
    train: &Path,
    split: &Split,
    k: usize,
    by: RankBy,
    fit: &FitOptions,
    progress: &(dyn Fn(usize) -> ControlFlow<()> + Sync),
) -> Result<Value, Error> {
    let started = Instant::now();
    let mut train = read_edges(train)?;
    let mut test = match split {
        Split::File(test) => read_edges(test)?,
        Split::Cut { part, seed } => cut(&mut train, *part, *seed),
    };
    test.retain(|_, items| !items.is_empty());
    if test.is_empty() || k == 0 {
        return Err(locket::Error::Argument("there is no test user, or k is 0".into()).into());
    }
    let items = train.values().chain(test.values()).flatten().max().map_or(0, |&i| i as usize + 1);
    let rows: Vec<&[u32]> = train.values().map(Vec::as_slice).collect();
    let filter = Filter::fit(items, &rows, by, fit);
    let fit_seconds = started.elapsed().as_secs_f64();
    let users: Vec<u32> = train.keys().copied().collect();
    let none = Vec::new();
    let scored = test
        .par_iter()
        .map(|(user, wanted)| {
            if progress(1).is_break() {
                return Err(locket::Error::Cancelled.into());
            }
            let seen = train.get(user).unwrap_or(&none);
            let row = users.binary_search(user).ok();
            let mut scores = filter.scores(row, seen);
            seen.iter().for_each(|&i| scores[i as usize] = f32::NEG_INFINITY);
            Ok(judge(&largest(&scores, k), wanted, k))
        })
        .collect::<Result<Vec<(f64, f64)>, Error>>()?;
    let recall: Sample = scored.iter().map(|s| s.0).collect();
    let ndcg: Sample = scored.iter().map(|s| s.1).collect();
    Ok(json!({
        "k": k, "users": test.len(), "items": items, "method": by.name(),
        "recall": recall.mean(), "recall_se": recall.standard_error(),
        "ndcg": ndcg.mean(), "ndcg_se": ndcg.standard_error(),
        "fit_seconds": fit_seconds, "seconds": started.elapsed().as_secs_f64(), "peak_rss_bytes": peak_rss_bytes(),
    }))
}

/// Returns recall and NDCG of one ranking.
fn judge(ranked: &[(u32, f32)], wanted: &[u32], k: usize) -> (f64, f64) {
    let gain = |rank: usize| 1.0 / (rank as f64 + 2.0).log2();
    let hits: Vec<usize> = (0..ranked.len()).filter(|&n| wanted.binary_search(&ranked[n].0).is_ok()).collect();
    let ideal: f64 = (0..k.min(wanted.len())).map(gain).sum();
    (hits.len() as f64 / wanted.len() as f64, hits.into_iter().map(gain).sum::<f64>() / ideal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recall_and_ndcg_by_hand() {
        let (recall, ndcg) = judge(&[(7, 3.0), (1, 2.0), (4, 1.0)], &[1, 4, 9], 3);
        let (second, third) = (1.0 / 3f64.log2(), 0.5);
        assert!((recall - 2.0 / 3.0).abs() < 1e-12);
        assert!((ndcg - (second + third) / (1.0 + second + third)).abs() < 1e-12);
    }

    #[test]
    fn a_cut_takes_its_part_and_leaves_the_rest() {
        let mut train: Edges = (0..20).map(|u| (u, (0..10).collect())).collect();
        let test = cut(&mut train, 0.2, 1);
        for (user, held) in &test {
            assert_eq!((held.len(), train[user].len()), (2, 8));
            assert!(held.iter().all(|i| !train[user].contains(i)));
        }
        assert_ne!(test[&0], test[&1]);
    }
}
