//! The fitted link predictor as read on the device: borrowed tables, and fold-in of one user.

use serde::{Deserialize, Serialize};

use super::edges::EdgesView;

/// The weight of each kind of evidence. A pack contains weights learned from its own users.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Mixture {
    /// Weight of the pruned co-interaction neighbours.
    pub people: f32,
    /// Weight of the item vectors (latent factors), which link items without common users.
    pub taste: f32,
    /// Weight of the cosine between the items' names, categories and texts.
    pub content: f32,
    /// Weight of a common category.
    pub category: f32,
    /// Weight of the item's popularity, ln(1 + users / 30).
    pub popularity: f32,
    /// Weight of repeat-user popularity: the same over users of at least two items. Users of a
    /// single item are weak evidence for the next one.
    pub returning: f32,
    /// Exponent of the seeds' total weight, by which evidence is divided: 0 sums, 1 averages. See
    /// `divisor`.
    pub averaging: f32,
    /// Factor on the weight of an interaction for each later one: 1 disables the decay.
    pub recency: f32,
}

impl Mixture {
    /// All evidence weights 0.
    pub const NOTHING: Self = Self {
        people: 0.0,
        taste: 0.0,
        content: 0.0,
        category: 0.0,
        popularity: 0.0,
        returning: 0.0,
        averaging: 0.5,
        recency: 1.0,
    };
}

impl Default for Mixture {
    /// The weights for a pack with too few users to learn from, set by hand. With enough users they
    /// are the centre of the prior.
    fn default() -> Self {
        Self {
            people: 1.0,
            taste: 0.3,
            content: 5.0,
            category: 1.0,
            popularity: 0.5,
            returning: 0.5,
            averaging: 0.5,
            recency: 1.0,
        }
    }
}

/// Pseudo-count of users per item. In a catalogue with one or two users per item, popularity is
/// close to 0 and other evidence decides.
const POPULARITY_PRIOR: f32 = 30.0;

/// Returns ln(1 + n / 30) for each item's number of users n.
pub fn popularity(people: impl Iterator<Item = usize>) -> Vec<f32> {
    people.map(|n| (n as f32 / POPULARITY_PRIOR).ln_1p()).collect()
}

/// Maximum length of an item vector: a sum of this many 8-bit by 16-bit products fits into 32 bits.
pub const MAX_DIMENSION: usize = 512;

/// Item vectors as 8-bit rows with two scales: as a history item (source) and as a candidate
/// (target).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Factors {
    /// Length of a vector.
    pub dimension: usize,
    /// The vectors, row-major. Shape: (items, dimension).
    pub rows: Vec<i8>,
    /// Scale of each vector as a history item. Shape: (items).
    pub source: Vec<f32>,
    /// Scale of each vector as a candidate. Shape: (items).
    pub target: Vec<f32>,
}

impl Factors {
    /// Quantises the first `dimension` columns of `vectors` (row-major, `rank` columns). `scales`
    /// returns an item's (source, target) scale.
    pub fn quantise(vectors: &[f32], rank: usize, dimension: usize, scales: impl Fn(usize) -> (f32, f32)) -> Self {
        let dimension = dimension.min(rank).min(MAX_DIMENSION);
        if dimension == 0 {
            return Self::default();
        }
        let mut out = Self { dimension, ..Self::default() };
        let (mut sum, mut n) = (0f64, 0f64);
        for (item, row) in vectors.chunks_exact(rank).enumerate() {
            let row = &row[..dimension];
            let largest = row.iter().fold(0f32, |m, v| m.max(v.abs()));
            let unit = 127.0 / largest.max(f32::MIN_POSITIVE);
            out.rows.extend(row.iter().map(|v| (v * unit).round() as i8));
            let (source, target) = scales(item);
            if largest > 0.0 {
                sum += f64::from(row.iter().map(|v| v * v).sum::<f32>() * source * target);
                n += 1.0;
            }
            out.source.push(source * largest / 127.0);
            out.target.push(target * largest / 127.0);
        }
        // Normalises the mean inner product of an item with itself to 1.
        let unit = if sum > 0.0 { (n / sum) as f32 } else { 0.0 };
        out.target.iter_mut().for_each(|t| *t *= unit);
        out
    }

