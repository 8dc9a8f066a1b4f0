//! Prediction cost by size of the catalogue: generated packs, and wall time on one core.

use std::{ops::ControlFlow, path::Path, time::Instant};

use serde_json::{Value, json};

use super::{ranking::read_edges, stats};
use crate::Error;
use locket::internals::hash::draw;
use locket::{
    Pack,
    internals::{
        output,
        predict::{Predictor, Query},
    },
};
use locket_builder::{
    graph::FitOptions,
    pack::{Built, Holdout, PackBuilder},
};

/// Number of items per taste cluster.
const CLUSTER: u64 = 200;
/// Number of items that a generated user has from taste clusters.
const MET: u64 = 10;

/// Builds a pack of `items` generated items at `out`, with half as many users. Each user draws ten
/// items from two clusters and has two more items. The popularity within a cluster falls as a power
/// of the rank. JSON: `items`, `users`, `edges`, `people_edges`, `dimension`, `pack_bytes`,
/// `seconds`, `peak_rss_bytes`.
///
/// # Errors
/// [`locket::PackError`], [`locket::Error::Cancelled`].
pub fn generate(
    items: usize,
    seed: u64,
    fit: FitOptions,
    out: &Path,
    mut progress: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<Value, Error> {
    let started = Instant::now();
    let mut builder = PackBuilder::new(Holdout::None, out)?.with_fit(fit);
    let count = items.max(2) as u64;
    let chance = |user: u64, n: u64| draw(draw(seed, user), n) as f64 / u64::MAX as f64;
    for user in 0..count / 2 {
        let home = [chance(user, 0), chance(user, 1)].map(|c| (c * count as f64) as u64 / CLUSTER * CLUSTER);
        for n in 0..MET {
            let start = home[usize::from(n % 3 == 2)];
            let size = CLUSTER.min(count - start.min(count - 1));
            // Cubing favours low ranks: the density falls as rank^(-2/3).
            let rank = (chance(user, 2 + n).powi(3) * size as f64) as u64;
            builder.add_edge(&format!("u{user}"), &format!("i{}", (start + rank).min(count - 1)))?;
        }
        // Two unique items per user, so that every item has a user.
        for item in [2 * user, 2 * user + 1] {
            builder.add_edge(&format!("u{user}"), &format!("i{item}"))?;
        }
        if user % 1024 == 0 && progress(user as usize).is_break() {
            return Err(locket::Error::Cancelled.into());
        }
    }
    built(builder, out, started, || progress(count as usize / 2))
}

/// Builds a pack at `out` from `user item item ...` lines. JSON as [`generate`].
///
/// # Errors
/// As [`super::graph`] and [`locket::PackError`].
pub fn from_edges(
    train: &Path,
    fit: FitOptions,
    out: &Path,
    alive: impl FnMut() -> ControlFlow<()>,
) -> Result<Value, Error> {
    let started = Instant::now();
    output::target(out, [train])?;
    let mut builder = PackBuilder::new(Holdout::None, out)?.with_fit(fit);
    for (user, items) in read_edges(train)? {
        for item in items {
            builder.add_edge(&format!("u{user}"), &format!("i{item}"))?;
        }
    }
    built(builder, out, started, alive)
}

fn built(
    builder: PackBuilder,
    out: &Path,
    started: Instant,
    alive: impl FnMut() -> ControlFlow<()>,
) -> Result<Value, Error> {
    let Built { meta, bytes, .. } = builder.finish(out, alive)?;
    Ok(json!({
        "items": meta.items, "users": meta.users, "edges": meta.edges, "people_edges": meta.people_edges,
        "dimension": meta.dimension, "pack_bytes": bytes, "seconds": started.elapsed().as_secs_f64(),
        "peak_rss_bytes": stats::peak_rss_bytes(),
    }))
}

/// Predicts for `people` users with histories of `history` random items, on one core, each with a
/// ranking of `k`. JSON: `items`, `history`, `k`, `people`, `open_ms`, `median_ms`, `p95_ms`,
/// `rss_bytes`, `peak_rss_bytes`, `pack_bytes`.
///
/// # Errors
/// [`locket::PackError`]; [`locket::Error::Argument`] without users.
pub fn scale(pack: &Path, history: usize, k: usize, people: usize, seed: u64) -> Result<Value, Error> {
    if people == 0 {
        return Err(locket::Error::Argument("at least one person must ask".into()).into());
    }
    let started = Instant::now();
    let pack = Pack::open(pack)?;
    let open_ms = started.elapsed().as_secs_f64() * 1e3;
    let mut times = Vec::with_capacity(people);
    for person in 0..people as u64 {
        let item = |n: u64| (draw(draw(seed, person), n) % pack.items() as u64) as u32;
        let query = Query { history: (0..history as u64).map(|n| (item(n), 1.0)).collect(), ..Query::default() };
        let asked = Instant::now();
        // A new predictor for each call, as in an app.
        let predicted = Predictor::new(&pack).predict(&query, k);
        times.push(asked.elapsed().as_secs_f64() * 1e3);
        std::hint::black_box(predicted);
    }
    times.sort_by(f64::total_cmp);
    Ok(json!({
        "items": pack.items(), "history": history, "k": k, "people": people, "open_ms": open_ms,
        "median_ms": times[people / 2], "p95_ms": times[people * 95 / 100],
        "rss_bytes": stats::rss_bytes(), "peak_rss_bytes": stats::peak_rss_bytes(), "pack_bytes": pack.size(),
    }))
}
