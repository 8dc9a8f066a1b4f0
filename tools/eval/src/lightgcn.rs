//! LightGCN (He et al., SIGIR 2020) trained with BPR (Rendle et al., UAI 2009), as a baseline. It
//! needs only sparse products: the gradient of a propagation over a symmetric graph is the same
//! propagation.

use rayon::prelude::*;

use locket::internals::hash::{draw, uniform};
use locket_builder::graph::{Adjacency, multiply};

const DIMENSION: usize = 64;
const LAYERS: usize = 3;
const RATE: f32 = 0.01;
const DECAY: f32 = 1e-4;
/// Triples per step. Each step propagates over the whole graph, so large batches make an epoch
/// cheap.
const BATCH: usize = 16_384;

/// Embeddings of all users, then of all items, one row each.
pub(super) struct LightGcn {
    users: usize,
    rows: Vec<f32>,
}

impl LightGcn {
    /// Trains for `epochs` over the edges of `r`, which is normalised symmetrically.
    pub(super) fn train(r: &Adjacency, edges: &[(u32, u32)], epochs: usize) -> Self {
        let (users, items) = (r.by_user().rows(), r.items());
        let mut table: Vec<f32> = (0..((users + items) * DIMENSION) as u64).map(|n| 0.17 * uniform(1, n)).collect();
        let (mut first, mut second) = (vec![0f32; table.len()], vec![0f32; table.len()]);
        let mut step = 0;
        for epoch in 0..epochs as u64 {
            let mut order: Vec<(u64, u32)> = (0..edges.len() as u32).map(|n| (draw(epoch + 2, n.into()), n)).collect();
            order.sort_unstable();
            for batch in order.chunks(BATCH) {
                let triples: Vec<[usize; 3]> = batch
                    .iter()
                    .map(|&(chance, n)| {
                        let (user, item) = edges[n as usize];
                        [user as usize, users + item as usize, users + (draw(chance, 1) % items as u64) as usize]
                    })
                    .collect();
                let out = propagate(r, &table, users);
                let mut gradient = propagate(r, &bpr_gradient(&out, &triples), users);
                let decay = DECAY / triples.len() as f32;
                for &row in triples.iter().flatten() {
                    let span = row * DIMENSION..(row + 1) * DIMENSION;
                    gradient[span.clone()].iter_mut().zip(&table[span]).for_each(|(g, e)| *g += decay * e);
                }
                step += 1;
                adam(&mut table, &gradient, &mut first, &mut second, step);
            }
        }
        Self { users, rows: propagate(r, &table, users) }
    }

    /// Returns the score of every item for one of the users.
    pub(super) fn scores(&self, user: usize) -> Vec<f32> {
        let (users, items) = self.rows.split_at(self.users * DIMENSION);
        let user = &users[user * DIMENSION..(user + 1) * DIMENSION];
        items.chunks_exact(DIMENSION).map(|item| locket_builder::graph::dot(user, item)).collect()
    }
}

/// Returns the mean of E, A E, A^2 E, ... over the layers.
fn propagate(r: &Adjacency, table: &[f32], users: usize) -> Vec<f32> {
    let mut sum = table.to_vec();
    let (mut of_users, mut of_items) = (table[..users * DIMENSION].to_vec(), table[users * DIMENSION..].to_vec());
    for _ in 0..LAYERS {
        let next = multiply(r.by_user(), &of_items, DIMENSION);
        of_items = multiply(r.by_item(), &of_users, DIMENSION);
        of_users = next;
        let (to_users, to_items) = sum.split_at_mut(users * DIMENSION);
        to_users.iter_mut().zip(&of_users).for_each(|(s, v)| *s += v);
        to_items.iter_mut().zip(&of_items).for_each(|(s, v)| *s += v);
    }
    sum.iter_mut().for_each(|v| *v /= (LAYERS + 1) as f32);
    sum
}

/// Gradient of -ln sigmoid(u . good - u . bad), the mean over the triples, by the propagated
/// embeddings.
fn bpr_gradient(out: &[f32], triples: &[[usize; 3]]) -> Vec<f32> {
    let row = |n: usize| &out[n * DIMENSION..(n + 1) * DIMENSION];
    let mut gradient = vec![0f32; out.len()];
    let mut add = |n: usize, scale: f32, of: &[f32]| {
        gradient[n * DIMENSION..(n + 1) * DIMENSION].iter_mut().zip(of).for_each(|(g, v)| *g += scale * v);
    };
    for &[user, good, bad] in triples {
        let margin: f32 = (0..DIMENSION).map(|k| row(user)[k] * (row(good)[k] - row(bad)[k])).sum();
        let pull = -1.0 / (1.0 + margin.exp()) / triples.len() as f32;
        add(user, pull, row(good));
        add(user, -pull, row(bad));
        add(good, pull, row(user));
        add(bad, -pull, row(user));
    }
    gradient
}

/// One step of Adam (Kingma and Ba, 2015).
fn adam(table: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32], step: i32) {
    let (warm1, warm2) = (1.0 - 0.9f32.powi(step), 1.0 - 0.999f32.powi(step));
    table.par_iter_mut().zip(gradient).zip(first).zip(second).for_each(|(((e, &g), m), v)| {
        *m = 0.9 * *m + 0.1 * g;
        *v = 0.999 * *v + 0.001 * g * g;
        *e -= RATE * (*m / warm1) / ((*v / warm2).sqrt() + 1e-8);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use locket_builder::graph::Exponents;

    /// The analytic gradient through the propagation is the slope of the loss.
    #[test]
    fn the_gradient_is_the_slope() {
        let r = Adjacency::new(4, &[vec![0, 1], vec![1, 2], vec![2, 3, 0]], Exponents::SYMMETRIC);
        let table: Vec<f32> = (0..7 * DIMENSION).map(|n| (draw(3, n as u64) % 1000) as f32 / 1000.0 - 0.5).collect();
        let triples = [[0, 3, 6], [1, 4, 3], [2, 5, 4]];
        let loss = |table: &[f32]| -> f64 {
            let out = propagate(&r, table, 3);
            let row = |n: usize| &out[n * DIMENSION..(n + 1) * DIMENSION];
            let one = |t: &[usize; 3]| {
                let dot =
                    |a: usize, b: usize| -> f64 { row(a).iter().zip(row(b)).map(|(x, y)| f64::from(x * y)).sum() };
                (1.0 + (dot(t[0], t[2]) - dot(t[0], t[1])).exp()).ln()
            };
            triples.iter().map(one).sum::<f64>() / 3.0
        };
        let gradient = propagate(&r, &bpr_gradient(&propagate(&r, &table, 3), &triples), 3);
        for n in [0, 70, 200, 300, 440] {
            let moved = |by: f32| {
                let mut t = table.clone();
                t[n] += by;
                loss(&t)
            };
            let slope = (moved(0.05) - moved(-0.05)) / 0.1;
            assert!((slope - f64::from(gradient[n])).abs() < 2e-3, "{n}: {slope} {}", gradient[n]);
        }
    }
}
