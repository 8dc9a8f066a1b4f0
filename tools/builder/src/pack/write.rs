//! Writes the sections of a pack file from the fitted data.

use std::{fs::File, io, path::Path};

use super::{
    build::Built,
    filter::Dropped,
    link::Link,
    rows::{Item, Row, starts},
    select,
    terms::{Content, Statistics, read_row},
};
use crate::{BuildError, Error};
use locket::{
    PackError, PackMeta, PackPolicy,
    internals::{
        graph::Edges,
        output,
        pack::format::{ALIKE, PEOPLE, PackWriter, Section},
    },
};

/// The contents of a pack.
pub(super) struct Contents<'a> {
    pub(super) items: &'a [Item],
    pub(super) users: usize,
    /// (user, item), sorted.
    pub(super) edges: &'a [(u32, u32)],
    /// The texts, sorted by item.
    pub(super) rows: &'a mut Vec<Row>,
    pub(super) spool: &'a mut File,
    pub(super) statistics: Statistics,
    pub(super) words: Content,
    pub(super) link: Link,
    /// Measured sources of reviews, if any.
    pub(super) policy: Option<PackPolicy>,
}

/// Size of a text's entry in bytes, without its string bytes: author, stars and two ends.
const ROW_BYTES: u64 = 25;
/// Upper bound for the change in padding, in bytes: four sections shrink, and each section begins
/// at a multiple of 64.
const PADDING: u64 = 4 * 64;

