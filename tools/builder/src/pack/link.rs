//! The link predictor's part of a pack: fitted tables, and weights learned on held-out
//! interactions.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    ops::ControlFlow,
};

use sprs::CsMatViewI;

use super::{
    rows::{Item, Row},
    terms::{Content, Statistics, content},
};
use crate::graph::{self, FitOptions, Fitted, Learner, LinkExample};
use locket::internals::{
    graph::{Edges, Mixture, Tables, popularity},
    hash::hash,
};

/// Number of examples to learn from: no round follows once it is reached, and a round holds at most
/// this many.
const LEARNERS: usize = 1_000;
/// Maximum number of interactions held out per user.
const ROUNDS: usize = 4;

/// All tables and weights of the link predictor, owned.
pub(super) struct Link {
    pub(super) fitted: Fitted,
    pub(super) alike: Edges,
    pub(super) popularity: Vec<f32>,
    pub(super) returning: Vec<f32>,
    pub(super) categories: Vec<u32>,
    pub(super) mixture: Mixture,
    pub(super) learned_from: usize,
}

/// A held-out interaction: its user, and the example with the earlier items.
pub(super) struct Held {
    pub(super) user: u32,
    pub(super) example: LinkExample,
}

/// Rounds of held-out interactions, as many as are needed for enough examples. The first round
/// holds each user's latest item, for users with at least two items; the second holds the item
/// before it, and so on. `edges` are in the order of the interactions.
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
        let mut seen = HashSet::new();
        let mut seeds: Vec<u32> = person.iter().map(|&(_, (_, item))| item).filter(|&i| seen.insert(i)).collect();
        if let Some(at) = seeds.len().checked_sub(1 + round).filter(|&at| at > 0) {
            let target = seeds[at];
            seeds.truncate(at);
            cut.push(Held { user: person[0].1.0, example: LinkExample { seeds, target } });
        }
    }
    let step = cut.len().div_ceil(LEARNERS).max(1);
    cut.into_iter().step_by(step).collect()
}

/// Tables fitted to one set of edges.
pub(super) struct Tabled {
    pub(super) fitted: Fitted,
    pub(super) alike: Edges,
}

/// Returns for each item the number of its users, and the number of those with more than one item.
pub(super) fn degrees(users: usize, items: usize, edges: &[(u32, u32)]) -> [Vec<usize>; 2] {
    let mut met = vec![0u32; users];
    edges.iter().for_each(|e| met[e.0 as usize] += 1);
    let (mut people, mut returning) = (vec![0; items], vec![0; items]);
    for &(user, item) in edges {
        people[item as usize] += 1;
        returning[item as usize] += usize::from(met[user as usize] > 1);
    }
    [people, returning]
}

/// All interactions, and the items.
pub(super) struct Source<'a> {
    pub(super) users: usize,
    pub(super) items: &'a [Item],
    /// (user, item), sorted and without duplicates.
    pub(super) edges: &'a [(u32, u32)],
}

/// A round of held-out edges: its number and the edges.
pub(super) type Round<'a> = (usize, &'a HashSet<(u32, u32)>);

impl Source<'_> {
    /// Fits tables to all edges, and learns weights on `cuts`: tables fitted without those edges
    /// (and without their texts) must predict them. `tables` fits to the remaining edges of a
    /// round, or to all edges. `alive` is called before each fit; returns `None` if it stops the
    /// work.
    pub(super) fn link<E>(
        &self,
        cuts: Vec<Vec<Held>>,
        alive: &mut dyn FnMut() -> ControlFlow<()>,
        mut tables: impl FnMut(Option<Round<'_>>, &[(u32, u32)]) -> Result<Tabled, E>,
    ) -> Result<Option<Link>, E> {
        let popularity =
            |edges: &[(u32, u32)]| degrees(self.users, self.items.len(), edges).map(|n| popularity(n.into_iter()));
        let categories = category_numbers(self.items);
        let mut learner = Learner::default();
        for (round, cut) in cuts.into_iter().enumerate() {
            if alive().is_break() {
                return Ok(None);
            }
            let held: HashSet<(u32, u32)> = cut.iter().map(|h| (h.user, h.example.target)).collect();
            let rest: Vec<(u32, u32)> = self.edges.iter().copied().filter(|e| !held.contains(e)).collect();
            let Tabled { fitted, alike } = tables(Some((round, &held)), &rest)?;
            let [popularity, returning] = popularity(&rest);
            let tables = Tables {
                people: fitted.people.view(),
                content: alike.view(),
                factors: fitted.factors.view(),
                popularity: &popularity,
                returning: &returning,
                categories: &categories,
            };
            let examples: Vec<LinkExample> = cut.into_iter().map(|h| h.example).collect();
            learner.add(&tables, &examples);
        }
        if alive().is_break() {
            return Ok(None);
        }
        let Tabled { fitted, alike } = tables(None, self.edges)?;
        let [popularity, returning] = popularity(self.edges);
        let (mixture, learned_from) = learner.learn();
        Ok(Some(Link { fitted, alike, popularity, returning, categories, mixture, learned_from }))
    }

    /// Fits the tables to some of the edges.
    pub(super) fn fit(&self, edges: &[(u32, u32)], content: &Content, options: &FitOptions) -> Tabled {
        let items = self.items.len();
        let keys: Vec<u64> = self.items.iter().map(|i| hash(&i.id)).collect();
        let starts = super::rows::starts(self.users, edges.iter().map(|e| e.0));
        let columns: Vec<u32> = edges.iter().map(|e| e.1).collect();
        let fitted = graph::fit(items, &starts, &columns, &keys, options);
        Tabled { fitted, alike: graph::content_edges(content.view(items), &keys) }
    }
}

/// The spooled texts, for a content matrix without some of them.
pub(super) struct Texts<'a> {
    pub(super) rows: &'a mut [Row],
    pub(super) users: &'a HashMap<u64, u32>,
    pub(super) spool: &'a mut File,
    pub(super) statistics: &'a Statistics,
}

impl Texts<'_> {
    pub(super) fn without(&mut self, held: &HashSet<(u32, u32)>, items: &[Item]) -> std::io::Result<Content> {
        let is_held = |row: &Row| self.users.get(&row.author).is_some_and(|&u| held.contains(&(u, row.item)));
        let hidden: Vec<usize> =
            (0..self.rows.len()).filter(|&n| !self.rows[n].held_out && is_held(&self.rows[n])).collect();
        hidden.iter().for_each(|&n| self.rows[n].held_out = true);
        let without = content(self.rows, items, self.spool, self.statistics);
        hidden.iter().for_each(|&n| self.rows[n].held_out = false);
        without
    }
}

/// Returns a number for each item's category, 0 for none; an empty list if no item has a category.
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
