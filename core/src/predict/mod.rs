//! Link prediction: ranks a user's likely next items, and explains each score.
//!
//! [`Predictor`] folds one user into the pack's graph without a table of users. Every score is a
//! sum over (history item, kind of evidence), so explanations ([`EvidencePath`]) are exact.

mod diversity;

use ndarray::Array1;
use serde::Serialize;

use crate::{
    graph::{Mixture, Tables, divisor, largest},
    pack::{ItemId, Pack},
};

/// The input of a prediction: a user's history and the options of ranking.
#[derive(Debug, Clone)]
pub struct Query<'a> {
    /// The user's items with their weights: usually 1, less for uncertain evidence, negative for a
    /// dislike. Repeated items add up.
    pub history: Vec<(ItemId, f32)>,
    /// The item that the user is about to write about. Its neighbours gain score; the item itself
    /// is excluded.
    pub target: Option<ItemId>,
    /// Text about the target (its name, other users' texts about it), for its content edges.
    pub target_text: Option<&'a str>,
    /// Items to exclude from the predictions.
    pub exclude: Vec<ItemId>,
    /// Factor on the weight of popularity: 1 is the learned weight, 0 ignores popularity, negative
    /// favours rare items.
    pub popularity: f32,
    /// Strength of diversification, from 0 (none) to 1. Maximal marginal relevance (Carbonell and
    /// Goldstein, SIGIR 1998) with lambda = 1 - diversity.
    pub diversity: f32,
}

impl Default for Query<'_> {
    fn default() -> Self {
        Self {
            history: Vec::new(),
            target: None,
            target_text: None,
            exclude: Vec::new(),
            popularity: 1.0,
            diversity: 0.0,
        }
    }
}

/// A kind of evidence, with details for an explanation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// Number of users of both items.
    People(usize),
    /// Latent factors: users with similar taste met it, linked through other items.
    Taste,
    /// Common words of both items, the strongest first.
    Content(Vec<String>),
    /// The common category of both items.
    Category(String),
    /// Number of users of the item.
    Popularity(usize),
    /// Number of users of the item with at least one other item.
    Returning(usize),
}

/// One piece of evidence for a prediction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvidencePath {
    /// The history (or target) item; `None` for popularity.
    pub from: Option<ItemId>,
    /// The link between that item and the prediction.
    pub via: Via,
    /// Contribution to the score, negative for counter-evidence. The amounts of a prediction add up
    /// to its score.
    pub amount: f32,
    /// The amount as a fraction of the score.
    pub share: f32,
}

/// A likely next item of the user.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// The item.
    pub item: ItemId,
    /// The score: higher is likelier. Comparable within one query only.
    pub score: f32,
}

/// A ranker of a pack's items for one user at a time. It only borrows the pack, so construction is
/// free.
pub struct Predictor<'a> {
    pack: &'a Pack,
    tables: Tables<'a>,
    mixture: Mixture,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    People,
    Taste,
    Content,
    Category,
    Popularity,
    Returning,
}

impl<'a> Predictor<'a> {
    /// Creates a predictor over `pack` with the pack's learned weights.
    pub fn new(pack: &'a Pack) -> Self {
        Self::with_mixture(pack, pack.meta().mixture)
    }

    /// Creates a predictor with these weights.
    pub fn with_mixture(pack: &'a Pack, mixture: Mixture) -> Self {
        Self { pack, tables: pack.tables(), mixture }
    }

    /// Returns the score of every item, excluded ones too. Shape: (items).
    pub fn scores(&self, query: &Query<'_>) -> Array1<f32> {
        self.score_all(query).into()
    }

    fn score_all(&self, query: &Query<'_>) -> Vec<f32> {
        let (seeds, mixture) = (self.seeds(query), self.mixture_for(query));
        let mut scores = self.tables.scores(&seeds, &mixture);
        if let Some((row, strength)) = self.target_content(query, &seeds, &mixture) {
            let content = self.pack.content();
            let mut words = Array1::<f32>::zeros(content.cols());
            row.iter().for_each(|&(term, weight)| words[term as usize] = weight);
            scores.iter_mut().zip(&content * &words).for_each(|(score, cosine)| *score += strength * cosine);
            // Removes the target's own content edges: the text to be generated may be among their
            // sources.
            for (item, cosine) in query.target.into_iter().flat_map(|t| self.tables.content.row(t)) {
                if let Some(score) = scores.get_mut(item as usize) {
                    *score -= strength * cosine;
                }
            }
        }
        scores
    }

    /// Returns the `k` likeliest items that the user has not met, best first; fewer if there are
    /// fewer.
    ///
    /// Ties go to the lower item number, so the result does not depend on the machine.
    pub fn predict(&self, query: &Query<'_>, k: usize) -> Vec<Prediction> {
        let mut scores = self.score_all(query);
        let met = query.history.iter().map(|h| h.0).chain(query.exclude.iter().copied()).chain(query.target);
        for item in met {
            if let Some(score) = scores.get_mut(item as usize) {
                *score = f32::NEG_INFINITY;
            }
        }
        self.pack.release_edges();
        let chosen = if query.diversity > 0.0 {
            let pool = largest(&scores, k.saturating_mul(diversity::POOL).max(k));
            diversity::choose(&self.tables, &pool, k, query.diversity.min(1.0))
        } else {
            largest(&scores, k)
        };
        chosen.into_iter().map(|(item, score)| Prediction { item, score }).collect()
    }

