//! Profiles in, pack file out.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{BufWriter, Read, Seek, SeekFrom, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use super::{
    Meta, PackError, author_key,
    format::{PackWriter, Section},
};
use crate::{
    Error,
    interaction::Interaction,
    profile::{Profile, ProfileError, Profiles},
    text,
};

/// Strongest terms that an item keeps in the content matrix.
const TERMS_PER_ITEM: usize = 64;
/// How much more a word of an item's own name says than a word in somebody's text about it.
const TITLE_BOOST: f32 = 3.0;
/// Longest term, in bytes; longer ones are noise.
const TERM_BYTES: usize = 24;

/// Which targets are kept out of the graph's structure (edges and content), as evaluations need it.
/// Their texts stay retrievable, as other people's texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Holdout {
    /// None: the pack that ships.
    #[default]
    None,
    /// Those of people with at least one earlier interaction (link prediction can test only them).
    WithHistory,
    /// All of them.
    All,
}

/// How to build.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// Which targets to hold out.
    pub holdout: Holdout,
    /// Count and list malformed lines instead of stopping at the first.
    pub skip_bad: bool,
}

/// A line that was skipped.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct BadLine {
    /// The file.
    pub file: PathBuf,
    /// The line's number, from 1.
    pub line: usize,
    /// What was wrong with it.
    pub what: String,
}

/// What was built.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct BuildReport {
    /// The pack's own facts.
    #[serde(flatten)]
    pub meta: Meta,
    /// Number of profiles read.
    pub profiles: usize,
    /// Length of the file.
    pub bytes: u64,
    /// Lines that were skipped (only with [`BuildOptions::skip_bad`]).
    pub bad: Vec<BadLine>,
}

