//! Assembles a pack from the Parquet parts that a cluster job writes.
//!
//! A part is a folder of Parquet files; its rows are in order if the files are read by name. Data
//! that grows with users and texts is streamed. Edges, item tables and vocabulary are held in
//! memory, as in a local build.
//!
//! | part | columns |
//! |---|---|
//! | `items` | number, item, title, category |
//! | `edges` | user, item |
//! | `texts` | item, seq, title, text, stars, author, time |
//! | `terms` | number, term, documents |
//! | `content` | item, targets (terms), weights |
//! | `full/people`, `full/alike` | item, targets, weights |
//! | `full/factors` | item, vector |
//! | `cutN/...` | the same, fitted without `cutN/held`: number, user, seeds, target |
//! | `facts` | version, fit, people, texts, words, cuts: JSON |

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use arrow_array::{
    Array, ArrayRef, RecordBatch,
    cast::AsArray,
    types::{Float32Type, Int32Type, Int64Type},
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{
    build::Built,
    filter::Dropped,
    link::{self, Held},
    rows::{Item, Row},
    terms::{Content, Statistics},
    write::Contents,
};
use crate::{
    BuildError, Error,
    graph::{self, FitOptions, Fitted, LinkExample},
};
use locket::{
    PackError,
    internals::{
        graph::{Edges, MAX_DIMENSION},
        output,
    },
};

/// Format version of the parts.
const VERSION: u64 = 1;

/// The cluster job's summary of the parts.
#[derive(serde::Deserialize)]
struct Facts {
    version: u64,
    people: usize,
    texts: usize,
    words: u64,
    cuts: usize,
    #[serde(default)]
    dropped: Dropped,
    fit: PartFit,
}

/// The subset of the cluster's fit settings that assembly needs.
#[derive(serde::Deserialize)]
struct PartFit {
    source_exponent: f32,
    spectral_target_exponent: f32,
    dimension: usize,
}

/// A folder of parts.
struct Parts<'a>(&'a Path);

impl Parts<'_> {
    fn bad(&self, name: &str, what: impl std::fmt::Display) -> Error {
        BuildError::Parts { path: self.0.join(name), what: what.to_string() }.into()
    }

    /// Returns the files of a part, sorted by name.
    fn files(&self, name: &str, extension: &str) -> Result<Vec<PathBuf>, Error> {
        let entries = fs::read_dir(self.0.join(name)).map_err(|e| self.bad(name, e))?;
        let mut files: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
        files.retain(|f| f.extension().is_some_and(|e| e == extension));
        files.sort();
        Ok(files)
    }

    /// Passes every batch of rows of a part to `each`, in order.
    fn read(&self, name: &str, mut each: impl FnMut(&RecordBatch) -> Result<(), String>) -> Result<(), Error> {
        for file in self.files(name, "parquet")? {
            let opened = File::open(&file).map_err(|e| self.bad(name, e))?;
            let reader = ParquetRecordBatchReaderBuilder::try_new(opened).and_then(|b| b.build());
            for batch in reader.map_err(|e| self.bad(name, e))? {
                let batch = batch.map_err(|e| self.bad(name, e))?;
                each(&batch).map_err(|what| self.bad(name, what))?;
            }
        }
        Ok(())
    }
}

fn column<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b ArrayRef, String> {
    batch.column_by_name(name).ok_or_else(|| format!("there is no column {name}"))
}

/// Reads a column of non-negative integers of 32 or 64 bits.
fn numbers(batch: &RecordBatch, name: &str) -> Result<Vec<u64>, String> {
    let column = column(batch, name)?;
    let all: Option<Vec<u64>> = if let Some(c) = column.as_primitive_opt::<Int64Type>() {
        c.iter().map(|v| u64::try_from(v?).ok()).collect()
    } else if let Some(c) = column.as_primitive_opt::<Int32Type>() {
        c.iter().map(|v| u64::try_from(v?).ok()).collect()
    } else {
        None
    };
    all.ok_or_else(|| format!("the column {name} does not hold numbers from 0 on"))
}

