//! Content edges: each item's nearest items by TF-IDF cosine of titles, categories and texts.

use rayon::prelude::*;
use sprs::CsMatViewI;

use super::accumulator::Accumulator;
use locket::internals::graph::{Edges, keep_largest};

/// Number of nearest items kept per item. An edge stays if either end has the other among its
/// nearest, so every item that shares a term with another stays reachable.
const NEAREST: usize = 64;
/// Maximum number of items of a term that links items. A more common term makes too many pairs and
/// carries little information.
const COMMON: usize = 5_000;
/// Minimum cosine of an edge; lower similarity is likely chance.
const LEAST_COSINE: f32 = 0.01;

/// Returns the edges of the content matrix C, shape (items, terms). Rows of C have Euclidean length
/// 1 or are empty.
pub fn content_edges(content: CsMatViewI<'_, f32, u32>, keys: &[u64]) -> Edges {
    let items = content.rows();
    let postings = content.transpose_view().to_csr();
    let one_row = |sums: &mut Accumulator, item: usize| -> Vec<(u32, f32)> {
        for (term, &weight) in content.outer_view(item).iter().flat_map(|v| v.iter()) {
            let Some(row) = postings.outer_view(term).filter(|p| p.nnz() <= COMMON) else { continue };
            for (other, &value) in row.iter() {
                sums.add(other, weight * value);
            }
        }
        let mut row: Vec<(u32, f32)> = sums.drain().collect();
        row.retain(|e| e.0 as usize != item && e.1 >= LEAST_COSINE);
        keep_largest(&mut row, NEAREST, keys);
        row
    };
    let mut rows: Vec<Vec<(u32, f32)>> =
        (0..items).into_par_iter().map_init(|| Accumulator::new(items), one_row).collect();
    let mut back: Vec<Vec<(u32, f32)>> = vec![Vec::new(); items];
    for (item, row) in (0u32..).zip(&rows) {
        row.iter().for_each(|&(other, cosine)| back[other as usize].push((item, cosine)));
    }
    for (row, back) in rows.iter_mut().zip(back) {
        row.extend(back);
        row.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
        row.dedup_by_key(|e| e.0);
    }
    Edges::new(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sprs::CsMatI;

    #[test]
    fn likeness_is_symmetric_and_the_cosine() {
        let c = CsMatI::<f32, u32>::new((3, 2), vec![0, 1, 3, 4], vec![0, 0, 1, 1], vec![1.0, 0.6, 0.8, 1.0]);
        let edges = content_edges(c.view(), &[1, 2, 3]);
        let view = edges.view();
        for (a, b, want) in [(0, 1, 0.6), (1, 0, 0.6), (1, 2, 0.8), (2, 1, 0.8), (0, 2, 0.0), (1, 1, 0.0)] {
            assert!((view.get(a, b) - want).abs() < 1e-4, "{a} {b} {}", view.get(a, b));
        }
    }
}
