//! Builds a pack file from profiles.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{BufWriter, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use super::{
    clean::clean,
    filter::{Dropped, Everything, Filters},
    link,
    rows::{Item, Row},
    terms::{content, count_terms},
    write::Contents,
};
use crate::{
    BuildError, Error,
    graph::FitOptions,
    profile::{Lines, Profile, ProfileError, Profiles},
};
use locket::{
    Interaction, PackError, PackMeta, PackPolicy, author_key,
    internals::{hash::hash, output, text},
};

/// Selection of targets to hold out of the graph's structure (edges and content), for evaluations.
/// Held-out texts stay retrievable, as other users' texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Holdout {
    /// No targets: the pack that ships.
    #[default]
    None,
    /// Targets of users with at least one earlier interaction (link prediction can test only
    /// these).
    WithHistory,
    /// All targets.
    All,
}

/// Options of a pack build.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// Targets to hold out.
    pub holdout: Holdout,
    /// Count and list malformed lines instead of stopping at the first.
    pub skip_bad: bool,
    /// Filters on items, users and texts.
    pub filters: Filters,
    /// Measured sources of reviews, to be stored in the pack.
    pub policy: Option<PackPolicy>,
}

/// A skipped line.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct BadLine {
    /// Path of the file.
    pub file: PathBuf,
    /// Line number, from 1.
    pub line: usize,
    /// Description of the defect.
    pub what: String,
}

/// Summary of a build.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct BuildReport {
    /// Metadata of the pack.
    #[serde(flatten)]
    pub meta: PackMeta,
    /// Number of profiles read.
    pub profiles: usize,
    /// Length of the pack file in bytes.
    pub bytes: u64,
    /// Counts of dropped data.
    pub dropped: Dropped,
    /// Skipped lines (only with [`BuildOptions::skip_bad`]).
    pub bad: Vec<BadLine>,
}

/// Builds a pack from profile files, streaming. `progress` receives the number of profiles read so
/// far and may stop the build; then no file remains.
///
/// # Errors
/// [`ProfileError`] for the first malformed line (unless skipped), [`PackError`],
/// [`locket::Error::Output`] if `out` is one of `files` or no regular file,
/// [`locket::Error::Cancelled`].
pub fn build(
    files: &[PathBuf],
    out: &Path,
    options: &BuildOptions,
    mut progress: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<BuildReport, Error> {
    output::target(out, files.iter().map(PathBuf::as_path))?;
    let mut builder = PackBuilder::new(options.holdout, out)?.with_options(options);
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
                return Err(locket::Error::Cancelled.into());
            }
        }
    }
    let Built { meta, bytes, dropped } = builder.finish(out, || progress(profiles))?;
    Ok(BuildReport { meta, profiles, bytes, dropped, bad })
}

