//! Filters on the data that enters a pack: privacy first, then size.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
};

use super::{
    clean::Cleaned,
    rows::{Item, Row},
    select,
};

/// Filters of a pack. The default drops nothing.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    /// [Author keys](locket::author_key) of users to remove on request: all their data is skipped.
    pub removed: HashSet<u64>,
    /// Categories to keep (regions, shops), for a shard; all if empty. Case-sensitive.
    pub categories: HashSet<String>,
    /// Minimum number of users per item. Rarer items are removed from the catalogue with all their
    /// texts, because a rare item can identify its users (k-anonymity, Sweeney, 2002). 0 and 1 keep
    /// all.
    pub people_per_item: usize,
    /// Minimum number of authors per item; items with fewer keep no texts. 0 and 1 keep all.
    pub authors_per_item: usize,
    /// Maximum number of texts per author; the latest stay.
    pub texts_per_author: Option<usize>,
    /// Maximum number of texts per item; a diverse choice of short, recent texts stays.
    pub texts_per_item: Option<usize>,
    /// Maximum length of the pack file in bytes. The least informative texts are dropped until it
    /// fits.
    pub max_bytes: Option<u64>,
}

/// Counts of dropped data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Dropped {
    /// Repeated texts of the same author on the same item.
    pub duplicates: usize,
    /// Users removed on request.
    pub removed_people: usize,
    /// Interactions with items of other categories.
    pub other_categories: usize,
    /// Interactions without an item.
    pub without_item: usize,
    /// Texts of kinds other than reviews. Their items stay linked.
    pub private_texts: usize,
    /// Items with too few users.
    pub rare_items: usize,
    /// Edges to items with too few users.
    pub rare_edges: usize,
    /// Texts about items with too few users or authors.
    pub rare_texts: usize,
    /// Texts beyond the limit per author.
    pub texts_per_author: usize,
    /// Texts beyond the limit per item.
    pub texts_per_item: usize,
    /// Texts dropped to meet the size limit.
    pub texts_for_size: usize,
    /// Parts removed from texts.
    pub cleaned: Cleaned,
}

/// The collected data that filters act on.
pub(super) struct Everything<'a> {
    pub(super) items: &'a mut Vec<Item>,
    /// (user, item), in the order of the interactions.
    pub(super) edges: &'a mut Vec<(u32, u32)>,
    /// Texts in the order of reading.
    pub(super) rows: &'a mut Vec<Row>,
    pub(super) spool: &'a mut File,
}

impl Filters {
    /// Applies all filters except [`Filters::max_bytes`], and renumbers the items.
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
            // If no time is known, the text read later counts as the later one.
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

/// Drops the items with fewer than `least` users.
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

/// Retains the elements for which `stays` is true; returns the number of removed ones.
fn keep<T>(all: &mut Vec<T>, stays: impl FnMut(&T) -> bool) -> usize {
    let before = all.len();
    all.retain(stays);
    before - all.len()
}
