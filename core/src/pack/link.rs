//! The link predictor's part of a pack: fitted tables, and weights learned on held-out interactions.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    ops::ControlFlow,
};

use sprs::CsMatViewI;

use super::{
    build::{Item, Row},
    hash,
    terms::{Content, Statistics, content},
};
use crate::graph::{self, Edges, Example, FitOptions, Fitted, Learner, Mixture, Tables};

/// Most people that weights are learned from.
const LEARNERS: usize = 1_000;
/// Most interactions held out of one person.
const ROUNDS: usize = 4;

/// Everything that prediction reads, owned.
pub(super) struct Link {
    pub(super) fitted: Fitted,
    pub(super) alike: Edges,
    pub(super) popularity: Vec<f32>,
    pub(super) returning: Vec<f32>,
    pub(super) categories: Vec<u32>,
    pub(super) mixture: Mixture,
    pub(super) learned_from: usize,
}

/// A held-out interaction: of whom, and with what before it.
pub(super) struct Held {
    user: u32,
    example: Example,
}

/// Rounds of held-out interactions, as many as are needed for enough examples: in the first each person's latest one, of
/// people with at least two items; in the second the one before, and so on. `edges` are in the order in which people met
/// them.
pub(super) fn cuts(edges: &[(u32, u32)]) -> Vec<Vec<Held>> {
    let mut cuts: Vec<Vec<Held>> = Vec::new();
    while cuts.len() < ROUNDS && cuts.iter().map(Vec::len).sum::<usize>() < LEARNERS {
        cuts.push(cut(edges, cuts.len()));
    }
    cuts.retain(|cut| !cut.is_empty());
    cuts
}

fn cut(edges: &[(u32, u32)], round: usize) -> Vec<Held> {
    let mut in_order: Vec<(usize, (u32, u32))> = edges.iter().copied().enumerate().collect();
    in_order.sort_by_key(|&(n, (user, _))| (user, n));
    let mut cut: Vec<Held> = Vec::new();
    for person in in_order.chunk_by(|a, b| a.1.0 == b.1.0) {
        let mut seeds: Vec<u32> = Vec::new();
        for &(_, (_, item)) in person {
            if !seeds.contains(&item) {
                seeds.push(item);
            }
        }
        if let Some(at) = seeds.len().checked_sub(1 + round).filter(|&at| at > 0) {
            let target = seeds[at];
            seeds.truncate(at);
            cut.push(Held { user: person[0].1.0, example: Example { seeds, target } });
        }
    }
    let step = cut.len().div_ceil(LEARNERS).max(1);
    cut.into_iter().step_by(step).collect()
}

/// What the tables are fitted from. `edges` are sorted and without duplicates.
pub(super) struct Source<'a> {
    pub(super) users: usize,
    pub(super) items: &'a [Item],
    pub(super) edges: &'a [(u32, u32)],
    pub(super) options: &'a FitOptions,
}

impl Source<'_> {
    fn tables(&self, edges: &[(u32, u32)], content: &Content) -> (Fitted, Edges, [Vec<f32>; 2]) {
        let items = self.items.len();
        let keys: Vec<u64> = self.items.iter().map(|i| hash(&i.id)).collect();
        let starts = super::build::starts(self.users, edges.iter().map(|e| e.0));
        let columns: Vec<u32> = edges.iter().map(|e| e.1).collect();
        let (mut people, mut returning) = (vec![0usize; items], vec![0usize; items]);
        for row in starts.windows(2) {
            for &item in &columns[row[0] as usize..row[1] as usize] {
                people[item as usize] += 1;
                returning[item as usize] += usize::from(row[1] - row[0] > 1);
            }
        }
        let fitted = graph::fit(items, &starts, &columns, &keys, self.options);
        let alike = graph::content_edges(content.view(items), &keys);
        (fitted, alike, [people, returning].map(|n| graph::popularity(n.into_iter())))
    }

    /// Fits everything to all edges, and the weights on `cuts`: tables fitted without those edges (and without the texts
    /// written there) must predict them. `alive` is asked before each fit; `None` if it said to stop.
    pub(super) fn fit(
        &self,
        cuts: Vec<Vec<Held>>,
        texts: &mut Texts<'_>,
        all: &Content,
        alive: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> std::io::Result<Option<Link>> {
        let categories = category_numbers(self.items);
        let mut learner = Learner::default();
        for cut in cuts {
            if alive().is_break() {
                return Ok(None);
            }
            let held: HashSet<(u32, u32)> = cut.iter().map(|h| (h.user, h.example.target)).collect();
            let rest: Vec<(u32, u32)> = self.edges.iter().copied().filter(|e| !held.contains(e)).collect();
            let without = texts.without(&held, self.items)?;
            let (fitted, alike, [popularity, returning]) = self.tables(&rest, &without);
            let tables = Tables {
                people: fitted.people.view(),
                content: alike.view(),
                factors: fitted.factors.view(),
                popularity: &popularity,
                returning: &returning,
                categories: &categories,
            };
            let examples: Vec<Example> = cut.into_iter().map(|h| h.example).collect();
            learner.add(&tables, &examples);
        }
        if alive().is_break() {
            return Ok(None);
        }
        let (fitted, alike, [popularity, returning]) = self.tables(self.edges, all);
        let (mixture, learned_from) = learner.learn();
        Ok(Some(Link { fitted, alike, popularity, returning, categories, mixture, learned_from }))
    }
}

/// The spooled texts, for a content matrix that lacks some of them.
pub(super) struct Texts<'a> {
    pub(super) rows: &'a mut [Row],
    pub(super) users: &'a HashMap<u64, u32>,
    pub(super) spool: &'a mut File,
    pub(super) statistics: &'a Statistics,
}

impl Texts<'_> {
    fn without(&mut self, held: &HashSet<(u32, u32)>, items: &[Item]) -> std::io::Result<Content> {
        let is_held = |row: &Row| self.users.get(&row.author).is_some_and(|&u| held.contains(&(u, row.item)));
        let hidden: Vec<usize> =
            (0..self.rows.len()).filter(|&n| !self.rows[n].held_out && is_held(&self.rows[n])).collect();
        hidden.iter().for_each(|&n| self.rows[n].held_out = true);
        let without = content(self.rows, items, self.spool, self.statistics);
        hidden.iter().for_each(|&n| self.rows[n].held_out = false);
        without
    }
}

/// A number for each item's category, 0 for none; nothing if no item has one.
fn category_numbers(items: &[Item]) -> Vec<u32> {
    if items.iter().all(|i| i.category.is_empty()) {
        return Vec::new();
    }
    let mut known: HashMap<&str, u32> = HashMap::from([("", 0)]);
    items
        .iter()
        .map(|i| {
            let next = known.len() as u32;
            *known.entry(&i.category).or_insert(next)
        })
        .collect()
}

impl Content {
    fn view(&self, items: usize) -> CsMatViewI<'_, f32, u32> {
        CsMatViewI::new((items, self.vocabulary), &self.starts, &self.terms, &self.weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cut_takes_the_last_of_those_who_met_two() {
        let edges = [(1, 5), (0, 3), (1, 5), (0, 2), (2, 9), (0, 3), (0, 7)];
        let cuts = cuts(&edges);
        let held: Vec<_> = cuts.iter().flatten().map(|h| (h.user, &h.example.seeds[..], h.example.target)).collect();
        assert_eq!(held, [(0, &[3, 2][..], 7), (0, &[3][..], 2)]);
        assert_eq!(cuts.len(), 2);
    }
}