/// Reads a column of non-negative integers below `bound`.
fn indices(batch: &RecordBatch, name: &str, bound: usize) -> Result<Vec<u32>, String> {
    let below = |n: u64| u32::try_from(n).ok().filter(|&n| (n as usize) < bound);
    let all: Option<Vec<u32>> = numbers(batch, name)?.into_iter().map(below).collect();
    all.ok_or_else(|| format!("the column {name} holds a number that is not below {bound}"))
}

/// Reads a column of strings.
fn strings<'b>(batch: &'b RecordBatch, name: &str) -> Result<Vec<&'b str>, String> {
    let column =
        column(batch, name)?.as_string_opt::<i32>().ok_or_else(|| format!("the column {name} holds no text"))?;
    Ok(column.iter().map(Option::unwrap_or_default).collect())
}

impl Parts<'_> {
    fn facts(&self) -> Result<Facts, Error> {
        let bad = |e: &dyn std::fmt::Display| self.bad("facts", e);
        // The cluster's file system chooses the file name.
        let file = self.files("facts", "txt")?.pop().ok_or_else(|| bad(&"there is no file in it"))?;
        let text = fs::read(file).map_err(|e| bad(&e))?;
        let value: serde_json::Value = serde_json::from_slice(&text).map_err(|e| bad(&e))?;
        if value.get("unfinished").is_some() {
            return Err(bad(&"the job that makes these parts has not come to its end"));
        }
        let facts: Facts = serde_json::from_value(value).map_err(|e| bad(&e))?;
        if facts.version == VERSION { Ok(facts) } else { Err(bad(&"parts of another version")) }
    }

    /// Reads lists of (target, weight), one for each of `rows` numbers; numbers without a row get
    /// an empty list.
    fn lists(&self, name: &str, rows: usize, targets: usize) -> Result<Vec<Vec<(u32, f32)>>, Error> {
        let mut all = vec![Vec::new(); rows];
        self.read(name, |batch| {
            let items = indices(batch, "item", rows)?;
            let lists = |name: &str| {
                column(batch, name)?.as_list_opt::<i32>().ok_or_else(|| format!("the column {name} holds no lists"))
            };
            let (to, weights) = (lists("targets")?, lists("weights")?);
            for (n, item) in items.into_iter().enumerate() {
                let (to, weights) = (to.value(n), weights.value(n));
                let to = to.as_primitive_opt::<Int32Type>().ok_or("targets are no numbers")?;
                let weights = weights.as_primitive_opt::<Float32Type>().ok_or("weights are no numbers")?;
                if to.len() != weights.len() || to.values().iter().any(|&t| t < 0 || t as usize >= targets) {
                    return Err(format!("row {item}: targets and weights do not fit"));
                }
                if weights.values().iter().any(|w| !w.is_finite() || *w < 0.0) {
                    return Err(format!("row {item}: a weight is no number from 0 on"));
                }
                all[item as usize] =
                    to.values().iter().map(|&t| t as u32).zip(weights.values().iter().copied()).collect();
            }
            Ok(())
        })?;
        Ok(all)
    }
}