    /// Returns the evidence for the score of `item`, the largest amount first.
    ///
    /// The amounts add up to the score (up to rounding), the shares to 1. An item with score 0 has
    /// shares of 0.
    pub fn explain(&self, query: &Query<'_>, item: ItemId) -> Vec<EvidencePath> {
        if item as usize >= self.tables.items() {
            return Vec::new();
        }
        let mut parts = self.parts(query, item);
        parts.retain(|p| p.2 != 0.0);
        parts.sort_by(|a, b| b.2.total_cmp(&a.2));
        let total: f32 = parts.iter().map(|p| p.2).sum();
        let share = |amount: f32| if total == 0.0 { 0.0 } else { amount / total };
        parts
            .into_iter()
            .map(|(from, kind, amount)| EvidencePath {
                from,
                via: self.via(query, from, kind, item),
                amount,
                share: share(amount),
            })
            .collect()
    }

    fn parts(&self, query: &Query<'_>, item: ItemId) -> Vec<(Option<ItemId>, Kind, f32)> {
        let (seeds, mixture) = (self.seeds(query), self.mixture_for(query));
        let share = 1.0 / divisor(&seeds, mixture.averaging);
        let words = self.target_content(query, &seeds, &mixture);
        let at = item as usize;
        let mut parts = vec![
            (None, Kind::Popularity, mixture.popularity * self.tables.popularity[at]),
            (None, Kind::Returning, mixture.returning * self.tables.returning[at]),
        ];
        for &(seed, weight) in &seeds {
            let weight = weight * share;
            parts.push((Some(seed), Kind::People, weight * mixture.people * self.tables.people.get(seed, item)));
            parts.push((Some(seed), Kind::Taste, weight * mixture.taste * self.tables.factors.get(seed, item)));
            parts.push((Some(seed), Kind::Category, weight * mixture.category * self.tables.same_category(seed, item)));
            // Given words for the target replace its content edges.
            if words.is_none() || query.target != Some(seed) {
                parts.push((Some(seed), Kind::Content, weight * mixture.content * self.tables.content.get(seed, item)));
            }
        }
        if let Some((row, strength)) = words {
            let cosine: f32 = self.shared(&row, item).iter().map(|s| s.1).sum();
            parts.push((query.target, Kind::Content, strength * cosine));
        }
        parts
    }

    fn via(&self, query: &Query<'_>, from: Option<ItemId>, kind: Kind, item: ItemId) -> Via {
        match (kind, from) {
            (Kind::People, Some(from)) => Via::People(self.pack.common_users(from, item)),
            (Kind::People | Kind::Taste, _) => Via::Taste,
            (Kind::Content, from) => Via::Content(self.words(query, from, item)),
            (Kind::Category, _) => Via::Category(self.pack.category(item).unwrap_or_default().to_owned()),
            (Kind::Returning, _) => Via::Returning(self.pack.returning_people(item)),
            (Kind::Popularity, _) => Via::Popularity(self.pack.people(item)),
        }
    }

    fn mixture_for(&self, query: &Query<'_>) -> Mixture {
        let popularity = self.mixture.popularity * query.popularity;
        Mixture { popularity, returning: self.mixture.returning * query.popularity, ..self.mixture }
    }

    /// Returns the weights of the history and the target, without unknown items.
    ///
    /// Repeated items are added up. Sorting makes the scores independent of the order of
    /// interactions, bit for bit.
    fn seeds(&self, query: &Query<'_>) -> Vec<(ItemId, f32)> {
        let mut seeds: Vec<(ItemId, f32)> = query.history.clone();
        seeds.extend(query.target.map(|t| (t, 1.0)));
        seeds.retain(|s| (s.0 as usize) < self.tables.items() && s.1 != 0.0 && s.1.is_finite());
        seeds.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        seeds.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            kept.1 += if same { next.1 } else { 0.0 };
            same
        });
        seeds
    }

    /// Returns the content row of the target's text, and the weight of a cosine with it.
    fn target_content(
        &self,
        query: &Query<'_>,
        seeds: &[(ItemId, f32)],
        mixture: &Mixture,
    ) -> Option<(Vec<(u32, f32)>, f32)> {
        let row = self.pack.content_of(query.target_text?);
        let weight = seeds.iter().find(|s| Some(s.0) == query.target).map_or(1.0, |s| s.1);
        Some((row, weight * mixture.content / divisor(seeds, mixture.averaging)))
    }

    /// Returns the terms that a content row shares with an item, with their parts of the cosine.
    fn shared(&self, row: &[(u32, f32)], item: ItemId) -> Vec<(u32, f32)> {
        let content = self.pack.content();
        let Some(other) = content.outer_view(item as usize) else { return Vec::new() };
        row.iter().filter_map(|&(t, w)| other.get(t as usize).map(|o| (t, w * o))).collect()
    }

    fn words(&self, query: &Query<'_>, from: Option<ItemId>, item: ItemId) -> Vec<String> {
        let row = match (query.target_text, from) {
            (Some(text), from) if from == query.target => self.pack.content_of(text),
            (_, Some(from)) => {
                let content = self.pack.content();
                let row = content.outer_view(from as usize);
                row.map(|r| r.iter().map(|(t, &w)| (t as u32, w)).collect()).unwrap_or_default()
            }
            (_, None) => Vec::new(),
        };
        let mut shared = self.shared(&row, item);
        shared.sort_by(|a, b| b.1.total_cmp(&a.1));
        shared.iter().take(3).map(|&(t, _)| self.pack.term(t).trim_start_matches('=').to_owned()).collect()
    }
}
