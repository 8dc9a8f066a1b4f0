//! Closed-form fit of pruned item neighbours and item vectors from the interaction graph.

use rayon::prelude::*;

use super::{Adjacency, Exponents, accumulator::Accumulator, spectral::Spectrum};
use locket::internals::{
    graph::{Edges, Factors, MAX_DIMENSION, keep_largest},
    hash::draw,
};

/// Settings of a fit. The defaults were chosen on a validation cut of Gowalla's training edges, see
/// docs/src/concepts/graph.md.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FitOptions {
    /// Exponent of a user's degree in co-interaction counts: users with many items carry little
    /// information.
    pub user_exponent: f32,
    /// Exponent of the source item's degree.
    pub source_exponent: f32,
    /// Exponent of the target item's degree in the co-interaction part.
    pub people_target_exponent: f32,
    /// Exponent of the target item's degree in the low-rank part. It is negative: it restores the
    /// weight that the spectrum takes from popular items.
    pub spectral_target_exponent: f32,
    /// Degree exponents of the matrix for the SVD.
    pub spectral: Exponents,
    /// Number of singular vectors.
    pub rank: usize,
    /// Rounds of subspace iteration.
    pub iterations: usize,
    /// Ridge term of the spectral filter s^2 / (s^2 + ridge), s relative to the largest singular
    /// value.
    pub ridge: f32,
    /// Weight of the low-rank part relative to the co-interaction part.
    pub spectral_weight: f32,
    /// Exponent on every weight: above 1, strong neighbours count more than many weak ones.
    pub sharpness: f32,
    /// Exponent of the Euclidean row length that each row is divided by; it sets how equally
    /// history items contribute.
    pub row_exponent: f32,
    /// Number of neighbours kept per item.
    pub neighbours: usize,
    /// Number of the strongest co-interactions of an item that are also compared by their vectors;
    /// the rest are dropped. In a large population nearly every two items share a user.
    pub candidates: usize,
    /// Maximum number of users over whom an item's co-interactions are counted. For an item with
    /// more users about this many are sampled, and the counts are scaled up. Without a limit the
    /// work grows with the square of the number of users.
    pub people_per_item: usize,
    /// Maximum number of a user's items that count as co-interactions. For a user with more (a
    /// shop, a bot) about this many are sampled.
    pub items_per_person: usize,
    /// Dimension of the item vectors, which reach items that no neighbour edge reaches.
    pub dimension: usize,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            user_exponent: 0.7,
            source_exponent: 0.6,
            people_target_exponent: 0.4,
            spectral_target_exponent: -0.36,
            spectral: Exponents { users: 0.35, items: 0.4 },
            rank: 1024,
            iterations: 6,
            ridge: 0.05,
            spectral_weight: 3.5,
            sharpness: 1.7,
            row_exponent: 0.7,
            neighbours: 100,
            candidates: 2_000,
            people_per_item: 10_000,
            items_per_person: 2_000,
            dimension: 64,
        }
    }
}

impl FitOptions {
    /// Sets one field by its name, for experiments.
    ///
    /// # Errors
    /// [`locket::Error::Argument`] for an unknown name.
    pub fn set(&mut self, name: &str, value: f32) -> Result<(), locket::Error> {
        match name {
            "user_exponent" => self.user_exponent = value,
            "source_exponent" => self.source_exponent = value,
            "people_target_exponent" => self.people_target_exponent = value,
            "spectral_target_exponent" => self.spectral_target_exponent = value,
            "spectral_users" => self.spectral.users = value,
            "spectral_items" => self.spectral.items = value,
            "rank" => self.rank = value as usize,
            "iterations" => self.iterations = value as usize,
            "ridge" => self.ridge = value,
            "spectral_weight" => self.spectral_weight = value,
            "sharpness" => self.sharpness = value,
            "row_exponent" => self.row_exponent = value,
            "neighbours" => self.neighbours = value as usize,
            "candidates" => self.candidates = value as usize,
            "people_per_item" => self.people_per_item = value as usize,
            "items_per_person" => self.items_per_person = value as usize,
            "dimension" => self.dimension = (value as usize).min(MAX_DIMENSION),
            _ => return Err(locket::Error::Argument(format!("there is no setting {name}"))),
        }
        Ok(())
    }

    /// Returns the rank for a catalogue: the singular vectors hold at most 2^28 numbers, to fit
    /// into memory, but at least `dimension` columns.
    fn rank_for(&self, items: usize) -> usize {
        self.rank.min((1 << 28) / items.max(1)).max(self.dimension)
    }
}

/// The fitted co-interaction side of a pack.
pub struct Fitted {
    /// Co-interaction edges.
    pub people: Edges,
    /// Item vectors.
    pub factors: Factors,
}