impl Parts<'_> {
    /// Reads one vector per item, row-major. Returns the vectors and their dimension.
    fn vectors(&self, name: &str, items: usize) -> Result<(Vec<f32>, usize), Error> {
        let (mut all, mut rank, mut count) = (Vec::new(), 0, 0);
        self.read(name, |batch| {
            let lists = column(batch, "vector")?.as_list_opt::<i32>().ok_or("vectors are no lists")?;
            for (n, item) in indices(batch, "item", items)?.into_iter().enumerate() {
                let vector = lists.value(n);
                let vector = vector.as_primitive_opt::<Float32Type>().ok_or("vectors hold no numbers")?;
                rank = if count == 0 { vector.len() } else { rank };
                if item != count || vector.len() != rank || vector.values().iter().any(|v| !v.is_finite()) {
                    return Err(format!("the vector of item {item} is out of order, or not like the others"));
                }
                all.extend(vector.values());
                count += 1;
            }
            Ok(())
        })?;
        if count as usize == items {
            Ok((all, rank))
        } else {
            Err(self.bad(name, format!("{count} vectors for {items} items")))
        }
    }

    /// Reads a round of held-out interactions.
    fn held(&self, name: &str, people: usize, items: usize) -> Result<Vec<Held>, Error> {
        let mut held = Vec::new();
        self.read(name, |batch| {
            let (users, targets) = (indices(batch, "user", people)?, indices(batch, "target", items)?);
            let lists = column(batch, "seeds")?.as_list_opt::<i32>().ok_or("seeds are no lists")?;
            for (n, (user, target)) in users.into_iter().zip(targets).enumerate() {
                let seeds = lists.value(n);
                let seeds = seeds.as_primitive_opt::<Int32Type>().ok_or("seeds are no numbers")?;
                let seeds: Option<Vec<u32>> =
                    seeds.values().iter().map(|&s| u32::try_from(s).ok().filter(|&s| (s as usize) < items)).collect();
                let seeds = seeds.ok_or("a seed is no item")?;
                held.push(Held { user, example: LinkExample { seeds, target } });
            }
            Ok(())
        })?;
        Ok(held)
    }
}

/// Reads the catalogue, ordered by item number.
fn items(parts: &Parts<'_>) -> Result<Vec<Item>, Error> {
    let mut items = Vec::new();
    parts.read("items", |batch| {
        let (ids, titles, categories) =
            (strings(batch, "item")?, strings(batch, "title")?, strings(batch, "category")?);
        for (n, number) in numbers(batch, "number")?.into_iter().enumerate() {
            if number != items.len() as u64 {
                return Err(format!("item {number} comes where {} should", items.len()));
            }
            let [id, title, category] = [ids[n], titles[n], categories[n]].map(str::to_owned);
            items.push(Item { id, title, category });
        }
        Ok(())
    })?;
    if items.is_empty() { Err(BuildError::Empty.into()) } else { Ok(items) }
}

/// Reads the vocabulary in byte order, with the number of texts of each term.
fn terms(parts: &Parts<'_>) -> Result<Vec<(String, u32)>, Error> {
    let mut terms: Vec<(String, u32)> = Vec::new();
    parts.read("terms", |batch| {
        let documents = indices(batch, "documents", u32::MAX as usize)?;
        for (term, documents) in strings(batch, "term")?.into_iter().zip(documents) {
            if terms.last().is_some_and(|last| last.0.as_str() >= term) {
                return Err(format!("the term {term} is out of order"));
            }
            terms.push((term.to_owned(), documents));
        }
        Ok(())
    })?;
    Ok(terms)
}

fn edges(parts: &Parts<'_>, people: usize, items: usize) -> Result<Vec<(u32, u32)>, Error> {
    let mut edges = Vec::new();
    parts.read("edges", |batch| {
        edges.extend(indices(batch, "user", people)?.into_iter().zip(indices(batch, "item", items)?));
        Ok(())
    })?;
    if edges.is_sorted_by(|a, b| a < b) {
        Ok(edges)
    } else {
        Err(parts.bad("edges", "an edge is out of order or there twice"))
    }
}

