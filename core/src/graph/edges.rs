//! Pruned item-item edges with 16-bit weights, owned or mapped.

use std::cmp::Ordering;

/// Edges of every item, as built.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Edges {
    /// First edge of each item, `[items + 1]`.
    pub starts: Vec<u32>,
    /// Target items, ascending within an item.
    pub targets: Vec<u32>,
    /// Weights in 1/65535 of the item's scale.
    pub weights: Vec<u16>,
    /// The largest weight of each item, `[items]`.
    pub scales: Vec<f32>,
}

/// Borrowed `Edges`. Targets are untrusted: a reader skips out-of-range ones.
#[derive(Debug, Clone, Copy)]
pub struct EdgesView<'a> {
    /// First edge of each item. Shape: (items + 1).
    pub starts: &'a [u32],
    /// Target items, ascending within an item. Shape: (edges).
    pub targets: &'a [u32],
    /// Weights in 1/65535 of the item's scale. Shape: (edges).
    pub weights: &'a [u16],
    /// The largest weight of each item. Shape: (items).
    pub scales: &'a [f32],
}

impl Edges {
    /// Builds the edges from one row of (target, weight) per item. All weights must be positive.
    pub fn new(rows: Vec<Vec<(u32, f32)>>) -> Self {
        let mut edges = Self { starts: vec![0], ..Self::default() };
        for mut row in rows {
            row.sort_unstable_by_key(|e| e.0);
            let scale = row.iter().map(|e| e.1).fold(0.0, f32::max);
            let unit = f32::from(u16::MAX) / scale.max(f32::MIN_POSITIVE);
            edges.targets.extend(row.iter().map(|e| e.0));
            edges.weights.extend(row.iter().map(|e| (e.1 * unit).round() as u16));
            edges.scales.push(scale);
            edges.starts.push(edges.targets.len() as u32);
        }
        edges
    }

    /// Borrows the edges.
    pub fn view(&self) -> EdgesView<'_> {
        EdgesView { starts: &self.starts, targets: &self.targets, weights: &self.weights, scales: &self.scales }
    }
}

impl<'a> EdgesView<'a> {
    fn span(&self, item: u32) -> std::ops::Range<usize> {
        let at = |n: usize| self.starts.get(n).map_or(0, |&s| s as usize);
        at(item as usize)..at(item as usize + 1)
    }

    /// Returns the edges of one item as (target, weight), targets ascending.
    pub fn row(self, item: u32) -> impl Iterator<Item = (u32, f32)> + 'a {
        let span = self.span(item);
        let unit = self.unit(item);
        let (targets, weights) = (self.targets.get(span.clone()), self.weights.get(span));
        let pairs = targets.unwrap_or_default().iter().zip(weights.unwrap_or_default());
        pairs.map(move |(&target, &weight)| (target, f32::from(weight) * unit))
    }

    /// Returns the weight of one edge, 0 if there is none.
    pub fn get(&self, item: u32, target: u32) -> f32 {
        let span = self.span(item);
        let Some(targets) = self.targets.get(span.clone()) else { return 0.0 };
        let at = targets.binary_search(&target).ok();
        at.and_then(|at| self.weights.get(span.start + at)).map_or(0.0, |&w| f32::from(w) * self.unit(item))
    }

    fn unit(&self, item: u32) -> f32 {
        self.scales.get(item as usize).map_or(0.0, |s| s / f32::from(u16::MAX))
    }
}

/// Keeps the `k` largest weights. Ties go to the larger key, so that item numbering has no effect.
pub fn keep_largest(row: &mut Vec<(u32, f32)>, k: usize, keys: &[u64]) {
    if k == 0 {
        row.clear();
    } else if row.len() > k {
        let larger_first = |a: &(u32, f32), b: &(u32, f32)| -> Ordering {
            b.1.total_cmp(&a.1).then_with(|| keys[b.0 as usize].cmp(&keys[a.0 as usize]))
        };
        row.select_nth_unstable_by(k - 1, larger_first);
        row.truncate(k);
        // Thousands of rows are in memory at once, each with capacity for thousands of pruned
        // candidates.
        row.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_come_back_within_a_step() {
        let rows = vec![vec![(3, 0.5), (1, 0.25)], vec![], vec![(0, 7.0), (3, 7e-4), (2, 0.0)]];
        let edges = Edges::new(rows.clone());
        let view = edges.view();
        for (item, row) in (0u32..).zip(&rows) {
            assert_eq!(view.row(item).count(), row.len());
            for &(target, weight) in row {
                assert!((view.get(item, target) - weight).abs() <= 7.0 / 65535.0, "{item} {target}");
            }
        }
        assert_eq!((view.get(0, 2), view.get(9, 0), view.row(9).count()), (0.0, 0.0, 0));
    }

    #[test]
    fn the_largest_stay() {
        let mut row = vec![(0, 1.0), (1, 3.0), (2, 2.0), (3, 2.0)];
        keep_largest(&mut row, 2, &[0, 0, 5, 9]);
        row.sort_unstable_by_key(|e| e.0);
        assert_eq!(row, [(1, 3.0), (3, 2.0)]);
    }
}