/// Builds a pack from interactions without texts: lines of `user item item ...`, each user's items
/// in chronological order. Otherwise as [`build`].
///
/// # Errors
/// As [`build`].
pub fn build_edges(
    file: &Path,
    out: &Path,
    options: &BuildOptions,
    mut progress: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<BuildReport, Error> {
    output::target(out, [file])?;
    let mut builder = PackBuilder::new(options.holdout, out)?.with_options(options);
    let mut people = 0;
    for line in Lines::open(file)?.texts() {
        let line = line?;
        let mut ids = line.split_whitespace();
        let Some(user) = ids.next() else { continue };
        people += 1;
        if builder.filters.removed.contains(&author_key(user)) {
            builder.dropped.removed_people += 1;
            continue;
        }
        ids.try_for_each(|item| builder.add_edge(user, item))?;
        if progress(people).is_break() {
            return Err(locket::Error::Cancelled.into());
        }
    }
    let Built { meta, bytes, dropped } = builder.finish(out, || progress(people))?;
    Ok(BuildReport { meta, profiles: people, bytes, dropped, bad: Vec::new() })
}

/// A builder that collects profiles, then writes the pack.
pub struct PackBuilder {
    holdout: Holdout,
    fit: FitOptions,
    filters: Filters,
    policy: Option<PackPolicy>,
    dropped: Dropped,
    path: PathBuf,
    items: Vec<Item>,
    item_index: HashMap<String, u32>,
    users: HashMap<u64, u32>,
    edges: Vec<(u32, u32)>,
    rows: Vec<Row>,
    /// Hashes of author, item, title and text, to find duplicates.
    said: HashSet<u64>,
    spool: BufWriter<File>,
    spooled: u64,
}

impl PackBuilder {
    /// A builder for a pack at `out`. Its scratch file is on the same disk and has no name.
    ///
    /// # Errors
    /// [`PackError::Io`] if the folder of `out` cannot be written, [`locket::Error::Output`] if
    /// `out` is no regular file.
    pub fn new(holdout: Holdout, out: &Path) -> Result<Self, Error> {
        let target = output::target(out, [])?;
        let spool = tempfile::tempfile_in(output::folder(&target)).map_err(|source| PackError::Io {
            action: "write beside",
            path: out.to_path_buf(),
            source,
        })?;
        Ok(Self {
            holdout,
            fit: FitOptions::default(),
            filters: Filters::default(),
            policy: None,
            dropped: Dropped::default(),
            path: out.to_path_buf(),
            items: Vec::new(),
            item_index: HashMap::new(),
            users: HashMap::new(),
            edges: Vec::new(),
            rows: Vec::new(),
            said: HashSet::new(),
            spool: BufWriter::new(spool),
            spooled: 0,
        })
    }

    /// Sets the options of the link predictor's fit.
    #[must_use]
    pub fn with_fit(mut self, fit: FitOptions) -> Self {
        self.fit = fit;
        self
    }

    /// Sets the filters and the policy.
    fn with_options(mut self, options: &BuildOptions) -> Self {
        self.filters = options.filters.clone();
        self.policy.clone_from(&options.policy);
        self
    }

    fn io(&self, source: std::io::Error) -> PackError {
        PackError::Io { action: "write", path: self.path.clone(), source }
    }

    /// Adds one user.
    ///
    /// # Errors
    /// [`PackError::Io`] (disk full), [`BuildError::TooMany`].
    pub fn add(&mut self, profile: &Profile) -> Result<(), Error> {
        let author = author_key(&profile.user);
        if self.filters.removed.contains(&author) {
            self.dropped.removed_people += 1;
            return Ok(());
        }
        let hold = match self.holdout {
            Holdout::None => false,
            Holdout::WithHistory => !profile.history.is_empty(),
            Holdout::All => true,
        };
        for (interaction, is_target) in profile.interactions() {
            if text::is_blank(&interaction.item) {
                self.dropped.without_item += 1;
                continue;
            }
            let category = interaction.category.as_deref().unwrap_or_default();
            if !self.filters.categories.is_empty() && !self.filters.categories.contains(category) {
                self.dropped.other_categories += 1;
                continue;
            }
            let next = u32::try_from(self.users.len()).map_err(|_| BuildError::TooMany("users"))?;
            let user = *self.users.entry(author).or_insert(next);
            let item = self.item(interaction)?;
            let held_out = hold && is_target;
            if !held_out {
                self.edges.push((user, item));
            }
            // Replies and e-mails are private: they link items, and nobody reads them.
            if interaction.kind == "review" {
                self.text(interaction, item, author, held_out)?;
            } else {
                self.dropped.private_texts += 1;
            }
        }
        Ok(())
    }

    fn item(&mut self, interaction: &Interaction) -> Result<u32, Error> {
        let number = match self.item_index.get(&interaction.item) {
            Some(&number) => number,
            None => {
                let number = u32::try_from(self.items.len()).map_err(|_| BuildError::TooMany("items"))?;
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

    fn text(&mut self, interaction: &Interaction, item: u32, author: u64, held_out: bool) -> Result<(), Error> {
        let cleaned = &mut self.dropped.cleaned;
        let mut line = |text: &str| clean(&text::one_line(text), cleaned).map(|text| text::one_line(&text));
        let title = line(interaction.title.as_deref().unwrap_or_default()).unwrap_or_default();
        // Skips texts that contain only a seller's answer: the author did not write it.
        let Some(body) = line(&interaction.text) else { return Ok(()) };
        if !self.said.insert(hash(&format!("{author} {item} {title}\n{body}"))) {
            self.dropped.duplicates += 1;
            return Ok(());
        }
        self.spool.write_all(title.as_bytes()).map_err(|e| self.io(e))?;
        self.spool.write_all(body.as_bytes()).map_err(|e| self.io(e))?;
        self.rows.push(Row {
            item,
            held_out,
            stars: interaction.stars().unwrap_or(0),
            author,
            time: interaction.time.unwrap_or(i64::MIN),
            offset: self.spooled,
            title_len: title.len() as u32,
            text_len: body.len() as u32,
        });
        self.spooled += (title.len() + body.len()) as u64;
        Ok(())
    }

    /// Adds an edge without a text.
    ///
    /// # Errors
    /// [`BuildError::TooMany`].
    pub fn add_edge(&mut self, user: &str, item: &str) -> Result<(), Error> {
        let next = u32::try_from(self.users.len()).map_err(|_| BuildError::TooMany("users"))?;
        let user = *self.users.entry(author_key(user)).or_insert(next);
        let item = self.item(&Interaction::new(item, ""))?;
        self.edges.push((user, item));
        Ok(())
    }

    /// Applies the filters, fits the link predictor, and writes the pack to `out`. The file appears
    /// whole or not at all. `alive` is called before each long step and may stop the work.
    ///
    /// # Errors
    /// [`BuildError::Empty`] without interactions, [`BuildError::TooLarge`], [`PackError::Io`],
    /// [`locket::Error::Cancelled`].
    pub fn finish(mut self, out: &Path, mut alive: impl FnMut() -> ControlFlow<()>) -> Result<Built, Error> {
        let io = |source| PackError::Io { action: "write", path: out.to_path_buf(), source };
        self.spool.flush().map_err(io)?;
        let all = Everything {
            items: &mut self.items,
            edges: &mut self.edges,
            rows: &mut self.rows,
            spool: self.spool.get_mut(),
        };
        self.filters.apply(all, &mut self.dropped).map_err(io)?;
        if self.items.is_empty() {
            return Err(BuildError::Empty.into());
        }
        u32::try_from(self.rows.len()).map_err(|_| BuildError::TooMany("texts"))?;
        let cuts = link::cuts(&self.edges);
        self.edges.sort_unstable();
        self.edges.dedup();
        self.rows.sort_by_key(|r| (r.item, r.offset));
        let (most, dropped) = (self.filters.max_bytes, self.dropped);
        let contents = self.contents(cuts, &mut alive).map_err(io)?.ok_or(locket::Error::Cancelled)?;
        contents.put(out, most, dropped)
    }

    /// Fits all tables to the collected data and returns the contents of the pack. Returns `None`
    /// if `alive` stops the work.
    fn contents(
        &mut self,
        cuts: Vec<Vec<link::Held>>,
        alive: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> std::io::Result<Option<Contents<'_>>> {
        let spool = self.spool.get_mut();
        let statistics = count_terms(&self.rows, &self.items, spool)?;
        let words = content(&self.rows, &self.items, spool, &statistics)?;
        let source = link::Source { users: self.users.len(), items: &self.items, edges: &self.edges };
        let mut texts = link::Texts { rows: &mut self.rows, users: &self.users, spool, statistics: &statistics };
        let link = source.link(cuts, alive, |round, edges| match round {
            Some((_, held)) => Ok(source.fit(edges, &texts.without(held, &self.items)?, &self.fit)),
            None => Ok::<_, std::io::Error>(source.fit(edges, &words, &self.fit)),
        })?;
        let Some(link) = link else { return Ok(None) };
        let (items, users, edges) = (&self.items, self.users.len(), &self.edges);
        let policy = self.policy.clone();
        Ok(Some(Contents { items, users, edges, rows: &mut self.rows, spool, statistics, words, link, policy }))
    }
}

/// Summary of a written pack.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Built {
    /// Metadata of the pack.
    #[serde(flatten)]
    pub meta: PackMeta,
    /// Length of the pack file in bytes.
    pub bytes: u64,
    /// Counts of dropped data.
    pub dropped: Dropped,
}
