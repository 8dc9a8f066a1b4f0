//! Rankings to compare: a pack's tables, and published graph filters in their original form,
//! unpruned.

use rayon::prelude::*;
use sprs::CsVecI;

use super::lightgcn::LightGcn;
use locket::internals::graph::{Edges, Mixture, Tables};
use locket_builder::graph::{Adjacency, Exponents, FitOptions, Fitted, Spectrum};

/// Ranking method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RankBy {
    /// A pack's tables: pruned neighbours and item vectors.
    Locket,
    /// Number of users of an item.
    Popularity,
    /// One step of the linear filter P.
    Linear,
    /// The ideal low-pass filter alone.
    LowPass,
    /// P + 0.3 x the ideal low-pass filter with 256 vectors (GF-CF, Shen et al., CIKM 2021).
    GfCf,
    /// GF-CF with 448 vectors, sharpened by one step of 0.4 (after BSPM, Choi et al., SIGIR 2023).
    Sharpened,
    /// LightGCN with BPR.
    LightGcn {
        /// Number of passes over the edges.
        epochs: usize,
    },
}

impl RankBy {
    /// Name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Locket => "locket",
            Self::Popularity => "popularity",
            Self::Linear => "linear",
            Self::LowPass => "low-pass",
            Self::GfCf => "gf-cf",
            Self::Sharpened => "sharpened",
            Self::LightGcn { .. } => "lightgcn",
        }
    }
}

/// Weight of the item vectors relative to the neighbours: they break ties among items without
/// neighbour edges.
const TASTE: f32 = 0.001;
const LOW_PASS: f32 = 0.3;
const SHARPEN: f32 = 0.4;

/// A fitted ranking.
pub(super) enum Filter {
    Embeddings(LightGcn),
    Tables {
        fitted: Fitted,
        popularity: Vec<f32>,
        mixture: Mixture,
    },
    Spectral {
        r: Adjacency,
        root_degree: Vec<f32>,
        vectors: Vec<f32>,
        rank: usize,
        linear: f32,
        low_pass: f32,
        sharpen: f32,
    },
}

impl Filter {
    /// Fits to the items of each user, sorted and without duplicates.
    pub(super) fn fit(items: usize, rows: &[&[u32]], by: RankBy, options: &FitOptions) -> Self {
        let mut starts = vec![0u32];
        starts.extend(rows.iter().scan(0u32, |at, row| {
            *at += row.len() as u32;
            Some(*at)
        }));
        let columns: Vec<u32> = rows.concat();
        let keys: Vec<u64> = (0..items as u64).map(graph_key).collect();
        let tables = |mixture: Mixture, options: &FitOptions| {
            let mut people = vec![0usize; items];
            columns.iter().for_each(|&i| people[i as usize] += 1);
            let fitted = locket_builder::graph::fit(items, &starts, &columns, &keys, options);
            let popularity = locket::internals::graph::popularity(people.into_iter());
            Self::Tables { fitted, popularity, mixture }
        };
        let symmetric = || Adjacency::from_csr(items, starts.clone(), columns.clone(), Exponents::SYMMETRIC);
        let spectral = |rank: usize, linear: f32, low_pass: f32, sharpen: f32| {
            let r = symmetric();
            let spectrum = Spectrum::of(&r, &keys, rank, 6);
            let root_degree = (0..items as u32).map(|i| (r.degree(i).max(1) as f32).sqrt()).collect();
            let rank = spectrum.rank();
            Self::Spectral { r, root_degree, vectors: spectrum.vectors, rank, linear, low_pass, sharpen }
        };
        let nothing = Mixture::NOTHING;
        match by {
            RankBy::Locket => tables(Mixture { people: 1.0, taste: TASTE, ..nothing }, options),
            RankBy::Popularity => {
                let none = FitOptions { rank: 0, dimension: 0, neighbours: 0, ..*options };
                tables(Mixture { popularity: 1.0, ..nothing }, &none)
            }
            RankBy::Linear => spectral(0, 1.0, 0.0, 0.0),
            RankBy::LowPass => spectral(256, 0.0, 1.0, 0.0),
            RankBy::GfCf => spectral(256, 1.0, LOW_PASS, 0.0),
            RankBy::Sharpened => spectral(448, 1.0, LOW_PASS, SHARPEN),
            RankBy::LightGcn { epochs } => {
                let edges: Vec<(u32, u32)> =
                    (0u32..).zip(rows).flat_map(|(user, row)| row.iter().map(move |&item| (user, item))).collect();
                Self::Embeddings(LightGcn::train(&symmetric(), &edges, epochs))
            }
        }
    }

    /// Returns the score of every item for the user in row `user` of the matrix, with history
    /// `seen`.
    pub(super) fn scores(&self, user: Option<usize>, seen: &[u32]) -> Vec<f32> {
        match self {
            Self::Embeddings(trained) => user.map_or_else(Vec::new, |user| trained.scores(user)),
            Self::Tables { fitted, popularity, mixture } => {
                let none = Edges::default();
                let (people, content, factors) = (fitted.people.view(), none.view(), fitted.factors.view());
                let seeds: Vec<(u32, f32)> = seen.iter().map(|&i| (i, 1.0)).collect();
                Tables { people, content, factors, popularity, returning: popularity, categories: &[] }
                    .scores(&seeds, mixture)
            }
            Self::Spectral { r, root_degree, vectors, rank, linear, low_pass, sharpen } => {
                let n = r.items();
                let ones = CsVecI::new(n, seen.to_vec(), vec![1f32; seen.len()]);
                let step = |x: &CsVecI<f32, u32>| r.propagate(x).to_dense().to_vec();
                let mut scores = if *linear > 0.0 { step(&ones) } else { vec![0.0; n] };
                if *rank > 0 {
                    let mut query = vec![0f32; *rank];
                    for &i in seen {
                        let row = &vectors[i as usize * rank..][..*rank];
                        query.iter_mut().zip(row).for_each(|(q, v)| *q += v / root_degree[i as usize]);
                    }
                    scores.par_iter_mut().zip(vectors.par_chunks_exact(*rank)).enumerate().for_each(
                        |(i, (score, row))| {
                            *score += low_pass * root_degree[i] * locket_builder::graph::dot(&query, row);
                        },
                    );
                }
                if *sharpen > 0.0 {
                    let blurred = step(&CsVecI::new(n, (0..n as u32).collect(), scores.clone()));
                    scores.iter_mut().zip(blurred).for_each(|(s, b)| *s -= sharpen * b);
                }
                scores
            }
        }
    }
}

/// Returns an item's key: files of edges have item numbers only.
fn graph_key(item: u64) -> u64 {
    locket::internals::hash::hash(&item.to_string())
}