    /// Borrows the vectors.
    pub fn view(&self) -> FactorsView<'_> {
        FactorsView { dimension: self.dimension, rows: &self.rows, source: &self.source, target: &self.target }
    }
}

/// Borrowed `Factors`.
#[derive(Debug, Clone, Copy)]
pub struct FactorsView<'a> {
    /// Length of a vector.
    pub dimension: usize,
    /// The vectors, row-major. Shape: (items, dimension).
    pub rows: &'a [i8],
    /// Scale of each vector as a history item. Shape: (items).
    pub source: &'a [f32],
    /// Scale of each vector as a candidate. Shape: (items).
    pub target: &'a [f32],
}

impl FactorsView<'_> {
    fn row(&self, item: u32) -> &[i8] {
        let at = item as usize * self.dimension;
        self.rows.get(at..at + self.dimension).unwrap_or_default()
    }

    /// Returns the score of candidate `target` from history item `source`.
    pub fn get(&self, source: u32, target: u32) -> f32 {
        let sum: i32 = self.row(source).iter().zip(self.row(target)).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum();
        // Without vectors the scales are empty too.
        let scale = |of: &[f32], item: u32| of.get(item as usize).copied().unwrap_or_default();
        sum as f32 * scale(self.source, source) * scale(self.target, target)
    }

    /// Returns the cosine between two items' vectors.
    pub fn cosine(&self, a: u32, b: u32) -> f32 {
        let product = |x: &[i8], y: &[i8]| -> f32 {
            x.iter().zip(y).map(|(&p, &q)| i32::from(p) * i32::from(q)).sum::<i32>() as f32
        };
        let (a, b) = (self.row(a), self.row(b));
        product(a, b) / (product(a, a) * product(b, b)).sqrt().max(1.0)
    }

    /// Adds to each item's score its similarity to the weighted seeds, times `strength`.
    fn add(&self, seeds: &[(u32, f32)], strength: f32, scores: &mut [f32]) {
        if self.dimension == 0 || strength == 0.0 || seeds.is_empty() {
            return;
        }
        let mut query = vec![0f32; self.dimension];
        for &(seed, weight) in seeds {
            let weight = weight * self.source[seed as usize];
            query.iter_mut().zip(self.row(seed)).for_each(|(q, &v)| *q += weight * f32::from(v));
        }
        let largest = query.iter().fold(0f32, |m, v| m.max(v.abs()));
        if largest == 0.0 {
            return;
        }
        // 16-bit query by 8-bit rows: one multiply-add instruction covers 16 dimensions, and a sum
        // of up to 512 products cannot overflow.
        let unit = 32000.0 / largest;
        let query: Vec<i16> = query.iter().map(|q| (q * unit).round() as i16).collect();
        let strength = strength / unit;
        for ((score, row), target) in scores.iter_mut().zip(self.rows.chunks_exact(self.dimension)).zip(self.target) {
            let sum = query
                .iter()
                .zip(row)
                .fold(0i32, |sum, (&q, &v)| sum.wrapping_add(i32::from(q).wrapping_mul(i32::from(v))));
            *score += sum as f32 * target * strength;
        }
    }
}

/// All tables of a link predictor.
#[derive(Debug, Clone, Copy)]
pub struct Tables<'a> {
    /// Co-interaction edges.
    pub people: EdgesView<'a>,
    /// Content edges: cosine of TF-IDF rows.
    pub content: EdgesView<'a>,
    /// Item vectors.
    pub factors: FactorsView<'a>,
    /// Popularity of each item, see [`popularity`]. Shape: (items).
    pub popularity: &'a [f32],
    /// The same over users with at least two items. Shape: (items).
    pub returning: &'a [f32],
    /// The number of each item's category; 0 for none. Empty if no item has one.
    pub categories: &'a [u32],
}

