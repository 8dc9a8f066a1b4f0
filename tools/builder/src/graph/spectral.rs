//! Randomised truncated SVD of the normalised user-item matrix (Halko, Martinsson and Tropp, SIAM
//! Review 2011).

use std::ops::Range;

use faer::{Accum, Mat, MatMut, MatRef, Par, Side, linalg::matmul::matmul};
use rayon::prelude::*;
use sprs::CsMatViewI;

use super::Adjacency;
use locket::internals::hash::uniform;

/// Number of extra directions, which make the requested ones accurate.
const OVERSAMPLING: usize = 32;
/// Maximum number of values of R~ X in memory at once: 128 MB.
const BLOCK_NUMBERS: usize = 1 << 25;

/// The largest singular values of R~ and their right singular vectors.
pub struct Spectrum {
    /// Singular values, the largest first. Shape: (rank).
    pub values: Vec<f32>,
    /// Right singular vectors, one row per item. Shape: (items, rank), row-major.
    pub vectors: Vec<f32>,
}

impl Spectrum {
    /// Number of singular values.
    pub fn rank(&self) -> usize {
        self.values.len()
    }

    /// Returns the `rank` largest singular values (fewer if the matrix has fewer) by `iterations`
    /// rounds of subspace iteration. The start is random but depends only on `keys`, one per item,
    /// so renumbering the items changes nothing. If all values are requested there is no random
    /// start: iteration would lose the smallest ones to rounding.
    pub fn of(r: &Adjacency, keys: &[u64], rank: usize, iterations: usize) -> Self {
        let (items, users) = (r.by_item().rows(), r.by_user().rows());
        let width = (rank + OVERSAMPLING).min(items).min(users);
        if width == 0 || rank == 0 {
            return Self { values: Vec::new(), vectors: Vec::new() };
        }
        let basis = if width == items {
            identity(items)
        } else if width == users {
            // The rows of R~ span the whole row space.
            orthonormal(multiply(r.by_item(), &identity(users), width), items, width)
        } else {
            let mut basis = vec![0f32; items * width];
            basis.par_chunks_mut(width).zip(keys).for_each(|(row, &key)| {
                row.iter_mut().zip(0u64..).for_each(|(x, n)| *x = uniform(key, n));
            });
            for _ in 0..iterations {
                basis = orthonormal(image(r, &basis, width), items, width);
            }
            basis
        };
        // Rayleigh-Ritz: the singular values of R~ Q are those of R~ within the subspace.
        let mut sums = Mat::<f32>::zeros(width, width);
        by_blocks(r, &basis, width, |_, rows| {
            let rows = MatRef::from_row_major_slice(rows, rows.len() / width, width);
            matmul(sums.as_mut(), Accum::Add, rows.transpose(), rows, 1.0, Par::rayon(0));
        });
        let (values, rotation) = eigen(&Mat::from_fn(width, width, |i, j| f64::from(sums[(i, j)])));
        let kept = values.iter().take(rank).take_while(|&&v| v > values[0] * 1e-9).count();
        let mut turn = vec![0f32; width * kept];
        for (row, line) in turn.chunks_mut(kept.max(1)).enumerate() {
            line.iter_mut().enumerate().for_each(|(column, x)| *x = rotation[(row, column)] as f32);
        }
        let vectors = product(&basis, &turn, (items, width, kept));
        Self { values: values[..kept].iter().map(|&v| v.max(0.0).sqrt() as f32).collect(), vectors }
    }
}

fn identity(size: usize) -> Vec<f32> {
    let mut out = vec![0f32; size * size];
    out.iter_mut().step_by(size + 1).for_each(|x| *x = 1.0);
    out
}

/// Returns M X for sparse M and dense row-major X with `width` columns.
pub fn multiply(m: CsMatViewI<'_, f32, u32>, x: &[f32], width: usize) -> Vec<f32> {
    multiply_rows(m, 0..m.rows(), x, width)
}

/// Returns the given rows of M X.
fn multiply_rows(m: CsMatViewI<'_, f32, u32>, rows: Range<usize>, x: &[f32], width: usize) -> Vec<f32> {
    let mut out = vec![0f32; rows.len() * width];
    out.par_chunks_mut(width).zip(rows).for_each(|(sums, row)| {
        for (column, &value) in m.outer_view(row).iter().flat_map(|r| r.iter()) {
            axpy(sums, value, &x[column * width..(column + 1) * width]);
        }
    });
    out
}

fn axpy(sums: &mut [f32], factor: f32, x: &[f32]) {
    sums.iter_mut().zip(x).for_each(|(s, x)| *s += factor * x);
}

/// Passes the rows of R~ X to `each` in blocks of users, with the number of the first user. With
/// many users, all rows at once would take more memory than everything else.
fn by_blocks(r: &Adjacency, x: &[f32], width: usize, mut each: impl FnMut(usize, &[f32])) {
    let people = r.by_user().rows();
    let block = (BLOCK_NUMBERS / width).max(1);
    for first in (0..people).step_by(block) {
        each(first, &multiply_rows(r.by_user(), first..(first + block).min(people), x, width));
    }
}

