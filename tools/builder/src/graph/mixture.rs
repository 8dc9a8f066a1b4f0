//! Learns the weight of each kind of evidence: a conditional logit (McFadden, 1974) on held-out
//! interactions.

use rayon::prelude::*;

use locket::internals::graph::{Mixture, Tables, recency_weights};

/// One user's history, and the item that followed.
pub struct LinkExample {
    /// Items of the history, oldest first.
    pub seeds: Vec<u32>,
    /// The item that followed.
    pub target: u32,
}

/// Minimum number of examples to learn from.
const FEWEST: usize = 10;
/// Approximate number of candidates per example: the target and others drawn evenly. A logit stays
/// consistent under such a draw.
const CANDIDATES: usize = 500;
const RECENCIES: [f32; 3] = [1.0, 0.9, 0.75];
const AVERAGINGS: [f32; 3] = [0.0, 0.5, 1.0];
const STEPS: usize = 150;
const RATE: f64 = 0.1;
/// Standard deviation of the prior on the logarithm of a weight.
const PRIOR_SPREAD: f64 = 1.5;
const KINDS: usize = 6;

/// The evidence values of the candidates of one example, the target first, and the effective number
/// of history items.
struct Features {
    values: Vec<[f32; KINDS]>,
    voters: f32,
}

/// Collects examples from several fits, then learns.
#[derive(Default)]
pub struct Learner {
    /// Features for each recency in the grid.
    features: [Vec<Features>; RECENCIES.len()],
}

impl Learner {
    /// Adds examples. `tables` must be fitted without the edges to their targets.
    pub fn add(&mut self, tables: &Tables<'_>, examples: &[LinkExample]) {
        for (kept, recency) in self.features.iter_mut().zip(RECENCIES) {
            kept.par_extend(examples.par_iter().map(|e| features(tables, e, recency)));
        }
    }

    /// Returns weights that make the targets likely among all items, and the number of examples
    /// used. A prior keeps weights near the default where the examples carry no information. With
    /// too few examples it returns the default and 0.
    pub fn learn(&self) -> (Mixture, usize) {
        let examples = self.features[0].len();
        if examples < FEWEST {
            return (Mixture::default(), 0);
        }
        let mut best: Option<(Mixture, f64)> = None;
        for (features, recency) in self.features.iter().zip(RECENCIES) {
            for averaging in AVERAGINGS {
                let (mixture, loss) = fit(features, averaging);
                if best.is_none_or(|b| loss < b.1) {
                    best = Some((Mixture { recency, ..mixture }, loss));
                }
            }
        }
        best.map_or_else(|| (Mixture::default(), 0), |b| (b.0, examples))
    }
}

fn features(tables: &Tables<'_>, example: &LinkExample, recency: f32) -> Features {
    let n = example.seeds.len();
    let seeds: Vec<(u32, f32)> = example.seeds.iter().copied().zip(recency_weights(n, recency)).collect();
    let sum = Mixture { averaging: 0.0, ..Mixture::NOTHING };
    let kinds = [
        Mixture { people: 1.0, ..sum },
        Mixture { taste: 1.0, ..sum },
        Mixture { content: 1.0, ..sum },
        Mixture { category: 1.0, ..sum },
        Mixture { popularity: 1.0, ..sum },
        Mixture { returning: 1.0, ..sum },
    ];
    let scores = kinds.map(|kind| tables.scores(&seeds, &kind));
    let items = tables.items() as u32;
    let step = (items / CANDIDATES as u32).max(1);
    let first = example.target % step;
    let others = (first..items).step_by(step as usize).filter(|&i| i != example.target);
    let unmet = others.filter(|&i| example.seeds.iter().all(|&s| s != i));
    let value = |item: u32| std::array::from_fn(|kind| scores[kind][item as usize]);
    let values = std::iter::once(example.target).chain(unmet).map(value).collect();
    Features { values, voters: seeds.iter().map(|s| s.1.abs()).sum::<f32>().max(1.0) }
}

