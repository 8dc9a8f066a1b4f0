//! Full-ranking recall@k and NDCG@k on a fixed train/test split of edges, the protocol of LightGCN.

use std::{
    collections::HashMap,
    io::BufRead,
    path::{Path, PathBuf},
    time::Instant,
};

use rayon::prelude::*;
use serde_json::{Value, json};
use sprs::CsVecI;

use super::stats::{Sample, peak_rss_bytes};
use crate::{Error, graph::Adjacency, profile::ProfileError};

/// Reads `user item item ...` lines, plain or zstd-compressed.
fn read_edges(path: &Path) -> Result<HashMap<u32, Vec<u32>>, Error> {
    let io = |source| ProfileError::Io { path: path.to_path_buf(), source };
    let mut edges: HashMap<u32, Vec<u32>> = HashMap::new();
    for (n, line) in crate::profile::open_lines(path).map_err(io)?.lines().enumerate() {
        let line = line.map_err(io)?;
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
    Ok(edges)
}

/// Ranks every item for every test user by one step of the linear filter P, items of the train file left
/// out. JSON: `recall`, `ndcg`, `users`, `items`, `seconds` (reading, fitting and ranking), `peak_rss_bytes`.
///
/// # Errors
/// [`ProfileError`] for a missing file or a malformed line; [`Error::Argument`] without test users.
pub fn graph(train: &Path, test: &Path, k: usize) -> Result<Value, Error> {
    let started = Instant::now();
    let (train, test) = (read_edges(train)?, read_edges(test)?);
    let items = train.values().chain(test.values()).flatten().max().map_or(0, |&i| i as usize + 1);
    let mut users: Vec<u32> = train.keys().copied().collect();
    users.sort_unstable();
    let rows: Vec<Vec<u32>> = users.iter().map(|u| train[u].clone()).collect();
    let adjacency = Adjacency::new(items, &rows);
    let mut tested: Vec<u32> = test.iter().filter(|(_, items)| !items.is_empty()).map(|(u, _)| *u).collect();
    tested.sort_unstable();
    if tested.is_empty() || k == 0 {
        return Err(Error::Argument("the test file names no user, or k is 0".into()));
    }
    let scored: Vec<(f64, f64)> = tested
        .par_iter()
        .map(|user| {
            let seen = train.get(user).cloned().unwrap_or_default();
            score_user(&adjacency, &seen, &test[user], k)
        })
        .collect();
    let recall: Sample = scored.iter().map(|s| s.0).collect();
    let ndcg: Sample = scored.iter().map(|s| s.1).collect();
    Ok(json!({
        "k": k, "users": tested.len(), "items": items,
        "recall": recall.mean(), "recall_se": recall.standard_error(),
        "ndcg": ndcg.mean(), "ndcg_se": ndcg.standard_error(),
        "seconds": started.elapsed().as_secs_f64(), "peak_rss_bytes": peak_rss_bytes(),
    }))
}

fn score_user(adjacency: &Adjacency, seen: &[u32], wanted: &[u32], k: usize) -> (f64, f64) {
    let mut row = seen.to_vec();
    row.sort_unstable();
    row.dedup();
    let ones = vec![1.0; row.len()];
    let scores = adjacency.propagate(&CsVecI::new(adjacency.items(), row.clone(), ones));
    let mut ranked: Vec<(f32, u32)> =
        scores.iter().map(|(i, &s)| (s, i as u32)).filter(|(_, i)| row.binary_search(i).is_err()).collect();
    let larger_first = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if ranked.len() > k {
        ranked.select_nth_unstable_by(k - 1, larger_first);
        ranked.truncate(k);
    }
    ranked.sort_unstable_by(larger_first);
    let gain = |rank: usize| 1.0 / (rank as f64 + 2.0).log2();
    let hits: Vec<usize> = (0..ranked.len()).filter(|&n| wanted.contains(&ranked[n].1)).collect();
    let ideal: f64 = (0..k.min(wanted.len())).map(gain).sum();
    (hits.len() as f64 / wanted.len() as f64, hits.into_iter().map(gain).sum::<f64>() / ideal)
}