/// Returns R~^T R~ X.
fn image(r: &Adjacency, x: &[f32], width: usize) -> Vec<f32> {
    let mut out = vec![0f32; x.len()];
    // Number of users of each item already added.
    let mut done = vec![0usize; r.items()];
    by_blocks(r, x, width, |first, rows| {
        let last = first + rows.len() / width;
        out.par_chunks_mut(width).zip(&mut done).enumerate().for_each(|(item, (sums, done))| {
            let of_item = r.by_item();
            let Some(row) = of_item.outer_view(item) else { return };
            while let Some(&user) = row.indices().get(*done).filter(|&&u| (u as usize) < last) {
                let at = (user as usize - first) * width;
                axpy(sums, row.data()[*done], &rows[at..at + width]);
                *done += 1;
            }
        });
    });
    out
}

/// Returns A B for dense row-major A (n x k) and B (k x m).
fn product(a: &[f32], b: &[f32], (n, k, m): (usize, usize, usize)) -> Vec<f32> {
    let mut out = vec![0f32; n * m];
    let target = MatMut::from_row_major_slice_mut(&mut out, n, m);
    let (a, b) = (MatRef::from_row_major_slice(a, n, k), MatRef::from_row_major_slice(b, k, m));
    matmul(target, Accum::Replace, a, b, 1.0, Par::rayon(0));
    out
}

/// Returns X^T X for dense row-major X.
fn gram(x: &[f32], rows: usize, width: usize) -> Mat<f64> {
    let x = MatRef::from_row_major_slice(x, rows, width);
    let mut out = Mat::<f32>::zeros(width, width);
    matmul(out.as_mut(), Accum::Replace, x.transpose(), x, 1.0, Par::rayon(0));
    Mat::from_fn(width, width, |i, j| f64::from(out[(i, j)]))
}

/// Returns the eigenvalues, the largest first, and their vectors as columns.
fn eigen(symmetric: &Mat<f64>) -> (Vec<f64>, Mat<f64>) {
    let width = symmetric.ncols();
    let Ok(found) = symmetric.self_adjoint_eigen(Side::Lower) else {
        // Only non-finite input does not converge, and degrees are finite.
        return (vec![0.0; width], Mat::zeros(width, width));
    };
    let values = found.S().column_vector();
    let order: Vec<usize> = (0..width).rev().collect();
    let vectors = Mat::from_fn(width, width, |i, j| found.U()[(i, order[j])]);
    (order.iter().map(|&j| values[j]).collect(), vectors)
}

/// Returns an orthonormal basis of the columns of X, by whitening with its Gram matrix. Directions
/// outside the span of X become zero.
fn orthonormal(mut x: Vec<f32>, rows: usize, width: usize) -> Vec<f32> {
    // Columns of equal length keep the Gram matrix well conditioned.
    let norms: Vec<f32> = (0..width)
        .into_par_iter()
        .map(|c| x.iter().skip(c).step_by(width).map(|v| v * v).sum::<f32>().sqrt().max(f32::MIN_POSITIVE))
        .collect();
    x.par_chunks_mut(width).for_each(|row| row.iter_mut().zip(&norms).for_each(|(v, n)| *v /= n));
    let (values, vectors) = eigen(&gram(&x, rows, width));
    let mut whiten = vec![0f32; width * width];
    for (row, line) in whiten.chunks_mut(width).enumerate() {
        for (column, out) in line.iter_mut().enumerate() {
            if values[column] > values[0] * 1e-6 {
                *out = (vectors[(row, column)] / values[column].sqrt()) as f32;
            }
        }
    }
    product(&x, &whiten, (rows, width, width))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Exponents;

    /// V diag(s^2) V^T at full rank is R~^T R~.
    #[test]
    fn full_rank_gives_the_matrix_back() {
        let rows: Vec<Vec<u32>> =
            (0..30u32).map(|u| (0..12).filter(|i| (u * 7 + i * i * 5) % 4 == 0).collect()).collect();
        let r = Adjacency::new(12, &rows, Exponents::SYMMETRIC);
        let keys: Vec<u64> = (0..12).collect();
        let s = Spectrum::of(&r, &keys, 12, 6);
        assert!(s.values.windows(2).all(|w| w[0] >= w[1]) && (s.values[0] - 1.0).abs() < 1e-4, "{:?}", s.values);
        let dense = r.by_user().to_dense();
        let want = dense.t().dot(&dense);
        for i in 0..12 {
            for j in 0..12 {
                let row = |n: usize| &s.vectors[n * s.rank()..(n + 1) * s.rank()];
                let have: f32 = (0..s.rank()).map(|k| s.values[k].powi(2) * row(i)[k] * row(j)[k]).sum();
                assert!((have - want[[i, j]]).abs() < 1e-4, "{i} {j} {have} {}", want[[i, j]]);
            }
        }
    }

    #[test]
    fn nothing_has_no_spectrum() {
        let r = Adjacency::new(3, &[vec![]], Exponents::SYMMETRIC);
        assert!(Spectrum::of(&r, &[1, 2, 3], 4, 3).values.iter().all(|&v| v == 0.0));
        assert_eq!(Spectrum::of(&Adjacency::new(0, &[], Exponents::SYMMETRIC), &[], 4, 3).rank(), 0);
    }
}