/// Fits items `0..items` to the structure of R as CSR (rows sorted, without duplicates). `keys`
/// holds one key per item, independent of the item's number.
pub fn fit(items: usize, starts: &[u32], columns: &[u32], keys: &[u64], options: &FitOptions) -> Fitted {
    let r = Adjacency::from_csr(items, starts.to_vec(), columns.to_vec(), options.spectral);
    let spectrum = Spectrum::of(&r, keys, options.rank_for(items), options.iterations);
    let rank = spectrum.rank();
    let top = spectrum.values.first().map_or(1.0, |v| v * v).max(f32::MIN_POSITIVE);
    // Half of the filter on either side allows one table of vectors.
    let gain: Vec<f32> = spectrum.values.iter().map(|v| (v * v / top / (v * v / top + options.ridge)).sqrt()).collect();
    let mut vectors = spectrum.vectors;
    vectors.par_chunks_mut(rank.max(1)).for_each(|row| row.iter_mut().zip(&gain).for_each(|(v, g)| *v *= g));
    let factors = factors(&vectors, rank, |i| r.degree(i as u32), options);
    Fitted { people: neighbours(&r, &vectors, rank, keys, options), factors }
}

/// Returns the item vectors of a pack, from the filtered singular vectors (row-major, `rank`
/// columns) and the items' degrees.
pub fn factors(vectors: &[f32], rank: usize, degree: impl Fn(usize) -> usize, options: &FitOptions) -> Factors {
    let power = |item: usize, exponent: f32| (degree(item).max(1) as f32).powf(-exponent);
    Factors::quantise(vectors, rank, options.dimension, |i| {
        (power(i, options.source_exponent), power(i, options.spectral_target_exponent))
    })
}

/// Returns each item's strongest neighbours among the items that share a user with it. The weights
/// are:
///
/// ((R^T D_U^-a R)_ij d_i^-b d_j^-c + w (V f V^T)_ij d_i^-b d_j^-e)^sharpness.
fn neighbours(r: &Adjacency, vectors: &[f32], rank: usize, keys: &[u64], options: &FitOptions) -> Edges {
    let items = r.items();
    let power = |d: usize, e: f32| (d.max(1) as f32).powf(-e);
    let people: Vec<f32> = (0..r.by_user().rows())
        .map(|u| power(r.by_user().indptr().nnz_in_outer_sz(u), options.user_exponent))
        .collect();
    let degrees: Vec<usize> = (0..items as u32).map(|i| r.degree(i)).collect();
    let to_people: Vec<f32> = degrees.iter().map(|&d| power(d, options.people_target_exponent)).collect();
    let to_vectors: Vec<f32> =
        degrees.iter().map(|&d| options.spectral_weight * power(d, options.spectral_target_exponent)).collect();
    let vector = |i: usize| &vectors[i * rank..(i + 1) * rank];
    let sample = Sample::of(r, keys, options);
    let one_row = |sums: &mut Accumulator, item: usize| -> Vec<(u32, f32)> {
        for (user, _) in r.by_item().outer_view(item).iter().flat_map(|v| v.iter()) {
            if !sample.asks(item, user) {
                continue;
            }
            for (other, _) in r.by_user().outer_view(user).iter().flat_map(|v| v.iter()) {
                if sample.tells(user, other) {
                    sums.add(other, people[user]);
                }
            }
        }
        let stands_for = 1.0 / sample.people[item] as f32;
        let source = power(degrees[item], options.source_exponent);
        let met = sums.drain().filter(|&(other, _)| other as usize != item);
        let mut row: Vec<(u32, f32)> =
            met.map(|(other, shared)| (other, shared * stands_for * to_people[other as usize])).collect();
        keep_largest(&mut row, options.candidates, keys);
        for (other, weight) in &mut row {
            let j = *other as usize;
            let alike = dot(vector(item), vector(j)).max(0.0);
            *weight = (source * (*weight + alike * to_vectors[j])).powf(options.sharpness);
        }
        keep_largest(&mut row, options.neighbours, keys);
        let length = row.iter().map(|e| e.1 * e.1).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        row.iter_mut().for_each(|e| e.1 *= length.powf(-options.row_exponent));
        row
    };
    in_units((0..items).into_par_iter().map_init(|| Accumulator::new(items), one_row).collect())
}

/// A sample of edges, to avoid counts that grow with the square of a degree. Draws depend on ids
/// alone.
struct Sample<'a> {
    keys: &'a [u64],
    /// Sampled fraction of each item's users.
    people: Vec<f64>,
    /// Sampled fraction of each user's items.
    items: Vec<f64>,
}