/// Fits the weights for one averaging exponent; returns them and their loss. Uses Adam (Kingma and
/// Ba, 2015) on the logarithms, which keeps weights positive.
fn fit(features: &[Features], averaging: f32) -> (Mixture, f64) {
    let default = Mixture::default();
    let prior =
        [default.people, default.taste, default.content, default.category, default.popularity, default.returning]
            .map(|w| f64::from(w).ln());
    let mut theta = prior;
    let (mut first, mut second) = ([0f64; KINDS], [0f64; KINDS]);
    let mut best = (theta, f64::INFINITY);
    for step in 1..=STEPS {
        let weights = theta.map(f64::exp);
        // Summed in a fixed order, so every machine builds the same pack.
        let parts: Vec<(f64, [f64; KINDS])> =
            features.par_iter().map(|f| negative_log_likelihood(f, &weights, averaging)).collect();
        let (mut loss, mut gradient) =
            parts.iter().fold((0.0, [0.0; KINDS]), |a, b| (a.0 + b.0, std::array::from_fn(|n| a.1[n] + b.1[n])));
        for n in 0..KINDS {
            let away = (theta[n] - prior[n]) / PRIOR_SPREAD;
            loss += away * away / 2.0;
            gradient[n] = (gradient[n] * weights[n] + away / PRIOR_SPREAD) / features.len() as f64;
        }
        if loss < best.1 {
            best = (theta, loss);
        }
        for n in 0..KINDS {
            first[n] = 0.9 * first[n] + 0.1 * gradient[n];
            second[n] = 0.99 * second[n] + 0.01 * gradient[n] * gradient[n];
            let (m, v) = (first[n] / (1.0 - 0.9f64.powi(step as i32)), second[n] / (1.0 - 0.99f64.powi(step as i32)));
            theta[n] -= RATE * m / (v.sqrt() + 1e-9);
        }
    }
    let [people, taste, content, category, popularity, returning] = best.0.map(|t| t.exp() as f32);
    (Mixture { people, taste, content, category, popularity, returning, averaging, recency: 1.0 }, best.1)
}

/// Returns -ln p(target) and its gradient by the weights, with p the softmax of the scores over the
/// candidates.
fn negative_log_likelihood(f: &Features, weights: &[f64; KINDS], averaging: f32) -> (f64, [f64; KINDS]) {
    let share = f64::from(f.voters.powf(-averaging));
    let scale = [share, share, share, share, 1.0, 1.0];
    let score = |v: &[f32; KINDS]| (0..KINDS).map(|n| weights[n] * scale[n] * f64::from(v[n])).sum::<f64>();
    let scores: Vec<f64> = f.values.iter().map(score).collect();
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut total = 0.0;
    let mut mean = [0f64; KINDS];
    for (s, v) in scores.iter().zip(&f.values) {
        let p = (s - top).exp();
        total += p;
        (0..KINDS).for_each(|n| mean[n] += p * f64::from(v[n]));
    }
    let gradient = std::array::from_fn(|n| scale[n] * (mean[n] / total - f64::from(f.values[0][n])));
    (total.ln() + top - scores[0], gradient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use locket::internals::graph::{Edges, Factors};

    /// If targets follow one kind of evidence and another is noise, the first gains weight and the
    /// other loses it.
    #[test]
    fn the_kind_that_tells_gains_weight() {
        let n = 40u32;
        let next = Edges::new((0..n).map(|i| vec![((i + 1) % n, 1.0)]).collect());
        let noise = Edges::new((0..n).map(|i| vec![((i * 7 + 3) % n, 1.0)]).collect());
        let factors = Factors::default();
        let popularity = vec![0.1; n as usize];
        let example = |i| LinkExample { seeds: vec![i], target: (i + 1) % n };
        let examples: Vec<LinkExample> = (0..n).map(example).collect();
        let learned = |people: &Edges, content: &Edges, examples: &[LinkExample]| {
            let (people, content) = (people.view(), content.view());
            let mut learner = Learner::default();
            let tables = Tables {
                people,
                content,
                factors: factors.view(),
                popularity: &popularity,
                returning: &popularity,
                categories: &[],
            };
            learner.add(&tables, examples);
            learner.learn().0
        };
        let (a, b) = (learned(&next, &noise, &examples), learned(&noise, &next, &examples));
        assert!(a.people > 2.0 && a.content < 2.5, "{a:?}");
        assert!(b.content > 8.0 && b.people < 1.0, "{b:?}");
        assert_eq!(learned(&next, &noise, &examples[..5]), Mixture::default());
    }
}
