//! Folding one person in, ranking, and saying why.

use ndarray::Array1;
use serde::Serialize;
use sprs::CsVecI;

use super::Adjacency;
use crate::pack::{ItemId, Pack};

/// Pseudo-count of people per item: a catalogue of items with one or two people each has no popularity to
/// speak of, and content decides there.
const POPULARITY_PRIOR: f32 = 30.0;

/// How much each kind of evidence counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// People who met the history item met this one (one step of P).
    pub people: f32,
    /// Two steps of P: reaches items that share no person with the history.
    pub two_steps: f32,
    /// Cosine between the items' names, categories and texts.
    pub content: f32,
    /// ln(1 + people / 30) of the item.
    pub popularity: f32,
}

impl Default for Weights {
    /// Chosen by `locket eval link` on the recipe and product review sets; see docs/ARCHITECTURE.md.
    fn default() -> Self {
        Self { people: 10.0, two_steps: 20.0, content: 3.0, popularity: 1.0 }
    }
}

/// Who asks, and for what.
#[derive(Debug, Clone, Default)]
pub struct Query<'a> {
    /// What the person met, with a weight each (1 is usual; repeated items add up).
    pub history: Vec<(ItemId, f32)>,
    /// An item that the person is about to write on: its neighbourhood counts too, itself is excluded.
    pub target: Option<ItemId>,
    /// Words about the target (its name, others' texts on it), for its content edges.
    pub target_text: Option<&'a str>,
    /// Items that must not be predicted.
    pub exclude: Vec<ItemId>,
}

/// A kind of evidence, with what a person would want to know of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// This many people met both items.
    People(usize),
    /// Linked through people who share other items.
    TwoSteps,
    /// Alike in these words, the strongest first.
    Content(Vec<String>),
    /// This many people met the item.
    Popularity(usize),
}

/// One reason for a prediction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Path {
    /// The history (or target) item it starts from; none for popularity.
    pub from: Option<ItemId>,
    /// What links them.
    pub via: Via,
    /// Its part of the score; the shares of a prediction add up to 1.
    pub share: f32,
}

/// An item that the person would likely meet next.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// The item.
    pub item: ItemId,
    /// Higher is likelier; comparable within one query only.
    pub score: f32,
}

/// Ranks a pack's items for one person at a time.
pub struct Predictor<'a> {
    pack: &'a Pack,
    adjacency: Adjacency,
    weights: Weights,
}

/// What one seed (a history item, or the target) gives to every item, per kind, already weighted.
struct Contribution {
    from: Option<ItemId>,
    kind: Kind,
    scores: CsVecI<f32, u32>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    People,
    TwoSteps,
    Content,
}

impl<'a> Predictor<'a> {
    /// A predictor over `pack` with the default weights.
    pub fn new(pack: &'a Pack) -> Self {
        Self::with_weights(pack, Weights::default())
    }

    /// A predictor with these weights.
    pub fn with_weights(pack: &'a Pack, weights: Weights) -> Self {
        let adjacency = Adjacency::from_pack(pack);
        Self { pack, adjacency, weights }
    }

    /// The score of every item, excluded ones too. Shape: (items).
    pub fn scores(&self, query: &Query<'_>) -> Array1<f32> {
        let mut scores: Array1<f32> = (0..self.pack.items() as u32).map(|i| self.popularity(i)).collect();
        for part in self.contributions(query) {
            part.scores.iter().for_each(|(item, value)| scores[item] += value);
        }
        scores
    }