impl Contents<'_> {
    /// Writes the pack to `out`, whole or not at all, with at most `most` bytes if there is a
    /// limit.
    pub(super) fn put(mut self, out: &Path, most: Option<u64>, dropped: Dropped) -> Result<Built, Error> {
        let io = |source| PackError::Io { action: "write", path: out.to_path_buf(), source };
        let out = &output::target(out, [])?;
        let (mut meta, mut file, mut bytes) = self.write(out).map_err(io)?;
        let mut for_size = 0;
        if let Some(most) = most.filter(|&most| bytes > most) {
            for_size = self.shrink(bytes - most).map_err(io)?;
            (meta, file, bytes) = self.write(out).map_err(io)?;
            if bytes > most {
                return Err(BuildError::TooLarge { least: bytes, most }.into());
            }
        }
        output::keep(file, out).map_err(io)?;
        Ok(Built { meta, bytes, dropped: Dropped { texts_for_size: for_size, ..dropped } })
    }

    /// Drops texts that take at least `over` bytes, for every item the least informative first.
    /// Data learned from them stays. Returns the number of dropped texts.
    fn shrink(&mut self, over: u64) -> io::Result<usize> {
        let ranks = select::ranks(self.rows, self.spool)?;
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.sort_by_key(|&n| std::cmp::Reverse((ranks[n], self.rows[n].text_len, n)));
        let mut stays = vec![true; self.rows.len()];
        let mut saved = 0;
        for n in order {
            if saved >= over + PADDING {
                break;
            }
            stays[n] = false;
            saved += u64::from(self.rows[n].title_len) + u64::from(self.rows[n].text_len) + ROW_BYTES;
        }
        let before = self.rows.len();
        let mut stays = stays.into_iter();
        self.rows.retain(|_| stays.next().unwrap_or_default());
        Ok(before - self.rows.len())
    }

    /// Writes a scratch file next to `out`. Returns the pack's metadata, the file, and its length
    /// in bytes.
    fn write(&mut self, out: &Path) -> io::Result<(PackMeta, tempfile::NamedTempFile, u64)> {
        let meta = PackMeta {
            items: self.items.len(),
            users: self.users,
            edges: self.edges.len(),
            texts: self.rows.len(),
            documents: self.statistics.texts,
            terms: self.statistics.terms.len(),
            mean_words: self.statistics.words as f64 / (self.statistics.texts as f64).max(1.0),
            held_out: self.rows.iter().filter(|r| r.held_out).count(),
            dimension: self.link.fitted.factors.dimension,
            people_edges: self.link.fitted.people.targets.len(),
            content_edges: self.link.alike.targets.len(),
            mixture: self.link.mixture,
            learned_from: self.link.learned_from,
            built_by: env!("CARGO_PKG_VERSION").to_owned(),
            policy: self.policy.clone(),
        };
        let mut w = PackWriter::create(out)?;
        w.section(Section::Meta, &serde_json::to_vec(&meta)?)?;
        strings(&mut w, Section::ItemIdEnds, Section::ItemIds, self.items.iter().map(|i| i.id.as_str()), |w| {
            let mut order: Vec<u32> = (0..self.items.len() as u32).collect();
            order.sort_by(|&a, &b| self.items[a as usize].id.cmp(&self.items[b as usize].id));
            w.section(Section::ItemOrder, &order)
        })?;
        let titles = self.items.iter().map(|i| i.title.as_str());
        strings(&mut w, Section::ItemTitleEnds, Section::ItemTitles, titles, |_| Ok(()))?;
        let categories = self.items.iter().map(|i| i.category.as_str());
        strings(&mut w, Section::ItemCategoryEnds, Section::ItemCategories, categories, |_| Ok(()))?;

        let columns = |edges: &[(u32, u32)]| edges.iter().map(|e| e.1).collect::<Vec<_>>();
        w.section(Section::UserStarts, &starts(self.users, self.edges.iter().map(|e| e.0)))?;
        w.section(Section::UserItems, &columns(self.edges))?;
        let mut transposed: Vec<(u32, u32)> = self.edges.iter().map(|&(u, i)| (i, u)).collect();
        transposed.sort_unstable();
        w.section(Section::ItemStarts, &starts(self.items.len(), transposed.iter().map(|e| e.0)))?;
        w.section(Section::ItemUsers, &columns(&transposed))?;
        drop(transposed);

        w.section(Section::TextStarts, &starts(self.items.len(), self.rows.iter().map(|r| r.item)))?;
        w.section(Section::TextAuthors, &self.rows.iter().map(|r| r.author).collect::<Vec<_>>())?;
        w.section(Section::TextStars, &self.rows.iter().map(|r| r.stars).collect::<Vec<_>>())?;
        let mut ends = vec![0u64];
        let mut at = 0;
        for row in self.rows.iter() {
            at += u64::from(row.title_len);
            ends.push(at);
            at += u64::from(row.text_len);
            ends.push(at);
        }
        w.section(Section::TextEnds, &ends)?;
        w.begin(Section::Texts)?;
        let mut buffer = Vec::new();
        for row in self.rows.iter() {
            read_row(self.spool, row, &mut buffer)?;
            w.put(&buffer)?;
        }

        strings(&mut w, Section::TermEnds, Section::Terms, self.statistics.terms.iter().map(|t| t.0.as_str()), |_| {
            Ok(())
        })?;
        w.section(Section::TermDocuments, &self.statistics.terms.iter().map(|t| t.1).collect::<Vec<_>>())?;
        w.section(Section::ContentStarts, &self.words.starts)?;
        w.section(Section::ContentTerms, &self.words.terms)?;
        w.section(Section::ContentWeights, &self.words.weights)?;
        item_edges(&mut w, PEOPLE, &self.link.fitted.people)?;
        item_edges(&mut w, ALIKE, &self.link.alike)?;
        w.section(Section::FactorRows, &self.link.fitted.factors.rows)?;
        w.section(Section::FactorSources, &self.link.fitted.factors.source)?;
        w.section(Section::FactorTargets, &self.link.fitted.factors.target)?;
        w.section(Section::Popularity, &self.link.popularity)?;
        w.section(Section::CategoryNumbers, &self.link.categories)?;
        w.section(Section::Returning, &self.link.returning)?;
        let (file, bytes) = w.finish()?;
        Ok((meta, file, bytes))
    }
}

fn item_edges(w: &mut PackWriter, sections: [Section; 4], edges: &Edges) -> io::Result<()> {
    w.section(sections[0], &edges.starts)?;
    w.section(sections[1], &edges.targets)?;
    w.section(sections[2], &edges.weights)?;
    w.section(sections[3], &edges.scales)
}

/// Writes two sections for a list of strings; `after` may add a section that follows them.
fn strings<'a>(
    w: &mut PackWriter,
    ends: Section,
    bytes: Section,
    values: impl Iterator<Item = &'a str> + Clone,
    after: impl FnOnce(&mut PackWriter) -> io::Result<()>,
) -> io::Result<()> {
    let mut at = 0u64;
    let all: Vec<u64> = std::iter::once(0)
        .chain(values.clone().map(|v| {
            at += v.len() as u64;
            at
        }))
        .collect();
    w.section(ends, &all)?;
    w.begin(bytes)?;
    for value in values {
        w.put(value.as_bytes())?;
    }
    after(w)
}
