//! Leave-last-out link prediction over profiles: hit@k and MRR against simpler rankings.

use std::{ops::ControlFlow, path::PathBuf};

use rayon::prelude::*;
use serde_json::{Map, Value, json};

use super::stats::Sample;
use crate::{
    Error,
    graph::{Predictor, Weights},
    ground,
    pack::{self, BuildOptions, Holdout, Pack},
    profile::{Profile, Profiles},
};

/// The ranks that each ranking gave the held-out items.
struct Ranking {
    name: &'static str,
    weights: Weights,
}

const NOTHING: Weights = Weights { people: 0.0, two_steps: 0.0, content: 0.0, popularity: 0.0 };

/// Evaluates everybody with at least one earlier interaction. The graph and the content are built without
/// their targets. JSON: `n`, `hit5`, `hit10`, `mrr` (each with `_se`), `popularity_mrr` and so on per simpler
/// ranking, and the same by history size.
///
/// # Errors
/// As [`pack::build`]; [`Error::Argument`] if nobody has a history.
pub fn link(
    files: &[PathBuf],
    weights: Weights,
    progress: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<Value, Error> {
    let dir = tempfile::tempdir().map_err(|e| Error::io("create", std::env::temp_dir(), e))?;
    let path = dir.path().join("link.pack");
    let options = BuildOptions { holdout: Holdout::WithHistory, ..BuildOptions::default() };
    pack::build(files, &path, &options, progress)?;
    let pack = Pack::open(&path)?;
    let rankings = [
        Ranking { name: "", weights },
        Ranking { name: "popularity_", weights: Weights { popularity: 1.0, ..NOTHING } },
        Ranking { name: "content_", weights: Weights { content: 1.0, ..NOTHING } },
        Ranking { name: "people_", weights: Weights { people: 1.0, ..NOTHING } },
    ];
    let mut profiles = Vec::new();
    for file in files {
        for profile in Profiles::open(file)? {
            let profile = profile?;
            if !profile.history.is_empty() {
                // Texts are not needed any more.
                let bare =
                    |i: crate::interaction::Interaction| crate::interaction::Interaction { text: String::new(), ..i };
                let history = profile.history.into_iter().map(bare).collect();
                profiles.push(Profile { user: profile.user, history, target: bare(profile.target) });
            }
        }
    }
    if profiles.is_empty() {
        return Err(Error::Argument("nobody in these profiles has an earlier interaction".into()));
    }
    let mut out = Map::new();
    out.insert("n".into(), json!(profiles.len()));
    out.insert("items".into(), json!(pack.items()));
    let sizes = [(1, 1, "history1"), (2, 2, "history2"), (3, 3, "history3"), (4, usize::MAX, "history4plus")];
    let mut by_size: Vec<Map<String, Value>> = sizes.iter().map(|_| Map::new()).collect();
    for ranking in &rankings {
        let predictor = Predictor::with_weights(&pack, ranking.weights);
        let ranks: Vec<f64> = profiles.par_iter().map(|p| rank(&pack, &predictor, p)).collect();
        summarize(ranking.name, ranks.iter().copied(), &mut out);
        for ((low, high, _), group) in sizes.iter().zip(&mut by_size) {
            let members = profiles.iter().zip(&ranks).filter(|(p, _)| (*low..=*high).contains(&p.history.len()));
            let ranks: Vec<f64> = members.map(|m| *m.1).collect();
            group.insert("n".into(), json!(ranks.len()));
            summarize(ranking.name, ranks.into_iter(), group);
        }
    }
    for ((_, _, name), group) in sizes.iter().zip(by_size) {
        out.insert((*name).to_owned(), Value::Object(group));
    }
    Ok(Value::Object(out))
}

/// The rank of the held-out item among the items that the person had not met; ties count half.
fn rank(pack: &Pack, predictor: &Predictor<'_>, profile: &Profile) -> f64 {
    let Some(target) = pack.find(&profile.target.item) else { return f64::INFINITY };
    let query = ground::query(pack, &profile.history);
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

fn summarize(prefix: &str, ranks: impl Iterator<Item = f64> + Clone, out: &mut Map<String, Value>) {
    let hit = |k: f64| ranks.clone().map(|r| f64::from(u8::from(r <= k))).collect::<Sample>();
    hit(5.0).write(&format!("{prefix}hit5"), out);
    hit(10.0).write(&format!("{prefix}hit10"), out);
    ranks.clone().map(|r| 1.0 / r).collect::<Sample>().write(&format!("{prefix}mrr"), out);
}
