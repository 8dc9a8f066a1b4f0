//! What of everybody's interactions goes into a pack: privacy first, then size.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
};

use super::{
    build::{Item, Row},
    clean::Cleaned,
    select,
};

/// What is left out of a pack. The default leaves out nothing.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    /// [Author keys](locket::author_key) of people who asked to be removed: nothing of theirs is read.
    pub removed: HashSet<u64>,
    /// Only items of these categories (regions, shops), if there are any: a shard. Case counts.
    pub categories: HashSet<String>,
    /// Items with fewer people leave the catalogue, with all their texts: what hardly anybody met tells who met it
    /// (k-anonymity, Sweeney, 2002). 0 and 1 keep all.
    pub people_per_item: usize,
    /// Items whose texts have fewer authors keep none of their texts. 0 and 1 keep all.
    pub authors_per_item: usize,
    /// Most texts of one author, the latest.
    pub texts_per_author: Option<usize>,
    /// Most texts of one item: a choice of short, late ones that differ from each other.
    pub texts_per_item: Option<usize>,
    /// Longest pack file, in bytes: the texts that add least are left out until it fits.
    pub max_bytes: Option<u64>,
}

/// What was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Dropped {
    /// Texts that the same author had already given on the same item.
    pub duplicates: usize,
    /// People who asked for it.
    pub removed_people: usize,
    /// Interactions with items of other categories.
    pub other_categories: usize,
    /// Items that too few people met.
    pub rare_items: usize,
    /// Edges of those.
    pub rare_edges: usize,
    /// Texts about items that too few people met or wrote about.
    pub rare_texts: usize,
    /// Texts beyond the most of one author.
    pub texts_per_author: usize,
    /// Texts beyond the most of one item.
    pub texts_per_item: usize,
    /// Texts that found no room.
    pub texts_for_size: usize,
    /// What was taken out of texts.
    pub cleaned: Cleaned,
}

/// What filters look at.
pub(super) struct Everything<'a> {
    pub(super) items: &'a mut Vec<Item>,
    /// In the order in which people met them.
    pub(super) edges: &'a mut Vec<(u32, u32)>,
    /// In the order in which they were read.
    pub(super) rows: &'a mut Vec<Row>,
    pub(super) spool: &'a mut File,
}

impl Filters {
    /// Leaves out what is to be left out, all but [`Filters::max_bytes`], and numbers the items anew.
    pub(super) fn apply(&self, all: Everything<'_>, dropped: &mut Dropped) -> std::io::Result<()> {
        let Everything { items, edges, rows, spool } = all;
        if self.people_per_item > 1 {
            rare(self.people_per_item, (items, edges, rows), dropped);
        }
        if self.authors_per_item > 1 {
            let mut authors: HashMap<u32, HashSet<u64>> = HashMap::new();
            rows.iter().for_each(|r| _ = authors.entry(r.item).or_default().insert(r.author));
            dropped.rare_texts += keep(rows, |r| authors[&r.item].len() >= self.authors_per_item);
        }
        if let Some(most) = self.texts_per_author {
            let mut latest: Vec<usize> = (0..rows.len()).collect();
            // Where no time is known the later one is that which was read later.
            latest.sort_by_key(|&n| std::cmp::Reverse((rows[n].time, n)));
            let mut kept: HashMap<u64, usize> = HashMap::new();
            let mut stays = vec![false; rows.len()];
            for n in latest {
                let count = kept.entry(rows[n].author).or_default();
                stays[n] = *count < most;
                *count += 1;
            }
            let mut stays = stays.into_iter();
            dropped.texts_per_author += keep(rows, |_| stays.next().unwrap_or_default());
        }
        if let Some(most) = self.texts_per_item {
            let mut ranks = select::ranks(rows, spool)?.into_iter();
            dropped.texts_per_item += keep(rows, |_| ranks.next().is_some_and(|rank| rank < most));
        }
        Ok(())
    }
}

/// Leaves out the items that fewer than `least` people met.
fn rare(
    least: usize,
    (items, edges, rows): (&mut Vec<Item>, &mut Vec<(u32, u32)>, &mut Vec<Row>),
    dropped: &mut Dropped,
) {
    let distinct: HashSet<(u32, u32)> = edges.iter().copied().collect();
    let mut people = vec![0usize; items.len()];
    distinct.iter().for_each(|&(_, item)| people[item as usize] += 1);
    let mut next = 0u32;
    let numbers: Vec<Option<u32>> = people
        .iter()
        .map(|&n| {
            let stays = n >= least;
            next += u32::from(stays);
            stays.then(|| next - 1)
        })
        .collect();
    dropped.rare_items += items.len() - next as usize;
    let mut number = numbers.iter();
    items.retain(|_| number.next().is_some_and(Option::is_some));
    dropped.rare_edges += keep(edges, |e| numbers[e.1 as usize].is_some());
    dropped.rare_texts += keep(rows, |r| numbers[r.item as usize].is_some());
    let new = |old: u32| numbers[old as usize].unwrap_or_default();
    edges.iter_mut().for_each(|e| e.1 = new(e.1));
    rows.iter_mut().for_each(|r| r.item = new(r.item));
}

/// Keeps what `stays`; returns how many did not.
fn keep<T>(all: &mut Vec<T>, stays: impl FnMut(&T) -> bool) -> usize {
    let before = all.len();
    all.retain(stays);
    before - all.len()
}