/// Builds a pack from profile files, streaming. `progress` is told the number of profiles read so far and may
/// stop the work; then nothing is left behind.
///
/// # Errors
/// [`ProfileError`] for the first malformed line (unless skipped), [`PackError`], [`Error::Cancelled`].
pub fn build(
    files: &[PathBuf],
    out: &Path,
    options: &BuildOptions,
    mut progress: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<BuildReport, Error> {
    let mut builder = PackBuilder::new(options.holdout, out)?;
    let mut bad = Vec::new();
    let mut profiles = 0;
    for file in files {
        for profile in Profiles::open(file)? {
            match profile {
                Ok(profile) => builder.add(&profile)?,
                Err(ProfileError::Line { path, line, what }) if options.skip_bad => {
                    bad.push(BadLine { file: path, line, what });
                    continue;
                }
                Err(e) => return Err(e.into()),
            }
            profiles += 1;
            if progress(profiles).is_break() {
                return Err(Error::Cancelled);
            }
        }
    }
    let (meta, bytes) = builder.finish(out)?;
    Ok(BuildReport { meta, profiles, bytes, bad })
}

#[derive(Default)]
struct Item {
    id: String,
    title: String,
    category: String,
}

/// A public text's place in the spool.
struct Row {
    item: u32,
    held_out: bool,
    stars: u8,
    author: u64,
    offset: u64,
    title_len: u32,
    text_len: u32,
}

/// Collects profiles, then writes the pack.
pub struct PackBuilder {
    holdout: Holdout,
    path: PathBuf,
    items: Vec<Item>,
    item_index: HashMap<String, u32>,
    users: HashMap<u64, u32>,
    edges: Vec<(u32, u32)>,
    rows: Vec<Row>,
    spool: BufWriter<File>,
    spooled: u64,
}

impl PackBuilder {
    /// A builder for a pack at `out`; its scratch file lies on the same disk and has no name.
    ///
    /// # Errors
    /// [`PackError::Io`] if the folder of `out` cannot be written.
    pub fn new(holdout: Holdout, out: &Path) -> Result<Self, PackError> {
        let dir = out.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let spool = tempfile::tempfile_in(dir).map_err(|source| PackError::Io {
            action: "write beside",
            path: out.to_path_buf(),
            source,
        })?;
        Ok(Self {
            holdout,
            path: out.to_path_buf(),
            items: Vec::new(),
            item_index: HashMap::new(),
            users: HashMap::new(),
            edges: Vec::new(),
            rows: Vec::new(),
            spool: BufWriter::new(spool),
            spooled: 0,
        })
    }

    fn io(&self, source: std::io::Error) -> PackError {
        PackError::Io { action: "write", path: self.path.clone(), source }
    }

    /// Adds one person.
    ///
    /// # Errors
    /// [`PackError::Io`] (disk full), [`PackError::TooMany`].
    pub fn add(&mut self, profile: &Profile) -> Result<(), PackError> {
        let author = author_key(&profile.user);
        let hold = match self.holdout {
            Holdout::None => false,
            Holdout::WithHistory => !profile.history.is_empty(),
            Holdout::All => true,
        };
        let next = u32::try_from(self.users.len()).map_err(|_| PackError::TooMany("users"))?;
        let user = *self.users.entry(author).or_insert(next);
        for (interaction, is_target) in profile.interactions() {
            let item = self.item(interaction)?;
            let held_out = hold && is_target;
            if !held_out {
                self.edges.push((user, item));
            }
            self.text(interaction, item, author, held_out)?;
        }
        Ok(())
    }

    fn item(&mut self, interaction: &Interaction) -> Result<u32, PackError> {
        let number = match self.item_index.get(&interaction.item) {
            Some(&number) => number,
            None => {
                let number = u32::try_from(self.items.len()).map_err(|_| PackError::TooMany("items"))?;
                self.item_index.insert(interaction.item.clone(), number);
                self.items.push(Item { id: interaction.item.clone(), ..Item::default() });
                number
            }
        };
        let item = &mut self.items[number as usize];
        for (have, new) in
            [(&mut item.title, &interaction.item_title), (&mut item.category, &interaction.category)]
        {
            if let Some(new) = new.as_deref().filter(|_| have.is_empty()) {
                *have = text::one_line(new);
            }
        }
        Ok(number)
    }

    fn text(&mut self, interaction: &Interaction, item: u32, author: u64, held_out: bool) -> Result<(), PackError> {
        let title = text::one_line(interaction.title.as_deref().unwrap_or_default());
        let body = text::one_line(&interaction.text);
        self.spool.write_all(title.as_bytes()).map_err(|e| self.io(e))?;
        self.spool.write_all(body.as_bytes()).map_err(|e| self.io(e))?;
        self.rows.push(Row {
            item,
            held_out,
            stars: interaction.stars().unwrap_or(0),
            author,
            offset: self.spooled,
            title_len: title.len() as u32,
            text_len: body.len() as u32,
        });
        self.spooled += (title.len() + body.len()) as u64;
        Ok(())
    }

    /// Writes the pack to `out` and returns its facts and length. The file appears whole or not at all.
    ///
    /// # Errors
    /// [`PackError::Empty`] without interactions, [`PackError::Io`].
    pub fn finish(mut self, out: &Path) -> Result<(Meta, u64), PackError> {
        if self.rows.is_empty() {
            return Err(PackError::Empty);
        }
        u32::try_from(self.rows.len()).map_err(|_| PackError::TooMany("texts"))?;
        self.edges.sort_unstable();
        self.edges.dedup();
        self.rows.sort_by_key(|r| (r.item, r.offset));
        self.spool.flush().map_err(|e| self.io(e))?;
        self.write(out).map_err(|source| PackError::Io { action: "write", path: out.to_path_buf(), source })
    }

    fn write(&mut self, out: &Path) -> std::io::Result<(Meta, u64)> {
        let statistics = self.count_terms()?;
        let meta = Meta {
            items: self.items.len(),
            users: self.users.len(),
            edges: self.edges.len(),
            texts: self.rows.len(),
            terms: statistics.terms.len(),
            mean_words: statistics.words as f64 / self.rows.len() as f64,
            held_out: self.rows.iter().filter(|r| r.held_out).count(),
            built_by: env!("CARGO_PKG_VERSION").to_owned(),
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
        w.section(Section::UserStarts, &starts(self.users.len(), self.edges.iter().map(|e| e.0)))?;
        w.section(Section::UserItems, &columns(&self.edges))?;
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
        for row in &self.rows {
            at += u64::from(row.title_len);
            ends.push(at);
            at += u64::from(row.text_len);
            ends.push(at);
        }
        w.section(Section::TextEnds, &ends)?;
        w.begin(Section::Texts)?;
        let mut buffer = Vec::new();
        for row in &self.rows {
            read_row(self.spool.get_mut(), row, &mut buffer)?;
            w.put(&buffer)?;
        }

        strings(&mut w, Section::TermEnds, Section::Terms, statistics.terms.iter().map(|t| t.0.as_str()), |_| Ok(()))?;
        w.section(Section::TermDocuments, &statistics.terms.iter().map(|t| t.1).collect::<Vec<_>>())?;
        let (starts, terms, weights) = self.content(&statistics)?;
        w.section(Section::ContentStarts, &starts)?;
        w.section(Section::ContentTerms, &terms)?;
        w.section(Section::ContentWeights, &weights)?;
        let bytes = w.finish(out)?;
        Ok((meta, bytes))
    }

    /// First pass over the spool: in how many texts each term stands.
    fn count_terms(&mut self) -> std::io::Result<Statistics> {
        let mut documents: HashMap<String, u32> = HashMap::new();
        let mut words = 0u64;
        let mut buffer = Vec::new();
        for row in &self.rows {
            read_row(self.spool.get_mut(), row, &mut buffer)?;
            let text = String::from_utf8_lossy(&buffer[row.title_len as usize..]);
            words += text::words(&text).count() as u64;
            let title = String::from_utf8_lossy(&buffer[..row.title_len as usize]);
            let distinct: HashSet<String> = terms(&title).chain(terms(&text)).collect();
            for term in distinct {
                *documents.entry(term).or_default() += 1;
            }
        }
        for item in &self.items {
            for term in item_terms(item) {
                documents.entry(term).or_insert(1);
            }
        }
        let mut terms: Vec<(String, u32)> = documents.into_iter().collect();
        terms.sort_unstable();
        Ok(Statistics { terms, words, texts: self.rows.len() })
    }

    /// Second pass: each item's strongest terms by TF-IDF, over its name, category and the texts that
    /// are not held out.
    fn content(&mut self, statistics: &Statistics) -> std::io::Result<(Vec<u32>, Vec<u32>, Vec<f32>)> {
        let index: HashMap<&str, u32> =
            statistics.terms.iter().zip(0..).map(|((term, _), number)| (term.as_str(), number)).collect();
        let (mut starts, mut columns, mut values) = (vec![0u32], Vec::new(), Vec::new());
        let mut buffer = Vec::new();
        let mut rows = self.rows.iter().peekable();
        for (number, item) in (0u32..).zip(&self.items) {
            let mut frequency: HashMap<u32, f32> = HashMap::new();
            for term in item_terms(item) {
                *frequency.entry(index[term.as_str()]).or_default() += TITLE_BOOST;
            }
            while let Some(row) = rows.next_if(|r| r.item == number) {
                if row.held_out {
                    continue;
                }
                read_row(self.spool.get_mut(), row, &mut buffer)?;
                let (title, body) = buffer.split_at(row.title_len as usize);
                for part in [title, body] {
                    for term in terms(&String::from_utf8_lossy(part)) {
                        *frequency.entry(index[term.as_str()]).or_default() += 1.0;
                    }
                }
            }
            let mut weighted: Vec<(u32, f32)> =
                frequency.into_iter().map(|(t, f)| (t, f.ln_1p() * statistics.idf(t))).collect();
            weighted.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            weighted.truncate(TERMS_PER_ITEM);
            let norm = weighted.iter().map(|(_, w)| w * w).sum::<f32>().sqrt();
            weighted.sort_unstable_by_key(|w| w.0);
            columns.extend(weighted.iter().map(|w| w.0));
            values.extend(weighted.iter().map(|w| w.1 / norm.max(f32::MIN_POSITIVE)));
            starts.push(columns.len() as u32);
        }
        Ok((starts, columns, values))
    }
}

struct Statistics {
    terms: Vec<(String, u32)>,
    words: u64,
    texts: usize,
}

impl Statistics {
    fn idf(&self, term: u32) -> f32 {
        idf(self.texts, self.terms[term as usize].1)
    }
}

/// Smoothed inverse document frequency, never negative.
pub(super) fn idf(texts: usize, documents: u32) -> f32 {
    let (n, d) = (texts as f32, documents as f32);
    (1.0 + (n - d + 0.5).max(0.0) / (d + 0.5)).ln()
}

/// The topical terms of a text.
pub(super) fn terms(text: &str) -> impl Iterator<Item = String> + '_ {
    text::words(text).filter(|w| w.len() > 1 && w.len() <= TERM_BYTES && !text::is_stopword(w))
}

fn item_terms(item: &Item) -> impl Iterator<Item = String> + '_ {
    let category = (!item.category.is_empty()).then(|| format!("={}", item.category.to_ascii_lowercase()));
    terms(&item.title).chain(category)
}

fn read_row(spool: &mut File, row: &Row, buffer: &mut Vec<u8>) -> std::io::Result<()> {
    buffer.resize((row.title_len + row.text_len) as usize, 0);
    spool.seek(SeekFrom::Start(row.offset))?;
    spool.read_exact(buffer)
}

/// CSR row starts from sorted row numbers.
fn starts(rows: usize, sorted: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut starts = vec![0u32; rows + 1];
    for row in sorted {
        starts[row as usize + 1] += 1;
    }
    for n in 0..rows {
        starts[n + 1] += starts[n];
    }
    starts
}

/// Two sections for a list of strings; `after` may add what belongs behind them.
fn strings<'a>(
    w: &mut PackWriter,
    ends: Section,
    bytes: Section,
    values: impl Iterator<Item = &'a str> + Clone,
    after: impl FnOnce(&mut PackWriter) -> std::io::Result<()>,
) -> std::io::Result<()> {
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
