//! Profiles in, pack file out.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufWriter, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use super::{
    Meta, PackError, author_key,
    format::{ALIKE, PEOPLE, PackWriter, Section},
    link,
    terms::{content, count_terms, read_row},
};
use crate::{
    Error,
    graph::{Edges, FitOptions},
    interaction::Interaction,
    profile::{Profile, ProfileError, Profiles},
    text,
};

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
    let (meta, bytes) = builder.finish(out, || progress(profiles))?;
    Ok(BuildReport { meta, profiles, bytes, bad })
}

#[derive(Default)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) category: String,
}

/// A public text's place in the spool.
pub(super) struct Row {
    pub(super) item: u32,
    pub(super) held_out: bool,
    pub(super) stars: u8,
    pub(super) author: u64,
    pub(super) offset: u64,
    pub(super) title_len: u32,
    pub(super) text_len: u32,
}

/// Collects profiles, then writes the pack.
pub struct PackBuilder {
    holdout: Holdout,
    fit: FitOptions,
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
            fit: FitOptions::default(),
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

    /// The same builder with another way of fitting the link predictor.
    #[must_use]
    pub fn with_fit(mut self, fit: FitOptions) -> Self {
        self.fit = fit;
        self
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
        for (have, new) in [(&mut item.title, &interaction.item_title), (&mut item.category, &interaction.category)] {
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

    /// Adds an edge without a text: who met what is all that is known.
    ///
    /// # Errors
    /// [`PackError::TooMany`].
    pub fn add_edge(&mut self, user: &str, item: &str) -> Result<(), PackError> {
        let next = u32::try_from(self.users.len()).map_err(|_| PackError::TooMany("users"))?;
        let user = *self.users.entry(author_key(user)).or_insert(next);
        let item = self.item(&Interaction::new(item, ""))?;
        self.edges.push((user, item));
        Ok(())
    }

    /// Fits the link predictor, writes the pack to `out`, and returns its facts and length. The file appears whole or not at
    /// all. `alive` is asked before each step that takes long.
    ///
    /// # Errors
    /// [`PackError::Empty`] without interactions, [`PackError::Io`], [`Error::Cancelled`].
    pub fn finish(mut self, out: &Path, mut alive: impl FnMut() -> ControlFlow<()>) -> Result<(Meta, u64), Error> {
        if self.items.is_empty() {
            return Err(PackError::Empty.into());
        }
        u32::try_from(self.rows.len()).map_err(|_| PackError::TooMany("texts"))?;
        let cuts = link::cuts(&self.edges);
        self.edges.sort_unstable();
        self.edges.dedup();
        self.rows.sort_by_key(|r| (r.item, r.offset));
        self.spool.flush().map_err(|e| self.io(e))?;
        let written = self.write(out, cuts, &mut alive);
        let written = written.map_err(|source| PackError::Io { action: "write", path: out.to_path_buf(), source })?;
        written.ok_or(Error::Cancelled)
    }

    fn write(
        &mut self,
        out: &Path,
        cuts: Vec<Vec<link::Held>>,
        alive: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> std::io::Result<Option<(Meta, u64)>> {
        let statistics = count_terms(&self.rows, &self.items, self.spool.get_mut())?;
        let words = content(&self.rows, &self.items, self.spool.get_mut(), &statistics)?;
        let source =
            link::Source { users: self.users.len(), items: &self.items, edges: &self.edges, options: &self.fit };
        let mut texts = link::Texts {
            rows: &mut self.rows,
            users: &self.users,
            spool: self.spool.get_mut(),
            statistics: &statistics,
        };
        let Some(link) = source.fit(cuts, &mut texts, &words, alive)? else { return Ok(None) };
        let meta = Meta {
            items: self.items.len(),
            users: self.users.len(),
            edges: self.edges.len(),
            texts: self.rows.len(),
            terms: statistics.terms.len(),
            mean_words: statistics.words as f64 / (self.rows.len() as f64).max(1.0),
            held_out: self.rows.iter().filter(|r| r.held_out).count(),
            dimension: link.fitted.factors.dimension,
            people_edges: link.fitted.people.targets.len(),
            content_edges: link.alike.targets.len(),
            mixture: link.mixture,
            learned_from: link.learned_from,
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
        w.section(Section::ContentStarts, &words.starts)?;
        w.section(Section::ContentTerms, &words.terms)?;
        w.section(Section::ContentWeights, &words.weights)?;
        item_edges(&mut w, PEOPLE, &link.fitted.people)?;
        item_edges(&mut w, ALIKE, &link.alike)?;
        w.section(Section::FactorRows, &link.fitted.factors.rows)?;
        w.section(Section::FactorSources, &link.fitted.factors.source)?;
        w.section(Section::FactorTargets, &link.fitted.factors.target)?;
        w.section(Section::Popularity, &link.popularity)?;
        w.section(Section::CategoryNumbers, &link.categories)?;
        w.section(Section::Returning, &link.returning)?;
        let bytes = w.finish(out)?;
        Ok(Some((meta, bytes)))
    }
}

fn item_edges(w: &mut PackWriter, sections: [Section; 4], edges: &Edges) -> std::io::Result<()> {
    w.section(sections[0], &edges.starts)?;
    w.section(sections[1], &edges.targets)?;
    w.section(sections[2], &edges.weights)?;
    w.section(sections[3], &edges.scales)
}

/// CSR row starts from sorted row numbers.
pub(super) fn starts(rows: usize, sorted: impl Iterator<Item = u32>) -> Vec<u32> {
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