impl Tables<'_> {
    /// Returns the number of items.
    pub fn items(&self) -> usize {
        self.popularity.len()
    }

    /// Returns the score of every item for seeds that are in range. Shape: (items).
    pub fn scores(&self, seeds: &[(u32, f32)], mixture: &Mixture) -> Vec<f32> {
        let (all, returning) = (mixture.popularity, mixture.returning);
        let mut scores: Vec<f32> =
            self.popularity.iter().zip(self.returning).map(|(a, r)| a * all + r * returning).collect();
        let share = 1.0 / divisor(seeds, mixture.averaging);
        self.factors.add(seeds, mixture.taste * share, &mut scores);
        if mixture.category != 0.0 && !self.categories.is_empty() {
            let liked = self.liked_categories(seeds, mixture.category * share);
            if !liked.is_empty() {
                for (score, category) in scores.iter_mut().zip(self.categories) {
                    *score += liked.iter().find(|l| l.0 == *category).map_or(0.0, |l| l.1);
                }
            }
        }
        for (edges, strength) in [(self.people, mixture.people), (self.content, mixture.content)] {
            if strength == 0.0 {
                continue;
            }
            for &(seed, weight) in seeds {
                let weight = weight * strength * share;
                for (target, value) in edges.row(seed) {
                    if let Some(score) = scores.get_mut(target as usize) {
                        *score += weight * value;
                    }
                }
            }
        }
        scores
    }

    /// Returns 1 if both items have the same category, else 0.
    pub fn same_category(&self, a: u32, b: u32) -> f32 {
        let of = |item: u32| self.categories.get(item as usize).copied().unwrap_or_default();
        f32::from(u8::from(of(a) != 0 && of(a) == of(b)))
    }

    /// Returns the categories of the seeds, each with its seeds' total weight times `strength`.
    fn liked_categories(&self, seeds: &[(u32, f32)], strength: f32) -> Vec<(u32, f32)> {
        let mut liked: Vec<(u32, f32)> = Vec::new();
        for &(seed, weight) in seeds {
            let category = self.categories.get(seed as usize).copied().unwrap_or_default();
            match liked.iter_mut().find(|l| l.0 == category) {
                Some(known) => known.1 += weight * strength,
                None if category != 0 => liked.push((category, weight * strength)),
                None => {}
            }
        }
        liked
    }
}

/// Returns the divisor of the evidence from these seeds: their total absolute weight, at least 1,
/// to the power of `averaging`.
pub fn divisor(seeds: &[(u32, f32)], averaging: f32) -> f32 {
    seeds.iter().map(|s| s.1.abs()).sum::<f32>().max(1.0).powf(averaging)
}

/// Returns the weight of each of `n` interactions, oldest first. The latest has weight 1.
pub fn recency_weights(n: usize, recency: f32) -> impl Iterator<Item = f32> {
    (0..n).map(move |at| recency.powi((n - 1 - at) as i32))
}

/// Returns the `k` largest scores, best first; ties go to the lower number. Items at negative
/// infinity are excluded.
pub fn largest(scores: &[f32], k: usize) -> Vec<(u32, f32)> {
    if k == 0 {
        return Vec::new();
    }
    // For a small k, insertion is fastest.
    if k > 200 {
        let mut all: Vec<(u32, f32)> =
            (0u32..).zip(scores.iter().copied()).filter(|s| s.1 > f32::NEG_INFINITY).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        all.truncate(k);
        return all;
    }
    let mut best: Vec<(u32, f32)> = Vec::with_capacity(k.min(scores.len()) + 1);
    let mut least = f32::NEG_INFINITY;
    for (item, &score) in (0u32..).zip(scores) {
        if score > least {
            let at = best.partition_point(|b| b.1 >= score);
            best.insert(at, (item, score));
            best.truncate(k);
            if best.len() == k {
                least = best[k - 1].1;
            }
        }
    }
    best
}
