//! The normalised user-item matrix and propagation over it.

use sprs::{CsMatI, CsMatViewI, CsVecI};

use super::accumulator::Accumulator;

/// Degree exponents of the normalisation: R~ = D_U^-users R D_I^-items.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exponents {
    /// Exponent of the users' degrees.
    pub users: f32,
    /// Exponent of the items' degrees.
    pub items: f32,
}

impl Exponents {
    /// D_U^-1/2 R D_I^-1/2, as in LightGCN and GF-CF.
    pub const SYMMETRIC: Self = Self { users: 0.5, items: 0.5 };
}

/// R~ and its transpose. Shapes: (users, items) and (items, users).
pub struct Adjacency {
    users: CsMatI<f32, u32>,
    items: CsMatI<f32, u32>,
}

impl Adjacency {
    /// Builds R~ from the items of each user. Duplicate edges count once; users and items without
    /// edges are allowed.
    pub fn new(items: usize, user_items: &[Vec<u32>], exponents: Exponents) -> Self {
        let mut starts = vec![0u32];
        let mut columns = Vec::new();
        for row in user_items {
            let mut row: Vec<u32> = row.iter().copied().filter(|&i| (i as usize) < items).collect();
            row.sort_unstable();
            row.dedup();
            columns.extend(row);
            starts.push(columns.len() as u32);
        }
        Self::from_csr(items, starts, columns, exponents)
    }

    /// Builds R~ from the structure of R as CSR, shape (users, items), rows sorted and without
    /// duplicates.
    pub fn from_csr(items: usize, starts: Vec<u32>, columns: Vec<u32>, exponents: Exponents) -> Self {
        let mut degree = vec![0u32; items];
        columns.iter().for_each(|&i| degree[i as usize] += 1);
        let item: Vec<f32> = degree.iter().map(|&d| (d.max(1) as f32).powf(-exponents.items)).collect();
        let mut values = Vec::with_capacity(columns.len());
        for row in starts.windows(2) {
            let user = ((row[1] - row[0]).max(1) as f32).powf(-exponents.users);
            values.extend(columns[row[0] as usize..row[1] as usize].iter().map(|&i| user * item[i as usize]));
        }
        let users = CsMatI::new((starts.len() - 1, items), starts, columns, values);
        let items = users.transpose_view().to_csr();
        Self { users, items }
    }

    /// Number of items.
    pub fn items(&self) -> usize {
        self.items.rows()
    }

    /// Number of users with an interaction with `item`.
    pub fn degree(&self, item: u32) -> usize {
        self.items.indptr().nnz_in_outer_sz(item as usize)
    }

    /// R~, shape (users, items).
    pub fn by_user(&self) -> CsMatViewI<'_, f32, u32> {
        self.users.view()
    }

    /// R~ transposed, shape (items, users).
    pub fn by_item(&self) -> CsMatViewI<'_, f32, u32> {
        self.items.view()
    }

    /// Returns x P = x R~^T R~, one propagation step over items, sparse in and out. `x` has
    /// dimension [`Adjacency::items`].
    pub fn propagate(&self, x: &CsVecI<f32, u32>) -> CsVecI<f32, u32> {
        gather(self.users.view(), &gather(self.items.view(), x))
    }
}

/// The row vector x M: the sum of the rows of `m` weighted by `x`.
fn gather(m: CsMatViewI<'_, f32, u32>, x: &CsVecI<f32, u32>) -> CsVecI<f32, u32> {
    let mut sums = Accumulator::new(m.cols());
    for (row, &weight) in x.iter() {
        for (column, &value) in m.outer_view(row).iter().flat_map(|r| r.iter()) {
            sums.add(column, weight * value);
        }
    }
    let mut found: Vec<(u32, f32)> = sums.drain().collect();
    found.sort_by_key(|f| f.0);
    // The first entry of an index holds its sum.
    found.dedup_by_key(|f| f.0);
    let (columns, values) = found.into_iter().unzip();
    CsVecI::new(m.cols(), columns, values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The sparse propagation equals the dense definition of P, entry by entry.
        #[test]
        fn propagation_is_the_dense_product(rows in proptest::collection::vec(proptest::collection::vec(0u32..7, 0..6), 1..8)) {
            let adjacency = Adjacency::new(7, &rows, Exponents::SYMMETRIC);
            let mut r = vec![[0f32; 7]; rows.len()];
            for (u, row) in rows.iter().enumerate() {
                row.iter().for_each(|&i| r[u][i as usize] = 1.0);
            }
            let du: Vec<f32> = r.iter().map(|row| row.iter().sum()).collect();
            let di: Vec<f32> = (0..7).map(|i| r.iter().map(|row| row[i]).sum()).collect();
            for i in 0..7usize {
                let seen = adjacency.propagate(&CsVecI::new(7, vec![i as u32], vec![1.0])).to_dense();
                for j in 0..7usize {
                    let want: f32 = (0..r.len())
                        .filter(|&u| r[u][i] * r[u][j] > 0.0)
                        .map(|u| 1.0 / (du[u] * (di[i] * di[j]).sqrt()))
                        .sum();
                    prop_assert!((seen[j] - want).abs() < 1e-5, "P[{i},{j}] {} {}", seen[j], want);
                }
            }
        }
    }
}
