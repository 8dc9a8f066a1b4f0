//! Predictions of the user's next items, with ids and names.

use serde::Serialize;

use super::Engine;
use crate::{
    Error, context,
    predict::{self, Predictor, Query, Via},
    setters::setters,
};

/// A predicted item, with ids and names instead of numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Predicted {
    /// The item's id.
    pub item: String,
    /// The item's name, if the catalogue has one.
    pub item_title: Option<String>,
    /// The score: higher is likelier. Comparable within one call only.
    pub score: f32,
    /// The evidence, largest share first; empty unless requested.
    pub paths: Vec<Evidence>,
}

/// One piece of evidence for a prediction.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Evidence {
    /// The history item's id; `None` for popularity.
    pub from: Option<String>,
    /// The link between that item and the predicted item.
    pub via: Via,
    /// Fraction of the score; the shares of a prediction add up to 1.
    pub share: f32,
}

/// Options of `Engine::predict`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PredictOptions {
    /// Number of items.
    pub k: usize,
    /// Whether to return evidence.
    pub explain: bool,
    /// Ids of items to exclude, besides the items in the user's history.
    pub exclude: Vec<String>,
    /// Factor on the weight of popularity, -10 to 10: 1 is the learned weight, 0 ignores
    /// popularity.
    pub popularity: f32,
    /// Strength of diversification among the predictions, 0 to 1.
    pub diversity: f32,
    /// Weight of a synthetic interaction relative to a real one, 0 to 1. The default is 0, because
    /// synthetic interactions derive from earlier predictions.
    pub synthetic_weight: f32,
}

setters!(PredictOptions {
    with_explain => explain: bool,
    with_exclude => exclude: Vec<String>,
    with_popularity => popularity: f32,
    with_diversity => diversity: f32,
    with_synthetic_weight => synthetic_weight: f32,
});

impl PredictOptions {
    /// Creates options for `k` items, with defaults for the rest.
    pub fn new(k: usize) -> Self {
        Self { k, explain: false, exclude: Vec::new(), popularity: 1.0, diversity: 0.0, synthetic_weight: 0.0 }
    }

    fn check(&self) -> Result<(), Error> {
        let controls = [
            ("popularity", self.popularity, -10.0..=10.0),
            ("diversity", self.diversity, 0.0..=1.0),
            ("synthetic_weight", self.synthetic_weight, 0.0..=1.0),
        ];
        match controls.into_iter().find(|(_, value, range)| !range.contains(value)) {
            Some((name, value, range)) => {
                Err(Error::Argument(format!("{name} must lie in {} to {}, not {value}", range.start(), range.end())))
            }
            None => Ok(()),
        }
    }
}

impl Engine {
    /// Returns the user's likeliest next items, best first.
    ///
    /// # Errors
    /// [`Error::MissingPack`]; [`Error::Argument`] for an option out of its range.
    pub fn predict(&self, options: &PredictOptions) -> Result<Vec<Predicted>, Error> {
        options.check()?;
        let pack = self.need_pack()?;
        let predictor = Predictor::new(pack);
        let records = self.history()?;
        let exclude = options.exclude.iter().filter_map(|id| pack.find(id)).collect();
        let (popularity, diversity) = (options.popularity, options.diversity);
        let query = Query {
            exclude,
            popularity,
            diversity,
            ..context::query_records(pack, &records, options.synthetic_weight)
        };
        let reason = |p: predict::EvidencePath| Evidence {
            from: p.from.map(|i| pack.item(i).to_owned()),
            via: p.via,
            share: p.share,
        };
        let named = |p: predict::Prediction| Predicted {
            item: pack.item(p.item).to_owned(),
            item_title: pack.item_title(p.item).map(str::to_owned),
            score: p.score,
            paths: if options.explain {
                predictor.explain(&query, p.item).into_iter().map(reason).collect()
            } else {
                Vec::new()
            },
        };
        Ok(predictor.predict(&query, options.k).into_iter().map(named).collect())
    }
}
