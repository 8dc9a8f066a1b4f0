//! The read-only view of a pack file.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use sprs::CsMatViewI;

use super::{
    Meta, PackError,
    format::{self, ALIKE, PEOPLE, SECTIONS, Section},
    lexicon::Lexicon,
    words::{idf, terms},
};
use crate::{
    graph::{EdgesView, FactorsView, MAX_DIMENSION, Tables},
    sys::Mapped,
};

/// An item's number in its pack, `0..items`.
pub type ItemId = u32;

/// A public text about an item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PublicText<'a> {
    /// Key of the text's author, see [`super::author_key`].
    pub author: u64,
    /// The rating, 1 to 5, if there is one.
    pub stars: Option<u8>,
    /// The title, possibly empty.
    pub title: &'a str,
    /// The text, on one line.
    pub text: &'a str,
}

/// Size in bytes above which the item edges of a pack do not stay resident.
const LARGE: usize = 64 << 20;

/// An open pack. Opening is cheap: the file is mapped, checked once, and paged in on use.
pub struct Pack {
    path: PathBuf,
    bytes: Mapped,
    spans: [(usize, usize); SECTIONS + 1],
    meta: Meta,
    lexicon: OnceLock<Lexicon>,
}

impl Pack {
    /// Opens and checks a pack: magic, version, length, the checksum of every section, and that all
    /// indices stay inside their arrays.
    ///
    /// Only the targets of item edges are checked later, on use.
    ///
    /// # Errors
    /// Every variant of [`PackError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, PackError> {
        let path = path.as_ref().to_path_buf();
        let io = |source| PackError::Io { action: "open", path: path.clone(), source };
        // An empty file cannot be mapped.
        if std::fs::metadata(&path).map_err(io)?.len() == 0 {
            return Err(PackError::NotAPack);
        }
        let bytes = Mapped::open(&path).map_err(io)?;
        let spans = format::check(&bytes)?;
        let (start, end) = spans[Section::Meta as usize];
        let meta = serde_json::from_slice(&bytes[start..end]).map_err(|e| PackError::Damaged(e.to_string()))?;
        let pack = Self { path, bytes, spans, meta, lexicon: OnceLock::new() };
        pack.check_structure().map_err(|what| PackError::Damaged(what.to_owned()))?;
        pack.bytes.release(0..pack.bytes.len());
        Ok(pack)
    }

    fn check_structure(&self) -> Result<(), &'static str> {
        let m = &self.meta;
        let counts = [m.items, m.users, m.edges, m.texts, m.terms, m.dimension, m.people_edges, m.content_edges];
        if counts.iter().any(|&n| n > self.bytes.len()) {
            return Err("the counts are larger than the file");
        }
        let sizes = [
            (self.u64s(Section::ItemIdEnds).len(), m.items + 1),
            (self.u32s(Section::ItemOrder).len(), m.items),
            (self.u64s(Section::ItemTitleEnds).len(), m.items + 1),
            (self.u64s(Section::ItemCategoryEnds).len(), m.items + 1),
            (self.u32s(Section::UserItems).len(), m.edges),
            (self.u32s(Section::ItemUsers).len(), m.edges),
            (self.u64s(Section::TextAuthors).len(), m.texts),
            (self.raw(Section::TextStars).len(), m.texts),
            (self.u64s(Section::TextEnds).len(), 2 * m.texts + 1),
            (self.u64s(Section::TermEnds).len(), m.terms + 1),
            (self.u32s(Section::TermDocuments).len(), m.terms),
            (self.f32s(Section::ContentWeights).len(), self.u32s(Section::ContentTerms).len()),
            (self.u32s(Section::PeopleTargets).len(), m.people_edges),
            (self.u16s(Section::PeopleWeights).len(), m.people_edges),
            (self.f32s(Section::PeopleScales).len(), m.items),
            (self.u32s(Section::AlikeTargets).len(), m.content_edges),
            (self.u16s(Section::AlikeWeights).len(), m.content_edges),
            (self.f32s(Section::AlikeScales).len(), m.items),
            (self.raw(Section::FactorRows).len(), m.items.saturating_mul(m.dimension)),
            (self.f32s(Section::FactorSources).len(), if m.dimension > 0 { m.items } else { 0 }),
            (self.f32s(Section::FactorTargets).len(), if m.dimension > 0 { m.items } else { 0 }),
            (self.f32s(Section::Popularity).len(), m.items),
            (self.f32s(Section::Returning).len(), m.items),
        ];
        if sizes.iter().any(|(have, want)| have != want) {
            return Err("a section has another length than the pack's own counts say");
        }
        if self.u32s(Section::ItemOrder).iter().any(|&i| i as usize >= m.items) {
            return Err("an item number is out of range");
        }
        for (ends, bytes) in [
            (Section::ItemIdEnds, Section::ItemIds),
            (Section::ItemTitleEnds, Section::ItemTitles),
            (Section::ItemCategoryEnds, Section::ItemCategories),
            (Section::TextEnds, Section::Texts),
            (Section::TermEnds, Section::Terms),
        ] {
            let ends = self.u64s(ends);
            let text = std::str::from_utf8(self.raw(bytes)).map_err(|_| "a string section is not UTF-8")?;
            let whole = ends.first() == Some(&0) && ends.last() == Some(&(text.len() as u64));
            if !whole || !ends.is_sorted() || ends.iter().any(|&e| !text.is_char_boundary(e as usize)) {
                return Err("string bounds do not fit their section");
            }
            self.release(bytes);
        }
        let starts = self.u32s(Section::TextStarts);
        if starts.len() != m.items + 1 || starts.last() != Some(&(m.texts as u32)) || !starts.is_sorted() {
            return Err("text bounds do not fit");
        }
        for (shape, a, b) in [
            ((m.users, m.items), Section::UserStarts, Section::UserItems),
            ((m.items, m.users), Section::ItemStarts, Section::ItemUsers),
            ((m.items, m.terms), Section::ContentStarts, Section::ContentTerms),
        ] {
            check_csr(shape, self.u32s(a), self.u32s(b))?;
            self.release(b);
        }
        // Targets are checked on use: a check here would read the largest sections completely.
        for (starts, edges) in [(Section::PeopleStarts, m.people_edges), (Section::AlikeStarts, m.content_edges)] {
            let starts = self.u32s(starts);
            let whole = starts.len() == m.items + 1 && starts[0] == 0 && starts[m.items] as usize == edges;
            if !whole || !starts.is_sorted() {
                return Err("item edges do not fit");
            }
        }
        if m.dimension > MAX_DIMENSION {
            return Err("the item vectors are too long");
        }
        let categories = self.u32s(Section::CategoryNumbers).len();
        if categories != m.items && categories != 0 {
            return Err("there are other categories than items");
        }
        let w = &m.mixture;
        let weights = [w.people, w.taste, w.content, w.category, w.popularity, w.returning, w.averaging, w.recency];
        if weights.iter().any(|w| !w.is_finite()) {
            return Err("the weights are not numbers");
        }
        Ok(())
    }

    fn release(&self, section: Section) {
        let (start, end) = self.spans[section as usize];
        self.bytes.release(start..end);
    }

    /// Releases the memory of item edges in large packs. A query touches few edges, but the system
    /// maps many pages around each.
    pub(crate) fn release_edges(&self) {
        if self.bytes.len() > LARGE {
            PEOPLE.into_iter().chain(ALIKE).for_each(|section| self.release(section));
        }
    }

    fn raw(&self, section: Section) -> &[u8] {
        let (start, end) = self.spans[section as usize];
        &self.bytes[start..end]
    }

    // Sections are 64-byte aligned inside a page-aligned mapping. A cast therefore fails only if
    // the length is not a multiple of the element size; the slice is then empty and fails the
    // length check.
    fn u32s(&self, section: Section) -> &[u32] {
        bytemuck::try_cast_slice(self.raw(section)).unwrap_or_default()
    }

    fn u16s(&self, section: Section) -> &[u16] {
        bytemuck::try_cast_slice(self.raw(section)).unwrap_or_default()
    }

    fn u64s(&self, section: Section) -> &[u64] {
        bytemuck::try_cast_slice(self.raw(section)).unwrap_or_default()
    }

    fn f32s(&self, section: Section) -> &[f32] {
        bytemuck::try_cast_slice(self.raw(section)).unwrap_or_default()
    }

    fn string(&self, ends: Section, bytes: Section, n: usize) -> &str {
        let ends = self.u64s(ends);
        let span = ends[n] as usize..ends[n + 1] as usize;
        // Checked on opening. A file that changes while it is mapped must not cause undefined
        // behaviour.
        std::str::from_utf8(&self.raw(bytes)[span]).unwrap_or_default()
    }

    /// Returns the path of the pack file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the metadata.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Returns the length of the file in bytes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the number of items in the catalogue.
    pub fn items(&self) -> usize {
        self.meta.items
    }

    /// Returns the number of the item with this id.
    pub fn find(&self, id: &str) -> Option<ItemId> {
        let order = self.u32s(Section::ItemOrder);
        order.binary_search_by(|&n| self.item(n).cmp(id)).ok().map(|at| order[at])
    }

    /// Returns an item's id. Panics if `item` is not below [`Pack::items`], like all accessors by
    /// number.
    pub fn item(&self, item: ItemId) -> &str {
        self.string(Section::ItemIdEnds, Section::ItemIds, item as usize)
    }

    /// Returns an item's name, if the catalogue has one.
    pub fn item_title(&self, item: ItemId) -> Option<&str> {
        Some(self.string(Section::ItemTitleEnds, Section::ItemTitles, item as usize)).filter(|t| !t.is_empty())
    }

    /// Returns an item's category, if the catalogue has one.
    pub fn category(&self, item: ItemId) -> Option<&str> {
        Some(self.string(Section::ItemCategoryEnds, Section::ItemCategories, item as usize)).filter(|t| !t.is_empty())
    }

    /// Returns all public texts about an item.
    pub fn texts(&self, item: ItemId) -> impl ExactSizeIterator<Item = PublicText<'_>> {
        let starts = self.u32s(Section::TextStarts);
        (starts[item as usize]..starts[item as usize + 1]).map(|n| self.text(n as usize))
    }

    fn text(&self, n: usize) -> PublicText<'_> {
        PublicText {
            author: self.u64s(Section::TextAuthors)[n],
            stars: Some(self.raw(Section::TextStars)[n]).filter(|s| (1..=5).contains(s)),
            title: self.string(Section::TextEnds, Section::Texts, 2 * n),
            text: self.string(Section::TextEnds, Section::Texts, 2 * n + 1),
        }
    }

    /// Returns the items of each user: CSR structure of R, shape (users, items), all values 1.
    #[doc(hidden)]
    pub fn user_items(&self) -> (&[u32], &[u32]) {
        (self.u32s(Section::UserStarts), self.u32s(Section::UserItems))
    }

    /// Returns the users of each item: CSR structure of R transposed, shape (items, users).
    #[doc(hidden)]
    pub fn item_users(&self) -> (&[u32], &[u32]) {
        (self.u32s(Section::ItemStarts), self.u32s(Section::ItemUsers))
    }

    /// Returns the number of users of `item` in the graph.
    pub fn people(&self, item: ItemId) -> usize {
        self.users_of(item).len()
    }

    /// Returns the number of users of `item` with at least one other item.
    pub fn returning_people(&self, item: ItemId) -> usize {
        let (starts, _) = self.user_items();
        self.users_of(item).iter().filter(|&&u| starts[u as usize + 1] - starts[u as usize] > 1).count()
    }

    /// Returns the number of users of both items.
    pub fn common_users(&self, a: ItemId, b: ItemId) -> usize {
        let (a, b) = (self.users_of(a), self.users_of(b));
        a.iter().filter(|u| b.binary_search(u).is_ok()).count()
    }

    fn users_of(&self, item: ItemId) -> &[u32] {
        let (starts, users) = self.item_users();
        &users[starts[item as usize] as usize..starts[item as usize + 1] as usize]
    }

    /// Returns the tables of the link predictor.
    pub(crate) fn tables(&self) -> Tables<'_> {
        let edges = |[starts, targets, weights, scales]: [Section; 4]| EdgesView {
            starts: self.u32s(starts),
            targets: self.u32s(targets),
            weights: self.u16s(weights),
            scales: self.f32s(scales),
        };
        Tables {
            people: edges(PEOPLE),
            content: edges(ALIKE),
            factors: FactorsView {
                dimension: self.meta.dimension,
                rows: bytemuck::cast_slice(self.raw(Section::FactorRows)),
                source: self.f32s(Section::FactorSources),
                target: self.f32s(Section::FactorTargets),
            },
            popularity: self.f32s(Section::Popularity),
            returning: self.f32s(Section::Returning),
            categories: self.u32s(Section::CategoryNumbers),
        }
    }

    /// Returns the content matrix C: TF-IDF, shape (items, terms), rows of Euclidean length 1 (or
    /// empty).
    #[doc(hidden)]
    pub fn content(&self) -> CsMatViewI<'_, f32, u32> {
        CsMatViewI::new(
            (self.meta.items, self.meta.terms),
            self.u32s(Section::ContentStarts),
            self.u32s(Section::ContentTerms),
            self.f32s(Section::ContentWeights),
        )
    }

    /// Returns a term of the vocabulary.
    #[doc(hidden)]
    pub fn term(&self, n: u32) -> &str {
        self.string(Section::TermEnds, Section::Terms, n as usize)
    }

    /// Returns the number of public texts that contain `term`.
    #[doc(hidden)]
    pub fn documents(&self, term: &str) -> u32 {
        self.find_term(term).map_or(0, |n| self.u32s(Section::TermDocuments)[n as usize])
    }

    fn find_term(&self, term: &str) -> Option<u32> {
        let (mut low, mut high) = (0, self.meta.terms as u32);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.term(middle).cmp(term) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    /// Returns the weight of a term: its inverse document frequency, 0 or more.
    #[doc(hidden)]
    pub fn idf(&self, term: &str) -> f32 {
        idf(self.meta.texts, self.documents(term))
    }

    /// Returns the lexicon of lower-case words, built on first use from a sample of the pack's
    /// texts.
    pub(crate) fn lexicon(&self) -> &Lexicon {
        self.lexicon.get_or_init(|| Lexicon::of(self))
    }

    /// Returns a text as a row of the content matrix: sorted (term, weight), Euclidean length 1 or
    /// empty.
    #[doc(hidden)]
    pub fn content_of(&self, text: &str) -> Vec<(u32, f32)> {
        let mut found: Vec<u32> = terms(text).filter_map(|t| self.find_term(&t)).collect();
        found.sort_unstable();
        let documents = self.u32s(Section::TermDocuments);
        let mut row: Vec<(u32, f32)> = Vec::new();
        for same in found.chunk_by(|a, b| a == b) {
            let weight = (same.len() as f32).ln_1p()
                * idf(self.meta.texts.max(self.meta.documents), documents[same[0] as usize]);
            row.push((same[0], weight));
        }
        let norm = row.iter().map(|(_, w)| w * w).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        row.iter_mut().for_each(|(_, w)| *w /= norm);
        row
    }
}

fn check_csr((rows, columns): (usize, usize), starts: &[u32], indices: &[u32]) -> Result<(), &'static str> {
    let whole = starts.len() == rows + 1 && starts[0] == 0 && starts[rows] as usize == indices.len();
    if !whole || !starts.is_sorted() {
        return Err("matrix rows do not fit");
    }
    for row in starts.windows(2) {
        let row = &indices[row[0] as usize..row[1] as usize];
        if row.windows(2).any(|w| w[0] >= w[1]) || row.last().is_some_and(|&c| c as usize >= columns) {
            return Err("matrix columns are out of order or out of range");
        }
    }
    Ok(())
}