impl<'a> Sample<'a> {
    fn of(r: &Adjacency, keys: &'a [u64], options: &FitOptions) -> Self {
        let part = |most: usize, of: usize| (most as f64 / of.max(1) as f64).min(1.0);
        let users = r.by_user();
        Self {
            keys,
            people: (0..r.items() as u32).map(|i| part(options.people_per_item, r.degree(i))).collect(),
            items: (0..users.rows())
                .map(|u| part(options.items_per_person, users.indptr().nnz_in_outer_sz(u)))
                .collect(),
        }
    }

    /// Whether the user's items count as co-interactions of the item.
    fn asks(&self, item: usize, user: usize) -> bool {
        self.tells(user, item) && (self.people[item] >= 1.0 || drawn(self.keys[item], user as u64, self.people[item]))
    }

    /// Whether the item is in the sample of the user's items.
    fn tells(&self, user: usize, item: usize) -> bool {
        self.items[user] >= 1.0 || drawn(!self.keys[item], user as u64, self.items[user])
    }
}

fn drawn(key: u64, n: u64, part: f64) -> bool {
    ((draw(key, n) >> 11) as f64) < part * (1u64 << 53) as f64
}

/// Returns the edges of these rows, scaled so that the strongest weight of a non-empty row is 1 on
/// average. Weights are thus comparable between packs.
pub fn in_units(mut rows: Vec<Vec<(u32, f32)>>) -> Edges {
    let strongest = |row: &Vec<(u32, f32)>| row.iter().map(|e| e.1).fold(0.0, f32::max);
    let (sum, n) =
        rows.iter().map(strongest).filter(|&s| s > 0.0).fold((0f64, 0f64), |(s, n), x| (s + f64::from(x), n + 1.0));
    let unit = if n > 0.0 { (n / sum) as f32 } else { 1.0 };
    rows.iter_mut().flatten().for_each(|e| e.1 *= unit);
    Edges::new(rows)
}

/// Dot product with sixteen running sums, which the compiler keeps in vector registers.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; 16];
    let (a16, b16) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest: f32 = a16.remainder().iter().zip(b16.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a16.zip(b16) {
        for n in 0..16 {
            sums[n] += x[n] * y[n];
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Exponents;

    /// 4,000 users: 90 % have item 0, and all have up to six items of their cluster of ten.
    fn blockbuster() -> (Vec<u32>, Vec<u32>, Vec<u64>) {
        let (mut starts, mut columns) = (vec![0], Vec::new());
        for user in 0..4_000u64 {
            let home = draw(7, user) % 10;
            let mut row: Vec<u32> = (0..6).map(|n| (1 + home * 10 + draw(user, n) % 10) as u32).collect();
            if !draw(9, user).is_multiple_of(10) {
                row.push(0);
            }
            row.sort_unstable();
            row.dedup();
            columns.extend(row);
            starts.push(columns.len() as u32);
        }
        (starts, columns, (0..101).map(|n| draw(11, n)).collect())
    }

    #[test]
    fn a_sample_of_a_blockbusters_people_gives_nearly_the_same_neighbours() {
        let (starts, columns, keys) = blockbuster();
        let r = Adjacency::from_csr(101, starts, columns, Exponents::SYMMETRIC);
        let vectors = vec![0.0; 101];
        let all = neighbours(&r, &vectors, 1, &keys, &FitOptions::default());
        let options = FitOptions { people_per_item: 500, ..FitOptions::default() };
        let some = neighbours(&r, &vectors, 1, &keys, &options);
        let sample = Sample::of(&r, &keys, &options);
        let asked = (0..r.by_user().rows()).filter(|&u| sample.asks(0, u)).count();
        assert!((400..600).contains(&asked), "{asked}");
        let (mut off, mut sum) = (0.0, 0.0);
        for item in 0..101 {
            for (other, weight) in all.view().row(item) {
                off += (some.view().get(item, other) - weight).abs();
                sum += weight;
            }
        }
        assert!(off > 0.0 && off < 0.1 * sum, "{off} of {sum}");
    }

    #[test]
    fn of_a_robots_items_only_some_count_as_met_together() {
        let (mut starts, mut columns, keys) = blockbuster();
        columns.extend(0..101);
        starts.push(columns.len() as u32);
        let r = Adjacency::from_csr(101, starts, columns, Exponents::SYMMETRIC);
        let sample = Sample::of(&r, &keys, &FitOptions { items_per_person: 20, ..FitOptions::default() });
        let tells = |user| (0..101).filter(|&i| sample.tells(user, i)).count();
        assert!((10..32).contains(&tells(4_000)), "{}", tells(4_000));
        assert_eq!(tells(0), 101);
    }
}
