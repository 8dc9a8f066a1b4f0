//! What the person would meet next.

use serde::Serialize;

use super::Engine;
use crate::{
    Error, context,
    predict::{self, Predictor, Query, Via},
};

/// A predicted item, with ids and names instead of numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Predicted {
    /// The item's id.
    pub item: String,
    /// Its name, if the catalogue has one.
    pub item_title: Option<String>,
    /// Higher is likelier; comparable within one call only.
    pub score: f32,
    /// Why, the largest share first; empty unless asked for.
    pub paths: Vec<Evidence>,
}

/// One reason for a prediction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evidence {
    /// The history item's id; none for popularity.
    pub from: Option<String>,
    /// What links it to the predicted item.
    pub via: Via,
    /// Part of the score; a prediction's shares add up to 1.
    pub share: f32,
}

/// What to predict, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictOptions {
    /// How many items.
    pub k: usize,
    /// Whether to say why.
    pub explain: bool,
    /// Ids of items that must not be predicted, beside those that the person has met.
    pub exclude: Vec<String>,
    /// Factor on the weight of popularity, -10 to 10: 1 as learned, 0 for the person's own taste alone.
    pub popularity: f32,
    /// How much likeness among the predictions is avoided, 0 to 1.
    pub diversity: f32,
    /// Weight of a synthetic interaction beside a real one, 0 to 1. Synthetic ones rest on earlier predictions, so by default
    /// they do not count.
    pub synthetic_weight: f32,
}

impl PredictOptions {
    /// `k` items, everything else by default.
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
    /// The items that the person would likely meet next, best first.
    ///
    /// # Errors
    /// [`Error::Missing`] without a pack; [`Error::Argument`] for a control out of its range.
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