/// Copies the texts to the spool and returns their rows, which are in pack order.
fn texts(parts: &Parts<'_>, items: usize, spool: &mut BufWriter<File>) -> Result<Vec<Row>, Error> {
    let mut rows: Vec<Row> = Vec::new();
    let mut offset = 0;
    parts.read("texts", |batch| {
        let (titles, texts) = (strings(batch, "title")?, strings(batch, "text")?);
        let authors = column(batch, "author")?.as_primitive_opt::<Int64Type>().ok_or("authors are no numbers")?;
        let times = column(batch, "time")?.as_primitive_opt::<Int64Type>().ok_or("times are no numbers")?;
        let stars = indices(batch, "stars", 6)?;
        for (n, item) in indices(batch, "item", items)?.into_iter().enumerate() {
            if rows.last().is_some_and(|last| last.item > item) {
                return Err(format!("a text of item {item} is out of order"));
            }
            let (title, text) = (titles[n], texts[n]);
            spool
                .write_all(title.as_bytes())
                .and_then(|()| spool.write_all(text.as_bytes()))
                .map_err(|e| e.to_string())?;
            rows.push(Row {
                item,
                held_out: false,
                stars: stars[n] as u8,
                // Reinterprets the 64 bits as unsigned: Parquet integers are signed.
                author: authors.value(n).cast_unsigned(),
                time: if times.is_null(n) { i64::MIN } else { times.value(n) },
                offset,
                title_len: title.len() as u32,
                text_len: text.len() as u32,
            });
            offset += (title.len() + text.len()) as u64;
        }
        Ok(())
    })?;
    Ok(rows)
}

/// Assembles the pack of the parts in `parts`. The same parts give the same bytes.
///
/// # Errors
/// [`BuildError::Parts`] names the part that is missing or does not fit the others;
/// [`BuildError::TooLarge`], [`PackError::Io`], [`locket::Error::Output`] if `out` is a file of the
/// parts or no regular file, [`locket::Error::Cancelled`].
pub fn assemble(
    parts: &Path,
    out: &Path,
    max_bytes: Option<u64>,
    mut alive: impl FnMut() -> ControlFlow<()>,
) -> Result<Built, Error> {
    let target = output::target(out, [parts])?;
    let parts = Parts(parts);
    let facts = parts.facts()?;
    let items = items(&parts)?;
    let edges = edges(&parts, facts.people, items.len())?;
    let io = |source| PackError::Io { action: "write", path: out.to_path_buf(), source };
    let mut spool = BufWriter::new(tempfile::tempfile_in(output::folder(&target)).map_err(io)?);
    let mut rows = texts(&parts, items.len(), &mut spool)?;
    spool.flush().map_err(io)?;
    let terms = terms(&parts)?;
    let content = parts.lists("content", items.len(), terms.len())?;
    let mut cuts = Vec::new();
    for n in 0..facts.cuts {
        cuts.push(parts.held(&format!("cut{n}/held"), facts.people, items.len())?);
    }
    let fit = FitOptions {
        source_exponent: facts.fit.source_exponent,
        spectral_target_exponent: facts.fit.spectral_target_exponent,
        dimension: facts.fit.dimension.min(MAX_DIMENSION),
        ..FitOptions::default()
    };
    let source = link::Source { users: facts.people, items: &items, edges: &edges };
    let link = source.link(cuts, &mut alive, |round, edges| {
        let name = round.map_or_else(|| "full".to_owned(), |(n, _)| format!("cut{n}"));
        let (n, [people, _]) = (items.len(), link::degrees(facts.people, items.len(), edges));
        let (vectors, rank) = parts.vectors(&format!("{name}/factors"), n)?;
        let fitted = Fitted {
            people: graph::in_units(parts.lists(&format!("{name}/people"), n, n)?),
            factors: graph::factors(&vectors, rank, |i| people[i], &fit),
        };
        let alike = Edges::new(parts.lists(&format!("{name}/alike"), n, n)?);
        Ok::<_, Error>(link::Tabled { fitted, alike })
    })?;
    let link = link.ok_or(locket::Error::Cancelled)?;
    let statistics = Statistics { terms, words: facts.words, texts: facts.texts };
    let words = Content::new(content, statistics.terms.len());
    let contents = Contents {
        items: &items,
        users: facts.people,
        edges: &edges,
        rows: &mut rows,
        spool: spool.get_mut(),
        statistics,
        words,
        link,
        policy: None,
    };
    contents.put(out, max_bytes, facts.dropped)
}
