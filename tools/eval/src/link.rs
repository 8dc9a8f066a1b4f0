//! Leave-last-out link prediction over profiles: hit@k and MRR against simpler rankings.

use std::{ops::ControlFlow, path::PathBuf};

use rayon::prelude::*;
use serde_json::{Map, Value, json};

use super::stats::Sample;
use crate::Error;
use locket::{
    Pack,
    internals::{context, graph::Mixture, predict::Predictor},
};
use locket_builder::{
    pack::{BuildOptions, Holdout},
    profile::{Profile, Profiles},
};

/// A ranking method: the prefix of its JSON keys, and its weights.
struct Ranking {
    name: &'static str,
    mixture: Mixture,
}

/// Evaluates all users with at least one earlier interaction. The graph and the content are built
/// without their targets. JSON: `n`, `hit5`, `hit10`, `mrr` (each with `_se` and a bootstrap
/// `_interval`), `popularity_mrr` and so on per simpler ranking, `mrr_over_popularity` and so on
/// (the paired gain), and the same by history size.
///
/// # Errors
/// As [`locket_builder::pack::build`]; [`locket::Error::Argument`] if no user has a history.
pub fn link(
    files: &[PathBuf],
    mixture: Option<Mixture>,
    progress: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<Value, Error> {
    let dir = tempfile::tempdir().map_err(|e| locket::Error::io("create", std::env::temp_dir(), e))?;
    let path = dir.path().join("link.pack");
    let options = BuildOptions { holdout: Holdout::WithHistory, ..BuildOptions::default() };
    locket_builder::pack::build(files, &path, &options, progress)?;
    let pack = Pack::open(&path)?;
    let nothing = Mixture::NOTHING;
    let rankings = [
        Ranking { name: "", mixture: mixture.unwrap_or(pack.meta().mixture) },
        Ranking { name: "popularity_", mixture: Mixture { popularity: 1.0, ..nothing } },
        Ranking { name: "content_", mixture: Mixture { content: 1.0, ..nothing } },
        Ranking { name: "category_", mixture: Mixture { category: 1.0, ..nothing } },
        Ranking { name: "people_", mixture: Mixture { people: 1.0, ..nothing } },
        Ranking { name: "taste_", mixture: Mixture { taste: 1.0, ..nothing } },
    ];
    let mut profiles = Vec::new();
    for file in files {
        for profile in Profiles::open(file)? {
            let profile = profile?;
            if !profile.history.is_empty() {
                // Texts are not needed any more.
                let bare = |mut i: locket::Interaction| {
                    i.text.clear();
                    i
                };
                let history = profile.history.into_iter().map(bare).collect();
                profiles.push(Profile { user: profile.user, history, target: bare(profile.target) });
            }
        }
    }
    if profiles.is_empty() {
        return Err(locket::Error::Argument("nobody in these profiles has an earlier interaction".into()).into());
    }
    let mut out = Map::new();
    out.insert("n".into(), json!(profiles.len()));
    out.insert("items".into(), json!(pack.items()));
    out.insert("mixture".into(), json!(rankings[0].mixture));
    out.insert("learned_from".into(), json!(pack.meta().learned_from));
    let ranks = |ranking: &Ranking| -> Vec<f64> {
        let predictor = Predictor::with_mixture(&pack, ranking.mixture);
        profiles.par_iter().map(|p| rank(&pack, &predictor, p)).collect()
    };
    let ranked: Vec<(&str, Vec<f64>)> = rankings.iter().map(|r| (r.name, ranks(r))).collect();
    compare(&ranked, |_| true, &mut out);
    let sizes = [(1, 1, "history1"), (2, 2, "history2"), (3, 3, "history3"), (4, usize::MAX, "history4plus")];
    for (low, high, name) in sizes {
        let mut group = Map::new();
        let member = |n: usize| (low..=high).contains(&profiles[n].history.len());
        group.insert("n".into(), json!((0..profiles.len()).filter(|&n| member(n)).count()));
        compare(&ranked, member, &mut group);
        out.insert(name.to_owned(), Value::Object(group));
    }
    Ok(Value::Object(out))
}

/// A metric as a function of the rank.
type Metric = fn(f64) -> f64;

/// Writes hit@5, hit@10 and MRR of every ranking over the users that `member` selects. Also writes
/// the paired gain of the first ranking over each other, for hit@10 and MRR.
fn compare(ranked: &[(&str, Vec<f64>)], member: impl Fn(usize) -> bool, out: &mut Map<String, Value>) {
    let metrics: [(&str, Metric); 3] = [
        ("hit5", |r| f64::from(u8::from(r <= 5.0))),
        ("hit10", |r| f64::from(u8::from(r <= 10.0))),
        ("mrr", |r| 1.0 / r),
    ];
    for (metric, value) in metrics {
        let of =
            |ranks: &[f64]| -> Vec<f64> { (0..ranks.len()).filter(|&n| member(n)).map(|n| value(ranks[n])).collect() };
        let ours = of(&ranked[0].1);
        for (name, ranks) in ranked {
            let theirs = of(ranks);
            if !name.is_empty() && metric != "hit5" {
                let gain: Sample = ours.iter().zip(&theirs).map(|(a, b)| a - b).collect();
                gain.write_interval(&format!("{metric}_over_{}", name.trim_end_matches('_')), out);
            }
            theirs.into_iter().collect::<Sample>().write_interval(&format!("{name}{metric}"), out);
        }
    }
}

/// Returns the rank of the held-out item among the items outside the history; ties count half.
fn rank(pack: &Pack, predictor: &Predictor<'_>, profile: &Profile) -> f64 {
    let Some(target) = pack.find(&profile.target.item) else { return f64::INFINITY };
    let query = context::query(pack, &profile.history);
    let scores = predictor.scores(&query);
    let wanted = scores[target as usize];
    let (mut better, mut equal) = (0, 0);
    for (item, &score) in (0u32..).zip(&scores) {
        let met = query.history.iter().any(|h| h.0 == item);
        if item != target && !met {
            better += usize::from(score > wanted);
            equal += usize::from(score == wanted);
        }
    }
    1.0 + better as f64 + equal as f64 / 2.0
}
