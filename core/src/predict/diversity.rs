//! Diversified predictions by maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).

use crate::graph::Tables;

/// Candidates considered per requested prediction.
pub(super) const POOL: usize = 10;

/// Selects `k` items of `pool` (best first) one by one.
///
/// Each maximises (1 - diversity) relevance - diversity x its greatest similarity to the selected
/// items. Relevance is the score scaled to 0..1 over the pool.
pub(super) fn choose(tables: &Tables<'_>, pool: &[(u32, f32)], k: usize, diversity: f32) -> Vec<(u32, f32)> {
    let (Some(top), Some(bottom)) = (pool.first(), pool.last()) else { return Vec::new() };
    let range = (top.1 - bottom.1).max(f32::MIN_POSITIVE);
    let alike = |a: u32, b: u32| tables.factors.cosine(a, b).max(tables.content.get(a, b));
    let mut rest: Vec<(u32, f32, f32)> = pool.iter().map(|&(item, score)| (item, score, 0.0)).collect();
    let mut chosen: Vec<(u32, f32)> = Vec::new();
    while chosen.len() < k && !rest.is_empty() {
        let value = |c: &(u32, f32, f32)| (1.0 - diversity) * (c.1 - bottom.1) / range - diversity * c.2;
        // Ties go to the first, because the pool is sorted.
        let at = (1..rest.len()).fold(0, |best, n| if value(&rest[n]) > value(&rest[best]) { n } else { best });
        let (item, score, _) = rest.remove(at);
        chosen.push((item, score));
        rest.iter_mut().for_each(|c| c.2 = c.2.max(alike(item, c.0)));
    }
    chosen
}