    /// The `k` likeliest items that the person has not met, best first; fewer if there are fewer. Ties go to the
    /// lower item number, so the result does not depend on the machine.
    pub fn predict(&self, query: &Query<'_>, k: usize) -> Vec<Prediction> {
        let scores = self.scores(query);
        let mut barred = vec![false; scores.len()];
        let seen = query.history.iter().map(|h| h.0).chain(query.exclude.iter().copied()).chain(query.target);
        seen.filter(|&i| (i as usize) < scores.len()).for_each(|i| barred[i as usize] = true);
        let mut ranked: Vec<Prediction> = (0u32..)
            .zip(&scores)
            .filter(|(i, _)| !barred[*i as usize])
            .map(|(item, &score)| Prediction { item, score })
            .collect();
        ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item)));
        ranked.truncate(k);
        ranked
    }

    /// Why `item` has its score: all parts, the largest first. The shares add up to 1 (an item with score
    /// 0 has no reasons).
    pub fn explain(&self, query: &Query<'_>, item: ItemId) -> Vec<Path> {
        let mut parts: Vec<(Option<ItemId>, Option<Kind>, f32)> = self
            .contributions(query)
            .into_iter()
            .filter_map(|p| p.scores.get(item as usize).map(|&v| (p.from, Some(p.kind), v)))
            .collect();
        parts.push((None, None, self.popularity(item)));
        let total: f32 = parts.iter().map(|p| p.2).sum();
        parts.retain(|p| p.2 > 0.0);
        parts.sort_by(|a, b| b.2.total_cmp(&a.2));
        parts
            .into_iter()
            .map(|(from, kind, value)| Path { from, via: self.via(query, from, kind, item), share: value / total })
            .collect()
    }

    fn via(&self, query: &Query<'_>, from: Option<ItemId>, kind: Option<Kind>, item: ItemId) -> Via {
        match (kind, from) {
            (Some(Kind::People), Some(from)) => Via::People(self.adjacency.common_users(from, item)),
            (Some(Kind::Content), _) => Via::Content(self.shared_terms(&self.seed_content(query, from), item)),
            (Some(_), _) => Via::TwoSteps,
            (None, _) => Via::Popularity(self.adjacency.degree(item)),
        }
    }

    fn popularity(&self, item: ItemId) -> f32 {
        self.weights.popularity * (self.adjacency.degree(item) as f32 / POPULARITY_PRIOR).ln_1p()
    }

    fn contributions(&self, query: &Query<'_>) -> Vec<Contribution> {
        let items = self.pack.items();
        let mut seeds: Vec<(ItemId, f32)> = query.history.clone();
        seeds.extend(query.target.map(|t| (t, 1.0)));
        seeds.retain(|s| (s.0 as usize) < items && s.1 != 0.0);
        let total: f32 = seeds.iter().map(|s| s.1.abs()).sum();
        let mut out = Vec::new();
        for (seed, weight) in seeds {
            let share = weight / total.max(1.0);
            let unit = CsVecI::new(items, vec![seed], vec![1.0]);
            let one = self.adjacency.propagate(&unit);
            let two = self.adjacency.propagate(&one);
            let content = self.content_scores(&self.seed_content(query, Some(seed)));
            for (kind, strength, scores) in [
                (Kind::People, self.weights.people, one),
                (Kind::TwoSteps, self.weights.two_steps, two),
                (Kind::Content, self.weights.content, content),
            ] {
                if strength > 0.0 {
                    let scale = share * strength;
                    out.push(Contribution { from: Some(seed), kind, scores: scores.map(|v| v * scale) });
                }
            }
        }
        // A target outside the catalogue still has words.
        if query.target.is_none() && query.target_text.is_some() {
            let scores = self.content_scores(&self.seed_content(query, None));
            out.push(Contribution {
                from: None,
                kind: Kind::Content,
                scores: scores.map(|v| v * self.weights.content),
            });
        }
        out
    }

    /// The content row of a seed: the target's is made of the words given with the query, since its row in
    /// the pack may hold the very text that is to be written.
    fn seed_content(&self, query: &Query<'_>, seed: Option<ItemId>) -> Vec<(u32, f32)> {
        match (seed, query.target_text) {
            (seed, Some(text)) if seed == query.target => self.pack.content_of(text),
            (Some(seed), _) => self
                .pack
                .content()
                .outer_view(seed as usize)
                .map(|row| row.iter().map(|(t, &w)| (t as u32, w)).collect())
                .unwrap_or_default(),
            (None, _) => Vec::new(),
        }
    }

    /// C q: the cosine of every item with a content row, sparse.
    fn content_scores(&self, row: &[(u32, f32)]) -> CsVecI<f32, u32> {
        let content = self.pack.content();
        let mut query = Array1::<f32>::zeros(content.cols());
        row.iter().for_each(|&(term, weight)| query[term as usize] = weight);
        let cosines = &content * &query;
        let (items, values) = (0u32..).zip(cosines).filter(|(_, cosine)| *cosine > 0.0).unzip();
        CsVecI::new(content.rows(), items, values)
    }

    fn shared_terms(&self, row: &[(u32, f32)], item: ItemId) -> Vec<String> {
        let content = self.pack.content();
        let Some(other) = content.outer_view(item as usize) else { return Vec::new() };
        let mut shared: Vec<(u32, f32)> =
            row.iter().filter_map(|&(t, w)| other.get(t as usize).map(|o| (t, w * o))).collect();
        shared.sort_by(|a, b| b.1.total_cmp(&a.1));
        shared.iter().take(3).map(|&(t, _)| self.pack.term(t).trim_start_matches('=').to_owned()).collect()
    }
}
